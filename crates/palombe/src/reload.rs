//! The configuration read again while the server runs: certificate, key, anchors and trust policy change with the next
//! handshake; every other key waits for a restart and is named.

use crate::config;
use crate::config::Config;
use crate::snapshots::Snapshots;
use palombe_driver::now;
use palombe_store::{JournalLine, Outcome, Store};
use palombe_trust::{TlsIdentity, TrustState, validity_of};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Keys that a reload applies.
const HOT: [&str; 3] = ["tls.certificate", "tls.key", "tls.anchors"];
/// Keys of `[trust]` that it does not.
const COLD_TRUST: [&str; 3] = ["trust.liste_blanche", "trust.crl_folder", "trust.refresh_secs"];

/// Reads the configuration again.
pub struct Reloader {
    path: PathBuf,
    started_with: Value,
    identity: TlsIdentity,
    trust: TrustState,
    snapshots: Arc<Snapshots>,
    store: Store,
    one_at_a_time: Mutex<()>,
}

impl Reloader {
    /// Of the server that runs on `config`, read from `path`.
    pub fn new(
        path: PathBuf,
        config: &Config,
        trust: TrustState,
        snapshots: Arc<Snapshots>,
        store: Store,
    ) -> serde_json::Result<Self> {
        Ok(Reloader {
            path,
            started_with: serde_json::to_value(&config.raw)?,
            identity: config.identity.clone(),
            trust,
            snapshots,
            store,
            one_at_a_time: Mutex::default(),
        })
    }

    /// Reads, checks, and applies whole or not at all. Gives what is in use now and which changed keys wait for a
    /// restart.
    ///
    /// # Errors
    /// Every problem of the configuration, or why trust would be lost by it; the server goes on as before.
    pub fn reload(&self) -> Result<Value, String> {
        let _one = self.one_at_a_time.lock().unwrap_or_else(|e| e.into_inner());
        let answer = self.apply();
        let detail = match &answer {
            Ok(report) => report.clone(),
            Err(problem) => json!({ "problem": problem }),
        };
        match &answer {
            Ok(report) => tracing::info!(%report, "the configuration was read again"),
            Err(problem) => tracing::error!(%problem, "reload refused; nothing has changed"),
        }
        let line = JournalLine {
            at: now(),
            event: "server.reload".to_owned(),
            outcome: if answer.is_ok() { Outcome::Accepted } else { Outcome::Refused },
            session: None,
            queue: None,
            bal: None,
            message_id: None,
            peer: None,
            peer_dn: None,
            domain: None,
            rule: None,
            detail: detail.to_string(),
        };
        if let Err(error) = self.store.journal_append(vec![line]) {
            tracing::error!(%error, "a reload is missing in the journal");
        }
        answer
    }

    fn apply(&self) -> Result<Value, String> {
        let config = config::load(&self.path).map_err(|e| e.to_string())?;
        let raw = serde_json::to_value(&config.raw).map_err(|e| e.to_string())?;
        let until = validity_of(&config.identity.leaf()).map_err(|e| e.to_string())?.1;
        let candidate = TrustState::new(config.trust.clone(), config.anchors.clone());
        self.snapshots.take_over(&candidate)?;
        self.identity.renew(&config.identity);
        let mut restart = Vec::new();
        differences(&self.started_with, &raw, "", &mut restart);
        restart.retain(|key| !is_hot(key));
        let list = self.trust.list().map(|list| list.generated_at().to_string());
        Ok(json!({
            "certificate_until": until.to_string(),
            "liste_blanche": list,
            "restart_needed_for": restart,
        }))
    }
}

fn is_hot(key: &str) -> bool {
    HOT.contains(&key) || key.starts_with("trust.") && !COLD_TRUST.contains(&key)
}

/// The keys whose values differ.
fn differences(old: &Value, new: &Value, at: &str, out: &mut Vec<String>) {
    let (Value::Object(old_keys), Value::Object(new_keys)) = (old, new) else {
        if old != new {
            out.push(at.to_owned());
        }
        return;
    };
    let mut names: Vec<&String> = old_keys.keys().chain(new_keys.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let inner = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let of = |keys: &serde_json::Map<String, Value>| keys.get(name).cloned();
        differences(
            &of(old_keys).unwrap_or(Value::Null),
            &of(new_keys).unwrap_or(Value::Null),
            &inner,
            out,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_keys_are_named_and_sorted_into_hot_and_cold() {
        let old = json!({ "tls": { "key": "a", "anchors": "b" }, "trust": { "refresh_secs": 1 } });
        let new = json!({ "tls": { "key": "c", "anchors": "b" }, "trust": { "refresh_secs": 2 },
            "relay": { "port": 25 } });
        let mut found = Vec::new();
        differences(&old, &new, "", &mut found);
        assert_eq!(found, ["relay", "tls.key", "trust.refresh_secs"]);
        let hot: Vec<bool> = found.iter().map(|key| is_hot(key)).collect();
        assert_eq!(hot, [false, true, false]);
    }
}

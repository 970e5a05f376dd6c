//! The metrics page and what `palombe status` shows: the rooms' own counters, rendered at the moment they are asked.

use crate::snapshots::Snapshots;
use palombe_driver::now;
use palombe_imap_server::ImapServer;
use palombe_smtp_sender::SenderMetrics;
use palombe_smtp_server::SmtpServer;
use palombe_store::Store;
use palombe_trust::{TlsIdentity, TrustState, validity_of};
use palombe_vocabulary::Timestamp;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Where the numbers come from.
pub struct Gauges {
    store: Store,
    trust: TrustState,
    snapshots: Arc<Snapshots>,
    /// SMTP services by name.
    pub smtp: Vec<(&'static str, SmtpServer)>,
    /// The IMAP door.
    pub imap: Option<ImapServer>,
    /// The sender.
    pub sender: Option<Arc<SenderMetrics>>,
    /// Where the doors really listen.
    pub listeners: Vec<(&'static str, Vec<SocketAddr>)>,
    identity: TlsIdentity,
    started: Timestamp,
}

impl Gauges {
    /// Doors are added as they open.
    pub fn new(
        store: Store,
        trust: TrustState,
        snapshots: Arc<Snapshots>,
        identity: TlsIdentity,
    ) -> Self {
        Gauges {
            store,
            trust,
            snapshots,
            smtp: Vec::new(),
            imap: None,
            sender: None,
            listeners: Vec::new(),
            identity,
            started: now(),
        }
    }

    /// End of validity of the certificate that we show now.
    fn certificate_until(&self) -> Option<Timestamp> {
        validity_of(&self.identity.leaf()).ok().map(|(_, until)| until)
    }
}

/// The Prometheus text.
pub fn render(gauges: &Gauges) -> String {
    let page = Page { registry: Registry::new() };
    // A name that does not register is a defect of this file; the page goes on without it.
    if let Err(error) = page.fill(gauges) {
        tracing::error!(%error, "a metric could not be rendered");
    }
    TextEncoder::new().encode_to_string(&page.registry.gather()).unwrap_or_default()
}

struct Page {
    registry: Registry,
}

impl Page {
    fn fill(&self, gauges: &Gauges) -> prometheus::Result<()> {
        self.trust(gauges)?;
        self.smtp(gauges)?;
        self.imap(gauges)?;
        self.sender(gauges)?;
        self.store(gauges)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        let family = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn gauge(&self, name: &str, help: &str, value: i64) -> prometheus::Result<()> {
        self.gauges(name, help, &[])?.with_label_values::<&str>(&[]).set(value);
        Ok(())
    }

    fn trust(&self, gauges: &Gauges) -> prometheus::Result<()> {
        let at = now();
        let list = gauges.trust.list();
        let name = "palombe_liste_blanche_age_seconds";
        let age = list.as_ref().map_or(-1, |l| at.millis_since(l.generated_at()) / 1000);
        self.gauge(name, "Age of the liste blanche in use; -1 when there is none", age)?;
        let entries = list.as_ref().map_or(0, |l| l.entries().len() as i64);
        self.gauge("palombe_liste_blanche_entries", "Entries of the list in use", entries)?;
        let failures = gauges.snapshots.list_failures.load(Ordering::Relaxed);
        let name = "palombe_liste_blanche_refused_total";
        let family = self.counters(name, "Lists refused since start", &[])?;
        family.with_label_values::<&str>(&[]).inc_by(failures);
        let family = self.gauges(
            "palombe_crl_next_update_seconds",
            "Seconds until the revocation list of this issuer ends",
            &["issuer"],
        )?;
        for crl in gauges.snapshots.crls() {
            let left = crl.next_update.millis_since(at) / 1000;
            family.with_label_values(&[crl.issuer.as_str()]).set(left);
        }
        let left = gauges.certificate_until().map_or(-1, |until| until.millis_since(at) / 1000);
        self.gauge("palombe_certificate_seconds_left", "Until our certificate expires", left)
    }

    fn smtp(&self, gauges: &Gauges) -> prometheus::Result<()> {
        let label = &["service"];
        let sessions = self.counters("palombe_smtp_sessions_total", "Connections", label)?;
        let open = self.gauges("palombe_smtp_sessions_open", "Connections now", label)?;
        let messages = self.counters("palombe_smtp_messages_total", "Answered 250", label)?;
        let bytes = self.counters("palombe_smtp_octets_total", "Their octets", label)?;
        let tls =
            self.counters("palombe_smtp_tls_total", "TLS handshakes", &["service", "outcome"])?;
        let auth =
            self.counters("palombe_smtp_auth_total", "Authentications", &["service", "outcome"])?;
        let refused =
            self.counters("palombe_smtp_refused_total", "Refusals by rule", &["service", "rule"])?;
        for (service, server) in &gauges.smtp {
            let m = server.metrics().snapshot();
            sessions.with_label_values(&[service]).inc_by(m.sessions);
            open.with_label_values(&[service]).set(m.sessions_open as i64);
            messages.with_label_values(&[service]).inc_by(m.messages);
            bytes.with_label_values(&[service]).inc_by(m.body_bytes);
            tls.with_label_values(&[service, "ok"]).inc_by(m.tls_handshakes);
            tls.with_label_values(&[service, "failed"]).inc_by(m.tls_failures);
            auth.with_label_values(&[service, "ok"]).inc_by(m.auth_successes);
            auth.with_label_values(&[service, "failed"]).inc_by(m.auth_failures);
            for (rule, count) in m.refused {
                refused.with_label_values(&[service, rule]).inc_by(count);
            }
        }
        Ok(())
    }

    fn imap(&self, gauges: &Gauges) -> prometheus::Result<()> {
        let Some(server) = &gauges.imap else { return Ok(()) };
        let m = server.metrics().snapshot();
        let open = m.connections_open as i64;
        self.gauge("palombe_imap_sessions_open", "IMAP connections now", open)?;
        self.gauge("palombe_imap_idling", "Sessions in IDLE now", m.idling as i64)?;
        let logins = self.counters("palombe_imap_logins_total", "Logins", &["outcome"])?;
        logins.with_label_values(&["ok"]).inc_by(m.logins);
        logins.with_label_values(&["failed"]).inc_by(m.login_failures);
        let commands = self.counters("palombe_imap_commands_total", "Commands", &["outcome"])?;
        commands.with_label_values(&["ok"]).inc_by(m.commands_ok);
        commands.with_label_values(&["no"]).inc_by(m.commands_no);
        commands.with_label_values(&["bad"]).inc_by(m.commands_bad);
        let octets = self.counters("palombe_imap_octets_written_total", "Octets sent", &[])?;
        octets.with_label_values::<&str>(&[]).inc_by(m.bytes_written);
        Ok(())
    }

    fn sender(&self, gauges: &Gauges) -> prometheus::Result<()> {
        let Some(sender) = &gauges.sender else { return Ok(()) };
        let family = self.gauges(
            "palombe_relay",
            "Counters of the outgoing queue since start, and its gauges running, waiting, \
             connections_idle",
            &["what"],
        )?;
        for (what, value) in sender.snapshot() {
            family.with_label_values(&[what]).set(value as i64);
        }
        Ok(())
    }

    fn store(&self, gauges: &Gauges) -> prometheus::Result<()> {
        let Ok(stats) = gauges.store.stats() else { return Ok(()) };
        self.gauge("palombe_bals", "BAL", stats.bals as i64)?;
        self.gauge("palombe_store_batches_waiting", "Batches that wait", stats.waiting as i64)?;
        let free = stats.free_bytes.map_or(-1, |b| b as i64);
        self.gauge("palombe_store_free_bytes", "Free space of the data folder's disk", free)?;
        self.gauge("palombe_store_disk_bytes", "Octets of the store", stats.disk_bytes as i64)?;
        self.gauge("palombe_store_broken", "1 while writes are refused", stats.broken.into())?;
        let batches = self.counters("palombe_store_batches_total", "Batches committed", &[])?;
        batches.with_label_values::<&str>(&[]).inc_by(stats.batches);
        let groups = self.counters("palombe_store_groups_total", "Group writes", &[])?;
        groups.with_label_values::<&str>(&[]).inc_by(stats.groups);
        Ok(())
    }
}

/// `palombe status`
pub fn notes(gauges: &Gauges) -> Value {
    let list = gauges.trust.list();
    let listeners: serde_json::Map<String, Value> = gauges
        .listeners
        .iter()
        .map(|(name, addresses)| {
            let texts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
            ((*name).to_owned(), json!(texts))
        })
        .collect();
    let crls: Vec<Value> = gauges
        .snapshots
        .crls()
        .iter()
        .map(|c| json!({ "issuer": c.issuer, "next_update": c.next_update.to_string() }))
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": gauges.started.to_string(),
        "listeners": listeners,
        "certificate_until": gauges.certificate_until().map(|t| t.to_string()),
        "liste_blanche": list.map(|l| json!({
            "generated_at": l.generated_at().to_string(),
            "entries": l.entries().len(),
            "domains": l.domain_count(),
            "certificates": l.dn_count(),
            "digest": l.snapshot().digest_hex,
        })),
        "lists_refused": gauges.snapshots.list_failures.load(Ordering::Relaxed),
        "crls": crls,
    })
}

//! JSON shapes of the administration interface. Serialisable types stand at this boundary only.

use palombe_store::{Bal, CheckReport, DomainRow, JournalLine, QueueItem, StoreStats, Usage};
use palombe_vocabulary::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `POST /v1/domains`
#[derive(Deserialize)]
pub(crate) struct NewDomain {
    pub name: String,
}

/// A hosted domain.
#[derive(Serialize)]
pub(crate) struct DomainView {
    pub name: String,
    pub status: String,
    pub created_at: String,
}

impl From<DomainRow> for DomainView {
    fn from(row: DomainRow) -> Self {
        DomainView {
            name: row.name.to_string(),
            status: format!("{:?}", row.status).to_lowercase(),
            created_at: row.created_at.to_string(),
        }
    }
}

/// `POST /v1/bals`
#[derive(Deserialize)]
pub(crate) struct NewBalBody {
    pub address: String,
    pub kind: String,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub liste_rouge: bool,
    pub quota_bytes: Option<u64>,
    pub password: Option<String>,
}

/// `POST /v1/bals/{address}/password`
#[derive(Deserialize)]
pub(crate) struct PasswordBody {
    pub password: String,
}

/// A BAL; never its password hash.
#[derive(Serialize)]
pub(crate) struct BalView {
    pub id: u64,
    pub address: String,
    pub kind: String,
    pub label: String,
    pub liste_rouge: bool,
    pub status: String,
    pub has_password: bool,
    pub quota_bytes: u64,
    pub used_bytes: u64,
    pub messages: u64,
    pub created_at: String,
}

impl BalView {
    pub(crate) fn new(bal: Bal, usage: &Usage) -> Self {
        BalView {
            id: bal.id.0,
            address: bal.address.to_string(),
            kind: bal.kind.to_string(),
            label: bal.label,
            liste_rouge: bal.publication == palombe_vocabulary::Publication::ListeRouge,
            status: format!("{:?}", bal.status).to_lowercase(),
            has_password: bal.password_hash.is_some(),
            quota_bytes: bal.quota_bytes,
            used_bytes: usage.bytes,
            messages: usage.messages,
            created_at: bal.created_at.to_string(),
        }
    }
}

/// One queue entry.
#[derive(Serialize)]
pub(crate) struct QueueView {
    pub id: String,
    pub destination: String,
    pub sender: String,
    pub recipients: Vec<String>,
    pub message_id: Option<String>,
    pub size: u64,
    pub priority: i8,
    pub state: &'static str,
    pub attempts: u32,
    pub created_at: String,
    pub next_due: String,
    pub expires_at: String,
    pub last_attempt_at: Option<String>,
    pub last_reply: Option<String>,
    pub delay_warned: bool,
}

impl QueueView {
    pub(crate) fn new(item: QueueItem, now: Timestamp) -> Self {
        let sending = item.lease.as_ref().is_some_and(|lease| lease.until > now);
        let state = match (item.held, sending, item.attempts) {
            (true, _, _) => "held",
            (false, true, _) => "sending",
            (false, false, 0) => "waiting",
            (false, false, _) => "deferred",
        };
        let new = item.item;
        QueueView {
            id: item.id.to_string(),
            destination: new.destination.to_string(),
            sender: format!("<{}>", new.sender),
            recipients: new.recipients.iter().map(|r| r.address.to_string()).collect(),
            message_id: new.message_id,
            size: new.size,
            priority: new.priority,
            state,
            attempts: item.attempts,
            created_at: new.created_at.to_string(),
            next_due: new.next_due.to_string(),
            expires_at: new.expires_at.to_string(),
            last_attempt_at: item.last_attempt_at.map(|at| at.to_string()),
            last_reply: item.last_reply,
            delay_warned: item.delay_warned,
        }
    }
}

/// One line of the journal.
#[derive(Serialize)]
pub(crate) struct JournalView {
    pub seq: u64,
    pub at: String,
    pub event: String,
    pub outcome: String,
    pub rule: Option<String>,
    pub session: Option<String>,
    pub queue: Option<String>,
    pub message_id: Option<String>,
    pub peer: Option<String>,
    pub peer_dn: Option<String>,
    pub domain: Option<String>,
    pub detail: serde_json::Value,
}

impl JournalView {
    pub(crate) fn new(seq: u64, line: JournalLine) -> Self {
        JournalView {
            seq,
            at: line.at.to_string(),
            event: line.event,
            outcome: format!("{:?}", line.outcome).to_lowercase(),
            rule: line.rule,
            session: line.session.map(|s| s.to_string()),
            queue: line.queue.map(|q| q.to_string()),
            message_id: line.message_id,
            peer: line.peer.map(|peer| peer.to_string()),
            peer_dn: line.peer_dn,
            domain: line.domain.map(|d| d.to_string()),
            detail: serde_json::from_str(&line.detail).unwrap_or(serde_json::Value::Null),
        }
    }
}

/// Query of `GET /v1/journal`.
#[derive(Deserialize)]
pub(crate) struct JournalParams {
    pub message_id: Option<String>,
    pub peer: Option<String>,
    pub ip: Option<String>,
    pub domain: Option<String>,
    pub rule: Option<String>,
    pub event: Option<String>,
    pub bal: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub limit: Option<usize>,
}

/// Query of list requests.
#[derive(Deserialize)]
pub(crate) struct ListParams {
    pub domain: Option<String>,
    pub limit: Option<usize>,
}

/// What a check of the store saw; the CLI prints the same of a folder that it opened itself.
pub fn check_view(report: &CheckReport) -> Value {
    let counts = &report.counts;
    json!({
        "problems": report.problems,
        "bals": counts.bals,
        "folders": counts.folders,
        "messages": counts.messages,
        "blobs": counts.blobs,
        "links": counts.links,
        "queue_items": counts.queue_items,
        "journal_lines": counts.journal_lines,
    })
}

/// Numbers of the store.
pub(crate) fn stats_view(stats: &StoreStats) -> Value {
    json!({
        "domains": stats.domains,
        "bals": stats.bals,
        "batches": stats.batches,
        "groups": stats.groups,
        "refused": stats.refused,
        "waiting": stats.waiting,
        "reopened": stats.reopened,
        "broken": stats.broken,
        "free_bytes": stats.free_bytes,
        "disk_bytes": stats.disk_bytes,
    })
}

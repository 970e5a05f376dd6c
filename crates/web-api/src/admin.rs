//! The administration interface: JSON over HTTP/1.1 on a Unix socket.

mod members;
mod search;

use crate::limits::{BODY_BYTES_MAX, ROWS_DEFAULT, ROWS_MAX};
use crate::reply::ApiError;
use crate::views::{
    BalView, DomainView, JournalParams, JournalView, ListParams, NewBalBody, NewDomain,
    PasswordBody, QueueView, check_view, stats_view,
};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use palombe_access::hash_password;
use palombe_driver::{Pool, Shutdown};
use palombe_store::{Bal, JournalLine, JournalQuery, NewBal, Outcome, QueueFilter, Store};
use palombe_vocabulary::{
    BalAddress, BalKind, BalStatus, Domain, Publication, QueueId, Secret, Timestamp,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path as FilePath;
use std::str::FromStr;
use std::sync::Arc;
use tokio::net::UnixListener;

/// What the binary tells of itself: trust state, listeners, version.
pub type Notes = Arc<dyn Fn() -> Value + Send + Sync>;

/// Reads the configuration again; the text of an error is shown to the operator.
pub type Reload = Arc<dyn Fn() -> Result<Value, String> + Send + Sync>;

/// What the handlers work with.
#[derive(Clone)]
pub struct Admin {
    /// The store.
    pub store: Store,
    /// Where blocking calls run.
    pub pool: Pool,
    /// `GET /v1/status`
    pub notes: Notes,
    /// `POST /v1/reload`
    pub reload: Reload,
    /// Quota of a new BAL that names none, octets.
    pub quota_bytes_default: u64,
}

type Answer = Result<Json<Value>, ApiError>;

/// Binds the socket with mode 0600. A socket left by a dead server is replaced.
///
/// # Errors
/// The I/O error, with the path in its text.
pub fn bind_admin(path: &FilePath) -> std::io::Result<UnixListener> {
    let name = |e: std::io::Error| {
        std::io::Error::new(e.kind(), format!("administration socket {}: {e}", path.display()))
    };
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(name(e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(name)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(name)?;
    Ok(listener)
}

/// Serves the interface until shutdown.
///
/// # Errors
/// The listener's I/O error.
pub async fn serve_admin(
    listener: UnixListener,
    admin: Admin,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    axum::serve(listener, router(admin))
        .with_graceful_shutdown(async move { shutdown.wait().await })
        .await
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/reload", post(reload))
        .route("/v1/domains", get(domain_list).post(domain_add))
        .route("/v1/domains/{name}", get(domain_show).delete(domain_delete))
        .route("/v1/domains/{name}/{verb}", post(domain_verb))
        .route("/v1/bals", get(bal_list).post(bal_add))
        .route("/v1/bals/{address}", get(bal_show).delete(bal_delete))
        .route("/v1/bals/{address}/password", post(bal_password))
        .route("/v1/bals/{address}/members", get(members::list).post(members::add))
        .route("/v1/bals/{address}/members/{member}", delete(members::remove))
        .route("/v1/bals/{address}/sharing", get(members::options).post(members::set_options))
        .route("/v1/bals/{address}/{verb}", post(bal_verb))
        .route("/v1/queue", get(queue_list))
        .route("/v1/queue/{id}", get(queue_show).delete(queue_drop))
        .route("/v1/queue/{id}/{verb}", post(queue_verb))
        .route("/v1/journal", get(journal))
        .route("/v1/search", get(search::show))
        .route("/v1/search/rebuild", post(search::rebuild))
        .route("/v1/journal/proof", get(journal_proof))
        .route("/v1/store/check", get(store_check))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(admin)
}

impl Admin {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Store) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = self.store.clone();
        self.pool.run(move || work(store)).await?
    }
}

fn parse<T: FromStr>(what: &str, text: &str) -> Result<T, ApiError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e| ApiError::BadRequest(format!("{what} {text:?}: {e}")))
}

fn find_bal(store: &Store, address: &str) -> Result<Bal, ApiError> {
    let address: BalAddress = parse("BAL", address)?;
    let found = store.bal_by_address(&address)?;
    found.ok_or_else(|| ApiError::NotFound(format!("no BAL {address}; see: palombe bal list")))
}

fn admin_line(event: &str, bal: Option<&Bal>, detail: Value) -> JournalLine {
    JournalLine {
        at: palombe_driver::now(),
        event: event.to_owned(),
        outcome: Outcome::Info,
        session: None,
        queue: None,
        bal: bal.map(|b| b.id),
        message_id: None,
        peer: None,
        peer_dn: None,
        domain: bal.map(|b| b.address.domain().clone()),
        rule: None,
        detail: detail.to_string(),
    }
}

async fn status(State(admin): State<Admin>) -> Answer {
    let notes = (admin.notes)();
    let stats = admin.run(|store| Ok(store.stats()?)).await?;
    Ok(Json(json!({ "server": notes, "store": stats_view(&stats) })))
}

async fn reload(State(admin): State<Admin>) -> Answer {
    let again = admin.reload.clone();
    let report = admin.run(move |_| again().map_err(ApiError::BadRequest)).await?;
    Ok(Json(report))
}

async fn domain_list(State(admin): State<Admin>) -> Answer {
    let rows = admin.run(|store| Ok(store.domains()?)).await?;
    Ok(Json(json!(rows.into_iter().map(DomainView::from).collect::<Vec<_>>())))
}

async fn domain_show(State(admin): State<Admin>, Path(name): Path<String>) -> Answer {
    let name: Domain = parse("domain", &name)?;
    let rows = admin.run(|store| Ok(store.domains()?)).await?;
    let row = rows.into_iter().find(|row| row.name == name);
    let row = row.ok_or_else(|| ApiError::NotFound(format!("no hosted domain {name}")))?;
    Ok(Json(json!(DomainView::from(row))))
}

async fn domain_add(State(admin): State<Admin>, Json(body): Json<NewDomain>) -> Answer {
    let name: Domain = parse("domain", &body.name)?;
    let told = name.clone();
    admin
        .run(move |store| {
            store.domain_add(&name, palombe_driver::now())?;
            store.journal_append(vec![admin_line(
                "domain.added",
                None,
                json!({ "domain": name.as_str() }),
            )])?;
            Ok(())
        })
        .await?;
    Ok(Json(json!({ "name": told.as_str() })))
}

async fn domain_delete(State(admin): State<Admin>, Path(name): Path<String>) -> Answer {
    let name: Domain = parse("domain", &name)?;
    admin.run(move |store| Ok(store.domain_delete(&name)?)).await?;
    Ok(Json(json!({ "deleted": true })))
}

async fn domain_verb(
    State(admin): State<Admin>,
    Path((name, verb)): Path<(String, String)>,
) -> Answer {
    let name: Domain = parse("domain", &name)?;
    let status = status_of(&verb)?;
    admin.run(move |store| Ok(store.domain_set_status(&name, status)?)).await?;
    Ok(Json(json!({ "status": format!("{status:?}").to_lowercase() })))
}

fn status_of(verb: &str) -> Result<BalStatus, ApiError> {
    match verb {
        "suspend" => Ok(BalStatus::Suspended),
        "resume" => Ok(BalStatus::Active),
        _ => Err(ApiError::NotFound(format!("no verb {verb:?}; one of suspend, resume"))),
    }
}

async fn bal_list(State(admin): State<Admin>, Query(params): Query<ListParams>) -> Answer {
    let domain: Option<Domain> =
        params.domain.as_deref().map(|d| parse("domain", d)).transpose()?;
    let limit = params.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX);
    let views = admin
        .run(move |store| {
            let bals = store.bals(domain.as_ref())?;
            let view = |bal: Bal| {
                let usage = store.bal_usage(bal.id)?;
                Ok(BalView::new(bal, &usage))
            };
            bals.into_iter().take(limit).map(view).collect::<Result<Vec<_>, ApiError>>()
        })
        .await?;
    Ok(Json(json!(views)))
}

async fn bal_show(State(admin): State<Admin>, Path(address): Path<String>) -> Answer {
    let view = admin
        .run(move |store| {
            let bal = find_bal(&store, &address)?;
            let usage = store.bal_usage(bal.id)?;
            Ok(BalView::new(bal, &usage))
        })
        .await?;
    Ok(Json(json!(view)))
}

async fn bal_add(State(admin): State<Admin>, Json(body): Json<NewBalBody>) -> Answer {
    let address: BalAddress = parse("BAL", &body.address)?;
    let kind: BalKind = parse("kind", &body.kind)?;
    let quota_bytes = body.quota_bytes.unwrap_or(admin.quota_bytes_default);
    let password = body.password.map(Secret::new);
    let publication =
        if body.liste_rouge { Publication::ListeRouge } else { Publication::Annuaire };
    let label = body.label;
    let view = admin
        .run(move |store| {
            let password_hash = password.as_ref().map(hash_password).transpose()?;
            let new = NewBal { address, kind, label, publication, quota_bytes, password_hash };
            let id = store.bal_add(new, palombe_driver::now())?;
            let bal = store.bal(id)?;
            let bal = bal.ok_or_else(|| ApiError::NotFound("the BAL vanished".to_owned()))?;
            let detail = json!({ "address": bal.address.to_string(), "kind": kind.to_string() });
            store.journal_append(vec![admin_line("bal.added", Some(&bal), detail)])?;
            let usage = store.bal_usage(id)?;
            Ok(BalView::new(bal, &usage))
        })
        .await?;
    Ok(Json(json!(view)))
}

async fn bal_password(
    State(admin): State<Admin>,
    Path(address): Path<String>,
    Json(body): Json<PasswordBody>,
) -> Answer {
    let password = Secret::new(body.password);
    admin
        .run(move |store| {
            let bal = find_bal(&store, &address)?;
            store.bal_set_password(bal.id, Some(hash_password(&password)?))?;
            store.journal_append(vec![admin_line("bal.password", Some(&bal), json!({}))])?;
            Ok(())
        })
        .await?;
    Ok(Json(json!({ "changed": true })))
}

async fn bal_verb(
    State(admin): State<Admin>,
    Path((address, verb)): Path<(String, String)>,
) -> Answer {
    let status = status_of(&verb)?;
    admin
        .run(move |store| {
            let bal = find_bal(&store, &address)?;
            store.bal_set_status(bal.id, status)?;
            let detail = json!({ "status": format!("{status:?}").to_lowercase() });
            store.journal_append(vec![admin_line("bal.status", Some(&bal), detail)])?;
            Ok(())
        })
        .await?;
    Ok(Json(json!({ "status": format!("{status:?}").to_lowercase() })))
}

async fn bal_delete(State(admin): State<Admin>, Path(address): Path<String>) -> Answer {
    admin
        .run(move |store| {
            let bal = find_bal(&store, &address)?;
            store.bal_delete(bal.id, palombe_driver::now())?;
            let detail = json!({ "address": bal.address.to_string() });
            store.journal_append(vec![admin_line("bal.deleted", Some(&bal), detail)])?;
            Ok(())
        })
        .await?;
    Ok(Json(json!({ "deleted": true })))
}

async fn queue_list(State(admin): State<Admin>, Query(params): Query<ListParams>) -> Answer {
    let destination: Option<Domain> =
        params.domain.as_deref().map(|d| parse("domain", d)).transpose()?;
    let limit = params.limit.unwrap_or(ROWS_DEFAULT).min(ROWS_MAX);
    let items = admin
        .run(move |store| {
            let filter = QueueFilter { destination, ..QueueFilter::default() };
            Ok(store.queue_items(&filter, limit)?)
        })
        .await?;
    let now = palombe_driver::now();
    let views: Vec<_> = items.into_iter().map(|item| QueueView::new(item, now)).collect();
    Ok(Json(json!(views)))
}

fn queue_id(text: &str) -> Result<QueueId, ApiError> {
    parse("queue id", text)
}

fn no_entry(id: QueueId) -> ApiError {
    ApiError::NotFound(format!("no queue entry {id}; see: palombe queue list"))
}

async fn queue_show(State(admin): State<Admin>, Path(id): Path<String>) -> Answer {
    let id = queue_id(&id)?;
    let item = admin.run(move |store| Ok(store.queue_item(id)?)).await?;
    let item = item.ok_or_else(|| no_entry(id))?;
    Ok(Json(json!(QueueView::new(item, palombe_driver::now()))))
}

async fn queue_verb(
    State(admin): State<Admin>,
    Path((id, verb)): Path<(String, String)>,
) -> Answer {
    let id = queue_id(&id)?;
    admin
        .run(move |store| {
            store.queue_item(id)?.ok_or_else(|| no_entry(id))?;
            match verb.as_str() {
                "hold" => Ok(store.queue_hold(id, true)?),
                "release" => Ok(store.queue_hold(id, false)?),
                "retry" => Ok(store.queue_retry(id, palombe_driver::now())?),
                _ => Err(ApiError::NotFound(format!(
                    "no verb {verb:?}; one of hold, release, retry"
                ))),
            }
        })
        .await?;
    Ok(Json(json!({ "id": id.to_string() })))
}

async fn queue_drop(State(admin): State<Admin>, Path(id): Path<String>) -> Answer {
    let id = queue_id(&id)?;
    admin
        .run(move |store| {
            let item = store.queue_item(id)?.ok_or_else(|| no_entry(id))?;
            let to: Vec<String> =
                item.item.recipients.iter().map(|r| r.address.to_string()).collect();
            let mut line = admin_line("queue.dropped", None, json!({ "recipients": to }));
            line.queue = Some(id);
            line.message_id = item.item.message_id.clone();
            line.domain = Some(item.item.destination.clone());
            Ok(store.queue_drop(id, vec![line])?)
        })
        .await?;
    Ok(Json(json!({ "dropped": id.to_string() })))
}

async fn journal(State(admin): State<Admin>, Query(params): Query<JournalParams>) -> Answer {
    let instant = |text: &Option<String>| {
        text.as_deref().map(|t| parse::<Timestamp>("instant", t)).transpose()
    };
    let (from, to) = (instant(&params.from)?, instant(&params.to)?);
    let domain = params.domain.as_deref().map(|d| parse("domain", d)).transpose()?;
    let ip = params.ip.as_deref().map(|ip| parse("address", ip)).transpose()?;
    let limit = params.limit.unwrap_or(ROWS_DEFAULT).min(ROWS_MAX);
    let lines = admin
        .run(move |store| {
            let bal = match &params.bal {
                Some(address) => Some(find_bal(&store, address)?.id),
                None => None,
            };
            let query = JournalQuery {
                from,
                to,
                message_id: params.message_id,
                peer_dn: params.peer,
                domain,
                peer: ip,
                event_prefix: params.event,
                rule_prefix: params.rule,
                bal,
                limit,
            };
            Ok(store.journal(&query)?)
        })
        .await?;
    let views: Vec<_> = lines.into_iter().map(|(seq, line)| JournalView::new(seq, line)).collect();
    Ok(Json(json!(views)))
}

async fn journal_proof(State(admin): State<Admin>) -> Answer {
    let proof = admin.run(|store| Ok(store.journal_verify()?)).await?;
    Ok(Json(json!({
        "lines": proof.lines,
        "first": proof.first,
        "last": proof.last,
        "head": proof.head,
        "problems": proof.problems,
    })))
}

async fn store_check(State(admin): State<Admin>) -> Answer {
    let report = admin.run(|store| Ok(store.check()?)).await?;
    Ok(Json(check_view(&report)))
}

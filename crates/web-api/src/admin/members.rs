//! Members of a BAL, and how a shared BAL behaves.

use super::{Admin, Answer, admin_line, find_bal};
use crate::reply::ApiError;
use axum::Json;
use axum::extract::{Path, State};
use palombe_store::{Member, MemberRights, SeenMode, SharingOptions, Store};
use serde::Deserialize;
use serde_json::{Value, json};

/// `POST /v1/bals/{address}/members`
#[derive(Deserialize)]
pub(super) struct NewMember {
    member: String,
    rights: Vec<String>,
}

/// `POST /v1/bals/{address}/sharing`
#[derive(Deserialize)]
pub(super) struct NewOptions {
    seen: String,
}

fn view(store: &Store, member: &Member) -> Result<Value, ApiError> {
    let address = store.bal(member.member)?.map(|bal| bal.address.to_string());
    Ok(json!({
        "member": address,
        "rights": member.rights.names(),
        "since": member.since.to_string(),
    }))
}

fn rights_of(names: &[String]) -> Result<MemberRights, ApiError> {
    names.iter().try_fold(MemberRights::NONE, |rights, name| {
        let right = MemberRights::named(name).ok_or_else(|| {
            ApiError::BadRequest(format!(
                "no right {name:?}; one of read, write, send-as, send-on-behalf, manage"
            ))
        })?;
        Ok(rights.and(right))
    })
}

pub(super) async fn list(State(admin): State<Admin>, Path(address): Path<String>) -> Answer {
    let views = admin
        .run(move |store| {
            let bal = find_bal(&store, &address)?;
            store.members(bal.id).iter().map(|member| view(&store, member)).collect()
        })
        .await;
    let views: Vec<Value> = views?;
    Ok(Json(json!(views)))
}

pub(super) async fn add(
    State(admin): State<Admin>,
    Path(address): Path<String>,
    Json(body): Json<NewMember>,
) -> Answer {
    let rights = rights_of(&body.rights)?;
    let view = admin
        .run(move |store| {
            let bal = find_bal(&store, &address)?;
            let member = find_bal(&store, &body.member)?;
            let detail = json!({
                "member": member.address.to_string(),
                "rights": rights.names(),
                "by": "administrator",
            });
            let line = admin_line("bal.member.set", Some(&bal), detail);
            let now = palombe_driver::now();
            let member = store.member_set((bal.id, member.id), rights, now, &[line])?;
            view(&store, &member)
        })
        .await?;
    Ok(Json(view))
}

pub(super) async fn remove(
    State(admin): State<Admin>,
    Path((address, member)): Path<(String, String)>,
) -> Answer {
    admin
        .run(move |store| {
            let bal = find_bal(&store, &address)?;
            let member = find_bal(&store, &member)?;
            let detail = json!({ "member": member.address.to_string(), "by": "administrator" });
            let line = admin_line("bal.member.removed", Some(&bal), detail);
            Ok(store.member_remove(bal.id, member.id, &[line])?)
        })
        .await?;
    Ok(Json(json!({ "removed": true })))
}

fn options_view(options: SharingOptions) -> Value {
    let seen = match options.seen {
        SeenMode::Shared => "shared",
        SeenMode::Own => "own",
    };
    json!({ "seen": seen })
}

pub(super) async fn options(State(admin): State<Admin>, Path(address): Path<String>) -> Answer {
    let options =
        admin.run(move |store| Ok(store.sharing_options(find_bal(&store, &address)?.id))).await?;
    Ok(Json(options_view(options)))
}

pub(super) async fn set_options(
    State(admin): State<Admin>,
    Path(address): Path<String>,
    Json(body): Json<NewOptions>,
) -> Answer {
    let seen = match body.seen.as_str() {
        "shared" => SeenMode::Shared,
        "own" => SeenMode::Own,
        other => {
            let text = format!("seen {other:?}: one of shared, own");
            return Err(ApiError::BadRequest(text));
        }
    };
    let options = SharingOptions { seen };
    admin
        .run(move |store| {
            let bal = find_bal(&store, &address)?;
            let line = admin_line("bal.sharing", Some(&bal), options_view(options));
            Ok(store.sharing_options_set(bal.id, options, &[line])?)
        })
        .await?;
    Ok(Json(options_view(options)))
}

//! The search index: how far it is, and making it again.

use super::{Admin, Answer, find_bal};
use crate::reply::ApiError;
use axum::Json;
use axum::extract::{Query, State};
use palombe_store::{SearchStats, Store};
use palombe_vocabulary::BalId;
use serde::Deserialize;
use serde_json::{Value, json};

/// Of `GET /v1/search` and `POST /v1/search/rebuild`: one BAL, or all.
#[derive(Deserialize)]
pub(super) struct Which {
    bal: Option<String>,
}

impl Which {
    fn find(&self, store: &Store) -> Result<Option<BalId>, ApiError> {
        let found = self.bal.as_ref().map(|address| find_bal(store, address)).transpose()?;
        Ok(found.map(|bal| bal.id))
    }
}

fn view(stats: &SearchStats) -> Value {
    json!({
        "documents": stats.documents,
        "waiting": stats.pending,
        "bals_to_read": stats.unplanted_bals,
        "segments": stats.segments,
        "bytes": stats.octets,
    })
}

pub(super) async fn show(State(admin): State<Admin>, Query(which): Query<Which>) -> Answer {
    let stats = admin.run(move |store| Ok(store.search_stats(which.find(&store)?)?)).await?;
    Ok(Json(view(&stats)))
}

pub(super) async fn rebuild(State(admin): State<Admin>, Query(which): Query<Which>) -> Answer {
    let work = move |store: Store| {
        let one = which.find(&store)?;
        let all = match one {
            Some(bal) => vec![bal],
            None => store.bals(None)?.into_iter().map(|bal| bal.id).collect(),
        };
        for bal in all {
            store.search_rebuild(bal)?;
        }
        Ok(store.search_stats(one)?)
    };
    Ok(Json(view(&admin.run(work).await?)))
}

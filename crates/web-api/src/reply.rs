//! House errors to HTTP answers, in one table. The body is `{"error": "…"}`: the caller is an administrator on the
//! machine, so it names the cause and the cure.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use palombe_access::HashError;
use palombe_driver::PoolBusy;
use palombe_store::StoreError;

/// What a handler may fail with.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request does not parse.
    #[error("{0}")]
    BadRequest(String),
    /// Nothing under that name.
    #[error("{0}")]
    NotFound(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The house is busy.
    #[error("the server is busy; try again in a moment")]
    Busy(#[from] PoolBusy),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        // RFC 9110 15.5, 15.6
        let status = match &self {
            ApiError::BadRequest(_) | ApiError::Hash(_) => StatusCode::BAD_REQUEST,
            ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            ApiError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Store(error) => store_status(error),
        };
        (status, Json(serde_json::json!({ "error": self.to_string() }))).into_response()
    }
}

fn store_status(error: &StoreError) -> StatusCode {
    match error {
        StoreError::AlreadyExists(..) | StoreError::NeverReused(..) | StoreError::Conflict => {
            StatusCode::CONFLICT
        }
        StoreError::UnknownBal | StoreError::UnknownFolder | StoreError::UnknownMember => {
            StatusCode::NOT_FOUND
        }
        StoreError::OwnMember | StoreError::TooMany(_) => StatusCode::CONFLICT,
        StoreError::Full => StatusCode::INSUFFICIENT_STORAGE,
        error if error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

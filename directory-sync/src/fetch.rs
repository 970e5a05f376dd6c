//! One conditional GET, bounded in size and time.

use crate::config::Source;
use crate::limits::{ANSWER_TIME_MAX, CONNECT_TIME_MAX, SILENCE_TIME_MAX};
use crate::snapshot::Validators;
use crate::sync::SyncError;
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, StatusCode, redirect};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// What the server answered.
pub(crate) enum Answer {
    NotModified,
    Body { bytes: Vec<u8>, validators: Validators },
}

/// A client that knows the given authorities and no other, follows no redirect and reads no
/// environment.
pub(crate) fn client(roots: &[CertificateDer<'static>]) -> Result<Client, SyncError> {
    let client_error = |e: &dyn std::fmt::Display| SyncError::Client(e.to_string());
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(|e| client_error(&e))?;
    }
    let config = ClientConfig::builder_with_provider(palombe_trust::provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| client_error(&e))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIME_MAX)
        .read_timeout(SILENCE_TIME_MAX)
        .timeout(ANSWER_TIME_MAX)
        .user_agent(concat!("palombe-directory-sync/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| client_error(&e))
}

/// Fetches a source unless `known` still describes it.
pub(crate) async fn fetch(
    client: &Client,
    source: &Source,
    known: Option<&Validators>,
) -> Result<Answer, SyncError> {
    let mut request = client.get(source.url.clone());
    if let Some(known) = known {
        if let Some(etag) = &known.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(date) = &known.last_modified {
            request = request.header(IF_MODIFIED_SINCE, date);
        }
    }
    let mut response = request.send().await.map_err(|e| SyncError::Network(chain(&e)))?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Answer::NotModified),
        status => return Err(SyncError::Status(status.as_u16())),
    }
    let too_large = || SyncError::TooLarge { max: source.bytes_max };
    if response.content_length().is_some_and(|length| length > source.bytes_max) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // Counted after decompression, piece by piece: neither length nor encoding can lie.
    while let Some(piece) = response.chunk().await.map_err(|e| SyncError::Network(chain(&e)))? {
        if (bytes.len() + piece.len()) as u64 > source.bytes_max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    let headers = response.headers();
    let validators = Validators {
        url: source.url.to_string(),
        etag: header(headers, ETAG),
        last_modified: header(headers, LAST_MODIFIED),
        bytes: bytes.len() as u64,
    };
    Ok(Answer::Body { bytes, validators })
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// An error and its causes: reqwest keeps the useful part (certificate, refusal, time) in the last
/// one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

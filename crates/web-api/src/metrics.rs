//! The metrics page, on a listener of its own.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use palombe_driver::Shutdown;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves `GET /metrics` with what `render` writes, until shutdown.
///
/// # Errors
/// The listener's I/O error.
pub async fn serve_metrics(
    listener: TcpListener,
    render: Arc<dyn Fn() -> String + Send + Sync>,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let page = move || {
        let text = render();
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response() }
    };
    let router = Router::new().route("/metrics", get(page));
    axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.wait().await }).await
}

//! Client side of TLS: an authority that is trusted, and optionally a certificate of our own.

use anyhow::{Context, Result, bail};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Certificate and key files of the client.
#[derive(Clone, Debug)]
pub struct Identity<'a> {
    /// PEM: certificate, then intermediates.
    pub certificate: &'a Path,
    /// PEM: private key.
    pub key: &'a Path,
}

/// Builds the configuration. Sessions are never resumed: each connection costs a full handshake, on every server.
pub fn client_config(ca: &Path, identity: Option<Identity<'_>>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).with_context(|| format!("{}: unusable anchor", ca.display()))?;
    }
    if roots.is_empty() {
        bail!("{}: holds no certificate", ca.display());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let key_der = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("{}: unusable private key", key.display()))?;
            builder.with_client_auth_cert(certificates(certificate)?, key_der)?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let what = || format!("{}: unusable certificates", path.display());
    CertificateDer::pem_file_iter(path)
        .with_context(what)?
        .collect::<Result<_, _>>()
        .with_context(what)
}

/// Opens a TCP connection; anything that is not loopback is refused.
pub async fn connect(target: SocketAddr) -> Result<TcpStream> {
    if !target.ip().is_loopback() {
        bail!("{target} is not a loopback address: load is made against this machine only");
    }
    let stream =
        TcpStream::connect(target).await.with_context(|| format!("connecting {target}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Turns a TCP connection into TLS.
pub async fn start_tls(
    config: &Arc<ClientConfig>,
    server_name: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(server_name.to_owned()).context("server name")?;
    TlsConnector::from(config.clone()).connect(name, stream).await.context("TLS handshake")
}

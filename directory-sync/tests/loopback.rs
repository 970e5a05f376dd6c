//! The process against a real HTTPS server on loopback that shows an operator's certificate.

use palombe_directory_sync::{Config, Outcome, Report, Sync};
use palombe_trust::{TlsIdentity, TrustPolicy, TrustState};
use palombe_vocabulary::{Secret, Timestamp};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const LIST: &str = "liste-blanche.xml";

fn pki_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../certs/test-pki").join(name)
}

fn pki(name: &str) -> Vec<u8> {
    let path = pki_path(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-21T10:00:00Z")
}

/// What a path answers: a version and its bytes. Lies about the length when told to.
#[derive(Clone, Default)]
struct Page {
    version: u32,
    bytes: Vec<u8>,
    chunked: bool,
    status: Option<u16>,
}

#[derive(Clone, Default)]
struct Site {
    pages: Arc<Mutex<HashMap<String, Page>>>,
    answered: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Site {
    fn put(&self, path: &str, bytes: Vec<u8>) {
        self.set(path, |page| page.bytes = bytes);
    }

    fn set(&self, path: &str, change: impl FnOnce(&mut Page)) {
        let mut pages = self.pages.lock().unwrap();
        let page = pages.entry(path.to_owned()).or_default();
        page.version += 1;
        change(page);
    }

    fn answered(&self, path: &str) -> Vec<u16> {
        let answered = self.answered.lock().unwrap();
        answered.iter().filter(|(p, _)| p == path).map(|(_, status)| *status).collect()
    }

    fn answer(&self, path: &str, if_none_match: Option<&str>) -> Vec<u8> {
        let page = self.pages.lock().unwrap().get(path).cloned();
        let (status, mut answer) = match page {
            None => (404, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()),
            Some(Page { status: Some(status), .. }) => {
                let head = format!("HTTP/1.1 {status} X\r\nLocation: /list\r\n");
                (status, format!("{head}Content-Length: 0\r\n\r\n").into_bytes())
            }
            Some(page) => {
                let etag = format!("\"v{}\"", page.version);
                if if_none_match == Some(etag.as_str()) {
                    (304, format!("HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\n\r\n").into_bytes())
                } else {
                    let date = "Sat, 21 Nov 2026 09:00:00 GMT";
                    let head =
                        format!("HTTP/1.1 200 OK\r\nETag: {etag}\r\nLast-Modified: {date}\r\n");
                    (200, [head.as_bytes(), &body(&page)].concat())
                }
            }
        };
        self.answered.lock().unwrap().push((path.to_owned(), status));
        answer.shrink_to_fit();
        answer
    }
}

fn body(page: &Page) -> Vec<u8> {
    let size = page.bytes.len();
    if page.chunked {
        let head = format!("Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n");
        return [head.as_bytes(), &page.bytes, b"\r\n0\r\n\r\n"].concat();
    }
    [format!("Content-Length: {size}\r\n\r\n").as_bytes(), &page.bytes].concat()
}

/// A small HTTPS/1.1 server. Ends with the runtime of the test.
async fn serve(site: Site, leaf: &str) -> u16 {
    let key = Secret::new(pki(&format!("{leaf}.key")));
    let identity = TlsIdentity::from_pem(&pki(&format!("{leaf}.pem")), &key).unwrap();
    let anchors = palombe_trust::Anchors::from_pem(&pki("ca-bundle.pem")).unwrap();
    let state = TrustState::new(TrustPolicy::test(), anchors);
    let config = state.server_tls(&identity, palombe_trust::ClientAuth::None).unwrap();
    let acceptor = TlsAcceptor::from(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, site) = (acceptor.clone(), site.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let mut stream = BufReader::new(stream);
                while let Some((path, etag)) = request(&mut stream).await {
                    let answer = site.answer(&path, etag.as_deref());
                    if stream.get_mut().write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

async fn request<S>(stream: &mut BufReader<S>) -> Option<(String, Option<String>)>
where
    S: AsyncReadExt + Unpin,
{
    let (mut first, mut etag) = (String::new(), None);
    stream.read_line(&mut first).await.ok().filter(|n| *n > 0)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
        match line.trim_end().split_once(": ") {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => {
                etag = Some(value.to_owned());
            }
            Some(_) => {}
        }
    }
    Some((first.split(' ').nth(1)?.to_owned(), etag))
}

struct Bench {
    site: Site,
    port: u16,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Bench {
        let site = Site::default();
        site.put("/list", pki(LIST));
        site.put("/ACR-EL.crl", pki("crl/ACR-EL.crl"));
        site.put("/ACI-EL-ORG.crl", pki("crl/ACI-EL-ORG.crl"));
        let port = serve(site.clone(), "op-alpha").await;
        Bench { site, port, folder: tempfile::tempdir().unwrap() }
    }

    fn config(&self, anchors: &str, list_bytes_max: u64) -> Config {
        let (port, folder) = (self.port, self.folder.path().join("trust"));
        let anchors = pki_path(anchors);
        let text = format!(
            "snapshot = {folder:?}\nenvironment = \"test\"\nanchors = {anchors:?}\n\
             [liste_blanche]\nurl = \"https://localhost:{port}/list\"\n\
             bytes_max = {list_bytes_max}\n\
             [[crl]]\nurl = \"https://localhost:{port}/ACR-EL.crl\"\nfile = \"ACR-EL.crl\"\n\
             [[crl]]\nurl = \"https://localhost:{port}/ACI-EL-ORG.crl\"\nfile = \"ACI-EL-ORG.crl\"\n"
        );
        Config::parse(&text).unwrap()
    }

    fn sync(&self) -> Sync {
        Sync::open(self.config("ca-bundle.pem", 1_000_000), now()).unwrap()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("trust").join(file)
    }

    fn in_place(&self, file: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(file)).ok()
    }
}

fn failed(report: &Report, file: &str, expected: &str) {
    match report.of(file) {
        Some(Outcome::Failed(e)) => {
            let text = e.to_string();
            assert!(text.contains(expected), "{file}: {expected:?} not in {text}");
        }
        other => panic!("{file}: {other:?}"),
    }
}

#[tokio::test]
async fn fetched_verified_handed_over_then_not_fetched_again() {
    let bench = Bench::new().await;
    let mut sync = bench.sync();
    let report = sync.round(now()).await;
    assert!(report.is_good(), "{report:?}");
    assert_eq!(bench.in_place(LIST).unwrap(), pki(LIST));
    assert_eq!(bench.in_place("crl/ACI-EL-ORG.crl").unwrap(), pki("crl/ACI-EL-ORG.crl"));
    let mode = std::fs::metadata(bench.path(LIST)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The second round, and the first one of a new process, are told 304.
    let report = sync.round(now()).await;
    assert!(matches!(report.of(LIST), Some(Outcome::Unchanged)), "{report:?}");
    let report = bench.sync().round(now()).await;
    assert!(report.is_good() && matches!(report.of(LIST), Some(Outcome::Unchanged)));
    assert_eq!(bench.site.answered("/list"), [200, 304, 304]);
    assert_eq!(bench.site.answered("/ACR-EL.crl"), [200, 304, 304]);
    // The next list replaces it; the one before never comes back.
    bench.site.put("/list", pki("liste-blanche-suivante.xml"));
    let report = sync.round(now()).await;
    assert!(matches!(report.of(LIST), Some(Outcome::Updated)), "{report:?}");
    bench.site.put("/list", pki(LIST));
    failed(&sync.round(now()).await, LIST, "is older than the one in use");
    failed(&bench.sync().round(now()).await, LIST, "is older than the one in use");
    assert_eq!(bench.in_place(LIST).unwrap(), pki("liste-blanche-suivante.xml"));
    // What the folder holds is what the server verifies again for itself.
    let anchors = palombe_trust::Anchors::from_pem(&pki("ca-bundle.pem")).unwrap();
    let state = TrustState::new(TrustPolicy::test(), anchors);
    let crls = ["crl/ACR-EL.crl", "crl/ACI-EL-ORG.crl"];
    state.install_crls(crls.map(|file| bench.in_place(file).unwrap()).to_vec(), now());
    state.install_list(&bench.in_place(LIST).unwrap(), now()).unwrap();
}

#[tokio::test]
async fn what_does_not_verify_never_replaces_what_does() {
    let bench = Bench::new().await;
    let mut sync = bench.sync();
    assert!(sync.round(now()).await.is_good());
    for (twin, expected) in [
        ("liste-blanche-alteree.xml", "was altered"),
        ("liste-blanche-ajout.xml", "was altered"),
        ("liste-blanche-non-signee.xml", "is not signed"),
        ("liste-blanche-signataire-expire.xml", "signer"),
        ("liste-blanche-signataire-non-igc.xml", "signer"),
        ("liste-blanche-signataire-operateur.xml", "signer"),
        ("liste-blanche-signataire-revoque.xml", "CertRevoked"),
    ] {
        bench.site.put("/list", pki(twin));
        failed(&sync.round(now()).await, LIST, expected);
        assert_eq!(bench.in_place(LIST).unwrap(), pki(LIST), "{twin}");
    }
    bench.site.set("/list", |page| page.bytes.truncate(1000));
    failed(&sync.round(now()).await, LIST, "refused");
    bench.site.set("/list", |page| page.status = Some(503));
    failed(&sync.round(now()).await, LIST, "answered 503");
    bench.site.set("/list", |page| page.status = Some(302));
    failed(&sync.round(now()).await, LIST, "answered 302");
    // CRLs: an expired one, one of another authority, a damaged one.
    bench.site.put("/ACI-EL-ORG.crl", pki("crl-expired/ACI-EL-ORG.crl"));
    bench.site.put("/ACR-EL.crl", b"pas une CRL".to_vec());
    let report = sync.round(now()).await;
    failed(&report, "crl/ACI-EL-ORG.crl", "older");
    failed(&report, "crl/ACR-EL.crl", "not a readable CRL");
    assert_eq!(bench.in_place("crl/ACI-EL-ORG.crl").unwrap(), pki("crl/ACI-EL-ORG.crl"));
    assert!(sync.wait(0) < std::time::Duration::from_secs(3600), "failures are retried sooner");
    let names: Vec<_> = std::fs::read_dir(bench.path("")).unwrap().collect();
    assert_eq!(names.len(), 3, "{names:?}"); // list, crl, validators: nothing half written
}

#[tokio::test]
async fn too_large_is_refused_whatever_it_says_of_its_length() {
    let bench = Bench::new().await;
    let max = pki(LIST).len() as u64 - 1;
    let mut sync = Sync::open(bench.config("ca-bundle.pem", max), now()).unwrap();
    failed(&sync.round(now()).await, LIST, "larger than");
    bench.site.set("/list", |page| page.chunked = true);
    failed(&sync.round(now()).await, LIST, "larger than");
    assert_eq!(bench.in_place(LIST), None);
    let mut sync = Sync::open(bench.config("ca-bundle.pem", max + 1), now()).unwrap();
    let report = sync.round(now()).await;
    assert!(matches!(report.of(LIST), Some(Outcome::Updated)), "{report:?}");
}

#[tokio::test]
async fn another_authority_is_not_believed() {
    let bench = Bench::new().await;
    let config = bench.config("non-igc-bundle.pem", 1_000_000);
    let mut sync = Sync::open(config, now()).unwrap();
    let report = sync.round(now()).await;
    failed(&report, LIST, "certificate");
    failed(&report, "crl/ACR-EL.crl", "certificate");
    assert_eq!(bench.in_place(LIST), None);
    assert!(bench.site.answered("/list").is_empty());
    // The reverse: a server of another authority.
    let port = serve(bench.site.clone(), "audit-non-igc").await;
    let bench = Bench { port, ..bench };
    failed(&bench.sync().round(now()).await, LIST, "certificate");
    assert!(bench.site.answered("/list").is_empty());
}

#[tokio::test]
async fn a_server_that_is_down_leaves_everything_in_place() {
    let bench = Bench::new().await;
    assert!(bench.sync().round(now()).await.is_good());
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let bench = Bench { port, ..bench };
    let report = bench.sync().round(now()).await;
    failed(&report, LIST, "not fetched");
    assert_eq!(bench.in_place(LIST).unwrap(), pki(LIST));
    // A file damaged on disk is fetched again, not defended.
    std::fs::write(bench.path(LIST), b"<damaged/>").unwrap();
    let port = serve(bench.site.clone(), "op-alpha").await;
    let bench = Bench { port, ..bench };
    assert!(bench.sync().round(now()).await.is_good());
    assert_eq!(bench.in_place(LIST).unwrap(), pki(LIST));
}

#[tokio::test]
async fn the_program_itself() {
    let bench = Bench::new().await;
    let folder = bench.path("");
    let file = bench.folder.path().join("directory-sync.toml");
    let text = format!(
        "snapshot = {folder:?}\nenvironment = \"test\"\nanchors = {:?}\n\
         [liste_blanche]\nurl = \"https://localhost:{}/list\"\n",
        pki_path("ca-bundle.pem"),
        bench.port
    );
    std::fs::write(&file, text).unwrap();
    let program = || {
        let mut command =
            tokio::process::Command::new(env!("CARGO_BIN_EXE_palombe-directory-sync"));
        command.arg("--config").arg(&file).arg("--once").arg("--json");
        command
    };
    let output = program().output().await.unwrap();
    let logs = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{logs}");
    assert!(logs.contains("\"message\":\"verified and handed over\""), "{logs}");
    bench.site.put("/list", pki("liste-blanche-alteree.xml"));
    let output = program().output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    std::fs::write(&file, "snapshot = 1").unwrap();
    let output = program().output().await.unwrap();
    let logs = String::from_utf8_lossy(&output.stderr);
    assert!(logs.contains("directory-sync.toml"), "{logs}");
}

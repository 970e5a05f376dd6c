//! The configuration file, checked whole: every problem is told at once, with its key and its cure.

use crate::limits::{
    CRL_BYTES_MAX, CRLS_MAX, LIST_BYTES_MAX, PERIOD_SECS_MIN, SMALL_FILE_BYTES_MAX,
};
use palombe_trust::{Anchors, TrustPolicy};
use reqwest::Url;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// An example that [`Config::parse`] accepts, printed by `--print-example`.
pub const EXAMPLE: &str = r#"# palombe-directory-sync: where trust material comes from and where it is handed over.

# The folder that palombe reads: liste-blanche.xml and crl/*.crl appear there, whole, by rename.
snapshot = "/var/lib/palombe/trust"

# "production" or "test": the IGC-Santé hierarchy. The two never mix.
environment = "production"

# Roots and intermediates of IGC-Santé, PEM. They sign the list, the CRLs and the HTTPS server of the list.
anchors = "/etc/palombe/igc-sante.pem"

# Subject CN that the signer of the list may bear.
signer_cns = ["alb.mssante.fr"]

# Seconds between two rounds, plus or minus a tenth.
period_secs = 3600

# A new list that changes more than this share of the old one is handed over, and an alarm is logged.
change_alarm_percent = 10

# A list older than this is told in the logs at each round.
list_age_alarm_secs = 259200

[liste_blanche]
url = "https://espacedeconfiance.mssante.fr/listeblanchemssante.xml"
bytes_max = 16777216

# One table per authority. CRLs are signed: plain HTTP is how IGC-Santé publishes them.
[[crl]]
url = "http://igc-sante.esante.gouv.fr/CRL/ACR-EL.crl"
file = "ACR-EL.crl"

[[crl]]
url = "http://igc-sante.esante.gouv.fr/CRL/ACI-EL-ORG.crl"
file = "ACI-EL-ORG.crl"
"#;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("the configuration is not understood: {0}")]
    Syntax(String),
    /// Values that do not hold together, one line each.
    #[error("the configuration cannot be used:\n{}", .0.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    snapshot: PathBuf,
    environment: RawEnvironment,
    anchors: PathBuf,
    #[serde(default)]
    signer_cns: Vec<String>,
    #[serde(default = "default_period")]
    period_secs: u64,
    #[serde(default = "default_change")]
    change_alarm_percent: u32,
    #[serde(default = "default_age")]
    list_age_alarm_secs: i64,
    liste_blanche: RawList,
    #[serde(default)]
    crl: Vec<RawCrl>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawEnvironment {
    Production,
    Test,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    url: String,
    #[serde(default = "default_list_bytes")]
    bytes_max: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCrl {
    url: String,
    file: String,
    #[serde(default = "default_crl_bytes")]
    bytes_max: u64,
}

fn default_period() -> u64 {
    3600
}

fn default_change() -> u32 {
    10
}

fn default_age() -> i64 {
    72 * 3600
}

fn default_list_bytes() -> u64 {
    LIST_BYTES_MAX
}

fn default_crl_bytes() -> u64 {
    CRL_BYTES_MAX
}

/// One thing to fetch.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where from.
    pub url: Url,
    /// File name within the snapshot folder.
    pub file: PathBuf,
    /// Refused when larger.
    pub bytes_max: u64,
}

/// A configuration whose values hold together, its files read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder handed over.
    pub snapshot: PathBuf,
    /// The trust decisions that apply to the list.
    pub policy: TrustPolicy,
    /// Who signs lists and CRLs.
    pub anchors: Anchors,
    /// The only authorities that the HTTPS client knows.
    pub tls_roots: Vec<CertificateDer<'static>>,
    /// Seconds between rounds.
    pub period_secs: u64,
    /// Per cent of change that raises an alarm.
    pub change_alarm_percent: u32,
    /// Age that raises an alarm.
    pub list_age_alarm_secs: i64,
    /// The list.
    pub list: Source,
    /// The CRLs.
    pub crls: Vec<Source>,
}

impl Config {
    /// Reads a file and everything it names.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file, the key and the cure.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let bytes = read_small(path)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| ConfigError::Syntax(format!("{} is not UTF-8", path.display())))?;
        Config::parse(&text)
    }

    /// The same from the text.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        let raw: Raw = toml::from_str(text).map_err(|e| ConfigError::Syntax(e.to_string()))?;
        let mut problems = Vec::new();
        let list = source("liste_blanche", &raw.liste_blanche.url, "liste-blanche.xml".into())
            .and_then(|url_and_file| secure("liste_blanche", url_and_file))
            .map(|s| Source { bytes_max: raw.liste_blanche.bytes_max.min(LIST_BYTES_MAX), ..s });
        let crls: Vec<_> = raw.crl.iter().map(crl_source).collect();
        if raw.period_secs < PERIOD_SECS_MIN {
            problems.push(format!("period_secs is below {PERIOD_SECS_MIN}: be kind to the server"));
        }
        if raw.crl.len() > CRLS_MAX {
            problems.push(format!("more than {CRLS_MAX} [[crl]] tables"));
        }
        let mut files: Vec<_> = raw.crl.iter().map(|crl| crl.file.as_str()).collect();
        files.sort_unstable();
        if files.windows(2).any(|pair| pair[0] == pair[1]) {
            problems.push("two [[crl]] tables have the same file: give each its own".to_owned());
        }
        let pem = read_small(&raw.anchors).map_err(|e| format!("anchors: {e}"));
        let anchors = pem.and_then(|pem| trusted(&raw.anchors, &pem));
        match (list, crls.into_iter().collect::<Result<Vec<_>, _>>(), anchors) {
            (Ok(list), Ok(crls), Ok((anchors, tls_roots))) if problems.is_empty() => Ok(Config {
                policy: policy(&raw),
                snapshot: raw.snapshot,
                anchors,
                tls_roots,
                period_secs: raw.period_secs,
                change_alarm_percent: raw.change_alarm_percent,
                list_age_alarm_secs: raw.list_age_alarm_secs,
                list,
                crls,
            }),
            (list, crls, anchors) => {
                problems.extend(list.err());
                problems.extend(crls.err());
                problems.extend(anchors.err());
                Err(ConfigError::Problems(problems))
            }
        }
    }
}

fn policy(raw: &Raw) -> TrustPolicy {
    let mut policy = match raw.environment {
        RawEnvironment::Production => TrustPolicy::default(),
        RawEnvironment::Test => TrustPolicy::test(),
    };
    if !raw.signer_cns.is_empty() {
        policy.signer_cns.clone_from(&raw.signer_cns);
    }
    policy
}

fn trusted(path: &Path, pem: &[u8]) -> Result<(Anchors, Vec<CertificateDer<'static>>), String> {
    let anchors = Anchors::from_pem(pem).map_err(|e| format!("anchors {}: {e}", path.display()))?;
    let roots = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    Ok((anchors, roots))
}

fn source(key: &str, url: &str, file: PathBuf) -> Result<Source, String> {
    let url: Url = url.parse().map_err(|e| format!("{key}.url {url:?}: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("{key}.url {url}: only http and https addresses are fetched"));
    }
    Ok(Source { url, file, bytes_max: 0 })
}

/// The list is fetched by HTTPS; plain HTTP is for tests on this machine.
fn secure(key: &str, source: Source) -> Result<Source, String> {
    let host = source.url.host_str().unwrap_or_default();
    let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    if source.url.scheme() == "https" || here {
        return Ok(source);
    }
    Err(format!("{key}.url {}: write https (plain http only reaches this machine)", source.url))
}

fn crl_source(raw: &RawCrl) -> Result<Source, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = raw.file.strip_suffix(".crl").unwrap_or_default();
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        let file = &raw.file;
        return Err(format!("crl.file {file:?}: write a plain file name that ends in .crl"));
    }
    let source = source("crl", &raw.url, Path::new("crl").join(&raw.file))?;
    Ok(Source { bytes_max: raw.bytes_max.min(CRL_BYTES_MAX), ..source })
}

fn read_small(path: &Path) -> Result<Vec<u8>, ConfigError> {
    crate::snapshot::read_bounded(path, SMALL_FILE_BYTES_MAX).map_err(|e| ConfigError::Unreadable {
        path: path.to_owned(),
        reason: format!("{e}: check the path and that this user may read it"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use palombe_trust::Environment;

    fn check(text: &str, expected: &str) {
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected:?} not in {error}");
    }

    fn example() -> String {
        let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/../certs/test-pki/ca-bundle.pem");
        EXAMPLE.replace("/etc/palombe/igc-sante.pem", bundle)
    }

    #[test]
    fn the_example_is_a_configuration() {
        let config = Config::parse(&example()).unwrap();
        assert_eq!((config.crls.len(), config.period_secs), (2, 3600));
        assert_eq!(config.policy.signer_cns, ["alb.mssante.fr"]);
        assert_eq!(config.policy.environment, Environment::Production);
    }

    #[test]
    fn problems_name_key_and_cure() {
        check(EXAMPLE, "igc-sante.pem");
        let with = |from: &str, to: &str| example().replace(from, to);
        check(&with("snapshot =", "snaphsot ="), "snaphsot");
        check(&with("\"production\"", "\"prod\""), "environment");
        check(&with("https://espace", "http://espace"), "write https");
        check(&with("https://espace", "file://espace"), "only http and https");
        check(&with("\"ACR-EL.crl\"", "\"../ACR-EL.crl\""), "plain file name");
        check(&with("\"ACR-EL.crl\"", "\"ACI-EL-ORG.crl\""), "same file");
        let two = with("period_secs = 3600", "period_secs = 1").replace("https://e", "http://e");
        check(&two, "below 60");
        check(&two, "write https");
    }
}

//! Logs on standard error, for people or for machines.

use crate::config::raw::RawLog;
use tracing_subscriber::EnvFilter;

/// Installs the subscriber. A filter that does not parse is a configuration problem.
pub fn install(log: &RawLog) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.level)
        .map_err(|e| anyhow::anyhow!("log.level {:?}: {e}", log.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format.as_str() {
        "human" => builder.with_target(false).init(),
        "json" => builder.json().init(),
        other => anyhow::bail!("log.format {other:?}: one of human, json"),
    }
    Ok(())
}

//! Where a destination is: static route, else MX, else its own address (RFC 5321 5.1).

use crate::limits::{ADDRESSES_TRIED_MAX, DNS_CACHE_ENTRIES, HOSTS_TRIED_MAX};
use crate::settings::SenderSettings;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RData;
use palombe_vocabulary::Domain;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// One host of a destination.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Name or address.
    pub name: String,
    /// Its port.
    pub port: u16,
}

/// Why there is no host to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// RFC 7505: the domain says that it takes no mail.
    #[error("the domain takes no mail (null MX)")]
    NullMx,
    /// DNS knows no such name, or the name has neither MX nor address.
    #[error("the domain has no mail host in DNS")]
    UnknownDomain,
    /// RFC 5321 5.1: the best mail host is ourselves, and we do not host the domain.
    #[error("the mail hosts of the domain lead back to this server")]
    Loop,
    /// DNS did not answer, or answered with a failure.
    #[error("DNS failed: {0}")]
    Dns(String),
    /// The resolver cannot be set up.
    #[error("the resolver cannot be set up: {0}")]
    Setup(String),
}

/// Finds hosts and their addresses; keeps answers as long as their TTL allows.
pub struct Router {
    dns: TokioResolver,
    routes: HashMap<Domain, Host>,
    own_name: String,
    port: u16,
}

impl Router {
    /// A resolver on the settings' name servers, or on the system's.
    ///
    /// # Errors
    /// [`RouteError::Setup`]
    pub fn new(settings: &SenderSettings) -> Result<Self, RouteError> {
        let setup = |e: NetError| RouteError::Setup(e.to_string());
        let mut builder = if settings.name_servers.is_empty() {
            TokioResolver::builder_tokio().map_err(setup)?
        } else {
            let servers = settings.name_servers.iter().map(|at| name_server(*at)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        tune(builder.options_mut(), settings);
        let route = |r: &crate::StaticRoute| {
            (r.domain.clone(), Host { name: r.host.clone(), port: r.port })
        };
        Ok(Router {
            dns: builder.build().map_err(setup)?,
            routes: settings.routes.iter().map(route).collect(),
            own_name: settings.hostname.to_ascii_lowercase(),
            port: settings.port,
        })
    }

    /// The hosts to try, in order.
    ///
    /// # Errors
    /// [`RouteError`]
    pub async fn hosts(&self, domain: &Domain) -> Result<Vec<Host>, RouteError> {
        if let Some(host) = self.routes.get(domain) {
            return Ok(vec![host.clone()]);
        }
        let host = |name: String| Host { name, port: self.port };
        match self.dns.mx_lookup(fqdn(domain.as_str())).await {
            Ok(answer) => {
                let records = answer.answers().iter().filter_map(|record| match &record.data {
                    RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii().to_lowercase())),
                    _ => None, // an alias on the way
                });
                let records: Vec<_> = records.collect();
                if records.is_empty() {
                    return Ok(vec![host(domain.as_str().to_owned())]);
                }
                let names = order(records, &self.own_name, palombe_driver::random)?;
                Ok(names.into_iter().take(HOSTS_TRIED_MAX).map(host).collect())
            }
            // RFC 5321 5.1: no MX, the domain is its own host.
            Err(error) => match nothing_found(&error) {
                Some(ResponseCode::NoError) => Ok(vec![host(domain.as_str().to_owned())]),
                Some(ResponseCode::NXDomain) => Err(RouteError::UnknownDomain),
                _ => Err(RouteError::Dns(error.to_string())),
            },
        }
    }

    /// The addresses of a host, in the order in which to try them.
    ///
    /// # Errors
    /// [`RouteError::UnknownDomain`] when it has none, [`RouteError::Dns`].
    pub async fn addresses(&self, host: &Host) -> Result<Vec<SocketAddr>, RouteError> {
        if let Ok(ip) = host.name.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, host.port)]);
        }
        match self.dns.lookup_ip(fqdn(&host.name)).await {
            Ok(found) => {
                let at = found.iter().map(|ip| SocketAddr::new(ip, host.port));
                Ok(at.take(ADDRESSES_TRIED_MAX).collect())
            }
            Err(error) => match nothing_found(&error) {
                Some(ResponseCode::NoError | ResponseCode::NXDomain) => {
                    Err(RouteError::UnknownDomain)
                }
                _ => Err(RouteError::Dns(error.to_string())),
            },
        }
    }
}

fn name_server(at: SocketAddr) -> NameServerConfig {
    let on = |mut connection: ConnectionConfig| {
        connection.port = at.port();
        connection
    };
    let both = vec![on(ConnectionConfig::udp()), on(ConnectionConfig::tcp())];
    NameServerConfig::new(at.ip(), true, both)
}

fn tune(options: &mut ResolverOpts, settings: &SenderSettings) {
    options.timeout = settings.timeouts.dns;
    options.cache_size = DNS_CACHE_ENTRIES;
    options.try_tcp_on_error = true;
    options.case_randomization = false; // breaks on name servers that fold case
    options.use_hosts_file =
        if settings.name_servers.is_empty() { ResolveHosts::Auto } else { ResolveHosts::Never };
}

/// With its final dot, so that no search domain is tried.
fn fqdn(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

/// The response code, when the answer is that there is nothing.
fn nothing_found(error: &NetError) -> Option<ResponseCode> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(found)) => Some(found.response_code),
        _ => None,
    }
}

/// RFC 5321 5.1: lowest preference first, equals shuffled; ourselves, and all that is not better, left out.
fn order(
    mut records: Vec<(u16, String)>,
    own_name: &str,
    random: impl Fn() -> u64,
) -> Result<Vec<String>, RouteError> {
    for record in &mut records {
        let name = record.1.trim_end_matches('.').len();
        record.1.truncate(name);
    }
    // RFC 7505 3: a single record with the root as its host.
    if let [(_, name)] = records.as_slice()
        && name.is_empty()
    {
        return Err(RouteError::NullMx);
    }
    records.retain(|(_, name)| !name.is_empty());
    if let Some(own) = records.iter().filter(|(_, name)| name == own_name).map(|r| r.0).min() {
        records.retain(|(preference, _)| *preference < own);
        if records.is_empty() {
            return Err(RouteError::Loop);
        }
    }
    if records.is_empty() {
        return Err(RouteError::UnknownDomain);
    }
    let mut keyed: Vec<_> = records.into_iter().map(|(p, name)| (p, random(), name)).collect();
    keyed.sort();
    Ok(keyed.into_iter().map(|(_, _, name)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn check(records: &[(u16, &str)], expected: Result<&[&str], RouteError>) {
        let records = records.iter().map(|(p, name)| (*p, (*name).to_owned())).collect();
        let names = order(records, "mx.own.fr", || 0);
        let expected = expected.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(names, expected);
    }

    #[test]
    fn mx_order() {
        check(&[(20, "b.fr."), (10, "a.fr.")], Ok(&["a.fr", "b.fr"]));
        check(&[(0, ".")], Err(RouteError::NullMx));
        check(&[(0, "."), (10, "a.fr.")], Ok(&["a.fr"]));
        check(&[], Err(RouteError::UnknownDomain));
        check(&[(10, "a.fr."), (20, "mx.own.fr."), (20, "c.fr."), (30, "d.fr.")], Ok(&["a.fr"]));
        check(&[(10, "mx.own.fr."), (20, "a.fr.")], Err(RouteError::Loop));
    }

    #[test]
    fn equals_are_shuffled() {
        let draws = Cell::new(0);
        let draw = || {
            draws.set(draws.get() + 1);
            u64::MAX - draws.get()
        };
        let records = vec![(10, "a.".to_owned()), (10, "b.".to_owned()), (5, "c.".to_owned())];
        assert_eq!(order(records, "own", draw).unwrap(), ["c", "b", "a"]);
    }
}

//! Opening the doors and starting the sender.

use crate::config::{Config, Doorway};
use crate::metrics::Gauges;
use crate::run::House;
use anyhow::Context;
use palombe_driver::{ListenerSettings, Task, listen};
use palombe_imap_server::{Entry, ImapServer, Unauthenticate};
use palombe_smtp_sender::{
    Concurrency, Sender, SenderParts, SenderSettings, StaticRoute, UntrustedPeer,
};
use palombe_smtp_server::{Service, Settings, SmtpServer};
use palombe_trust::ClientAuth;
use std::sync::Arc;
use std::time::Duration;

/// Time that open connections have to end after shutdown is requested.
const DRAIN_SECS: u64 = 20;

/// The tasks of the process, by name.
pub type Tasks = Vec<(&'static str, Task<()>)>;

/// Opens every configured door, then starts the sender.
pub async fn open(
    config: &Config,
    house: &House,
    gauges: &mut Gauges,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    smtp(config, house, Service::Interop, gauges, tasks).await?;
    smtp(config, house, Service::Submission, gauges, tasks).await?;
    imap(config, house, gauges, tasks).await?;
    sender(config, house, gauges, tasks)
}

fn listener(name: &'static str, doorway: &Doorway) -> ListenerSettings {
    ListenerSettings {
        name,
        addresses: doorway.addresses.clone(),
        connections_max: doorway.connections_max,
        connections_per_peer_max: doorway.connections_per_peer_max,
        proxy_from: doorway.proxy_from.clone(),
        drain_secs: DRAIN_SECS,
    }
}

async fn smtp(
    config: &Config,
    house: &House,
    service: Service,
    gauges: &mut Gauges,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let raw = &config.raw;
    let hostname = &raw.server.hostname;
    let (name, doorway, client_auth, mut settings) = match service {
        Service::Interop => {
            let settings = Settings {
                messages_per_minute: raw.interop.messages_per_minute,
                ..Settings::interop(hostname)
            };
            ("interop", &config.interop, ClientAuth::Request, settings)
        }
        Service::Submission => {
            let settings = Settings {
                messages_per_minute: raw.submission.messages_per_minute,
                ..Settings::submission(hostname)
            };
            ("submission", &config.submission, ClientAuth::None, settings)
        }
    };
    if doorway.addresses.is_empty() {
        return Ok(());
    }
    settings.message_bytes_max = raw.message.bytes_max;
    settings.recipients_max = raw.message.recipients_max;
    settings.in_flight_bytes_max = raw.message.in_flight_bytes_max;
    let sessions = &raw.sessions;
    settings.command_time = Duration::from_secs(sessions.smtp_command_secs);
    settings.data_time = Duration::from_secs(sessions.smtp_data_secs);
    settings.body_time = Duration::from_secs(sessions.smtp_body_secs);
    settings.handshake_time = Duration::from_secs(sessions.handshake_secs);
    settings.errors_max = sessions.smtp_errors_max;
    settings.commands_max = sessions.smtp_commands_max;
    settings.auth_failures_max = sessions.auth_failures_max;
    let server = SmtpServer::new(
        settings,
        palombe_smtp_server::House {
            delivery: house.delivery.clone(),
            trust: house.trust.clone(),
            access: house.access.clone(),
            pool: house.pool.clone(),
            tls: house.trust.server_tls(&config.identity, client_auth)?,
            shutdown: house.shutdown.clone(),
        },
    );
    let bound =
        server.open(listener(name, doorway)).await.with_context(|| format!("{name}.listen"))?;
    tracing::info!(door = name, addresses = ?bound.addresses, "open");
    gauges.listeners.push((name, bound.addresses));
    gauges.smtp.push((name, server));
    tasks.push((name, bound.task));
    Ok(())
}

async fn imap(
    config: &Config,
    house: &House,
    gauges: &mut Gauges,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let tls = house.trust.server_tls(&config.identity, ClientAuth::None)?;
    let server = ImapServer::new(
        palombe_imap_server::House {
            store: house.store.clone(),
            delivery: house.delivery.clone(),
            access: house.access.clone(),
            pool: house.pool.clone(),
            bus: house.bus.clone(),
            shutdown: house.shutdown.clone(),
            tls: Arc::new(move || Some(tls.clone())),
        },
        palombe_imap_server::Settings {
            hostname: config.raw.server.hostname.clone(),
            message_bytes_max: config.raw.message.bytes_max,
            unauthenticate: match config.raw.imap.unauthenticate {
                true => Unauthenticate::Allowed,
                false => Unauthenticate::Refused,
            },
            login_timeout: Duration::from_secs(config.raw.sessions.imap_login_secs),
            idle_timeout: Duration::from_secs(config.raw.sessions.imap_idle_secs),
            stall_timeout: Duration::from_secs(config.raw.sessions.imap_stall_secs),
            tls_timeout: Duration::from_secs(config.raw.sessions.handshake_secs),
            login_failures_max: config.raw.sessions.auth_failures_max,
            rows_cache_bytes: config.raw.imap.rows_cache_bytes,
            ..Default::default()
        },
    );
    let doors = [
        ("imap", &config.imap, Entry::StartTls),
        ("imap-tls", &config.imap_tls, Entry::ImplicitTls),
    ];
    for (name, doorway, entry) in doors {
        if doorway.addresses.is_empty() {
            continue;
        }
        let serving = server.clone();
        let handler = move |connection| {
            let server = serving.clone();
            async move { server.serve(connection, entry).await }
        };
        let bound = listen(listener(name, doorway), house.shutdown.clone(), handler)
            .await
            .with_context(|| format!("{name}: imap.listen, imap.listen_tls"))?;
        tracing::info!(door = name, addresses = ?bound.addresses, "open");
        gauges.listeners.push((name, bound.addresses));
        tasks.push((name, bound.task));
    }
    gauges.imap = Some(server);
    Ok(())
}

fn sender(
    config: &Config,
    house: &House,
    gauges: &mut Gauges,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let relay = &config.raw.relay;
    let routes = config.routes.iter();
    let settings = SenderSettings {
        hostname: config.raw.server.hostname.clone(),
        port: relay.port,
        routes: routes
            .map(|(domain, host, port)| StaticRoute {
                domain: domain.clone(),
                host: host.clone(),
                port: *port,
            })
            .collect(),
        name_servers: config.dns_servers.clone(),
        concurrency: Concurrency {
            total: relay.connections_max,
            total_urgent: relay.connections_reserved_urgent,
            site: relay.connections_per_destination_max,
            ..Concurrency::default()
        },
        messages_per_connection_max: relay.messages_per_connection_max,
        connection_idle: Duration::from_secs(relay.idle_secs),
        untrusted_peer: match relay.untrusted_peer.as_str() {
            "bounce" => UntrustedPeer::Bounce,
            _ => UntrustedPeer::Defer,
        },
        down: Duration::from_secs(relay.host_down_secs),
        ..SenderSettings::default()
    };
    let sender = Sender::start(SenderParts {
        settings,
        queue: house.delivery.clone(),
        space: house.trust.clone(),
        tls: house.trust.client_tls(&config.identity)?,
        renewals: {
            let identity = config.identity.clone();
            Arc::new(move || identity.renewals())
        },
        pool: house.pool.clone(),
        bus: house.bus.clone(),
        shutdown: house.shutdown.clone(),
    })
    .context("relay.dns_servers")?;
    gauges.sender = Some(sender.metrics);
    tasks.push(("smtp-sender", sender.task));
    Ok(())
}

//! `palombe run`: every room joined, started, and ended in order.

use crate::config::{self, Config};
use crate::doors::{self, Tasks};
use crate::logs;
use crate::metrics::{self, Gauges};
use crate::reload::Reloader;
use crate::snapshots::Snapshots;
use anyhow::Context;
use palombe_access::Access;
use palombe_delivery::Delivery;
use palombe_driver::{Bus, Pool, Shutdown, now};
use palombe_store::{News, Store, StoreError, StoreSettings};
use palombe_trust::TrustState;
use palombe_web_api::{Admin, bind_admin, serve_admin, serve_metrics};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Work waiting for a thread of the pool, at most; past it the doors answer 4xx.
const POOL_WAITING_MAX: usize = 4096;

/// How often bodies that nothing refers to are swept.
const SWEEP_PERIOD: Duration = Duration::from_secs(600);
/// Bodies looked at in one sweep.
const SWEEP_BUDGET: usize = 10_000;
/// Journal lines past their time that one sweep removes.
const JOURNAL_BUDGET: usize = 100_000;

/// What the rooms of this process share.
pub struct House {
    /// The store.
    pub store: Store,
    /// The trust space.
    pub trust: TrustState,
    /// Who may open what.
    pub access: Access,
    /// What happens to a message.
    pub delivery: Delivery,
    /// Where blocking work runs.
    pub pool: Pool,
    /// Wakes.
    pub bus: Bus,
    /// The end.
    pub shutdown: Shutdown,
}

/// Runs until SIGTERM or SIGINT.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    // Whatever this process makes is its own: files 0600, folders 0700.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let config = config::load(path)?;
    logs::install(&config.raw.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let house = runtime.block_on(serve(path, config))?;
    // Both wait for work under way, so they end outside of the runtime.
    house.pool.close();
    drop(runtime);
    tracing::info!("palombe has stopped");
    Ok(ExitCode::SUCCESS)
}

async fn serve(path: &Path, config: Config) -> anyhow::Result<House> {
    let (trigger, shutdown) = Shutdown::new();
    let house = join(&config, shutdown.clone())?;
    let raw = &config.raw;
    let folder = &raw.server.data_folder;
    let snapshots = Arc::new(Snapshots::new(
        house.trust.clone(),
        raw.trust.liste_blanche.clone(),
        raw.trust.crl_folder.clone(),
        folder,
    ));
    snapshots.start();
    let mut gauges = Gauges::new(
        house.store.clone(),
        house.trust.clone(),
        snapshots.clone(),
        config.identity.clone(),
    );
    let mut tasks = Tasks::new();
    // Before the doors: nobody searches an index whose texts were folded otherwise.
    let indexing = palombe_indexing::start(house.store.clone(), shutdown.clone())?;
    tasks.push(("indexing", indexing));
    doors::open(&config, &house, &mut gauges, &mut tasks).await?;
    let gauges = Arc::new(gauges);
    let (trust, store) = (house.trust.clone(), house.store.clone());
    let reloader = Reloader::new(path.to_owned(), &config, trust, snapshots.clone(), store)?;
    let reloader = Arc::new(reloader);
    admin(&config, &house, (&gauges, &reloader), &mut tasks)?;
    watch(&config, snapshots, &house, &mut tasks);
    if let Some(address) = config.metrics {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("metrics.listen {address}"))?;
        let render: Arc<dyn Fn() -> String + Send + Sync> =
            Arc::new(move || metrics::render(&gauges));
        let shutdown = shutdown.clone();
        tasks.push((
            "metrics",
            palombe_driver::spawn("metrics", async move {
                if let Err(error) = serve_metrics(listener, render, shutdown).await {
                    tracing::error!(%error, "the metrics page stopped");
                }
            }),
        ));
    }
    tracing::info!(hostname = %config.hostname, "palombe serves");
    until_signal(&house.pool, &reloader).await?;
    tracing::info!("shutdown: open transactions end first");
    trigger.request();
    for (name, mut task) in tasks {
        task.join().await;
        tracing::debug!(name, "ended");
    }
    Ok(house)
}

fn join(config: &Config, shutdown: Shutdown) -> anyhow::Result<House> {
    let raw = &config.raw;
    let store = Store::open(&StoreSettings {
        cache_bytes: raw.store.cache_bytes,
        free_bytes_min: raw.store.free_bytes_min,
        ..StoreSettings::new(&raw.server.data_folder)
    })
    .with_context(|| format!("server.data_folder {}", raw.server.data_folder.display()))?;
    let trust = TrustState::new(config.trust.clone(), config.anchors.clone());
    let access = Access::new(store.clone())?;
    let delivery = Delivery::new(store.clone(), trust.clone(), config.delivery.clone());
    let pool = Pool::new(raw.store.threads_max, POOL_WAITING_MAX);
    let bus = Bus::new();
    let wakes = bus.clone();
    store.on_commit(Box::new(move |news| {
        for one in news {
            match one {
                News::Bal { bal, .. } => wakes.wake_bal(*bal),
                News::Queue { .. } => wakes.wake_queue(),
            }
        }
    }));
    Ok(House { store, trust, access, delivery, pool, bus, shutdown })
}

fn admin(
    config: &Config,
    house: &House,
    (gauges, reloader): (&Arc<Gauges>, &Arc<Reloader>),
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let listener = bind_admin(&config.admin_socket)?;
    let (told, again) = (gauges.clone(), reloader.clone());
    let admin = Admin {
        store: house.store.clone(),
        pool: house.pool.clone(),
        notes: Arc::new(move || metrics::notes(&told)),
        reload: Arc::new(move || again.reload()),
        quota_bytes_default: config.raw.store.quota_bytes_default,
    };
    let shutdown = house.shutdown.clone();
    tasks.push((
        "admin",
        palombe_driver::spawn("admin", async move {
            if let Err(error) = serve_admin(listener, admin, shutdown).await {
                tracing::error!(%error, "the administration interface stopped");
            }
        }),
    ));
    Ok(())
}

/// Looks at the handed-over files again and again, and sweeps blobs that nothing references.
fn watch(config: &Config, snapshots: Arc<Snapshots>, house: &House, tasks: &mut Tasks) {
    let period = Duration::from_secs(config.raw.trust.refresh_secs.max(1));
    let pool = house.pool.clone();
    let look =
        palombe_driver::periodic("snapshots", period, 10, house.shutdown.clone(), move || {
            let (pool, snapshots) = (pool.clone(), snapshots.clone());
            async move {
                if pool.run(move || snapshots.look()).await.is_err() {
                    tracing::warn!("the pool is busy: liste blanche and CRLs are looked at later");
                }
            }
        });
    tasks.push(("snapshots", look));
    let (pool, store) = (house.pool.clone(), house.store.clone());
    let keep_days = config.raw.journal.keep_days;
    let sweep =
        palombe_driver::periodic("sweep", SWEEP_PERIOD, 20, house.shutdown.clone(), move || {
            let (pool, store) = (pool.clone(), store.clone());
            async move {
                match pool.run(move || tidy_up(&store, keep_days)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "not everything was swept"),
                    Err(_) => tracing::debug!("the pool is busy: swept later"),
                }
            }
        });
    tasks.push(("sweep", sweep));
}

/// Removes what is kept for a time only. `keep_days` 0: the journal is kept for ever.
fn tidy_up(store: &Store, keep_days: u32) -> Result<(), StoreError> {
    let bodies = store.sweep(now(), SWEEP_BUDGET)?;
    let logs = store.trim_logs()?;
    let mut lines = 0;
    if keep_days > 0 {
        let before = now().plus_secs(-i64::from(keep_days) * 24 * 3600);
        lines = store.journal_trim(before, JOURNAL_BUDGET)?;
    }
    tracing::debug!(?bodies, logs, lines, "swept");
    Ok(())
}

/// Until SIGTERM or SIGINT; each SIGHUP meanwhile reads the configuration again.
async fn until_signal(pool: &Pool, reloader: &Arc<Reloader>) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
            _ = hup.recv() => {
                let again = reloader.clone();
                // What came of it stands in the log and in the journal.
                if pool.run(move || again.reload().is_ok()).await.is_err() {
                    tracing::warn!("the pool is busy: send SIGHUP again");
                }
            }
        }
    }
}

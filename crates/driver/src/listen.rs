//! Accept loops: limits before anything else, then the door.

use crate::limits::{
    ACCEPT_PAUSE_MAX, ACCEPT_PAUSE_MIN, LISTEN_BACKLOG, PEER_V6_PREFIX, POLITE_REFUSAL,
    POLITE_REFUSALS_MAX, PROXY_HEADER,
};
use crate::proxy::{Proxied, read_header};
use crate::task::{Task, guarded, session_id, spawn};
use crate::{DriverError, ProxyError, Shutdown, Stream};
use ipnet::IpNet;
use palombe_vocabulary::SessionId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// One door's listener.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// For logs.
    pub name: &'static str,
    /// Where to listen; port 0 takes any free one. An IPv6 address does not listen for IPv4.
    pub addresses: Vec<SocketAddr>,
    /// Connections at one time.
    pub connections_max: usize,
    /// Connections at one time from one IPv4 address or IPv6 /64.
    pub connections_per_peer_max: usize,
    /// Proxies that must (and alone may) begin with a PROXY v2 header.
    pub proxy_from: Vec<IpNet>,
    /// Time that open connections have to end after shutdown is requested.
    pub drain_secs: u64,
}

/// One accepted connection, limits passed, PROXY header read.
pub struct Connection {
    /// The bytes.
    pub stream: Stream,
    /// The client, as the PROXY header says where there is one; IPv4 is never written as IPv6.
    pub peer: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// For logs and journal.
    pub session: SessionId,
    /// A limit is passed: say so politely (421) and close, within [`POLITE_REFUSAL`].
    pub over_limit: bool,
}

/// A listener at work.
pub struct Bound {
    /// Where it really listens.
    pub addresses: Vec<SocketAddr>,
    /// Ends when shutdown was requested and every connection has ended or was cut after `drain_secs`.
    pub task: Task<()>,
}

/// Opens the listener and hands every connection to `handler`, each in its own task.
///
/// Over a limit, the handler is told by [`Connection::over_limit`], and cut after [`POLITE_REFUSAL`]; past
/// [`POLITE_REFUSALS_MAX`] of these at a time the connection is closed unread.
///
/// # Errors
/// [`DriverError`]; no address is left open then.
pub async fn listen<H, F>(
    settings: ListenerSettings,
    shutdown: Shutdown,
    handler: H,
) -> Result<Bound, DriverError>
where
    H: Fn(Connection) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let name = settings.name;
    if settings.addresses.is_empty() {
        return Err(DriverError::NoAddress { name });
    }
    let mut listeners = Vec::with_capacity(settings.addresses.len());
    let mut addresses = Vec::with_capacity(settings.addresses.len());
    for &address in &settings.addresses {
        let opened = open(address).and_then(|l| l.local_addr().map(|at| (l, at)));
        let (listener, at) =
            opened.map_err(|source| DriverError::Listen { name, address, source })?;
        listeners.push(listener);
        addresses.push(at);
    }
    let shared = Arc::new(Shared {
        connections: Arc::new(Semaphore::new(settings.connections_max)),
        refusals: Arc::new(Semaphore::new(POLITE_REFUSALS_MAX)),
        peers: Mutex::new(HashMap::new()),
        handler,
        settings,
    });
    let loops = listeners.into_iter().map(|l| accept_loop(l, shared.clone(), shutdown.clone()));
    let loops = futures_util::future::join_all(loops);
    let task = spawn(name, async move {
        loops.await;
    });
    Ok(Bound { addresses, task })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the connections of the last run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

struct Shared<H> {
    connections: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    peers: Mutex<HashMap<IpAddr, usize>>,
    handler: H,
    settings: ListenerSettings,
}

/// Held by a connection as long as it lives.
struct Place {
    _permit: OwnedSemaphorePermit,
    refused: bool,
}

async fn accept_loop<H, F>(listener: TcpListener, shared: Arc<Shared<H>>, shutdown: Shutdown)
where
    H: Fn(Connection) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let name = shared.settings.name;
    let mut connections = JoinSet::new();
    let mut pause = ACCEPT_PAUSE_MIN;
    loop {
        tokio::select! {
            () = shutdown.wait() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    pause = ACCEPT_PAUSE_MIN;
                    if let Some(place) = shared.place() {
                        connections.spawn(guarded(name, serve(shared.clone(), tcp, peer, place)));
                    } else {
                        tracing::warn!(listener = name, %peer, "closed unread: over the limit");
                    }
                }
                // The peer is gone already: its affair alone.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(listener = name, %error, ?pause, "cannot accept");
                    tokio::select! {
                        () = shutdown.wait() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
        }
    }
    drop(listener);
    drain(connections, &shared.settings).await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Lets connections end, then cuts them.
async fn drain(mut connections: JoinSet<Option<()>>, settings: &ListenerSettings) {
    let patience = Duration::from_secs(settings.drain_secs);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, ended).await.is_err() {
        let open = connections.len();
        tracing::warn!(listener = settings.name, open, "connections cut at shutdown");
        connections.shutdown().await;
    }
}

async fn serve<H, F>(shared: Arc<Shared<H>>, mut tcp: TcpStream, socket: SocketAddr, place: Place)
where
    H: Fn(Connection) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let name = shared.settings.name;
    let Ok(local) = tcp.local_addr() else { return };
    let (mut peer, mut local) = (canonical(socket), canonical(local));
    if shared.is_proxy(peer.ip()) {
        match timed_header(&mut tcp).await {
            Ok(Proxied::Local) => {}
            Ok(Proxied::Client { source, destination }) => (peer, local) = (source, destination),
            Err(error) => {
                tracing::warn!(listener = name, proxy = %peer, %error, "connection closed");
                return;
            }
        }
    }
    // Held until the connection ends.
    let peer_place = shared.peer_place(peer.ip());
    let Ok(stream) = Stream::new(tcp) else { return };
    let over_limit = place.refused || peer_place.is_none();
    let connection = Connection { stream, peer, local, session: session_id(), over_limit };
    let work = (shared.handler)(connection);
    if over_limit {
        // A peer over its own limit keeps a place of the total meanwhile; hence the short time.
        let _ = tokio::time::timeout(POLITE_REFUSAL, work).await;
    } else {
        work.await;
    }
}

async fn timed_header(tcp: &mut TcpStream) -> Result<Proxied, ProxyError> {
    tokio::time::timeout(PROXY_HEADER, read_header(tcp)).await.unwrap_or(Err(ProxyError::Absent))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl<H> Shared<H> {
    /// A place among the connections, else among the polite refusals, else none.
    fn place(&self) -> Option<Place> {
        let held = |permit, refused| Place { _permit: permit, refused };
        let regular = self.connections.clone().try_acquire_owned();
        regular.map(|permit| held(permit, false)).ok().or_else(|| {
            self.refusals.clone().try_acquire_owned().map(|permit| held(permit, true)).ok()
        })
    }

    fn is_proxy(&self, source: IpAddr) -> bool {
        self.settings.proxy_from.iter().any(|net| net.contains(&source))
    }

    /// Counts the peer in, unless it has as many connections as it may.
    fn peer_place(self: &Arc<Self>, peer: IpAddr) -> Option<PeerPlace<H>> {
        let key = peer_key(peer);
        let mut peers = self.peers.lock();
        let count = peers.entry(key).or_insert(0);
        if *count >= self.settings.connections_per_peer_max {
            if *count == 0 {
                peers.remove(&key);
            }
            return None;
        }
        *count += 1;
        Some(PeerPlace { shared: self.clone(), key })
    }
}

fn peer_key(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => {
            let mask = u128::MAX << (128 - PEER_V6_PREFIX);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

/// One connection counted for its peer.
struct PeerPlace<H> {
    shared: Arc<Shared<H>>,
    key: IpAddr,
}

impl<H> Drop for PeerPlace<H> {
    fn drop(&mut self) {
        let mut peers = self.shared.peers.lock();
        if let Some(count) = peers.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.key);
            }
        }
    }
}

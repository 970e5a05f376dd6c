//! One connection from greeting to BYE: bytes in, events of the grammar, commands in their order, bytes out.
//!
//! A command is carried out whole before the next byte of input is looked at, so a client that pipelines thousands of
//! commands holds one buffer of ours and waits for itself.

use crate::command;
use crate::error::{Failure, Gone, Stop};
use crate::limits::{BAL_CHECK_PERIOD, COMPRESSED_SESSIONS_MAX};
use crate::metrics::{Metrics, Present, count};
use crate::reply::{self, Done, Verdict};
use crate::rows::{Last, Rows, Tables, Wants};
use crate::selected::{Expunges, News, Selected};
use crate::settings::{CleartextLogin, Settings};
use crate::wire::Wire;
use futures_util::FutureExt;
use palombe_access::{Access, OpenBal, OpenFolder};
use palombe_delivery::Delivery;
use palombe_driver::{Bus, Connection, Pool, Shutdown, Wakes};
use palombe_imap_proto::{Bad, Event, Receiver, State};
use palombe_store::{Store, StoreError};
use palombe_vocabulary::{BalId, SessionId, Uid};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The rooms that a session enters.
#[derive(Clone)]
pub struct House {
    /// Folders and messages.
    pub store: Store,
    /// Where APPEND spools.
    pub delivery: Delivery,
    /// Who may open which BAL.
    pub access: Access,
    /// The way into the synchronous house.
    pub pool: Pool,
    /// Wakes at changes in a BAL.
    pub bus: Bus,
    /// The end of the process.
    pub shutdown: Shutdown,
    /// The TLS configuration of this moment; asked once per handshake.
    pub tls: Arc<dyn Fn() -> Option<Arc<rustls::ServerConfig>> + Send + Sync>,
}

/// Which port the client came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// 143: cleartext, then STARTTLS.
    StartTls,
    /// 993: TLS from the first byte (RFC 8314 3.2).
    ImplicitTls,
}

/// The IMAP door. Clones share everything.
#[derive(Clone)]
pub struct ImapServer {
    pub(crate) house: Arc<House>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Arc<Metrics>,
    /// Rows of folders, shared between sessions.
    pub(crate) tables: Arc<Tables>,
    /// Passwords being verified at one time: Argon2id must not take every thread of the pool.
    pub(crate) verifying: Arc<Semaphore>,
    /// Sessions that compress.
    pub(crate) compressing: Arc<Semaphore>,
}

impl ImapServer {
    /// A door to this house.
    pub fn new(house: House, settings: Settings) -> Self {
        let verifying = Arc::new(Semaphore::new(settings.logins_at_once_max.max(1)));
        let metrics = Arc::default();
        let tables = Arc::new(Tables::new(settings.rows_cache_bytes));
        let compressing = Arc::new(Semaphore::new(COMPRESSED_SESSIONS_MAX));
        let (house, settings) = (Arc::new(house), Arc::new(settings));
        ImapServer { house, settings, metrics, tables, verifying, compressing }
    }

    /// The counters of this door.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Serves one connection to its end.
    pub async fn serve(&self, connection: Connection, entry: Entry) {
        let Connection { stream, peer, session, over_limit, .. } = connection;
        count(&self.metrics.connections);
        let present = Present::new(&self.metrics, |m| &m.connections_open);
        let wire = Wire::new(stream, self.settings.stall_timeout, self.metrics.clone());
        let mut session = Box::new(Session::new(self.clone(), wire, peer, session));
        let end = Box::pin(session.run(entry, over_limit)).await;
        match end {
            Gone::Stalled | Gone::Unfinished | Gone::Autologout => count(&self.metrics.stalls),
            Gone::Flood | Gone::LoginFailures | Gone::Compression => {
                count(&self.metrics.limits_passed)
            }
            _ => {}
        }
        if let Some(words) = reply::bye(end) {
            session.wire.out.untagged(words);
            if let Some(tag) = session.logout_tag.take() {
                session.wire.out.tagged(&tag, "OK LOGOUT completed");
            }
            let _ = session.wire.flush().await;
        }
        session.wire.close().await;
        tracing::debug!(session = %session.id, %peer, reason = %end, "imap session ended");
        drop(present);
    }
}

/// What ENABLE turned on (RFC 5161), and CONDSTORE by use (RFC 7162 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Enabled {
    pub(crate) rev2: bool,
    pub(crate) condstore: bool,
    /// RFC 7162 3.2.3; implies the former.
    pub(crate) qresync: bool,
    /// RFC 6855 3.
    pub(crate) utf8: bool,
    /// RFC 9586: no sequence number is written or read any more.
    pub(crate) uid_only: bool,
}

/// An authenticated client.
pub(crate) struct Account {
    pub(crate) open: OpenBal,
    pub(crate) wakes: Wakes,
    pub(crate) checked_at: Instant,
}

/// RFC 9051 3.
pub(crate) enum Stage {
    NotAuthenticated,
    Authenticated(Account),
    Selected(Account, Box<Selected>),
}

/// A command that waits for more of the client's lines or bytes.
pub(crate) enum Pending {
    None,
    /// AUTHENTICATE PLAIN waits for its answer.
    Sasl {
        tag: String,
    },
    /// IDLE waits for DONE.
    Idle {
        tag: String,
        _present: Present,
    },
    /// APPEND takes its message.
    Append(Box<command::Append>),
}

/// One connection.
pub(crate) struct Session {
    pub(crate) server: ImapServer,
    pub(crate) wire: Wire,
    pub(crate) receiver: Receiver,
    pub(crate) stage: Stage,
    /// What this client may do in the selected folder.
    pub(crate) at: Option<OpenFolder>,
    pub(crate) pending: Pending,
    pub(crate) enabled: Enabled,
    pub(crate) login_failures: u32,
    pub(crate) logout_tag: Option<String>,
    pub(crate) peer: SocketAddr,
    pub(crate) id: SessionId,
    login_deadline: Instant,
}

/// What happened in a folder, and from which UID on messages are recent.
pub(crate) type Seen = (News, Option<Uid>);

/// Looks what happened in the selected folder. Blocks.
pub(crate) fn look(tables: &Tables, store: &Store, last: &Last) -> Result<Seen, StoreError> {
    let news = tables.look(store, last)?;
    let arrived = news.uid_next() > last.uid_next;
    let recent = (arrived && last.takes_recent).then(|| store.take_recent(last.bal, last.folder));
    Ok((news, recent.transpose()?))
}

/// What follows an event.
pub(crate) enum Next {
    Go,
    /// TLS begins: input already read is dropped (RFC 9051 6.2.1).
    StartTls(Arc<rustls::ServerConfig>),
    /// Compression begins (RFC 4978 3): input already read is dropped, for the client had to wait.
    Compress(OwnedSemaphorePermit),
    /// Compression ends (RFC 8437 4.1).
    Plain,
}

/// Returns when something happened that an idling client must hear of. Cancel-safe.
async fn woken(stage: &mut Stage, pending: &Pending) {
    match (stage, pending) {
        (Stage::Selected(account, _), Pending::Idle { .. }) => account.wakes.changed().await,
        _ => std::future::pending().await,
    }
}

impl Session {
    fn new(server: ImapServer, wire: Wire, peer: SocketAddr, id: SessionId) -> Self {
        let receiver = Receiver::new(server.settings.limits.clone());
        let login_deadline = Instant::now() + server.settings.login_timeout;
        Session {
            server,
            wire,
            receiver,
            stage: Stage::NotAuthenticated,
            at: None,
            pending: Pending::None,
            enabled: Enabled::default(),
            login_failures: 0,
            logout_tag: None,
            peer,
            id,
            login_deadline,
        }
    }

    async fn run(&mut self, entry: Entry, over_limit: bool) -> Gone {
        if entry == Entry::ImplicitTls {
            let Some(config) = (self.server.house.tls)() else { return Gone::Tls };
            let handshake = self.wire.start_tls(config, self.server.settings.tls_timeout);
            if Box::pin(handshake).await.is_err() {
                return Gone::Tls;
            }
        }
        if over_limit {
            self.wire.out.untagged(reply::TOO_MANY_CONNECTIONS);
            let _ = self.wire.flush().await;
            return Gone::Closed;
        }
        let greeting = format!(
            "OK [CAPABILITY {}] {} IMAP ready",
            command::capabilities(self),
            self.server.settings.hostname
        );
        self.wire.out.untagged(greeting);
        loop {
            if let Err(gone) = self.wire.flush().await {
                return gone;
            }
            let input = match self.next_bytes().await {
                Ok(input) => input,
                Err(gone) => return gone,
            };
            // Commands live in a box of their own: a session that waits keeps no room for them.
            match Box::pin(self.take_input(&input)).await {
                Ok(Next::Go) => {}
                Ok(Next::StartTls(config)) => {
                    if let Err(gone) = Box::pin(self.start_tls(config)).await {
                        return gone;
                    }
                }
                Ok(Next::Compress(permit)) => {
                    if let Err(gone) = self.wire.flush().await {
                        return gone;
                    }
                    self.wire.start_compression(permit);
                }
                Ok(Next::Plain) => {
                    if let Err(gone) = self.wire.flush().await {
                        return gone;
                    }
                    self.wire.end_compression();
                }
                Err(gone) => return gone,
            }
        }
    }

    /// Waits for the client; meanwhile tells an idling one what happens.
    async fn next_bytes(&mut self) -> Result<Vec<u8>, Gone> {
        let deadline = self.input_deadline();
        self.wire.rest();
        loop {
            tokio::select! {
                biased;
                read = self.wire.read() => return read,
                () = woken(&mut self.stage, &self.pending) => {}
                () = self.server.house.shutdown.wait() => return Err(Gone::Shutdown),
                () = tokio::time::sleep_until(deadline) => return Err(self.overdue()),
            }
            Box::pin(self.refresh()).await.or_else(|stop| match stop {
                Stop::Gone(gone) => Err(gone),
                Stop::Failure(_) => Ok(()), // told at the next wake
            })?;
            self.announce(Expunges::Tell);
            self.wire.flush().await?;
        }
    }

    fn input_deadline(&self) -> Instant {
        let settings = &self.server.settings;
        match (&self.stage, &self.pending) {
            (Stage::NotAuthenticated, _) => self.login_deadline,
            // In the middle of a command the client must go on.
            (_, Pending::Append(_)) => Instant::now() + settings.stall_timeout,
            _ if !self.receiver.is_between_commands() && matches!(self.pending, Pending::None) => {
                Instant::now() + settings.stall_timeout
            }
            _ => Instant::now() + settings.idle_timeout,
        }
    }

    fn overdue(&self) -> Gone {
        let between = matches!(self.pending, Pending::None | Pending::Idle { .. });
        if between { Gone::Autologout } else { Gone::Unfinished }
    }

    async fn start_tls(&mut self, config: Arc<rustls::ServerConfig>) -> Result<(), Gone> {
        self.wire.flush().await?;
        self.wire.start_tls(config, self.server.settings.tls_timeout).await?;
        // Nothing said before TLS counts after it (RFC 9051 6.2.1).
        self.receiver = Receiver::new(self.server.settings.limits.clone());
        Ok(())
    }

    async fn take_input(&mut self, input: &[u8]) -> Result<Next, Gone> {
        let mut rest = input;
        while let Some(event) = self.receiver.next(&mut rest) {
            match self.take_event(event).await? {
                Next::Go => {}
                change => return Ok(change),
            }
            self.wire.relieve().await?;
        }
        Ok(Next::Go)
    }

    async fn take_event(&mut self, event: Event<'_>) -> Result<Next, Gone> {
        match event {
            Event::Command(tagged) => return command::run(self, tagged).await,
            Event::Bad { tag, bad } => self.say_bad(tag, bad),
            Event::Continue => {
                self.wire.out.continuation("Ready");
            }
            Event::Append(head) => command::append_begin(self, head).await?,
            Event::AppendNext(message) => command::append_next(self, message)?,
            Event::Data(piece) => command::append_data(self, piece).await?,
            Event::AppendEnd => command::append_end(self).await?,
            Event::AppendBad(bad) => command::append_bad(self, bad),
            Event::Line(line) => command::take_line(self, line).await?,
            Event::Fatal(bad) => {
                self.say_bad(None, bad);
                return Err(Gone::Flood);
            }
        }
        Ok(Next::Go)
    }

    fn say_bad(&mut self, tag: Option<String>, bad: Bad) {
        let (verdict, text) = reply::bad(bad);
        self.count_verdict(verdict);
        self.wire.out.tagged(tag.as_deref().unwrap_or("*"), text);
    }

    fn count_verdict(&self, verdict: Verdict) {
        match verdict {
            Verdict::No => count(&self.server.metrics.commands_no),
            Verdict::Bad => count(&self.server.metrics.commands_bad),
        }
    }

    /// The tagged end of a command.
    pub(crate) fn complete(&mut self, tag: &str, outcome: Result<Done, Stop>) -> Result<(), Gone> {
        match outcome {
            Ok(done) => {
                count(&self.server.metrics.commands_ok);
                self.wire.out.tagged(tag, done.line());
            }
            Err(Stop::Gone(gone)) => return Err(gone),
            Err(Stop::Failure(failure)) => {
                let (verdict, text) = reply::failure(&failure);
                self.count_verdict(verdict);
                if text.contains("SERVERBUG") {
                    tracing::error!(session = %self.id, %failure, "imap command failed");
                } else {
                    tracing::debug!(session = %self.id, %failure, "imap command refused");
                }
                self.wire.out.tagged(tag, text);
            }
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> State {
        match self.stage {
            Stage::NotAuthenticated => State::NotAuthenticated,
            Stage::Authenticated(_) => State::Authenticated,
            Stage::Selected(..) => State::Selected,
        }
    }

    pub(crate) fn account(&self) -> Result<&Account, Failure> {
        match &self.stage {
            Stage::NotAuthenticated => Err(Failure::WrongState),
            Stage::Authenticated(account) | Stage::Selected(account, _) => Ok(account),
        }
    }

    pub(crate) fn bal(&self) -> Result<BalId, Failure> {
        Ok(self.account()?.open.id())
    }

    /// The BAL of the selected folder, and what may be done there.
    pub(crate) fn selected_at(&self) -> Result<OpenFolder, Failure> {
        self.at.ok_or(Failure::WrongState)
    }

    /// From now on this is the selected folder; wakes come from its BAL.
    pub(crate) fn enter(&mut self, at: OpenFolder, selected: Selected) {
        let stage = std::mem::replace(&mut self.stage, Stage::NotAuthenticated);
        self.stage = match stage {
            Stage::Authenticated(mut account) => {
                if at.member().is_some() {
                    account.wakes = self.server.house.bus.subscribe_bal(at.bal());
                }
                self.at = Some(at);
                Stage::Selected(account, Box::new(selected))
            }
            other => other,
        };
    }

    /// Rights in another BAL may change at any moment: they are asked again at each command. Memory only.
    pub(crate) fn check_folder(&mut self) -> Result<(), Gone> {
        let (Some(at), Ok(account)) = (self.at, self.account()) else { return Ok(()) };
        if at.member().is_none() {
            return Ok(());
        }
        let now = self.server.house.access.folder(&account.open, at.bal(), at.folder());
        // Other marks than those that this client was told are another folder.
        if !now.may('r') || now.viewer() != at.viewer() {
            return Err(Gone::RightsLost);
        }
        if now.rights() != at.rights() {
            self.at = Some(now);
            command::write_permanent_flags(&mut self.wire.out, now, []);
        }
        Ok(())
    }

    pub(crate) fn selected(&mut self) -> Result<&mut Selected, Failure> {
        match &mut self.stage {
            Stage::Selected(_, selected) => Ok(selected),
            _ => Err(Failure::WrongState),
        }
    }

    /// The selected folder of a command that changes it.
    pub(crate) fn selected_for_writing(&mut self) -> Result<&mut Selected, Failure> {
        let selected = self.selected()?;
        if selected.read_only { Err(Failure::ReadOnly) } else { Ok(selected) }
    }

    /// Leaves the selected folder without a word.
    pub(crate) fn unselect(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::NotAuthenticated) {
            Stage::Selected(mut account, _) => {
                if self.at.is_some_and(|at| at.member().is_some()) {
                    account.wakes = self.server.house.bus.subscribe_bal(account.open.id());
                }
                Stage::Authenticated(account)
            }
            other => other,
        };
        self.at = None;
    }

    /// RFC 8437 3: nothing of the user stays. The count of failed logins does.
    pub(crate) fn forget_login(&mut self) {
        self.stage = Stage::NotAuthenticated;
        self.enabled = Enabled::default();
        self.receiver.set_unauthenticated();
        self.wire.out.unset_utf8();
        self.login_deadline = Instant::now() + self.server.settings.login_timeout;
    }

    /// Whether passwords may travel here.
    pub(crate) fn may_login(&self) -> bool {
        self.wire.is_tls() || self.server.settings.cleartext_login == CleartextLogin::Allowed
    }

    /// Blocking work in the store.
    pub(crate) async fn in_store<T, F>(&self, work: F) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    {
        self.in_pool(move |house| work(&house.store).map_err(Failure::from)).await
    }

    /// Any other blocking work.
    pub(crate) async fn in_pool<T, F>(&self, work: F) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: FnOnce(&House) -> Result<T, Failure> + Send + 'static,
    {
        let house = self.server.house.clone();
        let pool = self.server.house.pool.clone();
        Ok(pool.run(move || work(&house)).await??)
    }

    /// Takes in what happened in the selected folder; writes nothing.
    pub(crate) async fn refresh(&mut self) -> Result<(), Stop> {
        self.check_folder()?;
        let Some(last) = self.last(Wants::News) else { return Ok(()) };
        let tables = self.server.tables.clone();
        let seen = self.in_store(move |store| look(&tables, store, &last)).await;
        self.take_news(seen)
    }

    /// The rows of the selected folder, read now if nothing needed them before. What arrived meanwhile is told.
    pub(crate) async fn rows(&mut self) -> Result<Rows, Stop> {
        if !self.selected()?.is_loaded()
            && let Some(last) = self.last(Wants::Rows)
        {
            let tables = self.server.tables.clone();
            let seen = self.in_store(move |store| look(&tables, store, &last)).await;
            self.take_news(seen)?;
            // Responses to the command may name messages that arrived since SELECT.
            let enabled = self.enabled;
            if let Stage::Selected(_, selected) = &mut self.stage {
                selected.announce_arrivals(&mut self.wire.out, enabled);
            }
        }
        Ok(self.selected()?.rows())
    }

    /// Where this session stands in its selected folder.
    pub(crate) fn last(&self, wants: Wants) -> Option<Last> {
        let Stage::Selected(_, selected) = &self.stage else { return None };
        Some(Last {
            bal: selected.bal,
            folder: selected.folder,
            viewer: self.at.and_then(|at| at.viewer()),
            modseq: selected.modseq,
            uid_next: selected.uid_next,
            loaded: selected.is_loaded(),
            wants,
            takes_recent: !selected.read_only && !self.enabled.rev2,
        })
    }

    /// Takes in what [`look`] saw.
    pub(crate) fn take_news(&mut self, seen: Result<Seen, Stop>) -> Result<(), Stop> {
        match seen {
            Ok((news, recent_from)) => Ok(self.selected()?.take(news, recent_from)?),
            // RFC 2180 3.3: the folder was deleted under us.
            Err(Stop::Failure(Failure::Store(StoreError::UnknownFolder))) => {
                Err(Stop::Gone(Gone::Deleted))
            }
            Err(other) => Err(other),
        }
    }

    /// [`Session::refresh`], if anything may have happened.
    pub(crate) async fn refresh_if_woken(&mut self) -> Result<(), Stop> {
        let woken = match &mut self.stage {
            Stage::Selected(account, _) => account.wakes.changed().now_or_never().is_some(),
            _ => false,
        };
        if woken { self.refresh().await } else { Ok(()) }
    }

    /// Writes what the client does not know yet of its folder.
    pub(crate) fn announce(&mut self, expunges: Expunges) {
        let enabled = self.enabled;
        if let Stage::Selected(_, selected) = &mut self.stage {
            selected.announce(&mut self.wire.out, expunges, enabled);
        }
    }

    /// From time to time: is the BAL still active?
    pub(crate) async fn check_bal(&mut self) -> Result<(), Stop> {
        let Ok(account) = self.account() else { return Ok(()) };
        if account.checked_at.elapsed() < BAL_CHECK_PERIOD {
            return Ok(());
        }
        let open = account.open.clone();
        let active = self.in_pool(move |house| Ok(house.access.still_open(&open)?)).await?;
        if !active {
            return Err(Stop::Gone(Gone::BalClosed));
        }
        if let Stage::Authenticated(account) | Stage::Selected(account, _) = &mut self.stage {
            account.checked_at = Instant::now();
        }
        Ok(())
    }

    /// Waits, unless the server stops first.
    pub(crate) async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.server.house.shutdown.wait() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, F>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_session_that_waits_is_small() {
        let running =
            size_of_future(|session: &'static mut Session| session.run(Entry::ImplicitTls, false));
        let whole = running + size_of::<Session>();
        assert!(whole < 4096, "{running} and {} octets", size_of::<Session>());
    }
}

//! One file per command. Each takes the session, writes its untagged responses, and ends in a [`Done`] or a [`Stop`].

mod acl;
mod append;
mod authenticate;
mod capability;
mod compress;
mod copy;
mod enable;
mod expunge;
mod fetch;
mod flags;
mod folders;
mod id;
mod idle;
mod list;
mod metadata;
mod quota;
mod resync;
mod search;
mod select;
mod sort;
mod status;
mod store;

pub(crate) use append::{Append, append_bad, append_begin, append_data, append_end, append_next};
pub(crate) use capability::capabilities;
pub(crate) use flags::{SYSTEM, flag_names};
pub(crate) use select::write_permanent_flags;

use crate::error::{Failure, Gone, Stop};
use crate::place::{self, Place, SHARED};
use crate::reply::{DONE, Done};
use crate::selected::Expunges;
use crate::session::{Next, Pending, Session};
use crate::settings::Unauthenticate;
use palombe_imap_proto::{Bad, Command, Selector, Tagged};
use palombe_store::StoreError;
use palombe_vocabulary::{BalId, FolderId, Secret};

type Outcome = Result<Done, Stop>;

/// Carries one command out, with everything the client must be told at its end.
pub(crate) async fn run(session: &mut Session, tagged: Tagged) -> Result<Next, Gone> {
    let Tagged { tag, command } = tagged;
    if !session.state().allows(&command) {
        session.complete(&tag, Err(Failure::WrongState.into()))?;
        return Ok(Next::Go);
    }
    if session.enabled.uid_only && command.uses_sequence_numbers() {
        session.complete(&tag, Err(Failure::UidRequired.into()))?;
        return Ok(Next::Go);
    }
    match command {
        Command::Logout => {
            session.logout_tag = Some(tag);
            return Err(Gone::Logout);
        }
        Command::StartTls => return start_tls(session, &tag),
        Command::Compress => return compress::compress(session, &tag),
        Command::Unauthenticate => return unauthenticate(session, &tag),
        Command::Authenticate { mechanism, initial } => {
            authenticate::authenticate(session, tag, &mechanism, initial).await?;
        }
        Command::Login { user, password } => {
            let outcome = authenticate::login(session, user, password).await;
            session.complete(&tag, outcome)?;
        }
        Command::Idle => idle::begin(session, tag).await?,
        command => {
            let expunges = expunges_at_end(&command);
            let outcome = carry_out(session, &tag, command).await;
            end(session, &tag, outcome, expunges).await?;
        }
    }
    Ok(Next::Go)
}

/// RFC 9051 7.5.1: which commands may not hear of expunged messages.
fn expunges_at_end(command: &Command) -> Expunges {
    match command {
        Command::Fetch { by: Selector::Sequence, .. }
        | Command::Store { by: Selector::Sequence, .. } => Expunges::Keep,
        Command::Search(search) if search.by == Selector::Sequence => Expunges::Keep,
        // RFC 5256 BASE.6.4.SORT and BASE.6.4.THREAD
        Command::Sort(sort) if sort.search.by == Selector::Sequence => Expunges::Keep,
        Command::Thread(thread) if thread.search.by == Selector::Sequence => Expunges::Keep,
        _ => Expunges::Tell,
    }
}

/// What others did, what is left to tell, the tagged line.
async fn end(
    session: &mut Session,
    tag: &str,
    outcome: Outcome,
    expunges: Expunges,
) -> Result<(), Gone> {
    let outcome = match outcome {
        Err(Stop::Gone(gone)) => return Err(gone),
        other => other,
    };
    // A refresh that fails now is made up for at the next wake.
    if let Err(Stop::Gone(gone)) = session.refresh_if_woken().await {
        return Err(gone);
    }
    session.announce(expunges);
    session.complete(tag, outcome)
}

async fn carry_out(session: &mut Session, tag: &str, command: Command) -> Outcome {
    session.check_bal().await?;
    session.check_folder()?;
    match command {
        Command::Capability => capability::capability(session),
        Command::Noop | Command::Check => {
            session.refresh().await?;
            Ok(DONE)
        }
        Command::Id(fields) => id::id(session, &fields),
        Command::Enable(names) => enable::enable(session, &names),
        Command::Namespace => {
            // RFC 2342 5 and RFC 9051 6.3.10: one's own names, and those of each BAL of which one is a member.
            let others = format!("((\"{SHARED}/\" \"/\"))");
            session.wire.out.untagged(format_args!("NAMESPACE ((\"\" \"/\")) {others} NIL"));
            Ok(DONE)
        }
        Command::Select { mailbox, parameters } => {
            select::select(session, &mailbox, select::Access::ReadWrite, &parameters).await
        }
        Command::Examine { mailbox, parameters } => {
            select::select(session, &mailbox, select::Access::ReadOnly, &parameters).await
        }
        Command::Close => expunge::close(session).await,
        // RFC 3691 2
        Command::Unselect => {
            session.unselect();
            Ok(DONE)
        }
        Command::Create { mailbox, uses } => folders::create(session, &mailbox, &uses).await,
        Command::Delete(mailbox) => folders::delete(session, &mailbox).await,
        Command::Rename { from, to } => folders::rename(session, &from, &to).await,
        Command::Subscribe(mailbox) => folders::subscribe(session, &mailbox).await,
        Command::Unsubscribe(mailbox) => folders::unsubscribe(session, &mailbox).await,
        Command::List(list) => list::list(session, &list).await,
        Command::Lsub { reference, pattern } => list::lsub(session, &reference, &pattern).await,
        Command::Status { mailbox, items } => status::status(session, &mailbox, &items).await,
        Command::Acl(command) => acl::acl(session, command).await,
        Command::Metadata(command) => metadata::metadata(session, command).await,
        Command::Quota(command) => quota::quota(session, command).await,
        Command::Expunge => expunge::expunge(session, None).await,
        Command::UidExpunge(set) => expunge::expunge(session, Some(&set)).await,
        Command::Search(search) => search::search(session, tag, search).await,
        Command::Fetch { by, set, items, modifiers } => {
            fetch::fetch(session, by, &set, items, &modifiers).await
        }
        Command::Store { by, set, change, unchanged_since } => {
            store::store(session, by, &set, &change, unchanged_since).await
        }
        Command::Copy { by, set, to } => copy::copy(session, by, &set, &to).await,
        Command::Move { by, set, to } => copy::move_to(session, by, &set, &to).await,
        Command::Sort(sort) => sort::sort(session, tag, sort).await,
        Command::Thread(thread) => sort::thread(session, thread).await,
        Command::Logout
        | Command::StartTls
        | Command::Compress
        | Command::Unauthenticate
        | Command::Authenticate { .. }
        | Command::Login { .. }
        | Command::Idle => Err(Failure::WrongState.into()),
    }
}

/// RFC 8437 3: as if the client had just come, but for TLS and the failed logins.
fn unauthenticate(session: &mut Session, tag: &str) -> Result<Next, Gone> {
    if session.server.settings.unauthenticate == Unauthenticate::Refused {
        session.complete(tag, Err(Failure::Bad(Bad::UnknownCommand).into()))?;
        return Ok(Next::Go);
    }
    session.forget_login();
    session.complete(tag, Ok(DONE))?;
    Ok(if session.wire.is_compressed() { Next::Plain } else { Next::Go })
}

fn start_tls(session: &mut Session, tag: &str) -> Result<Next, Gone> {
    if session.wire.is_tls() {
        session.complete(tag, Err(Failure::NoTls.into()))?;
        return Ok(Next::Go);
    }
    match (session.server.house.tls)() {
        Some(config) => {
            session.complete(tag, Ok(Done::saying("Begin TLS negotiation now")))?;
            Ok(Next::StartTls(config))
        }
        None => {
            session.complete(tag, Err(Failure::NoTls.into()))?;
            Ok(Next::Go)
        }
    }
}

/// A line that answers a continuation request.
pub(crate) async fn take_line(session: &mut Session, line: Secret<Vec<u8>>) -> Result<(), Gone> {
    match std::mem::replace(&mut session.pending, Pending::None) {
        Pending::Sasl { tag } => {
            let outcome = authenticate::answer(session, &line).await;
            session.complete(&tag, outcome)
        }
        Pending::Idle { tag, .. } => idle::end(session, &tag, line.expose()).await,
        other => {
            session.pending = other;
            Ok(())
        }
    }
}

/// MAILBOXID (RFC 8474 4): a folder's number is never given again in its BAL, and stays when it is renamed.
fn mailbox_id(bal: BalId, folder: FolderId) -> String {
    format!("F{bal}-{folder}")
}

/// A folder that something is to be put into: its absence is TRYCREATE (RFC 9051 6.4.7).
async fn target_named(session: &Session, name: &str) -> Result<Place, Stop> {
    match place::find(session, name, 'i').await {
        Err(Stop::Failure(Failure::NoSuchFolder | Failure::Store(StoreError::UnknownFolder))) => {
            Err(Failure::NoSuchTarget.into())
        }
        other => other,
    }
}

//! From a name on the wire to a folder and what this client may do there: its own folders, and those of the BAL of
//! which it is a member under [`SHARED`].
//!
//! What a client may not see is answered as if it were not there (RFC 4314 6).

use crate::error::{Failure, Stop};
use crate::session::Session;
use palombe_access::{OpenBal, OpenFolder, SharedBal};
use palombe_imap_proto::DELIMITER;
use palombe_store::{Deed, Folder, INBOX, Store, StoreError};
use palombe_vocabulary::{BalId, FolderId};
use std::ops::Deref;

/// The first level of every name in another BAL (RFC 2342): `Partages/<address>/<folder>`.
pub(crate) const SHARED: &str = "Partages";

/// A folder as this client names it, and the proof of what it may do there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its name is the client's.
    folder: Folder,
    /// Octets of the name that say which BAL.
    prefix: usize,
    pub(crate) open: OpenFolder,
}

impl Deref for Place {
    type Target = Folder;
    fn deref(&self) -> &Folder {
        &self.folder
    }
}

impl Place {
    pub(crate) fn bal(&self) -> BalId {
        self.open.bal()
    }

    /// Its name in its BAL.
    pub(crate) fn inner(&self) -> &str {
        self.folder.name.get(self.prefix..).unwrap_or_default()
    }

    pub(crate) fn needs(&self, letter: char) -> Result<(), Failure> {
        needs(self.open, letter)
    }
}

/// RFC 4314 6: what may not even be looked up does not exist.
pub(crate) fn needs(open: OpenFolder, letter: char) -> Result<(), Failure> {
    match (open.may(letter), open.may('l')) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::NoPermission),
        (false, false) => Err(Failure::NoSuchFolder),
    }
}

/// A name, split into a BAL and the name inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) bal: BalId,
    /// What stands before the inner name: empty in the client's own BAL.
    pub(crate) prefix: String,
    pub(crate) inner: String,
}

/// Where the names of a shared BAL begin.
fn prefix_of(shared: &SharedBal) -> String {
    format!("{SHARED}{DELIMITER}{}{DELIMITER}", shared.address)
}

fn is_shared_name(name: &str) -> bool {
    name.strip_prefix(SHARED).is_some_and(|rest| rest.is_empty() || rest.starts_with(DELIMITER))
}

/// Memory only.
pub(crate) fn locate(session: &Session, name: &str) -> Result<Located, Failure> {
    let open = &session.account()?.open;
    if !is_shared_name(name) {
        let inner = name.to_owned();
        return Ok(Located { bal: open.id(), prefix: String::new(), inner });
    }
    for shared in session.server.house.access.shared(open)? {
        let prefix = prefix_of(&shared);
        if let Some(inner) = name.strip_prefix(&prefix)
            && !inner.is_empty()
        {
            return Ok(Located { bal: shared.id, inner: inner.to_owned(), prefix });
        }
    }
    Err(Failure::NoSuchFolder)
}

/// The folder of that name, if this client may do this there.
pub(crate) async fn find(session: &Session, name: &str, letter: char) -> Result<Place, Stop> {
    let place = look_up(session, name).await?;
    place.needs(letter)?;
    Ok(place)
}

/// The folder of that name, whatever may be done there: the caller asks.
pub(crate) async fn look_up(session: &Session, name: &str) -> Result<Place, Stop> {
    let Located { bal, prefix, inner } = locate(session, name)?;
    let viewer = open(session, bal, INBOX)?.viewer();
    let found = session.in_store(move |store| {
        let found = store.folders(bal)?.into_iter().find(|folder| folder.name == inner);
        found.map(|folder| as_seen_by(store, (bal, viewer), folder)).transpose()
    });
    let folder = found.await.map_err(as_absent)?.ok_or(Failure::NoSuchFolder)?;
    let open = open(session, bal, folder.id)?;
    Ok(shown(folder, &prefix, open))
}

/// The proof for a folder of this number. Memory only.
pub(crate) fn open(session: &Session, bal: BalId, folder: FolderId) -> Result<OpenFolder, Failure> {
    let account = session.account()?;
    Ok(session.server.house.access.folder(&account.open, bal, folder))
}

/// A shared BAL that ends under our hands is as if it had never been.
fn as_absent(stop: Stop) -> Stop {
    match stop {
        Stop::Failure(Failure::Store(StoreError::UnknownBal)) => Failure::NoSuchFolder.into(),
        other => other,
    }
}

/// The folder with the count of messages that this member has not seen, where each has its own `\Seen`.
fn as_seen_by(
    store: &Store,
    (bal, viewer): (BalId, Option<BalId>),
    mut folder: Folder,
) -> Result<Folder, StoreError> {
    if let Some(member) = viewer {
        folder.unseen = store.own_unseen((bal, folder.id), member, folder.messages)?;
    }
    Ok(folder)
}

fn shown(folder: Folder, prefix: &str, open: OpenFolder) -> Place {
    let mut folder = folder;
    let mut length = 0;
    if open.member().is_some() {
        length = prefix.len();
        folder.name = format!("{prefix}{}", folder.name);
        // RFC 6154 2: special uses are about the client's own folders.
        folder.special_use = None;
    }
    Place { folder, prefix: length, open }
}

/// Every folder that this client may look up, INBOX first, then by name.
pub(crate) async fn all(session: &Session) -> Result<Vec<Place>, Stop> {
    let me = session.account()?.open.clone();
    let access = session.server.house.access.clone();
    let listed = session
        .in_pool(move |house| {
            let mut places = own(&access, &me, house.store.folders(me.id())?);
            let shared = access.shared(&me)?;
            let wanted = match shared.is_empty() {
                true => Default::default(),
                false => house.store.subscriptions(me.id())?,
            };
            for bal in shared {
                let folders = match house.store.folders(bal.id) {
                    Err(StoreError::UnknownBal) => continue,
                    other => other?,
                };
                let prefix = prefix_of(&bal);
                for mut folder in folders {
                    let open = access.folder(&me, bal.id, folder.id);
                    folder.subscribed = wanted.contains(&(bal.id, folder.id));
                    if open.may('l') {
                        let folder = as_seen_by(&house.store, (bal.id, open.viewer()), folder)?;
                        places.push(shown(folder, &prefix, open));
                    }
                }
            }
            Ok(places)
        })
        .await;
    let mut places = listed?;
    places.sort_by(|a, b| (a.name != "INBOX", &a.name).cmp(&(b.name != "INBOX", &b.name)));
    Ok(places)
}

fn own(access: &palombe_access::Access, me: &OpenBal, folders: Vec<Folder>) -> Vec<Place> {
    let place = |folder: Folder| {
        let open = access.folder(me, me.id(), folder.id);
        shown(folder, "", open)
    };
    folders.into_iter().map(place).collect()
}

/// Whether a new folder of this name may be made, and where: the rights of the nearest folder above it count
/// (RFC 4314 4, CREATE), or those in the whole BAL.
pub(crate) async fn creatable(session: &Session, name: &str) -> Result<Located, Stop> {
    if is_shared_name(name) && locate(session, name).is_err() {
        return Err(Failure::NoPermission.into());
    }
    let located = locate(session, name)?;
    if located.bal == session.bal()? {
        return Ok(located);
    }
    let (bal, inner) = (located.bal, located.inner.clone());
    let parent = session.in_store(move |store| {
        let folders = store.folders(bal)?;
        let above = |folder: &&Folder| {
            inner.strip_prefix(&folder.name).is_some_and(|rest| rest.starts_with(DELIMITER))
        };
        Ok(folders.iter().filter(above).max_by_key(|f| f.name.len()).map(|f| f.id))
    });
    let parent = parent.await.map_err(as_absent)?;
    // No folder has this number: only what the member may do in the whole BAL counts.
    let parent = parent.unwrap_or(FolderId(0));
    if open(session, bal, parent)?.may('k') {
        Ok(located)
    } else {
        Err(Failure::NoPermission.into())
    }
}

/// For the journal: who changes a BAL that is not its own.
pub(crate) fn deed(session: &Session, open: OpenFolder) -> Option<Deed> {
    open.member()?;
    let account = session.account().ok()?;
    Some(Deed {
        member: account.open.id(),
        by: account.open.address().clone(),
        session: Some(session.id),
        at: palombe_driver::now(),
    })
}

/// Whether the folder is an INBOX, which stays.
pub(crate) fn is_inbox(place: &Place) -> bool {
    place.id == INBOX
}

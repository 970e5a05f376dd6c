//! Opening a BAL by password, on a real store.

use palombe_access::{Access, AccessError, REMEMBERED_SECS, hash_password};
use palombe_store::{FolderRights, INBOX, MemberRights, NewBal, Store, StoreSettings};
use palombe_vocabulary::{BalId, BalKind, BalStatus, Publication, Secret, Timestamp};

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const LOGIN: &str = "jean.dupont@alpha.mssante.test";

struct House {
    store: Store,
    access: Access,
    bal: BalId,
    _folder: tempfile::TempDir,
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn house() -> House {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(&StoreSettings::new(folder.path().join("data"))).unwrap();
    store.domain_add(&"alpha.mssante.test".parse().unwrap(), NOW).unwrap();
    let new = NewBal {
        address: LOGIN.parse().unwrap(),
        kind: BalKind::Per,
        label: String::new(),
        publication: Publication::Annuaire,
        quota_bytes: 1 << 20,
        password_hash: Some(hash_password(&secret("colombe")).unwrap()),
    };
    let bal = store.bal_add(new, NOW).unwrap();
    let access = Access::new(store.clone()).unwrap();
    House { store, access, bal, _folder: folder }
}

impl House {
    fn opens(&self, login: &str, password: &str, now: Timestamp) -> bool {
        match self.access.authenticate_password(login, &secret(password), now) {
            Ok(open) => open.id() == self.bal,
            Err(AccessError::Refused) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_right_password_opens_whatever_the_case_of_the_address() {
    let house = house();
    assert!(house.opens(LOGIN, "colombe", NOW));
    assert!(house.opens("Jean.DUPONT@Alpha.mssante.test", "colombe", NOW));
}

#[test]
fn everything_else_is_refused_alike() {
    let house = house();
    let long = "x".repeat(5000);
    for (login, password) in [
        (LOGIN, "corbeau"),
        (LOGIN, ""),
        (LOGIN, long.as_str()),
        ("inconnu@alpha.mssante.test", "colombe"),
        ("pas une adresse", "colombe"),
        ("", ""),
    ] {
        assert!(!house.opens(login, password, NOW), "{login}");
    }
    house.store.bal_set_password(house.bal, None).unwrap();
    assert!(!house.opens(LOGIN, "colombe", NOW), "a BAL without a password opens to none");
}

#[test]
fn a_remembered_success_ends_with_the_password_the_bal_and_time() {
    let house = house();
    assert!(house.opens(LOGIN, "colombe", NOW));
    assert!(house.opens(LOGIN, "colombe", NOW.plus_secs(REMEMBERED_SECS - 1)));
    assert!(house.opens(LOGIN, "colombe", NOW.plus_secs(10 * REMEMBERED_SECS)));
    let open = house.access.authenticate_password(LOGIN, &secret("colombe"), NOW).unwrap();
    let changed = hash_password(&secret("pigeon")).unwrap();
    house.store.bal_set_password(house.bal, Some(changed)).unwrap();
    assert!(!house.opens(LOGIN, "colombe", NOW), "a changed password forgets the old one");
    assert!(house.opens(LOGIN, "pigeon", NOW));
    house.store.bal_set_status(house.bal, BalStatus::Suspended).unwrap();
    assert!(!house.opens(LOGIN, "pigeon", NOW), "a suspended BAL opens to nobody");
    assert!(!house.access.still_open(&open).unwrap());
}

#[test]
fn a_bal_sends_under_its_own_address_only() {
    let house = house();
    let open = house.access.authenticate_password(LOGIN, &secret("colombe"), NOW).unwrap();
    assert!(open.may_send_as(&"Jean.Dupont@alpha.mssante.test".parse().unwrap()));
    assert!(!open.may_send_as(&"autre@alpha.mssante.test".parse().unwrap()));
    assert!(!open.may_send_as(&"jean.dupont@chu-alpha.mssante.test".parse().unwrap()));
}

fn team(house: &House) -> BalId {
    let new = NewBal {
        address: "urgences@alpha.mssante.test".parse().unwrap(),
        kind: BalKind::Org,
        label: String::new(),
        publication: Publication::Annuaire,
        quota_bytes: 1 << 20,
        password_hash: None,
    };
    house.store.bal_add(new, NOW).unwrap()
}

#[test]
fn a_member_opens_what_its_rights_give_and_nothing_else() {
    let house = house();
    let team = team(&house);
    let open = house.access.authenticate_password(LOGIN, &secret("colombe"), NOW).unwrap();
    assert!(house.access.folder(&open, team, INBOX).rights().is_none());
    assert!(house.access.folder(&open, BalId(4711), INBOX).rights().is_none());
    assert!(house.access.shared(&open).unwrap().is_empty());
    house.store.member_set((team, house.bal), MemberRights::READ, NOW, &[]).unwrap();
    let folder = house.access.folder(&open, team, INBOX);
    assert_eq!(folder.rights(), FolderRights::of("lrs"));
    assert_eq!(folder.member(), Some(house.bal));
    assert_eq!(house.access.shared(&open).unwrap()[0].id, team);
    let own = house.access.folder(&open, house.bal, INBOX);
    assert_eq!((own.rights(), own.member()), (FolderRights::ALL, None));
    house.store.bal_set_status(team, BalStatus::Suspended).unwrap();
    assert!(house.access.folder(&open, team, INBOX).rights().is_none());
    assert!(house.access.shared(&open).unwrap().is_empty());
}

#[test]
fn a_delegate_sends_as_its_rights_say() {
    let house = house();
    let team = team(&house);
    let address = "Urgences@alpha.mssante.test".parse().unwrap();
    let check = |rights, send_as: bool, on_behalf: bool| {
        house.store.member_set((team, house.bal), rights, NOW, &[]).unwrap();
        let open = house.access.authenticate_password(LOGIN, &secret("colombe"), NOW).unwrap();
        assert_eq!(open.may_send_as(&address), send_as, "{rights:?}");
        assert_eq!(open.may_send_on_behalf(&address), on_behalf, "{rights:?}");
        assert!(!open.is_own(&address));
    };
    check(MemberRights::READ.and(MemberRights::WRITE), false, false);
    check(MemberRights::SEND_ON_BEHALF, false, true);
    check(MemberRights::SEND_AS, true, true);
}

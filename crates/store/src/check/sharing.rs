//! Rows about sharing: both ends live, folders exist, rights are of members.

use super::{Check, Result};
use crate::engine::{CounterRow, Space};
use crate::keys::{self, sharing};
use crate::own_seen::{self, OwnSeen};
use crate::{acl, members, rows};
use palombe_vocabulary::{BalId, BalStatus, FolderId};
use std::collections::HashMap;

impl Check<'_> {
    pub(super) fn sharing(&mut self) -> Result<()> {
        let mut marked: HashMap<Vec<u8>, i64> = HashMap::new();
        self.each(Space::Sharing, &[], |check, key, value| {
            match key.first().copied().unwrap_or_default() {
                sharing::MEMBER => check.member(key, value),
                sharing::OPTIONS => {
                    let bal = sharing::bal_of(key).ok_or_else(|| rows::damaged("options"))?;
                    members::options_of(value)?;
                    check.lives(bal, "has options")
                }
                sharing::ACL => check.acl(key, value),
                sharing::OWN_SEEN => check.own_seen(key, value, &mut marked),
                sharing::ANNOTATION => check.annotation(key),
                sharing::SUBSCRIPTION => {
                    let (member, bal, _) = sharing::subscription_parts(key)
                        .ok_or_else(|| rows::damaged("a subscription key"))?;
                    check.is_member(bal, member, "a subscription")
                }
                kind => {
                    check.problem(|| format!("a row about sharing of the unknown kind {kind}"));
                    Ok(())
                }
            }
        })?;
        self.each(Space::Counters, keys::OWN_COUNTERS, |check, key, value| {
            let told = CounterRow::decode(value)?.0[own_seen::SEEN];
            let found = marked.remove(key).unwrap_or(0);
            check.expect(told == found, || {
                format!("a member counts {told} messages as seen, marked are {found}")
            });
            Ok(())
        })?;
        let uncounted = marked.values().any(|count| *count != 0);
        self.expect(!uncounted, || "messages that a member has seen are not counted".to_owned());
        Ok(())
    }

    fn annotation(&mut self, key: &[u8]) -> Result<()> {
        let (bal, folder, owner) =
            sharing::annotation_parts(key).ok_or_else(|| rows::damaged("an annotation key"))?;
        self.lives(bal, "has annotations")?;
        if folder != FolderId(0) {
            self.folder_lives(bal, folder, "an annotation")?;
        }
        if owner == BalId(0) || owner == bal {
            return Ok(());
        }
        self.is_member(bal, owner, "annotations")
    }

    fn own_seen(
        &mut self,
        key: &[u8],
        value: &[u8],
        marked: &mut HashMap<Vec<u8>, i64>,
    ) -> Result<()> {
        let (bal, folder, member, uid) =
            sharing::own_seen_parts(key).ok_or_else(|| rows::damaged("an own seen key"))?;
        let seen = OwnSeen::decode(value)?.seen;
        *marked.entry(keys::own_counters(bal, folder, member)).or_default() += i64::from(seen);
        self.is_member(bal, member, "marks")?;
        let found = self.reader.get(Space::Messages, &keys::message(bal, folder, uid))?.is_some();
        self.expect(found, || format!("a mark on message {uid} of folder {folder} of BAL {bal}"));
        Ok(())
    }

    fn lives(&mut self, bal: BalId, what: &str) -> Result<()> {
        let row = self.reader.get(Space::Directory, &keys::bal(bal))?;
        let row = row.map(|row| rows::decode::<rows::StoredBal>(&row, "a BAL row")).transpose()?;
        let living = row.map(crate::Bal::from).is_some_and(|b| b.status != BalStatus::Deleted);
        self.expect(living, || format!("BAL {bal} {what} and does not live"));
        Ok(())
    }

    fn is_member(&mut self, bal: BalId, member: BalId, what: &str) -> Result<()> {
        let found = self.reader.get(Space::Sharing, &sharing::member(bal, member))?.is_some();
        self.expect(found, || {
            format!("{what} of BAL {member} in BAL {bal}, where it is no member")
        });
        Ok(())
    }

    fn folder_lives(&mut self, bal: BalId, folder: FolderId, what: &str) -> Result<()> {
        let found = self.reader.get(Space::Directory, &keys::folder(bal, folder))?.is_some();
        self.expect(found, || {
            format!("{what} for folder {folder} of BAL {bal}, which is not there")
        });
        Ok(())
    }

    fn member(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let member = members::member_of(key, value)?;
        self.expect(member.bal != member.member, || {
            format!("BAL {} is a member of itself", member.bal)
        });
        self.lives(member.bal, "has a member")?;
        self.lives(member.member, "is a member")
    }

    fn acl(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let entry = acl::entry_of(key, value)?;
        self.is_member(entry.bal, entry.member, "rights")?;
        self.folder_lives(entry.bal, entry.folder, "rights")
    }
}

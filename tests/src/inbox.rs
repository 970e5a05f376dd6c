//! A folder of a BAL as an IMAP client reads it: every UID with every octet, in one session.

use crate::imap::Imap;
use crate::palombe::Palombe;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// What INBOX held at one instant.
#[derive(Debug, Default)]
pub struct Content {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT, told before the messages were read.
    pub uid_next: u32,
    /// Messages by UID.
    pub messages: BTreeMap<u32, Vec<u8>>,
}

/// A session with INBOX selected.
pub struct Inbox {
    imap: Imap,
    uid_validity: u32,
    uid_next: u32,
}

impl Inbox {
    /// Signs in as the holder of `address` and selects INBOX.
    pub fn open(operator: &Palombe, address: &str) -> Result<Inbox> {
        let mut imap = Imap::open(operator, address)?;
        let answer = imap.ok("SELECT INBOX")?;
        let number = |name: &str| {
            let digits = answer.lines().find_map(|line| line.split(name).nth(1))?.split(']').next();
            digits?.trim().parse().ok()
        };
        let (validity, next) = (number("[UIDVALIDITY"), number("[UIDNEXT"));
        let (Some(uid_validity), Some(uid_next)) = (validity, next) else {
            bail!("SELECT told no UIDVALIDITY or no UIDNEXT");
        };
        Ok(Inbox { imap, uid_validity, uid_next })
    }

    /// Every message with every octet.
    pub fn read(&mut self) -> Result<Content> {
        let mut content = Content {
            uid_validity: self.uid_validity,
            uid_next: self.uid_next,
            messages: BTreeMap::new(),
        };
        for (text, mut literals) in self.imap.ok("UID FETCH 1:* (UID BODY.PEEK[])")?.untagged {
            if !text.contains(" FETCH ") {
                continue;
            }
            let uid = text.split("UID ").nth(1).context("no UID")?;
            let uid = uid.split([' ', ')']).next().unwrap_or_default().parse()?;
            let body = literals.pop().with_context(|| format!("no body: {text}"))?;
            if content.messages.insert(uid, body).is_some() {
                bail!("UID {uid} told twice");
            }
        }
        Ok(content)
    }

    /// Removes these messages for good.
    pub fn expunge(&mut self, uids: impl Iterator<Item = u32>) -> Result<()> {
        let uids: Vec<String> = uids.map(|uid| uid.to_string()).collect();
        for some in uids.chunks(500) {
            let set = some.join(",");
            self.imap.ok(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)"))?;
            self.imap.ok(&format!("UID EXPUNGE {set}"))?;
        }
        Ok(())
    }
}

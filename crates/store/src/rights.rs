//! What a member may do in a BAL, and what anybody may do in a folder.

use serde::{Deserialize, Serialize};

/// Rights of a member in a whole BAL (spec mssante §2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemberRights(u8);

impl MemberRights {
    /// None: what the folders' own lists give is all.
    pub const NONE: MemberRights = MemberRights(0);
    /// See folders and messages, mark them read.
    pub const READ: MemberRights = MemberRights(1);
    /// File, flag, delete, make folders.
    pub const WRITE: MemberRights = MemberRights(2);
    /// Send as if it were the BAL.
    pub const SEND_AS: MemberRights = MemberRights(4);
    /// Send for the BAL, the member being named as Sender (RFC 5322 3.6.2).
    pub const SEND_ON_BEHALF: MemberRights = MemberRights(8);
    /// Give rights to others.
    pub const MANAGE: MemberRights = MemberRights(16);

    const NAMES: [(&'static str, MemberRights); 5] = [
        ("read", Self::READ),
        ("write", Self::WRITE),
        ("send-as", Self::SEND_AS),
        ("send-on-behalf", Self::SEND_ON_BEHALF),
        ("manage", Self::MANAGE),
    ];

    /// Both.
    #[must_use]
    pub fn and(self, other: MemberRights) -> MemberRights {
        MemberRights(self.0 | other.0)
    }

    /// Whether all of these are there.
    pub fn has(self, other: MemberRights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Their names, in order.
    pub fn names(self) -> Vec<&'static str> {
        Self::NAMES.iter().filter(|(_, right)| self.has(*right)).map(|(name, _)| *name).collect()
    }

    /// From one name.
    pub fn named(name: &str) -> Option<MemberRights> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, right)| *right)
    }

    /// What a member may do in a folder that says nothing of it.
    pub fn in_folders(self) -> FolderRights {
        let given = |right, letters| if self.has(right) { letters } else { FolderRights::NONE };
        given(Self::READ, FolderRights::of("lrs"))
            .and(given(Self::WRITE, FolderRights::of("lrswipkxte")))
            .and(given(Self::MANAGE, FolderRights::of("lra")))
    }
}

/// Rights in one folder (RFC 4314 2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FolderRights(u16);

/// In the order in which they are written.
const LETTERS: &str = "lrswipkxtea";

impl FolderRights {
    /// None.
    pub const NONE: FolderRights = FolderRights(0);
    /// Every one.
    pub const ALL: FolderRights = FolderRights(0x7ff);

    /// From letters of this program; others are passed over.
    pub fn of(letters: &str) -> FolderRights {
        letters.chars().filter_map(FolderRights::letter).fold(Self::NONE, FolderRights::and)
    }

    /// One letter; the virtual `c` and `d` stand for what RFC 4314 2.1.1 says.
    pub fn letter(letter: char) -> Option<FolderRights> {
        match letter {
            'c' => Some(FolderRights::of("kx")),
            'd' => Some(FolderRights::of("te")),
            _ => LETTERS.find(letter).map(|bit| FolderRights(1 << bit)),
        }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: FolderRights) -> FolderRights {
        FolderRights(self.0 | other.0)
    }

    /// Without these.
    #[must_use]
    pub fn without(self, other: FolderRights) -> FolderRights {
        FolderRights(self.0 & !other.0)
    }

    /// Whether all of these are there.
    pub fn has(self, other: FolderRights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of these is there.
    pub fn any(self, other: FolderRights) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the letter's rights are all there.
    pub fn may(self, letter: char) -> bool {
        FolderRights::letter(letter).is_some_and(|right| self.has(right))
    }

    /// Whether none is there.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// As MYRIGHTS and ACL show them: with the virtual `c` and `d` (RFC 4314 2.1.1).
    pub fn letters(self) -> String {
        let mut out: String = LETTERS.chars().filter(|letter| self.may(*letter)).collect();
        if self.any(FolderRights::of("kx")) {
            out.push('c');
        }
        if self.any(FolderRights::of("te")) {
            out.push('d');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_names() {
        let check = |letters: &str, expected: &str| {
            assert_eq!(FolderRights::of(letters).letters(), expected);
        };
        check("", "");
        check("rl", "lr");
        check("lrswida", "lrswitead");
        check("kt", "ktcd");
        check("c", "kxc");
        assert_eq!(FolderRights::ALL, FolderRights::of(LETTERS));
        assert_eq!(FolderRights::letter('q'), None);
        let rights = MemberRights::READ.and(MemberRights::SEND_AS);
        assert_eq!(rights.names(), ["read", "send-as"]);
        assert_eq!(rights.in_folders(), FolderRights::of("lrs"));
        assert_eq!(MemberRights::named("manage"), Some(MemberRights::MANAGE));
        assert_eq!(MemberRights::named("root"), None);
    }
}

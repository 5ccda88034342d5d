//! Who is to own what is restored.
//!
//! - Enters: an entry, with the numbers and the names of its owner and group.
//! - Leaves: the numbers to be set here, and whether one of them is a guess.
//! - Always holds: (1) a name is asked for once in a while, not once an entry; memory is [`MOST`]
//!   names of each sort; (2) where a name is unknown here, the number is set, as tar and rsync do,
//!   and no set-id bit goes with it: it may be somebody else's.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;

use nix::unistd::{Group, User};

use crate::format::list::Entry;

/// Names that are kept of each sort.
const MOST: usize = 4_096;

/// Whose what is restored becomes, as far as this process may give it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// the packed numbers
    #[default]
    Numbers,
    /// whoever has the packed names here
    Names,
    /// nobody is set: it stays with who restores
    Nobody,
}

/// The owner and group that an entry is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WantedOwner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// its user's name is unknown here
    pub(super) guessed_user: bool,
    pub(super) guessed_group: bool,
}

impl WantedOwner {
    /// Those that were packed.
    fn packed(entry: &Entry) -> Self {
        Self { uid: entry.uid, gid: entry.gid, guessed_user: false, guessed_group: false }
    }

    /// What is to be told of it, by kind.
    pub(super) fn guesses(self) -> impl Iterator<Item = (&'static str, io::Error)> {
        let told = |what| {
            (what, io::Error::other("it is not known on this machine, and the number is set"))
        };
        let guesses = [(self.guessed_user, "user name"), (self.guessed_group, "group name")];
        guesses.into_iter().filter(|(guessed, _)| *guessed).map(move |(_, what)| told(what))
    }
}

/// Looks owners up.
#[derive(Default)]
pub(super) struct OwnerNames {
    owners: Owners,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    users: HashMap<Vec<u8>, Option<u32>>,
    groups: HashMap<Vec<u8>, Option<u32>>,
}

impl OwnerNames {
    pub(super) fn new(owners: Owners) -> Self {
        Self { owners, known: Mutex::default() }
    }

    /// Is anybody to be set at all?
    pub(super) fn sets_any(&self) -> bool {
        self.owners != Owners::Nobody
    }

    /// The owner that an entry is to have.
    pub(super) fn wanted(&self, entry: &Entry) -> WantedOwner {
        let mut wanted = WantedOwner::packed(entry);
        if self.owners != Owners::Names {
            return wanted;
        }
        let known = &mut *self.known.lock();
        let user = |name: &str| Some(User::from_name(name).ok()??.uid.as_raw());
        let group = |name: &str| Some(Group::from_name(name).ok()??.gid.as_raw());
        // Where the packer knew no name, the number is all there is.
        if !entry.user.is_empty() {
            let uid = remember(&mut known.users, &entry.user, user);
            (wanted.uid, wanted.guessed_user) = (uid.unwrap_or(entry.uid), uid.is_none());
        }
        if !entry.group.is_empty() {
            let gid = remember(&mut known.groups, &entry.group, group);
            (wanted.gid, wanted.guessed_group) = (gid.unwrap_or(entry.gid), gid.is_none());
        }
        wanted
    }
}

fn remember(
    known: &mut HashMap<Vec<u8>, Option<u32>>,
    name: &[u8],
    ask: impl Fn(&str) -> Option<u32>,
) -> Option<u32> {
    if let Some(number) = known.get(name) {
        return *number;
    }
    if known.len() >= MOST {
        known.clear();
    }
    let number = std::str::from_utf8(name).ok().filter(|name| !name.contains('\0')).and_then(ask);
    known.insert(name.to_vec(), number);
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::list::Kind;

    fn entry(user: &str, group: &str) -> Entry {
        let (user, group) = (user.into(), group.into());
        Entry { uid: 77, gid: 88, user, group, ..Entry::new("x", Kind::File) }
    }

    #[test]
    fn names_are_looked_up_here_and_unknown_ones_are_guesses() {
        let wanted = |owners, entry| OwnerNames::new(owners).wanted(&entry);
        let packed = WantedOwner::packed(&entry("", ""));
        assert_eq!(wanted(Owners::Numbers, entry("root", "root")), packed);
        assert_eq!(wanted(Owners::Names, entry("", "")), packed, "none was packed");
        let known = wanted(Owners::Names, entry("root", "root"));
        assert_eq!(known, WantedOwner { uid: 0, gid: 0, ..packed });
        assert_eq!(known.guesses().count(), 0);
        let unknown = wanted(Owners::Names, entry("no such user", "root\0"));
        assert_eq!((unknown.uid, unknown.gid), (77, 88));
        let told: Vec<_> = unknown.guesses().map(|(what, _)| what).collect();
        assert_eq!(told, ["user name", "group name"]);
    }
}

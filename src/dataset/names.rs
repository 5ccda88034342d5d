//! The names of owners and groups.
//!
//! - Enters: numbers, as inodes have them.
//! - Leaves: what this host calls them; nothing if it does not know them.
//! - Always holds: a number is asked for once in a while, not once an entry, since a directory
//!   service may answer slowly; memory is [`MOST`] names of each sort.

use std::collections::HashMap;

use nix::unistd::{Gid, Group, Uid, User};

/// Names that are kept of each sort; a dataset of more owners is asked for again.
const MOST: usize = 4_096;

/// Names by number.
#[derive(Default)]
pub struct Names {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
}

impl Names {
    /// The user's name; empty if unknown.
    pub fn user(&mut self, uid: u32) -> Vec<u8> {
        remember(&mut self.users, uid, |uid| Some(User::from_uid(Uid::from_raw(uid)).ok()??.name))
    }

    /// The group's name; empty if unknown.
    pub fn group(&mut self, gid: u32) -> Vec<u8> {
        remember(&mut self.groups, gid, |gid| Some(Group::from_gid(Gid::from_raw(gid)).ok()??.name))
    }
}

fn remember(
    known: &mut HashMap<u32, Vec<u8>>,
    number: u32,
    ask: impl Fn(u32) -> Option<String>,
) -> Vec<u8> {
    if known.len() >= MOST && !known.contains_key(&number) {
        known.clear();
    }
    let name = known.entry(number).or_insert_with(|| {
        // A name that is not UTF-8 comes with replacement characters: not the name it was.
        let name = ask(number).filter(|name| !name.contains(char::REPLACEMENT_CHARACTER));
        name.unwrap_or_default().into_bytes()
    });
    name.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn known_and_unknown() {
        let mut names = Names::default();
        assert_eq!((names.user(0), names.group(0)), (b"root".to_vec(), b"root".to_vec()));
        assert_eq!((names.user(4_000_000_007), names.group(4_000_000_007)), (vec![], vec![]));
    }

    #[test]
    fn a_number_is_asked_for_once_and_memory_is_bounded() {
        let asked = Cell::new(0);
        let ask = |number: u32| {
            asked.set(asked.get() + 1);
            (number != 1).then(|| format!("u{number}"))
        };
        let mut known = HashMap::new();
        for _ in 0..3 {
            assert_eq!(remember(&mut known, 5, ask), b"u5");
            assert_eq!(remember(&mut known, 1, ask), b"");
        }
        assert_eq!(asked.get(), 2);
        assert_eq!(remember(&mut known, 6, |_| Some("\u{fffd}".into())), b"");
        for number in 10..20_000 {
            remember(&mut known, number, ask);
            assert!(known.len() <= MOST);
        }
    }
}

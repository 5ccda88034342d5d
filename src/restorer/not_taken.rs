//! What the packer could not take, according to the entries.
//!
//! - Enters: an entry.
//! - Leaves: a line if something of it is in no set.
//! - Always holds: a file that could not be read is not among them: its end says so, not its entry.

use super::fate::Fate;
use crate::format::list::{Entry, Kind, Lack};

/// What of this entry the packer could not take: its fate, and a description.
pub fn of(entry: &Entry) -> Option<(Fate, String)> {
    if entry.kind == Kind::Unknown {
        let words = if entry.is_listed_as_folder() {
            "the packer could not look at this folder: neither it nor what lay in it is in any set"
        } else {
            "the packer could not look at it: it is in no set"
        };
        return Some((Fate::NotTaken, words.into()));
    }
    let of_attributes = [Lack::Attributes, Lack::AllAttributes];
    let fate = match entry.lacks.first()? {
        first if of_attributes.contains(first) => Fate::NoAttributes,
        _ => Fate::NotTaken,
    };
    let words: Vec<&str> = entry.lacks.iter().map(|lack| words(*lack)).collect();
    Some((fate, words.join("; ")))
}

fn words(lack: Lack) -> &'static str {
    match lack {
        Lack::Names => "the packer could not list this folder: what lay in it is in no set",
        Lack::SomeNames => {
            "the packer could not list all of this folder: some of what lay in it is in no set"
        }
        Lack::Attributes => {
            "the packer left out extended attributes or ACLs of it: they are in no set"
        }
        Lack::AllAttributes => "the packer could take no extended attributes or ACLs of any entry",
    }
}

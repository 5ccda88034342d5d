//! Which copies of the record files are sound, and which of those a set.txt vouches for.
//!
//! - Enters: drives on which copies may differ.
//! - Leaves: the names of record files of which sound copies differ; the BLAKE3s of those that are
//!   vouched for.
//! - Always holds: of the copies of one file those are held that differ, no others.

use super::book::{MAX_RECORD_FILE_BYTES, RecordFacts, Trust, bytes_of, decode, parse_name};
use super::open::FoundSet;
use crate::format::ids::{RunId, record_path};
use crate::format::list::Hash;
use crate::format::record::{PartRecord, RecordFileHeader};
use crate::format::set::{PartLine, SetText};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The record files of which sound copies differ: without a key or a root nothing says which is
/// ours.
pub fn conflicts(set: &FoundSet) -> Vec<String> {
    let differ = |name: &String| {
        let Some((run, number)) = parse_name(name) else { return false };
        sound_copies(set, run, number).len() > 1
    };
    set.names("records").into_iter().filter(differ).collect()
}

/// The different sound copies of a record file, by BLAKE3.
fn sound_copies(
    set: &FoundSet,
    run: RunId,
    number: u32,
) -> BTreeMap<Hash, (RecordFileHeader, Vec<RecordFacts>)> {
    let mut sound = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let path = record_path(run, number);
    for (drive, at, read) in set.digested_copies(&path, MAX_RECORD_FILE_BYTES) {
        let Ok(read) = read else { continue };
        let digest = read.digest;
        if seen.insert(digest)
            && let Ok(bytes) = bytes_of(drive, &at, read)
            && let Ok(found) = decode(set, run, number, &bytes, &Trust::default())
        {
            sound.insert(digest, found);
        }
    }
    sound
}

/// The BLAKE3s of the record files that a set.txt vouches for: it names the last record of each
/// run, each record names the one before, and set.txt names the catalog parts.
pub fn vouched_files(set: &FoundSet, text: &SetText) -> HashSet<Hash> {
    let mut vouched = HashSet::new();
    for line in &text.runs {
        let mut last = line.last;
        for number in (0..line.files).rev() {
            let ours = |(header, facts): &(RecordFileHeader, Vec<RecordFacts>)| {
                let chained = facts.windows(2).all(|two| two[1].previous == two[0].digest);
                let has_part = |part: &PartRecord| {
                    let same = |p: &PartLine| (p.part, p.root) == (part.number, part.root);
                    text.parts.iter().any(|p| p.run == line.run && same(p))
                };
                chained
                    && facts.last().is_some_and(|record| record.digest == last)
                    && header.part.as_ref().is_none_or(has_part)
            };
            let copies = sound_copies(set, line.run, number);
            let Some((digest, (_, facts))) = copies.iter().find(|(_, found)| ours(found)) else {
                break;
            };
            vouched.insert(*digest);
            last = facts.first().map_or(last, |record| record.previous);
        }
    }
    vouched
}

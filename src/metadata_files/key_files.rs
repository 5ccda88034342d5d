//! What the copies of the runs' wrapped keys on the drives say.
//!
//! - Enters: a set as it was found, and its records.
//! - Leaves: of each run that set.txt, or the records that count, name the different key files, and
//!   the drives that speak for each.
//! - Always holds: (1) a file that may be a wrapped key speaks for itself, unless its own drive
//!   convicts it: the line in its `.b3` names another that lies on a drive here (and if both copies
//!   are alike, that drive's line does, too, and none names this one); (2) drives are
//!   never held against each other: where they speak for different files, none is the right one, as
//!   nobody can make a key again; (3) nor is one the right one that lies where another run's
//!   should, or that no line bears out: a line that rotted still names nearly the same BLAKE3, one
//!   that was written for another file names none like it.

use crate::format::ids::{RunId, key_path};
use crate::format::key::{MAX_KEY_BYTES, is_wrapped_key};
use crate::format::list::Hash;
use crate::format::shown::hex;
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use crate::shipment::FoundSet;
use crate::shipment::RecordIndex;
use std::collections::{BTreeMap, BTreeSet};

/// The longest line of a key file that is read.
const MAX_LINE_BYTES: u64 = 4096;

/// The key files of the runs that a set names.
pub type KeyFiles = BTreeMap<RunId, KeyFile>;

/// The different files of a run's wrapped key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFile {
    /// by BLAKE3; the drives that speak for it
    versions: BTreeMap<Hash, BTreeSet<String>>,
    /// files that their own drives convict
    convicted: BTreeSet<Hash>,
    /// no line names a copy, be it in a line that rotted
    doubtful: bool,
    /// so it is, and none names another run's file
    denied: bool,
}

/// A copy on a drive: its drive's place, and its BLAKE3.
type KeyCopy = (usize, Hash);

impl KeyFile {
    /// Of these copies, and the lines beside them by drive; `elsewhere` are the files under the
    /// names of other runs.
    fn of(
        names: &[String],
        copies: &[KeyCopy],
        lines: &BTreeMap<usize, Hash>,
        elsewhere: &BTreeSet<Hash>,
    ) -> Self {
        let there: BTreeSet<Hash> = copies.iter().map(|(_, hash)| *hash).collect();
        let mut file = Self::default();
        for copy @ (drive, hash) in copies {
            let line = lines.get(drive).filter(|line| there.contains(*line));
            let twice = copies.iter().filter(|other| *other == copy).count() > 1;
            // Where its line rotted, too, its second copy stands for the line, if another drive's line
            // names that.
            let second = || {
                let mut own = copies.iter().filter(|(other, _)| other == drive);
                own.any(|(_, own)| own != hash && lines.values().any(|line| line == own))
            };
            let is_denied = line.is_some_and(|line| line != hash);
            // Two copies that no line names, against a line that another drive bears out.
            let is_borne_out = |line: &Hash| {
                copies.iter().any(|(other, of)| of == line && lines.get(other) == Some(line))
            };
            let is_denied_twice = is_denied
                && !lines.values().any(|line| line == hash)
                && line.is_some_and(is_borne_out);
            if is_denied_twice || !twice && (is_denied || !lines.contains_key(drive) && second()) {
                file.convicted.insert(*hash);
            } else {
                file.versions.entry(*hash).or_default().insert(names[*drive].clone());
            }
        }
        file.convicted.retain(|hash| !file.versions.contains_key(hash));
        let names_one = |line: &Hash| there.iter().any(|copy| is_nearly(line, copy));
        file.doubtful = !copies.is_empty() && !lines.is_empty() && !lines.values().any(names_one);
        file.denied = file.doubtful && !lines.values().any(|line| elsewhere.contains(line));
        file
    }

    /// The file, if nothing contradicts it.
    pub fn right(&self) -> Option<&Hash> {
        let only = self.versions.keys().next().filter(|_| self.versions.len() == 1);
        only.filter(|_| !self.doubtful)
    }

    /// Does a drive speak for this file?
    pub fn is_spoken_for(&self, hash: &Hash) -> bool {
        self.versions.contains_key(hash)
    }

    /// Has no drive here any sound file that may be it?
    pub fn is_lost(&self) -> bool {
        self.denied || self.versions.is_empty() && self.convicted.is_empty()
    }

    /// Is there a copy, and is each damaged by what the lines say?
    pub fn is_denied(&self) -> bool {
        self.denied
    }

    /// Do drives speak for different files?
    pub fn differs(&self) -> bool {
        self.versions.len() > 1
    }

    /// May this file give way to the right one?
    pub fn may_be_replaced(&self, bytes: &[u8]) -> bool {
        !is_wrapped_key(bytes) || self.convicted.contains(blake3::hash(bytes).as_bytes())
    }

    /// The drives that speak for each of its versions.
    pub fn speakers(&self) -> impl Iterator<Item = &BTreeSet<String>> {
        self.versions.values()
    }

    fn sides(&self) -> String {
        let side = |(hash, names): (&Hash, &BTreeSet<String>)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!("{} on {}", &hex(hash)[..16], names.join(", "))
        };
        self.versions.iter().map(side).collect::<Vec<_>>().join("; ")
    }
}

/// Do most bytes of two BLAKE3s agree? Then one is the other, rotted: of different files hardly any
/// do.
fn is_nearly(a: &Hash, b: &Hash) -> bool {
    a.iter().zip(b).filter(|(a, b)| a == b).count() > a.len() / 2
}

/// The path of the line beside a run's wrapped key.
pub fn key_line_path(run: RunId) -> String {
    key_path(run).replace(".age", ".b3")
}

/// The key files of a set of these records.
pub fn key_files(set: &FoundSet, record_index: &RecordIndex) -> KeyFiles {
    let names: Vec<String> = set.all_drives().map(|found| found.drive.name().into()).collect();
    let copies = |run: RunId| -> Vec<KeyCopy> {
        // Of each drive the file and its second copy.
        let read = set.small_copies(&key_path(run), MAX_KEY_BYTES).into_iter().enumerate();
        read.filter_map(|(at, copy)| {
            let bytes = copy.read.ok().filter(|bytes| is_wrapped_key(bytes))?;
            Some((at / 2, *blake3::hash(&bytes).as_bytes()))
        })
        .collect()
    };
    // What lies under the name of a run that the set does not name, anybody may have put there.
    let runs: BTreeSet<RunId> = match set.set_text(&Recording::default()) {
        Some(text) => text.runs.iter().map(|line| line.run).collect(),
        None => record_index.runs().iter().map(|run| run.run).collect(),
    };
    let there = set.runs();
    let all: BTreeMap<RunId, Vec<KeyCopy>> =
        there.intersection(&runs).map(|run| (*run, copies(*run))).collect();
    let of_run = |(run, copies): (&RunId, &Vec<KeyCopy>)| {
        let path = key_path(*run);
        let others = all.iter().filter(|(other, _)| *other != run);
        let elsewhere = others.flat_map(|(_, copies)| copies).map(|(_, hash)| *hash).collect();
        let read = set.small_copies(&key_line_path(*run), MAX_LINE_BYTES).into_iter().enumerate();
        let lines = read
            .filter(|(at, _)| at % 2 == 0)
            .filter_map(|(at, copy)| Some((at / 2, named(&copy.read.ok()?, &path)?)))
            .collect();
        (*run, KeyFile::of(&names, copies, &lines, &elsewhere))
    };
    all.iter().map(of_run).collect()
}

/// The BLAKE3 that a line names for this path.
fn named(line: &[u8], path: &str) -> Option<Hash> {
    let (hex, name) = line.strip_suffix(b"\n")?.split_at_checked(64)?;
    let hash = blake3::Hash::from_hex(hex).ok()?;
    (name.strip_prefix(b"  ") == Some(path.as_bytes())).then_some(*hash.as_bytes())
}

/// The runs of which different key files lie on the drives; each is a problem.
pub fn report_different(set: &FoundSet, keys: &KeyFiles, monitor: &dyn Monitor) -> Vec<RunId> {
    let differ: Vec<RunId> =
        keys.iter().filter(|(_, file)| file.differs()).map(|(run, _)| *run).collect();
    for run in &differ {
        let subject = format!("set {}: {}", set.name(), key_path(*run));
        let detail = format!(
            "the drives have different ones, and without the key nothing shows which is the \
             packer's; each is kept, and tried when the set is opened: BLAKE3 {}",
            keys[run].sides()
        );
        monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }
    differ
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const OURS: Hash = [1; 32];
    const OTHER: Hash = [2; 32];
    const GONE: Hash = [3; 32];
    const ANOTHER_RUNS: Hash = [4; 32];
    /// Ours, in a line that rotted.
    const ROTTEN: Hash = {
        let mut hash = OURS;
        hash[7] ^= 1;
        hash
    };

    #[rstest]
    #[case::all_alike(&[(0, OURS), (0, OURS), (1, OURS), (1, OURS)], &[(0, OURS), (1, OURS)], Some(OURS), 1)]
    #[case::rot_on_one(&[(0, OTHER), (0, OURS), (1, OURS)], &[(0, OURS), (1, OURS)], Some(OURS), 1)]
    #[case::rot_before_it_is_closed(&[(0, OTHER), (1, OURS)], &[(0, OURS), (1, OURS)], Some(OURS), 1)]
    #[case::rot_of_file_and_line(&[(0, OTHER), (0, OURS), (1, OURS)], &[(1, OURS)], Some(OURS), 1)]
    #[case::a_line_rots(&[(0, OURS), (0, OURS)], &[(0, ROTTEN)], Some(OURS), 1)]
    #[case::a_line_and_a_copy_rot(&[(0, OURS)], &[(0, ROTTEN)], Some(OURS), 1)]
    #[case::both_copies_rot_alike(&[(0, OTHER), (0, OTHER)], &[(0, GONE)], None, 1)]
    #[case::anothers_with_its_line(&[(0, OTHER), (1, OURS)], &[(0, OTHER), (1, OURS)], None, 2)]
    #[case::four_against_three(&[(0, OTHER), (0, OTHER), (1, OURS), (1, OURS)], &[(0, OTHER), (1, OURS)], None, 2)]
    #[case::many_against_one(&[(0, OTHER), (2, OTHER), (3, OTHER), (1, OURS)], &[(1, OURS)], None, 2)]
    #[case::both_copies_against_the_line(&[(0, OTHER), (0, OTHER), (1, OURS)], &[(0, OURS)], None, 2)]
    #[case::both_copies_against_all_lines(&[(0, OTHER), (0, OTHER), (1, OURS)], &[(0, OURS), (1, OURS)], Some(OURS), 1)]
    #[case::rot_of_the_only_copy(&[(0, OTHER)], &[(0, GONE)], None, 1)]
    #[case::another_runs_in_its_place(&[(0, OTHER), (0, OTHER)], &[(0, ANOTHER_RUNS)], None, 1)]
    #[case::lines_that_deny_it_alike(&[(0, OTHER), (1, OTHER)], &[(0, GONE), (1, GONE)], None, 1)]
    #[case::one_drives_line_says_so(&[(0, OURS), (1, OURS)], &[(0, ANOTHER_RUNS), (1, OURS)], Some(OURS), 1)]
    #[case::nothing(&[], &[(0, OURS)], None, 0)]
    fn only_its_own_drive_convicts_a_key_file(
        #[case] copies: &[KeyCopy],
        #[case] lines: &[(usize, Hash)],
        #[case] right: Option<Hash>,
        #[case] versions: usize,
    ) {
        let names = ["a", "b", "c", "d"].map(String::from);
        let lines = lines.iter().copied().collect();
        let file = KeyFile::of(&names, copies, &lines, &[ANOTHER_RUNS].into());
        assert_eq!(file.right().copied(), right);
        assert_eq!((file.versions.len(), file.differs()), (versions, versions > 1));
    }

    /// Copies that rotted all are no key; a line that rotted takes none away.
    #[rstest]
    #[case::both_of_one_drive(&[(0, OURS), (0, OTHER)], &[(0, GONE)], true)]
    #[case::both_of_one_drive_alike(&[(0, OTHER), (0, OTHER)], &[(0, GONE)], true)]
    #[case::alike_on_all_drives(&[(0, OTHER), (1, OTHER)], &[(0, GONE), (1, GONE)], true)]
    #[case::one_of_many_is_sound(&[(0, OTHER), (1, OURS)], &[(0, GONE), (1, OURS)], false)]
    #[case::a_line_rots(&[(0, OURS), (0, OURS)], &[(0, ROTTEN)], false)]
    #[case::no_lines(&[(0, OURS), (0, OTHER)], &[], false)]
    fn a_key_of_which_every_copy_is_damaged_is_lost(
        #[case] copies: &[KeyCopy],
        #[case] lines: &[(usize, Hash)],
        #[case] is_lost: bool,
    ) {
        let names = ["a", "b"].map(String::from);
        let lines = lines.iter().copied().collect();
        let file = KeyFile::of(&names, copies, &lines, &BTreeSet::new());
        assert_eq!((file.is_denied(), file.is_lost()), (is_lost, is_lost));
    }
}

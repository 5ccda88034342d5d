//! What the copies of set.txt on the drives say.
//!
//! - Enters: a set as it was found.
//! - Leaves: the texts that drives vouch for, each with how many do.
//! - Always holds: (1) a drive vouches for one text: its set.txt and second copy agree, or one of
//!   them is what its checklist says, or it is the only one and nothing speaks against it; so rot
//!   in one of the three is damage, and no conflict; (2) drives are never held against each other
//!   here; (3) where no drive vouches for any, each text that is valid counts.

use super::found::{FoundDrive, FoundSet, Settled};
use crate::drives::{ReadMode, on_each};
use crate::format::ids::parse_record_name;
use crate::format::layout::COPY;
use crate::format::list::Hash;
use crate::format::metadata_file::{Written, fixed_paths};
use crate::format::set::{MAX_SET_BYTES, RunLine, SetText};
use crate::format::shown::hex;
use crate::monitor::{Monitor, Problem, ProblemKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The longest checklist that is looked into.
const MAX_CHECKLIST_BYTES: u64 = 1 << 30;
/// No line of it is longer.
const LINE_BYTES: usize = 256;

/// A text, and who vouches for it.
pub struct VouchedText {
    /// names of the drives
    pub drives: Vec<String>,
    pub text: SetText,
}

/// Texts by root.
pub type Texts = BTreeMap<Hash, VouchedText>;

impl FoundSet {
    /// The set by each other set.txt that as many of its drives have, if only they can tell which
    /// counts.
    pub fn rivals(&self) -> Vec<Self> {
        let texts = if self.settled == Settled::ByDrives { rival_texts(self) } else { Vec::new() };
        let by = |text| Self { settled: Settled::Text(Arc::new(text)), ..self.clone() };
        texts.into_iter().map(by).collect()
    }

    /// set.txt, if the set was closed. Where that has to be settled by the drives, it is reported
    /// if they vouch for different ones.
    pub fn set_text(&self, monitor: &dyn Monitor) -> Option<SetText> {
        match &self.settled {
            Settled::Text(text) => return Some(text.as_ref().clone()),
            Settled::Nothing => return None,
            Settled::ByDrives => {}
        }
        let texts = texts(self);
        if texts.len() > 1 {
            let subject = format!("set {}: set.txt", self.name());
            let detail = format!(
                "different valid copies lie on the drives, and only the root that pack printed tells \
                 which is right (--expect ROOT): {}",
                sides(&texts)
            );
            monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
        usual(self, texts)
    }
}

/// The text that most drives vouch for; of several one whose record files are here, so that one
/// that demands what never was wins against none; of these the one with the most records, so that
/// one cut short does not either.
pub fn usual(set: &FoundSet, texts: Texts) -> Option<SetText> {
    by_weight(set, texts).pop()
}

/// The texts for which as many drives vouch as for the [`usual`] one: without key and root, each
/// may be the right one.
fn rival_texts(set: &FoundSet) -> Vec<SetText> {
    let mut texts = by_weight(set, texts(set));
    texts.pop();
    texts
}

/// The texts that most drives vouch for, the usual one last.
fn by_weight(set: &FoundSet, texts: Texts) -> Vec<SetText> {
    let most = texts.values().map(|v| v.drives.len()).max();
    let of_most = texts.into_values().filter(|v| Some(v.drives.len()) == most);
    let mut of_most: Vec<SetText> = of_most.map(|version| version.text).collect();
    if of_most.len() > 1 {
        let names = set.names("records");
        let here: BTreeSet<_> = names.iter().filter_map(|name| parse_record_name(name)).collect();
        let has_all = |line: &RunLine| {
            here.range((line.run, 0)..(line.run, line.files)).count() == line.files as usize
        };
        let records =
            |text: &SetText| text.runs.iter().map(|run| u64::from(run.stripes)).sum::<u64>();
        of_most.sort_by_cached_key(|text| (text.runs.iter().all(has_all), records(text)));
    }
    of_most
}

/// Says of each of these texts who vouches for it.
pub fn sides(texts: &Texts) -> String {
    let side = |(root, version): (&Hash, &VouchedText)| {
        format!("root {} on {}", hex(root), version.drives.join(", "))
    };
    texts.iter().map(side).collect::<Vec<_>>().join("; ")
}

pub fn texts(set: &FoundSet) -> Texts {
    let (mut vouched, mut unsure) = (Texts::new(), Texts::new());
    let drives: Vec<&FoundDrive> = set.all_drives().collect();
    let looked = on_each(drives.len(), |i| {
        let valid = valid_copies(set, drives[i]);
        let word = word(set, drives[i], &valid);
        (valid, word)
    });
    for (found, (valid, word)) in drives.iter().zip(looked) {
        let (texts, counted) = match word {
            Some(root) => (&mut vouched, vec![root]),
            None => (&mut unsure, valid.keys().copied().collect()),
        };
        for (root, (_, text)) in valid.into_iter().filter(|(root, _)| counted.contains(root)) {
            let version = texts.entry(root).or_insert(VouchedText { drives: Vec::new(), text });
            version.drives.push(found.drive.name().into());
        }
    }
    if vouched.is_empty() { unsure } else { vouched }
}

/// Tells each set.txt of a set, of which none is valid, that lies there all the same: the set was
/// closed.
pub fn report_rejected(set: &FoundSet, monitor: &dyn Monitor) {
    for found in set.all_drives() {
        for path in [format!("{}/set.txt", set.folder), format!("{}/{COPY}/set.txt", set.folder)] {
            if found.drive.open(&path, ReadMode::Cached).is_ok() {
                let subject = format!("{}: {path}", found.drive.name());
                let detail = "is damaged, or of another set: this one was closed, and nothing shows where it ends";
                monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
            }
        }
    }
}

/// Does a drive have a set.txt, valid or not, or a checklist? It was here when the set was closed
/// then; what cannot be looked at may have one.
pub fn has_end(set: &FoundSet, found: &FoundDrive) -> bool {
    fixed_paths(&[Written::AtClose]).any(|name| {
        let opened = found.drive.open(&format!("{}/{name}", set.folder), ReadMode::Cached);
        !opened.is_err_and(|error| error.is_missing())
    })
}

/// The different copies on one drive that are a set.txt of this set, and how often each is there.
type Valid = BTreeMap<Hash, (usize, SetText)>;

fn valid_copies(set: &FoundSet, found: &FoundDrive) -> Valid {
    let mut valid = Valid::new();
    for path in [format!("{}/set.txt", set.folder), format!("{}/{COPY}/set.txt", set.folder)] {
        let Ok(bytes) = found.drive.read(&path, MAX_SET_BYTES) else { continue };
        if let Ok(text) = SetText::decode(&bytes)
            && (text.shipment, text.set) == (set.shipment, set.set)
        {
            valid.entry(*blake3::hash(&bytes).as_bytes()).or_insert((0, text)).0 += 1;
        }
    }
    valid
}

/// Which of its copies a drive vouches for.
fn word(set: &FoundSet, found: &FoundDrive, valid: &Valid) -> Option<Hash> {
    if let Some((root, _)) = valid.iter().find(|(_, (copies, _))| *copies == 2) {
        return Some(*root);
    }
    if valid.is_empty() {
        return None;
    }
    match listed(set, found) {
        Some(root) => valid.contains_key(&root).then_some(root),
        None => valid.keys().next().copied().filter(|_| valid.len() == 1),
    }
}

/// What a drive's checklist says of set.txt.
fn listed(set: &FoundSet, found: &FoundDrive) -> Option<Hash> {
    let path = format!("{}/checklist.b3", set.folder);
    let (mut listed, mut line) = (None, Vec::new());
    let mut look = |part: &[u8]| {
        for byte in part {
            if *byte == b'\n' {
                let hex = line.strip_suffix(b"  set.txt").filter(|_| listed.is_none());
                listed = listed.or(hex.and_then(|hex| blake3::Hash::from_hex(hex).ok()));
                line.clear();
            } else if line.len() < LINE_BYTES {
                line.push(*byte);
            }
        }
    };
    let drive = &found.drive;
    drive.read_parts(&path, MAX_CHECKLIST_BYTES, ReadMode::Cached, &mut look).ok()?;
    listed.map(|hash| *hash.as_bytes())
}

//! What lies beside the sets on a drive and explains it to whoever finds it. No hash covers these
//! files, and no reader needs them.
//!
//! - Enters: a drive with sets on it.
//! - Leaves: what is to be written so that the drive explains all of them; which texts on it are
//!   not those of this program.
//! - Always holds: (1) README.txt names every set on its drive, with whom to ask about it; (2) a
//!   file of one of these names that holdall did not write is never touched: ours goes into the
//!   set's folder then; (3) what is written is this program's own text, and never a copy from a
//!   drive, for a person may run the reader and give it a key.

use crate::drives::{Drive, DriveError, ReadMode, WriteMode};
use crate::format::ids::{SetNumber, ShipmentId, set_folder};
use crate::format::label::{Label, MAX_LABEL_BYTES};
use crate::format::layout::{COPY, HOLDALL};
use crate::format::list::shown_path;
use crate::format::shown::shown_text;
use crate::monitor::Monitor;
use crate::shipment::FoundSet;
use crate::shipment::texts::has_end;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::ErrorKind;

/// The specification, as it lies on every drive.
const FORMAT_MD: &str = include_str!("../format/format.md");
/// The reader in Python, as it lies on every drive.
const READER_PY: &str = include_str!("../../tests/reference_reader.py");
const README_TXT: &str = "README.txt";
/// The names of these files in `holdall/`, and by what words among their first bytes ours are
/// known.
const BESIDE_SETS: [(&str, &str); 3] = [
    (README_TXT, "This drive was packed by holdall"),
    ("format.md", "# The format of holdall"),
    ("reader.py", "reader.py: reads drives that holdall packed"),
];
/// Bytes at the beginning of a file that tell whose it is.
const FIRST_BYTES: usize = 256;
/// The longest README.txt of which the sets' names are read, and more than ours is.
const MAX_README_BYTES: u64 = 4 << 20;

/// What explaining a drive takes.
#[derive(Default)]
pub struct Explanation {
    /// files to be written, or written over: path and bytes
    pub writes: Vec<(String, Vec<u8>)>,
    /// files of these paths are somebody else's, and stay
    pub kept: Vec<String>,
}

/// What is missing on a drive that carries this set.
pub fn explanation(
    drive: &dyn Drive,
    shipment: ShipmentId,
    set: SetNumber,
) -> Result<Explanation, DriveError> {
    let mut missing = Explanation::default();
    for text in texts(drive)? {
        let path = format!("{HOLDALL}/{}", text.name);
        let in_set = format!("{HOLDALL}/{}/{}", set_folder(shipment, set), text.name);
        let is_anothers =
            |path: &str| Ok(matches!(whose(drive, path, text.words)?, Whose::Another));
        let is_kept = is_anothers(&path)?;
        let there = if is_kept { &in_set } else { &path };
        if !is_anothers(there)? && !text.is_in(drive, there)? {
            missing.writes.push((there.clone(), text.content.into()));
        }
        if is_kept {
            missing.kept.push(path);
        }
    }
    Ok(missing)
}

/// A text that belongs beside the sets on a drive.
struct ReadmeText {
    name: &'static str,
    /// by what words it is known
    words: &'static str,
    content: String,
    /// of README.txt where a label cannot be read: the sets that it names at least, and at most
    bounds: Option<[BTreeSet<String>; 2]>,
}

fn texts(drive: &dyn Drive) -> Result<[ReadmeText; 3], DriveError> {
    let sets = sets_on(drive)?;
    let (readme, known) = readme(drive, &sets);
    let mut texts = [readme, FORMAT_MD.into(), READER_PY.into()].into_iter();
    Ok(BESIDE_SETS.map(|(name, words)| {
        let in_doubt = name == README_TXT && known != sets;
        let bounds = in_doubt.then(|| [known.clone(), sets.clone()]);
        ReadmeText { name, words, content: texts.next().unwrap_or_default(), bounds }
    }))
}

impl ReadmeText {
    /// Does a file hold it, to the letter? No more of the file is read.
    fn is_in(&self, drive: &dyn Drive, path: &str) -> Result<bool, DriveError> {
        let len = self.content.len() as u64;
        match drive.open(path, ReadMode::Cached) {
            Ok(file) if file.len() == len && drive.read(path, len)? == self.content.as_bytes() => {
                Ok(true)
            }
            // One that was written when the labels could be read says more.
            Ok(file) if file.len() <= MAX_README_BYTES => match &self.bounds {
                Some([least, most]) => {
                    let named = named_in(drive, path)?;
                    Ok(least.is_subset(&named) && named.is_subset(most))
                }
                None => Ok(false),
            },
            Ok(_) => Ok(false),
            Err(e) if e.is_missing() || is_no_file(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// Says of each drive of these sets which of the texts on it are not those that this program
/// writes. That is no damage: another version writes others. But nothing else shows what somebody
/// changed.
pub fn note_other_texts(sets: &[FoundSet], monitor: &dyn Monitor) {
    let mut seen = BTreeSet::new();
    let mut by_texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (set, found) in sets.iter().flat_map(|set| set.all_drives().map(move |d| (set, d))) {
        // What cannot be read of them is missed by nobody.
        let drive = found.drive.as_ref();
        let fresh = seen.insert(drive.name().to_owned());
        let others = if fresh { other_texts(drive, &set.folder) } else { Ok(Vec::new()) };
        let others = others.unwrap_or_default();
        if !others.is_empty() {
            by_texts.entry(others.join(", ")).or_default().push(drive.name());
        }
    }
    for (gone, drives) in without(sets) {
        let more = more(drives.len() - 1);
        let first = drives[0];
        monitor.note(&format!("{gone} on {first}{more}: missing; repair writes what is missing"));
    }
    for (others, drives) in by_texts {
        let more = more(drives.len() - 1);
        monitor.note(&format!(
            "{others} on {}{more}: not what this version writes; another version wrote that, or \
             somebody changed it. Take README.txt, format.md and reader.py from holdall's source; repair puts this \
             program's own in place of those that holdall wrote",
            drives[0]
        ));
    }
}

fn more(drives: usize) -> String {
    match drives {
        0 => String::new(),
        1 => " and another drive".into(),
        more => format!(" and {more} more drives"),
    }
}

/// The texts that are gone from drives of closed sets, and from which.
fn without(sets: &[FoundSet]) -> BTreeMap<String, Vec<&str>> {
    let mut by_texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (set, found) in sets.iter().flat_map(|set| set.all_drives().map(move |d| (set, d))) {
        let drive = found.drive.as_ref();
        if !has_end(set, found) || !seen.insert(drive.name()) {
            continue;
        }
        let is_gone = |path: &String| drive.probe(path).is_err_and(|e| e.is_missing());
        let wanted = explanation(drive, set.shipment, set.set).unwrap_or_default().writes;
        let gone: Vec<String> = wanted.into_iter().map(|(path, _)| path).filter(is_gone).collect();
        if !gone.is_empty() {
            by_texts.entry(gone.join(", ")).or_default().push(drive.name());
        }
    }
    by_texts
}

fn other_texts(drive: &dyn Drive, set: &str) -> Result<Vec<String>, DriveError> {
    let mut others = Vec::new();
    for text in texts(drive)? {
        for path in [HOLDALL, set].map(|folder| format!("{folder}/{}", text.name)) {
            let is_there = !matches!(whose(drive, &path, text.words)?, Whose::Nobodys);
            if is_there && !text.is_in(drive, &path)? {
                others.push(path);
            }
        }
    }
    Ok(others)
}

/// Says that files that are somebody else's stay.
pub fn kept_text(drive: &dyn Drive, kept: &[String]) -> String {
    let (drive, kept) = (drive.name(), kept.join(" and "));
    format!("{drive}: not written by holdall and left as is: {kept}; ours is in the set's folder")
}

/// After a set was removed from a drive: README.txt names those that are left, and goes with the
/// last, as do the others.
pub fn after_removal(drive: &dyn Drive) -> Result<(), DriveError> {
    let sets = sets_on(drive)?;
    for (name, ours) in BESIDE_SETS {
        let path = format!("{HOLDALL}/{name}");
        if !matches!(whose(drive, &path, ours)?, Whose::Ours) {
            continue;
        }
        if sets.is_empty() {
            drive.remove(&path)?;
        } else if name == README_TXT && named_in(drive, &path)? != sets {
            drive.write(&path, readme(drive, &sets).0.as_bytes(), WriteMode::Replace)?;
        }
    }
    if drive.list(HOLDALL)?.is_empty() { drive.remove_folder(HOLDALL) } else { Ok(()) }
}

/// Who wrote a file.
enum Whose {
    /// there is none
    Nobodys,
    Ours,
    Another,
}

fn whose(drive: &dyn Drive, path: &str, words: &str) -> Result<Whose, DriveError> {
    let mut first = vec![0; FIRST_BYTES];
    let opened = drive.open(path, ReadMode::Cached);
    let read = opened.and_then(|mut file| file.read_at(0, &mut first));
    match read {
        Ok(len) => {
            let ours = String::from_utf8_lossy(&first[..len]).contains(words);
            Ok(if ours { Whose::Ours } else { Whose::Another })
        }
        Err(e) if e.is_missing() => Ok(Whose::Nobodys),
        Err(e) if is_no_file(&e) => Ok(Whose::Another),
        Err(e) => Err(e),
    }
}

/// Is it a folder, a link or a pipe?
fn is_no_file(error: &DriveError) -> bool {
    let is_link = error.source.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    is_link || [ErrorKind::IsADirectory, ErrorKind::InvalidInput].contains(&error.source.kind())
}

/// The folders of sets on a drive.
fn sets_on(drive: &dyn Drive) -> Result<BTreeSet<String>, DriveError> {
    let is_set = |name: &String| {
        let id = name.split_once('-').and_then(|(shipment, set)| {
            Some((shipment.parse().ok()?, SetNumber(set.parse().ok()?)))
        });
        id.is_some_and(|(shipment, set)| set_folder(shipment, set) == *name)
    };
    Ok(drive.list(HOLDALL)?.into_iter().filter(is_set).collect())
}

/// How the line of a set begins in README.txt.
const SET_LINE: &str = "Set ";

/// The sets that a README.txt of ours names.
fn named_in(drive: &dyn Drive, path: &str) -> Result<BTreeSet<String>, DriveError> {
    let bytes = drive.read(path, MAX_README_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    let name = |line: &str| {
        let rest = line.strip_prefix(SET_LINE)?;
        rest.split([',', ':', ' ']).next().map(ToString::to_string)
    };
    Ok(text.lines().filter_map(name).collect())
}

/// What README.txt says of checking and restoring; ASCII, for whatever shows it.
const HOW_TO: &str = "\
If you found this drive, please ask the contact above.

CHECK IT. This needs no key:
    holdall verify DRIVE
or, with b3sum alone:
    cd holdall/<folder of the set>
    b3sum --check checklist.b3

RESTORE IT. This needs the recipient's key and, of each set, enough of its
drives: as many as its rule allows may be missing.
    holdall restore DRIVE ... -i KEY --to FOLDER

holdall runs on Linux and is built from its source, which has no public
address yet: ask the contact for it.

RESTORE IT WITHOUT HOLDALL, on Linux, macOS or Windows. reader.py beside this
file needs Python 3.9 or later and four packages.

  Linux and macOS, in a terminal (macOS has drives under /Volumes):
    python3 -m venv reader
    reader/bin/pip install blake3 zstandard cryptography pyrage
    reader/bin/python reader.py restore /media/usb1 /media/usb2 -i KEY --to FOLDER

  Windows, in PowerShell or a command prompt:
    py -m pip install blake3 zstandard cryptography pyrage
    py reader.py restore E: F: -i KEY --to FOLDER

If the drives carry several shipments, add --shipment and the first 16 digits
of a set's name. What a system cannot hold (names with : on Windows, say) is
named at the end. format.md specifies every byte on this drive.

Whoever had this drive may have changed reader.py, format.md and this text.
Unless you trust them all, take them from holdall's source
(tests/reference_reader.py, src/format/format.md) before you give a key to
anything.
";

/// What a person reads who finds the drive; with it, the sets of which a label could be read.
fn readme(drive: &dyn Drive, sets: &BTreeSet<String>) -> (String, BTreeSet<String>) {
    let mut known = BTreeSet::new();
    let mut t = String::from(
        "This drive was packed by holdall, a tool that moves datasets on drives.\n\
         It carries a part of what is named here, encrypted. It hides nothing else.\n\n",
    );
    for set in sets {
        let label = [format!("{HOLDALL}/{set}"), format!("{HOLDALL}/{set}/{COPY}")]
            .iter()
            .filter_map(|folder| drive.read(&format!("{folder}/label.json"), MAX_LABEL_BYTES).ok())
            .find_map(|bytes| Label::decode(&bytes).ok());
        // Writing to a String cannot fail.
        let Some(label) = label else {
            let _ = writeln!(t, "{SET_LINE}{set}: its label cannot be read\n");
            continue;
        };
        known.insert(set.clone());
        let or = |text: &str, none: &str| {
            let text = if text.is_empty() { none } else { text };
            shown_text(&shown_path(text.as_bytes())).into_owned()
        };
        let (slot, drives) = (label.slot, label.drives);
        let _ = writeln!(t, "{SET_LINE}{set}, drive {slot} of {drives}, case {}", label.case);
        let _ = writeln!(t, "  Dataset: {}", or(&label.name, "(no name)"));
        let _ = writeln!(t, "  Packed:  {}", or(&label.created, "(unknown)"));
        let _ = writeln!(t, "  Contact: {}\n", or(&label.contact, "(nobody was named)"));
    }
    t.push_str(HOW_TO);
    // Windows' Notepad shows lines only since 2018 if they end as elsewhere.
    (t.replace('\n', "\r\n"), known)
}

//! `custody/*.json`: that a drive was checked on its way: when, by whom, how, and what was found.
//!
//! - Enters: what was found of a drive, or bytes that were read from one, which may be anything.
//! - Leaves: a file's bytes and name; or a note whose every field is of its form.
//! - Always holds: (1) nothing depends on a note: no hash covers it, and nobody vouches for it; (2)
//!   a note is one file that is written once, so that a signature can lie beside it.

use super::error::FormatError;
use super::ids::{RunId, SetNumber, ShipmentId, Slot, set_folder};
use super::label::checked_case;
use serde::{Deserialize, Serialize};

/// What [`CustodyNote::what`] says.
pub const WHAT: &str = "holdall custody note";
/// The version of a note's form.
pub const VERSION: u64 = 1;
/// The longest note that is read.
pub const MAX_NOTE_BYTES: u64 = 16 << 10;
/// The longest name of a note.
const MAX_NAME_BYTES: usize = 96;
/// The most bytes of [`CustodyNote::by`].
pub const MAX_BY_BYTES: usize = 200;
/// The most bytes of [`CustodyNote::text`].
pub const MAX_TEXT_BYTES: usize = 4000;

/// What a drive was read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CustodyEvent {
    /// pack, after the set was closed
    ReadBack,
    Verify,
}

/// How much of a drive was to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CustodyDepth {
    /// a random sample of the blocks of its shards, and all other files
    Sample,
    /// all
    All,
    /// all, and every file of the dataset was opened and decoded
    Decoded,
}

/// What was found on a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CustodyResult {
    /// all that was to be read was read, and is as it was written
    Whole,
    /// some of it is not
    Damaged,
    /// it was not read to its end; what was read may be damaged, too
    Stopped,
    /// nothing of it was read
    NotRead,
    /// the drive stopped answering
    Gone,
    /// no record was at hand to check it by
    Unknown,
}

/// That a drive was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyNote {
    /// always `holdall custody note`
    pub what: String,
    /// version of the form
    pub version: u64,
    pub event: CustodyEvent,
    /// when, RFC 3339, UTC, in seconds
    pub time: String,
    /// who, as it was typed; may be empty
    pub by: String,
    /// what else was typed; may be empty
    pub text: String,
    /// the program that checked it
    pub program: String,
    pub shipment: ShipmentId,
    pub set: SetNumber,
    /// 0 if nothing tells it
    pub slot: Slot,
    pub case: String,
    /// BLAKE3 of the set.txt that was believed, in hexadecimal, if there was one
    pub root: Option<String>,
    pub depth: CustodyDepth,
    /// how it was read: `direct`, `dropped`, `cached` or `none`
    pub level: String,
    /// bytes of shards that were read
    pub bytes: u64,
    pub result: CustodyResult,
    pub missing_shards: u64,
    /// blocks that are damaged, or could not be read
    pub bad_blocks: u64,
    /// files other than shards that are damaged or missing, and shards that are too long
    pub bad_files: u64,
}

impl CustodyNote {
    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .expect("a note is strings and numbers, which always have a JSON form");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a note; a newer form is told apart from damage.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        #[derive(Deserialize)]
        struct Head {
            what: String,
            version: u64,
        }
        let invalid =
            |field, value: String| Err(FormatError::invalid("custody note", field, value));
        let json = |e: serde_json::Error| FormatError::invalid("custody note", "JSON", e);
        let head: Head = serde_json::from_slice(bytes).map_err(json)?;
        if head.what != WHAT {
            return invalid("what", head.what);
        }
        if head.version > VERSION {
            return Err(FormatError::Newer { what: "custody note", found: head.version });
        }
        let note: Self = serde_json::from_slice(bytes).map_err(json)?;
        checked_case(&note.case).or_else(|e| if note.case == "?" { Ok("?") } else { Err(e) })?;
        if note.version == 0 {
            return invalid("version", note.version.to_string());
        }
        if !is_time(&note.time) {
            return invalid("time", note.time);
        }
        if note.by.len() > MAX_BY_BYTES || note.text.len() > MAX_TEXT_BYTES {
            return invalid("by or text", "too long".into());
        }
        if note.root.as_ref().is_some_and(|root| blake3::Hash::from_hex(root).is_err()) {
            return invalid("root", note.root.unwrap_or_default());
        }
        if !["direct", "dropped", "cached", "none"].contains(&note.level.as_str()) {
            return invalid("level", note.level);
        }
        Ok(note)
    }

    /// The name that tells notes apart: it begins with the time, so that names sort by it.
    pub fn dated_name(&self) -> String {
        let time = self.time.to_ascii_lowercase().replace(['-', ':'], "");
        let event = match self.event {
            CustodyEvent::ReadBack => "read-back",
            CustodyEvent::Verify => "verify",
        };
        let hash = blake3::hash(&self.encode()).to_hex();
        format!("{time}-{event}-{}.json", &hash[..16])
    }

    /// The folder of its set on a drive.
    pub fn set_name(&self) -> String {
        set_folder(self.shipment, self.set)
    }
}

/// The name of the note of a run's last read-back, which the next one replaces.
pub fn read_back_name(run: RunId) -> String {
    format!("read-back-{run}.json")
}

/// May a note be called so?
pub fn is_note_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    name.len() <= MAX_NAME_BYTES && name.bytes().all(good) && name.strip_suffix(".json").is_some()
}

/// Is this `2026-01-01T00:00:00Z`?
fn is_time(text: &str) -> bool {
    let form = b"dddd-dd-ddTdd:dd:ddZ";
    let fits = |(b, f): (u8, &u8)| if *f == b'd' { b.is_ascii_digit() } else { b == *f };
    text.len() == form.len() && text.bytes().zip(form).all(fits)
}

/// The note that the page shows.
#[cfg(test)]
pub(crate) fn example() -> CustodyNote {
    CustodyNote {
        what: WHAT.into(),
        version: VERSION,
        event: CustodyEvent::Verify,
        time: "2026-01-02T03:04:05Z".into(),
        by: "Ann, customs hall 3".into(),
        text: "seal unbroken".into(),
        program: "holdall 0.1.0".into(),
        shipment: ShipmentId(0x0123_4567_89ab_cdef),
        set: SetNumber(1),
        slot: Slot(2),
        case: "green".into(),
        root: Some("89f433b087fea7d5fe95cc7c2771de82e76c38b0fbd027574a5a934bc710bc55".into()),
        depth: CustodyDepth::All,
        level: "direct".into(),
        bytes: 12_288,
        result: CustodyResult::Whole,
        missing_shards: 0,
        bad_blocks: 0,
        bad_files: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_note_is_what_the_page_shows() {
        let (note, page) = (example(), include_str!("format.md"));
        let bytes = note.encode();
        let shown = format!("custody/{}\n{}", note.dated_name(), String::from_utf8_lossy(&bytes));
        assert!(page.contains(&shown), "{shown}");
        assert_eq!(CustodyNote::decode(&bytes).unwrap(), note);
        assert!(is_note_name(&note.dated_name()) && is_note_name(&read_back_name(RunId(1))));
    }

    #[rstest]
    #[case("\"version\": 1", "\"version\": 2")]
    #[case("\"version\": 1", "\"version\": 0")]
    #[case("holdall custody note", "holdall drive")]
    #[case("2026-01-02T03", "2026-01-02 03")]
    #[case("\"green\"", "\"../green\"")]
    #[case("\"direct\"", "\"surely\"")]
    #[case("\"whole\"", "\"fine\"")]
    #[case("89f4", "89f")]
    #[case("\"bytes\": 12288,", "")]
    #[case("12288", "-1")]
    fn what_breaks_a_rule_is_no_note(#[case] good: &str, #[case] bad: &str) {
        let text = String::from_utf8(example().encode()).unwrap();
        assert!(text.contains(good));
        assert!(CustodyNote::decode(text.replace(good, bad).as_bytes()).is_err());
    }

    #[test]
    fn names_are_plain() {
        for bad in ["a.json.sig", "A.json", "a b.json", "a/b.json", "", "a.tmp", "\u{e9}.json"] {
            assert!(!is_note_name(bad), "{bad}");
        }
        assert!(!is_note_name(&format!("{}.json", "a".repeat(MAX_NAME_BYTES))));
    }
}

//! `set.txt`: what a closed set consists of, in clear, one fact per line. Its BLAKE3, as
//! `b3sum set.txt` prints it, is the set's root.

use super::error::{FORMAT_VERSION, FormatError};
use super::ids::{RunId, SetNumber, ShipmentId, Slot};
use super::label::checked_case;
use super::list::Hash;
use super::shown::hex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The longest set.txt that is read.
pub const MAX_SET_BYTES: u64 = 4 << 20;

/// A drive of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotLine {
    /// its number
    pub slot: Slot,
    /// its case; [`UNKNOWN_CASE`] if the set was closed without knowing it
    pub case: String,
    /// BLAKE3 of its label.json; none together with an unknown case
    pub label: Option<Hash>,
}

impl SlotLine {
    /// Its case, if that was known.
    pub fn known_case(&self) -> Option<String> {
        (self.case != UNKNOWN_CASE).then(|| self.case.clone())
    }
}

/// Stands for the case of a drive that was not here when its set was closed from the drives alone.
pub const UNKNOWN_CASE: &str = "?";

/// A run of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLine {
    pub run: RunId,
    /// commitment of its key
    pub commitment: Hash,
    /// record files
    pub files: u32,
    /// stripes in them
    pub stripes: u32,
    /// BLAKE3 of its last record file (of the run before it if it has none)
    pub last: Hash,
}

/// A catalog file of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartLine {
    /// the run that sealed it
    pub run: RunId,
    /// its number, or [`super::ids::INDEX_PART`]
    pub part: u32,
    /// bytes of the file
    pub bytes: u64,
    /// BLAKE3 of the file
    pub root: Hash,
}

/// A whole `set.txt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetText {
    pub shipment: ShipmentId,
    pub set: SetNumber,
    /// when it was closed, RFC 3339
    pub closed: String,
    /// the `--survive` rule
    pub survive: String,
    /// drives by slot, from 1
    pub slots: Vec<SlotLine>,
    /// runs in order
    pub runs: Vec<RunLine>,
    /// catalog files in order, the index last; without an index, the set was closed from its drives
    /// alone
    pub parts: Vec<PartLine>,
    /// root of the set before, if there is one
    pub before: Option<Hash>,
    /// the shipment this one adds to (reserved for deltas)
    pub base: Option<ShipmentId>,
    /// is this the shipment's last set; without an index, `false` only says that nobody knew
    pub last: bool,
    /// MAC of the lines before under the set key of the run that sealed the index; none without one
    pub mac: Option<Hash>,
}

const WHAT: &str = "set.txt";
const NONE: &str = "none";

fn or_none(hash: Option<&Hash>) -> String {
    hash.map_or(NONE.into(), hex)
}

impl SetText {
    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut t = self.lines();
        t.extend(format!("mac {}\n", or_none(self.mac.as_ref())).into_bytes());
        t
    }

    /// The bytes under the MAC: all but the last line.
    pub fn lines(&self) -> Vec<u8> {
        let mut t = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut t);
        t.into_bytes()
    }

    fn write(&self, t: &mut String) -> std::fmt::Result {
        writeln!(t, "holdall-set {FORMAT_VERSION}")?;
        writeln!(t, "shipment {}", self.shipment)?;
        writeln!(t, "set {}", self.set)?;
        writeln!(t, "closed {}", self.closed)?;
        writeln!(t, "survive {}", self.survive)?;
        for s in &self.slots {
            writeln!(t, "slot {} {} {}", s.slot, s.case, or_none(s.label.as_ref()))?;
        }
        for r in &self.runs {
            let (commitment, last) = (hex(&r.commitment), hex(&r.last));
            writeln!(t, "run {} {commitment} {} {} {last}", r.run, r.files, r.stripes)?;
        }
        for p in &self.parts {
            writeln!(t, "part {} {} {} {}", p.run, p.part, p.bytes, hex(&p.root))?;
        }
        writeln!(t, "before {}", or_none(self.before.as_ref()))?;
        writeln!(t, "base {}", self.base.map_or(NONE.into(), |b| b.to_string()))?;
        writeln!(t, "last {}", if self.last { "yes" } else { "no" })
    }

    /// Reads a set.txt: the lines in the order above, nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|e| FormatError::invalid(WHAT, "text", e.to_string()))?;
        let Some(text) = text.strip_suffix('\n') else {
            return Err(FormatError::invalid(WHAT, "end", "no line end"));
        };
        let mut lines = Lines { lines: text.split('\n').collect(), at: 0 };
        let version: u64 = lines.number("holdall-set")?;
        if version == 0 {
            return Err(FormatError::invalid(WHAT, "holdall-set", version));
        }
        if version != FORMAT_VERSION as u64 {
            return Err(FormatError::Newer { what: WHAT, found: version });
        }
        let set = Self {
            shipment: lines.parsed("shipment")?,
            set: SetNumber(lines.number("set")?),
            closed: lines.rest("closed")?.into(),
            survive: lines.rest("survive")?.into(),
            slots: lines.many("slot", slot_line)?,
            runs: lines.many("run", run_line)?,
            parts: lines.many("part", part_line)?,
            before: lines.optional("before", parse_hash)?,
            base: lines.optional("base", |t| t.parse().ok())?,
            last: match lines.rest("last")? {
                "yes" => true,
                "no" => false,
                other => return Err(FormatError::invalid(WHAT, "last", other)),
            },
            mac: lines.optional("mac", parse_hash)?,
        };
        if lines.at != lines.lines.len() {
            return Err(FormatError::invalid(WHAT, "line", lines.lines[lines.at]));
        }
        let in_order = set.slots.iter().enumerate().all(|(i, s)| s.slot.0 as usize == i + 1);
        let indices = set.parts.iter().filter(|p| p.part == super::ids::INDEX_PART).count();
        if indices != usize::from(set.index().is_some()) || set.set.0 == 0 {
            return Err(FormatError::invalid(WHAT, "part", "the index is not last"));
        }
        let runs: BTreeSet<_> = set.runs.iter().map(|line| line.run).collect();
        if set.runs.is_empty() || runs.len() < set.runs.len() {
            return Err(FormatError::invalid(WHAT, "run", "there is none, or one is there twice"));
        }
        let parts: BTreeSet<_> = set.parts.iter().map(|line| (line.run, line.part)).collect();
        if parts.len() < set.parts.len() || !parts.iter().all(|(run, _)| runs.contains(run)) {
            return Err(FormatError::invalid(WHAT, "part", "there twice, or of no run"));
        }
        if set.mac.is_some() != set.index().is_some() {
            return Err(FormatError::invalid(WHAT, "mac", "there is one if there is an index"));
        }
        if !in_order || set.slots.is_empty() {
            return Err(FormatError::invalid(WHAT, "slot", "not numbered from 1"));
        }
        Ok(set)
    }

    /// The catalog's index; none if the set was closed from its drives alone, which cannot seal one.
    pub fn index(&self) -> Option<&PartLine> {
        self.parts.last().filter(|p| p.part == super::ids::INDEX_PART)
    }

    /// Whether the shipment is known to have further sets.
    pub fn further_sets(&self) -> Option<bool> {
        self.mac.is_some().then_some(!self.last)
    }

    /// Whether the set consists of this record file, among others.
    pub fn names_records(&self, run: RunId, number: u32) -> bool {
        self.runs.iter().any(|line| line.run == run && number < line.files)
    }

    /// The set's root: BLAKE3 of the file.
    pub fn root(&self) -> Hash {
        *blake3::hash(&self.encode()).as_bytes()
    }
}

struct Lines<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn rest(&mut self, key: &'static str) -> Result<&'a str, FormatError> {
        let line = self.lines.get(self.at).copied().unwrap_or("");
        let rest = line.strip_prefix(key).and_then(|l| l.strip_prefix(' '));
        let rest = rest.filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
        self.at += 1;
        rest.ok_or_else(|| FormatError::invalid(WHAT, key, format!("{line:?}")))
    }

    fn parsed<T: std::str::FromStr>(&mut self, key: &'static str) -> Result<T, FormatError> {
        let rest = self.rest(key)?;
        rest.parse().map_err(|_| FormatError::invalid(WHAT, key, rest))
    }

    fn number<T: std::str::FromStr + ToString>(
        &mut self,
        key: &'static str,
    ) -> Result<T, FormatError> {
        let rest = self.rest(key)?;
        number(rest).ok_or_else(|| FormatError::invalid(WHAT, key, rest))
    }

    fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, FormatError> {
        let rest = self.rest(key)?;
        if rest == NONE {
            return Ok(None);
        }
        parse(rest).map(Some).ok_or_else(|| FormatError::invalid(WHAT, key, rest))
    }

    fn many<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&[&str]) -> Option<T>,
    ) -> Result<Vec<T>, FormatError> {
        let mut out = Vec::new();
        while self.lines.get(self.at).is_some_and(|l| l.split(' ').next() == Some(key)) {
            let rest = self.rest(key)?;
            let words: Vec<_> = rest.split(' ').collect();
            out.push(parse(&words).ok_or_else(|| FormatError::invalid(WHAT, key, rest))?);
        }
        Ok(out)
    }
}

/// A number in its one written form: no sign, no leading zero.
fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|n| n.to_string() == text)
}

fn parse_hash(text: &str) -> Option<Hash> {
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    blake3::Hash::from_hex(text).ok().filter(|_| lower).map(|h| *h.as_bytes())
}

fn slot_line(words: &[&str]) -> Option<SlotLine> {
    let [slot, case, label] = words else { return None };
    let slot = Slot(number(slot)?);
    if (*case, *label) == (UNKNOWN_CASE, NONE) {
        return Some(SlotLine { slot, case: UNKNOWN_CASE.into(), label: None });
    }
    let case = checked_case(case).ok()?.to_string();
    Some(SlotLine { slot, case, label: Some(parse_hash(label)?) })
}

fn run_line(words: &[&str]) -> Option<RunLine> {
    let [run, commitment, files, stripes, last] = words else { return None };
    Some(RunLine {
        run: run.parse().ok()?,
        commitment: parse_hash(commitment)?,
        files: number(files)?,
        stripes: number(stripes)?,
        last: parse_hash(last)?,
    })
}

fn part_line(words: &[&str]) -> Option<PartLine> {
    let [run, part, bytes, root] = words else { return None };
    Some(PartLine {
        run: run.parse().ok()?,
        part: number(part)?,
        bytes: number(bytes)?,
        root: parse_hash(root)?,
    })
}

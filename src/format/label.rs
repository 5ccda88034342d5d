//! `label.json`: which drive this is, in clear, for people and programs.

use super::error::{FORMAT_VERSION, FormatError};
use super::ids::{SetNumber, ShipmentId, Slot};
use super::suite::Suite;
use serde::{Deserialize, Serialize};

/// The label of one drive of one set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// always `holdall drive`
    pub what: String,
    /// format version
    pub format: u64,
    /// the program that wrote it, for people
    pub program: String,
    pub shipment: ShipmentId,
    pub set: SetNumber,
    /// this drive's number in the set
    pub slot: Slot,
    /// how many drives the set has
    pub drives: u16,
    /// the case this drive belongs to
    pub case: String,
    /// what may be lost: the `--survive` rule
    pub survive: String,
    /// number of the cipher suite; 0 only in one that was derived from records
    pub suite: u8,
    /// C: the most plain bytes of a chunk
    pub chunk_bytes: u32,
    /// B of the catalog's files; each stripe's record says its own
    pub block_bytes: u32,
    /// when it was written, RFC 3339
    pub created: String,
    /// the dataset's name, may be empty
    pub name: String,
    /// whom to ask about this drive, may be empty
    pub contact: String,
}

/// What [`Label::what`] says.
pub const WHAT: &str = "holdall drive";
/// The program that writes here.
pub const PROGRAM: &str = concat!("holdall ", env!("CARGO_PKG_VERSION"));
/// The least that C can be.
pub const LEAST_CHUNK_BYTES: u32 = 1 << 10;
/// The most that C can be.
pub const MOST_CHUNK_BYTES: u32 = 64 << 20;
/// The longest label that is read.
pub const MAX_LABEL_BYTES: u64 = 64 << 10;

impl Label {
    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .expect("a label is strings and numbers, which always have a JSON form");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a label; a newer format is told apart from damage.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        #[derive(Deserialize)]
        struct Head {
            what: String,
            format: u64,
        }
        let json = |e: serde_json::Error| FormatError::invalid("label", "JSON", e);
        let head: Head = serde_json::from_slice(bytes).map_err(json)?;
        if head.what != WHAT {
            return Err(FormatError::invalid("label", "what", head.what));
        }
        if head.format == 0 {
            return Err(FormatError::invalid("label", "format", head.format));
        }
        if head.format > FORMAT_VERSION as u64 {
            return Err(FormatError::Newer { what: "label", found: head.format });
        }
        let label: Self = serde_json::from_slice(bytes).map_err(json)?;
        Suite::of(label.suite)?;
        checked_case(&label.case)?;
        if label.slot.0 == 0 || label.slot.0 > label.drives || label.set.0 == 0 {
            return Err(FormatError::invalid("label", "slot", label.slot));
        }
        let sizes = LEAST_CHUNK_BYTES..=MOST_CHUNK_BYTES;
        if !label.chunk_bytes.is_power_of_two() || !sizes.contains(&label.chunk_bytes) {
            return Err(FormatError::invalid("label", "chunk_bytes", label.chunk_bytes));
        }
        super::shard::Blocks::new(label.block_bytes, 1)?;
        Ok(label)
    }
}

/// A case's name: 1 to 32 letters, digits, `.`, `_` or `-`.
pub fn checked_case(case: &str) -> Result<&str, FormatError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if case.is_empty() || case.len() > 32 || !case.chars().all(good) {
        return Err(FormatError::invalid("label", "case", format!("{case:?}")));
    }
    Ok(case)
}

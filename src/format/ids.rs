//! The numbers that name a shipment, its sets, runs, stripes and drives.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let good = text.len() == 16
                    && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                match u64::from_str_radix(text, 16) {
                    Ok(id) if good => Ok(Self(id)),
                    _ => Err(format!("not 16 hexadecimal digits: {text:?}")),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

hex_id! {
    /// All the sets of one dataset; 64 random bits, written as 16 hexadecimal digits.
    ShipmentId
}
hex_id! {
    /// One run of `pack` on a set; 64 random bits, written as 16 hexadecimal digits.
    RunId
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A set's number within its shipment, from 1.
    SetNumber(u32)
}
number! {
    /// A stripe's number within its run, from 0.
    StripeNumber(u32)
}
number! {
    /// A drive's number within its set, from 1.
    Slot(u16)
}

impl StripeNumber {
    /// The first number of a stripe along a drive; they are counted apart from those across.
    pub const FIRST_ALONG: u32 = 1 << 31;
}

/// The stripes of a set are named by run and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StripeId {
    /// the run that made it
    pub run: RunId,
    /// its number in that run
    pub number: StripeNumber,
}

impl fmt::Display for StripeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.run, self.number.0)
    }
}

impl Serialize for StripeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The name of a set's folder under `holdall/` on each of its drives.
pub fn set_folder(shipment: ShipmentId, set: SetNumber) -> String {
    format!("{shipment}-{:03}", set.0)
}

/// The path of a shard within its set's folder. At most 512 stripes share a folder.
pub fn shard_path(stripe: StripeId, index: u8) -> String {
    format!("shards/{:05x}/{stripe}-{index:02x}", stripe.number.0 >> 9)
}

/// The path of a record file within its set's folder.
pub fn record_path(run: RunId, number: u32) -> String {
    format!("records/{run}-{number:08x}.rec")
}

/// The run and the number in a record file's name.
pub fn parse_record_name(name: &str) -> Option<(RunId, u32)> {
    let (run, number) = name.strip_suffix(".rec")?.split_once('-')?;
    let parsed = (run.parse().ok()?, u32::from_str_radix(number, 16).ok()?);
    (record_path(parsed.0, parsed.1).strip_prefix("records/") == Some(name)).then_some(parsed)
}

/// The number of the catalog part that is the index.
pub const INDEX_PART: u32 = u32::MAX;

/// The path of a catalog part within its set's folder; part [`INDEX_PART`] is the
/// index.
pub fn part_path(run: RunId, part: u32) -> String {
    if part == INDEX_PART {
        format!("catalog/{run}-index.cat")
    } else {
        format!("catalog/{run}-{part:08x}.cat")
    }
}

/// The path of a run's wrapped key within its set's folder.
pub fn key_path(run: RunId) -> String {
    format!("key-{run}.age")
}

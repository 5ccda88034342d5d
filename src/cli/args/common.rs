//! What several commands take.

use crate::cli::sizes::parse_size;
use crate::format::list::Hash;
use crate::memory::Memory;
use crate::opening::choose::Wanted;
use clap::Args;

pub(super) fn at_least_one(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|count| *count > 0).ok_or("a number of 1 or more is needed")
}

/// A root as pack prints it.
pub(super) fn root(text: &str) -> Result<Hash, &'static str> {
    let root = blake3::Hash::from_hex(text.trim()).map(|root| *root.as_bytes());
    root.map_err(|_| "a root is the 64 hexadecimal digits that pack printed (b3sum set.txt)")
}

/// The roots that sets must have.
#[derive(Args)]
pub struct ExpectArg {
    /// Accept only the set whose root (as printed by pack; b3sum set.txt) is ROOT, and the sets before
    /// it that it names (repeatable)
    #[arg(long, value_name = "ROOT", value_parser = root)]
    pub expect: Vec<Hash>,
}

/// A shipment's id, the beginning of one, or the name of one of its sets.
pub fn shipment(text: &str) -> Result<Wanted, String> {
    let id = text.split('-').next().unwrap_or_default().to_ascii_lowercase();
    match id.parse() {
        Ok(shipment) => Ok(Wanted::Shipment(shipment)),
        Err(_) if (1..16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(Wanted::Beginning(id))
        }
        Err(wrong) => Err(wrong),
    }
}

/// Which of several shipments on the same drives.
#[derive(Args)]
pub struct ShipmentArg {
    /// Of several shipments on the drives, the one with this ID, as holdall status prints it; its
    /// beginning is enough
    #[arg(long, value_name = "ID", value_parser = shipment, value_hint = clap::ValueHint::Other)]
    pub shipment: Option<Wanted>,
    /// Of several shipments on the drives, the one that was begun last, as their labels say
    #[arg(long, conflicts_with = "shipment")]
    pub latest: bool,
}

/// The memory that a command may use.
#[derive(Args)]
pub struct MemoryArg {
    /// Limit buffers to SIZE in all, plus 16 MiB per core; a set that was packed with a higher limit may
    /// need memory for a few more of its shards
    #[arg(long, value_name = "SIZE", default_value = "1.5GiB", value_parser = memory)]
    pub memory: Memory,
}

pub(super) fn memory(text: &str) -> Result<Memory, String> {
    let least = || format!("at least {} MiB", crate::memory::LEAST_BYTES >> 20);
    Memory::new(parse_size(text)?).ok_or_else(least)
}

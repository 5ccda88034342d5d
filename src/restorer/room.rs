//! How much a restore will write, computed beforehand.
//!
//! - Enters: the catalog of a set; the destination, where some of it may be in place.
//! - Leaves: bytes of data, each file rounded up to the destination's unit; holes take none, unless
//!   the destination keeps none.
//! - Always holds: nothing is written, and nothing of the shards is read.

use super::catalog_items::CatalogItems;
use super::items::Items;
use super::open_set::OpenSet;
use super::selected::Selected;
use crate::destination::Destination;
use crate::format::catalog::KeySpan;
use crate::format::list::{Entry, Extent, Item, Kind};
use crate::format::record::StripeKind;
use crate::monitor::{Monitor, Recording};
use crate::patterns::Selection;

/// Does the set have an entry at this path? Not known, and so false, without its catalog.
pub fn has_entry(open: &OpenSet, path: &[u8]) -> bool {
    let quiet = Recording::default();
    let Some(mut items) = CatalogItems::open(open, &quiet) else { return false };
    items.seek(&KeySpan::path(path));
    while let Some(list) = items.next_list() {
        let is_it = |item: &Item| matches!(item, Item::Entry { entry, .. } if entry.path == path);
        if list.iter().any(is_it) {
            return true;
        }
    }
    false
}

/// Is there enough here to restore all that the set holds, as far as that is known beforehand?
pub fn can_restore_all(open: &OpenSet, selection: Option<&Selection>) -> bool {
    if open.set.missing_slots().is_empty() {
        return true;
    }
    // For a few files the records are not walked.
    let mut all = selection.is_none() && !open.record_index.gaps;
    if all {
        open.record_index.walk(&Recording::default(), |record| {
            let here = record.shards.iter().filter(|shard| open.set.drive(shard.slot).is_some());
            all = record.kind != StripeKind::Across || here.count() >= record.k.into();
            all
        });
    }
    all
}

/// The most that restoring the set can write, as if files had no holes, known without a walk; none
/// without its catalog.
pub fn most_bytes(open: &OpenSet, unit: u64) -> Option<u64> {
    let quiet = Recording::default();
    let items = CatalogItems::open(open, &quiet)?;
    Some(items.file_bytes().saturating_add(items.entries()?.saturating_mul(unit)))
}

/// What restoring the set will write, by a walk over its catalog; none without it, or if it was
/// asked to stop.
pub fn bytes_to_write(
    open: &OpenSet,
    destination: &Destination,
    selection: Option<&Selection>,
    monitor: &dyn Monitor,
) -> Option<u64> {
    let quiet = Recording::default();
    let items = CatalogItems::selected(open, selection, &quiet)?;
    let mut items = Selected::new(items, selection);
    let (unit, keeps_holes) = (destination.unit_bytes(), destination.keeps_holes());
    let (mut all, mut file): (u64, Option<(Entry, u64)>) = (0, None);
    let round = |file: &mut Option<(Entry, u64)>| {
        file.take().map_or(0, |(_, bytes)| bytes.next_multiple_of(unit))
    };
    while let Some(list) = items.next_list() {
        for item in list {
            match item {
                Item::Entry { entry, .. } => {
                    all += round(&mut file);
                    let to_write = entry.kind == Kind::File
                        && !matches!(destination.exists(&entry.path), Ok(Some(_)));
                    let is_filled = !keeps_holes && !entry.holes.is_empty();
                    let bytes = if is_filled { entry.size } else { 0 };
                    file = to_write.then_some((entry, bytes));
                }
                Item::Extent(extent) => {
                    // Of one that is filled, all bytes count already.
                    let known =
                        |(entry, _): &&mut (Entry, u64)| keeps_holes || entry.holes.is_empty();
                    if let Some((entry, bytes)) = file.as_mut().filter(known) {
                        *bytes += data_bytes(entry, &extent);
                    }
                }
                Item::End(_) => {}
            }
        }
        if monitor.should_stop() {
            return None;
        }
    }
    all += round(&mut file);
    Some(all)
}

/// Bytes of an extent that are not in holes.
fn data_bytes(entry: &Entry, extent: &Extent) -> u64 {
    let (from, to) = (extent.file_offset, extent.file_offset + u64::from(extent.len));
    let first = entry.holes.partition_point(|(start, len)| start + len <= from);
    let holes = entry.holes[first..].iter().take_while(|(start, _)| *start < to);
    let hole_bytes: u64 =
        holes.map(|(start, len)| (start + len).min(to) - (*start).max(from)).sum();
    to - from - hole_bytes
}

//! One chunk by itself, from whichever drives have it: for whoever compares, and restores nothing.

use super::chunk_runs::{in_blocks, runs};
use super::decode::OpenedBatch;
use super::open_set::OpenSet;
use super::output::Output;
use crate::drives::buffer::Pool;
use crate::format::ids::Slot;
use crate::format::list::Place;
use crate::shipment::record_reader::RecordReader;
use crate::stripes::fetch::Fetcher;
use crate::stripes::request::Request;
use std::borrow::Cow;

fn silent(_: Slot, _: u64) {}

/// The plain bytes of a chunk, reconstructed if need be; none if the drives here do not give them.
/// They are not verified by the chunk's id yet.
pub fn one_chunk(open: &OpenSet, place: &Place) -> Option<Vec<u8>> {
    let record = RecordReader::new(open.record_index).find(place.stripe)?;
    let blocks = record.blocks;
    let runs = runs(place, &record)?.into_iter();
    let shards = runs.map(|(index, bytes)| (index, in_blocks(blocks, &bytes))).collect();
    let fetcher = Fetcher::new(open.set, open.record_index, &silent);
    let raw = fetcher.read(Request { record, shards });
    let opened = OpenedBatch::new(open, vec![raw], Vec::new(), &fetcher, &Pool::keeping(1));
    let mut buffer = Vec::new();
    let chunk = opened.chunk(place, Output::Nowhere, &mut None, &mut buffer).ok()?.ok();
    chunk.map(Cow::into_owned)
}

use super::*;
use crate::format::ids::{RunId, StripeNumber};
use crate::format::list::{End, Kind, State};
use crate::format::shard::Trailer;
use proptest::prelude::*;

const B: usize = 4096;

fn id() -> StripeId {
    StripeId { run: RunId(1), number: StripeNumber(0) }
}

fn file(name: String) -> Arc<Entry> {
    Arc::new(Entry::new(name, Kind::File))
}

/// The bundles of one file of several chunks.
fn file_bundles(draft: &mut Draft, name: &str, chunks: &[usize]) -> Result<(), DoesNotFit> {
    let entry = file(name.into());
    let mut offset = 0;
    for (i, len) in chunks.iter().enumerate() {
        let mut items = Vec::new();
        if i == 0 {
            items.push(DraftItem::Entry(entry.clone()));
        }
        items.push(DraftItem::Extent {
            file_offset: offset,
            len: *len as u32,
            id: *blake3::hash(&(*len as u64 + offset).to_le_bytes()).as_bytes(),
            source: Known::Here { bundle: draft.next_bundle(), chunk_offset: 0 },
        });
        if i + 1 == chunks.len() {
            items.push(DraftItem::End(End { state: State::Whole, root: None, size: 0 }));
        }
        let bytes: Vec<u8> = (0..*len).map(|x| (x + i * 13) as u8).collect();
        let chunk = NewChunk { bytes: Box::new(bytes), method: Method::Plain, plain: *len as u32 };
        let open = (i > 0).then(|| entry.clone());
        draft.add(Bundle { open, items, chunk: Some(chunk) })?;
        offset += 16 << 10; // a piece is no longer
    }
    Ok(())
}

/// Reads payloads the way a restore does: lists, then each extent's bytes by its place.
fn check(filled: &Filled, k: usize) {
    let payload_bytes = filled.blocks.payload_bytes();
    let mut payloads = Vec::new();
    for payload in filled.payloads() {
        let mut bytes = vec![0xee; payload_bytes];
        payload.render_for_test(payload_bytes, &mut bytes);
        payloads.push(bytes);
    }
    assert_eq!(payloads.len(), k);
    let mut listed = Vec::new();
    for (s, payload) in payloads.iter().enumerate() {
        let end = payload_bytes - TRAILER_BYTES;
        let trailer = Trailer::decode(payload[end..].try_into().unwrap(), payload_bytes).unwrap();
        let items = list::decode(&payload[end - trailer.list_bytes as usize..end]).unwrap();
        for item in items {
            if let Item::Extent(e) = &item {
                assert!(e.place.index as usize == s, "an extent stands with its chunk");
            }
            if !matches!(item, Item::Entry { continued: true, .. }) {
                listed.push(item);
            }
        }
    }
    assert_eq!(listed, filled.items, "the lists together are the items, in order");
    for item in &filled.items {
        let Item::Extent(e) = item else { continue };
        let mut bytes = Vec::new();
        let (mut shard, mut at, mut here) =
            (e.place.index as usize, e.place.offset as usize, e.place.head as usize);
        while bytes.len() < e.place.stored as usize {
            bytes.extend(&payloads[shard][at..at + here]);
            shard += 1;
            at = 0;
            here = (e.place.stored as usize - bytes.len()).min(payload_bytes - TRAILER_BYTES);
        }
        let first = bytes[0];
        let expected = (0..bytes.len()).map(|x| (x as u8).wrapping_add(first));
        assert!(bytes.iter().copied().eq(expected), "bytes of {e:?}");
    }
}

#[test]
fn content_takes_as_few_blocks_as_it_can() {
    let mut draft = Draft::new(id(), 3, Blocks::new(B as u32, 64).unwrap());
    file_bundles(&mut draft, "a", &[1000]).ok().unwrap();
    let filled = draft.close();
    assert_eq!(filled.blocks.count(), 1);
    check(&filled, 3);
    for (least, count) in [(1, 1), (4, 4), (64, 64), (65, 64)] {
        let mut draft = Draft::new(id(), 3, Blocks::new(B as u32, 64).unwrap()).with_least(least);
        file_bundles(&mut draft, "a", &[1000]).ok().unwrap();
        let filled = draft.close();
        assert_eq!(filled.blocks.count(), count);
        check(&filled, 3);
    }
}

#[test]
fn what_fits_no_stripe_is_told_apart_from_a_full_one() {
    let blocks = Blocks::new(B as u32, 2).unwrap();
    let mut draft = Draft::new(id(), 1, blocks);
    let refused = file_bundles(&mut draft, &"n".repeat(2 * B), &[10]).err().unwrap();
    assert!(refused.never);
    file_bundles(&mut draft, "a", &[B]).ok().unwrap();
    assert!(!file_bundles(&mut draft, "b", &[B]).err().unwrap().never);
    check(&draft.close(), 1);
}

proptest! {
    #[test]
    fn lists_and_places_agree(
        k in 1usize..5,
        count in 1u32..9,
        files in prop::collection::vec(
            (1usize..200, prop::collection::vec(1usize..9000, 1..4)), 1..30),
    ) {
        let blocks = Blocks::new(B as u32, count).unwrap();
        let mut draft = Draft::new(id(), k, blocks);
        for (i, (name, chunks)) in files.iter().enumerate() {
            if file_bundles(&mut draft, &format!("{i}{}", "x".repeat(*name)), chunks).is_err() {
                break;
            }
        }
        if !draft.is_empty() {
            let filled = draft.close();
            prop_assert!(filled.blocks.count() <= count as usize);
            check(&filled, k);
        }
    }
}

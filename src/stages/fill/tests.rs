use super::*;
use crate::format::ids::{RunId, StripeNumber};
use crate::format::list::{End, Kind, State};
use crate::format::list_reader;
use crate::format::shard::Trailer;
use crate::stages::compress::Compressor;
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
        let id = *blake3::hash(&(*len as u64 + offset).to_le_bytes()).as_bytes();
        items.push(DraftItem::Extent {
            file_offset: offset,
            len: *len as u32,
            id,
            source: Known::Here { bundle: draft.next_bundle(), chunk_offset: 0 },
        });
        if i + 1 == chunks.len() {
            items.push(DraftItem::End(End { state: State::Whole, root: None, size: 0 }));
        }
        let bytes: Vec<u8> = (0..*len).map(|x| (x + i * 13) as u8).collect();
        let (bytes, plain) = (Box::new(bytes), *len as u32);
        let chunk = NewChunk { bytes, method: Method::Plain, plain, id };
        let open = (i > 0).then(|| entry.clone());
        draft.add(Bundle { open, listed: Listed::Items(items), chunk: Some(chunk) })?;
        offset += 16 << 10; // a piece is no longer
    }
    Ok(())
}

/// A group of files in one chunk, each of `len` bytes.
fn group_bundle(draft: &mut Draft, names: &[String], len: u32) -> Result<(), DoesNotFit> {
    let bytes: Vec<u8> = (0..names.len() as u32 * len).map(|x| x as u8).collect();
    let entry = |name: &String| {
        Arc::new(Entry { whole: true, size: len.into(), ..Entry::new(name.clone(), Kind::File) })
    };
    let entries: Vec<_> = names.iter().map(entry).collect();
    let mut compressor = Compressor::new(3).unwrap();
    let listing = Listing::new(entries.iter().map(|e| (e, false)), Some(&mut compressor));
    let id = *blake3::hash(&bytes).as_bytes();
    let file = |number: u32| (*blake3::hash(&number.to_le_bytes()).as_bytes(), number * len);
    let files = (0..names.len() as u32).map(file).collect();
    let (plain, method) = (bytes.len() as u32, Method::Plain);
    let chunk = Some(NewChunk { bytes: Box::new(bytes), method, plain, id });
    draft.add(Bundle { open: None, listed: Listed::Group { listing, files }, chunk })
}

/// The items of a stripe as the catalog takes them, each bundle behind its shard.
fn catalog_items(filled: &Filled) -> Vec<Item> {
    let items = |bundle: &ListedBundle| {
        let mut list = ListWriter::default();
        list.shard(bundle.shard);
        bundle.open.iter().for_each(|entry| list.entry(entry, true));
        list.written(&bundle.items);
        let items = list_reader::decode(&list.into_bytes()).unwrap();
        assert_eq!(Counts::of(&items), bundle.counts);
        if let (Some(first), Some(Item::Entry { entry, .. })) = (&bundle.first, items.first()) {
            assert_eq!(*first, entry.sort_key());
        }
        items.into_iter().filter(is_new)
    };
    filled.listed.iter().flat_map(items).collect()
}

fn is_new(item: &Item) -> bool {
    !matches!(item, Item::Entry { continued: true, .. })
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
        let list = &payload[end - trailer.list_bytes as usize..end];
        let items = list_reader::decode(list).unwrap();
        for item in &items {
            if let Item::Extent(e) = item {
                assert!(e.place.index as usize == s, "an extent stands with its chunk");
            }
        }
        listed.extend(items.into_iter().filter(is_new));
    }
    assert_eq!(listed, catalog_items(filled), "the lists and the catalog say the same, in order");
    for item in &listed {
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
            let name = format!("{i}{}", "x".repeat(*name));
            let added = if chunks.len() == 1 {
                let names: Vec<String> = (0..=i % 7).map(|n| format!("{name}{n}")).collect();
                group_bundle(&mut draft, &names, chunks[0] as u32)
            } else {
                file_bundles(&mut draft, &name, chunks)
            };
            if added.is_err() {
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

/// What a reader takes of a list, bounded before its bytes are: groups whose runs are short go to the
/// next shard before a list of them would be rejected.
#[test]
fn lists_are_ended_before_a_reader_would_refuse_them() {
    let mut compressor = Compressor::new(1).unwrap();
    let mut listing = |entries: &[Entry]| {
        let entries: Vec<_> = entries.iter().cloned().map(Arc::new).collect();
        Listing::new(entries.iter().map(|entry| (entry, false)), Some(&mut compressor))
    };
    let folders: Vec<_> = (0..4096).map(|i| Entry::new(format!("{i:04}"), Kind::Folder)).collect();
    let long = Entry { user: vec![b'u'; 4 << 20], ..Entry::new("x", Kind::Folder) };
    // Of the one, 31 groups have fewer than 131,072 items; of the other, 7 have no more than 64 MiB of
    // names.
    for (entries, in_list) in [(&folders[..], 31), (&[long.clone(), long][..], 7)] {
        let listing = listing(entries);
        assert!(listing.frame.as_ref().unwrap().len() < 32 << 10, "a run is short");
        let mut draft = Draft::new(id(), 2, Blocks::new(1 << 20, 64).unwrap());
        let mut groups = 0;
        let refused = loop {
            let listed = Listed::Group { listing: listing.clone(), files: Vec::new() };
            match draft.add(Bundle { open: None, listed, chunk: None }) {
                Ok(()) => groups += 1,
                Err(refused) => break refused,
            }
        };
        assert_eq!((groups, refused.never), (2 * in_list, false));
        for payload in draft.close().payloads() {
            assert!(list_reader::decode(payload.list()).is_ok());
        }
    }
}

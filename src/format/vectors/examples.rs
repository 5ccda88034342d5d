//! The worked values of the specification, by name.

use super::*;
use crate::format::list::DataShard;

/// Entries that between them have every field.
pub(super) fn entries() -> [Entry; 4] {
    let file = Entry {
        size: 1 << 32,
        user: b"ann".into(),
        group: b"users".into(),
        xattrs: vec![(b"user.empty".into(), Vec::new()), (b"user.note".into(), b"x\0y".into())],
        holes: vec![(0, 65_536), (1 << 20, (1 << 32) - (1 << 20))],
        mtime: -1,
        ..entry("dir/\u{e9}\n.img", Kind::File, 0o4755)
    };
    let device = Entry { device: Some((8, 17)), ..entry("dev", Kind::BlockDevice, 0o660) };
    let part = Entry {
        lacks: vec![Lack::SomeNames, Lack::Attributes],
        ..entry("part", Kind::Folder, 0o750)
    };
    let unknown = Entry { lacks: vec![Lack::Names], ..Entry::new("gone", Kind::Unknown) };
    [file, device, part, unknown]
}

/// One worked value.
pub(super) enum Example {
    Hex(Vec<u8>),
    Text(String),
}

/// A block of a shard: hash, first 48 bytes and its last 16.
fn block_example(set: &Set, number: usize) -> Example {
    let block = &set.shards[0][number * 4096..][..4096];
    Example::Hex([&set.hashes[number][..], &block[..48], &block[4080..]].concat())
}

fn entry_example(entry: Entry) -> Example {
    let bytes = alone(&entry);
    let item = Item::Entry { entry, continued: false };
    assert_eq!(list_reader::decode(&bytes).unwrap(), [item]);
    Example::Hex(bytes)
}

/// What is written of one item of a list of data shard 0, behind what is written before.
fn lone(write: impl FnOnce(&mut ListWriter)) -> Example {
    let mut list = ListWriter::of(DataShard { stripe: STRIPE, index: 0 });
    write(&mut list);
    Example::Hex(list.into_bytes())
}

/// An entry that says what differs from the one before it.
fn relative_example() -> Example {
    let before = whole("a.txt", A_TXT, 0o600);
    let entry = Entry { mtime: before.mtime - 1, ..whole("a.txt.old", B_TXT, 0o600) };
    let mut list = ListWriter::default();
    list.entry(&before, false);
    list.entry(&entry, false);
    let bytes = list.into_bytes();
    Example::Hex(bytes[alone(&before).len()..].to_vec())
}

/// The list and the trailer at the end of a data shard's payload.
pub(super) fn list_and_trailer(set: &Set, shard: usize) -> (Vec<u8>, Vec<u8>) {
    let payload_bytes = set.shape.blocks.payload_bytes();
    let mut payload = vec![0; payload_bytes];
    let salt = salts()[shard];
    let cipher = Cipher::new(run_key().shard_key(&salt, &set.shape, shard as u8));
    for number in 0..set.shape.blocks.count() {
        let block = &set.shards[shard][number * 4096..][..4096];
        cipher.open(number, block, &mut payload[set.shape.blocks.payload_range(number)]).unwrap();
    }
    let trailer_at = payload_bytes - 16;
    let trailer = payload.split_off(trailer_at);
    let lengths = Trailer::decode(trailer[..].try_into().unwrap(), payload_bytes).unwrap();
    (payload.split_off(trailer_at - lengths.list_bytes as usize), trailer)
}

pub(super) fn examples(set: &Set) -> Vec<(&'static str, Example)> {
    use Example::{Hex, Text};
    let key = run_key();
    let shard_key = |i: usize| key.shard_key(&salts()[i], &set.shape, i as u8).0;
    let record_key = blake3::derive_key(RECORD_KEY_CONTEXT, &[&counting(0)[..], &owner()].concat());
    let set_key = blake3::derive_key(SET_KEY_CONTEXT, &[&counting(0)[..], &owner()].concat());
    assert_eq!(set.text.mac, Some(*blake3::keyed_hash(&set_key, &set.text.lines()).as_bytes()));
    let record::FileHashes { body, mac, .. } = record::FileHashes::of(&set.record_file).unwrap();
    assert_eq!(mac, *blake3::keyed_hash(&record_key, &body).as_bytes());
    let digest = set.record_file.last_chunk::<32>().unwrap();
    let [file, device, part, unknown] = entries();
    let (list_0, trailer_0) = list_and_trailer(set, 0);
    let (list_1, trailer_1) = list_and_trailer(set, 1);
    let items = list_reader::decode(&catalog_list(&set.filled)).unwrap();
    let extents: Vec<Extent> = items
        .iter()
        .filter_map(|item| if let Item::Extent(extent) = item { Some(*extent) } else { None })
        .collect();
    let ends =
        items.iter().find_map(|item| if let Item::End(end) = item { Some(*end) } else { None });
    let aes = Set::of(Suite::Aes256);
    let aes_key = key.shard_key(&salts()[0], &aes.shape, 0).0;
    let record_head = 48 + 3 * 34;
    vec![
        ("run key file", Hex(run_key_bytes())),
        ("commitment", Hex(key.commitment().into())),
        ("record key", Hex(record_key.into())),
        ("set key", Hex(set_key.into())),
        ("shard key of data shard 0", Hex(shard_key(0).into())),
        ("shard key of data shard 1", Hex(shard_key(1).into())),
        ("catalog key of part 0", Hex(set.part.key().into())),
        ("catalog key of the index", Hex(set.index.key().into())),
        ("block 0 of data shard 0: hash, first 48 bytes, last 16", block_example(set, 0)),
        ("block 1 of data shard 0: hash, first 48 bytes, last 16", block_example(set, 1)),
        ("suite 2: shard key of data shard 0", Hex(aes_key.into())),
        ("suite 2: catalog key of part 0", Hex(aes.part.key().into())),
        ("suite 2: block 1 of data shard 0: hash, first 48 bytes, last 16", block_example(&aes, 1)),
        ("block hashes of data shard 0", Hex(set.hashes[..3].concat())),
        ("root of data shard 0", Hex(root_of(&set.hashes[..3]).into())),
        ("block hashes of the parity shard", Hex(set.hashes[6..].concat())),
        ("column of 3 data blocks and 2 parity blocks, 4 bytes each", Hex(parity_column())),
        ("entry of a file", entry_example(file)),
        ("entry of a device", entry_example(device)),
        ("entry of a folder that was listed in part", entry_example(part)),
        ("entry of a folder that could not be looked at", entry_example(unknown)),
        ("entry that says what differs", relative_example()),
        ("extent", lone(|list| list.extent(&extents[3]))),
        ("end", lone(|list| list.end(&ends.unwrap()))),
        ("chunk", lone(|list| list.chunk(&extents[0].place, &extents[0].id, 0))),
        ("list of data shard 0", Hex(list_0)),
        ("trailer of data shard 0", Hex(trailer_0)),
        ("list of data shard 1", Hex(list_1)),
        ("trailer of data shard 1", Hex(trailer_1)),
        ("label.json", Text(String::from_utf8(label(Slot(1)).encode()).unwrap())),
        ("record file head", Hex(set.record_file[..148].into())),
        ("record up to its block hashes", Hex(set.record[..record_head].into())),
        ("record file MAC", Hex(mac[..].into())),
        ("record file digest", Hex(digest[..].into())),
        ("catalog frame, first 32 bytes", Hex(set.part.content[..32].into())),
        ("catalog index", Hex(set.index.content.clone())),
        ("set.txt", Text(String::from_utf8(set.text.encode()).unwrap())),
        ("set root", Hex(set.text.root().into())),
    ]
}

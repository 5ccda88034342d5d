//! The worked bytes of the specification: `format.md` shows them, `fixtures/vectors/v1.json` holds
//! them for readers in other languages, and these tests compare both with what the code makes.
//!
//! The examples are one set of three drives and one stripe, all of it made from fixed keys, ids,
//! salts and times. The zstd frames in it are written by hand as one raw block each, so that no
//! version of the zstd library can change a byte. Only the key file cannot be reproduced, because
//! age draws random bytes: it is kept in v1.json and must open.

mod cases;
mod examples;
mod frames;
mod list_cases;

use examples::{Example, examples, list_and_trailer};
use frames::raw_zstd;

use crate::format::FORMAT_VERSION;
use crate::format::Suite;
use crate::format::catalog::{self, FrameRow, Index, encode_frame_head};
use crate::format::ids::{
    INDEX_PART, RunId, SetNumber, ShipmentId, Slot, StripeId, StripeNumber, key_path, part_path,
    record_path, set_folder, shard_path,
};
use crate::format::label::{Label, WHAT};
use crate::format::list::{End, Entry, Extent, Hash, Item, Kind, Lack, Method, State};
use crate::format::list_writer::{self, ListWriter};
use crate::format::record::{
    self, PartRecord, Reason, RecordFileHeader, ShardRecord, StripeKind, StripeRecord,
};
use crate::format::set::{PartLine, RunLine, SetText, SlotLine};
use crate::format::shard::{Blocks, Salt, Trailer};
use crate::format::{frame, list_reader};
use crate::keys::RunKey;
use crate::keys::recipients::Identities;
use crate::keys::run::StripeShape;
use crate::stages::dedup::Known;
use crate::stages::fill::{Bundle, Draft, DraftItem, Filled, Listed, NewChunk};
use crate::stages::hash::{piece, root_of};
use crate::stages::listing::Listing;
use crate::stages::parity::Code;
use crate::stages::seal::{Cipher, seal_content, seal_stripe};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const SPECIFICATION: &str = include_str!("format.md");
const JSON: &str = include_str!("../../fixtures/vectors/v1.json");

const SHIPMENT: ShipmentId = ShipmentId(0x0123_4567_89ab_cdef);
const SET: SetNumber = SetNumber(1);
const RUN: RunId = RunId(0xfedc_ba98_7654_3210);
const STRIPE: StripeId = StripeId { run: RUN, number: StripeNumber(5) };
const BLOCK_BYTES: u32 = 4096;
/// C, small so that a file of 20,000 bytes has three pieces.
const CHUNK_BYTES: usize = 8192;
const K: u8 = 2;
const M: u8 = 1;
/// The drive of data shard 0, data shard 1 and the parity shard.
const SLOTS: [Slot; 3] = [Slot(2), Slot(3), Slot(1)];
const CASES: [&str; 3] = ["red", "green", "blue"];
/// Examples that stand in v1.json alone.
const NOT_SHOWN: [&str; 6] = [
    "suite 2: catalog key of part 0",
    "shard key of data shard 1",
    "catalog key of the index",
    "block hashes of the parity shard",
    "list of data shard 1",
    "trailer of data shard 1",
];
const RUN_KEY_MAGIC: &[u8] = b"holdall run key\n";
const RECORD_KEY_CONTEXT: &str = "holdall 2026-11-22 format 1 record key";
const SET_KEY_CONTEXT: &str = "holdall 2026-11-22 format 1 set key";

/// 32 bytes, counting up from `first`.
fn counting(first: u8) -> [u8; 32] {
    std::array::from_fn(|i| first + i as u8)
}

fn run_key() -> RunKey {
    RunKey::new(counting(0), SHIPMENT, SET, RUN)
}

fn salts() -> [Salt; 2] {
    [counting(0x20), counting(0x40)]
}

fn blocks(count: u32) -> Blocks {
    Blocks::new(BLOCK_BYTES, count).unwrap()
}

/// A list of one entry.
fn alone(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    list_writer::encode_alone(entry, &mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

/// `c.bin`: byte i is i² mod 251.
fn c_bin() -> Vec<u8> {
    (0..20_000u32).map(|i| (i * i % 251) as u8).collect()
}

const A_TXT: &[u8] = b"hello again\n";
const B_TXT: &[u8] = b"and once more\n";

fn entry(path: &str, kind: Kind, mode: u32) -> Entry {
    Entry {
        mode,
        uid: 1000,
        gid: 100,
        mtime: 1_790_000_000,
        mtime_nanos: 123_456_789,
        ..Entry::new(path, kind)
    }
}

fn whole(path: &str, bytes: &[u8], mode: u32) -> Entry {
    Entry { whole: true, size: bytes.len() as u64, ..entry(path, Kind::File, mode) }
}

/// Two small files in one chunk, named in a run.
fn group() -> Bundle {
    let plain = [A_TXT, B_TXT].concat();
    let entries = [
        entry("", Kind::Folder, 0o755),
        whole("a.txt", A_TXT, 0o600),
        Entry { user: b"ann".into(), group: b"users".into(), ..whole("b.txt", B_TXT, 0o600) },
    ];
    let entries = entries.map(Arc::new);
    let mut listing = Listing::new(entries.iter().map(|entry| (entry, false)), None);
    listing.frame = Some(raw_zstd(&listing.plain));
    let files = vec![(piece(A_TXT, 0, true), 0), (piece(B_TXT, 0, true), A_TXT.len() as u32)];
    let id = piece(&plain, 0, true);
    let (method, len) = (Method::Plain, plain.len() as u32);
    let chunk = Some(NewChunk { bytes: Box::new(plain), method, plain: len, id });
    Bundle { open: None, listed: Listed::Group { listing, files }, chunk }
}

/// The stripe's content as the packer would give it: a group of small files, three pieces of `c.bin`,
/// then a symlink, a hard link, and a file with the bytes of another.
fn filled() -> Filled {
    let c = c_bin();
    let c_entry = Arc::new(Entry { size: c.len() as u64, ..entry("c.bin", Kind::File, 0o644) });
    let start = |e: Entry| DraftItem::Entry(Arc::new(e));
    let mut draft = Draft::new(STRIPE, K.into(), blocks(3));
    assert!(draft.add(group()).is_ok());
    let mut ids = Vec::new();
    for (number, bytes) in c.chunks(CHUNK_BYTES).enumerate() {
        let file_offset = (number * CHUNK_BYTES) as u64;
        let (id, len) = (piece(bytes, file_offset, false), bytes.len() as u32);
        ids.push(id);
        let source = Known::Here { bundle: draft.next_bundle(), chunk_offset: 0 };
        let mut items = vec![DraftItem::Extent { file_offset, len, id, source }];
        let (mut stored, mut method) = (bytes.to_vec(), Method::Plain);
        if number == 0 {
            items.insert(0, DraftItem::Entry(c_entry.clone()));
        }
        if number == 2 {
            let end = End { state: State::Whole, root: Some(root_of(&ids)), size: c.len() as u64 };
            items.push(DraftItem::End(end));
            (stored, method) = (raw_zstd(bytes), Method::Zstd(3));
        }
        let chunk = Some(NewChunk { bytes: Box::new(stored), method, plain: len, id });
        let open = (number > 0).then(|| c_entry.clone());
        assert!(draft.add(Bundle { open, listed: Listed::Items(items), chunk }).is_ok());
    }
    let items = vec![
        start(Entry { target: b"b.txt".into(), ..entry("d", Kind::Symlink, 0o777) }),
        start(Entry { target: b"c.bin".into(), ..entry("e", Kind::HardLink, 0o644) }),
        DraftItem::Whole {
            entry: Arc::new(whole("f.txt", A_TXT, 0o600)),
            source: Known::Here { bundle: 0, chunk_offset: 0 },
        },
    ];
    assert!(draft.add(Bundle { open: None, listed: Listed::Items(items), chunk: None }).is_ok());
    draft.close()
}

/// The lists of a stripe as one, as the catalog has them.
fn catalog_list(filled: &Filled) -> Vec<u8> {
    let (mut list, mut named) = (ListWriter::default(), None);
    for bundle in &filled.listed {
        if named.replace(bundle.shard) != Some(bundle.shard) {
            list.shard(bundle.shard);
        }
        list.written(&bundle.items);
    }
    list.into_bytes()
}

/// A sealed catalog file.
struct Part {
    suite: Suite,
    number: u32,
    salt: Salt,
    content: Vec<u8>,
    file: Vec<u8>,
    blocks: Blocks,
}

impl Part {
    fn new(suite: Suite, number: u32, salt: Salt, content: Vec<u8>) -> Self {
        let (file, blocks) = seal_content(&content, BLOCK_BYTES, &salt, |blocks| {
            run_key().part_key(&salt, suite, number, blocks)
        });
        Self { suite, number, salt, content, file, blocks }
    }

    fn key(&self) -> [u8; 32] {
        run_key().part_key(&self.salt, self.suite, self.number, self.blocks).0
    }

    fn root(&self) -> Hash {
        *blake3::hash(&self.file).as_bytes()
    }
}

/// The whole set.
struct Set {
    filled: Filled,
    shape: StripeShape,
    /// data shard 0, data shard 1, parity shard
    shards: Vec<Vec<u8>>,
    hashes: Vec<Hash>,
    part: Part,
    index: Part,
    /// with its MAC
    record: Vec<u8>,
    record_file: Vec<u8>,
    text: SetText,
}

impl Set {
    fn new() -> Self {
        Self::of(Suite::ChaCha20)
    }

    fn of(suite: Suite) -> Self {
        let filled = filled();
        let blocks = filled.blocks;
        let shape = StripeShape { id: STRIPE, suite, k: K, m: M, blocks };
        let mut buffer = vec![0; 3 * blocks.file_bytes()];
        let code = Code::new(K.into(), M.into()).unwrap();
        let hashes = seal_stripe(
            &run_key(),
            &shape,
            &salts(),
            &filled.payloads(),
            &code,
            &mut buffer,
            Vec::new(),
        );
        let shards = buffer.chunks(blocks.file_bytes()).map(<[u8]>::to_vec).collect();
        let (frame, index) = catalog_contents(&catalog_list(&filled));
        let part = Part::new(suite, 0, counting(0x60), frame);
        let index = Part::new(suite, INDEX_PART, counting(0x80), index);
        let record = stripe_record(&shape, hashes.clone());
        let record_file = record_file(&part, &record);
        let text = set_text(&record_file, [&part, &index]);
        Self { filled, shape, shards, hashes, part, index, record, record_file, text }
    }

    /// Every file of the set's folder on the drive of `slot`.
    fn files(&self, slot: Slot, key_file: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let label = label(slot).encode();
        let text = self.text.encode();
        let key = key_path(RUN);
        let mut files = BTreeMap::from([
            ("label.json".to_string(), label.clone()),
            ("set.txt".to_string(), text.clone()),
            (part_path(RUN, 0), self.part.file.clone()),
            (part_path(RUN, INDEX_PART), self.index.file.clone()),
            (record_path(RUN, 0), self.record_file.clone()),
        ]);
        for (index, shard) in self.shards.iter().enumerate().filter(|(i, _)| SLOTS[*i] == slot) {
            files.insert(shard_path(STRIPE, index as u8), shard.clone());
        }
        let line = |path: &str, bytes: &[u8]| format!("{}  {path}\n", blake3::hash(bytes));
        let checklist: String = files.iter().map(|(path, bytes)| line(path, bytes)).collect();
        files.insert("checklist.b3".into(), checklist.into_bytes());
        files.insert(key.replace(".age", ".b3"), line(&key, key_file).into_bytes());
        files.insert(key.clone(), key_file.to_vec());
        for (path, bytes) in [("label.json", &label[..]), ("set.txt", &text), (&key, key_file)] {
            files.insert(format!("copy/{path}"), bytes.to_vec());
        }
        files
    }
}

/// The content of the part (one frame) and of the index.
fn catalog_contents(items: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let zstd = raw_zstd(items);
    let (stored, plain) = (zstd.len() as u32, items.len() as u32);
    let mut frame = encode_frame_head(stored, plain).to_vec();
    frame.extend(zstd);
    let row = FrameRow { first: Vec::new(), run: RUN, part: 0, offset: 0, stored, plain };
    let index = Index { entries: 7, files: 4, file_bytes: 20_038, frames: vec![row] };
    (frame, index.encode())
}

fn stripe_record(shape: &StripeShape, hashes: Vec<Hash>) -> Vec<u8> {
    let salt = |i: usize| salts().get(i).copied().unwrap_or_default();
    let shard = |(i, slot): (usize, &Slot)| ShardRecord { slot: *slot, salt: salt(i) };
    let record = StripeRecord {
        shipment: SHIPMENT,
        set: SET,
        id: shape.id,
        kind: StripeKind::Across,
        reason: Reason::Planned,
        suite: shape.suite,
        k: shape.k,
        m: shape.m,
        blocks: shape.blocks,
        shards: SLOTS.iter().enumerate().map(shard).collect(),
        members: Vec::new(),
        hashes,
    };
    record.encode()
}

fn record_file(part: &Part, record: &[u8]) -> Vec<u8> {
    let part = PartRecord { number: part.number, blocks: part.blocks, root: part.root() };
    let header = RecordFileHeader {
        shipment: SHIPMENT,
        set: SET,
        run: RUN,
        number: 0,
        stripes: 1,
        part: Some(part),
        commitment: run_key().commitment(),
        previous: [0; 32],
    };
    record::encode_file(&header, &[record.to_vec()], |body| run_key().record_mac(body))
}

fn label(slot: Slot) -> Label {
    Label {
        what: WHAT.into(),
        format: u64::from(FORMAT_VERSION),
        program: "holdall test vectors".into(),
        shipment: SHIPMENT,
        set: SET,
        slot,
        drives: 3,
        case: CASES[slot.0 as usize - 1].into(),
        survive: "cases=1".into(),
        suite: Suite::ChaCha20.number(),
        chunk_bytes: CHUNK_BYTES as u32,
        block_bytes: BLOCK_BYTES,
        created: "2026-11-22T09:00:00Z".into(),
        name: "example".into(),
        contact: String::new(),
    }
}

fn set_text(record_file: &[u8], parts: [&Part; 2]) -> SetText {
    let slot = |number: u16| SlotLine {
        slot: Slot(number),
        case: label(Slot(number)).case,
        label: Some(*blake3::hash(&label(Slot(number)).encode()).as_bytes()),
    };
    let part = |p: &Part| PartLine {
        run: RUN,
        part: p.number,
        bytes: p.file.len() as u64,
        root: p.root(),
    };
    let run = RunLine {
        run: RUN,
        commitment: run_key().commitment(),
        files: 1,
        stripes: 1,
        last: *blake3::hash(record_file).as_bytes(),
    };
    let mut text = SetText {
        shipment: SHIPMENT,
        set: SET,
        closed: "2026-11-22T09:30:00Z".into(),
        survive: "cases=1".into(),
        slots: (1..=3).map(slot).collect(),
        runs: vec![run],
        parts: parts.map(part).to_vec(),
        before: None,
        base: None,
        last: true,
        mac: None,
    };
    text.mac = Some(run_key().set_mac(&text.lines()));
    text
}

/// Shipment, set and run, as they stand in every derivation.
fn owner() -> Vec<u8> {
    [&SHIPMENT.0.to_le_bytes()[..], &SET.0.to_le_bytes(), &RUN.0.to_le_bytes()].concat()
}

/// The plain bytes of a key file.
fn run_key_bytes() -> Vec<u8> {
    let version = [FORMAT_VERSION.to_le_bytes(), [0; 2]].concat();
    [RUN_KEY_MAGIC, &version, &owner(), &counting(0)].concat()
}

/// Three data shards and the two parity shards over them, four bytes each.
fn parity_column() -> Vec<u8> {
    let data = [[1, 2, 3, 4], [0x10, 0x20, 0x40, 0x80], [0xff, 0, 0x1d, 0x8e]];
    let mut parity = [[0; 4]; 2];
    let [p, q] = &mut parity;
    let data_refs: Vec<&[u8]> = data.iter().map(|d| &d[..]).collect();
    Code::new(3, 2).unwrap().encode(&data_refs, &mut [&mut p[..], &mut q[..]]);
    [data.concat(), parity.concat()].concat()
}

/// What the specification shows: the lines after `example: NAME`, up to the next example or the
/// end of the code block.
fn shown_examples() -> BTreeMap<&'static str, String> {
    let mut shown: BTreeMap<&str, String> = BTreeMap::new();
    let mut open = None;
    for line in SPECIFICATION.lines() {
        if let Some(name) = line.strip_prefix("example: ") {
            assert!(shown.insert(name, String::new()).is_none(), "{name} is shown twice");
            open = Some(name);
        } else if line == "```" {
            open = None;
        } else if let Some(body) = open.and_then(|name| shown.get_mut(name)) {
            *body += line;
            body.push('\n');
        }
    }
    shown
}

fn kept_json() -> Value {
    serde_json::from_str(JSON).unwrap()
}

fn key_file(kept: &Value) -> Vec<u8> {
    let text = kept["key_file"].as_str().unwrap();
    let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
    (0..text.len() / 2).map(byte).collect()
}

/// What v1.json should be; the key file and its identity are taken over.
fn made_json(set: &Set, kept: &Value) -> Value {
    let example = |(name, value): (&str, Example)| match value {
        Example::Hex(bytes) => (name.to_string(), json!(hex(&bytes))),
        Example::Text(text) => (name.to_string(), json!(text)),
    };
    let examples: serde_json::Map<_, _> = examples(set).into_iter().map(example).collect();
    let drive = |slot: u16| {
        let folder = set_folder(SHIPMENT, SET);
        let file = |(path, bytes): (String, Vec<u8>)| {
            (format!("holdall/{folder}/{path}"), json!(hex(&bytes)))
        };
        let files = set.files(Slot(slot), &key_file(kept));
        (format!("slot {slot}"), Value::Object(files.into_iter().map(file).collect()))
    };
    json!({
        "about": "Worked values of holdall format 1; src/format/format.md explains them. Bytes are \
                  hexadecimal; label.json and set.txt among the examples are text. `drives` holds \
                  every file of a whole set, `restored` what comes out of it; `cases` are structures \
                  that a reader takes or rejects.",
        "format": FORMAT_VERSION,
        "inputs": {
            "run_key": hex(&counting(0)),
            "shipment": SHIPMENT.to_string(),
            "set": SET.0,
            "run": RUN.to_string(),
            "stripe": STRIPE.number.0,
            "block_bytes": BLOCK_BYTES,
            "chunk_bytes": CHUNK_BYTES,
            "salts": salts().map(|s| hex(&s)),
            "part_salts": [hex(&set.part.salt), hex(&set.index.salt)],
        },
        "examples": examples,
        "cases": cases::json(),
        "identity": kept["identity"],
        "key_file": kept["key_file"],
        "drives": (1..=3).map(drive).collect::<serde_json::Map<_, _>>(),
        "restored": {
            "a.txt": hex(A_TXT),
            "b.txt": hex(B_TXT),
            "c.bin": hex(&c_bin()),
            "f.txt": hex(A_TXT),
        },
    })
}

#[test]
fn the_specification_shows_what_the_code_makes() {
    let mut shown = shown_examples();
    let examples = examples(&Set::new()).into_iter();
    for (name, value) in examples.filter(|(name, _)| !NOT_SHOWN.contains(name)) {
        let body = shown.remove(name).unwrap_or_else(|| panic!("{name} is not shown"));
        match value {
            Example::Text(text) => assert_eq!(body, text, "{name}"),
            Example::Hex(bytes) => {
                let bare: String = body.split_whitespace().collect();
                assert_eq!(bare, hex(&bytes), "{name}");
            }
        }
    }
    assert_eq!(shown.keys().next(), None, "shown, but not tested");
}

#[test]
fn v1_json_holds_what_the_code_makes() {
    let kept = kept_json();
    let made = made_json(&Set::new(), &kept);
    for part in made.as_object().unwrap().keys() {
        assert!(kept[part] == made[part], "v1.json differs in {part}");
    }
}

#[test]
fn the_key_file_of_v1_json_opens() {
    let kept = kept_json();
    let identities = Identities::of(kept["identity"].as_str().unwrap().parse().unwrap());
    let commitment = run_key().commitment();
    let unwrap = |run| identities.unwrap(&key_file(&kept), SHIPMENT, SET, run, Some(&commitment));
    assert_eq!(unwrap(RUN).unwrap().record_mac(&[1; 32]), run_key().record_mac(&[1; 32]));
    assert!(unwrap(RunId(1)).is_err(), "the key is bound to its run");
}

#[test]
fn the_files_of_the_set_are_read_back() {
    let set = Set::new();
    assert_eq!(Label::decode(&label(Slot(2)).encode()), Ok(label(Slot(2))));
    assert_eq!(SetText::decode(&set.text.encode()).as_ref(), Ok(&set.text));
    let header = record::decode_file(&set.record_file).unwrap();
    let records: Vec<_> = record::records(&header, &set.record_file).map(Result::unwrap).collect();
    assert_eq!(records.len(), 1);
    assert!(run_key().is_record_file(&header, &set.record_file));
    assert!(run_key().has_closed(&set.text));
    assert_eq!(*blake3::hash(&set.record_file).as_bytes(), set.text.runs[0].last);
    let index = Index::decode(&set.index.content).unwrap();
    let (stored, plain) = catalog::decode_frame_head(&set.part.content).unwrap();
    assert_eq!((index.frames[0].stored, index.frames[0].plain), (stored, plain));
    let list = frame::decompress("frame", &set.part.content[8..], plain as usize).unwrap();
    let is_begun = |item: &Item| !matches!(item, Item::Entry { continued: true, .. });
    let lists = [0, 1].map(|shard| list_reader::decode(&list_and_trailer(&set, shard).0).unwrap());
    let listed: Vec<Item> = lists.into_iter().flatten().filter(is_begun).collect();
    assert_eq!(list_reader::decode(&list).unwrap(), listed);
    let entries = listed.iter().filter(|item| matches!(item, Item::Entry { .. })).count();
    assert_eq!(index.entries, entries as u64);
}

#[test]
fn records_and_labels_of_an_unknown_suite_are_read() {
    let mut file = Set::new().record_file;
    file[148 + 6] = 3;
    let end = file.len() - 32;
    let digest = blake3::hash(&file[..end]);
    file[end..].copy_from_slice(digest.as_bytes());
    let header = record::decode_file(&file).unwrap();
    let record = record::records(&header, &file).next().unwrap().unwrap();
    assert_eq!(record.suite, Suite::Unknown(3));
    let label = Label { suite: 3, ..label(Slot(1)) };
    assert_eq!(Label::decode(&label.encode()), Ok(label));
}

/// Rewrites v1.json after a change of the format, which is possible only until format 1 is
/// frozen: `HOLDALL_RENEW_VECTORS=1 cargo test write_v1_json`.
#[test]
fn write_v1_json() {
    if std::env::var_os("HOLDALL_RENEW_VECTORS").is_none() {
        return;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/vectors/v1.json");
    let json = made_json(&Set::new(), &kept_json());
    std::fs::write(path, serde_json::to_string_pretty(&json).unwrap() + "\n").unwrap();
}

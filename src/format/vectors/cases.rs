//! Bytes that a reader takes or rejects: each rule of the tables, by one case that breaks it or just does
//! not. They stand in v1.json, so that readers in other languages are held to them too.

use super::examples::entries;
use super::{BLOCK_BYTES, CHUNK_BYTES, RUN, SET, SHIPMENT, STRIPE, Set, hex, label, run_key};
use crate::format::catalog::{FrameRow, Index};
use crate::format::ids::{RunId, SetNumber, ShipmentId, Slot, StripeId};
use crate::format::label::Label;
use crate::format::list::{self, End, Entry, Extent, Item, Kind, Method, Place, State};
use crate::format::record::{self, RecordFileHeader, StripeRecord};
use crate::format::set::{PartLine, RunLine, SetText};
use crate::format::shard::Trailer;
use crate::stages::compress::{Decompressor, is_frame};
use serde_json::{Value, json};

/// A structure, its bytes, and whether a reader takes them.
type Case = (&'static str, Vec<u8>, bool);

/// All cases by name.
fn cases() -> Vec<(String, Case)> {
    let of = |what: &'static str, cases: Vec<(&'static str, Vec<u8>, bool)>| {
        cases
            .into_iter()
            .map(move |(name, bytes, good)| (format!("{what}: {name}"), (what, bytes, good)))
    };
    let mut all: Vec<_> = of("list", entry_cases()).collect();
    all.extend(of("list", lacks_cases()));
    all.extend(of("list", item_cases()));
    all.extend(of("record file", record_cases()));
    all.extend(of("set.txt", text_cases()));
    all.extend(of("label.json", label_cases()));
    all.extend(of("index", index_cases()));
    all.extend(of("trailer", trailer_cases()));
    all.extend(of("zstd frame", frame_cases()));
    all
}

/// What stands in v1.json.
pub(super) fn json() -> Value {
    let case = |(name, (what, bytes, good)): (String, Case)| {
        (name, json!({"what": what, "bytes": hex(&bytes), "taken": good}))
    };
    Value::Object(cases().into_iter().map(case).collect())
}

fn coded(entry: Entry) -> Vec<u8> {
    list::encode(&[Item::Entry { entry, continued: false }])
}

/// A file's entry with this more in a field.
fn with_field(mut bytes: Vec<u8>, tag: u8, field: &[u8]) -> Vec<u8> {
    bytes.push(tag);
    bytes.extend((field.len() as u32).to_le_bytes());
    bytes.extend(field);
    let len = bytes.len() as u32 - 5;
    bytes[1..5].copy_from_slice(&len.to_le_bytes());
    bytes
}

fn set_byte(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    bytes[at] = byte;
    bytes
}

fn file() -> Entry {
    Entry { size: 100, ..Entry::new("a", Kind::File) }
}

/// What an entry says that the packer could not take.
fn lacks_cases() -> Vec<Case> {
    let lacks =
        |path: &str, kind, codes: &[u8]| with_field(coded(Entry::new(path, kind)), 7, codes);
    let bare = || Entry::new("x", Kind::Unknown);
    vec![
        ("a name of which nothing is known", coded(bare()), true),
        ("nothing known, a mode", coded(Entry { mode: 0o644, ..bare() }), false),
        ("nothing known, a time", coded(Entry { mtime: -1, ..bare() }), false),
        ("nothing known, an owner's name", coded(Entry { user: b"u".into(), ..bare() }), false),
        ("a folder not listed", lacks("f", Kind::Folder, &[1]), true),
        ("a folder listed in part, without attributes", lacks("f", Kind::Folder, &[2, 3]), true),
        ("a folder not listed and listed in part", lacks("f", Kind::Folder, &[1, 2]), false),
        ("a file not listed", lacks("f", Kind::Socket, &[1]), false),
        ("an unknown folder", lacks("f", Kind::Unknown, &[1]), true),
        ("an unknown folder listed in part", lacks("f", Kind::Unknown, &[2]), false),
        ("nothing known, but that attributes lack", lacks("f", Kind::Unknown, &[3]), false),
        ("a socket without attributes", lacks("f", Kind::Socket, &[3]), true),
        ("no attributes at all, of the dataset", lacks("", Kind::Folder, &[4]), true),
        ("no attributes at all, of another folder", lacks("f", Kind::Folder, &[4]), false),
        ("lacks in descending order", lacks("f", Kind::Folder, &[3, 1]), false),
        ("a lack twice", lacks("f", Kind::Folder, &[3, 3]), false),
        ("a lack that is not known", lacks("f", Kind::Folder, &[5]), false),
    ]
}

fn entry_cases() -> Vec<Case> {
    let named = |path: &[u8]| coded(Entry { size: 0, ..Entry::new(path, Kind::File) });
    let holes = |holes: &[(u64, u64)]| coded(Entry { holes: holes.to_vec(), ..file() });
    let attribute = |name: &[u8]| [&(name.len() as u16).to_le_bytes()[..], name, b"v"].concat();
    let two = |first: &[u8], second: &[u8]| {
        with_field(with_field(coded(file()), 4, &attribute(first)), 4, &attribute(second))
    };
    let link =
        |target: &[u8]| coded(Entry { target: target.to_vec(), ..Entry::new("l", Kind::HardLink) });
    let device = coded(Entry::new("d", Kind::BlockDevice));
    let [known, ..] = entries();
    vec![
        ("an entry", coded(known), true),
        ("no item", Vec::new(), true),
        ("an entry cut short", coded(file())[..40].to_vec(), false),
        ("an unknown kind of entry", set_byte(coded(file()), 6, 99), false),
        ("an unknown flag", set_byte(coded(file()), 5, 8), false),
        ("changed, but not whole", set_byte(coded(file()), 5, 4), false),
        ("a folder that is whole", set_byte(coded(Entry::new("f", Kind::Folder)), 5, 2), false),
        ("a mode above 0o7777", set_byte(coded(file()), 10, 0x10), false),
        ("10^9 nanoseconds", coded(Entry { mtime_nanos: 1_000_000_000, ..file() }), false),
        ("a folder with a size", coded(Entry { size: 1, ..Entry::new("f", Kind::Folder) }), false),
        ("the dataset's own folder", coded(Entry::new("", Kind::Folder)), true),
        ("a file of the empty path", named(b""), false),
        ("an absolute path", named(b"/a"), false),
        ("a path that ends in a slash", named(b"a/"), false),
        ("a name of one dot", named(b"a/./b"), false),
        ("a name of two dots", named(b"a/../b"), false),
        ("a zero byte in a path", named(b"a\0b"), false),
        ("a name of 1,020 bytes", named(&[b'n'; 1020]), true),
        ("a name of 1,021 bytes", named(&[b'n'; 1021]), false),
        ("a path that is not UTF-8", named(&[0xff, 0xfe]), true),
        ("a hole to the end", holes(&[(50, 50)]), true),
        ("a hole behind the end", holes(&[(50, 51)]), false),
        ("a hole of no bytes", holes(&[(50, 0)]), false),
        ("holes that touch", holes(&[(0, 10), (10, 10)]), false),
        ("holes that overlap", holes(&[(0, 10), (9, 10)]), false),
        ("holes in descending order", holes(&[(20, 10), (0, 10)]), false),
        ("attributes in ascending order", two(b"a", b"b"), true),
        ("an attribute twice", two(b"a", b"a"), false),
        ("attributes in descending order", two(b"b", b"a"), false),
        ("an attribute without a name", with_field(coded(file()), 4, &attribute(b"")), false),
        (
            "a zero byte in an attribute's name",
            with_field(coded(file()), 4, &attribute(b"a\0")),
            false,
        ),
        ("an attribute cut short", with_field(coded(file()), 4, &[9, 0, b'a']), false),
        ("tag 0", with_field(coded(file()), 0, b"x"), false),
        ("an unknown tag below 128", with_field(coded(file()), 127, b"x"), true),
        ("an unknown tag above 127", with_field(coded(file()), 128, b"x"), false),
        (
            "tags in descending order",
            with_field(with_field(coded(file()), 3, b"g"), 2, b"u"),
            false,
        ),
        ("a tag twice", with_field(with_field(coded(file()), 3, b"g"), 3, b"u"), false),
        ("a hard link", link(b"a"), true),
        ("a hard link to the outside", link(b"../a"), false),
        ("a link without a target", coded(Entry::new("l", Kind::Symlink)), false),
        ("a file with a target", with_field(coded(file()), 1, b"t"), false),
        ("a device without a number", device.clone(), true),
        ("a device's number of 7 bytes", with_field(device, 5, &[0; 7]), false),
        (
            "a folder with a bad device",
            with_field(coded(Entry::new("f", Kind::Folder)), 5, &[0]),
            false,
        ),
    ]
}

fn extent(offset: u64, len: u32) -> Extent {
    let place = Place {
        stripe: STRIPE,
        index: 0,
        method: Method::Plain,
        offset: 0,
        head: len,
        stored: len,
        plain: len,
    };
    Extent { file_offset: offset, len, chunk_offset: 0, id: [7; 32], place }
}

fn item_cases() -> Vec<Case> {
    let entry = |entry: Entry| Item::Entry { entry, continued: false };
    let whole = || entry(Entry { whole: true, ..file() });
    let extent_of = |place: &dyn Fn(&mut Extent)| {
        let mut changed = extent(0, 100);
        place(&mut changed);
        list::encode(&[entry(file()), Item::Extent(changed)])
    };
    let end = |state| Item::End(End { state, root: Some([1; 32]), size: 100 });
    let ended = list::encode(&[entry(file()), end(State::Whole)]);
    let end_at = ended.len() - list::END_BYTES;
    let continued = Item::Entry { entry: file(), continued: true };
    vec![
        ("a whole file", list::encode(&[whole(), Item::Extent(extent(0, 100))]), true),
        (
            "a second extent of a whole file",
            list::encode(&[whole(), Item::Extent(extent(0, 100)), Item::Extent(extent(0, 100))]),
            false,
        ),
        (
            "an extent that is not all of a whole file",
            list::encode(&[whole(), Item::Extent(extent(0, 99))]),
            false,
        ),
        ("a whole file with an end", list::encode(&[whole(), end(State::Whole)]), false),
        ("a file with an end", ended.clone(), true),
        ("a void end", list::encode(&[entry(file()), end(State::Void)]), true),
        ("an unknown state", set_byte(ended.clone(), end_at + 1, 3), false),
        ("a root where there is none", set_byte(ended.clone(), end_at + 1, 0), false),
        (
            "an extent behind the end",
            [&ended[..], &extent_of(&|_| ())[ended.len() - 42..]].concat(),
            false,
        ),
        ("an extent of no file", extent_of(&|_| ())[end_at..].to_vec(), false),
        (
            "an extent of a folder",
            list::encode(&[entry(Entry::new("f", Kind::Folder)), Item::Extent(extent(0, 1))]),
            false,
        ),
        ("an entry that is continued", list::encode(std::slice::from_ref(&continued)), true),
        ("continued within a list", list::encode(&[entry(file()), continued]), false),
        ("an unknown kind of item", [&ended[..], &[4]].concat(), false),
        ("an extent of no bytes", extent_of(&|e| e.len = 0), false),
        ("an extent behind its chunk", extent_of(&|e| e.chunk_offset = 1), false),
        ("an extent behind 2^64", extent_of(&|e| e.file_offset = u64::MAX), false),
        ("an offset that some C divides", extent_of(&|e| e.file_offset = 1024), true),
        ("an offset that no C divides", extent_of(&|e| e.file_offset = 100), false),
        (
            "a length above what divides its offset",
            extent_of(&|e| {
                (e.file_offset, e.len) = (1024, 1025);
                (e.place.head, e.place.stored, e.place.plain) = (1025, 1025, 1025);
            }),
            false,
        ),
        (
            "more plain bytes than any C",
            extent_of(&|e| (e.place.method, e.place.plain) = (Method::Zstd, (64 << 20) + 1)),
            false,
        ),
        ("a head of no bytes", extent_of(&|e| e.place.head = 0), false),
        ("a head above the stored bytes", extent_of(&|e| e.place.head = 101), false),
        ("plain bytes that are not the stored ones", extent_of(&|e| e.place.plain = 101), false),
        (
            "a chunk of zstd",
            extent_of(&|e| (e.place.method, e.place.plain) = (Method::Zstd, 101)),
            true,
        ),
    ]
}

/// A record file with its digest right.
fn record_file(
    header: &dyn Fn(&mut RecordFileHeader),
    record: &dyn Fn(&mut StripeRecord),
    raw: &dyn Fn(&mut Vec<u8>),
) -> Vec<u8> {
    let set = Set::new();
    let mut head = record::decode_file(&set.record_file).unwrap();
    let mut stripe = record::records(&head, &set.record_file).next().unwrap().unwrap();
    header(&mut head);
    record(&mut stripe);
    let mut bytes =
        record::encode_file(&head, &[stripe.encode()], |body| run_key().record_mac(body));
    raw(&mut bytes);
    let end = bytes.len() - 32;
    let digest = *blake3::hash(&bytes[..end]).as_bytes();
    bytes[end..].copy_from_slice(&digest);
    bytes
}

fn record_cases() -> Vec<Case> {
    let head = |change: &dyn Fn(&mut RecordFileHeader)| record_file(change, &|_| (), &|_| ());
    let stripe = |change: &dyn Fn(&mut StripeRecord)| record_file(&|_| (), change, &|_| ());
    let raw = |at: usize, byte: u8| record_file(&|_| (), &|_| (), &|bytes| bytes[at] = byte);
    let sound = head(&|_| ());
    let part = |number| move |h: &mut RecordFileHeader| h.part.as_mut().unwrap().number = number;
    vec![
        ("a record file", sound.clone(), true),
        ("a flipped bit", set_byte(sound.clone(), 200, !sound[200]), false),
        ("cut short", sound[..sound.len() - 1].to_vec(), false),
        ("another magic", raw(0, b'H'), false),
        ("a newer format", raw(8, 2), false),
        ("version 0", raw(8, 0), false),
        ("an unknown flag", raw(10, 3), false),
        ("a part's fields without a part", raw(10, 0), false),
        ("without a part", head(&|h| h.part = None), true),
        ("a part that is the index", head(&part(u32::MAX)), false),
        ("of another set", head(&|h| h.set = SetNumber(2)), false),
        ("of another shipment", head(&|h| h.shipment = ShipmentId(1)), false),
        ("of another run", head(&|h| h.run = RunId(1)), false),
        ("a record more", head(&|h| h.stripes = 2), false),
        ("a record less", head(&|h| h.stripes = 0), false),
        ("more records than there may be", head(&|h| h.stripes = 65_537), false),
        ("an unknown kind of stripe", raw(148 + 4, 2), false),
        ("an unknown reason", raw(148 + 5, 4), false),
        ("suite 0", raw(148 + 6, 0), false),
        ("an unknown suite", raw(148 + 6, 3), true),
        ("no data shards", stripe(&|r| r.k = 0), false),
        ("a nonzero byte of zeros", raw(148 + 9, 1), false),
        ("a record of a newer format", raw(148 + 10, 2), false),
        ("B that is no power of two", raw(148 + 12, 1), false),
        ("a slot twice", stripe(&|r| r.shards[1].slot = r.shards[0].slot), false),
        ("another run in a record", stripe(&|r| r.id = StripeId { run: RunId(1), ..r.id }), false),
    ]
}

fn text_cases() -> Vec<Case> {
    let text = |change: &dyn Fn(&mut SetText)| {
        let mut text = Set::new().text;
        change(&mut text);
        text.encode()
    };
    let words = |from: &str, to: &str| {
        let sound = String::from_utf8(text(&|_| ())).unwrap();
        assert!(sound.contains(from), "{from}");
        sound.replace(from, to).into_bytes()
    };
    let run = || RunLine { run: RunId(9), ..Set::new().text.runs[0].clone() };
    let unsealed = |text: &mut SetText| {
        text.parts.pop();
        text.mac = None;
    };
    vec![
        ("a set.txt", text(&|_| ()), true),
        ("closed from its drives alone", text(&unsealed), true),
        ("an index without a MAC", text(&|t| t.mac = None), false),
        ("a MAC without an index", text(&|t| t.parts.truncate(1)), false),
        ("no run", text(&|t| t.runs.clear()), false),
        ("two runs", text(&|t| t.runs.push(run())), true),
        ("a run twice", text(&|t| t.runs.push(t.runs[0].clone())), false),
        (
            "a part of no run",
            text(&|t| t.parts.insert(0, PartLine { run: RunId(9), ..t.parts[0].clone() })),
            false,
        ),
        ("a part twice", text(&|t| t.parts.insert(0, t.parts[0].clone())), false),
        ("the index before a part", text(&|t| t.parts.reverse()), false),
        ("no slot", text(&|t| t.slots.clear()), false),
        ("slots from 2 on", text(&|t| t.slots = t.slots.split_off(1)), false),
        ("a slot of an unknown drive", words(" red ", " ? "), false),
        ("of another set", text(&|t| t.set = SetNumber(2)), false),
        ("set 0", text(&|t| t.set = SetNumber(0)), false),
        ("a newer format", words("holdall-set 1", "holdall-set 2"), false),
        ("no text", words("survive cases=1", "survive "), false),
        ("two spaces", words("survive cases=1", "survive  cases=1"), false),
        ("a leading zero", words("\nset 1\n", "\nset 01\n"), false),
        ("a sign", words("\nset 1\n", "\nset +1\n"), false),
        ("capital digits", words("shipment 0123456789abcdef", "shipment 0123456789ABCDEF"), false),
        ("no line end", text(&|_| ()).split_last().unwrap().1.to_vec(), false),
        ("a line more", [&text(&|_| ())[..], b"more\n"].concat(), false),
        ("a carriage return", words("\nlast yes\n", "\r\nlast yes\n"), false),
        ("neither yes nor no", words("last yes", "last perhaps"), false),
    ]
}

fn label_cases() -> Vec<Case> {
    let with = |change: &dyn Fn(&mut Label)| {
        let mut label = label(Slot(1));
        change(&mut label);
        label.encode()
    };
    let words = |from: &str, to: &str| {
        let sound = String::from_utf8(with(&|_| ())).unwrap();
        assert!(sound.contains(from), "{from}");
        sound.replace(from, to).into_bytes()
    };
    vec![
        ("a label", with(&|_| ()), true),
        ("a member more", words("\"what\"", "\"more\": [1], \"what\""), true),
        ("a member less", words("  \"contact\": \"\"\n", "  \"contac\": \"\"\n"), false),
        ("a member twice", words("\"set\": 1,", "\"set\": 1, \"set\": 1,"), false),
        ("a number with a point", words("\"set\": 1,", "\"set\": 1.0,"), false),
        ("another what", with(&|l| l.what = "drive".into()), false),
        ("a newer format", with(&|l| l.format = 2), false),
        ("format 0", with(&|l| l.format = 0), false),
        ("of another set", with(&|l| l.set = SetNumber(2)), false),
        ("slot 0", with(&|l| l.slot = Slot(0)), false),
        ("a slot above drives", with(&|l| l.slot = Slot(4)), false),
        ("a case of no letters", with(&|l| l.case = String::new()), false),
        ("a case of 33 letters", with(&|l| l.case = "c".repeat(33)), false),
        ("a case with a slash", with(&|l| l.case = "a/b".into()), false),
        ("suite 0", with(&|l| l.suite = 0), false),
        ("an unknown suite", with(&|l| l.suite = 3), true),
        ("C of 512", with(&|l| l.chunk_bytes = 512), false),
        ("C of 64 MiB", with(&|l| l.chunk_bytes = 64 << 20), true),
        ("C of 128 MiB", with(&|l| l.chunk_bytes = 128 << 20), false),
        ("C that is no power of two", with(&|l| l.chunk_bytes = CHUNK_BYTES as u32 + 1), false),
        ("B of 8 MiB", with(&|l| l.block_bytes = 8 << 20), false),
        ("B of 4 MiB", with(&|l| l.block_bytes = BLOCK_BYTES << 10), true),
        ("no JSON", b"label\n".to_vec(), false),
    ]
}

fn index_cases() -> Vec<Case> {
    let row = |first: &[u8]| FrameRow {
        first: first.to_vec(),
        run: RUN,
        part: 0,
        offset: 0,
        stored: 9,
        plain: 9,
    };
    let index =
        |frames: Vec<FrameRow>| Index { entries: 1, files: 1, file_bytes: 1, frames }.encode();
    let sound = index(vec![row(b""), row(b"b"), row(b"b")]);
    vec![
        ("an index", sound.clone(), true),
        ("no rows", index(Vec::new()), true),
        ("keys that descend", index(vec![row(b"b"), row(b"a")]), false),
        ("a frame of no bytes", index(vec![FrameRow { stored: 0, ..row(b"") }]), false),
        ("no plain bytes", index(vec![FrameRow { plain: 0, ..row(b"") }]), false),
        ("more than 64 MiB", index(vec![FrameRow { plain: (64 << 20) + 1, ..row(b"") }]), false),
        ("cut short", sound[..sound.len() - 1].to_vec(), false),
        ("more behind it", [&sound[..], &[0]].concat(), false),
    ]
}

fn trailer_cases() -> Vec<Case> {
    // Of a payload of 12,208 bytes, as the examples have.
    let trailer = |chunk_bytes, list_bytes| Trailer { chunk_bytes, list_bytes }.encode().to_vec();
    vec![
        ("a trailer", trailer(12_000, 192), true),
        ("a byte too much", trailer(12_000, 193), false),
        ("a nonzero byte of zeros", set_byte(trailer(1, 1), 8, 1), false),
    ]
}

/// Plain bytes that the frames of the cases are said to give.
const FRAME_PLAIN: usize = 300;

/// A zstd frame of one raw block, whose head has this descriptor and what follows it.
fn frame(head: &[u8], plain: usize) -> Vec<u8> {
    let block = ((plain as u32) << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd], head, &block[..3], &vec![7; plain]].concat()
}

fn frame_cases() -> Vec<Case> {
    let plain = FRAME_PLAIN;
    let (size, other) = (44u16.to_le_bytes(), 45u16.to_le_bytes());
    let sized = |size: [u8; 2]| frame(&[0x60, size[0], size[1]], plain);
    let window = |byte| frame(&[0, byte], plain);
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0][..], &[0]].concat();
    vec![
        ("a frame that says its size", sized(size), true),
        ("one that says another size", sized(other), false),
        ("a window of 1 KiB", window(0), true),
        ("a window of 8 MiB", window(13 << 3), true),
        ("a window of 9 MiB", window(13 << 3 | 1), false),
        ("the largest window that can be written", window(0xff), false),
        ("fewer bytes", frame(&[0, 0], plain - 1), false),
        ("more bytes", frame(&[0, 0], plain + 1), false),
        ("a dictionary", frame(&[1, 0, 9], plain), false),
        ("a byte behind it", [&sized(size)[..], &[0]].concat(), false),
        ("an empty frame behind it", [&sized(size)[..], &frame(&[0, 0], 0)].concat(), false),
        ("a skippable frame before it", [&skipped[..], &sized(size)].concat(), false),
        ("another magic", set_byte(sized(size), 0, 0x27), false),
        ("cut short", sized(size)[..plain].to_vec(), false),
    ]
}

/// Payload bytes of a shard of the examples.
fn payload_bytes() -> usize {
    Set::new().shape.blocks.payload_bytes()
}

#[test]
fn each_case_is_taken_or_rejected() {
    for (name, (what, bytes, good)) in cases() {
        let taken = match what {
            "list" => list::decode(&bytes).is_ok(),
            "record file" => record::decode_file(&bytes).is_ok_and(|head| {
                let own =
                    (head.shipment, head.set, head.run, head.number) == (SHIPMENT, SET, RUN, 0);
                own && record::records(&head, &bytes).all(|record| record.is_ok())
            }),
            "set.txt" => SetText::decode(&bytes)
                .is_ok_and(|text| (text.shipment, text.set) == (SHIPMENT, SET)),
            "label.json" => Label::decode(&bytes)
                .is_ok_and(|label| (label.shipment, label.set) == (SHIPMENT, SET)),
            "index" => Index::decode(&bytes).is_ok(),
            "zstd frame" => {
                let mut plain = vec![0; FRAME_PLAIN];
                let decompressed =
                    Decompressor::new().unwrap().decompress(Method::Zstd, &bytes, &mut plain);
                decompressed.is_ok() && is_frame(&bytes, FRAME_PLAIN)
            }
            _ => Trailer::decode(bytes[..].try_into().unwrap(), payload_bytes()).is_ok(),
        };
        assert_eq!(taken, good, "{name}");
    }
}

//! Bytes that a reader takes or rejects: each rule of the tables, by one case that breaks it or just does
//! not. They stand in v1.json, so that readers in other languages are held to them too.

use super::list_cases;
use super::{BLOCK_BYTES, CHUNK_BYTES, RUN, SET, SHIPMENT, Set, hex, label, run_key};
use crate::format::catalog::{FrameRow, Index};
use crate::format::ids::{RunId, SetNumber, ShipmentId, Slot, StripeId};
use crate::format::label::Label;
use crate::format::record::{self, RecordFileHeader, StripeRecord};
use crate::format::set::{PartLine, RunLine, SetText};
use crate::format::shard::Trailer;
use crate::format::{frame, list_reader};
use serde_json::{Value, json};

/// A structure, its bytes, and whether a reader takes them.
pub(super) type Case = (&'static str, Vec<u8>, bool);

/// All cases by name.
fn cases() -> Vec<(String, Case)> {
    let of = |what: &'static str, cases: Vec<(&'static str, Vec<u8>, bool)>| {
        cases
            .into_iter()
            .map(move |(name, bytes, good)| (format!("{what}: {name}"), (what, bytes, good)))
    };
    let mut all: Vec<_> = of("list", list_cases::all()).collect();
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

pub(super) fn set_byte(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    bytes[at] = byte;
    bytes
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
fn frame_of(head: &[u8], plain: usize) -> Vec<u8> {
    let block = ((plain as u32) << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd], head, &block[..3], &vec![7; plain]].concat()
}

fn frame_cases() -> Vec<Case> {
    let plain = FRAME_PLAIN;
    let (size, other) = (44u16.to_le_bytes(), 45u16.to_le_bytes());
    let sized = |size: [u8; 2]| frame_of(&[0x60, size[0], size[1]], plain);
    let window = |byte| frame_of(&[0, byte], plain);
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0][..], &[0]].concat();
    vec![
        ("a frame that says its size", sized(size), true),
        ("one that says another size", sized(other), false),
        ("a window of 1 KiB", window(0), true),
        ("a window of 8 MiB", window(13 << 3), true),
        ("a window of 9 MiB", window(13 << 3 | 1), false),
        ("the largest window that can be written", window(0xff), false),
        ("fewer bytes", frame_of(&[0, 0], plain - 1), false),
        ("more bytes", frame_of(&[0, 0], plain + 1), false),
        ("a dictionary", frame_of(&[1, 0, 9], plain), false),
        ("a byte behind it", [&sized(size)[..], &[0]].concat(), false),
        ("an empty frame behind it", [&sized(size)[..], &frame_of(&[0, 0], 0)].concat(), false),
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
            "list" => list_reader::decode(&bytes).is_ok(),
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
            "zstd frame" => frame::decompress("frame", &bytes, FRAME_PLAIN).is_ok(),
            _ => Trailer::decode(bytes[..].try_into().unwrap(), payload_bytes()).is_ok(),
        };
        assert_eq!(taken, good, "{name}");
    }
}

//! Goal: every structure of the format comes back from its bytes as it was, and no bytes whatever
//! make a parser panic: a hundred thousand mutations of each, the same ones every time.
#![allow(clippy::unwrap_used, clippy::type_complexity, clippy::format_push_string)]

mod common;

use common::random::Random;
use holdall::testing::format::Suite;
use holdall::testing::format::catalog::{FrameRow, Index, decode_frame_head};
use holdall::testing::format::ids::{
    INDEX_PART, RunId, SetNumber, ShipmentId, Slot, StripeId, StripeNumber,
};
use holdall::testing::format::label::{Label, MOST_CHUNK_BYTES, WHAT};
use holdall::testing::format::list::{
    DataShard, End, Entry, Extent, Item, Kind, Lack, Method, Place, State,
};
use holdall::testing::format::record::{
    self, Member, PartRecord, Reason, RecordFileHeader, ShardRecord, StripeKind, StripeRecord,
};
use holdall::testing::format::set::{PartLine, RunLine, SetText, SlotLine, UNKNOWN_CASE};
use holdall::testing::format::shard::{Blocks, TRAILER_BYTES, Trailer};
use holdall::testing::format::{list_reader, list_writer};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;

/// How often each structure is mutated.
const MUTATIONS: usize = 100_000;

fn config() -> ProptestConfig {
    // What fails is kept as a test by hand, not in a file of numbers.
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) }
}

fn hash() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

fn run() -> impl Strategy<Value = RunId> {
    any::<u64>().prop_map(RunId)
}

fn stripe_id() -> impl Strategy<Value = StripeId> {
    (run(), any::<u32>()).prop_map(|(run, n)| StripeId { run, number: StripeNumber(n) })
}

fn blocks() -> impl Strategy<Value = Blocks> {
    (12u32..=16, 1u32..5).prop_map(|(bits, count)| Blocks::new(1 << bits, count).unwrap())
}

/// A path as `checked_path` takes it, with any bytes in its names.
fn path() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no path has it", |b| *b != 0 && *b != b'/');
    let name = vec(byte, 1..40).prop_filter("these lead elsewhere", |n| n != b"." && n != b"..");
    vec(name, 1..5).prop_map(|names| names.join(&b'/'))
}

/// Holes that lie apart within `size` bytes.
fn holes(lens: &[(u16, u16)], size: u64) -> Vec<(u64, u64)> {
    let (mut at, mut holes) = (0, Vec::new());
    for (skip, len) in lens {
        let (start, len) = (at + u64::from(*skip), u64::from(*len) + 1);
        if start + len > size {
            break;
        }
        holes.push((start, len));
        at = start + len + 1;
    }
    holes
}

fn kind() -> impl Strategy<Value = Kind> {
    use Kind::{BlockDevice, CharDevice, Fifo, File, Folder, HardLink, Socket, Symlink, Unknown};
    select(vec![Folder, File, Symlink, HardLink, Fifo, CharDevice, BlockDevice, Socket, Unknown])
}

/// What such an entry may lack; `which` chooses.
fn lacks(kind: Kind, which: usize) -> Vec<Lack> {
    use Lack::{Attributes, Names, SomeNames};
    let of_folder = [vec![], vec![Names], vec![SomeNames], vec![Names, Attributes]];
    match kind {
        Kind::Folder => of_folder[which].clone(),
        Kind::Unknown => of_folder[which % 2].clone(),
        Kind::HardLink => Vec::new(),
        _ => vec![Attributes; which % 2],
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let names = (path(), path(), vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..9));
    let numbers = (0u32..=0o7777, any::<u32>(), any::<u32>(), any::<i64>(), 0u32..1_000_000_000);
    let rest = (
        prop_oneof![any::<u64>(), 0..u64::from(u32::MAX), 0..100_000u64],
        btree_map(vec(1u8.., 1..9), vec(any::<u8>(), 0..30), 0..4),
        (any::<u32>(), any::<u32>()),
        vec(any::<(u16, u16)>(), 0..5),
        (any::<bool>(), 0usize..4),
    );
    (kind(), names, numbers, rest).prop_map(|(kind, names, numbers, rest)| {
        let (path, target, user, group) = names;
        let (mode, uid, gid, mtime, mtime_nanos) = numbers;
        let (size, xattrs, device, lens, (whole, which)) = rest;
        let lacks = lacks(kind, which);
        if kind == Kind::Unknown {
            return Entry { lacks, ..Entry::new(path, kind) };
        }
        let is_file = kind == Kind::File;
        let is_link = matches!(kind, Kind::Symlink | Kind::HardLink);
        let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
        Entry {
            whole: whole && is_file,
            mode,
            uid,
            gid,
            mtime,
            mtime_nanos,
            size: if is_file { size } else { 0 },
            target: if is_link { target } else { Vec::new() },
            user,
            group,
            xattrs: xattrs.into_iter().collect(),
            device: is_device.then_some(device),
            holes: if is_file { holes(&lens, size) } else { Vec::new() },
            lacks,
            ..Entry::new(path, kind)
        }
    })
}

/// One of few, so that lists name their own.
fn data_shard() -> impl Strategy<Value = DataShard> {
    let stripe = StripeId { run: RunId(7), number: StripeNumber(1) };
    prop_oneof![
        (0u8..2).prop_map(move |index| DataShard { stripe, index }),
        (stripe_id(), any::<u8>()).prop_map(|(stripe, index)| DataShard { stripe, index }),
    ]
}

fn extent() -> impl Strategy<Value = Extent> {
    const MOST: u32 = MOST_CHUNK_BYTES;
    let place = (data_shard(), any::<u32>(), 1..=MOST, 0u8..=22);
    (place, 1..=MOST, any::<(u32, u32)>(), any::<u32>(), hash()).prop_map(
        |((shard, offset, stored, level), plain, (from, head), file_offset, id)| {
            let DataShard { stripe, index } = shard;
            let method = if level > 0 { Method::Zstd(level) } else { Method::Plain };
            let plain = if level > 0 { plain } else { stored };
            let chunk_offset = from % plain;
            let len = (plain - chunk_offset).div_ceil(2);
            let head = 1 + head % stored;
            let place = Place { stripe, index, method, offset, head, stored, plain };
            let file_offset = u64::from(file_offset) * u64::from(MOST);
            Extent { file_offset, len, chunk_offset, id, place }
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    let state = select(vec![State::Whole, State::Changed, State::Void]);
    (state, option::of(hash()), any::<u64>()).prop_map(|(state, root, size)| End {
        state,
        root,
        size,
    })
}

/// The shard that lists are of.
const SHARD: DataShard =
    DataShard { stripe: StripeId { run: RunId(7), number: StripeNumber(1) }, index: 0 };

fn encode(items: &[Item]) -> Vec<u8> {
    list_writer::encode(SHARD, items)
}

/// The extent of a whole file of `size` bytes: in the chunk of the one before it if there is room, else
/// from the beginning of its own.
fn whole_extent(size: u64, before: Option<Extent>, mut own: Extent) -> Option<Extent> {
    let len = u32::try_from(size).ok().filter(|len| *len <= MOST_CHUNK_BYTES)?;
    let follows = before.and_then(|before| {
        let chunk_offset = before.chunk_offset + before.len;
        (before.place.plain - chunk_offset >= len).then_some(Extent { chunk_offset, len, ..before })
    });
    (own.file_offset, own.len, own.chunk_offset) = (0, len, 0);
    (own.place.plain, own.place.method) = ((2 * len).min(MOST_CHUNK_BYTES), Method::Zstd(3));
    Some(follows.unwrap_or(own))
}

/// A list: entries; files with extents and an end. It may begin inside a file.
fn items() -> impl Strategy<Value = Vec<Item>> {
    let file = (entry(), vec(extent(), 0..4), option::of(end()));
    (vec(file, 0..6), any::<bool>()).prop_map(|(files, continued)| {
        let (mut items, mut before) = (Vec::new(), None);
        for (mut entry, extents, end) in files {
            let is_file = entry.kind == Kind::File;
            let own = extents.first().copied().filter(|_| entry.whole && entry.size > 0);
            let all = own.and_then(|own| whole_extent(entry.size, before, own));
            entry.whole &= entry.size == 0 || all.is_some();
            let continued = continued && is_file && !entry.whole && items.is_empty();
            let whole = entry.whole;
            items.push(Item::Entry { entry, continued });
            before = all.or(before);
            if whole {
                items.extend(all.map(Item::Extent));
            } else if is_file {
                items.extend(extents.into_iter().map(Item::Extent));
                items.extend(end.map(Item::End));
            }
        }
        items
    })
}

fn index() -> impl Strategy<Value = Index> {
    let row = (path(), run(), any::<u32>(), any::<u64>(), 1..=u32::MAX, 1u32..64 << 20);
    let row = row.prop_map(|(first, run, part, offset, stored, plain)| FrameRow {
        first,
        run,
        part,
        offset,
        stored,
        plain,
    });
    (any::<[u32; 3]>(), vec(row, 0..8)).prop_map(|(counts, mut frames)| {
        frames.sort_by(|a, b| a.first.cmp(&b.first));
        let [entries, files, file_bytes] = counts.map(u64::from);
        Index { entries, files, file_bytes, frames }
    })
}

fn stripe_record(
    shipment: ShipmentId,
    set: SetNumber,
    run: RunId,
) -> impl Strategy<Value = StripeRecord> {
    let shape = (1u8..6, 0u8..4, blocks(), any::<u32>(), 1u16..900);
    let member = (stripe_id(), any::<u8>()).prop_map(|(stripe, index)| Member { stripe, index });
    let members = option::of(vec(member, 1..4));
    let reasons = [Reason::Planned, Reason::DriveLost, Reason::DriveFull, Reason::MoreData];
    (shape, members, select(reasons.to_vec()), any::<u64>()).prop_map(
        move |((k, m, blocks, number, slot), members, reason, seed)| {
            let (k, m) = if members.is_some() { (0, 1) } else { (k, m) };
            let count = usize::from(k + m);
            let mut random = Random::new(&seed.to_string());
            let mut hash = || <[u8; 32]>::try_from(random.bytes(32)).unwrap();
            let shard = |i: usize| ShardRecord { slot: Slot(slot + i as u16), salt: hash() };
            let shards = (0..count).map(shard).collect();
            let hashes = (0..count * blocks.count()).map(|_| hash()).collect();
            StripeRecord {
                shipment,
                set,
                id: StripeId { run, number: StripeNumber(number) },
                kind: if members.is_some() { StripeKind::Along } else { StripeKind::Across },
                reason,
                suite: Suite::ALL[number as usize % 2],
                k,
                m,
                blocks,
                shards,
                members: members.unwrap_or_default(),
                hashes,
            }
        },
    )
}

/// A record file's header and the records in it.
fn record_file() -> impl Strategy<Value = (RecordFileHeader, Vec<StripeRecord>)> {
    let part = (any::<u32>(), blocks(), hash());
    let part = part.prop_map(|(number, blocks, root)| PartRecord { number, blocks, root });
    let ids = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>(), option::of(part));
    (ids, hash(), hash()).prop_flat_map(|(ids, commitment, previous)| {
        let (shipment, set, run, number, part) = ids;
        let (shipment, set, run) = (ShipmentId(shipment), SetNumber(set), RunId(run));
        vec(stripe_record(shipment, set, run), 0..4).prop_map(move |records| {
            let stripes = records.len() as u32;
            let header = RecordFileHeader {
                shipment,
                set,
                run,
                number,
                stripes,
                part,
                commitment,
                previous,
            };
            (header, records)
        })
    })
}

/// The file's bytes; the MAC is of zeros, which only a key holder would notice.
fn record_bytes(header: &RecordFileHeader, records: &[StripeRecord]) -> Vec<u8> {
    let records: Vec<_> = records.iter().map(StripeRecord::encode).collect();
    record::encode_file(header, &records, |_| [0; 32])
}

fn set_text() -> impl Strategy<Value = SetText> {
    let slots = vec(option::of(("[A-Za-z0-9._-]{1,32}", hash())), 1..6);
    let runs = btree_map(run(), (hash(), any::<u32>(), any::<u32>(), hash()), 1..4);
    let parts = vec((any::<u8>(), any::<u64>(), hash()), 0..5);
    let ids = (any::<u64>(), 1..=u32::MAX, "[!-~][ -~]{0,30}", "[!-~][ -~]{0,30}");
    let rest = (option::of(hash()), option::of(any::<u64>()), any::<bool>(), any::<bool>());
    (ids, slots, runs, parts, rest).prop_map(|(ids, slots, runs, parts, rest)| {
        let slot = |(i, known): (usize, Option<(String, [u8; 32])>)| {
            let (case, label) = known.map_or((UNKNOWN_CASE.into(), None), |(c, l)| (c, Some(l)));
            SlotLine { slot: Slot(i as u16 + 1), case, label }
        };
        let run = |(run, (commitment, files, stripes, last))| RunLine {
            run,
            commitment,
            files,
            stripes,
            last,
        };
        let runs: Vec<RunLine> = runs.into_iter().map(run).collect();
        let part = |(number, (of, bytes, root)): (usize, (u8, u64, [u8; 32]))| {
            let run = runs[usize::from(of) % runs.len()].run;
            PartLine { run, part: number as u32, bytes, root }
        };
        let mut parts: Vec<PartLine> = parts.into_iter().enumerate().map(part).collect();
        if let Some(last) = parts.last_mut().filter(|_| rest.3) {
            last.part = INDEX_PART;
        }
        let sealed = rest.3 && !parts.is_empty();
        SetText {
            shipment: ShipmentId(ids.0),
            set: SetNumber(ids.1),
            closed: ids.2,
            survive: ids.3,
            slots: slots.into_iter().enumerate().map(slot).collect(),
            runs,
            parts,
            before: rest.0,
            mac: rest.0.or(Some([7; 32])).filter(|_| sealed),
            base: rest.1.map(ShipmentId),
            last: rest.2,
        }
    })
}

fn label() -> impl Strategy<Value = Label> {
    let numbers = (any::<u64>(), 1..=u32::MAX, 1u16..=255, 0u16..255, 10u32..22, 12u32..23);
    let texts = ("[A-Za-z0-9._-]{1,32}", any::<String>(), any::<String>(), any::<String>());
    (numbers, texts).prop_map(|((shipment, set, drives, slot, chunk, block), texts)| Label {
        what: WHAT.into(),
        format: 1,
        program: texts.1.clone(),
        shipment: ShipmentId(shipment),
        set: SetNumber(set),
        slot: Slot(1 + slot % drives),
        drives,
        case: texts.0,
        survive: texts.1,
        suite: 1 + (slot % 2) as u8,
        chunk_bytes: 1 << chunk,
        block_bytes: 1 << block,
        created: "2026-11-22T00:00:00Z".into(),
        name: texts.2,
        contact: texts.3,
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lists_come_back(items in items()) {
        prop_assert_eq!(list_reader::decode(&encode(&items)).unwrap(), items);
    }

    #[test]
    fn indices_come_back(index in index()) {
        prop_assert_eq!(Index::decode(&index.encode()).unwrap(), index);
    }

    #[test]
    fn record_files_come_back((header, records) in record_file()) {
        let bytes = record_bytes(&header, &records);
        prop_assert_eq!(record::decode_file(&bytes).unwrap(), header);
        let read: Vec<_> = record::records(&header, &bytes).map(Result::unwrap).collect();
        prop_assert_eq!(read, records);
    }

    #[test]
    fn set_texts_come_back(text in set_text()) {
        let bytes = text.encode();
        prop_assert_eq!(SetText::decode(&bytes).unwrap(), text.clone());
        prop_assert_eq!(text.root(), *blake3::hash(&bytes).as_bytes());
    }

    #[test]
    fn labels_come_back(label in label()) {
        prop_assert_eq!(Label::decode(&label.encode()).unwrap(), label);
    }

    #[test]
    fn trailers_come_back(chunk_bytes in 0u32..30_000, list_bytes in 0u32..30_000) {
        let trailer = Trailer { chunk_bytes, list_bytes };
        prop_assert_eq!(Trailer::decode(&trailer.encode(), 65_248).unwrap(), trailer);
    }
}

/// One sample of a strategy, the same every time.
fn samples<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// One to four changes: bits flipped, bytes set to telling values, cut, doubled, put in.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b' ', b'0'];
    for _ in 0..=random.below(4) {
        let len = bytes.len();
        let at = random.below(len.max(1));
        match random.below(8) {
            _ if len == 0 => bytes.extend(random.bytes(8)),
            0..3 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at] = *random.pick(&TELLING),
            4 => bytes.truncate(at),
            5 => {
                let put: Vec<u8> = (0..=random.below(9)).map(|_| *random.pick(&TELLING)).collect();
                bytes.splice(at..at, put);
            }
            6 => {
                // Four bytes as a length or a count would be.
                let values = [0, 1, 0xffff, 0x7fff_ffff, u32::MAX, len as u32];
                let value: u32 = *random.pick(&values);
                for (b, v) in bytes[at..].iter_mut().zip(value.to_le_bytes()) {
                    *b = v;
                }
            }
            _ => {
                let from = random.below(other.len().max(1)).min(other.len());
                let take = random.below(other.len() - from + 1);
                bytes.splice(at..at, other[from..from + take].iter().copied());
            }
        }
    }
}

/// Gives `check` the mutations of these bytes; says how many it accepted. It fails by panicking.
fn accepted(name: &str, originals: &[Vec<u8>], check: impl Fn(&[u8]) -> bool) -> usize {
    assert!(originals.iter().all(|bytes| check(bytes)), "{name}: what is sound is accepted");
    let mut random = Random::new(name);
    let mut count = 0;
    for number in 0..MUTATIONS {
        let mut bytes = originals[number % originals.len()].clone();
        let other = random.pick(originals);
        mutate(&mut bytes, other, &mut random);
        count += usize::from(check(&bytes));
    }
    // Otherwise the mutations would test one refusal only.
    println!("{name}: {count} of {MUTATIONS} mutations are still sound");
    count
}

#[test]
fn mutated_lists_never_panic() {
    let originals: Vec<Vec<u8>> = samples(&items(), 40).iter().map(|i| encode(i)).collect();
    let count = accepted("lists", &originals, |bytes| match list_reader::decode(bytes) {
        // What is accepted has one meaning: it comes back from its own bytes.
        Ok(items) => {
            assert_eq!(list_reader::decode(&encode(&items)).unwrap(), items);
            true
        }
        Err(_) => false,
    });
    assert!(count > MUTATIONS / 100);
}

/// Issue 11, point 10: what an entry lacks is said in one way only, and only where it can be.
#[test]
fn what_cannot_be_said_of_an_entry_is_refused() {
    let refused = |entry: &Entry| {
        list_reader::decode(&encode(&[Item::Entry { entry: entry.clone(), continued: false }]))
            .is_err()
    };
    let lacking = |kind, lacks: &[Lack]| Entry { lacks: lacks.to_vec(), ..Entry::new("a", kind) };
    let unknown = lacking(Kind::Unknown, &[Lack::Names]);
    assert!(!refused(&unknown) && !refused(&lacking(Kind::Socket, &[Lack::Attributes])));
    assert_eq!(unknown.sort_key(), b"a/", "in the order it stands where the folder would");
    for entry in [
        lacking(Kind::File, &[Lack::Names]),
        lacking(Kind::Unknown, &[Lack::SomeNames]),
        lacking(Kind::Unknown, &[Lack::Attributes]),
        lacking(Kind::Folder, &[Lack::Names, Lack::SomeNames]),
        lacking(Kind::Folder, &[Lack::Attributes, Lack::Names]),
        lacking(Kind::Folder, &[Lack::Attributes; 2]),
        lacking(Kind::Folder, &[Lack::AllAttributes]),
        Entry { mode: 0o644, ..unknown.clone() },
        Entry { mtime: 1, ..unknown.clone() },
        Entry { user: b"me".into(), ..unknown.clone() },
        Entry { xattrs: vec![(b"user.a".into(), b"x".into())], ..unknown.clone() },
    ] {
        assert!(refused(&entry), "{entry:?}");
    }
}

#[test]
fn mutated_indices_never_panic() {
    let originals: Vec<Vec<u8>> = samples(&index(), 40).iter().map(Index::encode).collect();
    let count = accepted("indices", &originals, |bytes| match Index::decode(bytes) {
        Ok(index) => {
            assert_eq!(index.encode(), bytes);
            true
        }
        Err(_) => false,
    });
    assert!(count > MUTATIONS / 100);
}

#[test]
fn mutated_record_files_never_panic() {
    let originals: Vec<Vec<u8>> =
        samples(&record_file(), 20).iter().map(|(h, r)| record_bytes(h, r)).collect();
    let read = |bytes: &[u8]| {
        let Ok(header) = record::decode_file(bytes) else { return false };
        let mut sound = true;
        let mut encoded = Vec::new();
        for record in record::records(&header, bytes) {
            match record {
                Ok(record) => encoded.extend(record.encode()),
                Err(_) => sound = false,
            }
        }
        assert!(!sound || bytes[148..bytes.len() - 64] == encoded);
        sound
    };
    // The digest would refuse nearly every mutation, so it is made right again: an attacker can.
    let accepted_with_digest = accepted("record files", &originals, |bytes| {
        let end = bytes.len().saturating_sub(32);
        let signed = [&bytes[..end], blake3::hash(&bytes[..end]).as_bytes()].concat();
        read(bytes);
        read(&signed)
    });
    assert!(accepted_with_digest > MUTATIONS / 100);
    let mut random = Random::new("digest");
    for bytes in &originals {
        for _ in 0..50 {
            let mut bytes = bytes.clone();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            assert!(record::decode_file(&bytes).is_err(), "a flipped bit in byte {at}");
        }
    }
}

#[test]
fn mutated_set_texts_never_panic() {
    let originals: Vec<Vec<u8>> = samples(&set_text(), 40).iter().map(SetText::encode).collect();
    let count = accepted("set.txt", &originals, |bytes| match SetText::decode(bytes) {
        // The root is the hash of the file, so there must be one way to write it.
        Ok(text) => {
            assert_eq!(text.encode(), bytes);
            true
        }
        Err(_) => false,
    });
    assert!(count > MUTATIONS / 100);
}

#[test]
fn mutated_labels_never_panic() {
    let originals: Vec<Vec<u8>> = samples(&label(), 40).iter().map(Label::encode).collect();
    let count = accepted("labels", &originals, |bytes| match Label::decode(bytes) {
        Ok(label) => {
            assert_eq!(Label::decode(&label.encode()).unwrap(), label);
            assert!(label.slot.0 >= 1 && label.slot.0 <= label.drives);
            true
        }
        Err(_) => false,
    });
    assert!(count > MUTATIONS / 100);
}

#[test]
fn mutated_trailers_and_frame_heads_never_panic() {
    const PAYLOAD: usize = 65_248;
    let trailer = Trailer { chunk_bytes: 5, list_bytes: 60_000 }.encode().to_vec();
    accepted("trailers", &[trailer], |bytes| {
        let mut whole = [0; TRAILER_BYTES];
        let len = bytes.len().min(TRAILER_BYTES);
        whole[..len].copy_from_slice(&bytes[..len]);
        Trailer::decode(&whole, PAYLOAD).is_ok_and(|t| {
            let used = u64::from(t.chunk_bytes) + u64::from(t.list_bytes);
            assert!(used + TRAILER_BYTES as u64 <= PAYLOAD as u64);
            true
        })
    });
    let head = holdall::testing::format::catalog::encode_frame_head(77, 1234).to_vec();
    accepted("frame heads", &[head], |bytes| decode_frame_head(bytes).is_ok());
}

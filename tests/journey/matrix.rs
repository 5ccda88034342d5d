//! The matrix of damage: every action on every kind of file of a drive, with all other drives
//! here and with one less. Verify always reports it, restore always heals it, nothing panics.
//!
//! Of each place the structural fields are taken from the tables of `format.md`, so that a field
//! that is added there is flipped here.

use crate::common::images::{Image, Packed, drive_of};
use crate::common::random::Random;
use holdall::testing::drives::Drive;
use holdall::testing::format::Suite;
use rstest::rstest;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const FORMAT: &str = include_str!("../../src/format/format.md");
const SURVIVE: &str = "cases=1,drives=1";
/// Data shards of every stripe.
const K: u8 = 2;
/// The drive that is damaged, and another.
pub(super) const DAMAGED: usize = 1;
pub(super) const OTHER: usize = 2;
/// The drive that is not here in the second column of the matrix.
pub(super) const LOST: usize = 3;
const BLOCK: usize = 4096;

/// A kind of file on a drive: its name here, and which paths in the set's folder are of it.
struct Place {
    name: &'static str,
    has: fn(&str) -> bool,
    /// the structural fields of such a file
    fields: fn(&[u8]) -> Vec<Range<usize>>,
}

const fn place(
    name: &'static str,
    has: fn(&str) -> bool,
    fields: fn(&[u8]) -> Vec<Range<usize>>,
) -> Place {
    Place { name, has, fields }
}

const PLACES: [Place; 14] = [
    place("label", |p| p == "label.json", words),
    place("second copy of the label", |p| p == "copy/label.json", words),
    place("key", |p| is(p, "key-", ".age"), key_lines),
    place("second copy of the key", |p| is(p, "copy/key-", ".age"), key_lines),
    place("line of the key", |p| is(p, "key-", ".b3"), words),
    place("set.txt", |p| p == "set.txt", words),
    place("second copy of set.txt", |p| p == "copy/set.txt", words),
    place("checklist", |p| p == "checklist.b3", words),
    place("records", |p| is(p, "records/", ".rec"), record_fields),
    place("catalog part", |p| is(p, "catalog/", "0.cat"), sealed_fields),
    place("catalog index", |p| is(p, "catalog/", "index.cat"), sealed_fields),
    place("data shard", |p| shard_index(p).is_some_and(|i| i < K), data_fields),
    place("parity shard", |p| shard_index(p).is_some_and(|i| i >= K), blocks),
    place("any shard", |p| p.starts_with("shards/"), blocks),
];

fn is(path: &str, beginning: &str, end: &str) -> bool {
    path.starts_with(beginning) && path.ends_with(end)
}

fn shard_index(path: &str) -> Option<u8> {
    let index = path.strip_prefix("shards/")?.rsplit_once('-')?.1;
    u8::from_str_radix(index, 16).ok()
}

/// Each word of a text, so each member, value, line and hash.
fn words(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, byte) in bytes.iter().chain(b" ").enumerate() {
        match (start, byte.is_ascii_whitespace()) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// The lines of an age file's head, the nonce, the sealed bytes and their tag.
fn key_lines(bytes: &[u8]) -> Vec<Range<usize>> {
    let mac = bytes.windows(4).position(|w| w == b"--- ").unwrap();
    let end = mac + bytes[mac..].iter().position(|b| *b == b'\n').unwrap() + 1;
    let mut fields = words(&bytes[..end]);
    fields.extend([end..end + 16, end + 16..bytes.len() - 16, bytes.len() - 16..bytes.len()]);
    fields
}

/// Offset and size of the fields of fixed place in the table that follows these words.
fn table(words: &str) -> Vec<Range<usize>> {
    let after = &FORMAT[FORMAT.find(words).unwrap_or_else(|| panic!("format.md: {words}"))..];
    let rows = after.lines().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|'));
    let field = |row: &str| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().parse::<usize>().ok());
        let (offset, size) = (cells.next()??, cells.next()??);
        Some(offset..offset + size)
    };
    rows.filter_map(field).collect()
}

/// The fields of a record file's head and end, and of its first and last record.
fn record_fields(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut fields = table("A record file (at most 32 MiB)");
    let head = fields.last().unwrap().end;
    assert_eq!((fields.len(), head), (14, 148), "the table of the head");
    fields.extend([bytes.len() - 64..bytes.len() - 32, bytes.len() - 32..bytes.len()]);
    let len = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut records = vec![head];
    while records.last().unwrap() + len(*records.last().unwrap()) < bytes.len() - 64 {
        records.push(records.last().unwrap() + len(*records.last().unwrap()));
    }
    let chosen: BTreeSet<usize> = [records[0], *records.last().unwrap()].into();
    for at in chosen {
        let fixed = table("A record of L bytes");
        assert_eq!((fixed.len(), fixed.last().unwrap().end), (11, 48), "the table of a record");
        fields.extend(fixed.iter().map(|f| at + f.start..at + f.end));
        let shards = (bytes[at + 7] + bytes[at + 8]) as usize;
        for shard in 0..shards {
            let slot = at + 48 + 34 * shard;
            fields.extend([slot..slot + 2, slot + 2..slot + 34]);
        }
        let (hashes, end) = (at + 48 + 34 * shards, at + len(at));
        fields.extend([hashes..hashes + 32, end - 32..end]);
    }
    fields
}

/// Of each block its tag and what the tag seals.
fn sealed_fields(bytes: &[u8]) -> Vec<Range<usize>> {
    let sealed = (0..bytes.len() / BLOCK).map(|i| i * BLOCK..(i + 1) * BLOCK - 16);
    let tags = (1..=bytes.len() / BLOCK).map(|i| i * BLOCK - 16..i * BLOCK);
    std::iter::once(0..32).chain(sealed).chain(tags).collect()
}

/// Salt, payload, list and trailer, first and last tag.
fn data_fields(bytes: &[u8]) -> Vec<Range<usize>> {
    let end = bytes.len() - 16;
    vec![0..32, 32..BLOCK - 16, BLOCK - 16..BLOCK, BLOCK..2 * BLOCK, end - 200..end - 16]
        .into_iter()
        .chain([end - 16..end, end..bytes.len()])
        .collect()
}

/// The first block and the last.
fn blocks(bytes: &[u8]) -> Vec<Range<usize>> {
    vec![0..BLOCK, bytes.len() - BLOCK..bytes.len()]
}

/// What is done to the files of the damaged drive, of its neighbour, and said of it.
pub(super) struct Cell {
    pub(super) what: String,
    pub(super) damaged: Image,
    pub(super) other: Option<Image>,
    pub(super) folder: Option<String>,
}

/// Two packed sets: one that is damaged, and a foreign one.
pub(super) struct Matrix {
    pub(super) mine: Packed,
    foreign: Packed,
    /// the other drives, as they were packed
    sound: Vec<Arc<dyn Drive>>,
}

impl Matrix {
    pub(super) fn new(suite: Suite) -> Self {
        let packed = |seed| Packed::of_suite(suite, &[1, 1, 1, 1], SURVIVE, seed);
        let (mine, foreign) = (packed("matrix"), packed("foreign"));
        let sound = mine.drives();
        Self { mine, foreign, sound }
    }

    /// The paths of a kind on a drive.
    fn paths(packed: &Packed, drive: usize, place: &Place) -> Vec<String> {
        let folder = format!("{}/", packed.set_folder());
        let is_of = |path: &&String| path.strip_prefix(&folder).is_some_and(place.has);
        packed.images[drive].keys().filter(is_of).cloned().collect()
    }

    fn cell(&self, what: String, change: impl FnOnce(&mut Image)) -> Cell {
        let mut damaged = self.mine.images[DAMAGED].clone();
        change(&mut damaged);
        Cell { what, damaged, other: None, folder: None }
    }

    /// A byte of each structural field flipped, and some at random.
    fn flips(&self, place: &Place, path: &str, random: &mut Random) -> Vec<Cell> {
        let sound = &self.mine.images[DAMAGED][path];
        let mut flips: Vec<(usize, u8)> = Vec::new();
        for field in (place.fields)(sound) {
            // Of a short number every low bit: each gives another number.
            let bits = if field.len() > 2 { vec![random.below(7)] } else { vec![0, 1, 2] };
            let at =
                if field.len() > 2 { field.start + random.below(field.len()) } else { field.start };
            flips.extend(bits.into_iter().map(|bit| (at, 1 << bit)));
        }
        flips.extend((0..3).map(|_| (random.below(sound.len()), 1 << random.below(8))));
        let flip = |(at, bit): (usize, u8)| {
            let what = format!("byte {at} of {} flipped by {bit}", place.name);
            self.cell(what, |image| image.get_mut(path).unwrap()[at] ^= bit)
        };
        flips.into_iter().map(flip).collect()
    }

    /// Everything else that can be done to a file.
    fn actions(&self, place: &Place, path: &str, random: &mut Random) -> Vec<Cell> {
        let name = place.name;
        let sound = &self.mine.images[DAMAGED][path];
        let cut = random.below(sound.len());
        let more = random.bytes(5000);
        let put = |what: &str, bytes: &[u8]| {
            self.cell(format!("{name} {what}"), |image| {
                image.insert(path.into(), bytes.to_vec());
            })
        };
        let mut cells = vec![
            put(&format!("cut to {cut} bytes"), &sound[..cut]),
            put("emptied", b""),
            put("grown by one byte", &[sound, &more[..1]].concat()),
            put("grown by more than a block", &[sound, &more[..]].concat()),
            put("replaced by noise", &random.bytes(sound.len())),
            self.cell(format!("{name} deleted"), |image| assert!(image.remove(path).is_some())),
        ];
        let mut folder = self.cell(format!("a folder instead of {name}"), |image| {
            image.remove(path);
        });
        folder.folder = Some(path.into());
        cells.push(folder);
        let foreign = Self::paths(&self.foreign, DAMAGED, place);
        cells.push(put("of another shipment", &self.foreign.images[DAMAGED][&foreign[0]]));
        // Another file of its kind, or of any, with other bytes.
        let differs = |p: &&String| **p != path && self.mine.images[DAMAGED][*p] != *sound;
        let of_kind = Self::paths(&self.mine, DAMAGED, place);
        let in_set = |p: &&String| p.starts_with(&self.mine.set_folder());
        let mut others = of_kind.iter().chain(self.mine.images[DAMAGED].keys().filter(in_set));
        let other = others.find(differs).unwrap();
        let bytes = self.mine.images[DAMAGED][other].clone();
        cells.push(put(&format!("replaced by a duplicate of {other}"), &bytes));
        let mut swapped = put(&format!("swapped with {other}"), &bytes);
        swapped.damaged.insert(other.clone(), sound.clone());
        cells.push(swapped);
        // With its like on the next drive, if that is another file.
        if let Some(theirs) = Self::paths(&self.mine, OTHER, place).first()
            && self.mine.images[OTHER][theirs] != *sound
        {
            let mut swapped =
                put("swapped with the next drive's", &self.mine.images[OTHER][theirs]);
            let mut next = self.mine.images[OTHER].clone();
            next.insert(theirs.clone(), sound.clone());
            swapped.other = Some(next);
            cells.push(swapped);
        }
        cells
    }

    /// Every action on a file of every kind.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let mut random = Random::new("matrix");
        let mut cells = Vec::new();
        for place in &PLACES {
            let paths = Matrix::paths(&self.mine, DAMAGED, place);
            let path = random.pick(&paths).clone();
            cells.extend(self.flips(place, &path, &mut random));
            cells.extend(self.actions(place, &path, &mut random));
        }
        assert!(cells.len() > 400, "{} cells", cells.len());
        cells
    }

    /// Verify must report the cell, and restore must heal it, with all other drives and with one
    /// less.
    fn check(&self, cell: &Cell) {
        let damaged = drive_of("damaged", &cell.damaged);
        if let Some(folder) = &cell.folder {
            damaged.make_folder(folder).unwrap();
        }
        let mut drives = self.sound.clone();
        drives[DAMAGED] = damaged;
        if let Some(other) = &cell.other {
            drives[OTHER] = drive_of("other", other);
        }
        for lost in [None, Some(LOST)] {
            // Two drives whose shards are bad are the most that the rule allows.
            if lost.is_some() && cell.other.is_some() && cell.what.contains("shard") {
                continue;
            }
            let what = format!("{}, {lost:?} lost", cell.what);
            if let Some(lost) = lost {
                drives.remove(lost);
            }
            let with_keys: &[bool] = if lost.is_none() { &[false, true] } else { &[false] };
            for &with_key in with_keys {
                let verified = self.mine.verify(&drives, with_key);
                let told = &verified.problems;
                assert_eq!(verified.status, 3, "{what}, {with_key}: {told:#?}");
                assert!(!told.is_empty(), "{what}: nothing is told");
                let set = &verified.sets[0];
                assert_eq!(set.drives.len(), drives.len(), "{what}: all drives are used");
                assert_eq!(set.missing.len(), usize::from(lost.is_some()), "{what}");
            }
            self.mine.must_be_restored(&drives, &what);
        }
    }
}

#[rstest]
#[case(Suite::ChaCha20)]
#[case(Suite::Aes256)]
fn every_damage_of_every_place_is_found_and_healed(#[case] suite: Suite) {
    let matrix = Matrix::new(suite);
    for drives in [matrix.sound.clone(), matrix.sound[..LOST].to_vec()] {
        let verified = matrix.mine.verify(&drives, true);
        let whole = drives.len() == matrix.sound.len();
        assert_eq!((verified.status, verified.problems), (if whole { 0 } else { 3 }, vec![]));
    }
    let cells = matrix.cells();
    let (next, threads) = (AtomicUsize::new(0), std::thread::available_parallelism().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    matrix.check(cell);
                }
            });
        }
    });
}

/// What no hash covers is no part of the set.
#[test]
fn the_readme_is_no_part_of_the_set() {
    let matrix = Matrix::new(Suite::ChaCha20);
    for name in ["README.txt", "format.md", "reader.py"] {
        let cell = matrix.cell(name.into(), |image| {
            image.insert(format!("holdall/{name}"), b"another".to_vec()).unwrap();
        });
        let mut drives = matrix.sound.clone();
        drives[DAMAGED] = drive_of("damaged", &cell.damaged);
        let verified = matrix.mine.verify(&drives, false);
        assert_eq!((verified.status, verified.problems), (0, vec![]), "{name}");
    }
}

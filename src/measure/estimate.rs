//! How well a dataset compresses, and how much of it is there twice, from a sample.
//!
//! - Enters: entries in the order of the scan; afterwards some of their bytes.
//! - Leaves: the part that is stored of what was sampled, with an error; bounds for duplicates.
//! - Always holds: (1) memory and reading have a limit, whatever the size of the dataset; (2) what is
//!   sampled is cut, probed and compressed by the code that packs; (3) each byte of the dataset is as
//!   likely to be sampled as any other: points lie at even distances in its bytes.
//!
//! # What it can know
//!
//! The mean of the sampled chunks' ratios estimates that of all, with 1.96 standard errors as its 95 %
//! error, less where the sample is most of the dataset. Samples that are all alike say nothing of what
//! they missed: by the rule of three up to 3/n of the bytes may be of another kind, so the error is
//! never taken to be less than if these were stored in full, or in nothing. Whole files that are there
//! twice have one size: sizes are sampled by their hashes, and files of one size compared by bytes at
//! three places. Equal chunks in files of different sizes are not seen.

use crate::dataset::cut::{CutSizes, Cutter, Work};
use crate::dataset::work::{Done, PieceOutcome, Worker};
use crate::dataset::{ScannedEntry, Source};
use crate::format::list::Kind;
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};

/// C of the sampled chunks, as most sets have it.
const CHUNK_BYTES: u64 = 4 << 20;
/// The level that packing has if nothing is said.
const LEVEL: i32 = 3;
/// The most points; when there are more, every other one is dropped.
const MOST_POINTS: usize = 256;
/// The most small files that a point takes.
const MOST_FILES: usize = 512;
/// The most sizes that are remembered, and files of each.
const MOST_SIZES: usize = 8192;
const MOST_ALIKE: usize = 8;
/// The most sizes of which files are compared.
const MOST_COMPARED: usize = 100;
/// What is read at each of three places of a file to compare it.
const COMPARED_BYTES: usize = 64 << 10;

/// What a sample says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// stored bytes per plain one, 0 to 1
    pub ratio: f64,
    /// in 95 of 100 datasets the ratio is off by no more
    pub error: f64,
    /// sampled chunks
    pub samples: u64,
    pub sampled_bytes: u64,
    /// the part of the bytes that are in files that seem to be there already
    pub duplicates: f64,
    /// the most that may be in such files: those with the size of another
    pub duplicates_most: f64,
}

/// Takes points while the dataset is scanned.
pub struct Sampler {
    /// bytes from one point to the next
    distance: u64,
    /// bytes before the next entry, and before the next point
    position: u64,
    next: u64,
    points: Vec<Point>,
    sizes: Sizes,
}

/// A chunk that is sampled.
enum Point {
    /// of a large file
    Piece(Box<ScannedEntry>, u64),
    /// small files that follow each other, and their bytes
    Group(Vec<ScannedEntry>, u64),
}

/// Sizes of files, those with the lowest hashes.
struct Sizes {
    below: u64,
    seen: BTreeMap<u64, Alike>,
}

/// Files of one size.
#[derive(Default)]
struct Alike {
    count: u64,
    some: Vec<Vec<u8>>,
}

impl Default for Sampler {
    fn default() -> Self {
        let sizes = Sizes { below: u64::MAX, seen: BTreeMap::new() };
        // The first point is in the middle of the first chunk.
        let next = CHUNK_BYTES / 2;
        Self { distance: CHUNK_BYTES, position: 0, next, points: Vec::new(), sizes }
    }
}

impl Sampler {
    /// The next entry of the scan.
    pub fn add(&mut self, scanned: &ScannedEntry) {
        let size = scanned.entry.size;
        if scanned.entry.kind != Kind::File || size == 0 {
            return;
        }
        self.sizes.add(size, &scanned.entry.path);
        if size <= CHUNK_BYTES
            && let Some(Point::Group(files, bytes)) = self.points.last_mut()
            && *bytes + size <= CHUNK_BYTES
            && files.len() < MOST_FILES
        {
            files.push(scanned.clone());
            *bytes += size;
        }
        while self.next < self.position + size {
            let offset = self.next - self.position;
            self.points.push(if size > CHUNK_BYTES {
                Point::Piece(Box::new(scanned.clone()), offset / CHUNK_BYTES)
            } else {
                Point::Group(vec![scanned.clone()], size)
            });
            self.next += self.distance;
            if self.points.len() >= MOST_POINTS {
                self.thin();
            }
        }
        self.position += size;
    }

    /// Bytes that are read of it, about.
    pub fn bytes(&self) -> u64 {
        let of = |point: &Point| match point {
            Point::Piece(entry, number) => {
                (entry.entry.size - number * CHUNK_BYTES).min(CHUNK_BYTES)
            }
            Point::Group(_, bytes) => *bytes,
        };
        self.points.iter().map(of).sum()
    }

    /// Drops every other point; the next one is as far from the last as all others are.
    fn thin(&mut self) {
        let mut number = 0;
        self.points.retain(|_| {
            number += 1;
            number % 2 == 1
        });
        // As many points as there were are even in number: the last one was dropped.
        self.next += self.distance * u64::from(number % 2 == 1);
        self.distance *= 2;
    }

    /// Reads what was sampled.
    pub fn estimate(self, source: &Source, monitor: &dyn Monitor) -> Estimate {
        let worker = Worker::new(source, CHUNK_BYTES as u32, LEVEL, 2);
        let mut ratios = Vec::new();
        let mut sampled_bytes = 0;
        for point in self.points {
            if monitor.should_stop() {
                break;
            }
            let (plain, stored) = measured(point, source, &worker);
            monitor.advance(plain);
            if plain > 0 {
                ratios.push(stored as f64 / plain as f64);
                sampled_bytes += plain;
            }
        }
        let (ratio, error) = mean(&ratios, sampled_bytes as f64 / self.position.max(1) as f64);
        let (duplicates, duplicates_most) = self.sizes.duplicates(source, monitor);
        let samples = ratios.len() as u64;
        Estimate { ratio, error, samples, sampled_bytes, duplicates, duplicates_most }
    }
}

/// Plain and stored bytes of a point; none of what cannot be read.
fn measured(point: Point, source: &Source, worker: &Worker) -> (u64, u64) {
    let sizes = CutSizes { chunk: CHUNK_BYTES, group: CHUNK_BYTES, list: usize::MAX };
    let (entries, number) = match point {
        Point::Piece(entry, number) => (vec![*entry], Some(number)),
        Point::Group(entries, _) => (entries, None),
    };
    let entries = entries.into_iter().map(Ok::<_, std::convert::Infallible>);
    let mut cutter = Cutter::new(entries, source, sizes);
    let Ok(mut work) = cutter.next_work();
    let (mut plain, mut stored) = (0, 0);
    while let Some(mut next) = work {
        if let (Work::Piece { number: first, .. }, Some(number)) = (&mut next, number) {
            *first = number;
        }
        for done in worker.work(next, true) {
            let chunk = match done {
                Done::Group { chunk, .. } => chunk,
                Done::Piece { outcome: PieceOutcome::Bytes { chunk, .. }, .. } => Some(chunk),
                _ => None,
            };
            if let Some(chunk) = chunk {
                plain += u64::from(chunk.plain);
                stored += (*chunk.bytes).as_ref().len() as u64;
            }
        }
        if number.is_some() {
            break;
        }
        let Ok(more) = cutter.next_work();
        work = more;
    }
    (plain, stored)
}

/// The mean, and its error if the sample is this part of all.
fn mean(ratios: &[f64], part: f64) -> (f64, f64) {
    let count = ratios.len() as f64;
    if ratios.is_empty() {
        return (1.0, 1.0);
    }
    let mean = ratios.iter().sum::<f64>() / count;
    let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
    let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
    let unseen = (3.0 / count).min(1.0) * mean.max(1.0 - mean);
    let left = (1.0 - part).clamp(0.0, 1.0);
    (mean, (1.96 * deviation / count.sqrt()).max(unseen) * left.sqrt())
}

impl Sizes {
    fn add(&mut self, size: u64, path: &[u8]) {
        if hash(size) > self.below {
            return;
        }
        let alike = self.seen.entry(size).or_default();
        alike.count += 1;
        if alike.some.len() < MOST_ALIKE {
            alike.some.push(path.to_vec());
        }
        while self.seen.len() > MOST_SIZES {
            self.below /= 2;
            self.seen.retain(|size, _| hash(*size) <= self.below);
        }
    }

    /// The parts of the bytes that seem to be, and that may be, in files that are there already.
    fn duplicates(&self, source: &Source, monitor: &dyn Monitor) -> (f64, f64) {
        let bytes = |size: u64, count: u64| size as f64 * count as f64;
        let all: f64 = self.seen.iter().map(|(size, alike)| bytes(*size, alike.count)).sum();
        let mut shared: Vec<(&u64, &Alike)> =
            self.seen.iter().filter(|(_, alike)| alike.count > 1).collect();
        let most: f64 = shared.iter().map(|(size, alike)| bytes(**size, alike.count - 1)).sum();
        if all == 0.0 || shared.is_empty() {
            return (0.0, 0.0);
        }
        shared.sort_by_key(|(size, _)| hash(**size));
        let (mut found, mut compared) = (0.0, 0.0);
        for (size, alike) in shared.into_iter().take(MOST_COMPARED) {
            if monitor.should_stop() {
                break;
            }
            let some = alike.some.iter().filter_map(|path| fingerprint(source, path, *size));
            let some: Vec<[u8; 32]> = some.collect();
            let kinds = some.iter().collect::<BTreeSet<_>>().len();
            // As many of the rest are there already as of those that were looked at, but for the first.
            let (more, looked_at) = (some.len() - kinds, some.len().saturating_sub(1).max(1));
            let of_all = bytes(*size, alike.count - 1);
            found += of_all * more as f64 / looked_at as f64;
            compared += of_all;
        }
        let most = most / all;
        (if compared > 0.0 { most * found / compared } else { 0.0 }, most)
    }
}

/// Of bytes at the beginning, the middle and the end of a file; none if it cannot be read.
fn fingerprint(source: &Source, path: &[u8], size: u64) -> Option<[u8; 32]> {
    let file = source.open_file(path).ok()?;
    let mut bytes = vec![0; COMPARED_BYTES];
    let mut hasher = blake3::Hasher::new();
    for offset in [0, size / 2, size.saturating_sub(COMPARED_BYTES as u64)] {
        let read = file.read_at(offset, &mut bytes).ok()?;
        hasher.update(&bytes[..read]);
    }
    Some(*hasher.finalize().as_bytes())
}

fn hash(size: u64) -> u64 {
    let hash = blake3::hash(&size.to_le_bytes());
    hash.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Filter, ScanOptions, scan};
    use crate::monitor::Recording;
    use std::path::Path;

    fn estimate(source: &Path) -> Estimate {
        let mut sampler = Sampler::default();
        let options = ScanOptions::new(Filter::new(&[]).unwrap());
        scan(source, &options, &Recording::default(), &mut |scanned| {
            sampler.add(&scanned);
            Ok(())
        })
        .unwrap();
        sampler.estimate(&Source::open(source).unwrap(), &Recording::default())
    }

    fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut noise = vec![0; bytes];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut noise);
        noise
    }

    /// Two fifths of a dataset compress to next to nothing, in large and small files; one small file in
    /// four is there already.
    #[test]
    fn the_truth_lies_within_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let write =
            |name: String, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write("large noise".into(), &noise(1, 20 << 20));
        write("large zeros".into(), &vec![1; 16 << 20]);
        for number in 0..40_u64 {
            let same = if number % 4 == 1 { number - 1 } else { number };
            write(format!("small {number:02}"), &noise(2 + same, 100_000 + (same as usize) * 10));
        }
        let estimate = estimate(dir.path());
        let truth = 1.0 - f64::from(16 << 20) / (f64::from(36 << 20) + 40.0 * 100_195.0);
        assert!((estimate.ratio - truth).abs() <= estimate.error + 0.03, "{estimate:?} {truth}");
        assert!(estimate.error < 0.4 && estimate.samples >= 9, "{estimate:?}");
        let twice = 10.0 * 100_195.0 / (f64::from(36 << 20) + 40.0 * 100_195.0);
        assert!((estimate.duplicates - twice).abs() < 1e-3, "{estimate:?} {twice}");
        assert!(estimate.duplicates_most >= estimate.duplicates);
    }

    #[test]
    fn points_stay_even_and_few() {
        let mut sampler = Sampler::default();
        let dir = tempfile::tempdir().unwrap();
        std::fs::File::create(dir.path().join("a")).unwrap().set_len(3000 << 20).unwrap();
        let options = ScanOptions::new(Filter::new(&[]).unwrap());
        scan(dir.path(), &options, &Recording::default(), &mut |scanned| {
            sampler.add(&scanned);
            Ok(())
        })
        .unwrap();
        let number = |point: &Point| match point {
            Point::Piece(_, number) => *number,
            Point::Group(..) => panic!("it is large"),
        };
        let numbers: Vec<u64> = sampler.points.iter().map(number).collect();
        assert!(numbers.iter().copied().eq((0..750).step_by(4)), "{numbers:?}");
    }

    #[test]
    fn samples_that_are_alike_still_have_an_error() {
        let (ratio, error) = mean(&[0.5; 100], 0.001);
        assert!((ratio - 0.5).abs() < 1e-9 && (error - 0.015).abs() < 1e-4, "{error}");
        assert_eq!(mean(&[0.5; 10], 1.0), (0.5, 0.0), "all of it was read");
        assert_eq!(mean(&[], 0.0), (1.0, 1.0));
    }
}

//! Review A7: what is told of a set while it is packed, in simulated runs: the share never goes back and
//! is 100 % at the end only, and the time left comes to be right.

use super::*;
use crate::cli::progress::model::{PhaseProgress, Progress};
use crate::monitor::{Event, Phase};
use std::sync::Arc;
use std::time::Instant;

const MB: u64 = 1_000_000;

/// The model of the command line, without a terminal.
struct Model {
    progress: Progress,
    phase: Arc<PhaseProgress>,
}

impl Monitor for Model {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Advance(bytes) => self.phase.advance(bytes),
            Event::Retotal(total) => self.phase.retotal(total),
            Event::DriveAdvance { drive, bytes } => self.phase.drive_advance(drive, bytes),
            Event::Drive { drive, name, total } => {
                self.progress.join(drive, name, total);
            }
            _ => {}
        }
    }
}

/// A run that is simulated: drives of one rate, fed with stripes as they have room in memory.
struct Run {
    drives: usize,
    /// bytes that each can hold
    holds: u64,
    /// bytes of the dataset
    data: u64,
    /// of a plain megabyte at this place, the bytes that are stored
    stored: fn(u64) -> u64,
    /// bytes in memory
    memory: u64,
    /// the drive that fails half-way
    fails: bool,
}

impl Run {
    const ALIKE: Self = Self {
        drives: 4,
        holds: u64::MAX,
        data: 4000 * MB,
        stored: |_| MB,
        memory: 1500 * MB,
        fails: false,
    };
    /// Bytes a second of a drive.
    const RATE: u64 = 10 * MB;
    const SHARD: u64 = 5 * MB;

    /// What was told after each second: the share, and the seconds left.
    fn told(&self) -> Vec<(u64, Option<f64>)> {
        let progress = Progress::default();
        // One shard in two is parity.
        let planned = (2 * self.data / self.drives as u64).min(self.holds);
        let phase = progress.begin(Phase::Pack, planned * self.drives as u64);
        let model = Model { progress, phase };
        let drive = |number: usize| DriveShare {
            name: format!("d{number}"),
            planned,
            written: AtomicU64::new(0),
        };
        let drives = (0..self.drives).map(drive).collect();
        let pack = PackProgress::of(drives, self.data, 64 << 10, &model);
        let (began, mut told) = (Instant::now(), Vec::new());
        let mut failed = vec![false; self.drives];
        let (mut given, mut written, mut packed) = (vec![0; self.drives], vec![0; self.drives], 0);
        let mut ended = false;
        for second in 1..100_000 {
            let of_live = |bytes: &[u64], failed: &[bool]| -> u64 {
                bytes.iter().zip(failed).filter(|(_, failed)| !**failed).map(|(b, _)| b).sum()
            };
            // As fast as there is room.
            while !ended && of_live(&given, &failed) - of_live(&written, &failed) < self.memory {
                let live = failed.iter().filter(|failed| !**failed).count() as u64;
                let mut room = live * Self::SHARD / 2;
                while packed < self.data && room >= (self.stored)(packed) {
                    room -= (self.stored)(packed);
                    packed += MB;
                }
                for drive in (0..self.drives).filter(|drive| !failed[*drive]) {
                    given[drive] += Self::SHARD;
                }
                ended = packed >= self.data || given.iter().any(|b| b + Self::SHARD > self.holds);
                let so_far: Vec<_> =
                    given.iter().zip(&failed).map(|(b, f)| (!f).then_some(*b)).collect();
                pack.estimate(&so_far, packed);
                if ended {
                    pack.end_of_data(&so_far);
                }
            }
            for drive in 0..self.drives {
                let room = given[drive] - written[drive];
                if !failed[drive] && room > 0 {
                    pack.written(drive, room.min(Self::RATE), Duration::from_secs(1));
                    written[drive] += room.min(Self::RATE);
                }
            }
            if self.fails && packed > self.data / 2 {
                failed[0] = true;
            }
            let reading = model.phase.reading_at(began + Duration::from_secs(second));
            assert!(reading.done <= reading.total, "{reading:?}");
            told.push((reading.share().unwrap(), reading.left().map(|left| left.as_secs_f64())));
            if ended && of_live(&given, &failed) == of_live(&written, &failed) {
                pack.end();
                let reading = model.phase.reading_at(began + Duration::from_secs(second));
                assert_eq!((reading.share(), reading.left()), (Some(100), None));
                assert!(model.phase.drives().iter().all(|d| d.reading().share() == Some(100)));
                return told;
            }
        }
        panic!("it does not end");
    }

    /// Fails unless the share is never less than before, and 100 % at the end only; and unless from
    /// `from` of the time on, the time left is right but for `error` of the whole.
    #[track_caller]
    fn check(&self, from: f64, error: f64) {
        let told = self.told();
        let shares: Vec<u64> = told.iter().map(|(share, _)| *share).collect();
        assert!(shares.is_sorted() && shares.last() < Some(&100), "{shares:?}");
        let whole = told.len() as f64;
        for (second, (share, left)) in told.iter().enumerate().skip((whole * from) as usize) {
            let truth = whole - 1.0 - second as f64;
            let left = left.unwrap_or(0.0);
            let wrong = (left - truth).abs() / whole;
            assert!(wrong < error, "{left} s left and not {truth} after {second} s, {share} %");
        }
        // Half-way, half of it is told to be done.
        let half = shares[shares.len() / 2];
        assert!((40..=60).contains(&half), "{half} % half-way");
    }
}

#[test]
fn of_data_that_does_not_compress_all_is_right_from_the_start() {
    Run::ALIKE.check(0.05, 0.03);
    // All of it fits in memory.
    Run { data: 600 * MB, ..Run::ALIKE }.check(0.2, 0.05);
}

#[test]
fn of_data_that_compresses_or_repeats_the_time_left_converges() {
    Run { stored: |_| MB / 4, ..Run::ALIKE }.check(0.1, 0.1);
    let duplicates = |at: u64| if at / (250 * MB) % 2 == 1 { 0 } else { MB };
    Run { data: 8000 * MB, stored: duplicates, ..Run::ALIKE }.check(0.2, 0.1);
}

#[test]
fn a_set_that_fills_before_the_dataset_ends_is_what_is_counted() {
    Run { holds: 700 * MB, ..Run::ALIKE }.check(0.05, 0.03);
    // It compresses, and fills all the same.
    Run { holds: 400 * MB, stored: |_| MB / 2, ..Run::ALIKE }.check(0.05, 0.03);
}

/// Text first, then images: nothing can foresee it.
#[test]
fn data_that_ceases_to_compress_takes_nothing_back() {
    let stored = |at: u64| if at < 2000 * MB { MB / 10 } else { MB };
    let told = Run { memory: 100 * MB, stored, ..Run::ALIKE }.told();
    let shares: Vec<u64> = told.iter().map(|(share, _)| *share).collect();
    assert!(shares.is_sorted() && shares.last() < Some(&100), "{shares:?}");
    let (whole, late) = (told.len(), told.len() * 2 / 3);
    let left = told[late].1.unwrap();
    assert!((left - (whole - late) as f64).abs() < whole as f64 / 5.0, "{left} s left");
}

#[test]
fn what_a_failed_drive_does_not_get_is_not_waited_for() {
    let told = Run { fails: true, memory: 200 * MB, ..Run::ALIKE }.told();
    let late = told.len() * 3 / 4;
    let left = told[late].1.unwrap();
    assert!((left - (told.len() - late) as f64).abs() < told.len() as f64 / 8.0, "{left} s left");
}

//! How far the packing of a set is, in bytes on its drives.
//!
//! - Enters: what each drive has written; after each stripe, what the drives were given and how
//!   much of the dataset that took.
//! - Leaves: counts and totals for the monitor.
//! - Always holds: (1) done is what lies on drives, and not what was read or waits in memory; (2) a
//!   total is never more than what the set can hold, and comes down as data compresses and repeats;
//!   (3) it is more than what the drives were given until the set is closed, so that 100 % means
//!   that nothing is left to do; (4) of a set that is resumed, both count what this run does.

use super::job::{SetDrive, SetJob};
use crate::monitor::Monitor;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells the monitor how far a set is.
pub struct PackProgress<'a> {
    monitor: &'a dyn Monitor,
    drives: Vec<DriveShare>,
    /// plain bytes that were left when this run began
    data_bytes: u64,
    /// what closing the set adds to each drive, roughly
    closing_bytes: u64,
}

/// How far one drive is.
struct DriveShare {
    name: String,
    /// bytes that the plan gives it
    planned: u64,
    written: AtomicU64,
}

impl<'a> PackProgress<'a> {
    /// Names the drives and their shares of the plan.
    pub fn new(job: &SetJob, monitor: &'a dyn Monitor) -> Self {
        let drive = |(i, d): (usize, &SetDrive)| DriveShare {
            name: format!("{} {}", d.case, d.drive.name()),
            planned: job.plan.drive_bytes[i],
            written: AtomicU64::new(0),
        };
        let progress = Self {
            monitor,
            drives: job.drives.iter().enumerate().map(drive).collect(),
            data_bytes: job.plan.data_bytes,
            closing_bytes: job.plan.geometry.blocks.bytes() as u64,
        };
        progress.report(&progress.drives.iter().map(|d| d.planned).collect::<Vec<_>>());
        progress
    }

    /// A drive has written so much.
    pub fn written(&self, drive: usize, bytes: u64) {
        self.drives[drive].written.fetch_add(bytes, Ordering::Relaxed);
        self.monitor.advance(bytes);
        self.monitor.drive_advance(drive, bytes);
    }

    /// Each drive was given so many bytes, none if it has failed, for so many plain bytes.
    pub fn estimate(&self, given: &[Option<u64>], packed_bytes: u64) {
        let given: Vec<u64> =
            self.drives.iter().zip(given).map(|(d, given)| given.unwrap_or(d.done())).collect();
        let sum = |bytes: &[u64]| bytes.iter().map(|b| u128::from(*b)).sum::<u128>();
        let planned = sum(&self.drives.iter().map(|d| d.planned).collect::<Vec<_>>());
        let for_all = (sum(&given) * u128::from(self.data_bytes))
            .checked_div(packed_bytes.into())
            .unwrap_or(planned);
        let expected = for_all.min(planned);
        let total = |(drive, given): (&DriveShare, &u64)| {
            let share = (expected * u128::from(drive.planned)).checked_div(planned).unwrap_or(0);
            (share as u64).max(*given) // at most its part of the plan
        };
        self.report(&self.drives.iter().zip(&given).map(total).collect::<Vec<_>>());
    }

    fn report(&self, totals: &[u64]) {
        let mut sum = 0;
        for (number, (drive, total)) in self.drives.iter().zip(totals).enumerate() {
            let total = total + self.closing_bytes;
            self.monitor.drive(number, &drive.name, total);
            sum += total;
        }
        self.monitor.retotal(sum);
    }

    /// The set is closed: what was done was all.
    pub fn end(&self) {
        for (number, drive) in self.drives.iter().enumerate() {
            self.monitor.drive(number, &drive.name, drive.done());
        }
        self.monitor.retotal(self.drives.iter().map(DriveShare::done).sum());
    }
}

impl DriveShare {
    fn done(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

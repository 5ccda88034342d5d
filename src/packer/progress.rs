//! How far the packing of a set is, in bytes on its drives.
//!
//! - Enters: what each drive has written and how long it took; after each stripe, what the drives were
//!   given and how much of the dataset that took.
//! - Leaves: counts and totals for the monitor.
//! - Always holds: (1) done is what lies on drives, and not what was read or waits in memory; (2) a
//!   total is never more than what the set can hold, and comes down as data compresses and repeats;
//!   (3) it is more than what the drives were given until the set is closed, so that 100 % means
//!   that nothing is left to do; (4) of a set that is resumed, both count what this run does.

use super::job::{SetDrive, SetJob};
use crate::monitor::{Monitor, Spent};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The part of the dataset after which the rest is expected to be like it as much as it is to be as
/// planned: it is sure of neither when a few files of one kind were packed.
const DOUBT: f64 = 0.02;

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
        let drive = |(d, planned): (&SetDrive, &u64)| DriveShare {
            name: format!("{} {}", d.case, d.drive.name()),
            planned: *planned,
            written: AtomicU64::new(0),
        };
        let drives = job.drives.iter().zip(&job.plan.drive_bytes).map(drive).collect();
        let closing_bytes = job.plan.geometry.blocks.bytes() as u64;
        Self::of(drives, job.plan.data_bytes, closing_bytes, monitor)
    }

    fn of(
        drives: Vec<DriveShare>,
        data_bytes: u64,
        closing_bytes: u64,
        monitor: &'a dyn Monitor,
    ) -> Self {
        let progress = Self { monitor, drives, data_bytes, closing_bytes };
        progress.report(&progress.drives.iter().map(|d| d.planned).collect::<Vec<_>>());
        progress
    }

    /// A drive has worked for so long, and has written so much.
    pub fn written(&self, drive: usize, bytes: u64, took: Duration) {
        self.monitor.spent(Spent::Drive(drive), took);
        if bytes > 0 {
            self.drives[drive].written.fetch_add(bytes, Ordering::Relaxed);
            self.monitor.advance(bytes);
            self.monitor.drive_advance(drive, bytes);
        }
    }

    /// Each drive was given so many bytes, none if it has failed, for so many plain bytes.
    pub fn estimate(&self, given: &[Option<u64>], packed_bytes: u64) {
        let of_failed: u64 = self.failed(given).map(DriveShare::done).sum();
        let given_bytes = of_failed + given.iter().flatten().sum::<u64>();
        let planned: u64 = self.drives.iter().map(|d| d.planned).sum();
        let expected = self.expected(given_bytes, packed_bytes, planned);
        // What a failed drive does not get, the others do.
        let of_failed_plan: u64 = self.failed(given).map(|drive| drive.planned).sum();
        let (left, plan) =
            (expected.saturating_sub(of_failed), planned.saturating_sub(of_failed_plan));
        let total = |(drive, given): (&DriveShare, &Option<u64>)| {
            let Some(given) = *given else { return drive.done() };
            let share = u128::from(left) * u128::from(drive.planned);
            (share.checked_div(plan.into()).unwrap_or(0) as u64).max(given)
        };
        self.report(&self.drives.iter().zip(given).map(total).collect::<Vec<_>>());
    }

    /// What all drives get: of what is packed, what they were given; of the rest, something between what
    /// that gives reason to expect, and the plan.
    fn expected(&self, given: u64, packed: u64, planned: u64) -> u64 {
        let (data, packed) = (self.data_bytes as f64, packed.min(self.data_bytes) as f64);
        if packed <= 0.0 {
            return planned;
        }
        let (seen, plan) = (given as f64 / packed, planned as f64 / data);
        let trust = packed / (packed + data * DOUBT);
        let rest = (data - packed) * (seen * trust + plan * (1.0 - trust));
        (given + rest as u64).min(planned.max(given))
    }

    fn failed(&self, given: &[Option<u64>]) -> impl Iterator<Item = &DriveShare> {
        self.drives.iter().zip(given).filter(|(_, given)| given.is_none()).map(|(d, _)| d)
    }

    /// No stripe follows: what the drives were given is all, but for what closes the set.
    pub fn end_of_data(&self, given: &[Option<u64>]) {
        let total = |(drive, given): (&DriveShare, &Option<u64>)| given.unwrap_or(drive.done());
        self.report(&self.drives.iter().zip(given).map(total).collect::<Vec<_>>());
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

#[cfg(test)]
mod tests;

//! What this machine and these drives can do: each stage alone, the whole, and the hours that a
//! shipment will take.
//!
//! - Enters: a sample of the dataset, or one that is made; drives; the size of a shipment.
//! - Leaves: rates, what they have in common with the whole, and a prediction.
//! - Always holds: (1) a stage is measured hot, the best of several tries, so that its cost is what
//!   the machine can do and not what else it did; (2) shares are of numbers of the same run; (3)
//!   nothing stays on a drive; (4) a job that should stop does so within a moment, and what was
//!   measured is then worth nothing.
//!
//! The page of `holdall help performance` follows.
#![doc = include_str!("performance.md")]

pub mod devices;
pub mod null;
pub mod predict;
pub mod sample;
pub mod stages;
pub mod whole;

use crate::monitor::Monitor;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::time::{Duration, Instant};

/// Bytes of a GB.
pub const GB: f64 = 1e9;
/// Tries of which the best counts.
const TRIES: usize = 3;
/// How long a try takes at least.
const TRY: Duration = Duration::from_millis(60);

/// How fast something is, in bytes of what it is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// bytes a second, one core
    pub one_core: f64,
    /// bytes a second, all cores at once
    pub all_cores: f64,
}

impl Rate {
    /// What a GB costs, hot and alone.
    pub fn core_seconds(&self) -> f64 {
        GB / self.one_core
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Rate", 3)?;
        fields.serialize_field("bytes_per_second", &self.one_core)?;
        fields.serialize_field("core_seconds_per_gb", &self.core_seconds())?;
        fields.serialize_field("all_cores_bytes_per_second", &self.all_cores)?;
        fields.end()
    }
}

/// Core-seconds of a GB on one core when all are busy, which share caches and clock.
pub fn busy_cost(rate: &Rate, cores: f64) -> f64 {
    cores * GB / rate.all_cores
}

/// Bytes a second of a job that works on `bytes` bytes each time it is called.
fn speed(bytes: usize, monitor: &dyn Monitor, job: &mut dyn FnMut()) -> f64 {
    if monitor.should_stop() {
        return 0.0;
    }
    job();
    let mut best: f64 = 0.0;
    for _ in 0..TRIES {
        let (began, mut rounds) = (Instant::now(), 0);
        while !monitor.should_stop() && (rounds == 0 || began.elapsed() < TRY) {
            job();
            rounds += 1;
        }
        best = best.max((rounds * bytes) as f64 / began.elapsed().as_secs_f64());
        monitor.advance((rounds * bytes) as u64);
    }
    best
}

/// The rate of a job: on this thread, and on all of the pool's at the same time. `make` gives each
/// thread a job of its own.
pub fn rate<J: FnMut()>(bytes: usize, monitor: &dyn Monitor, make: impl Fn() -> J + Sync) -> Rate {
    let one_core = speed(bytes, monitor, &mut make());
    let all: Vec<f64> = rayon::broadcast(|_| speed(bytes, monitor, &mut make()));
    Rate { one_core, all_cores: all.iter().sum() }
}

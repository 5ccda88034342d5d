//! How long a shipment takes, from rates that were measured: of the whole of packing, and of
//! drives.
//!
//! The parts of packing overlap, so the slowest decides; reading back comes after the last write of
//! a round. What changes hands between rounds is not counted.

use super::devices::DriveSpeed;
use serde::{Deserialize, Serialize};
use std::iter::Sum;

/// What is to be packed, onto what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shipment {
    /// plain bytes
    pub bytes: f64,
    /// drives in all
    pub drives: u32,
    /// drives that are attached at once
    pub ports: u32,
    /// data shards of a stripe
    pub k: u32,
    /// parity shards of a stripe
    pub m: u32,
    /// shards along a drive to one of parity, if there is parity along
    pub along: Option<usize>,
}

/// Packing at one level of compression, memory to memory, on all cores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelRate {
    /// of zstd
    pub level: i32,
    /// uncompressed bytes per second
    #[serde(rename = "bytes_per_second")]
    pub speed: f64,
    /// stored bytes per uncompressed one
    pub ratio: f64,
}

/// What limits how fast a shipment is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// the CPU
    Cores,
    /// writing to the drives
    Drives,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cores, Self::Drives];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cores => "the CPU",
            Self::Drives => "writing to the drives",
        }
    }
}

/// How long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// of zstd
    pub level: i32,
    /// seconds of reading, sealing and writing
    #[serde(rename = "pack_seconds")]
    pub pack: f64,
    /// seconds of reading back
    #[serde(rename = "read_back_seconds")]
    pub read_back: f64,
    /// what decides how long packing takes
    pub limit: Limit,
}

impl Prediction {
    /// Seconds in all.
    pub fn seconds(&self) -> f64 {
        self.pack + self.read_back
    }
}

/// Predicts packing at this level, on drives that each do this.
pub fn predict(shipment: &Shipment, packing: &LevelRate, drive: &DriveSpeed) -> Prediction {
    let stored = shipment.bytes * packing.ratio;
    let along = shipment.along.map_or(1.0, |members| 1.0 + 1.0 / members as f64);
    let shards = stored * f64::from(shipment.k + shipment.m) / f64::from(shipment.k) * along;
    let at_once = f64::from(shipment.ports.min(shipment.drives));
    let round =
        RoundLoad { plain: shipment.bytes, all: shards, fullest: shards / at_once, data: 0.0 };
    let (limit, pack) = round.pack(packing, drive);
    Prediction { level: packing.level, pack, read_back: round.read(drive), limit }
}

/// What the drives of a round take and give; those that are attached together work in parallel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundLoad {
    /// plain bytes
    pub plain: f64,
    /// bytes on all of them
    pub all: f64,
    /// bytes on the drive that has most
    pub fullest: f64,
    /// of that drive, bytes that a restore with nothing lost reads
    pub data: f64,
}

/// What a machine and its drives do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speeds {
    pub packing: LevelRate,
    /// uncompressed bytes per second that are decoded
    pub decode: f64,
    /// bytes of shards per second that are checked
    pub verify: f64,
    /// each
    pub drive: DriveSpeed,
}

/// Seconds that a shipment takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    #[serde(rename = "pack_seconds")]
    pub pack: f64,
    #[serde(rename = "read_back_seconds")]
    pub read_back: f64,
    #[serde(rename = "verify_seconds")]
    pub verify: f64,
    #[serde(rename = "restore_seconds")]
    pub restore: f64,
}

impl RoundLoad {
    fn pack(&self, packing: &LevelRate, drive: &DriveSpeed) -> (Limit, f64) {
        let (cores, drives) = (self.plain / packing.speed, self.fullest / drive.write);
        if drives > cores { (Limit::Drives, drives) } else { (Limit::Cores, cores) }
    }

    fn read(&self, drive: &DriveSpeed) -> f64 {
        self.fullest / drive.read
    }

    /// The times of this round.
    pub fn times(&self, speeds: &Speeds) -> Times {
        let checked = (self.all / speeds.verify).max(self.read(&speeds.drive));
        Times {
            pack: self.pack(&speeds.packing, &speeds.drive).1,
            read_back: checked,
            verify: checked,
            restore: (self.plain / speeds.decode).max(self.data / speeds.drive.read),
        }
    }
}

impl Sum for Times {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::default(), |a, b| Self {
            pack: a.pack + b.pack,
            read_back: a.read_back + b.read_back,
            verify: a.verify + b.verify,
            restore: a.restore + b.restore,
        })
    }
}

/// The level with the least time; of those within a hundredth of it, the lowest, which spares the
/// CPU.
pub fn best(predictions: &[Prediction]) -> Option<Prediction> {
    let least = predictions.iter().map(Prediction::seconds).fold(f64::MAX, f64::min);
    let near = predictions.iter().filter(|p| p.seconds() <= least * 1.01);
    near.min_by_key(|p| p.level).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPMENT: Shipment =
        Shipment { bytes: 80e12, drives: 60, ports: 16, k: 11, m: 5, along: None };
    const DRIVE: DriveSpeed = DriveSpeed { write: 150e6, read: 160e6 };

    fn level(level: i32, speed: f64, ratio: f64) -> LevelRate {
        LevelRate { level, speed, ratio }
    }

    #[test]
    fn slow_drives_decide_and_are_helped_by_a_higher_level() {
        let levels = [level(1, 5e9, 0.6), level(3, 4e9, 0.5), level(19, 24e6, 0.4)];
        let all: Vec<_> = levels.iter().map(|l| predict(&SHIPMENT, l, &DRIVE)).collect();
        assert_eq!(all[1].limit, Limit::Drives);
        let shards = 80e12 * 0.5 * 16.0 / 11.0;
        assert!((all[1].pack - shards / (16.0 * 150e6)).abs() < 1.0);
        assert_eq!(all[2].limit, Limit::Cores);
        assert_eq!(best(&all).unwrap().level, 3);
    }

    /// Review scale 6.
    #[test]
    fn of_levels_that_save_nothing_the_lowest_is_best() {
        let levels = [level(1, 6e9, 1.0), level(3, 6e9, 0.995), level(15, 4e9, 0.994)];
        let all: Vec<_> = levels.iter().map(|l| predict(&SHIPMENT, l, &DRIVE)).collect();
        assert_eq!(best(&all).unwrap().level, 1);
        assert!((all[0].seconds() / 3600.0 - 26.1).abs() < 1.0, "{}", all[0].seconds() / 3600.0);
    }
}

//! How long a shipment takes, from rates that were measured.
//!
//! The parts of packing overlap, so the slowest decides; reading back comes after the last write of
//! a round. What changes hands between rounds is not counted.

use super::stages::Compression;
use serde::Serialize;

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

/// Rates that decide, in bytes a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// reading the source, all cores
    pub source: f64,
    /// core-seconds a byte for reading and hashing a plain byte
    pub hash_cost: f64,
    /// core-seconds a stored byte for sealing, hashing and parity
    pub seal_cost: f64,
    pub cores: f64,
    /// what the whole reaches of the sum of its stages, from 0 to 1
    pub share: f64,
    /// one drive
    pub write: f64,
    /// one drive
    pub read: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// reading the source
    Source,
    /// the CPU
    Cores,
    /// writing to the drives
    Drives,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Source, Self::Cores, Self::Drives];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "reading the source",
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

/// For one level of compression.
pub fn predict(shipment: &Shipment, rates: &Rates, compression: &Compression) -> Prediction {
    let stored = shipment.bytes * compression.ratio;
    let along = shipment.along.map_or(1.0, |members| 1.0 + 1.0 / members as f64);
    let shards = stored * f64::from(shipment.k + shipment.m) / f64::from(shipment.k) * along;
    let at_once = f64::from(shipment.ports.min(shipment.drives));
    let cost = rates.hash_cost
        + rates.cores / compression.rate.all_cores
        + compression.ratio * rates.seal_cost;
    let times = [
        (Limit::Source, shipment.bytes / rates.source),
        (Limit::Cores, shipment.bytes * cost / rates.cores / rates.share),
        (Limit::Drives, shards / (at_once * rates.write)),
    ];
    let (limit, pack) =
        times.into_iter().fold(times[0], |most, next| if next.1 > most.1 { next } else { most });
    let read_back = shards / (at_once * rates.read);
    Prediction { level: compression.level, pack, read_back, limit }
}

/// The level with the least time; of those within a hundredth of it, the lowest, which spares the CPU.
pub fn best(predictions: &[Prediction]) -> Option<Prediction> {
    let least = predictions.iter().map(Prediction::seconds).fold(f64::MAX, f64::min);
    let near = predictions.iter().filter(|p| p.seconds() <= least * 1.01);
    near.min_by_key(|p| p.level).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Rate;

    const SHIPMENT: Shipment =
        Shipment { bytes: 80e12, drives: 60, ports: 16, k: 11, m: 5, along: None };
    const RATES: Rates = Rates {
        source: 5e9,
        hash_cost: 0.2e-9,
        seal_cost: 0.7e-9,
        cores: 8.0,
        share: 0.85,
        write: 150e6,
        read: 160e6,
    };

    fn level(level: i32, speed: f64, ratio: f64) -> Compression {
        let rate = Rate { one_core: speed, all_cores: 8.0 * speed };
        Compression { level, rate, back: rate, ratio }
    }

    #[test]
    fn slow_drives_decide_and_are_helped_by_a_higher_level() {
        let levels = [level(1, 1.2e9, 0.6), level(3, 1e9, 0.5), level(19, 3e6, 0.4)];
        let all: Vec<_> = levels.iter().map(|l| predict(&SHIPMENT, &RATES, l)).collect();
        assert_eq!(all[1].limit, Limit::Drives);
        let shards = 80e12 * 0.5 * 16.0 / 11.0;
        assert!((all[1].pack - shards / (16.0 * 150e6)).abs() < 1.0);
        assert_eq!(all[2].limit, Limit::Cores);
        assert_eq!(best(&all).unwrap().level, 3);
    }

    /// Review scale 6.
    #[test]
    fn of_levels_that_save_nothing_the_lowest_is_best() {
        let levels = [level(1, 5e9, 1.0), level(3, 5e9, 0.995), level(15, 1e9, 0.994)];
        let all: Vec<_> = levels.iter().map(|l| predict(&SHIPMENT, &RATES, l)).collect();
        assert_eq!(best(&all).unwrap().level, 1);
        assert!((all[0].seconds() / 3600.0 - 26.1).abs() < 1.0, "{}", all[0].seconds() / 3600.0);
    }
}

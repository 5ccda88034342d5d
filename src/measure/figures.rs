//! What `bench` has measured last on this machine, kept for `plan`.

use super::devices::{ASSUMED_DRIVE, DriveSpeed};
use super::predict::{LevelRate, Speeds};
use crate::local_state::{LocalStateError, keep, kept};
use serde::{Deserialize, Serialize};

/// The name of the file.
const FILE: &str = "bench.json";
/// What one core is taken to pack, decode and check where nothing was measured, in bytes per second.
const ASSUMED_CORE: f64 = 0.5e9;

/// What was measured, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// when, as text
    pub time: String,
    /// at the level that packing has if nothing is said
    pub packing: LevelRate,
    /// bytes of shards per second
    pub verify: f64,
    /// uncompressed bytes per second
    pub decode: f64,
    /// what each of the drives that were measured last does
    pub drive: Option<DriveSpeed>,
    /// when that was
    #[serde(default)]
    pub drive_time: Option<String>,
}

impl Figures {
    /// The last ones of this machine.
    pub fn last() -> Option<Self> {
        let sound = |figures: &Self| {
            let drive = figures.drive.unwrap_or(ASSUMED_DRIVE);
            let rates = [figures.packing.speed, figures.verify, figures.decode, drive.write];
            rates.iter().chain([&drive.read]).all(|rate| rate.is_finite() && *rate > 0.0)
        };
        kept(FILE).filter(sound)
    }

    /// Keeps them; without drives those of the drives that were measured before stay.
    pub fn keep(mut self) -> Result<(), LocalStateError> {
        if self.drive.is_some() {
            self.drive_time = Some(self.time.clone());
        } else if let Some(before) = Self::last() {
            (self.drive, self.drive_time) = (before.drive, before.drive_time);
        }
        keep(FILE, &self)
    }
}

/// The speeds to reckon with: what was measured, and what is assumed for the rest.
pub fn speeds(figures: Option<&Figures>, cores: usize) -> Speeds {
    let assumed = ASSUMED_CORE * cores.max(1) as f64;
    let plain = LevelRate { level: 3, speed: assumed, ratio: 1.0 };
    Speeds {
        packing: figures.map_or(plain, |f| f.packing),
        decode: figures.map_or(assumed, |f| f.decode),
        verify: figures.map_or(assumed, |f| f.verify),
        drive: figures.and_then(|f| f.drive).unwrap_or(ASSUMED_DRIVE),
    }
}

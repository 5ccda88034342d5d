//! How hard chunks are compressed: at one level, or as hard as the drives leave time for.
//!
//! - Enters: the level that was asked for; how many files the slowest drive has to write.
//! - Leaves: the level of the next chunk.
//! - Always holds: a level that was asked for never changes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The highest level of zstd that needs no more memory than others.
const HIGHEST: i32 = 19;
/// The levels that packing takes where it follows the drives, each about half as fast as the one before;
/// higher ones cost much and gain little.
const STEPS: [i32; 5] = [1, 3, 5, 7, 10];
/// The first of them.
const FIRST: i32 = 3;

/// What `--level` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effort {
    /// a level of zstd, 1 to 19
    Level(i32),
    /// the level follows the drives: the bytes that are stored depend on how fast these are
    Auto,
}

impl Effort {
    /// The level of the first chunk.
    pub fn first(self) -> i32 {
        match self {
            Self::Level(level) => level,
            Self::Auto => FIRST,
        }
    }

    /// The level after `level`, where the slowest drive has `files` to write and had so many a stripe
    /// `before`: lower if they get fewer, or there are none; higher if some wait behind the one that it
    /// is at.
    pub fn next(self, level: i32, files: usize, before: usize) -> i32 {
        if self != Self::Auto {
            return level;
        }
        let step = STEPS.partition_point(|step| *step < level);
        if files == 0 || files < before {
            STEPS[step.saturating_sub(1)]
        } else if files > 1 {
            STEPS[(step + 1).min(STEPS.len() - 1)]
        } else {
            level
        }
    }
}

impl FromStr for Effort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let level = text.parse().ok().filter(|level| (1..=HIGHEST).contains(level));
        let effort = if text == "auto" { Some(Self::Auto) } else { level.map(Self::Level) };
        effort.ok_or("a level is a number from 1 to 19, or auto")
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Level(level) => level.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_the_slowest_drive() {
        let auto: Effort = "auto".parse().unwrap();
        let (mut levels, mut before) = (vec![auto.first()], 0);
        for files in [1, 2, 5, 6, 6, 6, 5, 6, 4, 1, 1, 0, 0, 0] {
            levels.push(auto.next(*levels.last().unwrap(), files, before));
            before = files;
        }
        assert_eq!(levels, [3, 3, 5, 7, 10, 10, 10, 7, 10, 7, 5, 5, 3, 1, 1]);
    }

    #[test]
    fn a_level_that_was_asked_for_stays() {
        let seven: Effort = "7".parse().unwrap();
        assert_eq!((seven.first(), seven.next(7, 4, 0), seven.next(7, 0, 4)), (7, 7, 7));
        for bad in ["0", "20", "-1", "high", ""] {
            assert!(bad.parse::<Effort>().is_err(), "{bad}");
        }
    }
}

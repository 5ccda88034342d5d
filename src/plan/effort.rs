//! How hard chunks are compressed: at one level, or as hard as the drives leave time for.
//!
//! - Enters: the level that was asked for; how many files wait for the slowest drive.
//! - Leaves: the level of the next chunk.
//! - Always holds: a level that was asked for never changes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The highest level of zstd that needs no more memory than others.
const HIGHEST: i32 = 19;
/// The levels that packing takes where it follows the drives, each about half as fast as the one before.
const STEPS: [i32; 7] = [1, 3, 5, 7, 10, 13, HIGHEST];
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

    /// The level after `level`, where `waiting` files wait for the slowest drive, of `most` that may:
    /// higher while this drive is what packing waits for, lower while it is not.
    pub fn next(self, level: i32, waiting: usize, most: usize) -> i32 {
        if self != Self::Auto {
            return level;
        }
        let step = STEPS.partition_point(|step| *step < level);
        if waiting >= most {
            STEPS[(step + 1).min(STEPS.len() - 1)]
        } else if waiting == 0 {
            STEPS[step.saturating_sub(1)]
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
        let mut levels = vec![auto.first()];
        for waiting in [4, 4, 2, 0, 0, 0, 0, 4, 5, 4, 4, 4, 4, 4, 3] {
            levels.push(auto.next(*levels.last().unwrap(), waiting, 4));
        }
        assert_eq!(levels, [3, 5, 7, 7, 5, 3, 1, 1, 3, 5, 7, 10, 13, 19, 19, 19]);
    }

    #[test]
    fn a_level_that_was_asked_for_stays() {
        let seven: Effort = "7".parse().unwrap();
        assert_eq!((seven.first(), seven.next(7, 4, 4), seven.next(7, 0, 4)), (7, 7, 7));
        for bad in ["0", "20", "-1", "high", ""] {
            assert!(bad.parse::<Effort>().is_err(), "{bad}");
        }
    }
}

//! What may be lost: the rule behind `--survive`.
//!
//! Enters: the text of `--survive`, or the number of drives in each case. Leaves: a [`Survive`],
//! and from it the parity that a stripe needs. What always holds:
//!
//! 1. Text and rule are one to one: parsing what [`Survive`] displays gives the same rule again.
//! 2. A default is always a rule that the drives can keep.
//! 3. No loss that the rule allows takes more shards of a stripe than [`parity_needed`] says.
//!
//! Proof of 3: `cases` whole cases hold at most as many shards as the `cases` fullest ones. Each
//! further drive holds one shard, and counts only if it lies outside the lost cases. Losing the
//! fullest cases and drives outside them reaches the sum, unless the stripe runs out of shards
//! first.
//!
//! The page of `holdall help survive` follows.
#![doc = include_str!("survive.md")]

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What may be lost without losing data: any `cases` cases and any `drives` more drives (of each
/// set), and bad sectors on the remaining drives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survive {
    /// Whole cases that may be lost at once.
    pub cases: u32,
    /// Drives that may be lost besides these cases.
    pub drives: u32,
    /// Parity along each drive, in percent of its shards, against bad sectors; at most 100.
    pub blocks: u32,
}

/// Why a text is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SurviveError {
    /// There is no text at all.
    #[error(
        "nothing given; write none, or of cases=N, drives=N and blocks=P% what is wanted, with commas"
    )]
    Empty,
    /// A comma has nothing before or after it.
    #[error("a part is missing beside a comma in {text:?}")]
    MissingPart {
        /// The whole text.
        text: String,
    },
    /// A part starts with a word that means nothing here.
    #[error("unknown word {word:?}; the words are none, cases, drives and blocks")]
    UnknownWord {
        /// The word, without its number.
        word: String,
    },
    /// A word is given twice.
    #[error("{word:?} is given twice")]
    RepeatedWord { word: String },
    /// A word that takes a number has none.
    #[error("{word:?} needs a number, as in {}", example(word))]
    MissingNumber { word: String },
    /// What should be a number is not one, or is too large.
    #[error("{number:?} is not a number that {word:?} can take")]
    InvalidNumber {
        word: String,
        /// What stands after it.
        number: String,
    },
    /// `none` stands beside something else, or has a number.
    #[error("\"none\" must stand alone in {text:?}")]
    NoneNotAlone {
        /// The whole text.
        text: String,
    },
    /// The numbers say that nothing may be lost, and the word for that is `none`.
    #[error("{text:?} keeps nothing; write none to say so")]
    Zero {
        /// The whole text.
        text: String,
    },
}

/// What a word looks like with its number.
fn example(word: &str) -> String {
    let percent = if word == "blocks" { "%" } else { "" };
    format!("{word}=1{percent}")
}

/// Parity shards that a stripe with these numbers of shards per case needs: the sum of the fullest
/// cases that may be lost, and one for each drive that may be lost besides them.
#[must_use]
pub fn parity_needed(shards_per_case: &[usize], survive: Survive) -> usize {
    let mut fullest = shards_per_case.to_vec();
    fullest.sort_unstable_by(|a, b| b.cmp(a));
    let in_cases: usize = fullest.iter().take(index(survive.cases)).sum();
    in_cases.saturating_add(index(survive.drives))
}

/// A count of the rule as an index; one too large for the machine means "all".
pub(super) fn index(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl Survive {
    /// Nothing may be lost.
    pub const NONE: Self = Self { cases: 0, drives: 0, blocks: 0 };

    /// Whether nothing may be lost.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// After how many shards of a drive one of parity along it follows; none without `blocks`.
    #[must_use]
    pub fn members(self) -> Option<usize> {
        100_usize.checked_div(index(self.blocks)).map(|members| members.max(1))
    }

    /// Whether the rule allows for losing so many drives of each case.
    #[must_use]
    pub fn allows(self, lost_per_case: &[usize]) -> bool {
        let mut fullest = lost_per_case.to_vec();
        fullest.sort_unstable_by(|a, b| b.cmp(a));
        let beside: usize = fullest.iter().skip(index(self.cases)).sum();
        beside <= index(self.drives)
    }

    /// Whether it allows for every loss of drives and cases that the other allows for.
    #[must_use]
    pub fn is_as_strong_as(self, other: Self) -> bool {
        // A case that may be lost is at least a drive.
        let all = |rule: Self| index(rule.cases) + index(rule.drives);
        self.cases >= other.cases && all(self) >= all(other)
    }

    /// Whether drives in these numbers can keep the rule, given room. A stripe over all of them
    /// leaves the most for data: one more drive adds one shard, and at most one parity shard.
    #[must_use]
    pub fn can_be_kept(self, drives_per_case: &[usize]) -> bool {
        drives_per_case.iter().sum::<usize>() > parity_needed(drives_per_case, self)
    }

    /// The rule for a user who gave none: the strongest of `cases=1,drives=1` (offered only where
    /// every case has two drives or more), `cases=1` and `drives=1` that the drives can keep. Where
    /// the loss of a case, or of nothing, leaves no parity across, `blocks=1%` is added. Cases
    /// without drives do not count.
    #[must_use]
    pub fn default_for(drives_per_case: &[usize]) -> Self {
        let both = Self { cases: 1, drives: 1, blocks: 0 };
        let one_case = Self { cases: 1, drives: 0, blocks: 1 };
        let one_drive = Self { cases: 0, drives: 1, blocks: 0 };
        let alone = Self { cases: 0, drives: 0, blocks: 1 };
        let single = drives_per_case.contains(&1);
        [both, one_case, one_drive, alone]
            .into_iter()
            .skip(usize::from(single))
            .find(|rule| rule.can_be_kept(drives_per_case))
            .unwrap_or(Self::NONE)
    }
}

impl FromStr for Survive {
    type Err = SurviveError;

    fn from_str(text: &str) -> Result<Self, SurviveError> {
        let text = text.trim();
        match text {
            "" => return Err(SurviveError::Empty),
            "none" => return Ok(Self::NONE),
            _ => {}
        }
        let (mut cases, mut drives, mut blocks) = (None, None, None);
        for part in text.split(',') {
            let (word, number) = match part.split_once('=') {
                Some((word, number)) => (word.trim(), number.trim()),
                None => (part.trim(), ""),
            };
            let count = match word {
                "cases" => &mut cases,
                "drives" => &mut drives,
                "blocks" => &mut blocks,
                "none" => return Err(SurviveError::NoneNotAlone { text: text.into() }),
                "" if number.is_empty() => {
                    return Err(SurviveError::MissingPart { text: text.into() });
                }
                _ => return Err(SurviveError::UnknownWord { word: word.into() }),
            };
            let number = parse_number(word, number)?;
            if count.replace(number).is_some() {
                return Err(SurviveError::RepeatedWord { word: word.into() });
            }
        }
        let or_none = |count: Option<u32>| count.unwrap_or(0);
        let rule = Self { cases: or_none(cases), drives: or_none(drives), blocks: or_none(blocks) };
        if rule.is_none() {
            return Err(SurviveError::Zero { text: text.into() });
        }
        Ok(rule)
    }
}

/// Digits only: `+1`, which Rust would take, is refused. Percent stand with their sign.
fn parse_number(word: &str, number: &str) -> Result<u32, SurviveError> {
    if number.is_empty() {
        return Err(SurviveError::MissingNumber { word: word.into() });
    }
    let (digits, most) = match word {
        "blocks" => (number.strip_suffix('%').map(str::trim_end), 100),
        _ => (Some(number), u32::MAX),
    };
    digits
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|number| *number <= most)
        .ok_or_else(|| SurviveError::InvalidNumber { word: word.into(), number: number.into() })
}

impl Serialize for Survive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Survive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words =
            [("cases", self.cases, ""), ("drives", self.drives, ""), ("blocks", self.blocks, "%")];
        let shown = words.iter().filter(|(_, count, _)| *count > 0);
        let shown: Vec<_> =
            shown.map(|(word, count, sign)| format!("{word}={count}{sign}")).collect();
        f.pad(&if shown.is_empty() { "none".into() } else { shown.join(",") })
    }
}

#[cfg(test)]
mod tests;

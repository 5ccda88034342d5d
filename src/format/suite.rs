//! The cipher suites, by the number that stands in labels and records.

use super::FormatError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// With which cipher blocks are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Suite {
    /// ChaCha20-Poly1305: fast on any CPU
    #[default]
    ChaCha20 = 1,
    /// AES-256-GCM: faster where the CPU has instructions for it, slow where it has none
    Aes256 = 2,
}

impl Suite {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::ChaCha20, Self::Aes256];

    /// The suite of this number; one that is not known here is of a newer program.
    pub fn of(number: u8) -> Result<Self, FormatError> {
        match number {
            0 => Err(FormatError::invalid("cipher suite", "number", 0)),
            1 => Ok(Self::ChaCha20),
            2 => Ok(Self::Aes256),
            found => Err(FormatError::Newer { what: "cipher suite", found: found.into() }),
        }
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The word for it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::ChaCha20 => "chacha20",
            Self::Aes256 => "aes256",
        }
    }
}

/// The cipher as standards call it.
impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::ChaCha20 => "ChaCha20-Poly1305",
            Self::Aes256 => "AES-256-GCM",
        })
    }
}

impl From<Suite> for u8 {
    fn from(suite: Suite) -> Self {
        suite.number()
    }
}

impl TryFrom<u8> for Suite {
    type Error = FormatError;

    fn try_from(number: u8) -> Result<Self, FormatError> {
        Self::of(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_suite_a_newer_one_or_nonsense() {
        for number in 0..=255 {
            match Suite::of(number) {
                Ok(suite) => assert_eq!((suite.number(), number <= 2), (number, true)),
                Err(FormatError::Newer { found, .. }) => {
                    assert_eq!((found, number > 2), (number.into(), true));
                }
                Err(_) => assert_eq!(number, 0),
            }
        }
    }
}

//! The cipher suites, by the number that stands in labels and records. Blocks of a suite that is not
//! known here can be checked against their hashes and reconstructed, but not opened.

use super::error::FormatError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The cipher that blocks are sealed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Suite {
    /// 1, ChaCha20-Poly1305: fast on any CPU
    #[default]
    ChaCha20,
    /// 2, AES-256-GCM: faster where the CPU has instructions for it, slow where it has none
    Aes256,
    /// one of a newer program
    Unknown(u8),
}

impl Suite {
    /// All known suites.
    pub const ALL: [Self; 2] = [Self::ChaCha20, Self::Aes256];

    pub fn of(number: u8) -> Result<Self, FormatError> {
        match number {
            0 => Err(FormatError::invalid("cipher suite", "number", 0)),
            1 => Ok(Self::ChaCha20),
            2 => Ok(Self::Aes256),
            number => Ok(Self::Unknown(number)),
        }
    }

    pub fn number(self) -> u8 {
        match self {
            Self::ChaCha20 => 1,
            Self::Aes256 => 2,
            Self::Unknown(number) => number,
        }
    }

    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::ChaCha20 => "chacha20",
            Self::Aes256 => "aes256",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Its name in the standards.
impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::ChaCha20 => f.write_str("ChaCha20-Poly1305"),
            Self::Aes256 => f.write_str("AES-256-GCM"),
            Self::Unknown(number) => write!(f, "suite {number} of a newer program"),
        }
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
        assert!(Suite::of(0).is_err());
        for number in 1..=255 {
            let suite = Suite::of(number).unwrap();
            assert_eq!(suite.number(), number);
            assert_eq!(matches!(suite, Suite::Unknown(_)), number > 2);
        }
    }
}

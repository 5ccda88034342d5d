//! How far a drive proves what lies on it, and what is to be done where it does not.

use serde::{Serialize, Serializer};

/// How a read-back was proven; DESIGN's rule 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// not read back
    None,
    /// the bytes may have come from a cache
    Cached,
    /// the caches were dropped first
    Dropped,
    /// past the caches (`O_DIRECT`), or there is no medium but memory
    Direct,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Cached, Self::Dropped, Self::Direct];

    /// The word that is printed and recorded.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cached => "cached",
            Self::Dropped => "dropped",
            Self::Direct => "direct",
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What it takes to prove what lies on a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// to read it
    Read,
    /// to read it after it was unplugged, or as a user who may open its device
    Replug,
    /// a cache lies in between that nothing here gets past: only where the drive itself is attached
    Elsewhere,
}

impl Proof {
    /// What is to be done about a drive that was read back through a cache.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Read | Self::Replug => "re-plug the drive and run holdall verify",
            Self::Elsewhere => {
                "nothing read here can prove it (a network or cloud mount): verify it on the \
                 machine that the drive is attached to"
            }
        }
    }
}

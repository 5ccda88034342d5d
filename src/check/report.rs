//! What the check of a drive found.

use crate::drives::{Level, Proof};
use crate::format::ids::StripeId;
use crate::shards::bad_blocks::ShardDamage;
use serde::Serialize;

/// A shard on a drive that is not as recorded.
#[derive(Clone, Debug)]
pub struct BadShard {
    pub stripe: StripeId,
    /// index in the stripe
    pub index: u8,
    pub damage: ShardDamage,
}

/// What was found on a drive.
#[derive(Clone, Debug, Serialize)]
pub struct DriveReport {
    /// shards that the records place on it
    pub shards: u64,
    /// bytes read
    pub bytes: u64,
    /// shards that are not there
    pub missing_shards: u64,
    /// blocks that are bad in shards that are there
    pub bad_blocks: u64,
    /// of these, blocks that the drive could not read
    pub unreadable_blocks: u64,
    /// blocks that were not tried: see [`crate::shards::reading`]
    pub unread_blocks: u64,
    /// shards of which no block was tried, counted with their blocks above
    pub unread_shards: u64,
    /// only so many blocks were drawn and read; none: all
    pub sampled_blocks: Option<u64>,
    /// shards with bytes too many, some of whose blocks may be bad besides
    pub long_shards: u64,
    /// which those are
    #[serde(skip)]
    pub long: Vec<(StripeId, u8)>,
    #[serde(skip)]
    pub bad: Vec<BadShard>,
    /// it stopped answering
    pub vanished: bool,
    /// it was not read to its end
    #[serde(skip)]
    pub stopped: bool,
    /// files other than shards that are damaged or missing, if those were checked
    #[serde(rename = "bad_files")]
    pub bad_metadata_files: u64,
    /// how the bytes were read
    pub level: Level,
    /// what it takes to prove them
    #[serde(skip)]
    pub proof: Proof,
}

impl DriveReport {
    /// Is everything on the drive as its records say?
    pub fn is_whole(&self) -> bool {
        self.bad.is_empty()
            && self.long_shards == 0
            && self.bad_metadata_files == 0
            && !self.vanished
            && !self.stopped
    }

    pub(super) fn note_bad(&mut self, stripe: StripeId, index: u8, damage: ShardDamage) {
        self.bad.push(BadShard { stripe, index, damage });
    }

    pub(super) fn new() -> Self {
        Self {
            shards: 0,
            bytes: 0,
            missing_shards: 0,
            bad_blocks: 0,
            unreadable_blocks: 0,
            unread_blocks: 0,
            unread_shards: 0,
            sampled_blocks: None,
            long_shards: 0,
            long: Vec::new(),
            bad: Vec::new(),
            vanished: false,
            stopped: false,
            bad_metadata_files: 0,
            level: Level::Cached,
            proof: Proof::Read,
        }
    }
}

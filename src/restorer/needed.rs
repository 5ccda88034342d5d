//! What is needed of drives that are not here, each case once.
//!
//! - Enters: for each extent that waits, who can give its stripe's columns, and whose shards it
//!   lies in.
//! - Leaves: the same, each case once, for the smallest next step; the stripes, for keeping shards.
//! - Always holds: a constant number of cases; that there were more is reported.

use crate::format::ids::StripeId;
use crate::stripes::stripe::NeededShards;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is needed of drives that are not here.
#[derive(Default)]
pub struct Needed {
    /// stripes of which wanted blocks are missing
    pub stripes: BTreeSet<StripeId>,
    /// which drives that takes, as far as it differs
    pub drives: BTreeSet<NeededDrives>,
    /// there are more cases than are kept
    pub more: bool,
}

/// Cases that are kept; drives of unequal size make a few.
const MOST_CASES: usize = 256;

/// What some files wait for: the columns of a stripe, or else the shards that hold their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NeededDrives {
    /// who can give the columns
    pub hope: NeededShards,
    /// slots of the shards
    pub own: BTreeSet<u16>,
}

impl NeededDrives {
    /// The same once the shards of these slots are kept.
    #[must_use]
    pub fn keeping(mut self, here: &BTreeSet<u16>) -> Self {
        let kept: BTreeSet<u16> = self.hope.kept.iter().copied().collect();
        let more = self.hope.sound.iter().filter(|s| here.contains(s) && !kept.contains(s));
        self.hope.kept.extend(more);
        self
    }
}

impl Needed {
    /// Adds what an extent waits for.
    pub fn add(&mut self, stripe: StripeId, shards: &[NeededShards], own: &BTreeSet<u16>) {
        self.stripes.insert(stripe);
        let drives = shards.iter().map(|of| NeededDrives { hope: of.clone(), own: own.clone() });
        self.drives.extend(drives);
        self.more |= self.drives.len() > MOST_CASES;
        while self.drives.len() > MOST_CASES {
            self.drives.pop_last();
        }
    }

    /// Adds those of another walk.
    pub fn extend(&mut self, other: Self) {
        self.stripes.extend(other.stripes);
        self.drives.extend(other.drives);
        self.more |= other.more;
    }
}

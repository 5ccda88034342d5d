//! What files wait for, as far as it differs.
//!
//! - Enters: for each extent that waits, who can give its stripe's columns, and whose shards it lies in.
//! - Leaves: the same, each case once, for the smallest next step; the stripes, for keeping shards.
//! - Always holds: a constant number of cases; that there were more is said.

use crate::format::ids::StripeId;
use crate::sets::stripe::Hope;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What drives that are not here would bring.
#[derive(Default)]
pub struct Lacking {
    /// stripes that lack blocks that are wanted
    pub stripes: BTreeSet<StripeId>,
    /// what is wanted of them, as far as it differs
    pub wants: BTreeSet<Want>,
    /// there are too many that differ to be told apart
    pub more: bool,
}

/// Wants that are told apart; drives of unequal size make a few.
const MOST_WANTS: usize = 256;

/// What some files wait for: the columns of a stripe, or else the shards that hold their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Want {
    /// who can give the columns
    pub hope: Hope,
    /// slots of the shards
    pub own: BTreeSet<u16>,
}

impl Want {
    /// The same once the shards of these slots are kept.
    #[must_use]
    pub fn keeping(mut self, here: &BTreeSet<u16>) -> Self {
        let kept: BTreeSet<u16> = self.hope.kept.iter().copied().collect();
        let more = self.hope.sound.iter().filter(|s| here.contains(s) && !kept.contains(s));
        self.hope.kept.extend(more);
        self
    }
}

impl Lacking {
    /// Adds what an extent waits for.
    pub fn add(&mut self, stripe: StripeId, hopes: &[Hope], own: &BTreeSet<u16>) {
        self.stripes.insert(stripe);
        let wants = hopes.iter().map(|hope| Want { hope: hope.clone(), own: own.clone() });
        self.wants.extend(wants);
        self.more |= self.wants.len() > MOST_WANTS;
        while self.wants.len() > MOST_WANTS {
            self.wants.pop_last();
        }
    }

    /// Adds those of another walk.
    pub fn extend(&mut self, other: Self) {
        self.stripes.extend(other.stripes);
        self.wants.extend(other.wants);
        self.more |= other.more;
    }
}

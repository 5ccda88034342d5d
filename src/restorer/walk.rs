//! The context of a walk over the items of a set.

use super::ledger::Ledger;
use super::open_set::OpenSet;
use super::options::RestoreOptions;
use super::output::Output;
use crate::monitor::Monitor;

/// What all stages of a walk share.
#[derive(Clone, Copy)]
pub struct SetWalk<'a> {
    pub open: &'a OpenSet<'a>,
    pub output: Output<'a>,
    pub options: RestoreOptions<'a>,
    pub ledger: &'a Ledger<'a>,
    /// bytes to restore, with those that are there already; 0 if unknown
    pub total: u64,
    pub monitor: &'a dyn Monitor,
}

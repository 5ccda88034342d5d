//! Files that change while they are read: each is packed again at once, whole, as it then is.
//!
//! - Enters: the entry of such a file, before anything that comes after it is placed.
//! - Leaves: the file as it was at one moment; or after [`TRIES`], or when the drives have no room
//!   for another, as it is, and listed.
//! - Always holds: tries are counted in the cursor, so neither a crash nor the next set begins the
//!   count anew, and no more than one set is ever spent on beginnings.

use super::error::PackError;
use super::fill::{Filler, TRIES};
use crate::dataset::Source;
use crate::dataset::cut::{CutSizes, Cutter};
use crate::dataset::work::{Done, Worker};
use crate::format::list::Entry;
use crate::local_state::LocalStateError;
use crate::monitor::Monitor;
use crate::pipeline;
use std::sync::Arc;

/// What packing a file again needs.
pub struct Retry<'a> {
    pub(super) source: &'a Source,
    pub(super) worker: &'a Worker<'a>,
    pub(super) sizes: CutSizes,
    pub(super) depth: usize,
    pub(super) monitor: &'a dyn Monitor,
}

impl Retry<'_> {
    /// Packs the file of `entry` again. If that is to stop, it ends with an error: what was read of
    /// the entries behind it must not be placed before its own end.
    pub fn pack(&self, filler: &mut Filler, entry: &Arc<Entry>) -> Result<(), PackError> {
        while self.attempt(filler, entry)? {}
        Ok(())
    }

    /// Says whether the file changed once more.
    fn attempt(&self, filler: &mut Filler, entry: &Arc<Entry>) -> Result<bool, PackError> {
        let as_it_is = filler.tries() >= TRIES;
        let scanned = match self.source.open_file(&entry.path).and_then(|file| file.look(entry)) {
            Ok(scanned) => scanned,
            Err(e) => {
                let unreadable = Done::Unreadable(entry.clone(), e);
                return filler.take(unreadable, as_it_is).map(|_| false);
            }
        };
        let one = std::iter::once(Ok::<_, LocalStateError>(scanned));
        let mut cutter = Cutter::new(one, self.source, self.sizes);
        let (mut changed, mut stopped) = (false, false);
        pipeline::ordered(
            self.depth,
            || {
                stopped = self.monitor.should_stop();
                if stopped { Ok(None) } else { Ok(cutter.next_work()?) }
            },
            |work| self.worker.work(work, as_it_is),
            |done| {
                for done in done {
                    changed |= filler.take(done, as_it_is)?.is_some();
                }
                Ok::<_, PackError>(())
            },
        )?;
        if stopped { Err(PackError::Asked) } else { Ok(changed) }
    }
}

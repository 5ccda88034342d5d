//! Patience with drives: a call that takes long is reported, and waited for.
//!
//! - Enters: every call on a [`super::LocalDrive`], as it begins and as it ends.
//! - Leaves: the name of a drive and how long it has not answered: after [`PATIENCE`], and then each time
//!   that it takes twice as long as was reported before. So a slow drive is reported once and not at
//!   each call, and one that hangs again and again.
//! - Always holds: (1) nothing is broken off: a drive that spins up, or reads a sector for the
//!   hundredth time, is given its time, and only the threads that need it wait; (2) nobody is told
//!   but within [`watching`].
//!
//! A system call on a file cannot be asked how it is, so the calls are noted before they are made,
//! and one thread looks at the notes. They are the process's own, since a drive is opened long
//! before it is known who listens.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};

/// How long a drive may take for one call before that is reported: disks spin up in less.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often the thread looks.
const LOOK: Duration = Duration::from_millis(500);

static DRIVES: Mutex<Vec<Weak<Calls>>> = Mutex::new(Vec::new());

/// The calls that a drive has not answered yet.
#[derive(Default)]
pub(super) struct Calls {
    name: String,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// when each began
    calls: BTreeMap<u64, Instant>,
    /// the longest wait that was reported
    reported: Duration,
}

impl Calls {
    /// Of a drive of this name.
    pub(super) fn of(name: &str) -> Arc<Self> {
        let calls = Arc::new(Self { name: name.into(), waiting: Mutex::default() });
        let mut drives = DRIVES.lock();
        drives.retain(|drive| drive.strong_count() > 0);
        drives.push(Arc::downgrade(&calls));
        calls
    }

    /// Notes that a call begins; it ends when what is returned is dropped.
    pub(super) fn begin(&self) -> PendingCall<'_> {
        let mut waiting = self.waiting.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.calls.insert(number, Instant::now());
        PendingCall { calls: self, number }
    }

    /// How long the eldest call has taken, if that is much longer than what was reported.
    fn overdue(&self, patience: Duration) -> Option<Duration> {
        let mut waiting = self.waiting.lock();
        let took = waiting.calls.values().next()?.elapsed();
        let is_news = took >= patience.max(waiting.reported * 2);
        if is_news {
            waiting.reported = took;
        }
        is_news.then_some(took)
    }
}

/// A call that was begun.
pub(super) struct PendingCall<'a> {
    calls: &'a Calls,
    number: u64,
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        self.calls.waiting.lock().calls.remove(&self.number);
    }
}

/// Does a job; `report` is called, from another thread, with the name of each drive that does not
/// answer and for how long.
pub fn watching<R>(report: &(dyn Fn(&str, Duration) + Sync), job: impl FnOnce() -> R) -> R {
    watching_for(PATIENCE, report, job)
}

fn watching_for<R>(
    patience: Duration,
    report: &(dyn Fn(&str, Duration) + Sync),
    job: impl FnOnce() -> R,
) -> R {
    // Dropped when the job is done, also by a panic, which wakes the thread for its end.
    let (done, is_done) = bounded::<()>(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            while is_done.recv_timeout(LOOK.min(patience)) == Err(RecvTimeoutError::Timeout) {
                let drives: Vec<_> = DRIVES.lock().iter().filter_map(Weak::upgrade).collect();
                for drive in drives {
                    if let Some(took) = drive.overdue(patience) {
                        report(&drive.name, took);
                    }
                }
            }
        });
        let _done = done;
        job()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_drive_is_reported_again_only_when_it_takes_twice_as_long() {
        let [slow, quick, hung] = ["test slow", "test quick", "test hung"].map(Calls::of);
        let since = |calls: &Calls, seconds: u64| {
            let began = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
            calls.waiting.lock().calls = [(0, began)].into();
        };
        let patience = Duration::from_secs(10);
        let reported: Vec<bool> = [5, 11, 15, 13, 19, 30]
            .into_iter()
            .map(|seconds| {
                since(&slow, seconds);
                slow.overdue(patience).is_some()
            })
            .collect();
        assert_eq!(reported, [false, true, false, false, false, true]);

        since(&hung, 5);
        drop(quick.begin());
        let reported = Mutex::new(Vec::new());
        let report = |name: &str, took: Duration| {
            if name.starts_with("test ") {
                reported.lock().push((name.to_owned(), took));
            }
        };
        watching_for(Duration::from_millis(50), &report, || {
            let deadline = Instant::now() + Duration::from_secs(10);
            while reported.lock().is_empty() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let reported = reported.into_inner();
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert_eq!(reported[0].0, "test hung");
    }
}

//! How many bytes of stripes may be held at once.
//!
//! - Enters: how many bytes are to be read next.
//! - Leaves: leave to read them, once so many may be held.
//! - Always holds: what is held is at most the budget, or one batch; once it is closed nobody
//!   waits.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;

/// Bytes that may be held.
pub(super) struct Budget {
    most: u64,
    state: Mutex<BudgetState>,
    changed: Condvar,
}

#[derive(Default)]
struct BudgetState {
    held: u64,
    closed: bool,
}

/// A part of the budget, given back when dropped.
pub(super) struct HeldBytes {
    pub(super) budget: Arc<Budget>,
    pub(super) bytes: u64,
}

impl Budget {
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default(), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock()
    }

    /// Waits until so many bytes more may be held, or nothing is; says whether they are: not once
    /// it is closed.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let too_many = |state: &mut BudgetState| {
            !state.closed && state.held > 0 && state.held + bytes > self.most
        };
        let mut state = self.lock();
        self.changed.wait_while(&mut state, too_many);
        state.held += if state.closed { 0 } else { bytes };
        !state.closed
    }

    /// Nothing more is held, and whoever waits for room no longer does.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.budget.lock().held -= self.bytes;
        self.budget.changed.notify_all();
    }
}

/// Belongs to whoever takes what is read: once one of these is dropped, in whatever way, nothing
/// more is read.
pub struct Taker(pub(super) Arc<Budget>);

impl Drop for Taker {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;
    use std::time::Duration;

    #[test]
    fn what_is_held_is_bounded_and_what_is_too_large_goes_alone() {
        let budget = Budget::new(10);
        let hold = |bytes| {
            assert!(budget.take(bytes));
            HeldBytes { budget: budget.clone(), bytes }
        };
        let (first, second) = (hold(4), hold(6));
        let (sender, taken) = unbounded();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let large = hold(30);
                sender.send(()).unwrap();
                large
            });
            drop(first);
            assert!(taken.recv_timeout(Duration::from_millis(20)).is_err(), "6 are held still");
            drop(second);
            taken.recv().unwrap();
        });
        assert_eq!(budget.lock().held, 0);
    }

    /// Review R1.
    #[test]
    fn who_waits_for_room_is_woken_when_nobody_takes_what_is_read() {
        let budget = Budget::new(10);
        assert!(budget.take(10));
        let taker = Taker(budget.clone());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(1));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            drop(taker);
            assert!(!waiting.join().unwrap(), "nothing more is held");
        });
        assert!(!budget.take(0) && budget.lock().held == 10);
    }
}

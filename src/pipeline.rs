//! The only CPU threads: work in parallel, results in input order, first error stops all.
//!
//! - Enters: items, one at a time, from the calling thread.
//! - Leaves: results, one at a time and in the same order, on the calling thread.
//! - Always holds: (1) at most `depth` items are being worked on or waiting for their turn, so memory
//!   is `depth` times an item; (2) the order of results does not depend on the number of threads;
//!   (3) after an error no new item is begun.

use crossbeam_channel::{Receiver, bounded};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Runs `work` on every item that `next` gives, on rayon's pool, and hands the results to `done`
/// in the items' order. `next` and `done` run on this thread.
pub fn ordered<I: Send, O: Send, E>(
    depth: usize,
    mut next: impl FnMut() -> Result<Option<I>, E>,
    work: impl Fn(I) -> O + Sync,
    mut done: impl FnMut(O) -> Result<(), E>,
) -> Result<(), E> {
    let depth = depth.max(1);
    let (sender, receiver) = bounded(depth);
    let work = &work;
    rayon::in_place_scope(|scope| {
        let mut waiting = BTreeMap::new();
        let (mut begun, mut ended) = (0u64, 0u64);
        let mut more = true;
        loop {
            while more && (begun - ended) < depth as u64 {
                let Some(item) = next()? else {
                    more = false;
                    break;
                };
                let (number, sender) = (begun, sender.clone());
                scope.spawn(move |_| {
                    let result = catch_unwind(AssertUnwindSafe(|| work(item)));
                    // The receiver is gone only after an error, when no result is wanted.
                    let _ = sender.send((number, result));
                });
                begun += 1;
            }
            if begun == ended {
                return Ok(());
            }
            let (number, result) = wait(&receiver);
            waiting.insert(number, result);
            while let Some(result) = waiting.remove(&ended) {
                ended += 1;
                done(result.unwrap_or_else(|panic| resume_unwind(panic)))?;
            }
        }
    })
}

/// Waits for a result. A thread of the pool itself works on what is queued meanwhile: otherwise a
/// pool of one thread would wait for itself.
fn wait<T>(receiver: &Receiver<T>) -> T {
    const OPEN: &str = "the caller holds a sender, so the channel is open";
    loop {
        match receiver.try_recv() {
            Ok(result) => return result,
            Err(_) => match rayon::yield_now() {
                None => return receiver.recv().expect(OPEN),
                Some(rayon::Yield::Executed) => {}
                Some(rayon::Yield::Idle) => {
                    if let Ok(result) = receiver.recv_timeout(Duration::from_millis(1)) {
                        return result;
                    }
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_and_the_depth_is_kept() {
        let inside = AtomicUsize::new(0);
        let mut numbers = 0..500u64;
        let mut got = Vec::new();
        ordered::<_, _, ()>(
            7,
            || Ok(numbers.next()),
            |n| {
                assert!(inside.fetch_add(1, Ordering::SeqCst) < 7);
                std::thread::sleep(std::time::Duration::from_micros((n * 37) % 200));
                inside.fetch_sub(1, Ordering::SeqCst);
                n * 2
            },
            |n| {
                got.push(n);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(got, (0..500).map(|n| n * 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_pool_of_one_thread_does_not_wait_for_itself() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let mut numbers = 0..50u64;
        let mut sum = 0;
        let add = |n: u64| {
            sum += n;
            Ok::<(), ()>(())
        };
        pool.install(|| ordered(4, || Ok(numbers.next()), |n| n, add)).unwrap();
        assert_eq!(sum, 49 * 25);
    }

    #[test]
    fn the_first_error_stops_all() {
        let begun = AtomicUsize::new(0);
        let result = ordered(
            4,
            || Ok(Some(())),
            |()| begun.fetch_add(1, Ordering::SeqCst),
            |n| if n >= 10 { Err(n) } else { Ok(()) },
        );
        assert!(result.unwrap_err() >= 10);
        assert!(begun.into_inner() < 40);
    }
}

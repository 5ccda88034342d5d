//! One thread per drive, for what all drives do at the same time, waited for or not; and one that
//! reads the next while the last is worked on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, unbounded};

/// Runs `job` for 0..count, each on a thread of its own, and gives back the results in order.
pub fn on_each<T: Send>(count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if count == 1 {
        return vec![job(0)];
    }
    std::thread::scope(|scope| {
        let job = &job;
        let threads: Vec<_> = (0..count).map(|i| scope.spawn(move || job(i))).collect();
        let join = |t: std::thread::ScopedJoinHandle<T>| {
            t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    })
}

/// The same for so many, as far as they are done within a time: who is late is none, and nobody waits
/// for that thread.
pub fn each_within<T: Send + 'static>(
    limit: Duration,
    count: usize,
    job: impl Fn(usize) -> T + Send + Sync + 'static,
) -> Vec<Option<T>> {
    let deadline = Instant::now() + limit;
    let (sender, done) = unbounded();
    let job = Arc::new(job);
    for number in 0..count {
        let (sender, job) = (sender.clone(), Arc::clone(&job));
        std::thread::spawn(move || sender.send((number, job(number))));
    }
    drop(sender);
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    while let Ok((number, result)) = done.recv_deadline(deadline) {
        results[number] = Some(result);
    }
    results
}

/// Gives `each` what was read of the items, in order, while the next is read, until it returns false.
pub fn while_next<'i, I: Sync, T: Send>(
    items: &'i [I],
    read: impl Fn(&'i I) -> T + Send,
    each: impl FnMut(T) -> bool,
) {
    let (sender, ready) = bounded(0);
    std::thread::scope(|scope| {
        // Until nobody takes them any more.
        let reads = scope.spawn(move || items.iter().all(|item| sender.send(read(item)).is_ok()));
        ready.into_iter().all(each);
        if let Err(panic) = reads.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_late_is_not_waited_for() {
        let (release, held) = bounded::<()>(0);
        let results = each_within(Duration::from_millis(300), 3, move |number| {
            if number == 1 {
                let _ = held.recv();
            }
            number
        });
        assert_eq!(results, [Some(0), None, Some(2)]);
        drop(release);
    }
}

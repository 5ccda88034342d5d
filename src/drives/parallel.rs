//! One thread per drive, for what all drives do at the same time; and one that reads the next while
//! the last is worked on.

use crossbeam_channel::bounded;

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

/// Gives `each` what was read of the items, in order, while the next is read, until it returns false.
pub fn while_next<'i, I: Sync, T: Send>(
    items: &'i [I],
    read: impl Fn(&'i I) -> T + Send,
    each: impl FnMut(T) -> bool,
) {
    let (sender, ready) = bounded(0);
    std::thread::scope(|scope| {
        // Until nobody takes them any more.
        scope.spawn(move || items.iter().all(|item| sender.send(read(item)).is_ok()));
        ready.into_iter().all(each);
    });
}

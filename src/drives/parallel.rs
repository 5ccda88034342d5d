//! One thread per drive, for what all drives do at the same time.

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

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::*;
use crate::drives::buffer::Pool;
use crate::testing::faulty::FaultyDrive;
use crate::testing::proxy::{Call, CallKind, Proxy};

/// Notes every call on the drive inside, and takes its time over each.
#[derive(Clone)]
struct Noting {
    inside: FaultyDrive,
    calls: Arc<Mutex<Vec<String>>>,
    pause: Duration,
}

impl Noting {
    fn new(inside: &FaultyDrive, pause_ms: u64) -> Arc<Self> {
        let pause = Duration::from_millis(pause_ms);
        Arc::new(Self { inside: inside.clone(), calls: Arc::default(), pause })
    }

    fn note(&self, call: String) {
        thread::sleep(self.pause);
        self.calls.lock().unwrap().push(call);
    }
}

impl Proxy for Noting {
    fn below(&self) -> &dyn Drive {
        &self.inside
    }

    fn call(
        &self,
        call: &Call,
        run: &mut dyn FnMut() -> Result<(), DriveError>,
    ) -> Result<(), DriveError> {
        match call.kind {
            CallKind::MakeFolder => self.note(format!("make {}", call.path)),
            CallKind::Write { .. } | CallKind::Sync => {
                self.note(format!("{} {}", call.action(), call.path).trim_end().into());
            }
            _ => {}
        }
        assert_ne!(call.path, "panic");
        run()
    }
}

fn memory(capacities: &[u64]) -> (Vec<FaultyDrive>, Vec<Arc<dyn Drive>>) {
    let name = |(number, &bytes): (usize, &u64)| FaultyDrive::new(format!("m{number}"), bytes);
    let drives: Vec<_> = capacities.iter().enumerate().map(name).collect();
    let shared = drives.iter().map(|drive| Arc::new(drive.clone()) as Arc<dyn Drive>).collect();
    (drives, shared)
}

fn bytes(len: usize) -> Shared {
    Shared::new(Arc::new(vec![7; len]), 0..len)
}

fn silent(_: usize, _: u64, _: Duration) {}

#[test]
fn a_drive_does_its_jobs_in_order() {
    let inside = FaultyDrive::new("m", 1 << 20);
    let drive = Noting::new(&inside, 0);
    let drives = [Arc::clone(&drive) as Arc<dyn Drive>];
    let done = Mutex::new(Vec::new());
    let progress = |drive, bytes, _| done.lock().unwrap().push((drive, bytes));
    let pool = Pool::new();
    thread::scope(|scope| {
        let writers = Writers::start(scope, &drives, 2, &progress);
        let mut stripe = pool.take(300);
        stripe.fill(1);
        stripe[100..].fill(2);
        let stripe = Arc::new(stripe);
        for (number, range) in [0..100, 100..300, 300..300].into_iter().enumerate() {
            writers.write(0, format!("s/{number}"), Shared::new(stripe.clone(), range));
        }
        drop(stripe);
        assert!(writers.commit("r/1", Arc::from([3; 5])).iter().all(Result::is_ok));
        assert_eq!(pool.free(), 1, "a buffer goes back when its shards are written");
        writers.commit_each("r/2", |_| Some(Arc::from([4; 6])))[0].as_ref().unwrap();
        writers.write(0, "s/3".into(), bytes(4));
        writers.sync()[0].as_ref().unwrap();
        writers.write(0, "top".into(), bytes(1));
        assert!(writers.finish().iter().all(Option::is_none));
    });
    let expected = "make s, write s/0, write s/1, write s/2, make r, commit r/1, commit r/2, \
                    write s/3, sync, write top";
    assert_eq!(drive.calls.lock().unwrap().join(", "), expected);
    done.lock().unwrap().retain(|(_, bytes)| *bytes > 0);
    assert_eq!(*done.lock().unwrap(), [(0, 100), (0, 200), (0, 4), (0, 1)]);
    assert_eq!(inside.read("s/1", 300).unwrap(), [2; 200]);
    assert_eq!(inside.read("r/2", 300).unwrap(), [4; 6]);
}

#[test]
fn one_drive_fails_and_the_others_go_on() {
    let (inside, drives) = memory(&[1 << 20, 3 * 4096, 1 << 20]);
    thread::scope(|scope| {
        let writers = Writers::start(scope, &drives, 1, &silent);
        for number in 0..20 {
            (0..3).for_each(|drive| writers.write(drive, format!("d/{number}"), bytes(4096)));
        }
        let synced = writers.sync();
        assert!(synced[0].is_ok() && synced[2].is_ok());
        let error = synced[1].clone().unwrap_err();
        assert!(error.is_full());
        assert_eq!(error.to_string(), "write d/3 on m1");

        inside[1].remove("d/0");
        let committed = writers.commit("rec", Arc::from([1; 3]));
        assert!(committed[0].is_ok() && committed[2].is_ok());
        assert!(Arc::ptr_eq(committed[1].as_ref().unwrap_err(), &error), "failed is failed");
        let own = writers.commit_each("x", |drive| (drive == 1).then(|| Arc::from([])));
        assert!(own[0].is_ok() && Arc::ptr_eq(own[1].as_ref().unwrap_err(), &error));
        inside[2].vanish();
        let synced = writers.sync();
        assert!(synced[0].is_ok() && Arc::ptr_eq(synced[1].as_ref().unwrap_err(), &error));
        assert_eq!(synced[2].as_ref().unwrap_err().to_string(), "sync m2");
        let failed = writers.failed();
        assert_eq!(failed.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true]);
        writers.finish();
    });
    assert_eq!(inside[0].paths().len(), 21);
    assert_eq!(inside[1].paths(), ["d/1", "d/2"]);
}

#[test]
fn drives_work_at_the_same_time() {
    let (inside, _) = memory(&[1 << 20; 8]);
    let noting: Vec<_> = inside.iter().map(|drive| Noting::new(drive, 100)).collect();
    let drives: Vec<_> = noting.iter().map(|drive| Arc::clone(drive) as Arc<dyn Drive>).collect();
    let start = std::time::Instant::now();
    thread::scope(|scope| {
        let writers = Writers::start(scope, &drives, 4, &silent);
        (0..8).for_each(|drive| writers.write(drive, "a".into(), bytes(1)));
        writers.sync();
        writers.commit("b", Arc::from([]));
        writers.finish();
    });
    assert!(start.elapsed() < Duration::from_millis(1600), "three calls, not twenty-four");
}

#[test]
fn a_full_queue_keeps_no_other_drive_from_its_file() {
    let (inside, _) = memory(&[1 << 20; 2]);
    let slow = Noting::new(&inside[0], 0);
    let drives = [Arc::clone(&slow) as Arc<dyn Drive>, Arc::new(inside[1].clone())];
    thread::scope(|scope| {
        let writers = Writers::start(scope, &drives, 1, &silent);
        let stands_still = slow.calls.lock().unwrap();
        let queueing = scope.spawn(|| {
            for number in 0..3 {
                let file = |drive| NewFile { drive, path: format!("f/{number}"), bytes: bytes(1) };
                writers.write_each(vec![file(0), file(1)]);
            }
            writers.finish();
        });
        // The first drive has one file in work and one in its queue: the third waits, for it alone.
        while inside[1].paths().len() < 3 {
            thread::yield_now();
        }
        assert_eq!(inside[0].paths().len(), 0);
        drop(stands_still);
        queueing.join().unwrap();
    });
    assert_eq!(inside[0].paths().len(), 3);
}

#[test]
fn dropping_lets_go_of_what_is_queued() {
    let inside = FaultyDrive::new("m", 1 << 20);
    let drive = Noting::new(&inside, 50);
    let drives = [Arc::clone(&drive) as Arc<dyn Drive>, Arc::clone(&drive) as Arc<dyn Drive>];
    thread::scope(|scope| {
        let writers = Writers::start(scope, &drives, 8, &silent);
        for number in 0..8 {
            writers.write(number % 2, number.to_string(), bytes(10));
        }
    });
    assert!(inside.paths().len() < 8);
    thread::scope(|scope| {
        let writers = Writers::start(scope, &drives, 8, &silent);
        for number in 8..12 {
            writers.write(number % 2, number.to_string(), bytes(10));
        }
        writers.finish();
    });
    assert_eq!(inside.paths().iter().filter(|path| path.parse::<u32>().unwrap() >= 8).count(), 4);
    thread::scope(|scope| Writers::start(scope, &[], 0, &silent).finish());
}

#[test]
fn a_panic_ends_in_an_error_and_then_in_a_panic() {
    let inside = FaultyDrive::new("m", 1 << 20);
    let drives = [Noting::new(&inside, 50) as Arc<dyn Drive>, Arc::new(inside.clone())];
    let scoped = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        thread::scope(|scope| {
            let writers = Writers::start(scope, &drives, 20, &silent);
            (0..10).for_each(|_| writers.write(0, "panic".into(), bytes(1)));
            // Queued before the panic, and never answered.
            let synced = writers.sync();
            assert_eq!(synced[0].as_ref().unwrap_err().to_string(), "write m");
            assert!(synced[1].is_ok() && writers.failed()[0].is_some());
            writers.finish();
        });
    }));
    let cause = scoped.unwrap_err();
    assert!(cause.downcast_ref::<String>().is_some_and(|text| text.contains("panic")));
}

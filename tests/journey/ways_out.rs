//! Every early way out of a pipeline, with its queues full: a destination that fails, a job that is
//! stopped, a step that panics. Each ends; a watchdog sees to it (report R1).

use crate::common::lab::Lab;
use crate::common::mounted::Memory;
use crate::common::random::Random;
use crate::common::tree;
use holdall::destination::Destination;
use holdall::memory::Memory as Bytes;
use holdall::monitor::{Monitor, Phase, Problem, Recording};
use holdall::repairer::{self, RepairJob};
use holdall::restorer::{self, OpenSet, RestoreError, RestoreOptions, Restored};
use holdall::sets::{Book, open};
use holdall::verbs::verify::verify_sets;
use holdall::verbs::{decode, open as verb};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use tempfile::TempDir;

/// Far more than any of these takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// In which the queues behind a step that stands still get full.
const STANDS_STILL: Duration = Duration::from_millis(30);

/// Fails if it does not end.
#[track_caller]
fn ends<T: Send + 'static>(what: &str, job: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || sender.send(job()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        Err(RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().err().unwrap())
        }
    }
}

/// What happens at one of the calls of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trip {
    Nothing,
    Stop,
    Panic,
}

/// Stands still at one call, and then does something.
struct Tripping {
    told: Recording,
    calls: AtomicU64,
    at: u64,
    trip: Trip,
    stop: AtomicBool,
}

impl Tripping {
    fn new(at: u64, trip: Trip) -> Arc<Self> {
        let (told, calls, stop) = (Recording::default(), 0.into(), false.into());
        Arc::new(Self { told, calls, at, trip, stop })
    }

    fn call(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) != self.at || self.trip == Trip::Nothing {
            return;
        }
        std::thread::sleep(STANDS_STILL);
        assert!(self.trip != Trip::Panic, "tripped");
        self.stop.store(true, Ordering::SeqCst);
    }
}

impl Monitor for Tripping {
    fn phase(&self, _: Phase, _: u64) {
        self.call();
    }

    fn advance(&self, _: u64) {
        self.call();
    }

    fn retotal(&self, _: u64) {
        self.call();
    }

    fn drive(&self, _: usize, _: &str, _: u64) {}

    fn drive_advance(&self, _: usize, _: u64) {
        self.call();
    }

    fn problem(&self, problem: Problem) {
        self.told.problem(problem);
    }

    fn note(&self, text: &str) {
        self.told.note(text);
    }

    fn should_stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Makes a job with every way of tripping at calls spread over it; it says whether it was stopped.
/// `late` is a share of its calls after which stopping it changes nothing any more.
fn trip(what: &str, late: f64, job: impl Fn(&dyn Monitor) -> bool + Send + Sync + 'static) {
    let job = Arc::new(job);
    let run = |at: u64, trip: Trip| {
        let (job, monitor) = (job.clone(), Tripping::new(at, trip));
        let of_job = monitor.clone();
        let run = move || catch_unwind(AssertUnwindSafe(|| job(of_job.as_ref())));
        let ended = ends(&format!("{what} with {trip:?} at call {at}"), run);
        (ended, monitor)
    };
    let (ended, monitor) = run(0, Trip::Nothing);
    assert!(matches!(ended, Ok(false)), "{what}: {:?}", monitor.told.problems());
    let calls = monitor.calls.load(Ordering::SeqCst);
    for step in 0..4 {
        let at = step * calls / 4;
        let (ended, _) = run(at, Trip::Stop);
        let stopped = ended.unwrap_or_else(|_| panic!("{what} panics when stopped at {at}"));
        let in_time = (at as f64) < late * calls as f64;
        assert!(stopped || !in_time, "{what} goes on when stopped at call {at} of {calls}");
        let (ended, _) = run(at, Trip::Panic);
        assert!(ended.is_err(), "{what}: a panic at call {at} of {calls} is lost");
    }
}

/// A dataset of noise.
fn source(megabytes: usize) -> TempDir {
    let source = tempfile::tempdir().unwrap();
    let mut random = Random::new("ways out");
    for i in 0..megabytes {
        tree::write(&source.path().join(format!("file {i:03}")), &random.bytes(1_000_000));
    }
    source
}

/// Drives on which such a dataset is packed: 24 MB are much more than may be read ahead of them.
fn packed(cases: &[usize], survive: &str, megabytes: usize) -> Arc<Lab> {
    let mut lab = Lab::new(cases, 64 << 20, 9);
    lab.pack(source(megabytes).path(), survive);
    Arc::new(lab)
}

fn restore(lab: &Lab, to: &Path, monitor: &dyn Monitor) -> Result<Restored, RestoreError> {
    let sets = open::find(&lab.drives_but(&[]), monitor);
    let keys = verb::keys(&sets[0], &lab.identities(), monitor).unwrap();
    let book = verb::book(&sets[0], &keys, monitor);
    let (destination, _) = Destination::open(to, &sets[0].shipment.to_string())?;
    let opened = OpenSet { set: &sets[0], book: &book, keys: &keys };
    restorer::restore(&opened, &destination, RestoreOptions::default(), monitor)
}

/// Report R1, the very case.
#[test]
fn a_destination_that_gets_full_ends_the_restore() {
    let root = tempfile::tempdir().unwrap();
    let full = root.path().join("full");
    let Some(_full) = Memory::new(&full, 3) else { return };
    let lab = packed(&[1], "none", 24);
    let to = full.join("to");
    let result = ends("the restore", move || restore(&lab, &to, &Recording::default()));
    assert!(
        matches!(&result, Err(RestoreError::Destination(error)) if error.is_full()),
        "{result:?}"
    );
}

#[test]
fn a_restore_ends_at_once_wherever_it_is_stopped_or_panics() {
    let lab = packed(&[1, 1], "cases=1", 24);
    trip("restore", 1.0, move |monitor| {
        let to = tempfile::tempdir().unwrap();
        restore(&lab, to.path(), monitor).unwrap().stopped
    });
}

#[test]
fn so_does_a_pack() {
    let source = Arc::new(source(6));
    trip("pack", 0.5, move |monitor| {
        let mut lab = Lab::new(&[1, 1, 1], 64 << 20, 9);
        lab.pack_after(source.path(), "cases=1", |_| (), monitor).unwrap().stopped
    });
}

/// Report A6: of what was not read there is no saying that it can be restored.
#[test]
fn so_does_a_verify_with_a_key_and_without() {
    let lab = packed(&[1, 1], "cases=1", 4);
    let sets = |lab: &Lab, monitor: &dyn Monitor| open::find(&lab.drives_but(&[]), monitor);
    let keyless = lab.clone();
    trip("verify", 1.0, move |monitor| {
        let set = verify_sets(&sets(&keyless, monitor), monitor).remove(0);
        assert_eq!(set.is_restorable(), !set.is_stopped());
        set.is_stopped()
    });
    trip("verify -i", 1.0, move |monitor| {
        let (found, keys) = (sets(&lab, monitor), lab.identities());
        let set = decode::decode_sets(&found, &keys, Bytes::default(), monitor).unwrap().remove(0);
        let decoded = set.decoded.as_ref();
        let stopped = set.is_stopped() || decoded.is_some_and(|d| d.restored.stopped);
        assert_eq!(set.is_restorable(), !stopped);
        stopped
    });
}

#[test]
fn so_does_a_repair() {
    let source = Arc::new(source(3));
    trip("repair", 0.9, move |monitor| {
        let mut lab = Lab::new(&[1, 1, 1], 64 << 20, 9);
        lab.pack(source.path(), "cases=1");
        let drive = &lab.drives[1];
        let shards = drive.paths().into_iter().filter(|path| path.contains("/shards/"));
        shards.for_each(|shard| assert!(drive.remove(&shard)));
        let sets = open::find(&lab.drives_but(&[]), monitor);
        let (set, book) = (&sets[0], Book::open(&sets[0], None, monitor));
        let (text, new) = (set.set_text(monitor), Vec::new());
        let memory = Bytes::default();
        let job = RepairJob { set, book: &book, text: text.as_ref(), new, memory };
        repairer::repair(&job, monitor).unwrap().stopped
    });
}

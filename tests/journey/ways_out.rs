//! Every early way out of a pipeline, with its queues full: a job that is stopped, a step that panics; a
//! destination, source, drive or state that fails or is gone. Each ends; a watchdog sees to it
//! (Review R1).

use crate::common::lab::Lab;
use crate::common::mounted::{FileSystem, Memory, Mounted, shut_down};
use crate::common::random::Random;
use crate::common::tree::{self, CHUNK};
use holdall::testing::commands::decode;
use holdall::testing::destination::Destination;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::measure::devices;
use holdall::testing::memory::Memory as Bytes;
use holdall::testing::monitor::{Event, Monitor, Phase, Problem, Recording};
use holdall::testing::opening::unlock as command;
use holdall::testing::packer::PackError;
use holdall::testing::repairer::{self, DriveRepair, RepairJob};
use holdall::testing::restorer::{self, OpenSet, RestoreError, RestoreOptions, Restored};
use holdall::testing::sets::{FoundSet, RecordIndex, open};
use holdall::testing::verification::{SetOutcome, verify_sets};
use std::fmt;
use std::fs;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
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
#[derive(Clone)]
enum Trip {
    Nothing,
    Stop,
    Panic,
    Harm(Arc<dyn Fn() + Send + Sync>),
}

impl fmt::Debug for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Stop => "a stop",
            Self::Panic => "a panic",
            Self::Harm(_) => "harm",
        })
    }
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
        if self.calls.fetch_add(1, Ordering::SeqCst) != self.at {
            return;
        }
        if let Trip::Harm(harm) = &self.trip {
            harm();
        }
        if !matches!(self.trip, Trip::Nothing) {
            std::thread::sleep(STANDS_STILL);
        }
        match &self.trip {
            Trip::Nothing | Trip::Harm(_) => {}
            Trip::Stop => self.stop.store(true, Ordering::SeqCst),
            Trip::Panic => panic!("tripped"),
        }
    }
}

impl Monitor for Tripping {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Problem(_) | Event::Note(_) => self.told.event(event),
            Event::Drive { .. } => {}
            _ => self.call(),
        }
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
        let (job, monitor) = (job.clone(), Tripping::new(at, trip.clone()));
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

/// Makes a job in scenes of its own, to each of which harm is done at another of its calls; gives how it
/// ended, and what was told.
fn harmed<S: Send + Sync + 'static, T: Send + 'static>(
    what: &str,
    scene: impl Fn() -> Option<S>,
    harm: fn(&S),
    job: fn(&S, &dyn Monitor) -> T,
) -> Vec<(T, Vec<Problem>)> {
    let run = |at: u64, is_harmed: bool| {
        let scene = Arc::new(scene()?);
        let of_harm = scene.clone();
        let harm = Trip::Harm(Arc::new(move || harm(&of_harm)));
        let monitor = Tripping::new(at, if is_harmed { harm } else { Trip::Nothing });
        let of_job = monitor.clone();
        let ended =
            ends(&format!("{what} harmed at call {at}"), move || job(&scene, of_job.as_ref()));
        Some((ended, monitor))
    };
    let Some((_, monitor)) = run(0, false) else { return Vec::new() };
    let calls = monitor.calls.load(Ordering::SeqCst);
    let at = |step: u64| step * calls / 4;
    (1..4).filter_map(|step| run(at(step), true)).map(|(e, m)| (e, m.told.problems())).collect()
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
    let mut sets = open::find(&lab.drives_but(&[]), monitor);
    let keys = command::unlock(&mut sets, &lab.identities(), &[], monitor).unwrap().remove(0);
    let record_index = command::record_index(&sets[0], &keys, monitor);
    let (destination, _) = Destination::open(to, &sets[0].shipment.to_string())?;
    let opened = OpenSet { set: &sets[0], record_index: &record_index, keys: &keys };
    restorer::restore(&opened, &destination, RestoreOptions::default(), monitor)
}

/// Review R1: the very case.
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

/// Review R1: with its queues full.
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

/// Review A6: of what was not read there is no saying that it can be restored.
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
        let set =
            decode::decode_sets(found, &keys, &[], Bytes::default(), monitor).unwrap().remove(0);
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
        let (set, record_index) = (&sets[0], RecordIndex::open(&sets[0], None, monitor));
        let (text, new) = (set.set_text(monitor), Vec::new());
        let memory = Bytes::default();
        let job = RepairJob { set, record_index: &record_index, text: text.as_ref(), new, memory };
        repairer::repair(&job, monitor).unwrap().stopped
    });
}

/// Review R1: a file system that fails, or a folder that is gone, ends the restore with one error
/// of its own, and is not held against the files.
#[test]
fn a_destination_that_fails_or_is_gone_ends_the_restore() {
    struct Scene {
        lab: Arc<Lab>,
        to: PathBuf,
        _mounted: Option<Mounted>,
        _root: TempDir,
    }
    let mut lab = Lab::new(&[1], 64 << 20, 9);
    let source = source(16);
    for i in 0..100 {
        tree::write(&source.path().join(format!("small/{i:03}/file")), &[7; 100]);
    }
    lab.pack(source.path(), "none");
    let lab = Arc::new(lab);
    let job = |scene: &Scene, monitor: &dyn Monitor| restore(&scene.lab, &scene.to, monitor);
    let scene = |mounted: bool| {
        let root = tempfile::tempdir().unwrap();
        let point = root.path().join("point");
        fs::create_dir(&point).unwrap();
        let file_system =
            if mounted { Some(Mounted::over(&point, FileSystem::Ext4, 64)?) } else { None };
        Some(Scene { lab: lab.clone(), to: point.join("to"), _mounted: file_system, _root: root })
    };
    let fails = |scene: &Scene| shut_down(scene.to.parent().unwrap());
    let goes = |scene: &Scene| {
        while scene.to.exists() {
            let _ = fs::remove_dir_all(&scene.to);
        }
    };
    let failed = harmed("restore to a drive that fails", || scene(true), fails, job);
    for (result, problems) in
        failed.into_iter().chain(harmed("restore to no folder", || scene(false), goes, job))
    {
        assert!(matches!(result, Err(RestoreError::Destination(_))), "{result:?}");
        assert_eq!(problems, []);
    }
}

/// Of a pack: the source goes, the state can no longer be written, all drives go at once.
#[test]
fn what_a_pack_needs_is_gone() {
    struct Scene {
        source: TempDir,
        lab: Mutex<Lab>,
        drives: Vec<FaultyDrive>,
        state_fails: Arc<AtomicBool>,
    }
    let scene = || {
        let lab = Lab::new(&[1, 1, 1], 64 << 20, 9);
        let (drives, state_fails) = (lab.drives.clone(), lab.state_fails.clone());
        Some(Scene { source: source(6), lab: lab.into(), drives, state_fails })
    };
    let job = |scene: &Scene, monitor: &dyn Monitor| {
        let mut lab = scene.lab.lock().unwrap();
        lab.pack_after(scene.source.path(), "cases=1", |_| (), monitor)
    };
    let source = |scene: &Scene| fs::remove_dir_all(scene.source.path()).unwrap();
    let gone = harmed("pack without a source", scene, source, job);
    let is_gone = |e: &PackError| matches!(e, PackError::SourceGone(_));
    assert!(gone[0].0.as_ref().is_err_and(is_gone), "{:?}", gone[0]);
    let state = |scene: &Scene| scene.state_fails.store(true, Ordering::SeqCst);
    for (result, _) in harmed("pack without its state", scene, state, job) {
        assert!(matches!(result, Err(PackError::LocalState(_))), "{result:?}");
    }
    let drives = |scene: &Scene| scene.drives.iter().for_each(FaultyDrive::vanish);
    for (result, problems) in harmed("pack without drives", scene, drives, job) {
        assert!(
            matches!(result, Err(PackError::TooManyFailed { .. } | PackError::NoDriveLeft(_))),
            "{result:?}"
        );
        assert!(problems.len() <= 3, "once a drive: {problems:?}");
    }
}

/// A drive goes while it is verified, decoded, repaired or measured.
#[test]
fn a_drive_that_is_gone_ends_what_reads_or_writes_it() {
    struct Scene(TempDir, #[allow(dead_code, reason = "unmounted in the end")] Mounted);
    fn scene(is_damaged: bool) -> Lab {
        let mut lab = Lab::new(&[1, 1, 1], 64 << 20, 9);
        lab.pack(source(3).path(), "cases=1");
        let drive = &lab.drives[1];
        let shards = drive.paths().into_iter().filter(|path| path.contains("/shards/"));
        shards.step_by(2).filter(|_| is_damaged).for_each(|shard| assert!(drive.remove(&shard)));
        lab
    }
    fn sets(lab: &Lab, monitor: &dyn Monitor) -> Vec<FoundSet> {
        open::find(&lab.drives_but(&[]), monitor)
    }
    let goes = |lab: &Lab| lab.drives[1].vanish();
    let verify = |lab: &Lab, monitor: &dyn Monitor| {
        verify_sets(&sets(lab, monitor), monitor).iter().all(SetOutcome::is_whole)
    };
    let decode = |lab: &Lab, monitor: &dyn Monitor| {
        let (found, keys) = (sets(lab, monitor), lab.identities());
        let set =
            decode::decode_sets(found, &keys, &[], Bytes::default(), monitor).unwrap().remove(0);
        set.is_whole()
    };
    let repair = |lab: &Lab, monitor: &dyn Monitor| {
        let found = sets(lab, monitor);
        let (set, record_index) = (&found[0], RecordIndex::open(&found[0], None, monitor));
        let (text, new) = (set.set_text(monitor), Vec::new());
        let memory = Bytes::default();
        let job = RepairJob { set, record_index: &record_index, text: text.as_ref(), new, memory };
        repairer::repair(&job, monitor)
            .is_ok_and(|repaired| repaired.drives.iter().all(DriveRepair::is_whole))
    };
    for (what, job) in [
        ("verify", verify as fn(&Lab, &dyn Monitor) -> bool),
        ("verify -i", decode),
        ("repair", repair),
    ] {
        let ended = harmed(what, || Some(scene(what == "repair")), goes, job);
        // Later, all of it may have been read.
        assert!(!ended[0].0, "{what} calls a drive whole that is gone");
    }
    let mounted = || {
        let root = tempfile::tempdir().unwrap();
        let point = root.path().join("point");
        fs::create_dir(&point).unwrap();
        let mounted = Mounted::over(&point, FileSystem::Ext4, 96)?;
        Some(Scene(root, mounted))
    };
    let bench = |scene: &Scene, monitor: &dyn Monitor| {
        devices::measure(&[scene.0.path().join("point")], 32 << 20, monitor).is_err()
    };
    let fails = |scene: &Scene| shut_down(&scene.0.path().join("point"));
    assert!(harmed("bench", mounted, fails, bench).into_iter().all(|(failed, _)| failed));
}

/// Stops at a phase, or once so many bytes were done.
struct Stopper {
    phase: Option<Phase>,
    bytes: AtomicU64,
    most: u64,
    stop: AtomicBool,
    each: Box<dyn Fn(u64) + Send + Sync>,
}

impl Monitor for Stopper {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Phase { phase, .. } => {
                self.stop.fetch_or(self.phase == Some(phase), Ordering::SeqCst);
            }
            Event::Advance(amount) => {
                let bytes = self.bytes.fetch_add(amount, Ordering::SeqCst) + amount;
                self.stop.fetch_or(bytes >= self.most, Ordering::SeqCst);
                (self.each)(bytes);
            }
            _ => {}
        }
    }

    fn should_stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

#[test]
fn the_last_walk_over_links_and_folders_can_be_stopped() {
    let source = source(1);
    for i in 0..200 {
        let link = source.path().join(format!("link {i:03}"));
        fs::hard_link(source.path().join("file 000"), link).unwrap();
    }
    let mut lab = Lab::new(&[1], 64 << 20, 9);
    lab.pack(source.path(), "none");
    let to = tempfile::tempdir().unwrap();
    let (phase, most, each) = (Some(Phase::Finish), u64::MAX, Box::new(|_| ()));
    let stopper = Stopper { phase, bytes: 0.into(), most, stop: false.into(), each };
    let restored = restore(&lab, to.path(), &stopper).unwrap();
    assert!(restored.stopped && !restored.is_complete());
    assert!(!to.path().join("link 199").exists());
    let restored =
        lab.restore(&[], to.path(), RestoreOptions { resumed: true, ..Default::default() });
    assert!(restored.restored.is_complete() && to.path().join("link 199").exists());
}

/// Of a batch no file is begun after the stop: the zeros of one that is all holes take seconds.
#[test]
fn a_batch_can_be_stopped_between_its_files() {
    let source = tempfile::tempdir().unwrap();
    let name = |number: usize| format!("file {number}");
    for number in 0..9 {
        tree::write(&source.path().join(name(number)), &Random::new("batch").bytes(3 * CHUNK));
    }
    let mut lab = Lab::new(&[1], 64 << 20, 9);
    lab.pack(source.path(), "none");
    let to = tempfile::tempdir().unwrap();
    let has = |number: &usize| to.path().join(name(*number)).exists();
    let (phase, most, each) = (None, 1, Box::new(|_| ()));
    let stopper = Stopper { phase, bytes: 0.into(), most, stop: false.into(), each };
    assert!(restore(&lab, to.path(), &stopper).unwrap().stopped);
    assert_eq!((0..9).filter(has).count(), 0);
    let options = RestoreOptions { resumed: true, ..Default::default() };
    assert!(lab.restore(&[], to.path(), options).restored.is_complete());
    assert_eq!((0..9).filter(has).count(), 9);
}

/// A file that changed is packed again: that is as long as the file is.
#[test]
fn the_second_try_of_a_file_that_changed_can_be_stopped() {
    let (source, mut lab) = (source(1), Lab::new(&[1], 64 << 20, 9));
    let file = source.path().join("file 000");
    fs::write(&file, Random::new("again").bytes(16_000_000)).unwrap();
    let (changed, new) = (AtomicBool::new(false), Random::new("changed").bytes(16_000_000));
    let each = Box::new(move |bytes| {
        if bytes > 4_000_000 && !changed.swap(true, Ordering::SeqCst) {
            fs::File::options().write(true).open(&file).unwrap().write_all_at(&new, 0).unwrap();
        }
    });
    // What the first try has read of it anew is there already when the second one comes.
    let (phase, most) = (None, 17_000_000);
    let stopper = Stopper { phase, bytes: 0.into(), most, stop: false.into(), each };
    let packed = lab.pack_after(source.path(), "none", |_| (), &stopper).unwrap();
    assert!(packed.stopped);
    let bytes = stopper.bytes.load(Ordering::SeqCst);
    assert!((17_000_000..19_000_000).contains(&bytes), "{bytes} were written");
}

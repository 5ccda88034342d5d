//! One journey, all of it drawn from a seed: a tree, a rule, cases and drives of one to three
//! rounds, crashes on the way, losses, and the way back.

mod harm;
mod truth;

use super::drive::{Fuse, Fused, POWER_OFF, copy_folder};
use super::oracle::Oracle;
use super::random::Random;
use super::snapshot::{Paths, Snapshot};
use super::tree::CHUNK;
use holdall::testing::commands::pack::{
    self, PackJobError, PackOptions, PackOutcome, ResumeOptions,
};
use holdall::testing::commands::restore::{self, RestoreJob, RestoreOutcome};
use holdall::testing::dataset::Contents;
use holdall::testing::drives::{Drive, WriteMode};
use holdall::testing::entropy::Fixed;
use holdall::testing::faulty::Death;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::format::Suite;
use holdall::testing::format::ids::{ShipmentId, shard_path};
use holdall::testing::keys::recipients::{Identities, Recipients};
use holdall::testing::local_state::state::StateFolder;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::{Event, Monitor, ProblemKind, Recording};
use holdall::testing::packer::{Checkpoint, SetDrive};
use holdall::testing::plan::cipher::CipherChoice;
use holdall::testing::plan::effort::Effort;
use holdall::testing::plan::geometry::Geometry;
use holdall::testing::plan::survive::Survive;
use holdall::testing::sets::{RecordIndex, open};
use holdall::testing::verification as verify;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// Rounds before the drives are large enough for all that is left.
const ROUNDS: usize = 3;
static IDENTITY: LazyLock<age::x25519::Identity> = LazyLock::new(age::x25519::Identity::generate);

/// What is done to a journey beside what its seed says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forced {
    /// the packer loses power at this call on the drives
    pub pack_crash: Option<u64>,
    /// or when it commits a file of this name
    pub pack_crash_on: Option<&'static str>,
    /// the restore loses power, or is told to stop, at this call
    pub restore_crash: Option<u64>,
    /// nothing else happens, and nothing is lost
    pub calm: bool,
}

/// What a journey took, for choosing crash points.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    /// calls on the drives of the first pack
    pub pack: u64,
    /// of the first restore
    pub restore: u64,
}

/// The drives of one set.
struct Round {
    drives: Vec<FaultyDrive>,
    cases: Vec<usize>,
    survive: Survive,
    /// drives that are lost already, since packing has gone on without them
    gone: Vec<usize>,
}

impl Round {
    fn draw(random: &mut Random, number: usize, block_bytes: usize) -> Self {
        let mut cases = Vec::new();
        for case in 0..=random.below(3) {
            cases.extend(std::iter::repeat_n(case, 1 + random.below(2)));
        }
        // Catalog parts are whole blocks: large ones need larger drives.
        let times = if block_bytes > 4096 { 3 } else { 1 };
        let sizes = [3 << 20, 7 << 19, 4 << 20].map(|size: u64| size * times);
        let large = number + 1 >= ROUNDS || random.below(3) == 0;
        let metadata_files: u64 = metadata_files().iter().map(|(_, text)| text.len() as u64).sum();
        let size = |random: &mut Random| {
            metadata_files + if large { 16 << 20 } else { *random.pick(&sizes) }
        };
        let name = |slot: usize| format!("drive {number}.{slot}");
        let drives: Vec<FaultyDrive> =
            (1..=cases.len()).map(|slot| FaultyDrive::new(name(slot), size(random))).collect();
        drives.iter().for_each(write_metadata_files);
        let rules = [
            "none",
            "blocks=10%",
            "drives=1",
            "drives=1,blocks=20%",
            "cases=1",
            "cases=1,blocks=5%",
            "cases=1,drives=1",
            "drives=2",
        ];
        let mut per_case = vec![0; 3];
        cases.iter().for_each(|case| per_case[*case] += 1);
        per_case.retain(|count| *count > 0);
        let kept: Vec<Survive> = rules
            .iter()
            .map(|rule| rule.parse::<Survive>().unwrap())
            .filter(|rule| rule.can_be_kept(&per_case))
            .collect();
        Self { survive: *random.pick(&kept), drives, cases, gone: Vec::new() }
    }

    /// The drives that are here, on a fuse.
    fn fused(&self, fuse: &Arc<Fuse>) -> (Vec<SetDrive>, Vec<Arc<Fused>>) {
        let here = (0..self.drives.len()).filter(|i| !self.gone.contains(i));
        let fused: Vec<(usize, Arc<Fused>)> =
            here.map(|i| (i, Fused::new(&self.drives[i], fuse))).collect();
        let set_drive = |(i, drive): &(usize, Arc<Fused>)| SetDrive {
            drive: drive.clone(),
            case: format!("case-{}", self.cases[*i]),
        };
        let opened = fused.iter().map(set_drive).collect();
        (opened, fused.into_iter().map(|(_, drive)| drive).collect())
    }

    fn may_be_lost(&self, lost: &[usize]) -> bool {
        let cases: Vec<usize> = (0..3).collect();
        let but = |gone: &[usize]| lost.iter().filter(|i| !gone.contains(&self.cases[**i])).count();
        match self.survive.cases {
            0 => lost.len() <= self.survive.drives as usize,
            _ => cases.iter().any(|case| but(&[*case]) <= self.survive.drives as usize),
        }
    }

    /// As much as may be lost, beside what is lost.
    fn draw_loss(&self, random: &mut Random) -> Vec<usize> {
        let mut lost = self.gone.clone();
        for _ in 0..random.below(6) {
            let more = random.below(self.drives.len());
            let with: Vec<usize> = lost.iter().copied().chain([more]).collect();
            let all = with.iter().collect::<BTreeSet<_>>().len() == self.drives.len();
            if !lost.contains(&more) && !all && self.may_be_lost(&with) {
                lost = with;
            }
        }
        lost
    }

    fn here(&self, lost: &[usize], fuse: &Arc<Fuse>) -> Vec<Arc<dyn Drive>> {
        let here = self.drives.iter().enumerate().filter(|(i, _)| !lost.contains(i));
        here.map(|(_, d)| Fused::new(d, fuse) as Arc<dyn Drive>).collect()
    }
}

/// Stops after it was asked so often.
struct Stopping {
    told: Recording,
    asked: AtomicU64,
    at: u64,
}

impl Stopping {
    fn at(at: u64) -> Self {
        Self { told: Recording::default(), asked: AtomicU64::new(0), at }
    }
}

impl Monitor for Stopping {
    fn event(&self, event: Event<'_>) {
        self.told.event(event);
    }

    fn should_stop(&self) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst) >= self.at
    }
}

/// A journey on its way.
pub struct Journey {
    random: Random,
    forced: Forced,
    calls: Calls,
    dir: tempfile::TempDir,
    source: Snapshot,
    entropy: Fixed,
    shipment: Option<ShipmentId>,
    geometry: Geometry,
    suite: Suite,
    rounds: Vec<Round>,
    story: Vec<String>,
}

impl Journey {
    /// Makes the whole journey of a seed; panics if anything is not as it must be.
    pub fn make(seed: u64, forced: Forced) -> Result<Calls, String> {
        let mut random = Random::new(&format!("journey {seed}"));
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new().prefix("holdall-sim-").tempdir_in(place).unwrap();
        let source = dir.path().join("source");
        draw_tree(&source, &mut random);
        let blocks = *random.pick(&[(4 << 10, 16), (64 << 10, 4)]);
        let geometry = Geometry::new(CHUNK as u32, blocks.0, blocks.1).unwrap();
        let mut journey = Self {
            source: Snapshot::of(&source),
            entropy: Fixed::new(seed),
            shipment: None,
            geometry,
            suite: Suite::ALL[seed as usize % Suite::ALL.len()],
            rounds: Vec::new(),
            story: Vec::new(),
            calls: Calls::default(),
            random,
            forced,
            dir,
        };
        let done = catch_unwind(AssertUnwindSafe(|| {
            journey.pack_all();
            journey.verify_all();
            journey.way_back();
        }));
        let calls = journey.calls;
        done.map(|()| calls).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            format!("{}\n{}", journey.story.join("\n"), text.unwrap_or_default())
        })
    }

    fn tell(&mut self, text: String) {
        self.story.push(text);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pack_all(&mut self) {
        loop {
            let round =
                Round::draw(&mut self.random, self.rounds.len(), self.geometry.blocks.bytes());
            self.tell(format!(
                "round {}: cases {:?}, {}",
                self.rounds.len() + 1,
                round.cases,
                round.survive
            ));
            self.rounds.push(round);
            assert!(self.rounds.len() <= ROUNDS, "too many rounds");
            if !self.pack_round() {
                return;
            }
        }
    }

    /// Packs one set, over crashes; true if there is more.
    fn pack_round(&mut self) -> bool {
        let mut crashes = if self.forced.calm {
            let forced = self.forced.pack_crash.is_some() || self.forced.pack_crash_on.is_some();
            usize::from(forced && self.rounds.len() == 1)
        } else {
            self.random.below(3)
        };
        loop {
            let (host, saved) = (self.path("local_state"), self.path("saved host"));
            let at = match self.forced.pack_crash {
                Some(at) if self.forced.calm => at,
                _ if self.random.below(3) == 0 => self.random.below(40) as u64,
                _ => self.random.below(700) as u64,
            };
            let fuse = if let Some(name) = self.forced.pack_crash_on.filter(|_| crashes > 0) {
                Fuse::on(name, (&host, &saved))
            } else if crashes > 0 {
                Fuse::at(at, (&host, &saved))
            } else {
                Fuse::never()
            };
            let stop = crashes > 0 && !self.forced.calm && self.random.below(4) == 0;
            let dying = if crashes == 0 { self.draw_death() } else { None };
            let (opened, fused) = self.rounds.last().unwrap().fused(&fuse);
            let monitor = Stopping::at(if stop { at / 4 } else { u64::MAX });
            let outcome = self.pack_once(opened, &monitor);
            self.calls.pack = self.calls.pack.max(fuse.calls());
            crashes = crashes.saturating_sub(1);
            if fuse.is_blown() {
                copy_folder(&saved, &host);
                for drive in &fused {
                    drive.lose_power(&mut self.random);
                }
                self.tell(format!("  power failed at call {at}"));
                self.after_crash();
                continue;
            }
            match outcome {
                Ok(None) => return false,
                Ok(Some(outcome)) if outcome.packed.stopped => {
                    self.tell(format!("  stopped after {} questions", at / 4));
                }
                Ok(Some(outcome)) => {
                    self.settle_death(dying, &outcome, &monitor.told);
                    // The read-back may have been stopped, or a drive may be gone.
                    let round = self.rounds.last().unwrap();
                    assert!(outcome.is_proven() || stop || !round.gone.is_empty(), "proven");
                    self.tell(format!("  packed: {} stripes", outcome.packed.stripes));
                    return outcome.left_entries > 0;
                }
                // A drive that was lost was needed, since nothing counted yet.
                Err(PackJobError::Plan { .. } | PackJobError::Resume { .. })
                    if !self.rounds.last().unwrap().gone.is_empty() =>
                {
                    let round = self.rounds.last_mut().unwrap();
                    round.gone.clear();
                    // It was not begun, so that nobody died of it.
                    if let Some(die) = dying {
                        round.drives[die].die_after(u64::MAX, Death::RefusesWrites);
                    }
                }
                // One that died before anything counted was needed.
                Err(PackJobError::Plan { .. })
                    if monitor.told.problems().iter().any(|p| p.kind == ProblemKind::Drive)
                        && dying.is_some() =>
                {
                    let die = dying.unwrap();
                    let round = self.rounds.last_mut().unwrap();
                    round.drives[die].die_after(u64::MAX, Death::RefusesWrites);
                }
                Err(PackJobError::Stopped) if stop => self.tell("  stopped in the scan".into()),
                Err(e) => panic!("pack: {}", open::error_chain(&e)),
            }
        }
    }

    fn pack_once(
        &mut self,
        opened: Vec<SetDrive>,
        monitor: &dyn Monitor,
    ) -> Result<Option<PackOutcome>, PackJobError> {
        let host = self.path("local_state");
        let in_progress =
            self.shipment.filter(|id| host.join(id.to_string()).join("state.json").is_file());
        let survive = Some(self.rounds.last().unwrap().survive);
        let prepared = if let Some(shipment) = in_progress {
            let folder = StateFolder::within(&host, shipment)?;
            let memory = Memory::default();
            let options =
                ResumeOptions { survive, memory, folder_drives: true, ..ResumeOptions::default() };
            match pack::resume_on(opened, folder, options, &self.entropy, monitor)? {
                Some(prepared) => prepared,
                None => return Ok(None),
            }
        } else {
            assert!(self.rounds.len() == 1, "the state is lost");
            let id = holdall::testing::entropy::random_id(&self.entropy)?;
            let folder = StateFolder::within(&host, ShipmentId(id))?;
            let options = PackOptions {
                source: self.path("source"),
                recipients: Recipients::read(&[IDENTITY.to_public().to_string()], &[])?,
                survive,
                cipher: CipherChoice::Given(self.suite),
                level: Effort::Level(1),
                contents: Contents::default(),
                name: String::new(),
                contact: String::new(),
                checkpoint: Checkpoint {
                    bytes: 4 * self.geometry.blocks.file_bytes() as u64,
                    seconds: 0,
                },
                read_back: true,
                folder_drives: true,
                geometry: Some(self.geometry),
                memory: Memory::default(),
            };
            pack::prepare_on(opened, folder, options, &self.entropy, monitor)?
        };
        self.shipment = Some(prepared.shipment());
        prepared.run(monitor).map(Some)
    }

    fn identities() -> Identities {
        Identities::of(IDENTITY.clone())
    }

    /// Every set is whole, but for drives that packing has gone on without; nothing lies on a drive
    /// that no record names; no stripe is there twice.
    fn verify_all(&self) {
        let state = self.path("local_state").join(self.shipment.unwrap().to_string());
        assert!(!state.exists(), "the state is removed");
        for round in &self.rounds {
            let monitor = Recording::default();
            // A shipment that lost its power before its label is another matter.
            let found = Recording::default();
            let sets = open::find(&round.here(&round.gone, &Fuse::never()), &found);
            let sets: Vec<_> =
                sets.into_iter().filter(|s| Some(s.shipment) == self.shipment).collect();
            assert_eq!(sets.len(), 1, "one set in a round");
            let outcome = &verify::verify_sets(&sets, &monitor)[0];
            assert_eq!(monitor.problems(), [], "verify");
            let whole = outcome.is_whole() || !round.gone.is_empty();
            assert!(whole && outcome.is_restorable(), "verify: {:?}", outcome.verdict);
            let record_index = RecordIndex::open(&sets[0], None, &monitor);
            assert!(!record_index.gaps);
            let ids: BTreeSet<_> = record_index.stripes().iter().collect();
            assert_eq!(ids.len(), record_index.stripes().len(), "a stripe's number is used twice");
            let mut named: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
            record_index.walk(&monitor, |record| {
                for (index, shard) in record.shards.iter().enumerate() {
                    let path = shard_path(record.id, index as u8);
                    named.entry(shard.slot.0).or_default().insert(path);
                }
                true
            });
            for found in &sets[0].drives {
                let (slot, folder) = (found.label.slot.0, format!("{}/", sets[0].folder));
                let drive = &round.drives[slot as usize - 1];
                let paths = drive.paths();
                let own = paths.iter().filter_map(|path| path.strip_prefix(&folder));
                for path in own {
                    let shard = path.starts_with("shards/");
                    let known = named.get(&slot).is_some_and(|paths| paths.contains(path));
                    assert!(!shard || known, "litter on slot {slot}: {path}");
                    assert!(!has_ending(path, "tmp"), "litter on slot {slot}: {path}");
                }
            }
        }
    }

    fn way_back(&mut self) {
        if !self.forced.calm && self.random.below(4) == 0 {
            return self.beyond_the_rule();
        }
        if !self.forced.calm && self.random.below(3) == 0 {
            return self.told_truly();
        }
        let mut losses = Vec::new();
        let spots = !self.forced.calm && self.random.below(3) == 0;
        for number in 0..self.rounds.len() {
            if spots {
                self.hurt_each(number);
                losses.push(self.rounds[number].gone.clone());
                continue;
            }
            let lost = if self.forced.calm {
                Vec::new()
            } else {
                self.rounds[number].draw_loss(&mut self.random)
            };
            self.tell(format!("of set {} are lost: {lost:?}", number + 1));
            losses.push(self.hurt(number, &lost));
        }
        let mut order: Vec<usize> = (0..self.rounds.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, self.random.below(i + 1));
        }
        self.tell(format!("restored in the order {order:?}"));
        let to = self.path("restored");
        while !order.is_empty() {
            let now: Vec<usize> = order.drain(..=self.random.below(order.len())).collect();
            self.restore_over_crashes(&now, &losses, &to, order.is_empty());
        }
        self.source.assert_equal(&Snapshot::of(&to));
        assert!(!to.join(".holdall").exists(), "the restore is complete");
    }

    fn restore_over_crashes(
        &mut self,
        sets: &[usize],
        losses: &[Vec<usize>],
        to: &Path,
        last: bool,
    ) {
        let mut crashes = if self.forced.calm {
            usize::from(self.forced.restore_crash.is_some())
        } else {
            self.random.below(3)
        };
        loop {
            let at = match self.forced.restore_crash {
                Some(at) if self.forced.calm => at,
                _ => self.random.below(300) as u64,
            };
            let stops = self.random.below(2) == 0;
            let crash = crashes > 0;
            let fuse = if crash && !stops { Fuse::panicking_at(at) } else { Fuse::never() };
            let monitor = Stopping::at(if crash && stops { at / 6 } else { u64::MAX });
            crashes = crashes.saturating_sub(1);
            let before = finished(to);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                self.restore_once(sets, losses, to, &fuse, &monitor, false)
            }));
            self.calls.restore = self.calls.restore.max(fuse.calls());
            let after = finished(to);
            // What came after the last checkpoint may be made anew, but stays.
            let lost: Vec<_> = before.difference(&after).collect();
            assert!(lost.is_empty(), "{lost:?} were there");
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(panic) if panic.downcast_ref::<&str>() == Some(&POWER_OFF) => {
                    self.tell(format!("  restore of {sets:?}: power failed at call {at}"));
                    continue;
                }
                Err(panic) => std::panic::resume_unwind(panic),
            };
            match outcome {
                Err(e) if stops && crash => {
                    self.tell(format!("  restore of {sets:?} stopped: {}", open::error_chain(&e)));
                }
                Err(e) => panic!("restore of {sets:?}: {}", open::error_chain(&e)),
                Ok(outcome) if outcome.restored.stopped => {
                    self.tell(format!("  restore of {sets:?} stopped after {} questions", at / 6));
                }
                Ok(outcome) => {
                    let r = &outcome.restored;
                    let told = monitor.told.problems();
                    assert_eq!(r.lost, 0, "lost: {told:?}");
                    assert_eq!(last, outcome.awaited.is_empty(), "awaited: {:?}", outcome.awaited);
                    assert!(!last || r.waiting == 0, "waiting in the end: {told:?}");
                    return;
                }
            }
        }
    }

    fn restore_once(
        &self,
        sets: &[usize],
        losses: &[Vec<usize>],
        to: &Path,
        fuse: &Arc<Fuse>,
        monitor: &dyn Monitor,
        give_up: bool,
    ) -> Result<RestoreOutcome, restore::RestoreJobError> {
        let drives: Vec<_> =
            sets.iter().flat_map(|set| self.rounds[*set].here(&losses[*set], fuse)).collect();
        let mut found = open::find(&drives, monitor);
        found.retain(|set| Some(set.shipment) == self.shipment);
        assert_eq!(found.len(), sets.len(), "every set is found");
        let identities = Self::identities();
        let job = RestoreJob {
            no_special: false,
            owners: None,
            map_names: false,
            expect: Vec::new(),
            identities,
            to: to.into(),
            give_up,
            salvage: false,
            stage: None,
            memory: Memory::default(),
            selection: None,
        };
        restore::restore_sets(&found, &job, monitor)
    }
}

/// What explains a drive: it takes much room on drives as small as these.
fn metadata_files() -> [(&'static str, &'static str); 2] {
    let format = include_str!("../../src/format/format.md");
    [("format.md", format), ("reader.py", include_str!("../reference_reader.py"))]
}

/// The metadata files of an earlier shipment.
fn write_metadata_files(drive: &FaultyDrive) {
    drive.make_folder("holdall").unwrap();
    for (name, text) in metadata_files() {
        drive.write(&format!("holdall/{name}"), text.as_bytes(), WriteMode::New).unwrap();
    }
    drive.write("holdall/README.txt", b"This drive was packed by holdall", WriteMode::New).unwrap();
}

fn has_ending(path: &str, ending: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, found)| found == ending)
}

/// Every file that has its final name.
fn finished(root: &Path) -> BTreeSet<PathBuf> {
    if !root.exists() {
        return BTreeSet::new();
    }
    let all = super::tree::walk(root).into_iter();
    let own = all.filter(|path| !path.starts_with(root.join(".holdall")) && path.is_file());
    own.collect()
}

/// A small tree: files of every size about a chunk and a shard, some twice, links, folders.
fn draw_tree(root: &Path, random: &mut Random) {
    fs::create_dir_all(root).unwrap();
    let mut folders = vec![root.to_path_buf()];
    for number in 0..random.below(5) {
        let above = random.pick(&folders).clone();
        let folder = above.join(format!("folder {number}"));
        fs::create_dir_all(&folder).unwrap();
        folders.push(folder);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    let large = random.below(4);
    for number in 0..2 + random.below(24) {
        let len = match random.below(8) {
            0 => 0,
            1 => CHUNK - 1 + random.below(3),
            2..=5 => random.below(CHUNK),
            6 => random.below(12 * CHUNK),
            _ if large > 0 => random.below(large * 40 * CHUNK),
            _ => 100,
        };
        let path = random.pick(&folders).join(format!("file {number}"));
        match random.below(10) {
            0 if !files.is_empty() => fs::hard_link(random.pick(&files), &path).unwrap(),
            1 if !files.is_empty() => drop(fs::copy(random.pick(&files), &path).unwrap()),
            2 => symlink(format!("to {number}"), &path).unwrap(),
            3 => fs::write(&path, random.text(len)).unwrap(),
            _ => fs::write(&path, random.bytes(len)).unwrap(),
        }
        if path.is_file() {
            files.push(path);
        }
    }
}

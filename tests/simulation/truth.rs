//! What a restore says, held against the truth, over runs with some drives of some sets: every list,
//! every number, and every next step, which is followed.

use super::{Fuse, IDENTITY, Journey, Oracle, Snapshot};
use holdall::testing::commands::restore::{self, RestoreJob, RestoreOutcome};
use holdall::testing::commands::restore_status::{SetProgress, SetState, restore_status};
use holdall::testing::drives::Drive;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::format::ids::{StripeId, shard_path};
use holdall::testing::format::list::shown_path;
use holdall::testing::format::record::StripeRecord;
use holdall::testing::keys::recipients::Identities;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::{ProblemKind, Recording};
use holdall::testing::restore_journal::choice::DriveChoice;
use holdall::testing::restore_journal::next_step::NextStep;
use holdall::testing::sets::open;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

/// Runs before it is given up.
const RUNS: usize = 4;

/// Of each set that is attached, its drives, from 0.
type Attached = BTreeMap<usize, BTreeSet<usize>>;

/// How a run is made.
#[derive(Clone, Copy, Default)]
struct How {
    give_up: bool,
    salvage: bool,
    stage: bool,
}

/// A restore that is held against the truth.
struct Truth {
    oracles: Vec<Oracle>,
    to: PathBuf,
    /// sets that were seen, and whether any run but the last was made on them
    seen: BTreeMap<usize, bool>,
    /// of these, those of which only a run that was killed may have taken notes
    maybe: BTreeSet<usize>,
    /// what was attached of each in the last run on it
    last: Attached,
    /// a shard of each set in which a block is bad: its stripe, index and number
    bad: BTreeMap<usize, (StripeId, usize, usize)>,
    /// a run was killed: what it put in place may not have been written durably, and is taken for
    /// there once a run gave it again
    killed: bool,
}

impl Truth {
    /// The paths that some set has that was seen, and that are not there.
    fn absent(&self) -> BTreeSet<Vec<u8>> {
        self.absent_of(&self.seen)
    }

    /// The same of some sets.
    fn absent_of(&self, sets: &BTreeMap<usize, bool>) -> BTreeSet<Vec<u8>> {
        let of = |set: &usize| {
            let oracle = &self.oracles[*set];
            let files = oracle.files.iter().map(|file| &file.path);
            files.chain(oracle.links.iter().map(|(path, _)| path)).cloned()
        };
        let all = sets.keys().flat_map(of);
        all.filter(|path| {
            let path =
                self.to.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path));
            path.symlink_metadata().is_err()
        })
        .collect()
    }
}

impl Journey {
    /// A restore in some runs, each of which is held against the truth.
    pub(super) fn told_truly(&mut self) {
        let mut oracles = Vec::new();
        for round in &self.rounds {
            let here = round.here(&round.gone, &Fuse::never());
            let is_own = |drive: &Arc<dyn Drive>| {
                let sets = open::find(std::slice::from_ref(drive), &Recording::default());
                sets.iter().all(|set| Some(set.shipment) == self.shipment)
            };
            if !here.iter().all(is_own) {
                return; // another shipment was begun on them before; the oracle reads one
            }
            oracles.push(Oracle::read(&here, &Self::identities()));
        }
        let to = self.path("restored");
        let mut truth = Truth {
            oracles,
            to,
            seen: BTreeMap::new(),
            maybe: BTreeSet::new(),
            last: Attached::new(),
            bad: BTreeMap::new(),
            killed: false,
        };
        if self.random.below(2) == 0 {
            self.spoil(&mut truth);
        }
        for _ in 0..RUNS {
            let attached = self.draw_attached();
            let how = How { salvage: self.random.below(3) == 0, ..How::default() };
            if self.random.below(4) == 0 && self.run_is_killed(&truth, &attached, how) {
                let new = attached.keys().filter(|set| !truth.seen.contains_key(set));
                truth.maybe.extend(new);
                truth.seen.extend(attached.keys().map(|set| (*set, true)));
                truth.killed = true;
                continue;
            }
            let outcome = self.run_and_hold(&mut truth, &attached, how);
            if outcome.is_complete() {
                return self.is_complete(&truth);
            }
            if self.random.below(2) == 0
                && truth.bad.is_empty()
                && self.follow(&mut truth, &attached, &outcome)
            {
                return self.is_complete(&truth);
            }
        }
        let attached = self.draw_attached();
        let how = How { give_up: true, salvage: self.random.below(2) == 0, stage: false };
        let outcome = self.run_and_hold(&mut truth, &attached, how);
        assert!(!truth.to.join(".holdall").exists(), "it is ended");
        assert_eq!(outcome.restored.waiting, 0, "nothing waits any more");
        if outcome.is_complete() {
            return self.is_complete(&truth);
        }
        self.is_listed_again(&truth, &attached);
    }

    /// What was given up is listed again when it is asked for again: of the sets that are attached.
    fn is_listed_again(&mut self, truth: &Truth, attached: &Attached) {
        let seen = attached.keys().map(|set| (*set, true)).collect();
        let absent = truth.absent_of(&seen);
        let files = attached.keys().flat_map(|set| &truth.oracles[*set].files);
        if files.clone().all(|file| absent.contains(&file.path)) {
            return; // such a tree could be anybody's
        }
        let monitor = Recording::default();
        let again = self.run(truth, attached, How::default(), &Fuse::never(), &monitor);
        assert!(again.in_place && again.is_complete() == absent.is_empty(), "given up, and again");
        let lost = monitor.problems().into_iter().filter(|p| p.kind == ProblemKind::Lost);
        let mut told: Vec<String> = lost.map(|problem| problem.subject).collect();
        told.sort();
        let mut expected: Vec<String> = absent.iter().map(|path| shown_path(path)).collect();
        expected.sort();
        assert_eq!(told, expected, "what was given up, asked for again");
    }

    /// One block of each set is bad.
    fn spoil(&mut self, truth: &mut Truth) {
        for (set, oracle) in truth.oracles.iter().enumerate() {
            let records: Vec<&StripeRecord> = oracle.records.values().collect();
            if records.is_empty() {
                continue;
            }
            let record = *self.random.pick(&records);
            let index = self.random.below(record.shards.len());
            let block = self.random.below(record.blocks.count());
            let slot = record.shards[index].slot.0 as usize;
            let drive: &FaultyDrive = &self.rounds[set].drives[slot - 1];
            let path = shard_path(record.id, index as u8);
            let Some(path) = drive.paths().into_iter().find(|p| p.ends_with(&path)) else {
                continue;
            };
            drive.with_file(&path, |bytes| bytes[block * record.blocks.bytes()] ^= 1);
            truth.bad.insert(set, (record.id, index, block));
            self.story.push(format!("  bad in set {}: {path} block {block}", set + 1));
        }
    }

    fn draw_attached(&mut self) -> Attached {
        let mut attached = Attached::new();
        while attached.is_empty() {
            for set in 0..self.rounds.len() {
                if self.random.below(3) == 0 {
                    continue;
                }
                let of = self.rounds[set].drives.len();
                let most = 1 + self.random.below(of);
                let mut drives: BTreeSet<usize> =
                    (0..most).map(|_| self.random.below(of)).collect();
                drives.retain(|drive| !self.rounds[set].gone.contains(drive));
                if !drives.is_empty() {
                    attached.insert(set, drives);
                }
            }
        }
        attached
    }

    fn run(
        &self,
        truth: &Truth,
        attached: &Attached,
        how: How,
        fuse: &Arc<Fuse>,
        monitor: &Recording,
    ) -> RestoreOutcome {
        let here = attached.iter().flat_map(|(set, here)| {
            let but: Vec<usize> =
                (0..self.rounds[*set].drives.len()).filter(|i| !here.contains(i)).collect();
            self.rounds[*set].here(&but, fuse)
        });
        let found = open::find(&here.collect::<Vec<_>>(), monitor);
        let found: Vec<_> =
            found.into_iter().filter(|s| Some(s.shipment) == self.shipment).collect();
        let job = RestoreJob {
            no_special: false,
            owners: None,
            map_names: false,
            expect: Vec::new(),
            identities: Identities::of(IDENTITY.clone()),
            to: truth.to.clone(),
            give_up: how.give_up,
            salvage: how.salvage,
            stage: how.stage.then(|| self.path("stage")),
            memory: Memory::default(),
            selection: None,
        };
        let outcome = restore::restore_sets(&found, &job, monitor);
        outcome.unwrap_or_else(|e| panic!("restore: {}", open::error_chain(&e)))
    }

    fn run_is_killed(&mut self, truth: &Truth, attached: &Attached, how: How) -> bool {
        let at = self.random.below(200) as u64;
        let (fuse, monitor) = (Fuse::panicking_at(at), Recording::default());
        let run = AssertUnwindSafe(|| self.run(truth, attached, how, &fuse, &monitor));
        let killed = catch_unwind(run).is_err();
        self.tell(format!("run with {attached:?}: killed at {at}: {killed}"));
        killed
    }

    fn run_and_hold(&mut self, truth: &mut Truth, attached: &Attached, how: How) -> RestoreOutcome {
        self.tell(format!("run with {attached:?}, give up {}, stage {}", how.give_up, how.stage));
        let monitor = Recording::default();
        let outcome = self.run(truth, attached, how, &Fuse::never(), &monitor);
        // Of a set that a killed run did not come to, it is said that it was not seen; what is told of
        // it goes on from one that was.
        let told: BTreeSet<String> =
            monitor.problems().into_iter().map(|problem| problem.subject).collect();
        for set in std::mem::take(&mut truth.maybe) {
            let others = truth.seen.iter().filter(|(other, _)| **other != set);
            let others = truth.absent_of(&others.map(|(set, before)| (*set, *before)).collect());
            let absent = truth.absent_of(&BTreeMap::from([(set, true)]));
            let mut own = absent.difference(&others);
            let is_told = own.all(|path| told.contains(&shown_path(path)));
            if outcome.unseen && !is_told && !attached.contains_key(&set) {
                truth.seen.remove(&set);
            }
        }
        for set in attached.keys() {
            let before = truth.seen.contains_key(set);
            truth.seen.insert(*set, before);
        }
        truth.last.extend(attached.clone());
        self.hold(truth, attached, how, &outcome, &monitor);
        outcome
    }

    /// Lists and numbers.
    fn hold(
        &self,
        truth: &Truth,
        attached: &Attached,
        how: How,
        outcome: &RestoreOutcome,
        monitor: &Recording,
    ) {
        let absent = truth.absent();
        let problems = monitor.problems();
        let of = |kind: ProblemKind| {
            let of_kind = problems.iter().filter(move |p| p.kind == kind);
            of_kind.map(|p| p.subject.clone()).collect::<Vec<_>>()
        };
        let (lost, waiting) = (of(ProblemKind::Lost), of(ProblemKind::Waiting));
        let mut told: Vec<String> = lost.iter().chain(&waiting).cloned().collect();
        told.sort();
        let mut expected: Vec<String> = absent.iter().map(|path| shown_path(path)).collect();
        expected.sort();
        if truth.killed {
            // What is told besides is there, and not proven.
            let besides = told.iter().filter(|path| !expected.contains(path));
            assert!(besides.clone().all(|path| waiting.contains(path) || how.give_up), "{told:?}");
            expected.extend(besides.cloned().collect::<Vec<_>>());
            expected.sort();
        }
        assert_eq!(told, expected, "what is not there; awaited {:?}", outcome.awaited);
        let r = &outcome.restored;
        let counts = (lost.len() as u64, waiting.len() as u64, 0);
        assert_eq!((r.lost, r.waiting, r.refused), counts, "the numbers");
        let unseen = truth.seen.len() < self.rounds.len();
        assert_eq!(outcome.unseen, unseen, "sets that were not seen: {:?}", truth.seen);
        assert_eq!(outcome.is_complete(), told.is_empty() && !unseen, "complete");
        if how.give_up {
            assert_eq!(waiting, Vec::<String>::new(), "nothing waits that was given up");
        } else {
            Self::hold_fates(truth, &absent, &lost, outcome);
        }
        if !lost.is_empty() && !how.give_up && truth.last == *attached {
            assert!(problems.iter().any(|p| p.kind == ProblemKind::Damage), "damage is named");
        }
    }

    /// What is lost and what waits, as far as the drives of the last run say.
    fn hold_fates(
        truth: &Truth,
        absent: &BTreeSet<Vec<u8>>,
        lost: &[String],
        outcome: &RestoreOutcome,
    ) {
        if truth.seen.values().any(|before| *before) {
            return;
        }
        let mut gone: BTreeSet<Vec<u8>> = BTreeSet::new();
        for (set, here) in &truth.last {
            let is_bad = |record: &StripeRecord, index: usize, block: usize| {
                let slot = record.shards[index].slot.0 as usize;
                here.contains(&(slot - 1)) && truth.bad.get(set) == Some(&(record.id, index, block))
            };
            let paths = truth.oracles[*set].lost(is_bad).paths;
            gone.extend(paths);
        }
        let links = || truth.oracles.iter().flat_map(|oracle| &oracle.links);
        let more: Vec<_> =
            links().filter(|(_, to)| gone.contains(to)).map(|(p, _)| p.clone()).collect();
        gone.extend(more);
        let expected: BTreeSet<String> =
            gone.intersection(absent).map(|path| shown_path(path)).collect();
        let told: BTreeSet<String> = lost.iter().cloned().collect();
        assert_eq!(told, expected, "what no drive has");
        let waits = outcome.restored.waiting > 0 || outcome.unseen;
        assert_eq!(outcome.awaited.is_empty(), !waits, "awaited: {:?}", outcome.awaited);
    }

    /// The next steps that `status --to` names with nothing attached.
    fn steps_of_status(truth: &Truth) -> Vec<NextStep> {
        let found = restore_status(&truth.to, &[], &Recording::default()).unwrap();
        let sets = found.into_iter().flat_map(|found| found.sets);
        let step = |set: SetProgress| match set.state {
            SetState::Begun(seen) => NextStep::of(set.number, &seen, &BTreeSet::new()),
            _ => None,
        };
        sets.filter_map(step).collect()
    }

    /// Follows the next steps exactly, those of the restore or of `status`: they name only drives that
    /// help, and then nothing of those sets waits. True if all is there then.
    fn follow(&mut self, truth: &mut Truth, attached: &Attached, outcome: &RestoreOutcome) -> bool {
        let none = Attached::new();
        let (all, attached) = match self.random.below(2) {
            0 => (outcome.next.clone(), attached),
            _ => (Self::steps_of_status(truth), &none),
        };
        for NextStep { set: number, next, instead, .. } in &all {
            let set = *number as usize - 1;
            let helpful = truth.oracles[set].slots_of(&truth.absent());
            for next in
                [Some(next), instead.as_ref().map(|instead| &instead.next)].into_iter().flatten()
            {
                let helps = next.of.iter().all(|slot| helpful.contains(slot));
                assert!(helps, "of set {number} help {helpful:?}, and this is told: {next:?}");
            }
            let next = match instead {
                Some(instead) if !instead.part && self.random.below(2) == 0 => &instead.next,
                _ => next,
            };
            let Some(steps) = self.steps(attached, set, next) else { continue };
            let mut last = None;
            for (here, stage) in steps {
                let how = How { stage, ..How::default() };
                last = Some(self.run_and_hold(truth, &Attached::from([(set, here)]), how));
            }
            let Some(last) = last else { continue };
            if last.is_complete() {
                return true;
            }
            let waits = last.next.iter().any(|step| step.set == *number);
            assert!(
                !waits,
                "set {number} waits after the next step: {next:?}, then {:?}",
                last.next
            );
        }
        false
    }

    /// Drives to attach, run by run, and whether shards are kept; none if one of them died.
    fn steps(
        &mut self,
        attached: &Attached,
        set: usize,
        next: &DriveChoice,
    ) -> Option<Vec<(BTreeSet<usize>, bool)>> {
        let mut left: Vec<usize> = next.of.iter().map(|slot| *slot as usize - 1).collect();
        let mut chosen = BTreeSet::new();
        for _ in 0..next.count {
            chosen.insert(left.swap_remove(self.random.below(left.len())));
        }
        if chosen.iter().any(|drive| self.rounds[set].gone.contains(drive)) {
            return None;
        }
        let with = attached.get(&set).cloned().unwrap_or_default();
        self.tell(format!("next of set {}: {next:?}, so {chosen:?} beside {with:?}", set + 1));
        let alone = |drive: &usize, stage: bool| (BTreeSet::from([*drive]), stage);
        if next.one_by_one {
            return Some(chosen.iter().map(|drive| alone(drive, false)).collect());
        }
        if self.random.below(2) == 0 {
            return Some(vec![(with.union(&chosen).copied().collect(), false)]);
        }
        let before = (!with.is_empty()).then_some((with, true));
        Some(before.into_iter().chain(chosen.iter().map(|drive| alone(drive, true))).collect())
    }

    /// All is there; asked for once more, whatever is attached, it is in place (Review scale 9).
    fn is_complete(&mut self, truth: &Truth) {
        self.source.assert_equal(&Snapshot::of(&truth.to));
        assert!(!truth.to.join(".holdall").exists(), "the restore is complete");
        let attached = self.draw_attached();
        let monitor = Recording::default();
        let again = self.run(truth, &attached, How::default(), &Fuse::never(), &monitor);
        assert!(again.in_place && again.is_complete(), "with {attached:?}");
    }
}

//! What happens to drives on a journey: they die, are lost, are damaged all over or in one place.

use super::{Fuse, Journey, Oracle, Paths, Snapshot, has_ending};
use holdall::testing::commands::pack::PackOutcome;
use holdall::testing::drives::Drive;
use holdall::testing::faulty::Death;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::format::ids::{SetNumber, set_folder};
use holdall::testing::format::list::shown_path;
use holdall::testing::monitor::{ProblemKind, Recording};
use holdall::testing::sets::open;
use holdall::testing::verification as verify;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Journey {
    /// A drive may die while it is written to.
    pub(super) fn draw_death(&mut self) -> Option<usize> {
        if self.forced.calm || self.random.below(4) > 0 {
            return None;
        }
        let round = self.rounds.last().unwrap();
        let die = self.random.below(round.drives.len());
        let with: Vec<usize> = round.gone.iter().copied().chain([die]).collect();
        let new = !round.gone.contains(&die) && with.len() < round.drives.len();
        if !new || !round.may_be_lost(&with) {
            return None;
        }
        let most = *self.random.pick(&[20_000, 400_000, 4_000_000]);
        let bytes = self.random.below(most) as u64;
        let death = *self.random.pick(&[Death::Vanishes, Death::RefusesWrites]);
        self.rounds.last().unwrap().drives[die].die_after(bytes, death);
        self.tell(format!("  drive {} dies after {bytes} bytes: {death:?}", die + 1));
        Some(die)
    }

    /// Packing went on without a drive that died, and told it once; nothing else was told, but for one
    /// that died when only its custody note was to be written: it is told, and counts.
    pub(super) fn settle_death(
        &mut self,
        dying: Option<usize>,
        outcome: &PackOutcome,
        told: &Recording,
    ) {
        let mut problems = told.problems();
        let died = dying.filter(|die| outcome.packed.failed.contains(die));
        if died.is_none() && dying.is_some() && problems.len() == 1 {
            problems.retain(|p| p.kind != ProblemKind::Drive || !p.detail.contains("/custody/"));
        }
        assert_eq!(
            problems.len(),
            usize::from(died.is_some()),
            "problems of pack: {problems:?}, failed {:?}",
            outcome.packed.failed
        );
        let Some(die) = dying else { return };
        let round = self.rounds.last_mut().unwrap();
        round.drives[die].die_after(u64::MAX, Death::RefusesWrites);
        if died.is_some() {
            assert_eq!(problems[0].kind, ProblemKind::Drive);
            round.gone.push(die);
            self.tell(format!("  drive {} died", die + 1));
        }
    }

    /// A drive may have died of the crash.
    pub(super) fn after_crash(&mut self) {
        if self.forced.calm || self.random.below(5) > 0 {
            return;
        }
        let round = self.rounds.last().unwrap();
        let die = self.random.below(round.drives.len());
        let with: Vec<usize> = round.gone.iter().copied().chain([die]).collect();
        // Only of a set that is begun: its slots are given out.
        let name = |n: u32| {
            self.shipment.map(|s| {
                holdall::testing::format::ids::set_folder(
                    s,
                    holdall::testing::format::ids::SetNumber(n),
                )
            })
        };
        let records = |d: &FaultyDrive| {
            let name = name(self.rounds.len() as u32).unwrap_or_default();
            d.paths().iter().any(|p| p.contains(&name) && has_ending(p, "rec"))
        };
        let begun = round.drives.iter().enumerate().all(|(i, d)| with.contains(&i) || records(d));
        let new = !round.gone.contains(&die) && with.len() < round.drives.len();
        if begun && new && round.may_be_lost(&with) {
            self.tell(format!("  drive {} died", die + 1));
            self.rounds.last_mut().unwrap().gone = with;
        }
    }

    /// Some of the lost drives are not gone but damaged; says which are gone.
    pub(super) fn hurt(&mut self, number: usize, lost: &[usize]) -> Vec<usize> {
        let mut gone = Vec::new();
        for i in lost {
            if self.rounds[number].gone.contains(i) || self.random.below(3) == 0 {
                gone.push(*i);
                continue;
            }
            let drive = self.rounds[number].drives[*i].clone();
            for path in drive.paths() {
                let random = &mut self.random;
                match random.below(8) {
                    0 => drop(drive.remove(&path)),
                    1 => drive.fail_reads(&path, 0..random.below(9000) as u64 + 1),
                    2 | 3 => drop(drive.with_file(&path, |bytes| {
                        if !bytes.is_empty() {
                            let at = random.below(bytes.len());
                            bytes[at] ^= 1 + random.below(255) as u8;
                        }
                    })),
                    4 => drop(drive.with_file(&path, |bytes| {
                        let len = random.below(bytes.len() + 1);
                        bytes.truncate(len);
                    })),
                    _ => {}
                }
            }
        }
        gone
    }

    /// One bad place on every drive at once, each elsewhere: a shard's blocks where a stripe can
    /// spare them, or metadata files that have a copy.
    pub(super) fn hurt_each(&mut self, number: usize) {
        let set = SetNumber(number as u32 + 1);
        let folder = format!("holdall/{}/", set_folder(self.shipment.unwrap(), set));
        let metadata_files = ["label.json", "key-", "records/", "catalog/", "set.txt", "shards/"];
        let first = self.random.below(metadata_files.len());
        let mut stripes = BTreeSet::new();
        for i in 0..self.rounds[number].drives.len() {
            let round = &self.rounds[number];
            if round.gone.contains(&i) {
                continue;
            }
            let mut kind = metadata_files[(first + i) % metadata_files.len()];
            let with: Vec<usize> = round.gone.iter().copied().chain([i]).collect();
            if kind == "shards/" && !round.may_be_lost(&with) {
                kind = "set.txt";
            }
            let drive = round.drives[i].clone();
            let beginning = format!("{folder}{kind}");
            let here: Vec<String> =
                drive.paths().into_iter().filter(|path| path.starts_with(&beginning)).collect();
            if here.is_empty() {
                continue;
            }
            let path = self.random.pick(&here).clone();
            let len = drive.with_file(&path, |bytes| bytes.len()).unwrap();
            let mut place = 0..len;
            if kind == "shards/" {
                // No two of one stripe.
                if !stripes.insert(path.rsplit_once('-').unwrap().0.to_owned()) {
                    continue;
                }
                let part = len / 16 + 1;
                let start = self.random.below(len);
                place = start..(start + part).min(len);
            }
            self.tell(format!("  bad on drive {}: {path} {place:?}", i + 1));
            if self.random.below(2) == 0 {
                drive.fail_reads(&path, place.start as u64..place.end as u64);
            } else {
                drive.with_file(&path, |bytes| bytes[place].iter_mut().for_each(|b| *b = !*b));
            }
        }
        let monitor = Recording::default();
        let round = &self.rounds[number];
        let sets = open::find(&round.here(&round.gone, &Fuse::never()), &monitor);
        let sets: Vec<_> = sets.into_iter().filter(|s| Some(s.shipment) == self.shipment).collect();
        let outcome = &verify::verify_sets(&sets, &monitor)[0];
        assert!(outcome.verdict.restorable(), "{:?} {:?}", outcome.verdict, monitor.problems());
    }

    /// More is lost than the rule allows: what is then missing is told exactly.
    pub(super) fn beyond_the_rule(&mut self) {
        let (mut paths, mut links, mut losses) = (Paths::new(), Vec::new(), Vec::new());
        for number in 0..self.rounds.len() {
            let round = &self.rounds[number];
            let here = round.here(&round.gone, &Fuse::never());
            let is_own = |drive: &Arc<dyn Drive>| {
                let sets = open::find(std::slice::from_ref(drive), &Recording::default());
                sets.iter().all(|set| Some(set.shipment) == self.shipment)
            };
            if !here.iter().all(is_own) {
                return; // another shipment was begun on them before; the oracle reads one
            }
            let oracle = Oracle::read(&here, &Self::identities());
            let mut lost = round.gone.clone();
            let most = round.drives.len() - 1;
            for _ in 0..=self.random.below(most + 1) {
                let more = self.random.below(round.drives.len());
                if !lost.contains(&more) && lost.len() < most {
                    lost.push(more);
                }
            }
            let slots: Vec<usize> = lost.iter().map(|i| i + 1).collect();
            paths.extend(oracle.lost_with_slots(&slots).paths);
            links.extend(oracle.links);
            losses.push(lost);
        }
        self.tell(format!("beyond the rule: {losses:?} are lost"));
        paths.extend(
            links
                .into_iter()
                .filter(|(_, to)| paths.contains(to))
                .map(|(path, _)| path)
                .collect::<Vec<_>>(),
        );
        let sets: Vec<usize> = (0..self.rounds.len()).collect();
        let (to, monitor) = (self.path("restored"), Recording::default());
        let outcome = self.restore_once(&sets, &losses, &to, &Fuse::never(), &monitor, true);
        let outcome = outcome.unwrap_or_else(|e| panic!("restore: {}", open::error_chain(&e)));
        let lost = monitor.problems().into_iter().filter(|p| p.kind == ProblemKind::Lost);
        let mut told: Vec<String> = lost.map(|p| p.subject).collect();
        told.sort();
        let mut expected: Vec<String> = paths.iter().map(|path| shown_path(path)).collect();
        expected.sort();
        assert_eq!(told, expected, "the files that are lost");
        assert_eq!(outcome.restored.lost, expected.len() as u64, "their number");
        self.source.assert_equal_but(&paths, &Snapshot::of(&to));
    }
}

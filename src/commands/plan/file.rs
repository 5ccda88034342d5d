//! A plan that is kept: which drives go into which round, and under which rule.
//!
//! - Enters: a plan of a whole shipment; later the drives that are attached for a round of it.
//! - Leaves: what lies in a plan file, as JSON; the drives of a round with their cases, if they are
//!   those that were planned.
//! - Always holds: (1) a drive that was attached or mounted when it was planned is known by its file
//!   system's UUID, or else by its path or serial number; one that was imagined, by its case and room;
//!   (2) no drive is taken that has less room than the plan puts on it.

use super::drives::{PlanDrive, UNIT_BYTES};
use crate::drives::detect::{MountedDrive, mount_at, mounted_drives};
use crate::drives::hardware::System;
use crate::drives::{Drive, LocalDrive};
use crate::monitor::shown_bytes;
use crate::plan::case_path::CasePath;
use crate::plan::sets::ShipmentPlan;
use crate::plan::survive::Survive;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The version of plan files that this program writes and reads.
const VERSION: u32 = 1;

/// What a plan file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    /// its version
    pub holdall_plan: u32,
    /// when it was made
    pub time: String,
    /// the rule
    pub survive: String,
    /// plain bytes that all rounds hold under it, and the entries that were planned for
    #[serde(default)]
    pub holds_bytes: u64,
    #[serde(default)]
    pub entries: u64,
    pub rounds: Vec<PlanRound>,
}

/// The drives that are attached together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRound {
    pub drives: Vec<RoundDrive>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundDrive {
    pub case: String,
    /// its mount point or serial number; none: any drive with the room
    pub drive: Option<String>,
    /// of its file system
    pub uuid: Option<String>,
    /// what the plan puts on it, at most
    pub bytes: u64,
    /// what it had free
    #[serde(default)]
    pub free_bytes: u64,
}

/// Why drives are not those of a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    #[error("it is no plan that holdall plan --save has written: {why}")]
    NoPlan { why: String },
    #[error("it is a plan of version {version}, and this program reads {VERSION}")]
    Newer { version: u32 },
    #[error("its rule {rule:?} is none")]
    Rule { rule: String },
    #[error("it has {rounds} rounds, and this is round {round}")]
    NoRound { round: usize, rounds: usize },
    #[error("round {round} needs drives that are not attached: {drives}")]
    Away { round: usize, drives: String },
    #[error("round {round} needs {drives}, and the plan does not say which drives these are")]
    Unnamed { round: usize, drives: String },
    #[error("{} is no drive of round {round}{}", path.display(), match other {
        Some(other) => format!(": it is planned for round {other}"),
        None => String::new(),
    })]
    Other { path: PathBuf, round: usize, other: Option<usize> },
    #[error("{} is planned for case {case}", path.display())]
    Case { path: PathBuf, case: String },
    #[error("{} has {} free, and the plan puts up to {} on it", path.display(), shown_bytes(*free),
        shown_bytes(*bytes))]
    Room { path: PathBuf, free: u64, bytes: u64 },
}

/// A drive that is attached.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    pub case: String,
    pub path: PathBuf,
    uuid: Option<String>,
    serial: Option<String>,
    free_bytes: u64,
}

impl Candidate {
    /// What is known of a drive that was named.
    pub fn of(drive: &CasePath) -> Self {
        let mount = mount_at(&drive.path).filter(|mount| mount.point == drive.path);
        let hardware = mount.map(|mount| System::here().hardware(&mount)).unwrap_or_default();
        let room = LocalDrive::open(&drive.path).and_then(|drive| drive.room());
        Self {
            case: drive.case.clone(),
            path: drive.path.clone(),
            uuid: hardware.uuid,
            serial: hardware.serial,
            free_bytes: room.map_or(0, |room| room.free_bytes),
        }
    }

    /// All that are mounted, and folders that the plan names.
    pub fn mounted(plan: &PlanFile) -> Vec<Self> {
        let mounted = mounted_drives().into_iter().map(|mount: MountedDrive| mount.point);
        let drives = plan.rounds.iter().flat_map(|round| &round.drives);
        let named = drives.filter_map(|drive| drive.drive.as_ref()).map(PathBuf::from);
        let mut paths: Vec<PathBuf> = mounted.chain(named.filter(|path| path.is_dir())).collect();
        paths.sort();
        paths.dedup();
        let of = |path| Self::of(&CasePath { case: String::new(), path });
        paths.into_iter().map(of).collect()
    }
}

impl RoundDrive {
    /// Is it this drive? Of one that is not named, nobody knows.
    fn is(&self, candidate: &Candidate) -> bool {
        match (&self.uuid, &candidate.uuid, &self.drive) {
            // A folder where its file system is not mounted now is another.
            (Some(planned), here, _) => Some(planned) == here.as_ref(),
            (None, _, Some(name)) => {
                Path::new(name) == candidate.path || Some(name) == candidate.serial.as_ref()
            }
            _ => false,
        }
    }

    fn shown(&self) -> String {
        let name = self.drive.clone().unwrap_or_else(|| "a drive".into());
        format!("{}={name}", self.case)
    }
}

impl PlanFile {
    /// What is kept of a plan.
    pub fn of(all: &[PlanDrive], plan: &ShipmentPlan, entries: u64, time: String) -> Self {
        let system = System::here();
        let uuid = |name: &String| {
            let path = Path::new(name);
            let mount = mount_at(path).filter(|mount| mount.point == path)?;
            system.hardware(&mount).uuid
        };
        let mut bytes = vec![0; all.len()];
        for set in &plan.sets {
            set.drives.iter().zip(&set.drive_bytes).for_each(|(drive, used)| bytes[*drive] = *used);
        }
        let drive = |number: &usize| {
            let drive = &all[*number];
            RoundDrive {
                case: drive.case.clone(),
                drive: drive.name.clone(),
                uuid: drive.name.as_ref().and_then(uuid),
                bytes: bytes[*number],
                free_bytes: drive.free_bytes,
            }
        };
        let round = |round: &Vec<usize>| PlanRound { drives: round.iter().map(drive).collect() };
        Self {
            holdall_plan: VERSION,
            time,
            survive: plan.survive.to_string(),
            holds_bytes: plan.holds_bytes.max(plan.sets.iter().map(|set| set.data_bytes).sum()),
            entries,
            rounds: plan.rounds.iter().map(round).collect(),
        }
    }

    /// Reads what a plan file holds.
    pub fn read(bytes: &[u8]) -> Result<Self, PlanFileError> {
        #[derive(Deserialize)]
        struct Head {
            holdall_plan: u32,
        }
        let no_plan = |e: serde_json::Error| PlanFileError::NoPlan { why: e.to_string() };
        let head: Head = serde_json::from_slice(bytes).map_err(no_plan)?;
        if head.holdall_plan != VERSION {
            return Err(PlanFileError::Newer { version: head.holdall_plan });
        }
        let plan: Self = serde_json::from_slice(bytes).map_err(no_plan)?;
        plan.rule()?;
        Ok(plan)
    }

    /// Do all rounds together hold a dataset of this size?
    pub fn holds(&self, data_bytes: u64, entries: u64) -> bool {
        const ENTRY_BYTES: u64 = 1000; // and more, in lists
        let more = entries.saturating_sub(self.entries).saturating_mul(ENTRY_BYTES);
        data_bytes.saturating_add(more) <= self.holds_bytes
    }

    /// The most drives of a round.
    pub fn ports(&self) -> Option<usize> {
        self.rounds.iter().map(|round| round.drives.len()).max()
    }

    /// The drives of the rounds that come after this one, as they were when they were planned.
    pub fn later(&self, round: usize) -> Vec<PlanDrive> {
        let of = |drive: &RoundDrive| {
            let bytes = drive.free_bytes.max(drive.bytes);
            let (case, name) = (drive.case.clone(), drive.drive.clone());
            PlanDrive { case, name, bytes, free_bytes: bytes, unit_bytes: UNIT_BYTES }
        };
        self.rounds.iter().skip(round).flat_map(|round| round.drives.iter().map(of)).collect()
    }

    pub fn rule(&self) -> Result<Survive, PlanFileError> {
        self.survive.parse().map_err(|_| PlanFileError::Rule { rule: self.survive.clone() })
    }

    /// The drives of a round, from 1, each with its case: those that are named, or if none are, those of
    /// the plan where they are mounted.
    pub fn drives(
        &self,
        round: usize,
        named: &[Candidate],
        mounted: &[Candidate],
    ) -> Result<Vec<CasePath>, PlanFileError> {
        let no_round = PlanFileError::NoRound { round, rounds: self.rounds.len() };
        let planned =
            &round.checked_sub(1).and_then(|n| self.rounds.get(n)).ok_or(no_round)?.drives;
        if planned.iter().all(|drive| drive.drive.is_none()) {
            return imagined(planned, round, named);
        }
        let here = if named.is_empty() { mounted } else { named };
        for candidate in named {
            if !planned.iter().any(|drive| drive.is(candidate)) {
                let is_there = |round: &PlanRound| round.drives.iter().any(|d| d.is(candidate));
                let other = self.rounds.iter().position(is_there).map(|at| at + 1);
                return Err(PlanFileError::Other { path: candidate.path.clone(), round, other });
            }
        }
        let mut away = Vec::new();
        let mut drives = Vec::new();
        for drive in planned {
            match here.iter().find(|candidate| drive.is(candidate)) {
                Some(candidate) => drives.push(fitting(drive, candidate)?),
                None => away.push(drive.shown()),
            }
        }
        if away.is_empty() {
            return Ok(drives);
        }
        Err(PlanFileError::Away { round, drives: away.join(", ") })
    }
}

/// Drives that were imagined: as many of each case, with the room.
fn imagined(
    planned: &[RoundDrive],
    round: usize,
    named: &[Candidate],
) -> Result<Vec<CasePath>, PlanFileError> {
    let mut cases: Vec<&String> = planned.iter().map(|drive| &drive.case).collect();
    cases.dedup();
    let count = |case: &String| planned.iter().filter(|drive| drive.case == *case).count();
    let same = |case: &&String| named.iter().filter(|c| c.case == **case).count() == count(case);
    if named.len() != planned.len() || !cases.iter().all(same) {
        let told = |case: &&String| format!("{} of case {case}", count(case));
        let drives = cases.iter().map(told).collect::<Vec<_>>().join(", ");
        return Err(PlanFileError::Unnamed { round, drives });
    }
    let mut drives = Vec::new();
    for case in cases {
        let mut planned: Vec<&RoundDrive> = planned.iter().filter(|d| d.case == *case).collect();
        let mut named: Vec<&Candidate> = named.iter().filter(|c| c.case == *case).collect();
        planned.sort_by_key(|drive| std::cmp::Reverse(drive.bytes));
        named.sort_by_key(|candidate| std::cmp::Reverse(candidate.free_bytes));
        for (drive, candidate) in planned.into_iter().zip(named) {
            drives.push(fitting(drive, candidate)?);
        }
    }
    Ok(drives)
}

/// A drive in its case, if it has the room.
fn fitting(drive: &RoundDrive, candidate: &Candidate) -> Result<CasePath, PlanFileError> {
    let path = candidate.path.clone();
    if !candidate.case.is_empty() && candidate.case != drive.case {
        return Err(PlanFileError::Case { path, case: drive.case.clone() });
    }
    let (free, bytes) = (candidate.free_bytes, drive.bytes);
    if free < bytes {
        return Err(PlanFileError::Room { path, free, bytes });
    }
    Ok(CasePath { case: drive.case.clone(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(case: &str, drive: Option<&str>, uuid: Option<&str>) -> RoundDrive {
        let text = |text: Option<&str>| text.map(Into::into);
        RoundDrive {
            case: case.into(),
            drive: text(drive),
            uuid: text(uuid),
            bytes: 100,
            free_bytes: 0,
        }
    }

    fn here(case: &str, path: &str, uuid: &str, free_bytes: u64) -> Candidate {
        let (uuid, serial) = (Some(uuid.into()), Some(format!("SN-{uuid}")));
        Candidate { case: case.into(), path: path.into(), uuid, serial, free_bytes }
    }

    fn file(rounds: Vec<Vec<RoundDrive>>) -> PlanFile {
        let rounds = rounds.into_iter().map(|drives| PlanRound { drives }).collect();
        let (time, survive) = (String::new(), "cases=1".into());
        PlanFile { holdall_plan: 1, time, survive, holds_bytes: 5000, entries: 10, rounds }
    }

    #[test]
    fn drives_are_known_by_their_uuid_path_or_serial() {
        let plan = file(vec![
            vec![planned("a", Some("/m/1"), Some("u1")), planned("b", Some("/m/2"), None)],
            vec![planned("a", Some("SN-u3"), None), planned("b", Some("/m/4"), Some("u4"))],
        ]);
        let mounted = [here("", "/m/9", "u1", 100), here("", "/m/2", "u2", 100)];
        let drives = plan.drives(1, &[], &mounted).unwrap();
        let told = |drives: &[CasePath]| -> Vec<String> {
            drives.iter().map(|d| format!("{}={}", d.case, d.path.display())).collect()
        };
        assert_eq!(told(&drives), ["a=/m/9", "b=/m/2"]);
        let named = [here("", "/m/1", "u3", 100), here("b", "/m/1", "u4", 100)];
        assert_eq!(told(&plan.drives(2, &named, &[]).unwrap()), ["a=/m/1", "b=/m/1"]);
        let unmounted = Candidate { path: "/m/1".into(), ..Candidate::default() };
        let away = plan.drives(1, &[], &[unmounted, mounted[1].clone()]).unwrap_err();
        assert!(away.to_string().ends_with("not attached: a=/m/1"), "{away}");
        let away = plan.drives(1, &[], &mounted[..1]).unwrap_err();
        assert!(away.to_string().ends_with("not attached: b=/m/2"), "{away}");
        let other = plan.drives(1, &named[..1], &[]).unwrap_err();
        assert!(other.to_string().ends_with("it is planned for round 2"), "{other}");
        let case = plan.drives(2, &[named[0].clone(), here("a", "/x", "u4", 100)], &[]);
        assert!(matches!(case, Err(PlanFileError::Case { case, .. }) if case == "b"));
        let small = plan.drives(1, &[], &[mounted[0].clone(), here("", "/m/2", "u2", 99)]);
        assert!(matches!(small, Err(PlanFileError::Room { free: 99, .. })));
        assert!(matches!(plan.drives(3, &[], &[]), Err(PlanFileError::NoRound { .. })));
    }

    /// A question is due only if the dataset has outgrown all rounds.
    #[test]
    fn all_rounds_count() {
        let plan = file(vec![vec![planned("a", None, None)], vec![planned("b", None, None)]]);
        assert!(plan.holds(5000, 10) && plan.holds(3000, 12));
        assert!(!plan.holds(5001, 10) && !plan.holds(4001, 11));
        assert_eq!((plan.ports(), plan.later(1).len(), plan.later(2).len()), (Some(1), 1, 0));
    }

    #[test]
    fn imagined_drives_are_any_with_the_room_in_the_right_cases() {
        let plan = file(vec![vec![planned("a", None, None), planned("b", None, None)]]);
        let named = [here("b", "/m/1", "u1", 100), here("a", "/m/2", "u2", 200)];
        assert_eq!(plan.drives(1, &named, &[]).unwrap().len(), 2);
        for wrong in [&[][..], &named[..1], &[named[0].clone(), here("b", "/m/3", "u3", 300)]] {
            let error = plan.drives(1, wrong, &named).unwrap_err();
            assert!(error.to_string().contains("1 of case a, 1 of case b"), "{error}");
        }
    }

    #[test]
    fn what_is_no_plan_is_told() {
        let plan = file(vec![vec![planned("a", Some("/m/1"), None)]]);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(PlanFile::read(text.as_bytes()), Ok(plan));
        let read = |text: &str| PlanFile::read(text.as_bytes()).unwrap_err().to_string();
        assert!(read("{}").contains("no plan that holdall plan --save has written"));
        assert!(
            read(&text.replace("\"holdall_plan\":1", "\"holdall_plan\":2")).contains("version 2")
        );
        assert!(read(&text.replace("cases=1", "cases=x")).contains("is none"));
    }
}

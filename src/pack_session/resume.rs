//! `resume`: the next set of a shipment in progress, or the rest of a set whose packing
//! was broken off.
//!
//! - Enters: the state that this machine kept, the drives.
//! - Leaves: a plan for what is left, to be carried out like that of a first set.
//! - Always holds: (1) the records count that the state says this machine wrote: one of its two
//!   marks must be what the drives have, and a drive that carries others is named and refused; (2)
//!   a resumed set gets a new run with a new key; (3) a file is removed from a drive only if this
//!   machine's state knows its run, its name is one of ours and no record names it; (4) a set is
//!   closed when the state says so, which is after its read-back: what a closing that was broken
//!   off has written is written anew; (5) a set of which a part is lost already is closed at most:
//!   nothing is added to it.

use super::error::PackJobError;
use super::obstacles::{
    ResumeFlags, check_rule, disagreement, is_done, refuse_carriers, refuse_lost, refuse_remains,
    refuse_strays, strangers, wrong_state,
};
use super::prepared::Prepared;
use super::read_back::{is_unproven, prove};
use super::shipments::in_progress;
use super::{drives, source};
use crate::drives::{AbsentDrive, Drive, LocalDrive, UnusableDrive};
use crate::entropy::Entropy;
use crate::format::ids::{SetNumber, ShipmentId, Slot, record_path, set_folder};
use crate::format::layout::HOLDALL;
use crate::format::set::{RunLine, SetText};
use crate::keys::recipients::Recipients;
use crate::local_state::state::{Mark, ShipmentState, StateFolder, UnclosedSet};
use crate::memory::Memory;
use crate::metadata_files::expected::committed_files;
use crate::monitor::{Monitor, Recording};
use crate::packer::{Checkpoint, PriorRuns, ResumePoint, SetDrive};
use crate::plan::case_path::CasePath;
use crate::plan::geometry::Geometry;
use crate::plan::room::Need;
use crate::plan::survive::Survive;
use crate::repairer::closing::part_line;
use crate::shipment::find;
use crate::shipment::lock::SetLocks;
use crate::shipment::texts::texts;
use crate::shipment::{FoundSet, RecordIndex, cleanup};
use crate::verification::SetOutcome;
use std::path::Path;
use std::sync::Arc;

/// How to resume.
#[derive(Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
pub struct ResumeOptions {
    /// public keys; none: those that were given at first
    pub recipients: Option<Recipients>,
    /// the rule of a new set; none: what was asked for at first
    pub survive: Option<Survive>,
    /// nothing more is packed: the unclosed set is closed as it is
    pub close: bool,
    /// the unclosed set is packed anew, on drives that carry nothing of it
    pub anew: bool,
    /// what it may take, which decides the sizes of a new set
    pub memory: Memory,
    /// folders on this machine's own disks may be drives
    pub folder_drives: bool,
    /// when record files are written; none: as was asked for at first
    pub checkpoint: Option<Checkpoint>,
    /// this set is not read back, whatever was asked for at first
    pub no_read_back: bool,
}

/// What is left to do.
pub enum Remaining<'a> {
    /// a set to be packed, or packed to its end
    Pack(Box<Prepared<'a>>),
    /// a closed set whose read-back was stopped: it is done again
    Prove(Box<UnprovenSet<'a>>),
    Nothing,
}

/// A closed set whose read-back was stopped.
pub struct UnprovenSet<'a> {
    set: FoundSet,
    entropy: &'a dyn Entropy,
}

impl UnprovenSet<'_> {
    /// The set's name.
    pub fn name(&self) -> String {
        self.set.name()
    }

    /// Reads it back.
    pub fn run(self, monitor: &dyn Monitor) -> SetOutcome {
        prove(&self.set, self.entropy, monitor)
    }
}

/// Plans what is left of a shipment, with these drives. The shipment need not be
/// named if only one is in progress. Drives with a closed set whose read-back was stopped are read
/// back first.
pub fn resume<'a>(
    shipment: Option<ShipmentId>,
    drives: &[CasePath],
    options: ResumeOptions,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Remaining<'a>, PackJobError> {
    // Of a shipment that is complete nothing is remembered here; its drives may still be unproven.
    let cut_short = StateFolder::cleanup()?;
    let folder = folder_of(shipment);
    let in_progress = folder.as_ref().ok().and_then(Option::as_ref);
    let state = in_progress.map(StateFolder::load).transpose()?;
    let found = found_on(drives)?;
    if !options.no_read_back
        && let Some(set) = found.iter().find(|set| needs_proof(set, shipment, state.as_ref()))
    {
        return Ok(Remaining::Prove(Box::new(UnprovenSet { set: set.clone(), entropy })));
    }
    if matches!(&folder, Ok(None) | Err(PackJobError::Which { count: 0, .. }))
        && is_done(&found, shipment, cut_short)?
    {
        return Ok(Remaining::Nothing);
    }
    let Some((folder, state)) = folder?.zip(state) else { return Ok(Remaining::Nothing) };
    let drives = &CasePath::named(drives, &state.known_cases())?;
    drives::check_apart(Path::new(&state.asked.source), drives)?;
    drives::check_mounted(Path::new(&state.asked.source), drives, options.folder_drives)?;
    let unclosed = state.unclosed.as_ref();
    let resumed = unclosed.map(|set| set_folder(state.shipment, set.number));
    let opened = drives::open_drives(drives, &state.known_cases(), resumed.as_deref(), monitor)?;
    let rest = resume_on(opened, folder, options, entropy, monitor)?;
    Ok(rest.map_or(Remaining::Nothing, |prepared| Remaining::Pack(Box::new(prepared))))
}

/// The sets on these drives.
fn found_on(drives: &[CasePath]) -> Result<Vec<FoundSet>, PackJobError> {
    let mut opened: Vec<Arc<dyn Drive>> = Vec::new();
    for CasePath { path, .. } in drives {
        let failed = UnusableDrive::at(path);
        opened.push(Arc::new(LocalDrive::open(path).map_err(failed)?));
    }
    Ok(find::find(&opened, &Recording::default()))
}

/// Is this a closed set of this shipment whose read-back was stopped? That the last set of a
/// shipment was closed this machine does not remember; its drives do.
fn needs_proof(
    set: &FoundSet,
    shipment: Option<ShipmentId>,
    state: Option<&ShipmentState>,
) -> bool {
    let wanted = shipment.or(state.map(|state| state.shipment));
    let in_progress = state.and_then(|state| state.unclosed.as_ref()).map(|set| set.number);
    wanted.is_none_or(|id| id == set.shipment) && Some(set.set) != in_progress && is_unproven(set)
}

/// The same with drives that are open, and the state in this folder.
pub fn resume_on<'a>(
    opened: Vec<SetDrive>,
    folder: StateFolder,
    options: ResumeOptions,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Option<Prepared<'a>>, PackJobError> {
    let mut state = folder.load()?;
    state.asked.folder_drives |= options.folder_drives;
    let list = folder.list()?;
    if !options.anew {
        folder.check_index(&state)?;
    }
    let locks = lock_unclosed(&opened, &state)?;
    let found = found_sets(&opened, &state, monitor);
    let begun = match state.unclosed.clone() {
        Some(unclosed) if options.anew => {
            refuse_remains(&found, &unclosed)?;
            state.unclosed = None;
            None
        }
        Some(unclosed) => {
            let close = options.close;
            resume_unclosed(&folder, &mut state, &unclosed, (&found, &opened), close, monitor)?
        }
        None => None,
    };
    if begun.is_none() && options.close {
        folder.save(&state)?;
        return Ok(None); // there is nothing to close
    }
    if list.count() == state.cursor.entries && state.unclosed.is_none() {
        folder.remove()?;
        return Ok(None);
    }
    let asked_rule = options.survive.map(|rule| rule.to_string());
    let earlier_bytes = begun.as_ref().map(|begun| begun.closing_bytes);
    let (set_drives, begin, rule, geometry) = match begun {
        Some(begun) => {
            refuse_another_rule(&begun.set, options.survive)?;
            let (rule, blocks) = (begun.set.survive.clone(), begun.set.blocks);
            let geometry = Some((state.chunk_bytes, blocks.0, blocks.1));
            (begun.drives, begun.start, Some(rule), geometry)
        }
        None => {
            refuse_carriers(&found, state.sets)?;
            let begin = ResumePoint {
                cursor: state.cursor.clone(),
                before: state.before,
                ..ResumePoint::default()
            };
            let rule = asked_rule.or_else(|| state.asked.survive.clone());
            (opened, begin, rule, state.asked.geometry)
        }
    };
    let set = state.unclosed.as_ref().map_or(SetNumber(state.sets + 1), |set| set.number);
    let wrong = |_| wrong_state(state.shipment, set);
    let wanted = drives::PlanRequest {
        survive: rule.as_deref().map(str::parse).transpose().map_err(wrong)?,
        geometry: geometry.and_then(|(c, b, n)| Geometry::new(c, b, n).ok()),
        chunk_bytes: Some(state.chunk_bytes),
        memory: options.memory,
        left_out: begin.left_out.clone(),
        earlier_bytes,
    };
    let (bytes, seconds) = state.asked.checkpoint;
    let source = source::reopen(Path::new(&state.asked.source), &list, begin.cursor.entries)?;
    let (plan, free_bytes) =
        drives::plan(&wanted, &set_drives, &need_after(&state, &begin), monitor)?;
    if wanted.survive.is_none() {
        refuse_weaker(&state, plan.survive)?;
    }
    let recipients = match options.recipients {
        Some(recipients) => recipients,
        None => Recipients::read(&state.asked.recipients, &[])?,
    };
    Ok(Some(Prepared {
        entropy,
        recipients,
        folder,
        list,
        source,
        drives: set_drives,
        begin,
        locks,
        set,
        plan,
        survive_is_default: wanted.survive.is_none(),
        free_bytes,
        memory: options.memory,
        checkpoint: options.checkpoint.unwrap_or(Checkpoint { bytes, seconds }),
        read_back: state.asked.read_back && !options.no_read_back,
        state,
    }))
}

/// The state's folder; none if no shipment is in progress and none was named.
fn folder_of(shipment: Option<ShipmentId>) -> Result<Option<StateFolder>, PackJobError> {
    let all = StateFolder::all()?;
    let names = || -> Result<String, PackJobError> {
        let shown = in_progress()?.iter().map(ToString::to_string).collect::<Vec<_>>();
        Ok(shown.join("; "))
    };
    match (shipment, &all[..]) {
        (Some(id), _) if all.contains(&id) => Ok(Some(StateFolder::of(id)?)),
        (Some(id), _) => Err(PackJobError::Which { count: 0, names: id.to_string() }),
        (None, []) => Ok(None),
        (None, [id]) => Ok(Some(StateFolder::of(*id)?)),
        (None, _) => Err(PackJobError::Which { count: all.len(), names: names()? }),
    }
}

/// Nobody else may be at work on the unclosed set when it is looked at.
fn lock_unclosed(opened: &[SetDrive], state: &ShipmentState) -> Result<SetLocks, PackJobError> {
    let mut locks = SetLocks::default();
    if let Some(unclosed) = &state.unclosed {
        let folder = format!("{}/{}", HOLDALL, set_folder(state.shipment, unclosed.number));
        opened.iter().try_for_each(|d| locks.take(d.drive.as_ref(), &folder))?;
    }
    Ok(locks)
}

/// The sets of the shipment on these drives.
fn found_sets(opened: &[SetDrive], state: &ShipmentState, monitor: &dyn Monitor) -> Vec<FoundSet> {
    let drives: Vec<_> = opened.iter().map(|d| d.drive.clone()).collect();
    // Of a set of which nothing counts yet, a drive may lack everything: that is no damage.
    let unclosed = state.unclosed.as_ref();
    let nothing_counts =
        unclosed.is_some_and(|set| set.runs.is_empty() && set.committed.run.is_none());
    let silent = Recording::default();
    let mut found = find::find(&drives, if nothing_counts { &silent } else { monitor });
    found.retain(|set| set.shipment == state.shipment);
    found
}

/// The rule of a set that is begun stands.
fn refuse_another_rule(set: &UnclosedSet, asked: Option<Survive>) -> Result<(), PackJobError> {
    match asked.map(|rule| rule.to_string()).filter(|rule| *rule != set.survive) {
        Some(asked) => {
            Err(PackJobError::Rule { set: set.number, rule: set.survive.clone(), asked })
        }
        None => Ok(()),
    }
}

/// What one set survives the next one does, unless somebody says that it need not.
fn refuse_weaker(state: &ShipmentState, rule: Survive) -> Result<(), PackJobError> {
    let earlier = state.survive.as_ref().and_then(|rule| rule.parse::<Survive>().ok());
    match earlier.filter(|earlier| !rule.is_as_strong_as(*earlier)) {
        Some(earlier) => Err(PackJobError::Weaker { set: SetNumber(state.sets), earlier, rule }),
        None => Ok(()),
    }
}

/// What of the dataset is left, at most.
fn need_after(state: &ShipmentState, begin: &ResumePoint) -> Need {
    let entries = state.totals.entries.saturating_sub(begin.cursor.entries);
    let part = u128::from(state.entry_bytes) * u128::from(entries)
        / u128::from(state.totals.entries.max(1));
    Need {
        data_bytes: state.totals.data_bytes.saturating_sub(begin.cursor.bytes),
        entries,
        entry_bytes: part as u64, // at most what it is a part of
    }
}

/// A set that is resumed.
struct ResumedSet {
    set: UnclosedSet,
    drives: Vec<SetDrive>,
    start: ResumePoint,
    /// bytes that closing it takes on each drive for what is there
    closing_bytes: u64,
}

/// Finds out how far the unclosed set is, and makes its drives ready. None if it has nothing that
/// counts and is begun anew.
fn resume_unclosed(
    folder: &StateFolder,
    state: &mut ShipmentState,
    unclosed: &UnclosedSet,
    (found, given): (&[FoundSet], &[SetDrive]),
    close: bool,
    monitor: &dyn Monitor,
) -> Result<Option<ResumedSet>, PackJobError> {
    let name = set_folder(state.shipment, unclosed.number);
    let refuse = |why: &str, hint: String| {
        let (set, why) = (name.clone(), why.into());
        PackJobError::Resume { set, why, hint }
    };
    let Some(set) = found.iter().find(|s| s.set == unclosed.number) else {
        if unclosed.runs.is_empty() && unclosed.pending.is_none() {
            state.unclosed = None; // nothing of it counts
            return Ok(None);
        }
        let hint = format!(
            "attach its drives; if they are lost or erased, add --anew to pack the set again, or drop \
             the shipment: holdall forget {}",
            state.shipment
        );
        return Err(refuse("none of these drives carries it", hint));
    };
    // A crash leaves the last files on some drives only: what is lacking is given to the others,
    // and which drives cannot be given it is reported then.
    let unheard = Recording::default();
    let why = "its records on the drives are not those that this machine wrote last";
    let mark = mark_of(unclosed, set).ok_or_else(|| refuse(why, disagreement(set, state.sets)))?;
    let (records, strays) = RecordIndex::written(set, &lines_of(unclosed, &mark), &unheard);
    if records.gaps {
        unheard.problems().into_iter().for_each(|problem| monitor.problem(problem));
    }
    let text = text_of(set, unclosed, monitor);
    if text.as_ref().is_some_and(|text| !is_own(text, unclosed)) {
        let hint = format!("holdall forget {} drops this machine's state", state.shipment);
        return Err(refuse("it was closed by another machine", hint));
    }
    if let Some(text) = text.filter(|text| text.index().is_none()) {
        return closed_elsewhere(folder, state, unclosed, (&text, &mark), refuse);
    }
    let flags = ResumeFlags { close, folder_drives: state.asked.folder_drives };
    refuse_strays(set, &strays, &flags, state.sets)?;
    if close && records.gaps && (records.stripes().is_empty() || !set.missing_slots().is_empty()) {
        let hint = "attach the set's other drives too: one that has the records says what counts";
        return Err(refuse("records of it are missing or damaged on the drives here", hint.into()));
    }
    if !close {
        refuse_lost(set, &records, unclosed.runs.iter().chain(&mark.run), state.sets)?;
    }
    // Nothing is touched if it cannot be resumed: what no record here names, one on a drive that
    // is not here may.
    let strangers = strangers(set, given);
    for drive in &strangers {
        monitor.note(&format!("{drive} carries nothing of set {name}: it is not used"));
    }
    let absent = set.drives.len() < unclosed.cases.len();
    if absent && (!records.stripes().is_empty() || unclosed.pending.is_some()) {
        check_rule(set, unclosed, &strangers)?;
    }
    // What no record here names, one that is missing may.
    if !records.gaps {
        cleanup::remove_litter(set, &records, &unclosed.begun, monitor);
    }
    if records.stripes().is_empty() {
        cleanup::remove_beginnings(set, &unclosed.begun, monitor);
        state.unclosed = None;
        return Ok(None);
    }
    let agreeing = cleanup::level(set, &records, monitor);
    cleanup::reopen(set, monitor);
    let closing_bytes = cleanup::closing_bytes(set, &records, unclosed.cases.len());
    let mut runs = unclosed.runs.clone();
    runs.extend(mark.run.clone());
    let resumed = UnclosedSet {
        runs: runs.clone(),
        committed: Mark { run: None, ..mark.clone() },
        pending: None,
        ..unclosed.clone()
    };
    let (drives, left_out) = slots(set, &resumed, &agreeing);
    let index = folder.load_index(&mark)?;
    let prior = PriorRuns {
        runs,
        parts: records.parts().map(part_line).collect(),
        index,
        files: committed_files(&records),
        tally: mark.tally,
    };
    let begin = ResumePoint {
        cursor: mark.cursor,
        prior: Some(prior),
        before: state.before,
        left_out,
        close,
    };
    state.unclosed = Some(resumed.clone());
    Ok(Some(ResumedSet { set: resumed, drives, start: begin, closing_bytes }))
}

/// Was it closed by this machine, with runs that it began?
fn is_own(text: &SetText, unclosed: &UnclosedSet) -> bool {
    text.runs.iter().all(|run| unclosed.begun.contains(&run.run))
}

/// set.txt, if there is one. That ours differ, of closings broken off, is no damage: it comes anew.
fn text_of(set: &FoundSet, unclosed: &UnclosedSet, monitor: &dyn Monitor) -> Option<SetText> {
    let are_own = texts(set).values().all(|version| is_own(&version.text, unclosed));
    let unheard = Recording::default();
    set.set_text(if are_own { &unheard } else { monitor })
}

/// The set was closed early from its drives alone: what this machine has packed of it is in it, or
/// it cannot be told what is.
fn closed_elsewhere(
    folder: &StateFolder,
    state: &mut ShipmentState,
    unclosed: &UnclosedSet,
    (text, mark): (&SetText, &Mark),
    refuse: impl Fn(&str, String) -> PackJobError,
) -> Result<Option<ResumedSet>, PackJobError> {
    let line = |run: &RunLine| (run.run, run.last);
    let run = mark.run.as_ref().or(unclosed.runs.last());
    if text.runs.last().map(line) != run.map(line) {
        let why = "it was closed early, without the last that this machine wrote";
        let hint = format!("holdall forget {} drops this machine's state", state.shipment);
        return Err(refuse(why, hint));
    }
    state.closed(&mark.cursor, text.root());
    folder.save(state)?;
    Ok(None)
}

/// The runs that this machine wrote, up to a mark.
fn lines_of(unclosed: &UnclosedSet, mark: &Mark) -> Vec<RunLine> {
    unclosed.runs.iter().chain(&mark.run).cloned().collect()
}

/// The later mark of which the last record file is on a drive.
fn mark_of(unclosed: &UnclosedSet, set: &FoundSet) -> Option<Mark> {
    let is_there = |line: &RunLine| {
        let number = line.files.checked_sub(1);
        number.is_some_and(|n| set.sound_copy(&record_path(line.run, n), &line.last).is_some())
    };
    let says = |mark: &&Mark| lines_of(unclosed, mark).last().is_none_or(is_there);
    let pending = unclosed.pending.as_ref().filter(says);
    pending.or(Some(&unclosed.committed).filter(says)).cloned()
}

/// The drive of each slot, and which are left out: not here, or not in agreement with the others.
fn slots(set: &FoundSet, unclosed: &UnclosedSet, agreeing: &[Slot]) -> (Vec<SetDrive>, Vec<usize>) {
    let mut left_out = Vec::new();
    let drive = |(number, case): (usize, &String)| {
        let slot = Slot(number as u16 + 1);
        let found = set.drive(slot).filter(|_| agreeing.contains(&slot));
        let drive = found.map_or_else(
            || {
                left_out.push(number);
                Arc::new(AbsentDrive::new(format!("slot {slot} (case {case})"))) as _
            },
            |found| found.drive.clone(),
        );
        SetDrive { drive, case: case.clone() }
    };
    let drives = unclosed.cases.iter().enumerate().map(drive).collect();
    (drives, left_out)
}

//! The last walk over a set: hard links, once their files are there, and the folders' own metadata,
//! deepest first. It also notes of every entry what the packer could not take, or took badly, since
//! nothing else reports that of entries which an earlier run restored.

use super::error::RestoreError;
use super::fate::Fate;
use super::items::Items;
use super::not_taken;
use super::packing_faults::PackingFaults;
use super::promotion::Promoted;
use super::restored::Restored;
use super::selected::is_below;
use super::walk::SetWalk;
use crate::destination::{Destination, DestinationError, PlaceResult};
use crate::format::ids::SetNumber;
use crate::format::list::{Entry, Item, Kind, shown_path};
use crate::format::shown::error_chain;
use crate::format::{list_reader, list_writer};
use crate::monitor::{Monitor, Phase};
use rayon::prelude::*;
use std::cmp::Reverse;

/// Folders that are finished together: in parallel, and few enough to be kept.
const FOLDERS_TOGETHER: usize = 1024;

/// Walks the items again. While files still wait, folders keep their working modes, so that a later
/// run can resume.
pub fn finish(
    items: &mut dyn Items,
    walk: SetWalk,
    destination: &Destination,
    promoted: &Promoted,
    restored: &mut Restored,
) -> Result<(), RestoreError> {
    let SetWalk { open, ledger, monitor, .. } = walk;
    let set = open.set.set;
    monitor.phase(Phase::Finish, 0);
    destination.begin_anew();
    let (waiting, left) = (Vec::new(), Vec::new());
    let mut links = Finisher { walk, destination, promoted, restored, waiting, left };
    // A set begins with the folders of its first entry, which the set before may have named.
    let (mut folders, mut faults): (Vec<(Entry, bool)>, _) = (Vec::new(), PackingFaults::default());
    let mut is_chain = set.0 > 1;
    while let Some(list) = items.next_list() {
        for item in list {
            for line in faults.see(&item) {
                ledger.add(&line)?;
            }
            let Item::Entry { entry, continued: false } = item else { continue };
            if monitor.should_stop() {
                links.restored.stopped = true;
                return Ok(()); // the next run does this anew
            }
            while folders.last().is_some_and(|(f, _)| !is_below(&entry.path, &f.path)) {
                is_chain = false;
                folders.pop().map_or(Ok(()), |(folder, shared)| links.leave(folder, shared))?;
            }
            is_chain &= entry.kind == Kind::Folder;
            if let Some((fate, detail)) = not_taken::of(&entry) {
                ledger.note(fate, entry.shown(), &detail)?;
            }
            match entry.kind {
                Kind::Folder => folders.push((entry, is_chain)),
                Kind::HardLink => links.link(&entry)?,
                _ => {}
            }
        }
    }
    if links.restored.stopped {
        return Ok(());
    }
    links.restored.bounds = faults.end();
    // The next set begins with the folders that its first entry lies in.
    while let Some((folder, _)) = folders.pop() {
        links.leave(folder, true)?;
    }
    links.finish_left()?;
    destination.save_unkept()?;
    save_links(destination, set, &links.waiting)
}

/// The hard links of a set whose files are not there.
fn links_name(set: SetNumber) -> String {
    format!("links-{set}")
}

fn save_links<'e>(
    destination: &Destination,
    set: SetNumber,
    links: impl IntoIterator<Item = &'e Entry>,
) -> Result<(), RestoreError> {
    let mut bytes = Vec::new();
    for link in links {
        list_writer::encode_alone(link, &mut bytes);
    }
    if bytes.is_empty() {
        return Ok(destination.remove_state(&links_name(set))?);
    }
    Ok(destination.save_state(&links_name(set), &bytes)?)
}

/// The hard links of a set that are not there, since their files were not.
pub fn kept_links(destination: &Destination, set: SetNumber) -> Result<Vec<Entry>, RestoreError> {
    let bytes = destination.load_state(&links_name(set))?.unwrap_or_default();
    let items = list_reader::decode(&bytes).unwrap_or_default();
    Ok(items.into_iter().filter_map(Item::into_entry).collect())
}

/// Hard links that could not be made.
#[derive(Default)]
pub struct UnmadeLinks {
    /// their files are not there
    pub waiting: Vec<Entry>,
    /// the destination refuses them
    pub refused: Vec<RefusedLink>,
}

/// A hard link that the destination refuses.
pub struct RefusedLink {
    pub entry: Entry,
    pub error: DestinationError,
}

/// Makes the hard links of a set that waited for their files. Returns those that could not be made.
pub fn waiting_links(
    destination: &Destination,
    set: SetNumber,
    monitor: &dyn Monitor,
) -> Result<UnmadeLinks, RestoreError> {
    let links = kept_links(destination, set)?;
    if links.is_empty() {
        return Ok(UnmadeLinks::default());
    }
    let mut unmade = UnmadeLinks::default();
    for entry in links {
        let stop = || monitor.should_stop();
        match destination.add_hard_link(&entry, &stop) {
            Ok(()) => {}
            Err(DestinationError::NoTarget { .. }) => unmade.waiting.push(entry),
            Err(_) if stop() => unmade.waiting.push(entry),
            Err(e) if destination.is_ended_by(&e) => return Err(e.into()),
            Err(error) => unmade.refused.push(RefusedLink { entry, error }),
        }
    }
    let refused = unmade.refused.iter().map(|link| &link.entry);
    save_links(destination, set, unmade.waiting.iter().chain(refused))?;
    Ok(unmade)
}

struct Finisher<'a> {
    walk: SetWalk<'a>,
    destination: &'a Destination,
    promoted: &'a Promoted,
    restored: &'a mut Restored,
    /// links to files that are not there yet
    waiting: Vec<Entry>,
    /// folders that the walk is through with; whether another set may name each too
    left: Vec<(Entry, bool)>,
}

impl Finisher<'_> {
    fn link(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        if self.promoted.left_out.contains(&entry.target) {
            return Ok(());
        }
        let Some(name) = self.promoted.names.get(&entry.target) else { return self.link_to(entry) };
        let there = matches!(self.destination.exists(name), Ok(Some(_)));
        if !there && self.promoted.elsewhere.contains(&entry.target) {
            self.restored.lost += 1;
            let first = shown_path(&entry.target);
            let detail = format!(
                "its bytes lie in another set under its first name, {first}, which was left out: \
                 select that too"
            );
            return self.walk.ledger.note(Fate::Lost, entry.shown(), &detail);
        }
        if *name == entry.path {
            // It is the file itself, and counted. What is missing of it was reported.
            return Ok(());
        }
        self.link_to(&Entry { target: name.clone(), ..entry.clone() })
    }

    fn link_to(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        let known = self.walk.options.resumed
            && matches!(self.destination.exists(&entry.path), Ok(Some(_)));
        let stop = || self.walk.monitor.should_stop();
        match self.destination.link_or_copy(entry, self.walk.options.on_conflict(), &stop) {
            Ok(()) if known => self.restored.known += 1,
            Ok(()) => self.restored.entries += 1,
            Err(_) if self.walk.monitor.should_stop() => self.restored.stopped = true,
            Err(e) if self.destination.is_ended_by(&e) => return Err(e.into()),
            // What becomes of the file, the end of the run reports.
            Err(DestinationError::NoTarget { .. }) => self.waiting.push(entry.clone()),
            Err(e) => {
                let fate = self.restored.refuse(entry);
                self.walk.ledger.note(fate, entry.shown(), &e.reason())?;
            }
        }
        Ok(())
    }

    /// The walk is through with a folder, which is finished together with others.
    fn leave(&mut self, folder: Entry, shared: bool) -> Result<(), RestoreError> {
        self.left.push((folder, shared));
        if self.left.len() < FOLDERS_TOGETHER { Ok(()) } else { self.finish_left() }
    }

    /// Finishes the folders that were left, in parallel, but each after those in it: it may shut
    /// out its owner.
    fn finish_left(&mut self) -> Result<(), RestoreError> {
        let mut left = std::mem::take(&mut self.left);
        if self.restored.waiting > 0 && !self.walk.options.give_up {
            return Ok(());
        }
        let depth = |(folder, _): &(Entry, bool)| {
            let names = folder.path.split(|byte| *byte == b'/').count();
            if folder.path.is_empty() { 0 } else { names }
        };
        left.sort_by_cached_key(|folder| Reverse(depth(folder)));
        let to = self.destination;
        for level in left.chunk_by(|a, b| depth(a) == depth(b)) {
            let finish = |(folder, shared): &(Entry, bool)| {
                if *shared { to.finish_shared_folder(folder) } else { to.finish_folder(folder) }
            };
            let results: Vec<PlaceResult> = level.par_iter().map(finish).collect();
            for ((folder, _), result) in level.iter().zip(results) {
                self.finished(folder, result)?;
            }
        }
        Ok(())
    }

    fn finished(&mut self, folder: &Entry, result: PlaceResult) -> Result<(), RestoreError> {
        match result {
            Ok(problems) => self.restored.count_metadata(&problems),
            Err(e) if self.destination.is_ended_by(&e) => return Err(e.into()),
            // Another's name differs by case alone; that was reported when it was to be made.
            Err(DestinationError::Exists { .. }) => {}
            Err(e) => {
                self.restored.metadata_problems += 1;
                self.destination.note_folder(&folder.path, error_chain(&e));
            }
        }
        Ok(())
    }
}

//! What only the end can do: hard links, once their files are there, and the folders' own
//! metadata, deepest first.

use super::files::count_metadata;
use super::items::Items;
use super::ledger::{Fate, Ledger};
use super::lift::Lifted;
use super::selected::is_below;
use super::{RestoreError, RestoreOptions, Restored};
use crate::destination::{Destination, DestinationError};
use crate::format::ids::SetNumber;
use crate::format::list::{self, Entry, Item, Kind, shown_path};
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use crate::sets::open::chain;

/// Walks the items again. While files still wait, folders keep their working modes so that a later
/// run can go on.
pub fn finish(
    items: &mut dyn Items,
    set: SetNumber,
    destination: &Destination,
    options: RestoreOptions,
    lifted: &Lifted,
    restored: &mut Restored,
    (ledger, monitor): (&Ledger, &dyn Monitor),
) -> Result<(), RestoreError> {
    monitor.phase(Phase::Finish, 0);
    let waiting = Vec::new();
    let mut links = Finisher { destination, options, lifted, restored, ledger, monitor, waiting };
    let mut folders: Vec<Entry> = Vec::new();
    while let Some(list) = items.next_list() {
        for item in list {
            let Item::Entry { entry, continued: false } = item else { continue };
            if monitor.should_stop() {
                links.restored.stopped = true;
                return Ok(()); // the next run does this anew
            }
            while folders.last().is_some_and(|f| !is_below(&entry.path, &f.path)) {
                folders.pop().map_or(Ok(()), |f| links.folder(&f))?;
            }
            match entry.kind {
                Kind::Folder => folders.push(entry),
                Kind::HardLink => links.link(&entry)?,
                _ => {}
            }
        }
    }
    if links.restored.stopped {
        return Ok(());
    }
    while let Some(folder) = folders.pop() {
        links.folder(&folder)?;
    }
    let waiting = std::mem::take(&mut links.waiting);
    save_links(destination, set, &waiting)
}

/// The hard links of a set whose files are not there.
fn links_name(set: SetNumber) -> String {
    format!("links-{set}")
}

fn save_links(
    destination: &Destination,
    set: SetNumber,
    links: &[Entry],
) -> Result<(), RestoreError> {
    if links.is_empty() {
        return Ok(destination.remove_state(&links_name(set))?);
    }
    let mut bytes = Vec::new();
    for link in links {
        Item::Entry { entry: link.clone(), continued: false }.encode(&mut bytes);
    }
    Ok(destination.save_state(&links_name(set), &bytes)?)
}

/// A link that the destination refuses.
pub type Refused = (Entry, DestinationError);

/// Makes the hard links of a set that waited for their files. Gives those that still wait, and those
/// that the destination refuses.
pub fn waiting_links(
    destination: &Destination,
    set: SetNumber,
    monitor: &dyn Monitor,
) -> Result<(Vec<Entry>, Vec<Refused>), RestoreError> {
    let Some(bytes) = destination.load_state(&links_name(set))? else {
        return Ok(Default::default());
    };
    let items = list::decode(&bytes).unwrap_or_default();
    let (mut waiting, mut refused) = (Vec::new(), Vec::new());
    for item in items {
        let Item::Entry { entry, .. } = item else { continue };
        let stop = || monitor.should_stop();
        match destination.add_hard_link(&entry, &stop) {
            Ok(()) => {}
            Err(DestinationError::NoTarget { .. }) => waiting.push(entry),
            Err(_) if stop() => waiting.push(entry),
            Err(e) if destination.is_ended_by(&e) => return Err(e.into()),
            Err(e) => refused.push((entry, e)),
        }
    }
    let kept: Vec<Entry> =
        waiting.iter().chain(refused.iter().map(|(entry, _)| entry)).cloned().collect();
    save_links(destination, set, &kept)?;
    Ok((waiting, refused))
}

struct Finisher<'a> {
    destination: &'a Destination,
    options: RestoreOptions<'a>,
    lifted: &'a Lifted,
    restored: &'a mut Restored,
    ledger: &'a Ledger<'a>,
    monitor: &'a dyn Monitor,
    /// links to files that are not there yet
    waiting: Vec<Entry>,
}

impl Finisher<'_> {
    fn link(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        let Some(name) = self.lifted.name_of(&entry.target) else { return self.link_to(entry) };
        let there = matches!(self.destination.exists(name), Ok(Some(_)));
        match name == entry.path {
            // It is the file itself, and counted.
            true if there => Ok(()),
            _ if !there && self.lifted.is_elsewhere(&entry.target) => {
                self.restored.lost += 1;
                let first = shown_path(&entry.target);
                let detail = format!(
                    "its bytes lie in another set under its first name, {first}, which was left \
                     out: select that too"
                );
                self.ledger.note(Fate::Lost, entry.shown(), &detail)
            }
            // What it lacks was said when it was restored.
            true => Ok(()),
            false => self.link_to(&Entry { target: name.to_vec(), ..entry.clone() }),
        }
    }

    fn link_to(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        let resumed = self.options.resumed;
        let known = resumed && matches!(self.destination.exists(&entry.path), Ok(Some(_)));
        let stop = || self.monitor.should_stop();
        match self.destination.link_or_copy(entry, resumed, &stop) {
            Ok(()) if known => self.restored.known += 1,
            Ok(()) => self.restored.entries += 1,
            Err(_) if self.monitor.should_stop() => self.restored.stopped = true,
            Err(e) if self.destination.is_ended_by(&e) => return Err(e.into()),
            // What becomes of the file, the end of the run tells.
            Err(DestinationError::NoTarget { .. }) => self.waiting.push(entry.clone()),
            Err(e) => {
                let fate = self.restored.refuse(entry);
                self.ledger.note(fate, entry.shown(), &e.reason())?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        if self.restored.waiting > 0 && !self.options.give_up {
            return Ok(());
        }
        match self.destination.finish_folder(entry) {
            Ok(problems) => count_metadata(self.restored, &problems),
            Err(e) if self.destination.is_ended_by(&e) => return Err(e.into()),
            // Another's name differs by case alone; that was said when it was to be made.
            Err(DestinationError::Exists { .. }) => {}
            Err(e) => {
                self.restored.metadata_problems += 1;
                let problem = Problem::new(ProblemKind::Metadata, entry.shown(), chain(&e));
                self.monitor.problem(problem);
            }
        }
        Ok(())
    }
}

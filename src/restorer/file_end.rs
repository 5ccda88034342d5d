//! The end of a larger file: it gets its final name, or it is counted what becomes of it.

use super::account::Account;
use super::decode::Absent;
use super::error::RestoreError;
use super::fate::Fate;
use super::followed_file::{FollowedFile, left_as, shown_ranges};
use super::output::OutputFile;
use super::packing_faults::MIXTURE;
use super::spanning::Spanning;
use super::walk::SetWalk;
use super::write::WriteTarget;
use super::{refusals, spanning};
use crate::destination::DestinationError;
use crate::format::list::{End, Entry, Hash, State};
use std::sync::Arc;

/// Ends a file that lies in this set alone.
pub fn end_alone(
    account: &mut Account,
    mut file: FollowedFile,
    end: Option<End>,
) -> Result<(), RestoreError> {
    let SetWalk { output, options, .. } = account.walk;
    let entry = file.target.entry.clone();
    let size = end.map_or(entry.size, |e| e.size);
    file.skip_to(size);
    if let Err(error) = file.target.file.set_len(size) {
        return refuse(account, file, error);
    }
    if file.missing.is_empty()
        && let Some(root) = end.and_then(|e| e.root)
        && !file.has_root(size, &root)?
    {
        file.missing.push((0, size));
        file.absent = Some(Absent::Lost);
    }
    let FollowedFile { target, missing, absent, .. } = file;
    let Some(WriteTarget { file, .. }) = Arc::into_inner(target) else { return Ok(()) };
    if let Some(end) = end.filter(|_| missing.is_empty()) {
        return finish_file(account, file, &entry, end);
    }
    let absent = absent.unwrap_or(Absent::Lost);
    let mut detail = shown_ranges(&missing);
    if options.salvage
        && (options.give_up || absent == Absent::Lost)
        && let Some(path) = output.finish_incomplete(file, &entry)?
    {
        detail.push_str(&left_as(&path));
    }
    account.absent(&entry, &detail, absent)
}

/// Ends this set's part of a spanning file. What becomes of one that is not whole then, the end
/// of the run reports: other sets may have the rest.
pub fn end_part(
    account: &mut Account,
    mut file: FollowedFile,
    end: Option<End>,
) -> Result<(), RestoreError> {
    match end {
        Some(end) => {
            file.skip_to(end.size);
            if let Err(error) = file.target.file.set_len(end.size) {
                return refuse(account, file, error);
            }
        }
        // It begins with a hole, which counts to the set that has its first bytes.
        None if file.next == 0 => return Ok(()),
        None => {}
    }
    if let Spanning::Whole { root, end } = mark(account.walk, &file, end)? {
        return finish_spanning(account, file, root, end);
    }
    let SetWalk { output, options, .. } = account.walk;
    let restored = &mut *account.restored;
    let entry = &file.target.entry;
    if output.to(|folder| refusals::contains(folder, entry)).unwrap_or(false) {
        restored.refused += 1;
    } else if file.missing.is_empty() {
        // The rest of it lies in other sets.
    } else if file.absent == Some(Absent::Waits) && !options.give_up {
        restored.waiting += 1;
    } else {
        restored.lost += 1;
    }
    Ok(())
}

/// Gives a spanning file of which all parts are there its final name, if they fit together.
fn finish_spanning(
    account: &mut Account,
    file: FollowedFile,
    joined: Option<Hash>,
    end: End,
) -> Result<(), RestoreError> {
    let SetWalk { output, options, .. } = account.walk;
    let entry = file.target.entry.clone();
    let root = match end.root {
        Some(_) if joined.is_none() => file.read_root(end.size)?,
        _ => joined,
    };
    output.to(|folder| spanning::forget(folder, &entry))?;
    if end.root.is_some_and(|wanted| root.is_some_and(|root| wanted != root)) {
        return account.absent(&entry, "its sets do not fit together", Absent::Lost);
    }
    let Some(WriteTarget { file, .. }) = Arc::into_inner(file.target) else { return Ok(()) };
    match output.finish_file(file, &entry, options.on_conflict()) {
        Ok(problems) => {
            output.to(|folder| refusals::forget(folder, &entry))?;
            if end.state == State::Changed {
                account.packed_badly(&entry, Fate::Changed, MIXTURE)?;
            }
            account.placed(&entry, &problems)
        }
        Err(e) if output.is_ended_by(&e) => Err(e.into()),
        Err(e) => {
            // To be tried again it has to be put together again.
            account.restored.refused_parts = true;
            account.restored.refuse(&entry);
            Ok(output.to(|folder| refusals::keep(folder, &entry, &e.reason()))?)
        }
    }
}

/// Marks what this set holds of a spanning file, and returns what is known of the file now.
pub fn mark(
    walk: SetWalk,
    file: &FollowedFile,
    end: Option<End>,
) -> Result<Spanning, RestoreError> {
    let (set, entry) = (walk.open.set.set, &file.target.entry);
    let mark = file.mark(end);
    Ok(walk.output.to(|folder| spanning::settle(folder, entry, set, &mark))?)
}

/// Gives a whole and verified file its final name.
fn finish_file(
    account: &mut Account,
    file: OutputFile,
    entry: &Entry,
    end: End,
) -> Result<(), RestoreError> {
    if end.state == State::Changed {
        account.packed_badly(entry, Fate::Changed, MIXTURE)?;
    }
    match account.walk.output.finish_file(file, entry, account.walk.options.on_conflict()) {
        Ok(problems) => account.placed(entry, &problems),
        Err(e) => account.refused(entry, e),
    }
}

/// A larger file that the destination does not take: what was written of it makes room.
pub fn refuse(
    account: &mut Account,
    file: FollowedFile,
    error: DestinationError,
) -> Result<(), RestoreError> {
    let entry = file.target.entry.clone();
    if account.walk.output.is_ended_by(&error) {
        return Err(error.into());
    }
    if let Some(WriteTarget { file, .. }) = Arc::into_inner(file.target) {
        file.discard();
    }
    account.refused(&entry, error)
}

//! `report`: what is known of a shipment, gathered from the drives that are here; reads labels,
//! records and set.txt, and with a key the catalogs. Nothing is written.

use crate::commands::custody;
use crate::commands::ls::ls_sets;
use crate::commands::status::{SetEnd, SetStatus, status_of};
use crate::entropy::Entropy;
use crate::format::ids::Slot;
use crate::format::label::PROGRAM;
use crate::keys::recipients::Identities;
use crate::monitor::{Event, Monitor, Recording, Unreported};
use crate::opening::open::{self, OpenError};
use crate::opening::unlock;
use crate::report::dataset::{DatasetSummary, Summing};
use crate::report::facts::{Closed, CustodyHistory, DrivePage, Seen, SetPage, ShipmentPage};
use crate::shipment::FoundSet;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Problems that are named on the page.
const NOTICED: usize = 40;

/// What a report is made of.
pub struct Gathered {
    /// the page, but for its words
    pub page: ShipmentPage,
    /// by set, what the words are about
    pub statuses: Vec<SetStatus>,
}

/// Passes everything on, and keeps the problems.
struct Noting<'a> {
    inner: &'a dyn Monitor,
    kept: Recording,
}

impl Monitor for Noting<'_> {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Problem(_)) {
            self.kept.event(event);
        }
        self.inner.event(event);
    }

    fn should_stop(&self) -> bool {
        self.inner.should_stop()
    }
}

/// Looks at the drives of one shipment; with a key also at what is in it.
pub fn gather(
    paths: &[PathBuf],
    identities: Option<&Identities>,
    clock: &dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Gathered, OpenError> {
    let noting = Noting { inner: monitor, kept: Recording::default() };
    let mut sets = open::one_shipment(paths, &noting)?;
    let dataset = identities.map(|keys| summary(&mut sets, keys, &noting)).transpose()?;
    let statuses = status_of(&sets, &noting)?;
    let labels: Vec<_> = sets.iter().map(FoundSet::label).collect();
    let problems = noting.kept.problems();
    let mut noticed: Vec<String> = problems.iter().take(NOTICED).map(ToString::to_string).collect();
    if problems.len() > NOTICED {
        noticed.push(format!("and {} more", problems.len() - NOTICED));
    }
    let mut page = ShipmentPage {
        program: PROGRAM.into(),
        made: clock.now(),
        shipment: sets[0].shipment,
        names: different(labels.iter().map(|label| &label.name)),
        contacts: different(labels.iter().map(|label| &label.contact)),
        sets: sets.iter().zip(&statuses).map(|(set, status)| set_page(set, status)).collect(),
        dataset,
        noticed,
    };
    let is_whole = page.is_whole();
    if let Some(dataset) = &mut page.dataset {
        dataset.is_whole &= is_whole;
    }
    Ok(Gathered { page, statuses })
}

/// Those that say something, each once.
fn different<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut different: Vec<String> = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !different.contains(text) {
            different.push(text.clone());
        }
    }
    different
}

/// What the dataset is; which set.txt counts is settled by the key from here on.
fn summary(
    sets: &mut [FoundSet],
    identities: &Identities,
    monitor: &dyn Monitor,
) -> Result<DatasetSummary, OpenError> {
    let mut opened = sets.to_vec();
    unlock::unlock(&mut opened, identities, &[], &Unreported(monitor))?;
    for set in &mut *sets {
        if let Some(opened) = opened.iter().find(|opened| opened.set == set.set) {
            *set = opened.clone();
        }
    }
    let mut summing = Summing::default();
    let mut add = |entry: &_, is_void| summing.add(entry, is_void);
    let listed = ls_sets(sets.to_vec(), identities, None, monitor, &mut add)?;
    Ok(summing.end(listed.complete))
}

fn set_page(set: &FoundSet, status: &SetStatus) -> SetPage {
    let closed = status.text.as_ref().map(|text| Closed {
        at: text.closed.clone(),
        root: text.root(),
        is_disputed: !set.rivals().is_empty(),
        further: match status.end {
            SetEnd::Open | SetEnd::Unknown => None,
            SetEnd::Further => Some(true),
            SetEnd::Last => Some(false),
        },
    });
    let verdict = &status.verdict;
    let custody::CustodyHistory { notes, rejected, left_out } = custody::history(set);
    SetPage {
        number: set.set,
        name: set.name(),
        begun: status.created.clone(),
        closed,
        in_use: status.in_use.clone(),
        is_foreign: status.is_foreign,
        survive: status.survive.clone(),
        guarantee: String::new(),
        verdict: String::new(),
        bytes: status.bytes,
        may_be_more: verdict.gaps || verdict.unknown > 0 || verdict.may_be_more,
        drive_count: set.drive_count(),
        drives: drives(set, status),
        history: CustodyHistory { notes, rejected, left_out },
    }
}

/// The drives of which at least the case is known.
fn drives(set: &FoundSet, status: &SetStatus) -> Vec<DrivePage> {
    let named = status.text.iter().flat_map(|text| &text.slots);
    let mut cases: BTreeMap<Slot, String> =
        named.filter_map(|line| Some((line.slot, line.known_case()?))).collect();
    for drive in status.drives.iter().filter(|drive| drive.slot != Slot(0)) {
        cases.entry(drive.slot).or_insert_with(|| drive.case.clone());
    }
    let seen = |slot: Slot| {
        let is_here = status.drives.iter().any(|drive| drive.slot == slot);
        let found = set.drive(slot).filter(|_| is_here)?;
        let room = found.drive.room().ok().map(|room| (room.total_bytes, room.free_bytes));
        Some(Seen { room })
    };
    let is_known = !status.slot_bytes.is_empty();
    let drive = |(slot, case): (Slot, String)| DrivePage {
        slot,
        case,
        bytes: is_known.then(|| status.slot_bytes.get(&slot).copied().unwrap_or(0)),
        seen: seen(slot),
    };
    cases.into_iter().map(drive).collect()
}

//! Shipments in progress on this machine: what is kept of them here, and forgetting one.

use crate::drives::lock::user_of_folder;
use crate::format::ids::{SetNumber, ShipmentId};
use crate::local_state::state::{ShipmentState, StateFolder};
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::io::ErrorKind;
use std::path::PathBuf;

pub use crate::local_state::LocalStateError as StateError;

/// A shipment in progress. What is kept of it is none if that cannot be read.
#[derive(Debug, Serialize)]
pub struct InProgress {
    pub shipment: ShipmentId,
    /// the dataset's name
    pub name: Option<String>,
    /// the dataset's path
    pub source: Option<String>,
    /// when it was begun; empty if nobody knows
    pub begun: Option<String>,
    /// closed sets
    pub sets: Option<u32>,
    /// the set that is not closed
    pub unclosed: Option<SetNumber>,
    /// a part of what is kept of it is damaged or gone
    pub damaged: bool,
    /// the program that is at work on it now
    pub in_use: Option<String>,
    /// what to type to resume it; none if it is damaged
    pub next: Option<String>,
}

impl fmt::Display for InProgress {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.shipment)?;
        if self.damaged {
            f.write_str(" (its state is damaged)")?;
        }
        if let Some(name) = self.name.as_ref().filter(|name| !name.is_empty()) {
            write!(f, " {name:?}")?;
        }
        if let Some(source) = &self.source {
            write!(f, " of {source}")?;
        }
        if let Some(begun) = self.begun.as_ref().filter(|begun| !begun.is_empty()) {
            write!(f, ", begun {begun}")?;
        }
        match self.sets {
            None | Some(0) => {}
            Some(1) => f.write_str(", 1 set closed")?,
            Some(n) => write!(f, ", {n} sets closed")?,
        }
        self.unclosed.map_or(Ok(()), |set| write!(f, ", set {set} not closed"))
    }
}

impl InProgress {
    /// What nobody can do any more when it is forgotten.
    pub fn lost_by_forgetting(&self) -> String {
        let set = match self.unclosed {
            Some(set) => format!("set {set} cannot be resumed, only closed as it is; "),
            None if self.sets.is_some() => String::new(),
            None => "an unclosed set of it cannot be resumed, only closed as it is; ".into(),
        };
        format!("{set}no further set of it can be packed. What lies on drives stays")
    }
}

/// A shipment that can be resumed, for whoever asks for its drives.
pub struct Resumable {
    pub shipment: ShipmentId,
    /// the dataset's path
    pub source: PathBuf,
    /// the cases of the drives of its last set, by slot
    pub last_cases: Vec<String>,
    /// the cases of all its sets
    pub cases: Vec<String>,
    /// the set that is not closed: its own drives are wanted
    pub unclosed: Option<SetNumber>,
}

/// The shipment that is named, or the only one in progress; none if it is not to be had, or if there
/// are several.
pub fn resumable(shipment: Option<ShipmentId>) -> Option<Resumable> {
    let all = StateFolder::all().ok()?;
    let shipment = match (shipment, &all[..]) {
        (Some(shipment), _) => shipment,
        (None, [only]) => *only,
        _ => return None,
    };
    let (state, _) = StateFolder::peek(shipment).ok()?;
    let unclosed = state.unclosed.as_ref();
    Some(Resumable {
        shipment,
        source: PathBuf::from(&state.asked.source),
        last_cases: unclosed.map_or(&state.cases, |set| &set.cases).clone(),
        cases: state.known_cases(),
        unclosed: unclosed.map(|set| set.number),
    })
}

/// What to do with a shipment whose state is damaged.
pub fn without_state(shipment: impl fmt::Display) -> String {
    format!(
        "a set of it that is not closed is kept as far as it is packed by holdall close \
         DRIVES; then holdall forget {shipment}, and pack again"
    )
}

/// The shipments in progress on this machine.
pub fn in_progress() -> Result<Vec<InProgress>, StateError> {
    Ok(StateFolder::all()?.into_iter().filter_map(peek).collect())
}

/// What is kept of one; none if it has just been completed.
fn peek(shipment: ShipmentId) -> Option<InProgress> {
    let in_use = StateFolder::path_of(shipment).ok().and_then(|path| user_of_folder(&path));
    let (state, damaged) = match StateFolder::peek(shipment) {
        Ok((state, rest)) => (Some(state), rest.is_err_and(|e| e.damaged().is_some())),
        Err(StateError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return None,
        Err(e) => (None, e.damaged().is_some()),
    };
    // What another program replaces is not damaged.
    let damaged = damaged && in_use.is_none();
    let state = state.as_ref();
    Some(InProgress {
        shipment,
        name: state.map(|state| state.asked.name.clone()),
        source: state.map(|state| PathBuf::from(&state.asked.source).display().to_string()),
        begun: state.map(|state| state.begun.clone()),
        sets: state.map(|state| state.sets),
        unclosed: state.and_then(|state| Some(state.unclosed.as_ref()?.number)),
        damaged,
        in_use,
        next: (!damaged).then(|| next(shipment, state)),
    })
}

/// What to type to resume a shipment.
fn next(shipment: ShipmentId, state: Option<&ShipmentState>) -> String {
    let mut text = format!("holdall resume {shipment}");
    match state.and_then(|state| state.unclosed.as_ref()) {
        Some(set) => set.cases.iter().for_each(|case| {
            let _ = write!(text, " --drive {case}=PATH");
        }),
        None => text += " --drive CASE=PATH ...",
    }
    if state.is_some_and(|state| state.asked.folder_drives) {
        text += " --folder-drives";
    }
    text
}

/// Removes what this machine keeps of a shipment; nothing on any drive.
pub fn forget(shipment: ShipmentId) -> Result<(), StateError> {
    StateFolder::of(shipment)?.remove()
}

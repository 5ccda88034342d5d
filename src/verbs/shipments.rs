//! Shipments in progress on this machine: what is kept of them here, and forgetting one.

use crate::format::ids::{SetNumber, ShipmentId};
use crate::host::state::{State, StateFolder};
use std::fmt::{self, Write as _};
use std::path::PathBuf;

pub use crate::host::HostError as StateError;

/// A shipment in progress.
#[derive(Debug)]
pub struct InProgress {
    /// its id
    pub shipment: ShipmentId,
    /// what is kept of it; none if that cannot be read
    pub facts: Option<Facts>,
}

/// What is kept of it.
#[derive(Debug)]
pub struct Facts {
    /// the dataset's name
    pub name: String,
    /// the dataset
    pub source: PathBuf,
    /// when it was begun; empty if nobody knows
    pub begun: String,
    /// closed sets
    pub sets: u32,
    /// the set that is not closed, and the cases of its drives
    pub unclosed: Option<(SetNumber, Vec<String>)>,
}

impl From<State> for Facts {
    fn from(state: State) -> Self {
        Self {
            name: state.asked.name,
            source: state.asked.source.into(),
            begun: state.begun,
            sets: state.sets,
            unclosed: state.unclosed.map(|set| (set.number, set.cases)),
        }
    }
}

impl fmt::Display for InProgress {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.shipment)?;
        let Some(facts) = &self.facts else { return f.write_str(" (its state is damaged)") };
        if !facts.name.is_empty() {
            write!(f, " {:?}", facts.name)?;
        }
        write!(f, " of {}", facts.source.display())?;
        if !facts.begun.is_empty() {
            write!(f, ", begun {}", facts.begun)?;
        }
        match facts.sets {
            0 => {}
            1 => f.write_str(", 1 set closed")?,
            n => write!(f, ", {n} sets closed")?,
        }
        match &facts.unclosed {
            Some((set, _)) => write!(f, ", set {set} not closed"),
            None => Ok(()),
        }
    }
}

impl InProgress {
    /// What to type to go on with it.
    pub fn next_command(&self) -> String {
        let mut text = format!("holdall pack --continue {}", self.shipment);
        match self.facts.as_ref().and_then(|facts| facts.unclosed.as_ref()) {
            Some((_, cases)) => cases.iter().for_each(|case| {
                let _ = write!(text, " --drive {case}=PATH");
            }),
            None => text += " --drive CASE=PATH ...",
        }
        text
    }

    /// What nobody can do any more when it is forgotten.
    pub fn lost_by_forgetting(&self) -> String {
        let set = match self.facts.as_ref().map(|facts| &facts.unclosed) {
            Some(None) => String::new(),
            Some(Some((set, _))) => format!("set {set} cannot be resumed, only closed as it is; "),
            None => "an unclosed set of it cannot be resumed, only closed as it is; ".into(),
        };
        format!("{set}no further set of it can be packed. What lies on drives stays")
    }
}

/// The shipments in progress on this machine.
pub fn in_progress() -> Result<Vec<InProgress>, StateError> {
    let facts = |shipment| StateFolder::peek(shipment).ok().map(Facts::from);
    let all = StateFolder::all()?.into_iter();
    Ok(all.map(|shipment| InProgress { shipment, facts: facts(shipment) }).collect())
}

/// Removes what this machine keeps of a shipment; nothing on any drive.
pub fn forget(shipment: ShipmentId) -> Result<(), StateError> {
    StateFolder::of(shipment)?.remove()
}

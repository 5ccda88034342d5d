//! The shipments that drives carry, as their labels tell of them.

use crate::format::ids::ShipmentId;
use crate::shipment::FoundSet;
use std::collections::BTreeMap;
use std::fmt;

/// A shipment on drives, as their labels tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedShipment {
    pub shipment: ShipmentId,
    /// the dataset's name
    pub name: String,
    /// when the first of its sets that is here was begun
    pub begun: String,
}

impl fmt::Display for CarriedShipment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shipment)?;
        if !self.name.is_empty() {
            write!(f, " {:?}", self.name)?;
        }
        // To the minute.
        let date: String = self.begun.replacen('T', " ", 1).chars().take(16).collect();
        if date.is_empty() { Ok(()) } else { write!(f, " of {date}") }
    }
}

/// The shipments of these sets, the latest last.
pub fn carried(sets: &[FoundSet]) -> Vec<CarriedShipment> {
    let mut all: BTreeMap<ShipmentId, CarriedShipment> = BTreeMap::new();
    for set in sets {
        let (shipment, label) = (set.shipment, set.label());
        all.entry(shipment).or_insert_with(|| CarriedShipment {
            shipment,
            name: label.name.clone(),
            begun: label.created.clone(),
        });
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|a, b| a.begun.cmp(&b.begun));
    all
}

/// In one line.
pub fn listed(all: &[CarriedShipment]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

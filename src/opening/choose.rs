//! Of several shipments on the same drives, the one that is meant.
//!
//! - Enters: drives that were named, or none; which shipment is wanted.
//! - Leaves: paths that lead into its folder on each drive, which is how every reading command takes
//!   one shipment of several.
//! - Always holds: which is the latest the labels say, and they can be forged: who must be sure gives
//!   the id, and the root.

use super::carried::{CarriedShipment, carried};
use super::open::{OpenError, carrying, drive_root, drives};
use crate::format::ids::{SetNumber, ShipmentId, set_folder};
use crate::format::layout::HOLDALL;
use crate::monitor::{Monitor, Recording};
use crate::shipment::find;
use std::path::PathBuf;

/// Which of several shipments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Shipment(ShipmentId),
    /// the one whose id begins so
    Beginning(String),
    /// the one that was begun last
    Latest,
}

/// The paths of these drives that lead to the shipment that is wanted.
pub fn choose(
    paths: &[PathBuf],
    wanted: Wanted,
    monitor: &dyn Monitor,
) -> Result<Vec<PathBuf>, OpenError> {
    let paths = if paths.is_empty() { carrying() } else { paths.to_vec() };
    let shipment = match wanted {
        Wanted::Shipment(shipment) => shipment,
        Wanted::Beginning(beginning) => {
            let mut shipments = on_drives(&paths, monitor)?;
            let is_meant = |one: &CarriedShipment| one.shipment.to_string().starts_with(&beginning);
            let meant: Vec<_> = shipments.iter().filter(|one| is_meant(one)).collect();
            match meant[..] {
                [one] => one.shipment,
                [] if shipments.is_empty() => return Ok(paths), // as below
                [] => return Err(OpenError::NotCarried { carried: shipments }),
                _ => {
                    shipments.retain(is_meant);
                    return Err(OpenError::Beginning { beginning, shipments });
                }
            }
        }
        Wanted::Latest => {
            let mut shipments = on_drives(&paths, monitor)?;
            match shipments.pop() {
                Some(latest) if shipments.last().is_some_and(|one| one.begun == latest.begun) => {
                    let begun = |one: &CarriedShipment| one.begun == latest.begun;
                    shipments.retain(begun);
                    shipments.push(latest);
                    return Err(OpenError::NoLatest { shipments });
                }
                Some(latest) => latest.shipment,
                None => return Ok(paths), // that there is none is said where they are opened
            }
        }
    };
    let folder = set_folder(shipment, SetNumber(1));
    Ok(paths.iter().map(|path| drive_root(path).join(HOLDALL).join(&folder)).collect())
}

/// The shipments that these drives carry, the latest last.
fn on_drives(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<CarriedShipment>, OpenError> {
    let found = find::find(&drives(paths, &Recording::default())?, &Recording::default());
    if monitor.should_stop() { Err(OpenError::Stopped) } else { Ok(carried(&found)) }
}

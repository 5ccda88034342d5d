//! Which of several shipments is meant: on the same drives (`--shipment` and `--latest`), or in progress
//! on this machine.

use super::args::common::{ShipmentArg, shipment};
use super::refusal::{Refusal, open_refusal};
use super::ui::Ui;
use crate::format::ids::ShipmentId;
use crate::opening::choose::{Wanted, choose};
use crate::pack_session::shipments;
use std::path::PathBuf;

/// Has `paths` lead to the shipment that is wanted, if one is.
pub fn choose_shipment(
    arg: &ShipmentArg,
    paths: &mut Vec<PathBuf>,
    ui: &Ui,
) -> Result<(), Refusal> {
    let latest = arg.latest.then_some(Wanted::Latest);
    if let Some(wanted) = arg.shipment.clone().or(latest) {
        *paths = choose(paths, wanted, ui.monitor()).map_err(open_refusal)?;
    }
    Ok(())
}

/// The shipment in progress on this machine that is named by its id or the beginning of it. A whole id
/// may be of none that is.
pub fn in_progress(text: &str) -> Result<ShipmentId, Refusal> {
    const LISTED: &str = "holdall status lists those that are in progress";
    let beginning = match shipment(text).map_err(|wrong| Refusal::usage(wrong, LISTED))? {
        Wanted::Shipment(shipment) => return Ok(shipment),
        Wanted::Beginning(beginning) => beginning,
        Wanted::Latest => unreachable!("no id says so"),
    };
    let mut all = shipments::in_progress().map_err(Refusal::failed)?;
    all.retain(|one| one.shipment.to_string().starts_with(&beginning));
    match &all[..] {
        [one] => Ok(one.shipment),
        [] => {
            let text = format!("no shipment {text} is in progress on this machine");
            Err(Refusal::usage(text, LISTED))
        }
        several => {
            let names: Vec<_> = several.iter().map(ToString::to_string).collect();
            let count = several.len();
            let text =
                format!("the ids of {count} shipments begin with {text}: {}", names.join("; "));
            Err(Refusal::usage(text, "write more of the one that is meant"))
        }
    }
}

//! `--shipment` and `--latest`: which of several shipments on the same drives is meant.

use super::args::common::ShipmentArg;
use super::refusal::{Refusal, open_refusal};
use super::ui::Ui;
use crate::opening::choose::{Wanted, choose};
use std::path::PathBuf;

/// Has `paths` lead to the shipment that is wanted, if one is.
pub fn choose_shipment(
    arg: &ShipmentArg,
    paths: &mut Vec<PathBuf>,
    ui: &Ui,
) -> Result<(), Refusal> {
    let latest = arg.latest.then_some(Wanted::Latest);
    if let Some(wanted) = arg.shipment.map(Wanted::Shipment).or(latest) {
        *paths = choose(paths, wanted, ui.monitor()).map_err(open_refusal)?;
    }
    Ok(())
}

//! Why there is no plan of a shipment.

use crate::dataset::{FilterError, ScanError};
use crate::pack_session::PackJobError;
use crate::plan::sets::RoundError;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Pack(#[from] PackJobError),
    #[error("scan the source")]
    Scan(#[from] ScanError),
    #[error("a pattern after --exclude")]
    Filter(#[from] FilterError),
    #[error("there is no plan that keeps the rule {}", .0.survive)]
    Round(#[source] RoundError),
    /// A drive of an inventory.
    #[error("{place}: {why}")]
    Inventory { place: String, why: String },
    #[error("no number of drives of this size holds it")]
    NoNumber,
}

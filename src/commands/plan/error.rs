//! Why there is no plan of a shipment.

use crate::dataset::{FilterError, ScanError};
use crate::monitor::shown_count;
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
    #[error("there is no plan that keeps the rule {}", .round.survive)]
    Round {
        #[source]
        round: RoundError,
        /// drives at a time that would do, if it is for that alone
        ports: Option<usize>,
    },
    /// A drive of an inventory.
    #[error("{place}: {why}")]
    Inventory { place: String, why: String },
    #[error("{} drives of this size do not hold it", shown_count(*drives))]
    NoNumber { drives: u64 },
}

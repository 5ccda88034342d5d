//! Results in words and in JSON.

mod packed;
pub mod planned;
mod planned_event;
mod restored;
mod status;
mod verdict;

pub use packed::{PackedEvent, Plan, guarantee, packed, plan};
pub use planned_event::ShipmentPlanEvent;
pub use restored::{RestoredEvent, drive_name, next_step, not_taken, restored};
pub use status::{StatusEvent, status};
pub use verdict::{FURTHER, JudgedSet, losses, never_closed, to_close, verdict_of_set};

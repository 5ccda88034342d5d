//! A pack session: the sets of one shipment, from the scan to the last read-back, over crashes and
//! changes of drives.
//!
//! - Enters: what to pack and how, or what this machine keeps of a shipment in progress; drives.
//! - Leaves: plans ([`Prepared`]) that each pack one set and read it back; sets that are closed
//!   early.
//! - Always holds: what counts is what the records on the drives and this machine's state agree on.

mod closing;
pub mod drives;
mod error;
mod obstacles;
mod outcome;
mod prepare;
mod prepared;
mod read_back;
mod resume;
pub mod shipments;
mod source;

pub use closing::{CloseError, ClosedSet, Closing, close, set_to_close};
pub use error::PackJobError;
pub use outcome::PackOutcome;
pub use prepare::{PackOptions, prepare_on};
pub use prepared::Prepared;
pub use resume::{Remaining, ResumeOptions, UnprovenSet, resume, resume_on};

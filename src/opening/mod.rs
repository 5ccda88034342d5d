//! From drives that were named to sets that can be read.
//!
//! - Enters: paths, identities, and roots that the user has from elsewhere.
//! - Leaves: the sets on these drives, settled, with the keys of their runs; which of them are
//!   foreign to their shipment.
//! - Always holds: nothing is written.

pub mod carried;
pub mod choose;
pub mod foreign;
pub mod open;
pub mod own_disks;
pub mod unlock;

//! What this machine and these drives can do, and the hours that a shipment will take.
//!
//! - Enters: a part of the dataset, or files that are made; drives; the size of a shipment.
//! - Leaves: rates of packing at several levels of compression, of checking and decoding, and of
//!   the drives; a prediction.
//! - Always holds: (1) the best of several runs counts, so that it is what the machine can do and
//!   not what else it did; (2) nothing stays on a drive; (3) a job that should stop does so within
//!   a moment, and what was measured is then worth nothing.
//!
//! The page of `holdall help performance` follows.
#![doc = include_str!("performance.md")]

pub mod devices;
pub mod estimate;
pub mod figures;
pub mod null;
pub mod predict;
pub mod sample;
pub mod whole;

//! holdall packs a dataset onto many removable drives and puts it back together elsewhere.

pub mod catalog;
pub mod cli;
pub mod dataset;
pub mod destination;
pub mod drives;
pub mod entropy;
pub mod format;
pub mod host;
pub mod keys;
pub mod monitor;
pub mod packer;
pub mod pipeline;
pub mod plan;
pub mod restorer;
pub mod sets;
pub mod stages;
pub mod verbs;

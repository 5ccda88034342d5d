//! holdall packs a dataset onto many removable drives and puts it back together elsewhere.


pub mod format;
pub mod monitor;
pub mod keys;
pub mod stages;
pub mod catalog;
pub mod dataset;
pub mod destination;
pub mod drives;
pub mod entropy;
pub mod host;
pub mod packer;
pub mod pipeline;
pub mod plan;
pub mod restorer;
pub mod sets;
pub mod verbs;
pub mod cli;

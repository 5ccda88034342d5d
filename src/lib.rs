//! holdall packs a dataset onto many removable drives, carried in several cases, and puts it back
//! together elsewhere: chunked, compressed, encrypted, hash-verified, with Reed–Solomon parity, so
//! that a lost drive or a whole lost case costs nothing.
//!
//! # The tour, in the order data meets it
//!
//! ```text
//!            dataset     the tree: scanned in one order, frozen on the host, read in pieces
//!               │
//!             plan       how many shards fit, and on which drives each stripe lies
//!               │
//!            stages      hash · compress · dedup · fill · seal · parity: bytes to bytes
//!               │
//!            packer      the road out: fills stripes, seals, commits, closes the set
//!               │
//!            drives      mounted file systems or memory, a writer thread each
//!               ┆        (four suitcases on the way)
//!             sets       what is found at the far end: records, damage, rebuilt blocks
//!               │  └─ repairer   made whole again where it lies, or on new drives
//!               │
//!           catalog      the entries, sealed, the same on every drive
//!               │
//!          restorer      the road back: batches of stripes to verified files
//!               │
//!         destination    the restored tree; nothing outside it is ever touched
//! ```
//!
//! [`format`] is the bytes of all this and holds their specification; [`patterns`] what paths are
//! meant by `--include` and `--exclude`; [`keys`] the run key and the
//! recipients; [`host`] what the packing machine keeps while it packs; [`monitor`] how a job
//! reports; [`pipeline`] the CPU threads; [`measure`] what a machine and its drives can do; [`memory`] how much of it a command may take; [`entropy`] randomness and time, passed in. [`verbs`] wires
//! the parts, one user verb each; [`cli`] is the command line. Imports point one way: cli → verbs →
//! parts → format.

pub mod patterns;

pub mod dataset;
pub mod host;

pub mod plan;

pub mod keys;
pub mod measure;
pub mod memory;
pub mod pipeline;
pub mod stages;

pub mod drives;
pub mod packer;

pub mod catalog;
pub mod sets;

pub mod repairer;

pub mod destination;
pub mod restorer;

pub mod entropy;
pub mod format;
pub mod monitor;

pub mod cli;
pub mod verbs;

//! holdall packs a dataset onto many removable drives, carried in several cases, and puts it back
//! together elsewhere: chunked, compressed, encrypted, hash-verified, with Reed–Solomon parity, so
//! that a lost drive or a whole lost case costs nothing.
//!
//! # The tour, in the order data meets it
//!
//! ```text
//!            dataset     the tree: scanned in one order into a snapshot, read in pieces
//!               │
//!             plan       how many shards fit, and on which drives each stripe lies
//!               │
//!            stages      hash · compress · dedup · fill · seal · parity: bytes to bytes
//!               │
//!            packer      the way out: fills stripes, seals, commits, closes the set
//!               │
//!            drives      mounted file systems or memory, a writer thread each
//!               ┆        (four suitcases on the way)
//!           shipment     the sets found at the far end, and whose word counts: records, set.txt
//!               │
//!            stripes     blocks read ahead, and reconstructed from what is there
//!               │  └─ check      drives against their records: reports, the damage map
//!               │  └─ repairer   drives repaired in place, or reconstructed on new ones
//!               │
//!           catalog      the entries, sealed, the same on every drive
//!               │
//!          restorer      the way back: batches of stripes to verified files
//!               │
//!         destination    the restored tree; nothing outside it is ever touched
//! ```
//!
//! [`shards`] is one shard on one drive; [`metadata_files`] what else lies there: label, keys,
//! records, catalog, set.txt, checklist, README. [`mod@format`] is the bytes of all this, and holds
//! their specification; [`patterns`] the paths that `--include` and `--exclude` match; [`keys`] the
//! run key and the recipients; [`local_state`] what the packing machine keeps while it packs;
//! [`restore_journal`] what a restore notes in its destination, and the drives that it awaits;
//! [`monitor`] how a job reports; [`pipeline`] the CPU threads; [`measure`] what a machine and its
//! drives can do; [`memory`] how much of it a command may use; [`entropy`] randomness and time,
//! passed in. [`opening`] finds the sets on drives that were named, with their keys;
//! [`verification`] is what verify finds; [`pack_session`] leads a shipment from its scan to its
//! last set; [`report`] is the page that travels with it. [`commands`] wires the parts, one
//! command each; [`cli`] is the command line.
//!
//! Imports point down only: cli → commands → parts → format. All modules are private: the program
//! needs [`run`] alone, and tests and benches name the rest through `testing`.

mod patterns;

mod dataset;
mod local_state;

mod plan;

mod keys;
mod measure;
mod memory;
mod pipeline;
mod stages;

mod drives;
mod packer;

mod catalog;
mod check;
mod metadata_files;
mod shards;
mod shipment;
mod stripes;

mod repairer;

mod destination;
mod restore_journal;
mod restorer;

mod opening;
mod pack_session;
mod report;
mod verification;

mod entropy;
mod format;
mod monitor;

mod cli;
mod commands;

pub use cli::run::run;

#[doc(hidden)]
pub mod testing;

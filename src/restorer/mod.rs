//! The road back: the items of a set, stripe by stripe, to files at the destination.
//!
//! - Enters: a set's drives, records and keys; a destination.
//! - Leaves: files under their final names, complete and verified; and exactly what is not there.
//! - Always holds: (1) nothing is used before its record's hash and its tag match; (2) an extent
//!   is hashed before it is written, a file's root is compared before it gets its name; (3) what
//!   cannot be had is listed by file, and the rest is restored; (4) memory: what is read ahead, two
//!   batches that are opened, and a chunk for each core.
//!
//! [`items`] come in order (from the catalog, or from the shards' own lists); [`batch`]
//! cuts them where enough stripes are named; the drives read the batches' blocks ahead; [`decode`]
//! checks, reconstructs and opens; [`write`] verifies and writes in parallel; [`files`] follows
//! large files to their roots, in order; [`spanning`] those that run on into other sets; [`finish`]
//! makes hard links and sets the folders' metadata; the [`ledger`] of each set keeps what is not
//! there, [`not_taken`] and [`packing_faults`] what never was as it should be, and the [`end`] of a run
//! reports it; [`finished`] is for a restore that is asked for once more. [`check`] goes the same
//! way with an [`output`] that forgets everything. What is [`special`] is counted, or left out.
//! With `--include` or `--exclude` [`selected`] lets pass what is asked for, and [`promotion`]
//! restores a file of which only a further name is. [`pieces`] and [`stage`] keep what one run with
//! few drives leaves to the next. [`room`] says before what it will take.
//!
//! The page of `holdall help restore` follows.
#![doc = include_str!("restore.md")]

mod account;
mod batch;
mod catalog_items;
pub mod check;
mod chunk_runs;
mod decode;
pub mod end;
mod error;
mod fate;
mod files;
mod finish;
pub mod finished;
mod followed_file;
mod items;
mod ledger;
mod list_items;
mod needed;
mod not_taken;
mod open_set;
mod options;
mod output;
mod packing_faults;
mod pass;
mod pieces;
mod promotion;
mod refusals;
mod restore;
mod restored;
pub mod room;
pub mod selected;
mod spanning;
mod special;
pub mod stage;
mod walk;
mod write;

pub use catalog_items::CatalogItems;
pub use decode::opens_one;
pub use error::RestoreError;
pub use fate::EntryFate;
pub use items::Items;
pub use list_items::ListItems;
pub use needed::NeededDrives;
pub use open_set::{OpenSet, note_end};
pub use options::RestoreOptions;
pub use output::{METADATA, Output};
pub use packing_faults::{Bounds, UNREAD};
pub use restore::{decode, restore};
pub use restored::Restored;
pub use spanning::forget_set;
pub use special::Specials;

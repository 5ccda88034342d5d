//! Restoring: the items of a set, stripe by stripe, to files at the destination.
//!
//! - Enters: a set's drives, records and keys; a destination.
//! - Leaves: files under their final names, complete and verified; a list of all that is missing.
//! - Always holds: (1) nothing is used before its record's hash and its tag match; (2) an extent is
//!   hashed before it is written, and a file's root is compared before the file gets its name; (3)
//!   what cannot be restored is listed file by file, and the rest is restored; (4) memory: what is
//!   read ahead, two opened batches, and one chunk per core.
//!
//! From top to bottom: [`restore`](mod@restore) is the top of the pipeline. It runs a [`pass`] over
//! the [`items`] of a set (from its catalog, [`catalog_items`], or from the shards' own lists,
//! [`list_items`]). A pass cuts them into [`batch`]es, has the drives read ahead, reconstructs and
//! opens stripes ([`decode`](mod@decode)), verifies and writes in parallel ([`write`](mod@write)),
//! and in order follows larger files to their roots ([`files`], [`followed_file`]), the
//! [`spanning`] ones across sets. [`finish`] then makes hard links and sets the folders' metadata.
//! Whatever is not there is kept in the [`ledger`] of each set, together with what the packer could
//! not take ([`not_taken`], [`packing_faults`]); the [`end`] of a run reports it. With `--include`
//! or `--exclude`, [`selected`] lets pass what is asked for, and [`promotion`] restores a file of
//! which only a further name is selected; [`special`] counts devices and other privileged entries,
//! or leaves them out. [`pieces`] and [`stage`] keep what one run with few drives leaves to the
//! next. Beside it: [`check`] sends the same pass to an [`output`] that forgets everything,
//! [`room`] says beforehand how much will be written, [`one_chunk`](mod@one_chunk) decodes one for
//! whoever compares, and [`finished`] looks at a tree that was
//! restored before.
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
mod file_end;
mod files;
mod finish;
pub mod finished;
mod followed_file;
mod items;
mod ledger;
mod list_items;
mod needed;
mod not_taken;
mod one_chunk;
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
pub use one_chunk::one_chunk;
pub use open_set::{OpenSet, note_end};
pub use options::RestoreOptions;
pub use output::{METADATA, Output};
pub use packing_faults::{Bounds, UNREAD};
pub use restore::{decode, restore};
pub use restored::Restored;
pub use spanning::forget_set;
pub use special::Specials;

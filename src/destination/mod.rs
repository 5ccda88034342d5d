//! The restored tree: DIR, and in it what the dataset's entries say.
//!
//! - Enters: entries with any path whatever, and their bytes, from many threads at once.
//! - Leaves: the tree, entry by entry under final names; what metadata could not be set; small
//!   state files for the journal of the restore.
//! - Always holds: (1) nothing outside DIR is touched, whatever an entry says and whatever lies in
//!   DIR: everything is done with one name relative to an open folder, and no symlink is followed;
//!   (2) a path may be of any length and depth, with a constant number of open folders; (3) a file
//!   has its final name only when the caller says it is whole, and metadata comes before the name;
//!   (4) the working folder, `DIR/.holdall`, is the restore's own, and it is there from before the
//!   first entry until [`Destination::complete`]; it has another name where the dataset has that
//!   one, and an entry of its name is refused; (5) a DIR that holds anything else than a restore of
//!   the same shipment is not touched.
//!
//! A folder that is moved away during the restore keeps its handle: what is put into it goes
//! where it is now, and [`Destination::finish_folder`], which opens it by name, then fails.
//!
//! With `--map-names` an entry whose name cannot be has another in DIR ([`mapping`], [`name_list`]); paths
//! that enter are those of the dataset all the same.
//!
//! In `DIR/.holdall`: `restore.json` (whose restore this is), `parts/` (files that are not whole, and
//! have to have a name) and the caller's state files.

mod at;
mod claim;
mod copy;
mod dir;
mod error;
mod folders;
mod layout;
mod lines;
mod litter;
mod mapping;
mod metadata;
mod name_list;
mod name_map;
mod owners;
mod part;
mod peek;
mod place;
mod spelling;
mod state;
mod tally;
mod tree;
mod unkept;
mod work_files;

pub use claim::{DirState, RestoreOf};
pub use dir::{Destination, FoundKind};
pub use error::{BAD_NAME, DestinationError};
pub use layout::{NAMES, WORK};
pub use lines::StateLines;
pub use metadata::{AttributeKind, MetadataProblem, attribute_kind};
pub use owners::Owners;
pub use part::PartFile;
pub use peek::Peek;
pub use place::{OnConflict, PlaceResult};
pub use tally::Unkept;
pub use tree::Tree;
pub use unkept::UnkeptSoFar;

#[cfg(test)]
mod tests;

//! The catalog: the lists of a set again, in one place, the same copy on every drive.
//!
//! - Enters: the items of each committed stripe, in order; or sealed catalog files.
//! - Leaves: sealed parts and an index; or items in order, all of them or from one path on.
//! - Always holds: (1) a part covers a run of entries and is written with the record file that
//!   commits their stripes; (2) every frame is a list that stands alone; (3) memory is one part
//!   when writing and a few blocks when reading.

pub mod reader;
pub mod writer;

pub use reader::CatalogReader;
pub use writer::CatalogWriter;

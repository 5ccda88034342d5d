//! Patterns of paths, and paths, as they are typed.
//!
//! - Enters: the words of `--include` and `--exclude`, and the list of `--files-from`.
//! - Leaves: which paths they match ([`filter`] has the rules, once for all commands), and for a
//!   restore which stretches of a catalog can hold them ([`selection`]); which paths a list names
//!   ([`listed`]).
//! - Always holds: a path is bytes and need not be UTF-8.

pub mod filter;
pub mod lines;
pub mod listed;
pub mod selection;
pub mod typed;

pub use filter::{Filter, FilterError};
pub use listed::ListedPaths;
pub use selection::Selection;

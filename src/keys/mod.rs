//! Keys: the run key and what is derived from it, and how it is wrapped to recipients.
//!
//! - Enters: random bytes from the operating system; recipients; identities.
//! - Leaves: keys of single use, a commitment, MACs, age files.
//! - Always holds: (1) a run key is in memory only, wiped when dropped, and written only wrapped;
//!   (2) every derivation has its own context and input of fixed length, so no two keys are equal;
//!   (3) keyless verify and repair import nothing from here; (4) no error quotes a key, or a line of
//!   a key file: a key is named by its kind and its place.
//!
//! The page of `holdall help security` follows.
#![doc = include_str!("security.md")]

mod error;
mod file;
pub mod kind;
pub mod recipients;
pub mod run;

pub use error::KeyError;
pub use run::RunKey;

#[cfg(test)]
mod tests;

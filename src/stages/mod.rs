//! The steps between files and shards: pure, bytes to bytes, both directions in one file.
//!
//! On the way out: hash and compress a chunk ([`hash`], [`compress`]), list what is in it
//! ([`listing`]), drop what was packed before ([`dedup`]), lay chunks and lists into a stripe
//! ([`fill`]), seal and hash its blocks ([`seal`], with [`aead`]), add parity ([`parity`]). On the way
//! back the same files open, reconstruct, and decompress.

pub mod aead;
pub mod compress;
pub mod dedup;
pub mod fill;
pub mod hash;
pub mod listing;
pub mod parity;
pub mod seal;

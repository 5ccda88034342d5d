//! A plan, or why there is none: pure arithmetic, no file and no clock.
//!
//! - [`case_path`]: a drive as the user names it.
//! - [`cipher`]: which cipher, and whether this machine's CPU has instructions for AES.
//! - [`effort`]: how hard chunks are compressed.
//! - [`survive`]: what may be lost without losing data, as the user writes it.
//! - [`place`]: on which drives each stripe lies, so that this is kept.
//! - [`geometry`]: how large chunks, blocks and shards are.
//! - [`room`]: bytes to shards: what a drive must keep free, and whether a dataset fits.
//! - [`rounds`]: which drives are attached together, and how to deal them to the cases.
//! - [`sets`]: all sets of a shipment: what each holds, and what is missing or cannot be used.
//! - [`odds`]: how likely a loss is that the rule does not cover.

pub mod case_path;
pub mod cipher;
pub mod effort;
pub mod geometry;
pub mod odds;
pub mod place;
pub mod room;
pub mod rounds;
pub mod sets;
pub mod survive;

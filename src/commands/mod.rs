//! One command each: they wire the parts and hold no algorithm.

pub mod against;
pub mod bench;
pub mod custody;
pub mod decode;
pub mod demo;
pub mod drives;
pub mod erase;
pub mod keygen;
pub mod ls;
pub mod pack;
pub mod plan;
pub mod repair;
pub mod report;
pub mod restore;
pub mod restore_status;
pub mod status;
pub mod verify;

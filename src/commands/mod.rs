//! One user verb each: they wire the parts and hold no algorithm.

pub mod bench;
pub mod chain;
pub mod decode;
pub mod demo;
pub mod erase;
pub mod keygen;
pub mod ls;
pub mod open;
pub mod own_disks;
pub mod pack;
pub mod repair;
pub mod restore;
pub mod restore_status;
pub mod shipments;
pub mod status;
pub mod unlock;
pub mod verify;

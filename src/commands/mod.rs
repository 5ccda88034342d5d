//! One user verb each: they wire the parts and hold no algorithm.

pub mod bench;
pub mod chain;
pub mod decode;
pub mod demo;
pub mod erase;
pub mod identity;
pub mod keygen;
pub mod ls;
pub mod next;
pub mod open;
pub mod own_disks;
pub mod pack;
pub mod progress;
pub mod repair;
pub mod restore;
pub mod restoring;
pub mod shipments;
pub mod slots;
pub mod status;
pub mod unlock;
pub mod verify;

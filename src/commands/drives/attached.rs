//! A drive that is attached, and what is known of it.

use crate::drives::detect::MountedDrive;
use crate::drives::hardware::{Connection, Hardware};
use crate::drives::health::Health;
use crate::drives::{Level, Proof, Room};
use crate::opening::own_disks::{Own, is_where_drives_are_mounted};
use serde::Serialize;
use std::path::PathBuf;

/// A set of which a part lies on a drive, as its label there says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetHere {
    pub set: String,
    /// the dataset's name
    pub name: String,
    pub case: String,
    pub slot: u16,
    /// when the label was written
    pub created: String,
}

/// What a drive tells when it is opened.
#[derive(Clone, Debug)]
pub struct Facts {
    pub room: Room,
    /// the level that a read-back would reach
    pub level: Level,
    pub proof: Proof,
    pub is_writable: bool,
    pub sets: Vec<SetHere>,
    /// the program that is at work on one of them
    pub in_use: Option<String>,
}

/// A drive that is attached.
#[derive(Clone, Debug)]
pub struct Attached {
    pub path: PathBuf,
    pub mount: MountedDrive,
    pub hardware: Hardware,
    /// the disk of this machine that it is, or a part of
    pub own: Option<Own>,
    /// it is another file system on that disk
    pub is_partition: bool,
    /// none if it does not answer; else what it tells, or why it cannot be opened
    pub facts: Option<Result<Facts, String>>,
    /// what its disk says of itself; none if nobody could ask it
    pub health: Option<Health>,
    /// bytes per second that somebody reads or writes
    pub busy: u64,
    /// the case in which it travelled before
    pub known_case: Option<String>,
    pub warnings: Vec<Warning>,
}

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// a word for programs
    pub kind: &'static str,
    pub text: String,
    /// packing refuses it, or says so itself
    #[serde(skip)]
    pub is_told_by_packing: bool,
}

impl Attached {
    /// What it tells, if it tells anything.
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()?.as_ref().ok()
    }

    /// Is it one that people carry, as far as one can tell? What is built in is not proposed.
    pub fn is_carried(&self) -> bool {
        self.hardware.is_removable
            || self.hardware.connection == Connection::Loop
            || is_where_drives_are_mounted(&self.mount.point)
    }

    /// May it be packed onto?
    pub fn is_usable(&self) -> bool {
        self.own.is_none() && self.facts().is_some_and(|facts| facts.is_writable)
    }
}

//! How a command ends: its status.
//!
//! - Enters: the outcomes of a command's parts.
//! - Leaves: one exit status.
//! - Always holds: (1) the numbers never change, scripts depend on them; (2) a merged status is
//!   the worse of its two, in the order of [`Status::merge`].
//!
//! The page of `holdall help errors` follows.
#![doc = include_str!("errors.md")]

use std::process::ExitCode;

/// What a command's exit status says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// all of it was done
    #[default]
    Done = 0,
    /// it could not be done, or something is lost
    Failed = 1,
    /// the command line asks for what cannot be
    Usage = 2,
    /// done, with problems that were listed
    Problems = 3,
    /// files wait for drives that are not attached
    Waiting = 4,
}

impl Status {
    /// The status of two parts together: usage stands before all, then 1 before 4 before 3 before
    /// 0.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.weight() >= other.weight() { self } else { other }
    }

    fn weight(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Problems => 1,
            Self::Waiting => 2,
            Self::Failed => 3,
            Self::Usage => 4,
        }
    }

    /// The number the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Done, Failed, Problems, Usage, Waiting};
    use rstest::rstest;

    /// From mildest to worst.
    const ORDER: [Status; 5] = [Done, Problems, Waiting, Failed, Usage];

    #[test]
    fn the_worse_status_wins_whatever_the_order() {
        for (i, &a) in ORDER.iter().enumerate() {
            for (j, &b) in ORDER.iter().enumerate() {
                assert_eq!(a.merge(b), ORDER[i.max(j)], "{a:?} {b:?}");
            }
        }
    }

    #[rstest]
    #[case(Done, 0)]
    #[case(Failed, 1)]
    #[case(Usage, 2)]
    #[case(Problems, 3)]
    #[case(Waiting, 4)]
    fn the_numbers_are_fixed(#[case] status: Status, #[case] code: u8) {
        assert_eq!(status.code(), code);
        assert_eq!(ExitCode::from(status), ExitCode::from(code));
    }
}

//! What keeps keys in this process's memory from being written to a disk.
//!
//! - Enters: nothing; it is done once, before any key is read.
//! - Leaves: a process that leaves no core dump.
//! - Always holds: it is never a reason to stop. Swap and hibernation are the machine's own matter.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// No crash writes this process's memory anywhere. The limit alone does not hold for a program that
/// the system pipes core dumps to, as systemd does.
pub fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    // A system that refuses these leaves things as they were.
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    // Security S12: "run key in memory only" was not true of an abort.
    #[test]
    fn a_crash_leaves_no_core_dump() {
        forbid_core_dumps();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        // Handles are reached by their names in /proc all the same.
        assert!(std::fs::read_dir("/proc/self/fd").is_ok());
    }
}

//! What keeps secret keys from being written where they can be read.
//!
//! - Enters: the words that were typed; the rest is done once, before any key is read.
//! - Leaves: a process that leaves no core dump; whether a key was typed in place of something else.
//! - Always holds: that no core dump can be prevented is never a reason to stop. Swap and hibernation
//!   are the machine's own matter.

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

/// Options that take keys, or files of them, and answer to a secret key themselves.
const OF_KEYS: [&str; 6] = ["-i", "-r", "-R", "--identity", "--recipient", "--recipients-file"];
/// How secret keys begin.
const SECRETS: [&str; 2] = ["AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1"];
/// Letters of its own by which a key is known for one.
const LEAST_LETTERS: usize = 8;

/// Is there a secret key among these words, where none belongs? It would be written to drives, be
/// the name of a file, or be shown.
pub fn is_key_typed(words: impl IntoIterator<Item = String>) -> bool {
    let mut is_value = false;
    words.into_iter().any(|word| {
        let was_value = std::mem::replace(&mut is_value, OF_KEYS.contains(&word.as_str()));
        let is_of_keys = OF_KEYS.iter().any(|option| match word.strip_prefix(option) {
            Some(rest) => !option.starts_with("--") || rest.starts_with('='),
            None => false,
        });
        !was_value && !is_of_keys && has_key(&word)
    })
}

fn has_key(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    SECRETS.iter().any(|secret| {
        upper.match_indices(secret).any(|(at, _)| {
            let own = upper.as_bytes()[at + secret.len()..].iter();
            own.take_while(|byte| byte.is_ascii_alphanumeric()).count() >= LEAST_LETTERS
        })
    })
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

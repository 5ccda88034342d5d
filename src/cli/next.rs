//! The commands that are printed as next steps: they work when typed as they stand.

use crate::drives::Proof;
use crate::format::shown::typed;
use std::ffi::OsString;
use std::fmt::Write as _;

/// `holdall VERB DRIVE…`, quoted for a shell.
pub fn command<'a>(verb: &str, drives: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = format!("holdall {verb}");
    for drive in drives {
        let _ = write!(text, " {}", typed(drive));
    }
    text
}

/// What was typed, with this behind the command.
pub fn again_with(options: &str) -> String {
    with_options(std::env::args_os().skip(1), options)
}

fn with_options(words: impl Iterator<Item = OsString>, options: &str) -> String {
    let (mut text, mut is_added) = (String::from("holdall"), false);
    for word in words {
        let word = word.to_string_lossy();
        // A word with a zero byte cannot have been typed.
        let _ = write!(text, " {}", shlex::try_quote(&word).unwrap_or_default());
        if !is_added && !word.starts_with('-') {
            let _ = write!(text, " {options}");
            is_added = true;
        }
    }
    text
}

/// The value of an option that was typed.
pub fn typed_value(option: &str) -> Option<String> {
    value_of(std::env::args_os().skip(1), option)
}

fn value_of(words: impl Iterator<Item = OsString>, option: &str) -> Option<String> {
    let mut words = words.map(|word| word.to_string_lossy().into_owned());
    words
        .find_map(|word| match word.strip_prefix(option)? {
            "" => Some(None),
            rest => rest.strip_prefix('=').map(|value| Some(value.to_owned())),
        })?
        .or_else(|| words.next())
}

/// How to prove what lies on these drives, all of which answer.
pub fn to_prove(drives: &[(&str, Proof)]) -> String {
    let of = |wanted: Proof| -> Vec<&str> {
        drives.iter().filter(|(_, proof)| *proof == wanted).map(|(name, _)| *name).collect()
    };
    let (replug, elsewhere) = (of(Proof::Replug), of(Proof::Elsewhere));
    let verify = command("verify", drives.iter().map(|(name, _)| *name));
    let mut t = String::new();
    if elsewhere.len() < drives.len() {
        let first = match &replug[..] {
            [] => String::new(),
            names => format!("unplug {}, attach again, then run ", names.join(", ")),
        };
        let _ = writeln!(t, "To prove it: {first}{verify}");
        if !replug.is_empty() {
            t.push_str("(As root, no need to unplug them: root can read past the caches.)\n");
        }
    }
    if !elsewhere.is_empty() {
        let _ = writeln!(
            t,
            "{}: nothing that is read here can prove it, as a cache lies in between (a network or \
             cloud mount). Verify it on the machine that the drive is attached to.",
            elsewhere.join(", "),
        );
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_printed_to_be_typed() {
        let typed = |words: &[&str]| with_options(words.iter().map(OsString::from), "--latest");
        let again = "holdall --json restore --latest '/media/my usb' -i me.key --to x";
        let words = ["--json", "restore", "/media/my usb", "-i", "me.key", "--to", "x"];
        assert_eq!(typed(&words), again);
        assert_eq!(typed(&["ls", "--", "-x"]), "holdall ls --latest -- -x");
    }

    #[test]
    fn an_option_is_found_as_it_was_typed() {
        let value = |words: &[&str]| value_of(words.iter().map(OsString::from), "--plan");
        assert_eq!(value(&["pack", "--plan", "my plan"]).as_deref(), Some("my plan"));
        assert_eq!(value(&["pack", "--plan=p", "-x"]).as_deref(), Some("p"));
        assert_eq!(value(&["pack", "--planned", "p"]), None);
    }

    /// Review A20, shape A: an rclone mount can never be proven here.
    #[test]
    fn only_what_verify_can_prove_is_to_be_verified() {
        let read = to_prove(&[("a", Proof::Read), ("my drive", Proof::Read)]);
        assert_eq!(read, "To prove it: holdall verify a 'my drive'\n");
        let replug = to_prove(&[("a", Proof::Read), ("b", Proof::Replug)]);
        assert!(replug.contains("unplug b, attach again, then run holdall verify a b\n"));
        let remote = to_prove(&[("rm", Proof::Elsewhere)]);
        assert!(remote.starts_with("rm: nothing") && !remote.contains("holdall verify"));
    }
}

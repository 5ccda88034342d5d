//! What is installed beside the program works in the shells and the manual readers that are here.

use crate::{COMMANDS, holdall};
use std::path::Path;
use std::process::Command;

/// The program's completions for a shell.
fn completions(shell: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let made = holdall(folder.path()).args(["completions", shell]).assert().code(0);
    String::from_utf8(made.get_output().stdout.clone()).unwrap()
}

/// What bash offers for these words, the last of which is not finished.
fn offered(words: &[&str]) -> Vec<String> {
    let script = completions("bash");
    let typed = words.join(" ");
    let at = words.len() - 1;
    let asked = format!(
        "{script}\nCOMP_WORDS=({typed}); COMP_CWORD={at}; COMP_LINE='{typed}'\n\
         _holdall holdall '{}' '{}'\necho \"${{COMPREPLY[@]}}\"",
        words[at],
        words[at - 1]
    );
    let run = Command::new("bash").args(["--norc", "-c", &asked]).output().unwrap();
    assert!(run.stderr.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().split_whitespace().map(Into::into).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let found = offered(&["holdall", "re"]);
    let expected: Vec<_> = COMMANDS.iter().filter(|name| name.starts_with("re")).collect();
    assert!(!expected.is_empty() && expected.iter().all(|e| found.iter().any(|f| f == *e)));
    assert_eq!(offered(&["holdall", "restore", "--give"]), ["--give-up"]);
    assert_eq!(offered(&["holdall", "pack", "x", "--cipher", "a"]), ["aes256", "auto"]);
    assert!(!offered(&["holdall", "pack", "--"]).contains(&"--geometry".to_owned()), "for tests");
    // Bash names files itself, and quotes them; a list of ours would be split at blanks.
    assert!(offered(&["holdall", "pack", "x", "--drive", "/"]).is_empty());
}

#[test]
fn other_shells_parse_their_completions() {
    for shell in ["fish", "zsh"] {
        let folder = tempfile::tempdir().unwrap();
        let (script, path) = (completions(shell), folder.path().join("script"));
        assert!(script.contains("give-up"), "{script}");
        // What clap leaves out: values without an option; the path behind a case; options behind a
        // path.
        let (with, without) = match shell {
            "fish" => ("-f -a \"bash fish zsh\"", "-f -a \"\""),
            _ => ("compset -P 1 \"*=\"", "\n'*::"),
        };
        assert!(script.contains(with) && !script.contains(without), "{script}");
        std::fs::write(&path, script).unwrap();
        if let Ok(parsed) = Command::new(shell).arg("-n").arg(&path).output() {
            assert!(parsed.status.success(), "{parsed:?}");
        }
    }
}

/// The page as it is read, without a warning of the formatter.
fn read(page: &Path) -> Option<String> {
    let mut groff = Command::new("groff");
    let shown = groff.args(["-man", "-Tascii", "-ww", "-P-cbou"]).arg(page).output().ok()?;
    assert!(shown.stderr.is_empty(), "{}", String::from_utf8_lossy(&shown.stderr));
    Some(String::from_utf8(shown.stdout).unwrap())
}

#[test]
fn each_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new/man1");
    // Twice: after an update they are written anew.
    for _ in 0..2 {
        holdall(folder.path()).arg("man").arg(&dir).assert().code(0);
    }
    let mut names: Vec<String> = COMMANDS.iter().map(|name| format!("holdall-{name}.1")).collect();
    names.push("holdall.1".into());
    names.sort();
    let mut found: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, names);
    let of_all = std::fs::read_to_string(dir.join("holdall.1")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        of_all.contains(&format!(".TH holdall 1 \"\" \"holdall {version}\"")),
        "no date: {of_all}"
    );
    for name in names {
        let Some(text) = read(&dir.join(&name)) else { continue };
        assert!(text.contains("EXAMPLE") && text.contains("SYNOPSIS"), "{name}:\n{text}");
    }
    let Some(pack) = read(&dir.join("holdall-pack.1")) else { return };
    assert!(pack.contains("--survive") && !pack.contains("--geometry"), "{pack}");
    let typed =
        |line: &str| line.ends_with('\\') && line.contains("  holdall pack photos --drive ");
    assert!(pack.lines().any(typed), "as it is typed:\n{pack}");
}

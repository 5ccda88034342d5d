//! What the integration tests share: running the program, comparing trees, saying what cannot run
//! here.
//!
//! A test that cannot run on this machine calls [`skip`] and returns; `tests/run` counts it as
//! skipped, and with `CI=true` as failed.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod counting;
pub mod faulty;
pub mod generated;
pub mod images;
pub mod lab;
pub mod mounted;
pub mod oracle;
pub mod random;
pub mod shipment;
pub mod snapshot;
pub mod terminal;
pub mod throttled;
pub mod tree;

use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Notes that the running test cannot run here, and why. The caller returns.
#[track_caller]
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let place = std::panic::Location::caller();
    // With one test thread, tests run on the main thread.
    let test = match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => format!("{}:{}", place.file(), place.line()),
    };
    if let Some(path) = std::env::var_os("HOLDALL_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{test}: {reason}\n").as_bytes()).unwrap();
    }
    println!("skipped: {test}: {reason}");
}

/// Whether all these programs are here; skips the test if not.
#[track_caller]
pub fn has_programs(names: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let lacking = names.iter().find(|name| !folders.iter().any(|f| f.join(name).is_file()));
    if let Some(name) = lacking {
        skip(&format!("{name} is not installed"));
    }
    lacking.is_none()
}

/// Are we root?
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// How a run of the program ended, and what it said.
pub struct Run {
    /// the exit status; -1 if a signal ended it
    pub status: i32,
    /// standard output
    pub stdout: String,
    /// standard error
    pub stderr: String,
}

impl Run {
    /// The JSON lines of standard output; every line must be one.
    pub fn events(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The events of this name.
    pub fn events_of(&self, name: &str) -> Vec<Value> {
        self.events().into_iter().filter(|e| e["event"] == name).collect()
    }

    /// The only event of this name.
    pub fn event(&self, name: &str) -> Value {
        let mut events = self.events_of(name);
        assert_eq!(events.len(), 1, "one {name} event: {}", self.shown());
        events.remove(0)
    }

    /// Subject and detail of the problems told.
    pub fn problems(&self) -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let problems = self.events_of("problem");
        problems.iter().map(|p| (text(&p["subject"]), text(&p["detail"]))).collect()
    }

    /// Everything, for a failure's message.
    pub fn shown(&self) -> String {
        format!("status {}\n--- stdout\n{}--- stderr\n{}", self.status, self.stdout, self.stderr)
    }

    /// Fails unless it ended with this status.
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}", self.shown());
        assert!(!self.stderr.contains("panicked"), "{}", self.shown());
        self
    }
}

/// The program, with its state in `state` and nothing of the caller's terminal.
pub fn program(state: &Path) -> Command {
    // Whoever runs the tests may ignore SIGHUP, and a program inherits that.
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_holdall")]);
    command.env("XDG_STATE_HOME", state).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run<S: AsRef<OsStr>>(state: &Path, arguments: impl IntoIterator<Item = S>) -> Run {
    let output = program(state).args(arguments).output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Fails unless `rsync` finds two trees equal in everything it knows: bytes, types, modes, owners,
/// times to the nanosecond, hard links, extended attributes.
#[track_caller]
pub fn assert_rsync_equal(left: &Path, right: &Path) {
    assert_rsync_equal_but(&[], left, right);
}

/// The same for what these patterns leave.
#[track_caller]
pub fn assert_rsync_equal_but(exclude: &[&str], left: &Path, right: &Path) {
    let slash = |path: &Path| format!("{}/", path.display());
    let output = Command::new("rsync")
        .args(["-naHAXci", "--numeric-ids", "--modify-window=-1", "--delete"])
        .args(exclude.iter().map(|pattern| format!("--exclude={pattern}")))
        .args([slash(left), slash(right)])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(shown, "", "rsync sees differences");
}

/// Runs a tool and fails if it fails; gives back what it printed.
#[track_caller]
pub fn tool<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(name).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

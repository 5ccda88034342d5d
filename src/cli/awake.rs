//! The machine does not fall asleep while it works, where the system offers that.
//!
//! - Enters: that a phase runs, or none.
//! - Leaves: an inhibitor of the system's, held by a child that ends when this program does, however it
//!   does.
//! - Always holds: (1) short work starts nothing; (2) a system that has no inhibitor, or refuses, is no
//!   error and says nothing; (3) nobody waits for it.

use super::progress::clock::Clock;
use parking_lot::Mutex;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Work that is shorter needs none.
const WORTH_IT: Duration = Duration::from_secs(5);
/// How often it is looked whether the work is long.
const TICK: Duration = Duration::from_secs(1);

/// Keeps the machine awake until it is dropped.
pub struct Awake {
    held: Arc<Mutex<Held>>,
    clock: Option<Clock>,
}

#[derive(Default)]
enum Held {
    #[default]
    NotYet,
    Asked(Option<Child>),
}

impl Awake {
    /// From when the work has taken some seconds.
    pub fn begin() -> Self {
        Self::with("systemd-inhibit", WORTH_IT, TICK)
    }

    fn with(program: &'static str, after: Duration, tick: Duration) -> Self {
        let (held, began) = (Arc::<Mutex<Held>>::default(), Instant::now());
        let of_clock = Arc::clone(&held);
        let clock = Clock::start(tick, move || {
            let mut held = of_clock.lock();
            if matches!(*held, Held::NotYet) && began.elapsed() >= after {
                *held = Held::Asked(inhibit(program));
            }
        });
        Self { held, clock: Some(clock) }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.clock = None;
        if let Held::Asked(Some(child)) = &mut *self.held.lock() {
            child.stdin = None; // it ends by that
            let _ = child.try_wait();
        }
    }
}

/// The system's inhibitor holds while its command runs; `cat` runs until this program closes its end
/// of the pipe, or ends.
fn inhibit(program: &str) -> Option<Child> {
    let mut command = Command::new(program);
    command.args(["--what=sleep:idle", "--mode=block", "--who=holdall"]);
    command.args(["--why=drives are being written or read", "cat"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C asks this program to come to a safe end, during which the machine stays awake.
    command.process_group(0).spawn().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn wait_for(path: &Path) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => assert!(Instant::now() < deadline, "{}", path.display()),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn it_is_held_while_the_work_runs_and_not_for_short_work() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let fake = at("inhibit");
        let script = format!(
            "#!/bin/sh\necho \"$*\" > {0}/held\nwhile [ $# -gt 1 ]; do shift; done\n\"$1\"\n\
             echo > {0}/released\n",
            folder.path().display()
        );
        fs::write(&fake, script).unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        let program: &'static str = Box::leak(fake.to_str().unwrap().to_owned().into_boxed_str());
        let tick = Duration::from_millis(1);
        let short = Awake::with(program, Duration::from_secs(3600), tick);
        std::thread::sleep(Duration::from_millis(20));
        drop(short);
        assert!(!at("held").exists());
        let awake = Awake::with(program, Duration::ZERO, tick);
        let held = wait_for(&at("held"));
        assert!(held.contains("--what=sleep:idle --mode=block"), "{held}");
        assert!(!at("released").exists());
        drop(awake);
        wait_for(&at("released"));
        drop(Awake::with("/nowhere/inhibit", Duration::ZERO, tick)); // no error
    }
}

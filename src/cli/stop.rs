//! Signals: the first asks the job to come to a safe end, the second ends the program at once; so
//! does the first while a person is being asked. All are safe: what is committed stays, the rest is
//! litter that nothing names.
//!
//! - Enters: Ctrl-C, a request to terminate, a terminal that was closed.
//! - Leaves: whether the job should stop.
//! - Always holds: (1) every command hears of it in the same way; (2) a file that grows beyond what
//!   the system lets it is that write's error, not the program's end; (3) folders of temporary files
//!   go at a second signal too.

use super::output::say;
use parking_lot::{Mutex, MutexGuard};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// The signal that asked to stop; 0 is none.
static ASKED: AtomicI32 = AtomicI32::new(0);
/// A person is being asked, and nothing is under way.
static ASKING: AtomicBool = AtomicBool::new(false);
/// The program ends now: nothing is told any more.
static ENDS: AtomicBool = AtomicBool::new(false);
/// Milliseconds that persons were given to answer.
static WAITED: AtomicU64 = AtomicU64::new(0);
/// What is told once, when it was asked to stop.
static TELL: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();
/// What it costs to end at once, and how to go on.
static COSTS: Mutex<Option<String>> = Mutex::new(None);
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A shell gives a program that a signal ended this and the signal's number.
const SIGNALLED: i32 = 128;
/// The same signal again so soon is no second one: it was sent to this program and to its group.
const ECHO: Duration = Duration::from_millis(500);
/// How often it is tried to remove a folder whose job still runs.
const REMOVE_TRIES: usize = 20;

/// Begins to listen; if that fails, signals end the program at once, as everywhere.
pub fn listen() {
    let mut signals = vec![SIGINT, SIGTERM, SIGXFSZ];
    // Under nohup the terminal may go.
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    let Ok(mut signals) = Signals::new(signals) else { return };
    thread::spawn(move || {
        let mut first: Option<(i32, Instant)> = None;
        for signal in signals.forever().filter(|signal| *signal != SIGXFSZ) {
            let is_echo = first.is_some_and(|(same, at)| same == signal && at.elapsed() < ECHO);
            first.get_or_insert((signal, Instant::now()));
            let again = ASKED.swap(signal, SeqCst) != 0 && !is_echo;
            if again || ASKING.load(SeqCst) {
                end(signal);
            }
            // A terminal that takes no text now must not keep the next signal waiting.
            if !is_echo {
                thread::spawn(|| TELL.get().filter(|_| !ENDS.load(SeqCst)).inspect(|tell| tell()));
            }
        }
    });
}

/// Calls `tell` at the first signal, if nobody is being asked then.
pub fn when_asked(tell: impl Fn() + Send + Sync + 'static) {
    let _ = TELL.set(Box::new(tell));
}

/// From now on something is lost if the program ends at once: what, and how to go on.
pub fn set_costs(costs: String) {
    *COSTS.lock() = Some(costs);
}

/// Is something lost if the program ends at once?
pub fn has_costs() -> bool {
    COSTS.lock().is_some()
}

/// Was the program asked to stop?
pub fn asked() -> bool {
    ASKED.load(SeqCst) != 0
}

/// Waits for what a person types; a signal ends the program at once meanwhile.
pub fn waiting<T>(read: impl FnOnce() -> T) -> T {
    ASKING.store(true, SeqCst);
    // One may have come just before.
    match ASKED.load(SeqCst) {
        0 => {}
        signal => end(signal),
    }
    let asked = Instant::now();
    let typed = read();
    WAITED.fetch_add(asked.elapsed().as_millis() as u64, SeqCst);
    ASKING.store(false, SeqCst);
    typed
}

/// How long persons were waited for so far.
pub fn waited() -> Duration {
    Duration::from_millis(WAITED.load(SeqCst))
}

fn end(signal: i32) -> ! {
    ENDS.store(true, SeqCst);
    temporary().iter().for_each(|folder| remove(folder));
    // What a terminal shows then is a question, or lines of progress.
    if ASKING.load(SeqCst) {
        say("\nstopped");
    } else if std::io::stderr().is_terminal() {
        let costs = COSTS.lock().take().map(|costs| format!(": {costs}")).unwrap_or_default();
        say(&format!("\nstopped{costs}"));
    }
    std::process::exit(SIGNALLED + signal);
}

/// Did whoever started the program have it ignore this signal?
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Removes a folder in which the job may just be making a file, or which it is removing itself.
fn remove(folder: &Path) {
    for _ in 0..REMOVE_TRIES {
        if std::fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn temporary() -> MutexGuard<'static, Vec<PathBuf>> {
    TEMPORARY.lock()
}

/// A folder of temporary files, which goes with this.
pub struct Temporary(PathBuf);

impl Temporary {
    /// Of a folder that is there and ours.
    pub fn new(folder: PathBuf) -> Self {
        temporary().push(folder.clone());
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            say(&format!("note: {} could not be removed: {e}", self.0.display()));
        }
        temporary().retain(|folder| *folder != self.0);
    }
}

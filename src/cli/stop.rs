//! Ctrl-C: the first asks the job to come to a safe end, the second ends the program at once.
//! Both are safe: what is committed stays, the rest is litter that nothing names.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The status a shell gives a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Begins to listen; if that fails, Ctrl-C ends the program at once, as everywhere.
pub fn listen() {
    let asked = ASKED.get_or_init(Arc::default);
    // What is too large for the user's limit is an error of that file, and not the end.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The order matters: a second signal finds the flag set by the first.
        let second =
            signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, asked.clone());
        if second.is_ok() {
            // Without the first, a signal is simply not noted.
            let _ = signal_hook::flag::register(signal, asked.clone());
        }
    }
}

/// Was Ctrl-C pressed?
pub fn asked() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed))
}

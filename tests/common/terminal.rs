//! A person at a terminal: reads what is shown, and types.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// What is waited for comes within this, or never.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command at a terminal of its own.
pub struct Terminal {
    child: Child,
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
    /// shown so far
    shown: String,
    /// of it, what was waited for
    seen: usize,
}

impl Terminal {
    /// Runs the program; `script` must be there.
    pub fn holdall(state: &Path, words: &[OsString]) -> Self {
        let words = words.iter().map(|word| word.to_str().unwrap());
        let typed = ["exec", env!("CARGO_BIN_EXE_holdall")].into_iter().chain(words);
        Self::shell(state, &shlex::try_join(typed).unwrap())
    }

    /// Runs a line of the shell's. What is to be ended by Ctrl-C is run by `exec`: a shell that
    /// waits for its last command is ended by the signal itself, with a status of its own.
    pub fn shell(state: &Path, line: &str) -> Self {
        let mut command = Command::new("script");
        command.args(["-qec", line, "/dev/null"]).env("XDG_STATE_HOME", state);
        command.env("SHELL", "/bin/sh"); // `script` runs the line by it
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                if sender.send(piece[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, input, output, shown: String::new(), seen: 0 }
    }

    /// Waits until this is shown after what was waited for before; what was shown up to its end.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                let end = self.seen + at + text.len();
                let part = self.shown[self.seen..end].to_owned();
                self.seen = end;
                return part;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(piece) = self.output.recv_timeout(left) else {
                panic!("{text:?} was not shown: {}", self.shown);
            };
            self.shown += &String::from_utf8_lossy(&piece);
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) {
        self.press(&format!("{line}\n"));
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end: the status, and all that was shown.
    #[track_caller]
    pub fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + PATIENCE;
        let left = || deadline.saturating_duration_since(Instant::now());
        while let Ok(piece) = self.output.recv_timeout(left()) {
            self.shown += &String::from_utf8_lossy(&piece);
        }
        assert!(!left().is_zero(), "it does not end: {}", self.shown);
        let status = self.child.wait().unwrap().code().unwrap_or(-1);
        (status, std::mem::take(&mut self.shown))
    }
}

impl Drop for Terminal {
    /// Ends what a failed test leaves: `script` hangs its terminal up.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

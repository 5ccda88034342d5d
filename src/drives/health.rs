//! What a disk says of its own health, asked through `smartctl`, if that is installed.
//!
//! - Enters: the name of a whole disk.
//! - Leaves: whether it expects to fail, or why that could not be asked.
//! - Always holds: (1) a disk that does not answer is given up after a time, and so is the program
//!   that asks it: nothing waits for either; (2) nothing but what smartctl says outright counts as
//!   passed or failing.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

/// How long a disk may take to say how it is: one that sleeps spins up first.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often it is looked whether the program has ended.
const LOOK: Duration = Duration::from_millis(20);
/// More than it ever says.
const MOST_BYTES: u64 = 1 << 20;
/// Where system programs lie that a user's own PATH may not name.
const FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// How a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Passed,
    Failing,
    /// it was not asked, or did not tell
    Unknown,
}

/// How a disk is, by its own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub state: State,
    /// what is wrong, or why nothing is known
    pub detail: Option<String>,
    /// sectors that it could not read, and has not replaced
    pub bad_sectors: u64,
}

impl Health {
    /// The more, the worse.
    pub fn severity(&self) -> (u8, u64) {
        let state = match self.state {
            State::Failing => 2,
            State::Passed => 0,
            State::Unknown => 1,
        };
        (state, self.bad_sectors)
    }

    fn unknown(why: impl Into<String>) -> Self {
        Self { state: State::Unknown, detail: Some(why.into()), bad_sectors: 0 }
    }
}

/// Whom to ask.
#[derive(Clone, Debug)]
pub struct Smartctl {
    program: Option<PathBuf>,
    patience: Duration,
}

impl Smartctl {
    /// The one that is installed, if one is.
    pub fn installed() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
        let mut programs = folders.map(|folder| folder.join("smartctl"));
        Self { program: programs.find(|program| program.is_file()), patience: PATIENCE }
    }

    /// Asks a whole disk, such as `sdb`; none for one that nobody could ask.
    pub fn ask(&self, disk: &str) -> Option<Health> {
        if !["sd", "nvme", "hd"].iter().any(|kind| disk.starts_with(kind)) {
            return None;
        }
        let Some(program) = &self.program else {
            return Some(Health::unknown("smartctl is not installed"));
        };
        let device = Path::new("/dev").join(disk);
        let first = self.run(program, &[], &device);
        // Some bridges between USB and SATA are not known to it, and pass the question on all the same.
        let is_asked_again = first.as_ref().is_ok_and(|said| {
            messages(said).iter().any(|text| {
                text.contains("Unknown USB bridge") || text.contains("with the -d option")
            })
        });
        let said = if is_asked_again { self.run(program, &["-d", "sat"], &device) } else { first };
        Some(said.map_or_else(Health::unknown, |said| judged(&said, &device)))
    }

    /// What the program says, or why it says nothing.
    fn run(&self, program: &Path, words: &[&str], device: &Path) -> Result<Value, String> {
        let mut command = Command::new(program);
        command.args(["--json", "-i", "-H", "-A"]).args(words).arg(device);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("smartctl: {error}"))?;
        let mut output = child.stdout.take().ok_or("smartctl has no output")?;
        // Read beside, or a long answer would wait for its reader for ever.
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            output.by_ref().take(MOST_BYTES).read_to_end(&mut text).map(|_| text)
        });
        let deadline = Instant::now() + self.patience;
        while !(reader.is_finished() && matches!(child.try_wait(), Ok(Some(_)) | Err(_))) {
            if Instant::now() >= deadline {
                // Not waited for: in the middle of a request to a dying disk, nothing ends it.
                let _ = child.kill();
                let _ = child.try_wait();
                return Err(format!("it did not answer within {} s", self.patience.as_secs()));
            }
            thread::sleep(LOOK);
        }
        let text = reader.join().map_err(|_| "smartctl gave no answer")?;
        let text = text.map_err(|error| format!("smartctl: {error}"))?;
        let too_old = "smartctl gave no answer that can be read (7.0 or later is needed)";
        serde_json::from_slice(&text).map_err(|_| too_old.into())
    }
}

fn messages(said: &Value) -> Vec<String> {
    let list = said["smartctl"]["messages"].as_array().into_iter().flatten();
    list.filter_map(|message| message["string"].as_str()).map(String::from).collect()
}

/// What an answer means.
fn judged(said: &Value, device: &Path) -> Health {
    let messages = messages(said);
    if messages.iter().any(|text| text.contains("Permission denied")) {
        let device = device.display();
        return Health::unknown(format!("only root may ask it: sudo smartctl -H {device}"));
    }
    let table = said["ata_smart_attributes"]["table"].as_array().into_iter().flatten();
    // Current_Pending_Sector, Offline_Uncorrectable: mostly the same sectors.
    let bad = table.filter(|row| row["id"] == 197 || row["id"] == 198);
    let bad_sectors = bad.filter_map(|row| row["raw"]["value"].as_u64()).max().unwrap_or(0);
    let passed = said["smart_status"]["passed"].as_bool();
    let nvme = &said["nvme_smart_health_information_log"];
    let warning = nvme["critical_warning"].as_u64().unwrap_or(0);
    // Bit 3: failing; bit 4: an attribute that foretells failure is at its limit.
    let status = said["smartctl"]["exit_status"].as_u64().unwrap_or(0);
    if passed == Some(false) || warning != 0 || status & 0b1_1000 != 0 {
        let detail = match (passed, warning) {
            (Some(false), _) => "it expects to fail soon",
            (_, 1..) => "it reports a critical warning",
            _ => "it is worn beyond the limit that its maker set",
        };
        return Health { state: State::Failing, detail: Some(detail.into()), bad_sectors };
    }
    match passed {
        Some(_) => Health { state: State::Passed, detail: None, bad_sectors },
        None if said["smart_support"]["available"] == false => {
            Health::unknown("it has no SMART: it tells nothing of its health")
        }
        None => {
            Health::unknown(messages.first().map_or("it tells nothing of its health", |text| {
                text.strip_prefix(&format!("{}: ", device.display())).unwrap_or(text)
            }))
        }
    }
}

#[cfg(test)]
mod tests;

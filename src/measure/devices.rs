//! What drives write and read: files like shards, in the way that shards are written, and gone
//! afterwards, also when it is stopped.

use super::sample::SampleData;
use crate::drives::{Drive, DriveError, Level, LocalDrive, ReadMode, WriteMode, on_each};
use crate::monitor::Monitor;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where the files lie meanwhile.
const FOLDER: &str = "holdall-bench";
/// Bytes of a file.
const FILE_BYTES: usize = 16 << 20;

/// What a drive does, in bytes per second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriveRate {
    /// its path
    #[serde(rename = "drive")]
    pub name: String,
    /// alone, made durable
    #[serde(rename = "write_bytes_per_second")]
    pub write: f64,
    /// alone
    #[serde(rename = "read_bytes_per_second")]
    pub read: f64,
    /// how it could be read
    pub level: Level,
}

/// What a drive does, or several together, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriveSpeed {
    #[serde(rename = "write_bytes_per_second")]
    pub write: f64,
    #[serde(rename = "read_bytes_per_second")]
    pub read: f64,
}

/// What a drive is taken to do where none was measured: a USB hard disk.
pub const ASSUMED_DRIVE: DriveSpeed = DriveSpeed { write: 120e6, read: 120e6 };

/// Measures drives, each alone and then all at once, with so many bytes on each.
pub fn measure(
    paths: &[PathBuf],
    bytes: u64,
    monitor: &dyn Monitor,
) -> Result<(Vec<DriveRate>, DriveSpeed), DriveError> {
    let open =
        |path: &PathBuf| LocalDrive::open(path).and_then(|d| d.check_writable(&[]).map(|()| d));
    let drives: Vec<LocalDrive> = paths.iter().map(open).collect::<Result<_, _>>()?;
    let bytes_of = SampleData::noise().chunks.concat();
    let file: Vec<u8> = bytes_of.iter().copied().cycle().take(FILE_BYTES).collect();
    let files = (bytes / FILE_BYTES as u64).max(2);
    let mut alone = Vec::new();
    for drive in &drives {
        let (write, read) = with_files(drive, &file, files, monitor)?;
        alone.push(DriveRate { name: drive.name().into(), write, read, level: drive.level() });
    }
    let began = Instant::now();
    let all = on_each(drives.len(), |i| with_files(&drives[i], &file, files, monitor));
    let seconds = began.elapsed().as_secs_f64();
    let rates: Vec<(f64, f64)> = all.into_iter().collect::<Result<_, _>>()?;
    let total = (files * FILE_BYTES as u64) as f64 * drives.len() as f64;
    // Those that are done early do not count as busy.
    let spent = |rate: &dyn Fn(&(f64, f64)) -> f64| {
        let each = total / drives.len().max(1) as f64;
        rates.iter().map(|r| each / rate(r)).fold(f64::MIN_POSITIVE, f64::max).min(seconds)
    };
    let together = DriveSpeed { write: total / spent(&|r| r.0), read: total / spent(&|r| r.1) };
    Ok((alone, together))
}

/// Writes files, reads them back, and removes them in any case.
fn with_files(
    drive: &LocalDrive,
    file: &[u8],
    files: u64,
    monitor: &dyn Monitor,
) -> Result<(f64, f64), DriveError> {
    let done = write_and_read(drive, file, files, monitor);
    let removed = remove(drive);
    done.and_then(|rates| removed.map(|()| rates))
}

fn write_and_read(
    drive: &LocalDrive,
    file: &[u8],
    files: u64,
    monitor: &dyn Monitor,
) -> Result<(f64, f64), DriveError> {
    drive.make_folder(FOLDER)?;
    let total = (files * file.len() as u64) as f64;
    let began = Instant::now();
    for number in (0..files).take_while(|_| !monitor.should_stop()) {
        drive.write(&format!("{FOLDER}/{number:05}"), file, WriteMode::New)?;
        monitor.advance(file.len() as u64);
    }
    if monitor.should_stop() {
        return Ok((0.0, 0.0));
    }
    drive.sync()?;
    let write = total / began.elapsed().as_secs_f64();
    let began = Instant::now();
    let mut buffer = vec![0; file.len()];
    for number in (0..files).take_while(|_| !monitor.should_stop()) {
        let path = format!("{FOLDER}/{number:05}");
        drive.open(&path, ReadMode::Medium)?.read_at(0, &mut buffer)?;
        monitor.advance(file.len() as u64);
    }
    Ok((write, total / began.elapsed().as_secs_f64()))
}

fn remove(drive: &LocalDrive) -> Result<(), DriveError> {
    for name in drive.list(FOLDER)? {
        drive.remove(&format!("{FOLDER}/{name}"))?;
    }
    drive.remove_folder(FOLDER)
}

/// Bytes that [`measure`] moves.
pub fn moved_bytes(drives: usize, bytes: u64) -> u64 {
    4 * drives as u64 * (bytes / FILE_BYTES as u64).max(2) * FILE_BYTES as u64
}

/// Is there something of this name already? Then it is not ours to touch.
pub fn is_taken(path: &Path) -> bool {
    path.join(FOLDER).exists()
}

//! Small files: how many a second are read, packed and restored, against bare loops of the same calls
//! on all cores; and how the cost grows with their number.
//!
//! All lies in /dev/shm. Packing goes onto drives that forget, in this process; the rest is the
//! program itself on four drives in memory.
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use holdall::testing::dataset::Source;
use holdall::testing::format::Suite;
use holdall::testing::measure::whole::{self, PackSetup};
use holdall::testing::monitor::Recording;
use holdall::testing::plan::survive::Survive;
use rayon::prelude::*;
use rustix::fs::{Mode, Timespec, Timestamps, UTIME_NOW, fchmod, futimens};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Files of the rates.
const FILES: usize = 200_000;
/// Bytes of each.
const FILE_BYTES: usize = 4096;
/// Files of a folder.
const FOLDER: usize = 500;
/// Numbers of files for the growth; their bytes are few, so that all fit the memory.
const NUMBERS: [usize; 4] = [10_000, 100_000, 1_000_000, 2_000_000];
const LITTLE: usize = 300;

fn path(root: &Path, number: usize) -> PathBuf {
    root.join(format!("{:05}/{:03}.csv", number / FOLDER, number % FOLDER))
}

fn make(root: &Path, files: usize, bytes: usize) {
    let noise = holdall::testing::measure::sample::SampleData::noise().chunks;
    (0..files.div_ceil(FOLDER)).into_par_iter().for_each(|folder| {
        fs::create_dir_all(root.join(format!("{folder:05}"))).unwrap();
        for number in folder * FOLDER..files.min((folder + 1) * FOLDER) {
            let chunk = &noise[number % noise.len()];
            let at = number * 7 % (chunk.len() - bytes);
            let mut content = chunk[at..at + bytes].to_vec();
            content[..8].copy_from_slice(&(number as u64).to_le_bytes());
            fs::write(path(root, number), content).unwrap();
        }
    });
}

/// Times a second.
fn rate(files: usize, job: impl FnOnce()) -> f64 {
    let began = Instant::now();
    job();
    files as f64 / began.elapsed().as_secs_f64()
}

/// The best of three.
fn best(files: usize, job: impl Fn()) -> f64 {
    (0..3).map(|_| rate(files, &job)).fold(0.0, f64::max)
}

fn bare_reads(root: &Path) -> f64 {
    best(FILES, || {
        (0..FILES).into_par_iter().for_each_init(
            || vec![0; FILE_BYTES + 1],
            |buffer, number| {
                let mut file = File::open(path(root, number)).unwrap();
                assert_eq!(file.read(buffer).unwrap(), FILE_BYTES);
            },
        );
    })
}

/// Create under a working name, write, set mode and times, rename.
fn bare_writes(root: &Path) -> f64 {
    let content = vec![7; FILE_BYTES];
    let folder = root.join("bare");
    (0..FILES.div_ceil(FOLDER))
        .for_each(|f| fs::create_dir_all(folder.join(format!("{f:05}"))).unwrap());
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    let rate = rate(FILES, || {
        (0..FILES).into_par_iter().for_each(|number| {
            let working = folder.join(format!("{number}"));
            let mut file = File::create_new(&working).unwrap();
            file.write_all(&content).unwrap();
            fchmod(&file, Mode::from_raw_mode(0o644)).unwrap();
            futimens(&file, &times).unwrap();
            fs::rename(working, path(&folder, number)).unwrap();
        });
    });
    fs::remove_dir_all(folder).unwrap();
    rate
}

/// Files a second: scanned, read as packing reads them, and packed.
fn packing(root: &Path, source: &Path) -> (f64, f64, f64) {
    let bytes = (FILES * FILE_BYTES) as u64;
    let part = whole::part(source, bytes, &Recording::default()).unwrap();
    let list = whole::write_snapshot(&part, &root.join("list")).unwrap();
    let survive = Survive { cases: 0, drives: 1, blocks: 0 };
    let how = PackSetup { drives: 4, survive, level: 3, suite: Suite::ChaCha20 };
    let pack =
        || drop(whole::pack(source, &part, &list, how, false, &Recording::default()).unwrap());
    let opened = Source::open(source).unwrap();
    let read = best(FILES, || {
        part.entries.par_iter().filter(|scanned| scanned.entry.size > 0).for_each_init(
            || vec![0; FILE_BYTES],
            |buffer, scanned| {
                let file = opened.open_file(&scanned.entry.path).unwrap();
                assert_eq!(file.read_at(0, buffer).unwrap(), FILE_BYTES);
                assert!(file.has_content_of(&scanned.entry).unwrap());
            },
        );
    });
    (part.entries.len() as f64 / part.seconds, read, best(FILES, pack))
}

/// The program with four drives in a folder.
struct Program<'a> {
    root: &'a Path,
    key: String,
    recipient: String,
    drives: Vec<String>,
}

impl<'a> Program<'a> {
    fn new(root: &'a Path) -> Self {
        let drives: Vec<String> =
            (0..4).map(|i| root.join(format!("drive{i}")).display().to_string()).collect();
        drives.iter().for_each(|drive| fs::create_dir_all(drive).unwrap());
        let key = root.join("key").display().to_string();
        let mut keygen = Command::new(env!("CARGO_BIN_EXE_holdall"));
        let made = String::from_utf8(made_by(keygen.args(["keygen", "-o", &key]))).unwrap();
        let recipient = made.split_whitespace().find(|word| word.starts_with("age1")).unwrap();
        Self { root, key, recipient: recipient.into(), drives }
    }

    /// Seconds, and the largest resident size in MiB.
    fn run(&self, arguments: &[&str]) -> (f64, f64) {
        let began = Instant::now();
        let mut timed = Command::new("/usr/bin/time");
        timed.args(["-f", "%M", "-o"]).arg(self.root.join("peak"));
        timed.arg(env!("CARGO_BIN_EXE_holdall")).args(arguments);
        made_by(timed.env("XDG_STATE_HOME", self.root.join("state")));
        let seconds = began.elapsed().as_secs_f64();
        let peak = fs::read_to_string(self.root.join("peak")).unwrap();
        (seconds, peak.trim().parse::<f64>().unwrap() / 1024.0)
    }

    fn pack(&self, source: &Path) -> (f64, f64) {
        let source = source.display().to_string();
        let given: Vec<String> = self.drives.iter().map(|drive| format!("a={drive}")).collect();
        let mut pack = vec!["pack", &source, "-r", &self.recipient, "--survive", "drives=1"];
        pack.extend(["--no-read-back", "--folder-drives"]);
        given.iter().for_each(|drive| pack.extend(["--drive", drive]));
        self.run(&pack)
    }

    fn on_drives(&self, arguments: &[&str]) -> (f64, f64) {
        let drives: Vec<&str> = self.drives.iter().map(String::as_str).collect();
        self.run(&[arguments, &drives[..]].concat())
    }
}

fn made_by(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn rates(root: &Path) {
    let source = root.join("source");
    make(&source, FILES, FILE_BYTES);
    println!("{FILES} files of {FILE_BYTES} bytes, {} cores", rayon::current_num_threads());
    let show = |name: &str, rate: f64| println!("  {name:<42} {rate:>7.0} files/s");
    let (bare, (scan, read, pack)) = (bare_reads(&source), packing(root, &source));
    show("open, read, close alone", bare);
    show("scan", scan);
    show("open beneath SOURCE, stat, read, stat, close", read);
    println!("  that against the bare loop                  {:>6.0} %", read / bare * 100.0);
    show("pack what was scanned, sealed and all", pack);
    println!("  that against the bare loop                  {:>6.0} %", pack / bare * 100.0);
    let program = Program::new(root);
    program.pack(&source);
    fs::remove_dir_all(&source).unwrap();
    let bare = bare_writes(root);
    let to = root.join("to").display().to_string();
    let (seconds, _) = program.on_drives(&["restore", "-i", &program.key, "--to", &to]);
    let restore = FILES as f64 / seconds;
    show("create, write, mode, times, rename alone", bare);
    show("restore", restore);
    println!("  restore against the bare loop               {:>6.0} %", restore / bare * 100.0);
}

fn growth(root: &Path, files: usize) {
    let source = root.join("source");
    make(&source, files, LITTLE);
    let program = Program::new(root);
    let show = |name: &str, (seconds, peak): (f64, f64)| {
        let each = seconds / files as f64 * 1e6;
        println!(
            "  {name:<22} {files:>8} files {seconds:>7.2} s {each:>6.1} us/file {peak:>5.0} MiB"
        );
    };
    show("pack", program.pack(&source));
    fs::remove_dir_all(&source).unwrap();
    let key = program.key.as_str();
    show("verify", program.on_drives(&["verify"]));
    show("ls", program.on_drives(&["ls", "-i", key]));
    show("ls of one folder", program.on_drives(&["ls", "-i", key, "--in", "00007"]));
    let to = |name: &str| root.join(name).display().to_string();
    let one = ["restore", "-i", key, "--to", &to("one"), "--include", "00007/007.csv"];
    show("restore of one file", program.on_drives(&one));
    if files <= 1_000_000 {
        show("restore", program.on_drives(&["restore", "-i", key, "--to", &to("all")]));
    }
}

fn main() {
    let root = Path::new("/dev/shm").join(format!("holdall-files-{}", std::process::id()));
    let with = |job: &dyn Fn()| {
        fs::create_dir_all(&root).unwrap();
        job();
        let _ = fs::remove_dir_all(&root);
    };
    with(&|| rates(&root));
    NUMBERS.iter().for_each(|files| with(&|| growth(&root, *files)));
}

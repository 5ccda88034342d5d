//! How time and memory grow with the bytes of a dataset.
//!
//! The source is made as it is read (FUSE), so that it takes no room: noise, no two chunks the same.
//! The program itself packs 1, 2, 4 and 8 GB onto four drives in /dev/shm, verifies, decodes and
//! restores them. Then 1, 10 and 50 GB are packed onto drives that forget. Printed: seconds, seconds
//! a GB, and the largest resident size that the kernel saw of the process.
#![allow(clippy::unwrap_used, clippy::type_complexity, clippy::format_push_string)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::generated::Generated;
use holdall::testing::format::Suite;
use holdall::testing::measure::whole::{self, PackSetup};
use holdall::testing::monitor::Recording;
use holdall::testing::plan::survive::Survive;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const GB: u64 = 1_000_000_000;
const FILE: u64 = 100_000_000;
/// Set in the process that packs onto drives that forget: gigabytes.
const FORGET: &str = "HOLDALL_BENCH_FORGET";

/// A run of the program; seconds, and its peak in MiB.
fn run(root: &Path, arguments: &[&str]) -> (f64, f64) {
    let began = Instant::now();
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["-f", "%M", "-o"]).arg(root.join("peak")).arg(env!("CARGO_BIN_EXE_holdall"));
    let output = timed.args(arguments).env("XDG_STATE_HOME", root.join("state")).output().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let peak = fs::read_to_string(root.join("peak")).unwrap();
    (seconds, peak.trim().parse::<f64>().unwrap() / 1024.0)
}

fn print(name: &str, gigabytes: u64, (seconds, peak): (f64, f64)) {
    let each = seconds / gigabytes as f64;
    println!("  {name:<8} {gigabytes:>3} GB {seconds:>7.1} s {each:>6.2} s/GB {peak:>5.0} MiB");
}

/// The program, onto drives in memory.
fn whole_way(root: &Path, gigabytes: u64) {
    let source = root.join("source");
    let Some(_served) = Generated::new(&source, gigabytes * GB / FILE, FILE) else { return };
    let path = |name: &str| root.join(name).display().to_string();
    let drives: Vec<String> = (0..4).map(|i| path(&format!("drive{i}"))).collect();
    drives.iter().for_each(|drive| fs::create_dir_all(drive).unwrap());
    let key = path("key");
    let made = Command::new(env!("CARGO_BIN_EXE_holdall")).args(["keygen", "-o", &key]).output();
    let made = String::from_utf8(made.unwrap().stdout).unwrap();
    let recipient = made.split_whitespace().find(|word| word.starts_with("age1")).unwrap();
    let given: Vec<String> = drives.iter().map(|drive| format!("a={drive}")).collect();
    let source = path("source");
    let mut pack = vec!["pack", &source, "-r", recipient, "--survive", "drives=1"];
    pack.extend(["--no-read-back", "--folder-drives"]);
    given.iter().for_each(|drive| pack.extend(["--drive", drive]));
    let drives: Vec<&str> = drives.iter().map(String::as_str).collect();
    print("pack", gigabytes, run(root, &pack));
    print("verify", gigabytes, run(root, &[&["verify"], &drives[..]].concat()));
    let decode = [&["verify", "-i", &key], &drives[..]].concat();
    print("decode", gigabytes, run(root, &decode));
    let to = path("to");
    let room = rustix::fs::statvfs(root).unwrap();
    if room.f_bavail * room.f_frsize > gigabytes * GB * 3 / 2 && gigabytes <= 4 {
        let restore = [&["restore", "-i", &key, "--to", &to], &drives[..]].concat();
        print("restore", gigabytes, run(root, &restore));
    }
}

/// Packs onto drives that forget, in this process.
fn forget(root: &Path, gigabytes: u64) {
    let part = whole::part(&root.join("source"), gigabytes * GB, &Recording::default()).unwrap();
    let list = whole::write_snapshot(&part, &root.join("list")).unwrap();
    let survive = Survive { cases: 0, drives: 1, blocks: 0 };
    let how = PackSetup { drives: 4, survive, level: 3, suite: Suite::ChaCha20 };
    let began = Instant::now();
    whole::pack(&root.join("source"), &part, &list, how, false, &Recording::default()).unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    print("forget", gigabytes, (seconds, kib / 1024.0));
}

fn main() {
    if let Some(gigabytes) = std::env::var_os(FORGET) {
        let gigabytes: Vec<u64> =
            gigabytes.to_str().unwrap().split(' ').flat_map(str::parse).collect();
        return forget(&PathBuf::from(std::env::args_os().nth(1).unwrap()), gigabytes[0]);
    }
    let root = Path::new("/dev/shm").join(format!("holdall-growth-{}", std::process::id()));
    for gigabytes in [1, 2, 4, 8] {
        fs::create_dir_all(&root).unwrap();
        whole_way(&root, gigabytes);
        let _ = fs::remove_dir_all(&root);
    }
    for gigabytes in [1, 10, 50] {
        fs::create_dir_all(&root).unwrap();
        let served = Generated::new(&root.join("source"), gigabytes * GB / FILE, FILE);
        if served.is_some() {
            let me = std::env::current_exe().unwrap();
            let child = Command::new(me).arg(&root).env(FORGET, gigabytes.to_string()).status();
            assert!(child.unwrap().success());
        }
        drop(served);
        let _ = fs::remove_dir_all(&root);
    }
}

//! The scan: entries a second, alone and with its snapshot, against `find` that asks for the same of
//! every file, `find` and `stat` on all cores, and a bare loop of the calls on all cores.
//!
//! `cargo bench --bench scan [FOLDER…]`, of folders that are in the cache; without any, of one that is
//! made in /dev/shm, and of one folder with a million names there, with what it takes of memory. All
//! run in turn, and the best of five counts. Attributes are listed by the scan alone, which is one
//! call more for every file.
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use holdall::testing::dataset::{Filter, ScanOptions, scan};
use holdall::testing::local_state::SnapshotWriter;
use holdall::testing::monitor::Recording;
use rayon::prelude::*;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 5;
const FIND: &str = "find \"$0\" -xdev -printf '%s %m %T@ %U %G %i %y\\n'";
const STAT: &str = "find \"$0\" -xdev -print0 | xargs -0 -n 1000 -P $(nproc) stat -c '%s %a %Y %i'";

/// Scans, and writes the snapshot to this path; how many entries.
fn scanned(source: &Path, snapshot: Option<&Path>) -> u64 {
    let filter = Filter::new(&[]).unwrap();
    let options = ScanOptions { one_file_system: true, ..ScanOptions::new(filter) };
    let mut writer = snapshot.map(|path| SnapshotWriter::create(path).unwrap());
    let totals = scan(source, &options, &Recording::default(), &mut |entry| {
        writer.iter_mut().for_each(|writer| writer.push(&entry).unwrap());
        Ok(())
    });
    drop(writer.map(|writer| writer.finish().unwrap()));
    totals.unwrap().entries
}

fn shell(script: &str, source: &Path) {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(source).stdout(Stdio::null());
    assert!(shell.status().unwrap().success());
}

/// Lists and looks, in any order, and keeps nothing.
fn bare(folder: &Path, device: u64) {
    let Ok(names) = fs::read_dir(folder) else { return };
    names.par_bridge().for_each(|name| {
        let name = name.unwrap();
        let inode = name.metadata().unwrap();
        if inode.is_dir() && inode.dev() == device {
            bare(&name.path(), device);
        }
    });
}

fn race(source: &Path, snapshot: &Path) {
    let device = fs::metadata(source).unwrap().dev();
    let entries = scanned(source, None);
    println!("{}: {entries} entries, {} cores", source.display(), rayon::current_num_threads());
    let jobs: [(&str, &dyn Fn()); 5] = [
        ("scan", &|| assert_eq!(scanned(source, None), entries)),
        ("scan with snapshot", &|| assert_eq!(scanned(source, Some(snapshot)), entries)),
        ("find -printf", &|| shell(FIND, source)),
        ("find | xargs -P stat", &|| shell(STAT, source)),
        ("list and stat, bare", &|| bare(source, device)),
    ];
    let mut best = [f64::MAX; 5];
    for _ in 0..ROUNDS {
        for (best, (_, job)) in best.iter_mut().zip(jobs) {
            let began = Instant::now();
            job();
            *best = best.min(began.elapsed().as_secs_f64());
        }
    }
    let tool = best[2].min(best[3]);
    for ((name, _), seconds) in jobs.iter().zip(best) {
        let (rate, share) = (entries as f64 / seconds, tool / seconds * 100.0);
        println!("  {name:<22} {rate:>9.0} entries/s {share:>5.0} % of the better tool");
    }
}

/// MiB that this process has taken at most.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

fn one_large_folder(root: &Path, names: u32) {
    let folder = root.join("large");
    fs::create_dir(&folder).unwrap();
    for number in 0..names {
        File::create(folder.join(format!("{:08x}.csv", number.wrapping_mul(0x9e37_79b1)))).unwrap();
    }
    let (before, began) = (peak(), Instant::now());
    scanned(&folder, Some(&root.join("list")));
    let (seconds, after) = (began.elapsed().as_secs_f64(), peak());
    println!("one folder of {names} names: {seconds:.2} s, {after} MiB at most, {before} before");
}

fn main() {
    let folders: Vec<PathBuf> =
        std::env::args().skip(1).filter(|word| word != "--bench").map(Into::into).collect();
    let root = Path::new("/dev/shm").join(format!("holdall-scan-{}", std::process::id()));
    fs::create_dir(&root).unwrap();
    if folders.is_empty() {
        let source = root.join("source");
        for number in 0..200_000 {
            let folder = source.join(format!("{:03}", number / 500));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{number}.csv")), "x").unwrap();
        }
        one_large_folder(&root, 1_000_000);
        race(&source, &root.join("list"));
    }
    folders.iter().for_each(|folder| race(folder, &root.join("list")));
    fs::remove_dir_all(&root).unwrap();
}

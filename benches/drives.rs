//! Are the drives kept busy? Packing, verifying, restoring and rebuilding by the program itself on
//! four drives that are as fast as this process lets them be, against what `dd` gets from the same
//! drives in the same run.
//!
//! The drives are images in memory behind FUSE, a loop device and ext4: slow enough that neither
//! the cores nor the way to them is what limits. Printed: the sum of the drives' rates over the wall
//! time of the whole command and over the time from the first to the last bytes of shards, as shares
//! of dd's; then drives unlike each other, against the time that the placement demands at least:
//! what the drive that is done last needs if it is never idle. And first, what `holdall bench` foretells
//! for these drives, against what it takes then. Needs root.
//!
//! `cargo bench --bench drives -- alike` runs the first half alone, `-- unlike` the second.
//! `HOLDALL_BENCH_GAPS=1` lists also when drives were idle.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::mounted::{FileSystem, Mounted};
use common::random::Random;
use common::shipment::Shipment;
use common::throttled::{Meter, Throttle, ThrottledImage};
use common::{has_programs, tree};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MB: f64 = 1e6;
/// Bytes a second of a drive.
const RATE: u64 = 60_000_000;
/// MiB of a drive's image.
const IMAGE_MIB: u64 = 600;
/// MiB that dd moves on each drive.
const DD_MIB: u64 = 256;
/// Bytes of a file of the dataset.
const FILE_BYTES: usize = 64 << 20;
/// Files of the dataset: three quarters of what the drives get.
const FILES: usize = 24;
/// Files of it where drives are unlike each other.
const FEW_FILES: usize = 14;

/// A drive; the file system goes before what is below it.
struct Drive {
    mounted: Mounted,
    image: ThrottledImage,
}

impl Drive {
    fn new(shipment: &Shipment, number: usize) -> Option<Self> {
        let below = shipment.path().join(format!("below-{number}"));
        let image = ThrottledImage::new(&below, IMAGE_MIB)?;
        let point = &shipment.drives[number].1;
        let mounted = Mounted::on_image_direct(image.path(), point, FileSystem::Ext4)?;
        Some(Self { mounted, image })
    }

    fn point(&self) -> &Path {
        self.mounted.point()
    }
}

/// A run on all drives.
struct Run {
    began: Instant,
    wall: Duration,
    meters: Vec<Meter>,
}

impl Run {
    /// Of a job that all drives are given at the same time, with nothing in any cache.
    fn of(drives: &[Drive], job: impl FnOnce()) -> Self {
        drives.iter().for_each(|drive| drive.mounted.remount());
        drives.iter().for_each(|drive| drive.image.reset());
        let began = Instant::now();
        job();
        let wall = began.elapsed();
        Self { began, wall, meters: drives.iter().map(|drive| drive.image.meter()).collect() }
    }

    /// The sum of the drives' bytes.
    fn bytes(&self) -> f64 {
        self.meters.iter().map(|m| (m.read + m.written) as f64).sum()
    }

    /// Bytes a second over the whole run.
    fn rate(&self) -> f64 {
        self.bytes() / self.wall.as_secs_f64()
    }

    /// The same from the first shard's first byte to the last one's last.
    fn steady(&self) -> f64 {
        let first = self.meters.iter().filter_map(|m| m.span).map(|s| s.0).min();
        let last = self.meters.iter().filter_map(|m| m.span).map(|s| s.1).max();
        let span = first.zip(last).map_or(self.wall, |(first, last)| last - first);
        self.bytes() / span.as_secs_f64()
    }

    /// The time in which drives had something to do.
    fn busy(&self) -> f64 {
        let busy: f64 = self.meters.iter().map(|m| m.busy.as_secs_f64()).sum();
        busy / self.meters.len() as f64 / self.wall.as_secs_f64()
    }

    fn show_gaps(&self) {
        if std::env::var_os("HOLDALL_BENCH_GAPS").is_none() {
            return;
        }
        for (number, meter) in self.meters.iter().enumerate() {
            let shown = |(at, gap): &(Instant, Duration)| {
                let at = at.saturating_duration_since(self.began);
                format!("{:.2}+{}", at.as_secs_f64(), gap.as_millis())
            };
            let gaps: Vec<_> = meter.gaps.iter().map(shown).collect();
            println!("      drive {}, idle (s+ms): {}", number + 1, gaps.join(" "));
        }
    }
}

fn print(name: &str, run: &Run, dd: f64) {
    println!(
        "  {name:<28} {:>6.1} s  {:>6.1} MB/s  {:>5.1} % of dd; {:>5.1} % from first to last; busy {:>5.1} %; \
         flushes {}",
        run.wall.as_secs_f64(),
        run.rate() / MB,
        run.rate() / dd * 100.0,
        run.steady() / dd * 100.0,
        run.busy() * 100.0,
        run.meters.iter().map(|m| m.flushes).max().unwrap_or(0),
    );
    run.show_gaps();
}

/// `dd` on all drives at once; the sum of what each gets.
fn dd(drives: &[Drive], write: bool) -> f64 {
    let begin = |drive: &Drive| {
        let file = drive.point().join("dd");
        let (from, to, flag) = if write {
            (Path::new("/dev/zero"), file.as_path(), "oflag=direct")
        } else {
            (file.as_path(), Path::new("/dev/null"), "iflag=direct")
        };
        let mut dd = Command::new("dd");
        dd.arg(format!("if={}", from.display())).arg(format!("of={}", to.display()));
        dd.args(["bs=4M", flag, &format!("count={}", DD_MIB / 4)]);
        dd.stderr(Stdio::null()).spawn().unwrap()
    };
    let run = Run::of(drives, || {
        let running: Vec<_> = drives.iter().map(begin).collect();
        running.into_iter().for_each(|mut dd| assert!(dd.wait().unwrap().success()));
    });
    let name = if write { "dd oflag=direct" } else { "dd iflag=direct" };
    print(name, &run, run.rate());
    run.rate()
}

fn fill_source(shipment: &Shipment) {
    for number in 0..FILES {
        let bytes = Random::new(&format!("drives {number}")).bytes(FILE_BYTES);
        tree::write(&shipment.source.join(format!("{number:02}")), &bytes);
    }
}

fn pack(shipment: &Shipment, more: &[&str]) {
    pack_with(shipment, &[&["--no-read-back"], more].concat());
}

fn pack_with(shipment: &Shipment, more: &[&str]) {
    let mut arguments: Vec<OsString> = vec!["pack".into(), shipment.source.clone().into()];
    for (case, path) in &shipment.drives {
        arguments.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
    }
    let options = ["--survive", "drives=1", "--json", "-r", &shipment.recipient];
    arguments.extend(options.iter().chain(more).map(OsString::from));
    shipment.run(arguments).expect(0);
}

/// Removes what is on a drive, as fast as that goes.
fn wipe(drive: &Drive) {
    drive.image.throttle(Throttle::default(), 0);
    for name in drive.mounted.names() {
        let path = drive.point().join(name);
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
    drive.mounted.remount();
}

/// All drives alike: every way against dd.
fn alike(shipment: &Shipment, drives: &[Drive]) {
    println!("four drives of {} MB/s", RATE / 1_000_000);
    drives.iter().for_each(|drive| drive.image.throttle(Throttle::of(RATE), 0));
    let (write, read) = (dd(drives, true), dd(drives, false));
    drives.iter().for_each(wipe);
    drives.iter().for_each(|drive| drive.image.throttle(Throttle::of(RATE), 0));
    print("pack", &Run::of(drives, || pack(shipment, &[])), write);
    drives.iter().for_each(wipe);
    drives.iter().for_each(|drive| drive.image.throttle(Throttle::of(RATE), 0));
    let often = ["--checkpoint", "64MiB"];
    print("pack, --checkpoint 64MiB", &Run::of(drives, || pack(shipment, &often)), write);
    let verify = Run::of(drives, || drop(shipment.verify(&shipment.paths()).expect(0)));
    print("verify", &verify, read);
    // There is not memory for both.
    fs::remove_dir_all(&shipment.source).unwrap();
    let to = shipment.new_destination();
    let restore = || drop(shipment.restore(&shipment.paths(), &to, &[]).expect(0));
    print("restore", &Run::of(drives, restore), read);
    fs::remove_dir_all(to).unwrap();
    wipe(&drives[3]);
    drives[3].image.throttle(Throttle::of(RATE), 0);
    let onto = format!("b={}", drives[3].point().display());
    let repair = || {
        let paths = shipment.paths().into_iter().take(3).map(OsString::from);
        let words = ["repair", "--json", "--onto", &onto].map(OsString::from);
        drop(shipment.run(words.into_iter().chain(paths)).expect(0));
    };
    // Three are read and one is written, all at their rates if nobody waits.
    print("repair --onto, 3 to 1", &Run::of(drives, repair), (read * 3.0 + write) / 4.0);
    drives.iter().for_each(wipe);
}

/// What `holdall bench` predicts for this dataset and these drives, against what packing and reading
/// back then takes.
fn foretold(shipment: &Shipment, drives: &[Drive]) {
    drives.iter().for_each(|drive| drive.image.throttle(Throttle::of(RATE), 0));
    let bytes = format!("{}", FILES * FILE_BYTES);
    let mut words: Vec<OsString> = vec!["bench".into(), shipment.source.clone().into()];
    words.extend(["--json", "--bytes", "128MiB", "--for", &bytes].map(OsString::from));
    words.extend(["--survive", "drives=1", "--cases", "2"].map(OsString::from));
    for path in shipment.paths() {
        words.extend(["--drive".into(), path.into_os_string()]);
    }
    let told = shipment.run(words).expect(0).event("bench");
    let best = &told["best"];
    let seconds = |name: &str| best[name].as_f64().unwrap();
    let (level, foretold) =
        (&best["level"], seconds("pack_seconds") + seconds("read_back_seconds"));
    let level = format!("{level}");
    let run = Run::of(drives, || pack_with(shipment, &["--level", &level]));
    println!(
        "foretold by holdall bench: {foretold:.1} s to pack and read back; it took {:.1} s, {:.2} times \
         that",
        run.wall.as_secs_f64(),
        run.wall.as_secs_f64() / foretold
    );
    drives.iter().for_each(wipe);
}

/// Packs onto drives unlike each other.
fn unlike(shipment: &Shipment, drives: &[Drive]) {
    println!("drives unlike each other, packing");
    (FEW_FILES..FILES).for_each(|number| {
        fs::remove_file(shipment.source.join(format!("{number:02}"))).unwrap();
    });
    let normal = Throttle::of(RATE);
    let slow = Throttle::of(RATE / 3);
    let pausing = Throttle { pause: Some((100_000_000, Duration::from_millis(1500))), ..normal };
    pack_unlike(shipment, drives, "one at a third", &[normal, normal, slow, normal]);
    pack_unlike(shipment, drives, "one pauses", &[normal, pausing, normal, normal]);
    pack_unlike(shipment, drives, "each pauses at its time", &[pausing; 4]);
}

fn pack_unlike(shipment: &Shipment, drives: &[Drive], name: &str, throttles: &[Throttle]) {
    for (number, (drive, throttle)) in drives.iter().zip(throttles).enumerate() {
        // Not all at once.
        let sooner = throttle.pause.map_or(0, |(every, _)| every / 4 * number as u64);
        drive.image.throttle(*throttle, sooner);
    }
    let run = Run::of(drives, || pack(shipment, &[]));
    let least = run.meters.iter().map(|m| m.needs).max().unwrap();
    println!(
        "  {name}: {:.2} s; the placement demands {:.2} s; {:.3} times that",
        run.wall.as_secs_f64(),
        least.as_secs_f64(),
        run.wall.as_secs_f64() / least.as_secs_f64()
    );
    for (number, meter) in run.meters.iter().enumerate() {
        println!(
            "      drive {}: {:>4.0} MB, {:>5.1} MB/s; it needs {:>5.2} s, had work for {:>5.2} s",
            number + 1,
            meter.written as f64 / MB,
            meter.written as f64 / MB / run.wall.as_secs_f64(),
            meter.needs.as_secs_f64(),
            meter.busy.as_secs_f64()
        );
    }
    run.show_gaps();
    drives.iter().for_each(wipe);
}

fn main() {
    if !has_programs(&["dd", "losetup", "mkfs.ext4", "mount", "umount"]) {
        return;
    }
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let is_asked = |half: &str| only.as_ref().is_none_or(|only| only == half);
    // Dropped last: everything is mounted in its folder.
    let shipment = Shipment::within(Path::new("/dev/shm"), &[2, 2]);
    let drives: Option<Vec<_>> = (0..4).map(|number| Drive::new(&shipment, number)).collect();
    let Some(drives) = drives else { return };
    if is_asked("alike") {
        fill_source(&shipment);
        foretold(&shipment, &drives);
        alike(&shipment, &drives);
    }
    if is_asked("unlike") {
        fill_source(&shipment);
        unlike(&shipment, &drives);
    }
}

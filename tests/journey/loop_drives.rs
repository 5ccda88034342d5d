//! Real file systems of unequal size, on loop devices, with a real dataset: the journey as a user
//! makes it. Needs root and `tests/.data`, which `tests/run` makes.

use crate::common::mounted::{FileSystem, Mounted};
use crate::common::random::Random;
use crate::common::{Run, assert_rsync_equal_but, has_programs, run, skip, tree};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Loop-mounted ext4 drives.
struct LoopDrives {
    mounts: Vec<Mounted>,
    /// removed when nothing is mounted in it any more
    folder: TempDir,
}

impl LoopDrives {
    /// A drive of each size in MiB; none, and a skip, if that cannot be done here.
    #[track_caller]
    fn make(mib: &[u64]) -> Option<Self> {
        if !has_programs(&["rsync"]) {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("holdall-loop-").tempdir().unwrap();
        let mut mounts = Vec::new();
        for (number, mib) in mib.iter().enumerate() {
            let point = folder.path().join(format!("drive-{number}"));
            fs::create_dir(&point).unwrap();
            mounts.push(Mounted::over(&point, FileSystem::Ext4, *mib)?);
        }
        Some(Self { mounts, folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the drives are mounted.
    fn paths(&self) -> Vec<OsString> {
        self.mounts.iter().map(|mounted| mounted.point().into()).collect()
    }

    fn holdall(&self, arguments: &[OsString]) -> Run {
        run(&self.path().join("state"), arguments)
    }
}

/// The dataset that `tests/run` fetches: images and sources; none, and a skip, if it is not here.
#[track_caller]
fn real_dataset() -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.data/usr/share");
    if !data.is_dir() {
        skip("tests/.data is not here: tests/run fetches it");
        return None;
    }
    Some(data)
}

/// Leaves of that the images and half of the sources, about 80 MB.
const EXCLUDE: [&str; 3] = ["go-1.*/test", "go-1.*/src/[a-m]*", "go-1.*/api"];

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// The arguments of a pack onto all drives, each a case.
fn pack_arguments(
    drives: &LoopDrives,
    source: &Path,
    recipient: &str,
    survive: &str,
) -> Vec<OsString> {
    let mut pack = vec!["pack".into(), "--json".into(), source.into()];
    for (case, mounted) in ["a", "b", "c", "d"].iter().zip(&drives.mounts) {
        pack.extend(words(&["--drive", &format!("{case}={}", mounted.point().display())]));
    }
    // Shards of 2 MiB, so that small drives can be filled well.
    pack.extend(words(&["--survive", survive, "--geometry", "524288,65536,32"]));
    pack.extend(words(&["-r", recipient.trim()]));
    pack
}

#[test]
fn unequal_drives_lose_one_and_sectors_of_another() {
    let Some(source) = real_dataset() else { return };
    let Some(mut drives) = LoopDrives::make(&[70, 90, 120, 150]) else { return };
    let key = drives.path().join("me.key");
    let made = drives.holdall(&[words(&["keygen", "-o"]), vec![key.clone().into()]].concat());
    let recipient = made.expect(0).stdout;
    let mut pack = pack_arguments(&drives, &source, &recipient, "cases=1,drives=1");
    EXCLUDE.iter().for_each(|pattern| pack.extend(words(&["--exclude", pattern])));
    let packed = drives.holdall(&pack).expect(0).event("packed");
    assert_eq!(packed["proven"], true);
    assert_eq!(packed["read_back"][0]["level"], "direct");
    assert!(packed["file_bytes"].as_u64().unwrap() > 40_000_000, "{packed}");
    drives.holdall(&[words(&["verify", "--json"]), drives.paths()].concat()).expect(0);

    drives.mounts.remove(1);
    let paths = drives.paths();
    corrupt(drives.mounts[2].point(), 1000);
    let status = drives.holdall(&[words(&["status", "--json"]), paths.clone()].concat()).expect(3);
    assert_eq!(status.event("status")["missing"][0]["case"], "b");
    let verified = drives.holdall(&[words(&["verify", "--json"]), paths.clone()].concat());
    let hurt = &verified.expect(3).event("verified")["drives"][2];
    assert!(hurt["bad_blocks"].as_u64().unwrap() > 100, "{hurt}");
    let to = drives.path().join("restored");
    let mut restore = words(&["restore", "--json", "-i"]);
    restore.extend([key.into(), "--to".into(), to.clone().into()]);
    let restored = drives.holdall(&[restore, paths].concat()).expect(3);
    assert!(restored.event("restored")["rebuilt_blocks"].as_u64().unwrap() > 100);
    assert_rsync_equal_but(&EXCLUDE, &source, &to);
}

/// Changes `count` bytes at random places of the shards on a drive.
fn corrupt(drive: &Path, count: usize) {
    let shards: Vec<PathBuf> = tree::walk(drive)
        .into_iter()
        .filter(|p| p.is_file() && p.components().any(|c| c.as_os_str() == "shards"))
        .collect();
    let mut random = Random::new("corrupt");
    for _ in 0..count {
        let file =
            fs::OpenOptions::new().read(true).write(true).open(random.pick(&shards)).unwrap();
        let at = random.below(file.metadata().unwrap().len() as usize) as u64;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        byte[0] = !byte[0];
        file.write_all_at(&byte, at).unwrap();
    }
}

#[test]
fn too_little_room_is_refused_before_a_byte_is_written() {
    let Some(source) = real_dataset() else { return };
    let Some(drives) = LoopDrives::make(&[20, 20, 30]) else { return };
    let made = drives.holdall(&words(&["keygen"])).expect(0);
    let recipient = made.stdout.lines().find_map(|l| l.strip_prefix("# public key: ")).unwrap();
    let pack = pack_arguments(&drives, &source, recipient, "drives=1");
    let refused = drives.holdall(&pack).expect(2);
    let words: Vec<&str> = refused.stderr.split_whitespace().collect();
    let at = words.windows(2).position(|w| w == ["are", "missing"]).expect("says what is missing");
    let missing = holdall::testing::cli::sizes::parse_size(&words[at - 2..at].concat()).unwrap();
    assert!((10_000_000..1_000_000_000).contains(&missing), "{}", refused.shown());
    assert!(drives.mounts.iter().all(|mounted| mounted.names().is_empty()));
    let state: Vec<_> =
        tree::walk(&drives.path().join("state")).into_iter().filter(|p| p.is_file()).collect();
    assert_eq!(state, Vec::<PathBuf>::new());
}

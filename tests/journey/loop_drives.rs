//! Real file systems of unequal size, on loop devices, with a real dataset: the journey as a user
//! makes it. Needs root and `tests/.data`, which `tests/run` makes.

use crate::common::random::Random;
use crate::common::{Run, assert_rsync_equal, has_programs, is_root, run, skip, tool, tree};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Loop-mounted file systems, unmounted in the end.
struct LoopDrives {
    folder: TempDir,
    mounts: Vec<PathBuf>,
}

impl LoopDrives {
    /// A drive of each size in MB; none, and a skip, if that cannot be done here.
    #[track_caller]
    fn make(megabytes: &[u64]) -> Option<Self> {
        if !is_root() {
            skip("only root can mount loop devices");
            return None;
        }
        if !has_programs(&["mkfs.ext4", "mount", "umount", "rsync"]) {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("holdall-loop-").tempdir().unwrap();
        let mut drives = Self { folder, mounts: Vec::new() };
        for (number, size) in megabytes.iter().enumerate() {
            let image = drives.path().join(format!("image-{number}"));
            fs::File::create(&image).unwrap().set_len(size * 1_000_000).unwrap();
            let image = image.to_str().unwrap();
            tool("mkfs.ext4", ["-q", "-m", "0", "-E", "lazy_itable_init=0", image]);
            let point = drives.path().join(format!("drive-{number}"));
            fs::create_dir(&point).unwrap();
            let arguments = ["-o", "loop", image, point.to_str().unwrap()];
            let mounted = std::process::Command::new("mount").args(arguments).output().unwrap();
            if !mounted.status.success() {
                let text = String::from_utf8_lossy(&mounted.stderr);
                skip(&format!("no loop device can be mounted: {}", text.trim()));
                return None;
            }
            drives.mounts.push(point);
        }
        Some(drives)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn holdall(&self, arguments: &[OsString]) -> Run {
        run(&self.path().join("state"), arguments)
    }
}

impl Drop for LoopDrives {
    fn drop(&mut self) {
        for point in &self.mounts {
            // What cannot be unmounted shows when its folder is removed, and `tests/run` tries again.
            let _ = std::process::Command::new("umount").arg(point).output();
        }
    }
}

/// Copies files of `tests/.data` to `to` until there are `bytes` of them; false, and a skip, if
/// there is no data.
#[track_caller]
fn take_data(to: &Path, bytes: u64) -> bool {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.data");
    if !data.is_dir() {
        skip("tests/.data is not here: tests/run fetches it");
        return false;
    }
    let mut names: Vec<PathBuf> = tree::walk(&data).into_iter().filter(|p| p.is_file()).collect();
    // Images and text mixed, and the same files each time.
    names.sort_by_key(|p| *blake3::hash(p.as_os_str().as_encoded_bytes()).as_bytes());
    let mut left = bytes;
    for name in names {
        let len = fs::metadata(&name).unwrap().len();
        if len > left {
            continue;
        }
        left -= len;
        let target = to.join(name.strip_prefix(&data).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&name, target).unwrap();
    }
    assert!(left < bytes / 4, "{left} bytes of {bytes} were not found");
    true
}

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
    for (case, point) in ["a", "b", "c", "d"].iter().zip(&drives.mounts) {
        pack.extend(words(&["--drive", &format!("{case}={}", point.display())]));
    }
    // Shards of 2 MiB, so that small drives can be filled well.
    pack.extend(words(&["--survive", survive, "--geometry", "524288,65536,32"]));
    pack.extend(words(&["-r", recipient.trim()]));
    pack
}

#[test]
fn unequal_drives_lose_one_and_sectors_of_another() {
    let Some(mut drives) = LoopDrives::make(&[60, 80, 100, 120]) else { return };
    let source = drives.path().join("source");
    if !take_data(&source, 80_000_000) {
        return;
    }
    let key = drives.path().join("me.key");
    let made = drives.holdall(&[words(&["keygen", "-o"]), vec![key.clone().into()]].concat());
    let recipient = made.expect(0).stdout;
    let pack = pack_arguments(&drives, &source, &recipient, "cases=1,drives=1");
    let packed = drives.holdall(&pack).expect(0).event("packed");
    assert_eq!(packed["proven"], true);
    assert_eq!(packed["read_back"][0]["level"], "direct");
    let mut paths: Vec<OsString> = drives.mounts.iter().map(|p| p.clone().into()).collect();
    drives.holdall(&[words(&["verify", "--json"]), paths.clone()].concat()).expect(0);

    tool("umount", [drives.mounts.remove(1)]);
    paths.remove(1);
    corrupt(&drives.mounts[2], 1000);
    let status = drives.holdall(&[words(&["status", "--json"]), paths.clone()].concat()).expect(3);
    assert_eq!(status.event("status")["missing"][0]["case"], "b");
    let verified =
        drives.holdall(&[words(&["verify", "--json"]), paths.clone()].concat()).expect(3);
    let hurt = &verified.event("verified")["drives"][2];
    assert!(hurt["bad_blocks"].as_u64().unwrap() > 100, "{hurt}");
    let to = drives.path().join("restored");
    let mut restore = words(&["restore", "--json", "-i"]);
    restore.extend([key.into(), "--to".into(), to.clone().into()]);
    let restored = drives.holdall(&[restore, paths].concat()).expect(3);
    assert!(restored.event("restored")["rebuilt_blocks"].as_u64().unwrap() > 100);
    assert_rsync_equal(&source, &to);
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
    let Some(drives) = LoopDrives::make(&[20, 20, 30]) else { return };
    let source = drives.path().join("source");
    if !take_data(&source, 45_000_000) {
        return;
    }
    let made = drives.holdall(&words(&["keygen"])).expect(0);
    let recipient = made.stdout.lines().find_map(|l| l.strip_prefix("# public key: ")).unwrap();
    let pack = pack_arguments(&drives, &source, recipient, "drives=1");
    let refused = drives.holdall(&pack).expect(1);
    let words: Vec<&str> = refused.stderr.split_whitespace().collect();
    let at = words.windows(2).position(|w| w == ["bytes", "are"]).expect("says what is missing");
    let missing: u64 = words[at - 1].parse().unwrap();
    assert!((1_000_000..100_000_000).contains(&missing), "{}", refused.shown());
    for point in &drives.mounts {
        let names: Vec<_> = fs::read_dir(point).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["lost+found"]);
    }
    let state: Vec<_> =
        tree::walk(&drives.path().join("state")).into_iter().filter(|p| p.is_file()).collect();
    assert_eq!(state, Vec::<PathBuf>::new());
}

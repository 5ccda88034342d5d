//! Same dataset, plan, keys, salts and clock: the same bytes, at any number of threads.

use crate::common::lab::Lab;
use crate::common::tree;
use holdall::testing::drives::Drive;
use holdall::testing::faulty::FaultyDrive;
use std::path::Path;
use std::process::Command;

const CAPACITY: u64 = 64 << 20;
/// Says which dataset to pack and where to write the digest: see [`digest_of_a_pack`].
const SOURCE: &str = "HOLDALL_TEST_SOURCE";
const DIGEST: &str = "HOLDALL_TEST_DIGEST";

fn bytes_of(drive: &FaultyDrive) -> Vec<(String, Vec<u8>)> {
    drive.paths().into_iter().map(|p| (p.clone(), drive.read(&p, u64::MAX).unwrap())).collect()
}

/// Path and hash of every file on every drive after a pack with fixed keys, salts and clock.
fn digest(source: &Path) -> String {
    let mut lab = Lab::new(&[2, 2], CAPACITY, 7);
    lab.key_file = b"age draws its own randomness, so it is left out".to_vec();
    lab.pack(source, "cases=1");
    let mut text = String::new();
    for drive in &lab.drives {
        for (path, bytes) in bytes_of(drive) {
            text += &format!("{} {path} {}\n", drive.name(), blake3::hash(&bytes));
        }
    }
    text
}

/// Packs in this process; the test below runs it in others, with other numbers of threads.
#[test]
fn digest_of_a_pack() {
    let own = tempfile::tempdir().unwrap();
    let source = std::env::var_os(SOURCE).map_or(own.path().to_path_buf(), Into::into);
    if source == own.path() {
        tree::plain(&source, "digest", 30);
    }
    let text = digest(&source);
    assert!(text.lines().count() > 50, "{text}");
    match std::env::var_os(DIGEST) {
        Some(path) => std::fs::write(path, text).unwrap(),
        None => assert_eq!(text, digest(&source)),
    }
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    tree::rich(&source, "determinism");
    let with_threads = |threads: &str| {
        let digest = folder.path().join(threads);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journey::determinism::digest_of_a_pack"])
            .envs([(SOURCE, source.as_os_str()), (DIGEST, digest.as_os_str())])
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        std::fs::read_to_string(digest).unwrap()
    };
    let one = with_threads("1");
    for threads in ["2", "4", "7"] {
        let several = with_threads(threads);
        for (a, b) in one.lines().zip(several.lines()) {
            assert_eq!(a, b, "with {threads} threads");
        }
        assert_eq!(one.len(), several.len());
    }
    tree::unlock(&source);
}

#[test]
fn another_seed_changes_every_sealed_byte() {
    let source = tempfile::tempdir().unwrap();
    tree::plain(source.path(), "seeds", 20);
    let mut labs = [Lab::new(&[2], CAPACITY, 1), Lab::new(&[2], CAPACITY, 2)];
    let sealed = labs.each_mut().map(|lab| {
        lab.pack(source.path(), "none");
        let files = bytes_of(&lab.drives[0]).into_iter();
        files.filter(|(p, _)| p.contains("/shards/")).map(|(_, b)| b).collect::<Vec<_>>()
    });
    assert_eq!(sealed[0].len(), sealed[1].len());
    for (a, b) in sealed[0].iter().zip(&sealed[1]) {
        let equal = a.iter().zip(b).filter(|(x, y)| x == y).count();
        // Of random bytes, one in 256 is equal.
        assert!(equal < a.len() / 100, "{equal} of {} bytes are equal", a.len());
    }
}

/// The sealed files of a pack with fixed randomness.
fn sealed(source: &Path) -> Vec<(String, Vec<u8>)> {
    let mut lab = Lab::new(&[3], CAPACITY, 7);
    lab.pack(source, "none");
    let files = lab.drives.iter().flat_map(bytes_of);
    files
        .filter(|(path, _)| ["/shards/", "/catalog/"].iter().any(|part| path.contains(part)))
        .collect()
}

// Security, point 8: a machine that is cloned while it packs draws the same bytes twice.
#[test]
fn clones_of_a_packer_never_seal_two_contents_under_one_salt() {
    let source = tempfile::tempdir().unwrap();
    tree::plain(source.path(), "clones", 20);
    let path = source.path().join("a");
    let mut bytes = vec![7; 300_000];
    std::fs::write(&path, &bytes).unwrap();
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    let first = sealed(source.path());
    assert!(first == sealed(source.path()), "the same content gives the same bytes");
    bytes[299_999] = 8;
    std::fs::write(&path, &bytes).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let second = sealed(source.path());
    let mut changed = [0; 2];
    for ((name, one), (same_name, other)) in first.iter().zip(&second) {
        assert_eq!(name, same_name);
        if one != other {
            assert_ne!(one[..32], other[..32], "{name} has another content and the same salt");
            changed[usize::from(name.contains("/catalog/"))] += 1;
        }
    }
    assert!(changed[0] > 0 && changed[1] > 0, "{changed:?}");
}

//! Sets that the program packed, read by `reference_reader.py`: a reader in Python that was written from
//! `src/format/format.md` alone. What both agree on is what the page says.
//!
//! The tests need Python with the packages blake3, zstandard, cryptography and pyrage: in `tests/.venv`, or as
//! `python3`. Without them they skip.

#![allow(clippy::unwrap_used, clippy::type_complexity, clippy::format_push_string)]
#![cfg(unix)]

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink,
};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use rstest::rstest;
use tempfile::TempDir;

/// Chunk bytes, block bytes and blocks of a shard: small enough for files of many pieces and many stripes.
const SMALL: (u64, &str) = (16_384, "16384,4096,16");
/// The chunk bytes that the program takes by itself.
const DEFAULT_CHUNK: u64 = 4 << 20;
const FOUR_CASES: [&str; 4] = ["red", "green", "blue", "white"];
const TWO_DRIVES_EACH: [&str; 8] =
    ["red", "red", "green", "green", "blue", "blue", "white", "white"];

// ---- Python

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Says that a test could not run, and why. Where everything should be installed, that is a failure.
fn skip(reason: &str) {
    let line = format!("{}: {reason}", std::thread::current().name().unwrap_or("reference_reader"));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "skipped in CI: {line}");
    println!("skipped: {line}");
    if let Some(path) = std::env::var_os("HOLDALL_SKIPS") {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(path)
            .expect("HOLDALL_SKIPS can be opened");
        writeln!(file, "{line}").expect("HOLDALL_SKIPS can be written");
    }
}

/// A Python that can run the reader.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        let packages = "import blake3, cryptography, pyrage, zstandard";
        [manifest().join("tests/.venv/bin/python"), PathBuf::from("python3")].into_iter().find(
            |candidate| {
                Command::new(candidate)
                    .args(["-c", packages])
                    .output()
                    .is_ok_and(|output| output.status.success())
            },
        )
    });
    if found.is_none() {
        skip("no Python with the packages blake3, zstandard, cryptography and pyrage");
    }
    found.as_deref()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs the reader, which must end with the exit code `expected`.
fn reader<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>, expected: i32) -> Output {
    let python = python().expect("the caller looked for Python");
    let script = manifest().join("tests/reference_reader.py");
    let output =
        Command::new(python).arg("-B").arg(script).args(arguments).output().expect("Python runs");
    assert_eq!(output.status.code(), Some(expected), "the reader said:\n{}", text(&output));
    output
}

// ---- A dataset

/// Bytes that do not compress, the same for the same seed.
fn noise(length: u64, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length as usize).collect()
}

/// Bytes that compress.
fn prose(length: u64) -> Vec<u8> {
    let lines = (0_u64..)
        .flat_map(|number| format!("line {number} of a text, {:x}\n", number * 7).into_bytes());
    lines.take(length as usize).collect()
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set_time(path: &Path, seconds: i64, nanos: u32) {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
    let time = time + Duration::from_nanos(u64::from(nanos));
    let file = File::open(path).expect("a path that gets a time can be opened");
    file.set_times(FileTimes::new().set_modified(time)).expect("a time can be set");
}

/// Makes a tree with one of everything that a dataset may hold; C is `chunk`.
fn make_tree(top: &Path, chunk: u64) {
    let write = |name: &[u8], bytes: &[u8]| {
        let path = top.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().expect("the path is below the top"))
            .expect("a folder can be made");
        fs::write(&path, bytes).expect("a file can be written");
        path
    };
    let sizes = [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk + 5];
    for (number, size) in sizes.into_iter().enumerate() {
        write(format!("noise/{size}").as_bytes(), &noise(size, number as u64 + 1));
        write(format!("deep/er/text-{size}").as_bytes(), &prose(size));
    }
    for number in 0..3 {
        write(format!("twins/{number}").as_bytes(), &noise(2 * chunk + 77, 99));
    }
    for number in 0..150 {
        write(format!("many/{number:03}").as_bytes(), &noise(number * 9, number + 1000));
    }
    fs::create_dir(top.join("empty")).expect("a folder can be made");

    let sparse = File::create(top.join("sparse")).expect("a file can be made");
    sparse.set_len(40 * chunk + 123).expect("a file can be lengthened");
    sparse.write_all_at(&noise(5000, 5), 5 * chunk + 4096).expect("a file can be written");
    sparse.write_all_at(&prose(chunk), 20 * chunk).expect("a file can be written");
    drop(sparse);

    symlink("noise/1", top.join("link")).expect("a link can be made");
    symlink("../nowhere", top.join("deep/dangling")).expect("a link can be made");
    let many_pieces = top.join(format!("noise/{}", 3 * chunk + 5));
    fs::hard_link(&many_pieces, top.join("a-hard-link")).expect("a hard link can be made");
    fs::hard_link(&many_pieces, top.join("deep/er/zz-hard-link")).expect("a hard link can be made");
    write("new\nline, tab\t and ünïcödé".as_bytes(), b"an odd name");
    if cfg!(target_os = "linux") {
        write(b"not \xff UTF-8/\x80\xfe", &noise(100, 7));
        symlink(OsStr::from_bytes(b"\xff\xfe"), top.join("deep/odd-link"))
            .expect("a link can be made");
    }

    let mode = |name: &str, mode| {
        fs::set_permissions(top.join(name), Permissions::from_mode(mode))
            .expect("a mode can be set");
    };
    mode("noise/1", 0o4711);
    mode("many/001", 0o400);
    mode("many/002", 0o2770);
    mode("empty", 0o1777);
    if root() {
        mode("many/003", 0o000);
        std::os::unix::fs::chown(top.join("many/004"), Some(12_345), Some(54_321))
            .expect("root can give files away");
    }
    set_time(&top.join("many/005"), -86_400, 123_456_789);
    set_time(&top.join("many/006"), 4_102_444_800, 999_999_999);
    set_time(&top.join("many/007"), 0, 0);
    set_time(&top.join("deep/er"), 1_500_000_000, 1);
    set_time(top, 1_400_000_000, 111_111_111);
}

// ---- Comparing trees

/// What must be the same of a path, before and after. A content stands as its hash.
#[derive(Debug, PartialEq)]
struct Node {
    kind: &'static str,
    mode: u32,
    owner: Option<(u32, u32)>,
    time: (i64, i64),
    size: u64,
    content: Option<blake3::Hash>,
    target: Option<PathBuf>,
    first_name: Option<PathBuf>,
}

/// All paths below `top`, itself as the empty one.
fn walk(top: &Path) -> BTreeMap<PathBuf, Node> {
    let (mut nodes, mut pending) = (BTreeMap::new(), vec![PathBuf::new()]);
    let mut links: HashMap<u64, Vec<PathBuf>> = HashMap::new();
    while let Some(path) = pending.pop() {
        let full = if path.as_os_str().is_empty() { top.to_owned() } else { top.join(&path) };
        let data = fs::symlink_metadata(&full).expect("a path of the tree can be looked at");
        let kind = data.file_type();
        if kind.is_dir() {
            let names = fs::read_dir(&full).expect("a folder can be listed");
            pending.extend(
                names.map(|name| path.join(name.expect("a folder can be listed").file_name())),
            );
        } else if data.nlink() > 1 {
            links.entry(data.ino()).or_default().push(path.clone());
        }
        let node = Node {
            kind: match kind {
                _ if kind.is_dir() => "folder",
                _ if kind.is_file() => "file",
                _ if kind.is_symlink() => "link",
                _ if kind.is_fifo() => "pipe",
                _ => "other",
            },
            mode: data.mode(),
            owner: root().then(|| (data.uid(), data.gid())),
            time: (data.mtime(), data.mtime_nsec()),
            size: if kind.is_dir() { 0 } else { data.size() },
            content: kind
                .is_file()
                .then(|| blake3::hash(&fs::read(&full).expect("a file can be read"))),
            target: kind.is_symlink().then(|| fs::read_link(&full).expect("a link can be read")),
            first_name: None,
        };
        nodes.insert(path, node);
    }
    for names in links.into_values() {
        let first = names.iter().min().cloned();
        for name in names {
            nodes.get_mut(&name).expect("every name was walked over").first_name.clone_from(&first);
        }
    }
    nodes
}

/// Fails if two trees differ in anything that a restore gives back.
fn assert_same(before: &Path, after: &Path) {
    let (old, new) = (walk(before), walk(after));
    for (path, node) in &old {
        assert_eq!(Some(node), new.get(path), "{}", path.display());
    }
    for path in new.keys() {
        assert!(old.contains_key(path), "{} was not in the dataset", path.display());
    }
    let blocks =
        |top: &Path| fs::metadata(top.join("sparse")).expect("the sparse file is there").blocks();
    assert!(blocks(after) <= blocks(before) + 64, "the holes of the sparse file are filled");

    let side = |path: &Path| [path.as_os_str(), OsStr::new("/")].join(OsStr::new(""));
    // What an rsync can do depends on how it was built, so it may do without ACLs and attributes.
    for letters in ["-naHAXci", "-naHci"] {
        let mut rsync = Command::new("rsync");
        rsync.args([letters, "--numeric-ids", "--modify-window=-1", "--delete"]);
        if !root() {
            rsync.args(["--no-owner", "--no-group"]);
        }
        match rsync.arg(side(before)).arg(side(after)).output() {
            Ok(output) if output.status.success() => {
                assert_eq!(String::from_utf8_lossy(&output.stdout), "", "rsync finds differences");
                break;
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
}

// ---- Packed sets

struct Packed {
    scratch: TempDir,
    source: PathBuf,
    identity: PathBuf,
    drives: Vec<PathBuf>,
}

impl Packed {
    /// Packs a tree with a cipher; each drive belongs to one of `cases`.
    fn new(
        cipher: &str,
        cases: &[&str],
        survive: &str,
        chunk: u64,
        geometry: Option<&str>,
    ) -> Packed {
        Packed::of(|top| make_tree(top, chunk), cipher, cases, survive, geometry)
    }

    /// Packs what `make` puts into a folder.
    fn of(
        make: impl Fn(&Path),
        cipher: &str,
        cases: &[&str],
        survive: &str,
        geometry: Option<&str>,
    ) -> Packed {
        let holdall = || Command::new(env!("CARGO_BIN_EXE_holdall"));
        let scratch = TempDir::new().expect("a scratch folder can be made");
        let (source, identity) = (scratch.path().join("source"), scratch.path().join("identity"));
        fs::create_dir(&source).expect("a folder can be made");
        make(&source);
        let keygen =
            holdall().args(["keygen", "-o"]).arg(&identity).output().expect("holdall runs");
        assert!(keygen.status.success(), "{}", text(&keygen));
        let recipient = String::from_utf8(keygen.stdout).expect("a recipient is ASCII");

        let mut pack = holdall();
        pack.arg("pack").arg(&source).args([
            "--folder-drives",
            "--survive",
            survive,
            "-r",
            recipient.trim(),
        ]);
        pack.args(["--cipher", cipher]);
        if let Some(geometry) = geometry {
            pack.args(["--geometry", geometry]);
        }
        let mut drives = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let drive = scratch.path().join(format!("drive-{}", number + 1));
            fs::create_dir(&drive).expect("a folder can be made");
            pack.arg("--drive")
                .arg([OsStr::new(case), OsStr::new("="), drive.as_os_str()].join(OsStr::new("")));
            drives.push(drive);
        }
        let output = pack.output().expect("holdall runs");
        assert!(output.status.success(), "holdall pack said:\n{}", text(&output));
        Packed { scratch, source, identity, drives }
    }

    fn small(cipher: &str) -> Packed {
        Packed::new(cipher, &FOUR_CASES, "cases=1", SMALL.0, Some(SMALL.1))
    }

    /// All drives but those with these numbers, counted from 1.
    fn without(&self, lost: &[usize]) -> Vec<PathBuf> {
        let drives = self.drives.iter().enumerate();
        drives
            .filter(|(number, _)| !lost.contains(&(number + 1)))
            .map(|(_, drive)| drive.clone())
            .collect()
    }

    fn arguments(&self, command: &str, lost: &[usize]) -> Vec<OsString> {
        let mut arguments = vec![OsString::from(command)];
        arguments.extend(self.without(lost).into_iter().map(PathBuf::into_os_string));
        if command != "verify" {
            arguments.extend([OsString::from("-i"), self.identity.clone().into_os_string()]);
        }
        arguments
    }

    fn verify(&self, lost: &[usize], expected: i32) -> String {
        text(&reader(self.arguments("verify", lost), expected))
    }

    /// Restores without the drives `lost`; gives the folder, and what was said.
    fn restore(&self, lost: &[usize], options: &[&str], expected: i32) -> (TempDir, String) {
        let to = TempDir::new_in(self.scratch.path()).expect("a scratch folder can be made");
        let mut arguments = self.arguments("restore", lost);
        arguments.extend(options.iter().map(OsString::from));
        arguments.extend([OsString::from("--to"), to.path().join("out").into_os_string()]);
        let said = text(&reader(arguments, expected));
        (to, said)
    }

    /// Restores, and compares with the dataset.
    fn check(&self, lost: &[usize], options: &[&str], expected: i32) {
        let (to, _) = self.restore(lost, options, expected);
        assert_same(&self.source, &to.path().join("out"));
    }

    /// All files of a drive below `holdall`, in order, of which the path contains `part`.
    fn files(&self, drive: usize, part: &str) -> Vec<PathBuf> {
        let (mut found, mut pending) = (Vec::new(), vec![self.drives[drive - 1].join("holdall")]);
        while let Some(folder) = pending.pop() {
            for name in fs::read_dir(&folder).expect("a drive can be listed") {
                let path = name.expect("a drive can be listed").path();
                if path.is_dir() {
                    pending.push(path);
                } else if path.to_string_lossy().contains(part) {
                    found.push(path);
                }
            }
        }
        found.sort();
        assert!(!found.is_empty(), "there is nothing like {part} on drive {drive}");
        found
    }
}

/// Turns one bit in the byte at `offset`.
fn damage(path: &Path, offset: u64) {
    let file =
        File::options().read(true).write(true).open(path).expect("a file on a drive can be opened");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("the byte is there");
    file.write_all_at(&[byte[0] ^ 0x10], offset).expect("a file on a drive can be written");
}

// ---- Tests

#[test]
fn vectors_hold() {
    if python().is_some() {
        reader([OsStr::new("vectors"), manifest().join("fixtures/vectors/v1.json").as_os_str()], 0);
    }
}

#[rstest]
fn all_drives(#[values("chacha20", "aes256")] cipher: &str) {
    if python().is_none() {
        return;
    }
    let set = Packed::small(cipher);
    set.verify(&[], 0);
    set.check(&[], &[], 0);
    let listed = reader(set.arguments("ls", &[2, 3, 4]), 3);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), walk(&set.source).len());
}

#[rstest]
fn any_one_drive_missing(#[values("chacha20", "aes256")] cipher: &str) {
    if python().is_none() {
        return;
    }
    let set = Packed::small(cipher);
    for lost in 1..=4 {
        set.verify(&[lost], 3);
        set.check(&[lost], &[], 3);
    }
}

#[rstest]
fn one_drive_damaged(#[values("chacha20", "aes256")] cipher: &str) {
    if python().is_none() {
        return;
    }
    let set = Packed::small(cipher);
    let shards = set.files(2, "/shards/");
    for (number, shard) in shards.iter().enumerate() {
        let length = fs::metadata(shard).expect("a shard can be looked at").len();
        let file = File::options().append(true).open(shard).expect("a shard can be opened");
        match number % 5 {
            0 => file.set_len(length - 5000).expect("a shard can be cut"),
            1 => (&file).write_all(b"more").expect("a shard can be lengthened"),
            2 => fs::remove_file(shard).expect("a shard can be removed"),
            3 => file.set_len(0).expect("a shard can be cut"),
            _ => [40, 5000, length - 1].into_iter().for_each(|offset| damage(shard, offset)),
        }
    }
    for part in ["/records/", "label.json", "set.txt", "/key-", "-index.cat", "checklist.b3"] {
        set.files(2, part).iter().for_each(|file| damage(file, 70));
    }
    set.verify(&[], 3);
    set.check(&[], &[], 3);
    set.check(&[], &["--from-lists"], 3);
}

#[rstest]
fn case_and_drive_missing(#[values("chacha20", "aes256")] cipher: &str) {
    if python().is_none() {
        return;
    }
    let set = Packed::new(cipher, &TWO_DRIVES_EACH, "cases=1,drives=1", SMALL.0, Some(SMALL.1));
    set.verify(&[], 0);
    for lost in [[1, 2, 8], [5, 6, 1], [3, 7, 8]] {
        set.verify(&lost, 3);
        set.check(&lost, &[], 3);
    }
    // With a case gone, one bad block in each column can be made good, wherever it lies.
    for (drive, block) in [(3, 0), (4, 1), (5, 2), (8, 3)] {
        for shard in set.files(drive, "/shards/") {
            if fs::metadata(&shard).expect("a shard can be looked at").len() > block * 4096 {
                damage(&shard, block * 4096 + 100 + block);
            }
        }
    }
    set.verify(&[1, 2], 3);
    set.check(&[1, 2], &[], 3);
    set.check(&[1, 2], &["--all-blocks"], 3);
}

#[rstest]
fn case_missing_and_bad_places_on_every_drive_left(#[values("chacha20", "aes256")] cipher: &str) {
    if python().is_none() {
        return;
    }
    let set = Packed::new(cipher, &FOUR_CASES, "cases=1,blocks=10%", SMALL.0, Some(SMALL.1));
    set.verify(&[], 0);
    for drive in [2, 3, 4] {
        // On one drive it is the parity along it.
        let shard = &set.files(drive, "/shards/")[drive - 2];
        (0..3).for_each(|block| damage(shard, block * 4096 + 9));
    }
    set.verify(&[], 3);
    set.verify(&[1], 3);
    set.check(&[1], &[], 3);
    // The same block of another member: neither code gives them.
    let shard = &set.files(2, "/shards/")[1];
    damage(shard, 2 * 4096 + 9);
    set.verify(&[], 3);
    set.verify(&[1], 1);
}

#[test]
fn more_missing_than_the_rule_allows() {
    if python().is_none() {
        return;
    }
    let set = Packed::small("aes256");
    set.verify(&[1, 4], 1);
    let (to, said) = set.restore(&[1, 4], &[], 1);
    let (old, new) = (walk(&set.source), walk(&to.path().join("out")));
    let (mut whole, mut incomplete) = (0, 0);
    for (path, node) in &new {
        let Some(before) = old.get(path) else {
            // What lacks bytes has neither the name nor the time of a file that is whole.
            let name = path.to_str().unwrap().strip_suffix(".incomplete").expect("it is named so");
            let before = &old[Path::new(name)];
            assert!(!new.contains_key(Path::new(name)) && node.time != before.time, "{name}");
            assert!(said.contains(&format!("LOST: {name}: what there is of it lies in {name}.")));
            incomplete += 1;
            continue;
        };
        assert_eq!(node.content, before.content, "{}", path.display());
        whole += 1;
    }
    assert!(incomplete > 0, "nothing was incomplete");
    let (all, rest) = (old.len(), old.len() - whole);
    let sum = format!("restored {whole} of {all} entries, ");
    assert!(said.contains(&sum) && said.contains(&format!("; {rest} are incomplete")), "{said}");
}

#[rstest]
fn lists_only(#[values("chacha20", "aes256")] cipher: &str) {
    if python().is_none() {
        return;
    }
    let set = Packed::small(cipher);
    set.check(&[], &["--from-lists"], 0);
    for drive in 1..=4 {
        for part in ["/catalog/", "set.txt"] {
            set.files(drive, part)
                .iter()
                .for_each(|file| fs::remove_file(file).expect("a file can be removed"));
        }
    }
    set.check(&[], &["--from-lists"], 3);
    set.check(&[], &[], 3);
    set.check(&[3], &[], 3);
}

#[test]
fn every_block_by_itself() {
    if python().is_none() {
        return;
    }
    let set = Packed::small("aes256");
    set.check(&[], &["--all-blocks"], 0);
    set.check(&[2], &["--all-blocks"], 3);
}

#[test]
fn default_geometry() {
    if python().is_none() {
        return;
    }
    let set = Packed::new("aes256", &FOUR_CASES, "cases=1", DEFAULT_CHUNK, None);
    set.verify(&[], 0);
    set.check(&[], &[], 0);
    // A data shard: a restore does not look at parity that it does not need.
    let (drive, shard) = (1..=4)
        .flat_map(|drive| set.files(drive, "/shards/").into_iter().map(move |shard| (drive, shard)))
        .find(|(_, shard)| shard.to_string_lossy().ends_with("-00"))
        .expect("there is a first data shard");
    damage(&shard, 200_000);
    set.verify(&[], 3);
    set.check(&[], &[], 3);
    set.check(&[drive], &["--from-lists"], 3);
}

/// Names that Windows cannot hold.
const WINDOWS_REFUSES: [&str; 9] = [
    "many/a:b",
    "CON",
    "deep/nul.tar.gz",
    "ends in a dot.",
    "ends in a space ",
    "what?",
    "back\\slash",
    "com1/inside",
    "new\nline",
];
/// Names that Windows and macOS take for another one of them, which comes before; the last only macOS.
const TAKEN_FOR_ANOTHER: [&str; 3] = ["case/Inside too", "many/upper", "\u{e9}"];
const HELD: [&str; 6] = ["CASE/inside", "many/UPPER", "e\u{301}", "console", "com10", "zero\u{80}"];

fn make_odd_names(top: &Path) {
    let names = WINDOWS_REFUSES.iter().chain(&TAKEN_FOR_ANOTHER).chain(&HELD);
    for name in names.map(|name| top.join(name)) {
        fs::create_dir_all(name.parent().unwrap()).unwrap();
        fs::write(&name, name.as_os_str().as_bytes()).unwrap();
    }
    fs::write(top.join(OsStr::from_bytes(b"not \xff UTF-8")), "unnameable").unwrap();
    // More than 259 characters, each name short enough.
    let long = top.join(["a folder of which the name is long enough"; 9].join("/"));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join("lines"), "a\nb\r\nc\n").unwrap();
    fs::set_permissions(long.join("lines"), Permissions::from_mode(0o444)).unwrap();
    set_time(&long.join("lines"), -86_400, 123_456_700);
    set_time(&long, 1_500_000_000, 0);
    fs::write(top.join("large"), noise(5 * SMALL.0 + 7, 3)).unwrap();
    fs::hard_link(top.join("large"), top.join("zz hard link")).unwrap();
    for (name, target) in
        [("to a file", "../large"), ("to a folder", "."), ("deaf", "//host/share"), ("up", "..")]
    {
        symlink(target, top.join("many").join(name)).unwrap();
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        top.join("pipe"),
        rustix::fs::FileType::Fifo,
        0o644.into(),
        0,
    )
    .unwrap();
    rustix::fs::setxattr(top.join("large"), "user.note", b"x", rustix::fs::XattrFlags::empty())
        .unwrap();
}

/// Runs the reader as on another system: see `reference_reader/other_system.py`.
fn elsewhere(system: &str, set: &Packed, arguments: &[OsString], expected: i32) -> String {
    let tests = manifest().join("tests");
    let mut command = Command::new(python().unwrap());
    command.arg("-B").arg(tests.join("reference_reader/other_system.py")).arg(system);
    command.arg(tests.join("reference_reader.py")).args(arguments);
    command.env("PYTHONIOENCODING", "cp1252").env("DRIVE_C", set.scratch.path());
    command.env("DIRECTORY_LINKS", set.scratch.path().join("directory links"));
    for (letter, drive) in ["D", "E", "F", "G"].iter().zip(&set.drives) {
        command.env(format!("DRIVE_{letter}"), drive);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(expected), "{}", text(&output));
    text(&output)
}

/// Compares the files of the dataset with what was restored: all but these, and what is not UTF-8.
fn files_but(set: &Packed, to: &Path, refused: &[&str]) {
    let (old, new) = (walk(&set.source), walk(to));
    for (path, node) in old.iter().filter(|(_, node)| node.kind == "file") {
        let is_refused = path.to_str().is_none_or(|name| refused.contains(&name));
        let here = new.get(path);
        assert_eq!(here.is_none(), is_refused, "{}", path.display());
        // Windows keeps times in steps of 100 ns.
        let told = |node: &Node| (node.content, node.size, node.time.0, node.time.1 / 100);
        assert_eq!(here.map_or_else(|| told(node), told), told(node), "{}", path.display());
    }
    assert!(new.keys().all(|path| old.contains_key(path)), "something else was made");
}

/// Review A15: it runs on Windows, where there are no such flags and no handles of folders, and what
/// Windows does not hold is named and counted.
#[test]
fn on_windows() {
    if python().is_none() {
        return;
    }
    let set = Packed::of(make_odd_names, "aes256", &FOUR_CASES, "cases=1", Some(SMALL.1));
    let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    elsewhere("windows", &set, &words(r"verify D: E:\ f: G:\"), 0);
    let restore = words(r"restore D: F: G: -i C:\identity --to C:\restored\new");
    let said = elsewhere("windows", &set, &restore, 1);
    let to = set.scratch.path().join("restored/new");
    let refused: Vec<_> = WINDOWS_REFUSES.iter().chain(&TAKEN_FOR_ANOTHER[..2]).copied().collect();
    files_but(&set, &to, &refused);
    let lines = to.join(["a folder of which the name is long enough"; 9].join("/")).join("lines");
    assert!(fs::metadata(lines).unwrap().permissions().readonly());
    for (word, count) in [("names", 14), ("symbolic links", 4), ("attributes and ACLs", 1)] {
        let line = format!("not held by the destination: {count} {word} (");
        assert!(said.contains(&line), "{line}: {said}");
    }
    assert!(said.contains("LOST: many/a:b: this system cannot hold the name: : is not allowed"));
}

/// A stick with exFAT under Windows, and the right to make symbolic links: what is a file is restored.
#[test]
fn on_windows_without_hard_links() {
    if python().is_none() {
        return;
    }
    let set = Packed::of(make_odd_names, "chacha20", &FOUR_CASES, "cases=1", Some(SMALL.1));
    let words = r"restore D: E: F: G: -i C:\identity --to C:\restored".split(' ');
    let said = elsewhere("exfat", &set, &words.map(OsString::from).collect::<Vec<_>>(), 1);
    let to = set.scratch.path().join("restored");
    assert_eq!(fs::read(to.join("large")).unwrap(), fs::read(to.join("zz hard link")).unwrap());
    assert!(
        said.contains("1 hard links, which became entries of their own (zz hard link)"),
        "{said}"
    );
    let links = fs::read_to_string(set.scratch.path().join("directory links")).unwrap();
    let mut links: Vec<&str> = links.lines().collect();
    links.sort_unstable();
    assert_eq!(links, ["to a file False", "to a folder True", "up True"]);
    assert!(said.contains("many/deaf: this system cannot hold its target"), "{said}");
}

/// macOS holds UTF-8 names only, takes some for the same, and has no attributes that Python reaches.
#[test]
fn on_macos() {
    if python().is_none() {
        return;
    }
    let set = Packed::of(make_odd_names, "aes256", &FOUR_CASES, "cases=1", Some(SMALL.1));
    elsewhere("macos", &set, &set.arguments("verify", &[]), 0);
    let to = set.scratch.path().join("restored");
    let mut restore = set.arguments("restore", &[2]);
    restore.extend([OsString::from("--to"), to.clone().into()]);
    let said = elsewhere("macos", &set, &restore, 1);
    files_but(&set, &to, &TAKEN_FOR_ANOTHER);
    for (word, count) in [("names", 5), ("attributes and ACLs", 1)] {
        let line = format!("not held by the destination: {count} {word} (");
        assert!(said.contains(&line), "{line}: {said}");
    }
    let node = |top: &Path, name: &str| walk(top).remove(Path::new(name)).unwrap();
    for name in ["large", "zz hard link", "pipe", "many", "many/up"] {
        assert_eq!(node(&set.source, name), node(&to, name));
    }
}

/// Names that exFAT refuses through FUSE as if they were not there are counted as refused, and so are
/// pipes, of which nothing stays.
#[test]
fn on_exfat_through_fuse() {
    if python().is_none() {
        return;
    }
    let set = Packed::of(make_odd_names, "aes256", &FOUR_CASES, "cases=1", Some(SMALL.1));
    let mut restore = set.arguments("restore", &[]);
    let to = set.scratch.path().join("restored");
    restore.extend([OsString::from("--to"), to.clone().into()]);
    let said = elsewhere("fuse", &set, &restore, 1);
    for count in ["4 names (", "1 pipes, sockets and devices (pipe)"] {
        assert!(said.contains(&format!("not held by the destination: {count}")), "{said}");
    }
    assert!(!to.join("pipe").exists());
}

/// Without a key nothing is known of set.txt; a key that was typed is not shown.
#[test]
fn keys_and_shipments_that_are_not_right() {
    if python().is_none() {
        return;
    }
    let set =
        Packed::of(|top| fs::write(top.join("a"), "a").unwrap(), "aes256", &["a"], "none", None);
    let other = set.scratch.path().join("other");
    let mut keygen = Command::new(env!("CARGO_BIN_EXE_holdall"));
    assert!(keygen.args(["keygen", "-o"]).arg(&other).output().unwrap().status.success());
    let said = |more: &[&OsStr]| {
        let ls = [OsStr::new("ls"), set.drives[0].as_os_str()];
        text(&reader(ls.iter().chain(more), 1))
    };
    let wrong = said(&["-i".as_ref(), other.as_os_str()]);
    assert!(wrong.contains("no key of this shipment can be opened"), "{wrong}");
    assert!(!wrong.contains("authentic"), "{wrong}");
    let none = said(&["-i".as_ref(), "/dev/null".as_ref()]);
    assert!(none.contains("/dev/null: it holds no identity"), "{none}");
    let label = set.files(1, "/label.json").pop().unwrap();
    let there = label.parent().unwrap().file_name().unwrap().to_str().unwrap()[..16].to_owned();
    let unknown = ["-i".as_ref(), set.identity.as_os_str(), "--shipment".as_ref(), "0".as_ref()];
    assert!(said(&unknown).contains(&format!("--shipment may be: {there}")));
    let secret = fs::read_to_string(&set.identity).unwrap();
    let secret = secret.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let typed = said(&["-i".as_ref(), secret.as_ref()]);
    assert!(typed.contains("a secret key was typed") && !typed.contains(&secret[20..]), "{typed}");
}

/// Review A14: help needs no packages, and what is lacking is said with how to get it.
#[test]
fn without_its_packages_it_says_which() {
    let Some(python) = python() else { return };
    let run = |word: &str| {
        let mut command = Command::new(python);
        // -S: no site-packages, so none of the four.
        command.args(["-S", "-B"]).arg(manifest().join("tests/reference_reader.py"));
        command.args(if word == "verify" { &["verify", "drive"][..] } else { &["--help"] });
        command.output().unwrap()
    };
    assert!(run("--help").status.success());
    let lacking = run("verify");
    assert_eq!(lacking.status.code(), Some(1), "{}", text(&lacking));
    let line = "python3 -m pip install pyrage zstandard blake3 cryptography";
    assert!(text(&lacking).contains(line), "{}", text(&lacking));
    let help = text(&run("--help")).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains(line) && help.contains("Python 3.9 or later"), "{help}");
}

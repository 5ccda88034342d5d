//! `demo`: the whole journey on small data made from a seed: pack onto 8 drives in 4 cases, lose
//! one case, damage a drive of another, verify, restore, compare.

use super::pack::{self, PackJobError, PackOptions};
use super::restore::{self, RestoreJob, RestoreJobError, RestoreOutcome};
use super::verify;
use crate::dataset::{
    self, Contents, Filter, FilterError, ScanError, ScanOptions, Source, SourceError,
};
use crate::entropy::System;
use crate::format::list::{Entry, Kind};
use crate::keys::KeyError;
use crate::keys::recipients::{Identities, Recipients};
use crate::memory::Memory;
use crate::monitor::{Monitor, Recording};
use crate::opening::open::OpenError;
use crate::packer::Checkpoint;
use crate::plan::case_path::CasePath;
use crate::plan::cipher::CipherChoice;
use crate::plan::effort::Effort;
use crate::plan::geometry::Geometry;
use crate::plan::survive::Survive;
use crate::verification::SetOutcome;
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Why the demo stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder is not empty.
    #[error("{} is not empty", path.display())]
    NotEmpty { path: PathBuf },
    /// Making or breaking the demo's own files failed.
    #[error("prepare {}", path.display())]
    Io {
        /// the file or folder
        path: PathBuf,
        /// what the system said
        #[source]
        source: io::Error,
    },
    /// Making the identity failed.
    #[error("make an identity")]
    Key(#[from] KeyError),
    #[error("pack")]
    Pack(#[from] PackJobError),
    #[error("verify")]
    Verify(#[from] OpenError),
    #[error("restore")]
    Restore(#[from] RestoreJobError),
    /// Comparing failed.
    #[error("compare")]
    Scan(#[from] ScanError),
    /// Comparing failed.
    #[error("compare")]
    Source(#[from] SourceError),
    /// A pattern failed; there are none.
    #[error("compare")]
    Filter(#[from] FilterError),
    #[error("stopped as asked, before the end of the journey")]
    Stopped,
    /// The restored tree differs.
    #[error("{path} differs after the restore")]
    Differs {
        /// the first entry that differs
        path: String,
    },
}

/// One step of the journey, as it is reported.
pub enum Told {
    /// what is done next, in plain words
    Step(String),
    /// how it went
    Result(String),
}

/// What the journey showed.
pub struct DemoOutcome {
    /// what verify found after the losses
    pub verified: Vec<SetOutcome>,
    pub restored: RestoreOutcome,
    /// entries that were compared
    pub compared: u64,
}

const CASES: [&str; 4] = ["amber", "birch", "coral", "delta"];

/// Runs the journey in `dir`, which must be missing or empty.
pub fn demo(
    dir: &Path,
    monitor: &dyn Monitor,
    tell: &dyn Fn(Told),
) -> Result<DemoOutcome, DemoError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| DemoError::Io { path, source }
    };
    fs::create_dir_all(dir).map_err(io(dir))?;
    if fs::read_dir(dir).map_err(io(dir))?.next().is_some() {
        return Err(DemoError::NotEmpty { path: dir.into() });
    }
    let source = dir.join("dataset");
    tell(Told::Step("A dataset of text, tables, noise and links is made from a seed.".into()));
    let going = || if monitor.should_stop() { Err(DemoError::Stopped) } else { Ok(()) };
    make_dataset(&source, monitor).map_err(io(&source))?;
    going()?;
    let drives = make_drives(dir).map_err(io(dir))?;
    tell(Told::Step(
        "keygen: the recipient's key stays at home; packing needs its public half.".into(),
    ));
    let identity = dir.join("me.key");
    let recipient = super::keygen::keygen(Some(&identity))?.recipient;

    tell(Told::Step(
        "pack: onto 8 drives in 4 cases, so that any case and one more drive may be lost.".into(),
    ));
    let packed = pack_it(&source, (&drives, &dir.join("state")), &recipient, monitor, tell);
    going().and(packed)?;

    tell(Told::Step("One case is lost on the way: both of its drives are gone.".into()));
    let is_lost = |drive: &CasePath| drive.case == CASES[1];
    for CasePath { path, .. } in drives.iter().filter(|drive| is_lost(drive)) {
        fs::remove_dir_all(path).map_err(io(path))?;
    }
    tell(Told::Step(
        "A drive of another case comes back with bad places: bytes are overwritten.".into(),
    ));
    let hurt = &drives[4].path;
    let count = hurt_drive(hurt).map_err(io(hurt))?;
    tell(Told::Result(format!(
        "{count} places in the shards of {} were overwritten",
        hurt.display()
    )));

    let left: Vec<PathBuf> =
        drives.iter().filter(|drive| !is_lost(drive)).map(|drive| drive.path.clone()).collect();
    tell(Told::Step(
        "verify: without any key, every block of the six drives that are left.".into(),
    ));
    let verified = verify::verify(&left, &[], Memory::default(), monitor)?;
    going()?;

    tell(Told::Step("restore: from those six drives, with the key.".into()));
    let to = dir.join("restored");
    let identities = Identities::read(&[identity])?;
    let job = RestoreJob {
        identities,
        to: to.clone(),
        give_up: false,
        salvage: false,
        stage: None,
        memory: Memory::default(),
        expect: Vec::new(),
        selection: None,
        no_special: false,
        owners: None,
        map_names: false,
    };
    let restored = restore::restore(&left, &job, monitor)?;
    going()?;

    tell(Told::Step("compare: every entry, its metadata and its bytes, with the original.".into()));
    let compared = compare(&source, &to, monitor);
    going()?;
    let compared = compared?;
    Ok(DemoOutcome { verified, restored, compared })
}

fn pack_it(
    source: &Path,
    (drives, state): (&[CasePath], &Path),
    recipient: &str,
    monitor: &dyn Monitor,
    tell: &dyn Fn(Told),
) -> Result<(), DemoError> {
    let options = PackOptions {
        source: source.into(),
        recipients: Recipients::read(&[recipient.into()], &[])?,
        survive: Some(Survive { cases: 1, drives: 1, blocks: 0 }),
        cipher: CipherChoice::default(),
        level: Effort::Level(3),
        contents: Contents::default(),
        name: "demo".into(),
        contact: String::new(),
        checkpoint: Checkpoint::default(),
        read_back: true,
        // Small shards, so that a little data makes several stripes.
        geometry: Geometry::new(256 << 10, 64 << 10, 16).ok(),
        memory: Memory::default(),
        folder_drives: true,
    };
    // That all of these drives are on one device is no news here.
    let silent = Recording::default();
    let packed =
        pack::prepare(drives, options, Some(state), &System, &silent)?.run(monitor)?.packed;
    tell(Told::Result(format!(
        "{} entries, {} bytes of files, stored as {} bytes and parity in {} stripes",
        packed.entries, packed.file_bytes, packed.stored_bytes, packed.stripes
    )));
    Ok(())
}

fn make_drives(dir: &Path) -> io::Result<Vec<CasePath>> {
    let mut drives = Vec::new();
    for case in CASES {
        for number in 1..=2 {
            let path = dir.join("drives").join(format!("{case}-{number}"));
            fs::create_dir_all(&path)?;
            drives.push(CasePath { case: case.to_string(), path });
        }
    }
    Ok(drives)
}

fn noise(seed: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Makes the files one by one, until it is to stop.
fn make_dataset(root: &Path, monitor: &dyn Monitor) -> io::Result<()> {
    let image =
        |i: usize| (format!("images/frame-{i:03}.raw"), noise(&format!("image {i}"), 400_000));
    let table = |i: usize| {
        let rows = noise(&format!("table {i}"), 20_000);
        let line = |(n, b): (usize, &u8)| format!("{n},{},{:.3}\n", b % 7, f64::from(*b) / 7.0);
        let text: String = rows.iter().enumerate().map(line).collect();
        (format!("tables/week-{i:02}.csv"), text.into_bytes())
    };
    let note = |i: usize| {
        (
            format!("notes/{:02}/note-{i:04}.txt", i % 20),
            format!("note {i}\n").repeat(1 + i % 50).into_bytes(),
        )
    };
    let clip = |name: &str| (format!("video/{name}.mov"), noise("clip", 9_000_001));
    let files = (0..40).map(image).chain((0..30).map(table)).chain((0..1000).map(note));
    let files = files.chain(["clip", "clip-again"].into_iter().map(clip));
    for (path, bytes) in files.chain([("empty".into(), Vec::new())]) {
        if monitor.should_stop() {
            return Ok(());
        }
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    fs::create_dir_all(root.join("empty folder"))?;
    std::os::unix::fs::symlink("notes/00", root.join("first notes"))?;
    fs::hard_link(root.join("video/clip.mov"), root.join("video/same-clip.mov"))?;
    let mut sparse = fs::File::create(root.join("sparse.img"))?;
    sparse.set_len(8 << 20)?;
    sparse.seek(SeekFrom::Start(5 << 20))?;
    sparse.write_all(&noise("sparse", 100_000))
}

/// Overwrites some bytes in several shards of a drive.
fn hurt_drive(drive: &Path) -> io::Result<usize> {
    let mut shards = Vec::new();
    let mut folders = vec![drive.join("holdall")];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder)? {
            let path = item?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.components().any(|c| c.as_os_str() == "shards") {
                shards.push(path);
            }
        }
    }
    shards.sort();
    for (i, shard) in shards.iter().enumerate() {
        let mut file = fs::OpenOptions::new().write(true).open(shard)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start((len / 3 + i as u64 * 4099) % (len - 64)))?;
        file.write_all(b"these bytes were never packed")?;
    }
    Ok(shards.len())
}

/// Compares two trees, entry by entry and byte by byte; says how many entries there are.
pub fn compare(left: &Path, right: &Path, monitor: &dyn Monitor) -> Result<u64, DemoError> {
    let entries = |root: &Path| -> Result<Vec<Entry>, DemoError> {
        let options = ScanOptions::new(Filter::new(&[])?);
        let mut out = Vec::new();
        dataset::scan(root, &options, monitor, &mut |scanned| {
            out.push(scanned.entry);
            Ok(())
        })?;
        Ok(out)
    };
    let (a, b) = (entries(left)?, entries(right)?);
    let (source_a, source_b) = (Source::open(left)?, Source::open(right)?);
    for i in (0..a.len().max(b.len())).take_while(|_| !monitor.should_stop()) {
        let same = match (a.get(i), b.get(i)) {
            (Some(x), Some(y)) if x == y => same_bytes(x, &source_a, &source_b)?,
            _ => false,
        };
        if !same {
            let path = a.get(i).or(b.get(i)).map(Entry::shown).unwrap_or_default();
            return Err(DemoError::Differs { path });
        }
    }
    Ok(a.len() as u64)
}

fn same_bytes(entry: &Entry, a: &Source, b: &Source) -> Result<bool, DemoError> {
    if entry.kind != Kind::File {
        return Ok(true);
    }
    let (a, b) = (a.open_file(&entry.path)?, b.open_file(&entry.path)?);
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut offset = 0;
    loop {
        let (n, m) = (a.read_at(offset, &mut left)?, b.read_at(offset, &mut right)?);
        if n != m || left[..n] != right[..m] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(a.holes(entry.size)? == b.holes(entry.size)?);
        }
        offset += n as u64;
    }
}

//! Pack, restore and repair are killed (`kill -9`) again and again at moments drawn from a seed, and
//! go on: what comes out is what was packed, nothing that must be used once is used twice, and
//! nothing is left lying about. `HOLDALL_LONG` kills ten times as often.

use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, program, tree};
use holdall::testing::drives::{Drive, LocalDrive};
use holdall::testing::format::ids::{
    RunId, StripeId, key_path, part_path, record_path, shard_path,
};
use holdall::testing::format::record::{decode_file, records};
use holdall::testing::monitor::Recording;
use holdall::testing::sets::{RecordIndex, open};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Kills that a campaign needs of processes that were alive.
fn wanted() -> u32 {
    if std::env::var_os("HOLDALL_LONG").is_some() { 200 } else { 20 }
}

fn shipment(seed: &str) -> Shipment {
    // In memory, if there is such a folder: a killed process takes nothing with it that it wrote, be
    // it synced or not, and syncing there takes no time.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
    let shipment = Shipment::within(&place, &[1, 1, 1]);
    tree::plain(&shipment.source, seed, 400);
    tree::rich(&shipment.source.join("rich"), seed);
    shipment
}

/// Runs the program and kills it after a while; says whether it was alive then.
fn killed(shipment: &Shipment, words: &[OsString], after: Duration) -> bool {
    let mut command = program(&shipment.state());
    let mut child =
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// A part of a duration, any as likely as any other.
fn part_of(whole: Duration, random: &mut Random) -> Duration {
    whole.mul_f64((random.below(1000) as f64) / 1000.0)
}

fn timed(run: impl FnOnce() -> Run) -> Duration {
    let began = Instant::now();
    run().expect(0);
    began.elapsed()
}

/// Whose a salt, a key and a stripe's number are, over all crashes.
#[derive(Default)]
struct Once {
    salts: HashMap<[u8; 32], StripeId>,
    commitments: HashMap<[u8; 32], RunId>,
    shards: HashMap<String, [u8; 32]>,
}

impl Once {
    /// Looks at what the records of a drive say, and at the shards that no record names as well:
    /// their salts were used all the same.
    fn look(&mut self, drive: &Path) {
        for path in tree::walk(drive).into_iter().filter(|path| path.is_file()) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let folder = path.parent().unwrap();
            if path.extension().is_some_and(|e| e == "rec") {
                self.record(&fs::read(&path).unwrap());
            } else if folder.parent().is_some_and(|p| p.ends_with("shards")) {
                let bytes = fs::read(&path).unwrap();
                let salt: [u8; 32] = bytes.get(..32).unwrap_or(&[0; 32]).try_into().unwrap();
                // One that was only given its room holds no salt yet.
                if salt != [0; 32] {
                    let first = *self.shards.entry(name.clone()).or_insert(salt);
                    assert_eq!(first, salt, "shard {name} was made twice");
                }
            }
        }
    }

    fn record(&mut self, bytes: &[u8]) {
        let header = decode_file(bytes).unwrap();
        let run = *self.commitments.entry(header.commitment).or_insert(header.run);
        assert_eq!(run, header.run, "two runs have one key");
        let mut numbers = BTreeSet::new();
        for found in records(&header, bytes) {
            let record = found.unwrap();
            assert!(numbers.insert(record.id), "{} is used twice", record.id);
            for (index, shard) in record.shards.iter().enumerate().take(record.k.into()) {
                let owner = *self.salts.entry(shard.salt).or_insert(record.id);
                assert_eq!(owner, record.id, "a salt is used twice");
                let name = format!("{}-{index:02x}", record.id);
                let salt = *self.shards.entry(name).or_insert(shard.salt);
                assert_eq!(salt, shard.salt, "{} is another stripe than before", record.id);
            }
        }
    }

    /// No salt of any shard that ever lay on a drive is another's.
    fn check(&self) {
        let mut owners: HashMap<[u8; 32], &str> = HashMap::new();
        for (name, salt) in &self.shards {
            // A stripe of one data shard has its parity for a copy.
            let stripe = name.rsplit_once('-').unwrap().0;
            let owner = owners.entry(*salt).or_insert(stripe);
            assert_eq!(*owner, stripe, "a salt is used twice");
        }
    }
}

/// Fails unless the drives hold what the set's records and metadata files name, and nothing else.
#[track_caller]
fn assert_no_litter(shipment: &Shipment) {
    let open_drive = |path: &PathBuf| Arc::new(LocalDrive::open(path).unwrap()) as Arc<dyn Drive>;
    let drives: Vec<_> = shipment.paths().iter().map(open_drive).collect();
    let monitor = Recording::default();
    let sets = open::find(&drives, &monitor);
    assert_eq!(sets.len(), 1, "one set");
    let record_index = RecordIndex::open(&sets[0], None, &monitor);
    let text = sets[0].set_text(&monitor).expect("the set is closed");
    let mut named: BTreeSet<String> =
        ["label.json", "set.txt", "checklist.b3", "copy/label.json", "copy/set.txt"]
            .map(String::from)
            .into();
    named.extend(record_index.files().map(|(header, _)| record_path(header.run, header.number)));
    named.extend(text.parts.iter().map(|part| part_path(part.run, part.part)));
    for run in text.runs.iter().map(|run| run.run) {
        let key = key_path(run);
        named.extend([key.replace(".age", ".b3"), format!("copy/{key}"), key]);
    }
    let mut shards: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    record_index.walk(&monitor, |record| {
        for (index, shard) in record.shards.iter().enumerate() {
            let path = shard_path(record.id, index as u8);
            shards.entry(shard.slot.0.into()).or_default().insert(path);
        }
        true
    });
    assert_eq!(monitor.problems(), []);
    for drive in 0..shipment.drives.len() {
        let folder = shipment.set_folder(drive);
        let below =
            |path: PathBuf| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        let here: BTreeSet<String> =
            tree::walk(&folder).into_iter().filter(|path| path.is_file()).map(below).collect();
        let expected = &named | &shards[&(drive + 1)];
        let litter: Vec<_> = here.difference(&expected).collect();
        let litter: Vec<_> = litter.iter().filter(|p| !p.starts_with("custody/")).collect();
        assert!(litter.is_empty(), "on drive {}: {litter:?}", drive + 1);
        let lacking: Vec<_> = expected.difference(&here).collect();
        assert!(lacking.is_empty(), "not on drive {}: {lacking:?}", drive + 1);
    }
}

#[track_caller]
fn assert_restored(shipment: &Shipment, source: &Snapshot) {
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    source.assert_equal(&Snapshot::of(&to));
    tree::unlock(&to);
    fs::remove_dir_all(&to).unwrap();
}

/// Files of that name below a folder, which need not be there.
fn has_file(folder: &Path, name: &str) -> bool {
    folder.exists() && tree::walk(folder).iter().any(|path| path.ends_with(name))
}

/// What to type to go on with a shipment.
fn resume(shipment: &Shipment) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["resume", "--json"].map(OsString::from).into();
    words.push("--folder-drives".into());
    for (case, path) in &shipment.drives {
        words.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
    }
    words
}

/// Killed between the lock on a set's folder and its first file, a pack leaves folders without any: verify
/// notes them with the command that removes them.
fn remove_bare(drive: &Path) {
    for folder in fs::read_dir(drive.join("holdall")).unwrap().map(|entry| entry.unwrap().path()) {
        if folder.is_dir() && !tree::walk(&folder).iter().any(|path| path.is_file()) {
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

#[test]
fn a_pack_that_is_killed_goes_on() {
    let mut random = Random::new("kills of pack");
    let options = ["--json", "--checkpoint", "64KiB"];
    let (mut kills, mut midway, mut runs, mut journeys) = (0, 0, 0, 0);
    // Until enough of them came midway, however fast this machine is.
    while kills < wanted() || midway <= wanted() / 4 && kills < 4 * wanted() {
        let shipment = shipment("kills of pack");
        let source = Snapshot::of(&shipment.source);
        // Measured each time, for what else the machine does changes.
        let other = self::shipment("kills of pack");
        let whole = timed(|| other.run(other.pack_arguments("cases=1", &options)));
        let first = shipment.pack_arguments("cases=1", &options);
        let mut once = Once::default();
        let closed = |drive: &PathBuf| has_file(drive, "set.txt");
        for _ in 0..7 {
            // Killed before it had anything to remember, it is begun again.
            let begun = has_file(&shipment.state(), "state.json");
            if !begun && shipment.paths().iter().any(closed) {
                break; // it was over before it was killed
            }
            let words = if begun { resume(&shipment) } else { first.clone() };
            if !killed(&shipment, &words, part_of(whole, &mut random)) {
                break;
            }
            kills += 1;
            shipment.paths().iter().for_each(|drive| once.look(drive));
            midway += u32::from(!once.salts.is_empty() && !shipment.paths().iter().any(closed));
        }
        let begun = has_file(&shipment.state(), "state.json");
        let is_over = !begun && shipment.paths().iter().any(closed);
        if !is_over {
            shipment.run(if begun { resume(&shipment) } else { first }).expect(0);
        }
        shipment.paths().iter().for_each(|drive| once.look(drive));
        once.check();
        let left: Vec<_> =
            tree::walk(&shipment.state()).into_iter().filter(|p| p.is_file()).collect();
        // Killed while it removed it: the next shipment removes what is left.
        assert!(is_over || left.is_empty(), "the host's state is removed: {left:?}");
        shipment.verify(&shipment.paths()).expect(0);
        shipment.paths().iter().for_each(|drive| remove_bare(drive));
        assert_no_litter(&shipment);
        assert_restored(&shipment, &source);
        runs += once.commitments.len();
        journeys += 1;
    }
    assert!(runs > journeys, "{runs} runs in {journeys} journeys committed something");
    assert!(midway > wanted() / 4, "{midway} of {kills} kills came midway");
}

#[test]
fn a_restore_that_is_killed_anywhere_goes_on() {
    let mut random = Random::new("kills of restore");
    let shipment = shipment("kills of restore");
    shipment.pack("cases=1").expect(0);
    let source = Snapshot::of(&shipment.source);
    let to = shipment.new_destination();
    let whole = timed(|| shipment.restore(&shipment.paths(), &to, &[]));
    let (mut kills, mut midway, mut number) = (0, 0, 0);
    while kills < wanted() || midway <= wanted() / 4 && kills < 4 * wanted() {
        // Every second journey has lost a case.
        let here = &shipment.paths()[number % 2..];
        number += 1;
        let to = shipment.new_destination();
        let words = shipment.restore_arguments(here, &to, &[]);
        for _ in 0..5 {
            if !killed(&shipment, &words, part_of(whole, &mut random)) {
                break;
            }
            kills += 1;
            midway += u32::from(to.join(".holdall").exists());
        }
        if to.join(".holdall").exists() || !to.is_dir() || fs::read_dir(&to).unwrap().count() == 0 {
            let run = shipment.restore(here, &to, &[]);
            assert!([0, 3].contains(&run.status), "{}", run.shown());
        }
        source.assert_equal(&Snapshot::of(&to));
        assert!(!to.join(".holdall").exists());
        tree::unlock(&to);
        fs::remove_dir_all(&to).unwrap();
    }
    assert!(midway > wanted() / 4, "{midway} of {kills} kills came midway");
}

/// All files of the drives but the notes made on the way.
fn files(shipment: &Shipment) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = shipment.paths().into_iter().flat_map(|drive| tree::walk(&drive));
    let kept = all.filter(|p| p.is_file() && !p.components().any(|c| c.as_os_str() == "custody"));
    kept.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Hurts one drive all over.
fn hurt(shipment: &Shipment, drive: usize, random: &mut Random) {
    for shard in shipment.files(drive, "shards/") {
        let mut bytes = fs::read(&shard).unwrap();
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => fs::remove_file(&shard).unwrap(),
            1 => {
                bytes[at] ^= 1;
                fs::write(&shard, bytes).unwrap();
            }
            2 => fs::write(&shard, &bytes[..at]).unwrap(),
            _ => {}
        }
    }
    for beginning in ["records/", "catalog/", "set.txt", "label.json"] {
        let metadata_files = shipment.files(drive, beginning);
        let metadata_file = random.pick(&metadata_files);
        let len = fs::metadata(metadata_file).unwrap().len() as usize;
        fs::write(metadata_file, random.bytes(len)).unwrap();
    }
}

#[test]
fn a_repair_that_is_killed_goes_on() {
    let mut random = Random::new("kills of repair");
    let shipment = shipment("kills of repair");
    shipment.pack("cases=1").expect(0);
    let source = Snapshot::of(&shipment.source);
    let sound = files(&shipment);
    let (mut kills, mut midway, mut number) = (0, 0, 0);
    let mut whole = Duration::from_millis(500);
    while kills < wanted() || midway <= wanted() / 4 && kills < 4 * wanted() {
        let drive = number % 3;
        let onto = number % 2 == 1;
        number += 1;
        let mut words: Vec<OsString> = vec!["repair".into(), "--json".into()];
        if onto {
            // The drive is lost, and an empty one comes in its place.
            let (case, path) = &shipment.drives[drive];
            fs::remove_dir_all(path).unwrap();
            fs::create_dir(path).unwrap();
            words.push("--folder-drives".into());
            words.extend(["--onto".into(), format!("{case}={}", path.display()).into()]);
            let others = shipment.paths().into_iter().filter(|other| other != path);
            words.extend(others.map(OsString::from));
        } else {
            hurt(&shipment, drive, &mut random);
            words.extend(shipment.paths().into_iter().map(OsString::from));
        }
        for _ in 0..5 {
            if !killed(&shipment, &words, part_of(whole, &mut random)) {
                break;
            }
            kills += 1;
            midway += u32::from(files(&shipment) != sound);
        }
        let began = Instant::now();
        let last = shipment.run(&words);
        // A rebuilt drive that was done before the kill is refused as a new one.
        let done = last.status == 2 && last.stderr.contains("already, as slot");
        if !(onto && done) {
            last.expect(0);
            whole = whole.max(began.elapsed());
        }
        let mended = files(&shipment);
        assert!(mended.keys().eq(sound.keys()), "other files than before");
        let other = mended.iter().find(|(path, bytes)| sound[*path] != **bytes);
        assert_eq!(other.map(|(path, _)| path), None, "other bytes than before");
        shipment.verify(&shipment.paths()).expect(0);
        assert_no_litter(&shipment);
    }
    assert_restored(&shipment, &source);
    assert!(midway > wanted() / 4, "{midway} of {kills} kills came midway");
}

use super::*;
use crate::dataset::{Filter, ScanOptions, scan};
use crate::monitor::Recording;
use std::fs;
use std::path::Path;

const C: u32 = 1_024;

fn scanned(folder: &Path) -> Vec<ScannedEntry> {
    let filter = Filter::new(&[]).unwrap();
    let options = ScanOptions::new(filter);
    let mut entries = Vec::new();
    scan(folder, &options, &Recording::default(), &mut |entry| {
        entries.push(entry);
        Ok(())
    })
    .unwrap();
    entries.retain(|e| e.entry.kind == Kind::File);
    entries
}

/// Review R2: the last try always takes something, however a file grows, so none is left out.
#[test]
fn a_small_file_that_outgrows_a_chunk_is_taken_as_it_is_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log"), "short").unwrap();
    let entries = scanned(dir.path());
    fs::write(dir.path().join("log"), [b'x'; 3 * C as usize]).unwrap();
    let source = Source::open(dir.path()).unwrap();
    let worker = Worker::new(&source, C, 3, 1);
    let tried = worker.work(Work::Group(entries.clone()), false);
    assert!(matches!(&tried[..], [Done::Again(_)]));
    let taken = worker.work(Work::Group(entries), true);
    let [Done::Group { entries, .. }] = &taken[..] else { panic!("it is taken") };
    let (entry, outcome) = &entries[0];
    assert!(matches!(outcome, EntryOutcome::Bytes { len: C, .. }));
    assert!(entry.changed && entry.size == u64::from(C));
}

/// Review R14: empty files on a disk are not opened, so one that cannot be is packed all the same.
#[test]
fn an_empty_file_on_a_disk_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let mut entries = scanned(dir.path());
    let source = Source::open(dir.path()).unwrap();
    let worker = Worker::new(&source, C, 3, 1);
    assert!(worker.is_empty(&entries[0]), "the first one says what the file system is");
    entries[1].entry.path = b"gone".to_vec();
    assert!(worker.is_empty(&entries[1]));
}

use super::*;
use crate::format::catalog::FrameRow;

fn state() -> ShipmentState {
    let asked = PackRequest {
        source: "/data".into(),
        recipients: vec!["age1x".into()],
        survive: None,
        suite: Suite::Aes256,
        level: "3".into(),
        name: String::new(),
        contact: String::new(),
        checkpoint: (1, 0),
        read_back: true,
        geometry: None,
        folder_drives: false,
    };
    ShipmentState::new(ShipmentId(7), asked, ScanTotals::default(), 10, 4 << 20)
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let made = |id: u64, names: &[&str]| {
        let path = dir.path().join(ShipmentId(id).to_string());
        std::fs::create_dir(&path).unwrap();
        names.iter().for_each(|name| std::fs::write(path.join(name), "").unwrap());
        path
    };
    let gone = [made(1, &[LIST]), made(2, &["list.part", "state.json.part"]), made(3, &[])];
    let stays = [made(4, &[LIST, STATE]), made(5, &["mine"])];
    let living = StateFolder::within(dir.path(), ShipmentId(6)).unwrap();
    std::fs::write(living.list_path(), "").unwrap();
    // Whichever command looks first: the next one is told too, until a shipment is begun.
    assert!(remove_orphans(dir.path()).unwrap());
    assert!(gone.iter().all(|path| !path.exists()));
    assert!(stays.iter().all(|path| path.exists()) && living.list_path().exists());
    let second = StateFolder::within(dir.path(), ShipmentId(6));
    assert!(matches!(second, Err(LocalStateError::Busy { .. })), "{second:?}");
    let path = living.path.clone();
    drop(living);
    assert!(remove_orphans(dir.path()).unwrap());
    assert!(!path.exists());
    assert!(remove_orphans(dir.path()).unwrap());
    let begun = StateFolder::within(dir.path(), ShipmentId(7)).unwrap();
    begun.save(&super::tests::state()).unwrap();
    assert!(!remove_orphans(dir.path()).unwrap());
}

/// A case of any set is known, not only of the last.
#[test]
fn the_cases_of_all_sets_are_remembered() {
    let mut state = state();
    for (number, cases) in [&["North", "a", "a"][..], &["South"], &["a"]].iter().enumerate() {
        state.unclosed = Some(UnclosedSet {
            number: SetNumber(number as u32 + 1),
            survive: "none".into(),
            blocks: (1, 1),
            cases: cases.iter().map(ToString::to_string).collect(),
            runs: Vec::new(),
            begun: Vec::new(),
            committed: Mark::default(),
            pending: None,
        });
        if number < 2 {
            state.closed(&Cursor::default(), Hash::default());
        }
    }
    assert_eq!(state.known_cases(), ["North", "South", "a"]);
    assert_eq!(state.cases, ["South"]);
}

#[test]
fn what_was_saved_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let folder = StateFolder::within(dir.path(), ShipmentId(7)).unwrap();
    let mut state = state();
    folder.save(&state).unwrap();
    assert_eq!(folder.load().unwrap(), state);
    let row =
        |n: u8| FrameRow { first: vec![n], run: RunId(1), part: 0, offset: 0, stored: 1, plain: 1 };
    let index = Index { entries: 9, files: 8, file_bytes: 7, frames: vec![row(1), row(2)] };
    folder.save_index(&index).unwrap();
    let mark = Mark { rows: 1, counts: (4, 3, 2), ..Mark::default() };
    let loaded = folder.load_index(&mark).unwrap();
    assert_eq!((loaded.entries, loaded.frames), (4, vec![row(1)]));
    assert!(folder.load_index(&Mark { rows: 3, ..Mark::default() }).is_err());
    state.version = VERSION + 1;
    folder.save(&state).unwrap();
    assert!(matches!(folder.load(), Err(LocalStateError::Damaged { .. })));
    std::fs::write(folder.path.join(STATE), b"{").unwrap();
    assert!(matches!(folder.load(), Err(LocalStateError::Damaged { .. })));
}

/// A flipped bit leaves JSON that can be read, and an index.
#[test]
fn every_flipped_byte_of_state_and_index_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = StateFolder::within(dir.path(), ShipmentId(7)).unwrap();
    folder.save(&state()).unwrap();
    folder.save_index(&Index::default()).unwrap();
    let mark = Mark { rows: 1, ..Mark::default() };
    for name in [STATE, INDEX] {
        let path = folder.path.join(name);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            let error = match name {
                STATE => folder.load().unwrap_err(),
                _ => folder.load_index(&mark).unwrap_err(),
            };
            assert!(error.to_string().ends_with("not what was written"), "{at}: {error}");
        }
        std::fs::write(&path, bytes).unwrap();
    }
}

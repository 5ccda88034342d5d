//! What `--json` prints is what README.md says: every event, with exactly its fields.

use crate::common::shipment::Shipment;
use crate::common::{Run, tree};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;

type Fields = BTreeSet<String>;

/// The events in the README's table and their fields.
fn documented() -> BTreeMap<String, Fields> {
    let readme = include_str!("../../README.md");
    let (_, table) = readme.split_once("| event | field | meaning |").unwrap();
    let mut events: BTreeMap<String, Fields> = BTreeMap::new();
    for row in table.lines().take_while(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = row.split('|').map(|c| c.trim().trim_matches('`')).collect();
        if let [_, event, field, meaning, _] = cells[..]
            && row.starts_with("| `")
        {
            assert!(!meaning.is_empty(), "{row}");
            assert!(events.entry(event.into()).or_default().insert(field.into()), "{row}");
        }
    }
    events
}

/// The fields of a value, `a[].b` for lists of objects and `a.b` for objects. A list without
/// objects is a field with `[]` whose content cannot be told.
fn fields(prefix: &str, value: &Value, found: &mut Fields) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let dot = if prefix.is_empty() { "" } else { "." };
                fields(&format!("{prefix}{dot}{name}"), value, found);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().filter(|v| v.is_object()).for_each(|v| {
                fields(&format!("{prefix}[]"), v, found);
            });
        }
        _ => {
            found.insert(prefix.into());
        }
    }
}

/// Fails unless each event of a run is documented, with exactly these fields.
#[track_caller]
fn check(run: &Run, documented: &BTreeMap<String, Fields>, seen: &mut Fields) {
    for event in run.events() {
        let name = event["event"].as_str().unwrap();
        let known = documented.get(name).unwrap_or_else(|| panic!("{name} is not in README.md"));
        let mut found = Fields::new();
        fields("", &event, &mut found);
        found.remove("event");
        // An empty list shows no fields.
        let empty = |field: &String| {
            let list = field.split("[]").next().unwrap();
            field.contains("[]")
                && event[list].as_array().is_some_and(|l| !l.iter().any(Value::is_object))
        };
        let lists: Fields = known.iter().filter(|f| empty(f)).cloned().collect();
        for list in &lists {
            found.remove(list.split("[]").next().unwrap());
        }
        let expected: Fields = known.difference(&lists).cloned().collect();
        assert_eq!(found, expected, "{event}");
        seen.insert(name.into());
    }
}

#[test]
fn every_event_is_documented_with_all_its_fields() {
    let shipment = Shipment::new(&[1, 1]);
    tree::rich(&shipment.source, "events");
    let documented = documented();
    let mut seen = Fields::new();
    let mut run = |words: Vec<OsString>| {
        let run = shipment.run(words);
        check(&run, &documented, &mut seen);
        run
    };
    run(shipment.pack_arguments("cases=1", &["--json"])).expect(0);
    let paths: Vec<OsString> = shipment.paths().into_iter().map(Into::into).collect();
    let with = |words: &[&str], paths: &[OsString]| -> Vec<OsString> {
        words.iter().map(OsString::from).chain(paths.iter().cloned()).collect()
    };
    let key = shipment.key.to_str().unwrap();
    run(with(&["verify", "--json", "-i", key], &paths)).expect(0);
    run(with(&["pack", "--json", "--continue", "--drive", "a=."], &[])).expect(0);
    run(with(&["status", "--json"], &paths[1..])).expect(3);
    run(with(&["ls", "--json", "-i", key], &paths)).expect(0);
    let to = shipment.new_destination();
    run(shipment.restore_arguments(&shipment.paths()[1..], &to, &[])).expect(3);
    // Something else lies there.
    run(shipment.restore_arguments(&shipment.paths(), shipment.path(), &[])).expect(1);
    // With damage there are problems, and drives to wait for.
    for shard in shipment.files(1, "shards/") {
        fs::remove_file(shard).unwrap();
    }
    run(with(&["verify", "--json"], &paths)).expect(3);
    run(with(&["verify", "--json"], &paths[1..])).expect(1);
    let to = shipment.new_destination();
    run(shipment.restore_arguments(&shipment.paths()[1..], &to, &[])).expect(4);
    run(with(&["status", "--json", "--to", to.to_str().unwrap()], &paths[1..])).expect(4);
    run(with(&["repair", "--json"], &paths)).expect(0);
    run(with(&["pack", "--json", "--close"], &paths)).expect(0);
    let other = shipment.path().join("other.key");
    run(with(&["keygen", "--json", "-o", other.to_str().unwrap()], &[])).expect(0);
    let drive = shipment.path().join("drive");
    fs::create_dir(&drive).unwrap();
    let words = ["bench", "--json", "--bytes", "32MiB", "--drive", drive.to_str().unwrap()];
    run(with(&words, &[shipment.source.clone().into()])).expect(0);
    assert_eq!(fs::read_dir(&drive).unwrap().count(), 0, "nothing stays");
    let demo = shipment.path().join("demo");
    run(with(&["demo", "--json", demo.to_str().unwrap()], &[])).expect(0);
    let set = shipment.set_folder(0).file_name().unwrap().to_str().unwrap().to_owned();
    run(with(&["erase", "--json", "--yes", "--set", &set], &paths)).expect(0);
    // Of a shipment in progress whose state cannot be read, its id is told all the same.
    let state = shipment.state().join("holdall/0123456789abcdef");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("state.json"), b"{").unwrap();
    run(with(&["status", "--json"], &[]));
    run(with(&["forget", "--json", "--yes", "0123456789abcdef"], &[])).expect(0);
    let all: Fields = documented.keys().cloned().collect();
    assert_eq!(seen, all, "every documented event is printed");
}

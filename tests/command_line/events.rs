//! What `--json` prints is what src/cli/json.md says: every event, with exactly its fields.

use crate::common::shipment::Shipment;
use crate::common::{Run, tree};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;

type Fields = BTreeSet<String>;

/// The events of the page, their fields, and what it says of these.
pub(super) type Documented = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the page.
pub(super) fn documented() -> Documented {
    let page = include_str!("../../src/cli/json.md").replace("\n  ", " ");
    let mut events = Documented::new();
    let mut event = "";
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("### `") {
            event = name.strip_suffix('`').unwrap();
            assert!(events.insert(event.into(), BTreeMap::new()).is_none(), "{line}");
        } else if let Some(item) = line.strip_prefix("- `") {
            let (field, meaning) = item.split_once("`: ").unwrap_or_else(|| panic!("{line}"));
            let fields = events.get_mut(event).unwrap();
            assert!(fields.insert(field.into(), meaning.into()).is_none(), "{event} {line}");
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
fn check(run: &Run, documented: &Documented, seen: &mut BTreeMap<String, Fields>) {
    for event in run.events() {
        let name = event["event"].as_str().unwrap();
        let known = documented.get(name).unwrap_or_else(|| panic!("{name} is not in the page"));
        let mut found = Fields::new();
        fields("", &event, &mut found);
        found.remove("event");
        // An empty list shows no fields.
        let lacks = |field: &String| {
            let list = field.split("[]").next().unwrap();
            field.contains("[]")
                && event[list].as_array().is_some_and(|l| !l.iter().any(Value::is_object))
        };
        let lists: Fields = known.keys().filter(|f| lacks(f)).cloned().collect();
        for list in &lists {
            found.remove(list.split("[]").next().unwrap());
        }
        let expected: Fields = known.keys().filter(|f| !lists.contains(*f)).cloned().collect();
        assert_eq!(found, expected, "{event}");
        for word in ["phase", "kind", "state", "cipher", "conflict"] {
            let words = if word == "phase" {
                &documented[word][word]
            } else {
                known.get(word).map_or("", |m| m)
            };
            let listed = |value: &str| words.contains(&format!("`{value}`"));
            assert!(event[word].as_str().is_none_or(listed), "{event}");
        }
        if let Some(lacks) = event["lacks"].as_array() {
            let listed =
                |word: &Value| known["lacks"].contains(&format!("`{}`", word.as_str().unwrap()));
            assert!(lacks.iter().all(listed), "{event}");
        }
        seen.entry(name.into()).or_default().extend(found);
    }
}

/// Review A10: of what it works on in memory, and then of what the drives are given; entries are
/// scanned in a phase of their own.
fn bytes_are_the_progress_of_bench(run: &Run) {
    let mut phases: Vec<(Value, Value, Value)> = Vec::new();
    for event in run.events() {
        if event["event"] == "phase" {
            phases.push((event["phase"].clone(), event["total"].clone(), Value::Null));
        } else if event["event"] == "progress" {
            phases.last_mut().unwrap().2 = event["done"].clone();
        }
    }
    let names: Vec<&Value> = phases.iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["scan", "bench", "bench"], "{}", run.shown());
    let (_, total, done) = &phases[1];
    assert!(*total == 0 && done.as_u64().unwrap() > 1 << 20, "{}", run.shown());
    let (_, total, done) = &phases[2];
    assert!(total == done && *done == 4 * (32 << 20), "{}", run.shown());
}

#[test]
fn every_event_is_documented_with_all_its_fields() {
    let shipment = Shipment::new(&[1, 1]);
    tree::rich(&shipment.source, "events");
    let documented = documented();
    let mut seen = BTreeMap::new();
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
    run(with(&["verify", "--json", "--log", "--quick"], &paths)).expect(0);
    let drive = format!("a={}", shipment.drives[0].1.display());
    run(with(&["resume", "--json", "--drive", &drive], &[])).expect(0);
    run(with(&["drives", "--json"], &paths)).expect(0);
    run(with(&["status", "--json"], &paths)).expect(0);
    run(with(&["status", "--json"], &paths[1..])).expect(3);
    run(with(&["ls", "--json", "-i", key], &paths)).expect(0);
    let page = shipment.path().join("page.html");
    run(with(&["report", "--json", "-o", page.to_str().unwrap()], &paths)).expect(0);
    let to = shipment.new_destination();
    run(shipment.restore_arguments(&shipment.paths()[1..], &to, &[])).expect(3);
    let tree = to.to_str().unwrap();
    run(with(&["verify", "--json", "-i", key, "--against", tree], &paths)).expect(0);
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
    run(with(&["close", "--json"], &paths)).expect(0);
    let other = shipment.path().join("other.key");
    run(with(&["keygen", "--json", "-o", other.to_str().unwrap()], &[])).expect(0);
    run(with(&["man", "--json", shipment.path().join("man1").to_str().unwrap()], &[])).expect(0);
    run(with(&["version", "--json"], &[])).expect(0);
    let drive = shipment.path().join("drive");
    fs::create_dir(&drive).unwrap();
    let words = ["bench", "--json", "--bytes", "32MiB", "--drive", drive.to_str().unwrap()];
    bytes_are_the_progress_of_bench(
        &run(with(&words, &[shipment.source.clone().into()])).expect(0),
    );
    assert_eq!(fs::read_dir(&drive).unwrap().count(), 0, "nothing stays");
    let plan = ["plan", "--json", "--estimate", "--drive-size", "1TB", "--cases", "2"];
    run(with(&plan, &[shipment.source.clone().into()])).expect(0);
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
    for (event, fields) in &documented {
        let fields: Fields = fields.keys().cloned().collect();
        assert_eq!(seen.get(event), Some(&fields), "{event} is printed with every field");
    }
}

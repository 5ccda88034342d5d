//! Goal: the shape of the code stays as it is drawn in `src/lib.rs`: imports point one way, few
//! folders touch files or start threads, only the command line prints, and nothing grows too long.
#![allow(clippy::unwrap_used, clippy::type_complexity, clippy::format_push_string)]

#[path = "architecture/circles.rs"]
mod circles;

use circles::Uses;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each top-level module may import of the crate; nobody imports `testing`. A test below checks
/// that the table itself has no circle.
const MAY_IMPORT: [(&str, &str); 30] = [
    ("format", ""),
    ("monitor", ""),
    ("entropy", ""),
    ("memory", ""),
    ("pipeline", ""),
    ("keys", "format"),
    ("patterns", "format"),
    ("drives", ""),
    ("stages", "format keys"),
    ("dataset", "drives format monitor patterns stages"),
    ("plan", "format"),
    ("local_state", "dataset format"),
    ("destination", "format"),
    ("shards", "drives format stages"),
    ("shipment", "drives format monitor shards"),
    ("metadata_files", "drives format monitor shipment stages"),
    ("stripes", "drives format monitor shards shipment stages"),
    ("check", "drives format metadata_files monitor shards shipment stripes"),
    ("catalog", "drives format keys shipment stages"),
    (
        "packer",
        "catalog dataset drives entropy format keys local_state metadata_files monitor pipeline plan shards shipment stages",
    ),
    ("repairer", "check drives format memory metadata_files monitor shards shipment stripes"),
    (
        "restorer",
        "catalog check destination drives format keys memory monitor patterns shards shipment stages stripes",
    ),
    ("restore_journal", "destination format keys monitor restorer shards shipment"),
    ("opening", "drives format keys local_state metadata_files monitor restorer shipment"),
    (
        "verification",
        "check dataset drives format memory metadata_files monitor opening patterns pipeline repairer restorer shards shipment stages",
    ),
    (
        "pack_session",
        "check dataset drives entropy format keys local_state memory metadata_files monitor opening packer plan repairer shipment verification",
    ),
    ("report", "format monitor"),
    (
        "measure",
        "check dataset drives entropy format keys local_state memory monitor packer plan restorer shipment",
    ),
    (
        "commands",
        "check dataset destination drives entropy format keys local_state measure memory metadata_files monitor opening pack_session packer patterns plan repairer report restore_journal restorer shipment stripes verification",
    ),
    (
        "cli",
        "check commands dataset destination drives entropy format keys measure memory monitor opening pack_session packer patterns plan repairer report restore_journal restorer shipment stripes verification",
    ),
];

/// Folders that touch files; `keys` for identity files, `commands` for the demo, `cli` for
/// `--missing` and the demo's folder.
const FILES: [&str; 7] =
    ["dataset", "destination", "local_state", "drives", "keys", "commands/demo", "cli"];
/// What starts threads, or work beside its own.
const THREADS: [&str; 10] = [
    "pipeline",
    "dataset/scan",
    "drives",
    "packer",
    "restorer",
    "stripes/readahead",
    "shards/shard",
    "cli/stop",
    "cli/hook",
    "cli/awake",
];
/// Lines of a file, without its tests.
const FILE_LINES: usize = 500;
/// Lines of a function.
const FUNCTION_LINES: usize = 100;

/// A source file without its tests and comments.
struct Source {
    /// relative to src, without `.rs`
    name: String,
    /// without the insides of strings
    lines: Vec<String>,
    /// the insides of strings of each line
    texts: Vec<String>,
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        let (lines, texts) = code(text).into_iter().unzip();
        Self { name: name.into(), lines, texts }
    }

    fn module(&self) -> &str {
        self.name.split('/').next().expect("split gives at least one part")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        let inside = |folder: &&str| {
            self.name
                .strip_prefix(*folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        folders.iter().any(inside)
    }

    /// Notes the lines that hold one of these words, not as the end of a longer one.
    fn must_not_say(&self, words: &[&str], found: &mut Vec<String>) {
        let says = |line: &str, word: &str| {
            let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric());
            line.match_indices(word).any(|(at, _)| begins(at) || word.starts_with('.'))
        };
        for (number, line) in self.lines.iter().enumerate() {
            for word in words.iter().filter(|word| says(line, word)) {
                found.push(format!("src/{}.rs:{}: {word}", self.name, number + 1));
            }
        }
    }
}

/// All sources that are not tests.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).unwrap().with_extension("");
                let name = name.to_str().unwrap().to_owned();
                sources.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    let only_tests = test_modules(&sources);
    let is_test =
        |name: &str| only_tests.iter().any(|t| name == t || name.starts_with(&format!("{t}/")));
    let kept = sources.iter().filter(|(name, _)| !is_test(name));
    kept.map(|(name, text)| Source::new(name, text)).collect()
}

/// Modules declared behind `#[cfg(test)]`, as paths.
fn test_modules(sources: &[(String, String)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, text) in sources {
        let folder = match name.rsplit_once('/') {
            Some((folder, "mod")) => format!("{folder}/"),
            _ if name == "lib" || name == "main" => String::new(),
            _ => format!("{name}/"),
        };
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let module = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let Some(module) = module.strip_prefix("mod ").and_then(|m| m.strip_suffix(';')) else {
                continue;
            };
            let before = &lines[at.saturating_sub(3)..at];
            let attributes = before.iter().rev().take_while(|l| l.starts_with("#["));
            if attributes.clone().any(|l| *l == "#[cfg(test)]") {
                let path = attributes.clone().find_map(|l| l.strip_prefix("#[path = \""));
                let beside = name.rsplit_once('/').map_or(String::new(), |(f, _)| format!("{f}/"));
                found.insert(match path {
                    Some(path) => format!("{beside}{}", path.trim_end_matches(".rs\"]")),
                    None => format!("{folder}{module}"),
                });
            }
        }
    }
    found
}

/// The lines of a file up to its inline tests, without comments, each apart from the insides of its
/// strings.
fn code(text: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let all: Vec<&str> = text.lines().collect();
    for (at, line) in all.iter().enumerate() {
        let inline =
            all.get(at + 1).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if *line == "#[cfg(test)]" && inline {
            break;
        }
        lines.push(code_and_strings(line));
    }
    lines
}

fn code_and_strings(line: &str) -> (String, String) {
    let (mut out, mut text) = (String::new(), String::new());
    let (mut inside, mut escaped) = (false, false);
    let mut previous = ' ';
    for c in line.chars() {
        if !inside && c == '/' && previous == '/' {
            out.pop();
            break;
        }
        previous = c;
        if inside {
            inside = escaped || c != '"';
            escaped = !escaped && c == '\\';
            if inside {
                text.push(c);
            } else {
                out.push('"');
                text.push('"');
            }
        } else {
            inside = c == '"' && !out.ends_with('\'');
            out.push(c);
        }
    }
    (out, text)
}

/// The top-level modules that a file names, in `use` lines and in paths.
fn imports(source: &Source) -> BTreeSet<String> {
    let text = source.lines.join("\n");
    let mut found = BTreeSet::new();
    let mut take = |rest: &str| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        found.insert(rest[..end].to_owned());
    };
    for (at, word) in text.match_indices("crate::") {
        let rest = &text[at + word.len()..];
        match rest.strip_prefix('{') {
            None => take(rest),
            Some(group) => top_level(group).iter().for_each(|name| take(name)),
        }
    }
    found.retain(|name| *name != source.module() && !name.is_empty());
    found
}

/// The beginnings of the names in `{a::b, c::{d, e}}`.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(group[begin..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(group[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn words(list: &str) -> std::str::SplitWhitespace<'_> {
    list.split_whitespace()
}

#[test]
fn imports_point_one_way() {
    let table: BTreeMap<&str, &str> = MAY_IMPORT.into_iter().collect();
    let mut wrong = Vec::new();
    let sources = sources();
    assert!(sources.len() > 70, "{} files were found", sources.len());
    for source in sources.iter().filter(|s| !["lib", "main", "testing"].contains(&s.module())) {
        let allowed = table.get(source.module());
        let Some(allowed) = allowed else {
            wrong.push(format!("src/{}.rs: its module is not in the table", source.name));
            continue;
        };
        for import in imports(source).iter().filter(|i| !words(allowed).any(|a| a == *i)) {
            wrong.push(format!("src/{}.rs imports {import}", source.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle_and_nothing_idle() {
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    while settled.len() < MAY_IMPORT.len() {
        let ready: Vec<&str> = MAY_IMPORT
            .iter()
            .filter(|(name, of)| !settled.contains(name) && words(of).all(|i| settled.contains(i)))
            .map(|(name, _)| *name)
            .collect();
        assert!(!ready.is_empty(), "a circle among those not in {settled:?}");
        settled.extend(ready);
    }
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        used.entry(source.module().to_owned()).or_default().extend(imports(&source));
    }
    let mut idle = Vec::new();
    for (name, allowed) in MAY_IMPORT {
        let used = used.get(name).unwrap_or_else(|| panic!("there is no module {name}"));
        idle.extend(words(allowed).filter(|a| !used.contains(*a)).map(|a| format!("{name}: {a}")));
    }
    assert!(idle.is_empty(), "the table allows what nobody does: {idle:?}");
}

#[test]
fn no_files_use_one_another_in_a_circle() {
    let sources = sources();
    let uses = Uses::of(&sources);
    let circles = uses.circles();
    let shown: Vec<String> = circles.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "\n{}", shown.join("\n"));
}

#[test]
fn keyless_paths_import_no_keys() {
    let keyless = [
        "shards",
        "shipment",
        "metadata_files",
        "stripes",
        "check",
        "drives",
        "plan",
        "repairer",
        "verification",
        "commands/verify",
        "commands/repair",
        "commands/erase",
        "commands/status",
        "destination",
        "local_state",
    ];
    for source in sources().iter().filter(|s| s.is_in(&keyless)) {
        assert!(!imports(source).contains("keys"), "src/{}.rs imports keys", source.name);
    }
}

#[test]
fn only_the_command_line_prints() {
    let words = ["println!", "print!", "eprintln!", "eprint!", "dbg!", "stdout()", "stderr()"];
    let mut found = Vec::new();
    sources()
        .iter()
        .filter(|s| !s.is_in(&["cli"]))
        .for_each(|s| s.must_not_say(&words, &mut found));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn few_folders_start_threads() {
    let words = ["thread::scope", "thread::spawn", "thread::Builder", "rayon::spawn", ".spawn("];
    let mut found = Vec::new();
    sources()
        .iter()
        .filter(|s| !s.is_in(&THREADS))
        .for_each(|s| s.must_not_say(&words, &mut found));
    // A progress bar that ticks by itself has a thread; it is indicatif's.
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn few_folders_touch_files() {
    let words = ["std::fs", "fs::File", "rustix::fs", "File::open", "File::create", "OpenOptions"];
    let mut found = Vec::new();
    sources().iter().filter(|s| !s.is_in(&FILES)).for_each(|s| s.must_not_say(&words, &mut found));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn nothing_unwraps_and_nothing_is_left_to_do() {
    let words = [".unwrap()", "todo!", "unimplemented!", "TODO", "FIXME", "XXX"];
    let mut found = Vec::new();
    sources().iter().for_each(|s| s.must_not_say(&words, &mut found));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_and_functions_stay_short() {
    let mut found = Vec::new();
    for source in sources() {
        let lines = source.lines.len();
        if lines > FILE_LINES {
            found.push(format!("src/{}.rs has {lines} lines", source.name));
        }
        for (begin, len) in functions(&source.lines) {
            if len > FUNCTION_LINES {
                found.push(format!("src/{}.rs:{begin}: a function of {len} lines", source.name));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A type that is renamed must not be renamed in what people read.
#[test]
fn no_text_holds_the_name_of_a_type() {
    let sources = sources();
    let is_camel = |name: &&str| {
        name.chars().filter(|c| c.is_uppercase()).count() > 1 && name.contains(char::is_lowercase)
    };
    let mut types: BTreeSet<&str> = BTreeSet::new();
    for line in sources.iter().flat_map(|source| &source.lines) {
        let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric()).collect();
        let at = words.iter().position(|word| ["struct", "enum", "trait"].contains(word));
        types.extend(at.and_then(|at| words.get(at + 1)).filter(|name| is_camel(name)));
    }
    let mut found = Vec::new();
    for source in &sources {
        for (number, text) in source.texts.iter().enumerate() {
            let words = text.split(|c: char| !c.is_alphanumeric());
            for word in words.filter(|word| types.contains(word)) {
                found.push(format!("src/{}.rs:{}: {word}", source.name, number + 1));
            }
        }
    }
    assert!(types.len() > 100 && found.is_empty(), "\n{}", found.join("\n"));
}

/// First line and length of each function: from `fn` to the brace on its own indentation.
fn functions(lines: &[String]) -> Vec<(usize, usize)> {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let is_function = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "fn");
        at.is_some_and(|at| words[..at].iter().all(|w| w.starts_with("pub") || *w == "const"))
    };
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
        let own = indentation(line);
        let ends = |l: &&String| indentation(l) == own && l.trim_start().starts_with('}');
        let end = lines[at..]
            .iter()
            .position(|l| ends(&l) || l.trim_end().ends_with(';') && indentation(l) == own);
        found.push((at + 1, end.map_or(0, |end| end + 1)));
    }
    found
}

/// The checks above find what they look for.
#[test]
fn the_checks_see_what_they_should() {
    let text = "use crate::{keys, a::{b, c}, drives::Drive};\nlet s = \"crate::no // no\"; // crate::never\nlet c = crate::sets::x();\n#[cfg(test)]\nmod tests {\ncrate::gone";
    let source = Source::new("plan/x", text);
    let found = imports(&source);
    let names: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(names, ["a", "drives", "keys", "sets"]);
    let lines: Vec<String> =
        "pub fn a(\n    x: u8,\n) -> u8 {\n    x\n}\nfn b() {}".lines().map(Into::into).collect();
    assert_eq!(functions(&lines)[0], (1, 5));
    let mut said = Vec::new();
    source.must_not_say(&["sets::x"], &mut said);
    assert_eq!(said, ["src/plan/x.rs:3: sets::x"]);
}

//! Files that use one another in a circle.
//!
//! - Enters: source files without their tests, comments and the insides of strings.
//! - Leaves: each circle, with the names that lead from one of its files to another.
//! - Always holds: (1) a folder's `mod.rs` is a file like any other, so what its children take from it
//!   counts; (2) `mod x;` alone uses nothing; (3) a path leads to the file of its longest module.

use super::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// From a file to the files that it uses, with the names that it takes from each.
pub struct Uses(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

/// Files of which each uses the others, over one file or more.
pub struct Circle<'u> {
    pub files: BTreeSet<&'u str>,
    uses: &'u Uses,
}

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "a circle of {} files:", self.files.len())?;
        for file in &self.files {
            for (used, names) in self.uses.0[*file].iter().filter(|(u, _)| self.has(u)) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                writeln!(f, "    {file} -> {used}: {}", names.join(" "))?;
            }
        }
        Ok(())
    }
}

impl Circle<'_> {
    fn has(&self, file: &str) -> bool {
        self.files.contains(file)
    }
}

impl Uses {
    pub fn of(sources: &[Source]) -> Self {
        let sources: Vec<&Source> =
            sources.iter().filter(|s| !["main", "testing"].contains(&s.module())).collect();
        let modules: BTreeMap<Vec<&str>, &str> =
            sources.iter().map(|s| (module(&s.name), s.name.as_str())).collect();
        let mut uses = BTreeMap::new();
        for source in sources.iter().filter(|s| s.name != "lib") {
            let text = source.lines.join("\n");
            let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for path in paths(&text) {
                let Some((file, name)) = resolve(&path, &module(&source.name), &modules) else {
                    continue;
                };
                if file != source.name && file != "lib" {
                    used.entry(file.to_owned()).or_default().insert(name);
                }
            }
            uses.insert(source.name.clone(), used);
        }
        Self(uses)
    }

    pub fn circles(&self) -> Vec<Circle<'_>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            self.0.keys().map(|file| (file.as_str(), self.reached_from(file))).collect();
        let circle_of = |file: &&str| -> BTreeSet<&str> {
            reached[*file].iter().copied().filter(|other| reached[other].contains(file)).collect()
        };
        let circles: BTreeSet<BTreeSet<&str>> = reached.keys().map(circle_of).collect();
        let circles = circles.into_iter().filter(|files| !files.is_empty());
        circles.map(|files| Circle { files, uses: self }).collect()
    }

    fn reached_from<'u>(&'u self, file: &'u str) -> BTreeSet<&'u str> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![file]);
        while let Some(file) = next.pop() {
            let used = self.0.get(file).into_iter().flat_map(BTreeMap::keys);
            next.extend(used.map(String::as_str).filter(|used| reached.insert(*used)));
        }
        reached
    }
}

/// The module that a file is, as the names that lead to it from the crate.
fn module(file: &str) -> Vec<&str> {
    let mut names: Vec<&str> = file.split('/').collect();
    if matches!(names.last(), Some(&("mod" | "lib"))) {
        names.pop();
    }
    names
}

/// The file that a path leads to from a module, and what it names there.
fn resolve<'m>(
    path: &[&str],
    from: &[&str],
    modules: &BTreeMap<Vec<&str>, &'m str>,
) -> Option<(&'m str, String)> {
    let mut base: Vec<&str> = from.to_vec();
    let mut rest = path;
    match *path.first()? {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while let Some((&"super", below)) = rest.split_first() {
                base.pop();
                rest = below;
            }
        }
        child => {
            base.push(child);
            let is_child = modules.contains_key(&base);
            base.pop();
            is_child.then_some(())?;
        }
    }
    let above = base.len();
    base.extend(rest);
    let longest = (0..=base.len()).rev().find(|len| modules.contains_key(&base[..*len]))?;
    let name = base[longest.max(above)..].join("::");
    Some((modules[&base[..longest]], if name.is_empty() { "self".into() } else { name }))
}

/// All paths of two names or more, those of `use` trees each in full.
fn paths(text: &str) -> Vec<Vec<&str>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(begin) = rest.find(is_of_name) {
        rest = tree(&rest[begin..], &[], &mut found);
    }
    found.retain(|path| path.len() > 1);
    found
}

/// Takes one path, and what is in the braces at its end; gives back the text behind it.
fn tree<'t>(text: &'t str, above: &[&'t str], found: &mut Vec<Vec<&'t str>>) -> &'t str {
    let mut path = above.to_vec();
    let mut rest = text;
    loop {
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        if end > 0 {
            path.push(&rest[..end]);
        }
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(behind) if behind.starts_with(is_of_name) => rest = behind,
            Some(behind) if behind.starts_with('{') => return group(&behind[1..], &path, found),
            _ => break,
        }
    }
    found.push(path);
    rest
}

/// Takes what stands in braces behind a path.
fn group<'t>(text: &'t str, above: &[&'t str], found: &mut Vec<Vec<&'t str>>) -> &'t str {
    let mut rest = text.trim_start();
    while !rest.is_empty() && !rest.starts_with('}') {
        rest = tree(rest, above, found);
        // What follows a name up to the comma is the name that it is given here.
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        rest = rest[end..].trim_start_matches(',').trim_start();
    }
    rest.get(1..).unwrap_or_default()
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A circle is seen whichever way its files name one another; what is none is not.
#[test]
fn circles_are_seen() {
    let files = [
        ("room/mod", "mod leaf;\nmod other;\npub use leaf::{Leaf, Twig as Branch};"),
        ("room/leaf", "use super::{Shared,\n    other::{self, Other}};"),
        ("room/other", "fn f() -> crate::base::Base { crate::base::new::<u8>() }"),
        ("base", "use std::collections::{BTreeMap, BTreeSet};"),
        ("user", "use crate::{base, room::{Leaf, leaf::inner::Deep}};"),
        ("lib", "mod room;"),
    ];
    let source = |(name, text): &(&str, &str)| Source::new(name, text);
    let uses = Uses::of(&files.iter().map(source).collect::<Vec<_>>());
    let circles: Vec<String> = uses.circles().iter().map(ToString::to_string).collect();
    assert_eq!(
        circles,
        [
            "a circle of 2 files:\n    room/leaf -> room/mod: Shared\n    room/mod -> room/leaf: Leaf Twig\n"
        ]
    );
    let used: Vec<(&String, &BTreeSet<String>)> = uses.0["user"].iter().collect();
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    assert_eq!(
        used,
        [
            (&"base".into(), &names(&["self"])),
            (&"room/leaf".into(), &names(&["inner::Deep"])),
            (&"room/mod".into(), &names(&["Leaf"])),
        ]
    );
    assert!(uses.0["room/leaf"].contains_key("room/other"));
}

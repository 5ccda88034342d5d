//! An option either does something or is refused (Review shape B): those that mean something only
//! beside another.

use super::events::documented;
use crate::common::shipment::Shipment;
use clap::CommandFactory;
use clap::error::ErrorKind;
use holdall::testing::cli::args::Cli;
use holdall::testing::drives::Level;
use holdall::testing::format::Suite;
use holdall::testing::measure::predict::Limit;
use holdall::testing::monitor::{Phase, ProblemKind};
use rstest::rstest;

fn error_of(words: &[&str]) -> Option<ErrorKind> {
    Cli::command().try_get_matches_from(words).err().map(|e| e.kind())
}

#[rstest]
#[case(&["verify", "--memory", "1GiB"], true)]
#[case(&["verify", "--memory", "1GiB", "-i", "key"], true)]
#[case(&["verify", "--quick", "-i", "key"], false)]
#[case(&["verify", "--quick", "--memory", "1GiB"], false)]
#[case(&["verify", "--quick"], true)]
#[case(&["pack", "x", "--drive", "a=y", "--anew"], false)]
#[case(&["resume", "--drive", "a=y", "--anew"], true)]
#[case(&["close", "--anew"], false)]
#[case(&["pack", "x", "--drive", "y", "-0"], false)]
#[case(&["pack", "x", "--drive", "y", "-0", "--files-from", "-"], true)]
#[case(&["status", "--latest", "--shipment", "0123456789abcdef-001"], false)]
#[case(&["ls", "-i", "x", "-H", "--json"], false)]
#[case(&["repair", "--slot", "1"], false)]
#[case(&["repair", "--folder-drives"], false)]
#[case(&["bench", "--bytes", "1GiB"], false)]
#[case(&["bench", "--bytes", "1GiB", "--drive", "x"], true)]
#[case(&["bench", "--ports", "0"], false)]
#[case(&["pack", "x", "--drive", "a=y", "--level", "0"], false)]
#[case(&["pack", "x", "--drive", "a=y", "--level", "auto"], true)]
fn an_option_that_needs_another_is_refused_without_it(#[case] words: &[&str], #[case] good: bool) {
    assert_eq!(error_of(&[&["holdall"], words].concat()).is_none(), good);
}

/// The word that programs get.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

/// The words in backticks that the page of `--json` gives for a field.
fn values(event: &str, field: &str) -> Vec<String> {
    let events = documented();
    let meaning = &events[event][field];
    meaning.split('`').skip(1).step_by(2).map(String::from).collect()
}

/// Review shape G, H: and values are words for programs.
#[test]
fn the_page_names_every_value_of_a_word() {
    let phases: Vec<String> = Phase::ALL.into_iter().map(word).collect();
    assert_eq!(values("phase", "phase"), phases);
    let kinds: Vec<String> = ProblemKind::ALL.into_iter().map(word).collect();
    assert_eq!(values("problem", "kind"), kinds);
    let mut levels: Vec<&str> = Level::ALL.into_iter().map(Level::name).collect();
    levels.sort_unstable();
    let mut named = values("packed", "read_back[].level");
    named.sort_unstable();
    assert_eq!(named, levels);
    let suites: Vec<&str> = Suite::ALL.into_iter().map(Suite::word).collect();
    assert_eq!(values("plan", "cipher"), suites);
    let limits: Vec<String> = Limit::ALL.into_iter().map(word).collect();
    assert_eq!(values("bench", "predictions[].limit"), limits);
    for word in phases.iter().chain(&kinds).map(String::as_str).chain(levels) {
        assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{word:?}");
    }
}

/// Review R, small ones: with --json an error of the argument parser is an event, too.
#[test]
fn what_clap_refuses_is_an_event_for_programs() {
    let shipment = Shipment::new(&[1]);
    let run = shipment.run(["repair", "--slot", "9", "--json"]).expect(2);
    let error = run.event("error");
    assert!(error["text"].as_str().unwrap().contains("--onto"), "{error}");
    assert!(error["hint"].is_string(), "{error}");
}

//! `plan` and `pack --dry-run`: what is said before anything is bought or written, and what is refused.

use crate::common::run;
use crate::common::shipment::Shipment;
use crate::{assert_refused, assert_untouched, holdall, small};
use rstest::rstest;
use serde_json::Value;
use std::fs;
use std::path::Path;

const MANY: [&str; 11] = [
    "plan",
    "--size",
    "80TB",
    "--files",
    "20M",
    "--drive-size",
    "2TB",
    "--cases",
    "4",
    "--drives-per-case",
    "16",
];

/// The event of a plan with these words.
fn event(folder: &Path, words: &[&str]) -> Value {
    run(folder, words.iter().chain(&["--json"])).expect(0).event("shipment-plan")
}

#[rstest]
#[case::nothing(&[], &["no dataset", "hint: name the folder, or say how large", "--size 80TB"])]
#[case::no_drives(&["--size", "80TB"], &["no drives to plan for", "--drive CASE=PATH", "--drive-size 2TB"])]
#[case::size(&["--size", "big", "--drive-size", "2TB", "--cases", "2"], &["\"big\" is not a size", "hint: write --size 2TB"])]
#[case::drive_size(&["--size", "1TB", "--drive-size", "x", "--cases", "2"], &["\"x\" is not a size", "--drive-size 2TB"])]
#[case::rule(&["--size", "1TB", "--drive-size", "2TB", "--cases", "2", "--drives-per-case", "1", "--survive", "cases=2"], &["cannot survive cases=2", "hint: add drives or cases"])]
#[case::too_small(&["--size", "1TB", "--drive-size", "1kB", "--cases", "2"], &["20,000 drives of this size do not hold it", "hint: plan for larger"])]
#[case::too_many(&["--size", "1TB", "--drive-size", "1TB", "--cases", "100000"], &["more than the 20,000", "hint:"])]
#[case::rule_of_any_number(&["--size", "1TB", "--drive-size", "2TB", "--cases", "2", "--survive", "cases=2"], &["cannot survive cases=2", "hint: add drives or cases"])]
#[case::memory_of_any_number(&["--size", "1TB", "--drive-size", "2TB", "--cases", "200", "--ports", "200"], &["take more memory", "hint: pack with --memory"])]
#[case::ports(&["--size", "1TB", "--drive-size", "2TB", "--cases", "4", "--drives-per-case", "4", "--ports", "2", "--survive", "cases=1,drives=1"], &["round 1 has 2 drives", "hint: attach more drives at a time, with --ports 4,"])]
#[case::ports_of_any_number(&["--size", "1TB", "--drive-size", "2TB", "--cases", "4", "--ports", "2", "--survive", "cases=1,drives=1"], &["hint: attach more drives at a time, with --ports 4,"])]
fn what_makes_no_sense_is_refused(#[case] words: &[&str], #[case] expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    assert_refused(holdall(folder.path()).arg("plan").args(words), 2, expected);
}

#[rstest]
#[case(&["plan", "--size", "1TB", "--drive-size", "2TB"], "--cases")]
#[case(&["plan", "photos", "--size", "1TB"], "cannot be used with")]
#[case(&["plan", "--cases", "3"], "--drive-size")]
#[case(&["plan", "photos", "--drive", "a=x", "--inventory", "y"], "cannot be used with")]
#[case(&["plan", "--files", "20M"], "--size")]
#[case(&["plan", "photos", "--drive-loss", "2"], "written as 0.5%")]
#[case(&["plan", "--size", "1TB", "--files", "many"], "20M or 1.5G")]
fn what_is_lacking_is_named(#[case] words: &[&str], #[case] expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = holdall(folder.path()).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
}

/// Review E1: one screen of 80 columns and 24 lines, with the line that was typed.
#[test]
fn the_usual_plan_is_one_screen() {
    let folder = tempfile::tempdir().unwrap();
    let text = run(folder.path(), MANY).expect(0).stdout;
    assert!(text.lines().count() <= 23, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for said in [
        "80 TB in 20,000,000 files fit on 64 drives of 2 TB in 4 cases, 16 at a time.",
        "You can lose any 1 case and any 1 more drive. (The default;",
        "4 sets, one per round: 3 with 16 drives each, up to 98 % full; 1 with 16",
        "Odds of any loss: 0.027 %, if 0.5 % of drives and 0.5 % of cases are lost",
        "Assumed: 120 MB/s a drive",
        "\ncases=1,drives=1 <- ",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let page = include_str!("../../src/plan/survive.md");
    let table = text.split("\n\n").last().unwrap();
    assert!(page.contains(&format!("```text\n{table}```")), "the page quotes it\n{table}");
}

#[test]
fn a_plan_is_saved_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my plan.json");
    let save = ["--save", file.to_str().unwrap()];
    let text = run(folder.path(), MANY.iter().chain(&save)).expect(0).stdout;
    let next = format!("holdall pack SOURCE --plan '{}' -r RECIPIENT", file.display());
    let drives = ["a", "b", "c", "d"].map(|case| format!(" --drive {case}=PATH").repeat(4));
    assert!(text.ends_with(&format!("{next}{}\n", drives.concat())), "{text}");
    let saved: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        (&saved["holdall_plan"], &saved["survive"]),
        (&1.into(), &"cases=1,drives=1".into())
    );
    assert_eq!(saved["rounds"].as_array().unwrap().len(), 4);
    let again = holdall(folder.path()).args(MANY).args(save).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "it is not overwritten");
    // It says which drives are needed, and what is no plan is told.
    let source = folder.path().to_str().unwrap();
    let pack = ["pack", source, "-r", "age1", "--plan"];
    let words = ["round 1 needs 4 of case a, 4 of case b", "hint: add --drive CASE=PATH"];
    assert_refused(holdall(folder.path()).args(pack).arg(&file), 2, &words);
    fs::write(&file, "[]").unwrap();
    let words = ["my plan.json: it is no plan that holdall plan --save has written", "hint: "];
    assert_refused(holdall(folder.path()).args(pack).arg(&file), 2, &words);
}

#[test]
fn ten_petabytes_are_planned() {
    let folder = tempfile::tempdir().unwrap();
    let words = [
        "plan",
        "--size",
        "10PB",
        "--files",
        "1G",
        "--drive-size",
        "4TB",
        "--cases",
        "50",
        "--drives-per-case",
        "100",
        "--ports",
        "255",
        "--memory",
        "4GiB",
    ];
    let plan = event(folder.path(), &words);
    let (drives, sets) = (plan["drives"].as_array().unwrap(), plan["sets"].as_array().unwrap());
    assert_eq!((drives.len(), &plan["rounds"], sets.len()), (5000, &20.into(), 11), "{plan:.400}");
    let data = |set: &Value| set["data_bytes"].as_u64().unwrap();
    assert_eq!(sets.iter().map(data).sum::<u64>(), 10_000_000_000_000_000);
    assert!(plan["fits"] == true && plan["holds_bytes"].as_u64() > Some(17_000_000_000_000_000));
    let over = |d: &&Value| d["bytes"].as_u64() > d["free_bytes"].as_u64();
    assert_eq!(drives.iter().find(over), None, "no drive gets more than it holds");
}

/// The drives of a rule are those that are planned for if it is asked for.
#[test]
fn a_rule_needs_as_many_drives_as_its_own_plan() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["plan", "--size", "3TB", "--drive-size", "2TB", "--cases", "2"];
    let rules = event(folder.path(), &words)["rules"].as_array().unwrap().clone();
    for (rule, drives) in [("none", 2), ("drives=1", 4)] {
        let row = rules.iter().find(|row| row["survive"] == rule).unwrap();
        let asked = event(folder.path(), &[&words[..], &["--survive", rule]].concat());
        assert_eq!(
            (&row["drives"], asked["drives"].as_array().unwrap().len()),
            (&drives.into(), drives)
        );
    }
}

/// More drives change the default, and the advice knows it.
#[rstest]
#[case("1TB", "500GB", 2)]
#[case("3TB", "2TB", 1)]
fn advice_is_true_under_the_default(#[case] size: &str, #[case] drive: &str, #[case] cases: u64) {
    let folder = tempfile::tempdir().unwrap();
    let plan = |per_case: u64| {
        let (cases, per_case) = (cases.to_string(), per_case.to_string());
        let words = ["plan", "--size", size, "--drive-size", drive, "--cases", &cases];
        event(folder.path(), &[&words[..], &["--drives-per-case", &per_case]].concat())
    };
    let more = plan(1)["drives_missing"].as_u64().unwrap();
    assert_eq!(plan(1 + more.div_ceil(cases))["fits"], true, "{more}");
}

/// What would do does, and a little less does not.
#[rstest]
#[case("2")]
#[case("3")]
fn what_would_do_does(#[case] cases: &str) {
    let folder = tempfile::tempdir().unwrap();
    let plan = |per_case: &str, size: &str| {
        let words =
            ["plan", "--size", "20TB", "--files", "1M", "--drive-size", size, "--cases", cases];
        let count = ["--drives-per-case", per_case, "--survive", "cases=1"];
        event(
            folder.path(),
            &[&words[..], if per_case.is_empty() { &[] } else { &count[..] }].concat(),
        )
    };
    let small = plan("3", "1TB");
    assert_eq!(small["fits"], false);
    let cases: u64 = cases.parse().unwrap();
    let more = small["drives_missing"].as_u64().unwrap();
    assert_eq!(plan(&(3 + more.div_ceil(cases)).to_string(), "1TB")["fits"], true, "{more}");
    assert_eq!(plan(&(3 + (more - 1) / cases).to_string(), "1TB")["fits"], false, "{more}");
    let size = small["size_missing"].as_u64().unwrap();
    let at = |percent: u64| plan("3", &(size * percent / 99).to_string())["fits"].clone();
    assert_eq!((at(101), at(97)), (true.into(), false.into()));
    let free = plan("", "1TB");
    let drives = free["drives"].as_array().unwrap().len() as u64;
    assert!(free["fits"] == true && drives.is_multiple_of(cases));
}

/// Drives of 1, 2 and 4 TB, each size in a case of its own, and how to deal them better.
#[test]
fn an_inventory_is_read_and_its_errors_have_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("drives.csv");
    let path = list.to_str().unwrap();
    let words = ["plan", "--size", "9TB", "--inventory", path, "--ports", "9"];
    let line = |n: usize| format!("{},SN{n},{}TB", ["a", "b", "c"][n / 3], 1 << (n / 3));
    let nine = (0..9).map(line).collect::<Vec<_>>().join("\n");
    let lines = |size: &str| format!("{nine}\n# spare\nc,SN9,{size}\n");
    fs::write(&list, format!("case, Serial, size\n{}", lines("4TB"))).unwrap();
    let plan = event(folder.path(), &words);
    assert_eq!(plan["drives"][9]["drive"], "SN9");
    assert!(plan["unusable_bytes"].as_u64() > Some(4_000_000_000_000), "{plan}");
    let (dealt, holds) = (plan["dealt_by_size_bytes"].as_u64(), plan["holds_bytes"].as_u64());
    assert!(dealt.unwrap() > holds.unwrap() * 13 / 10, "{plan}");
    for (content, said) in [
        (
            format!("case,drive,size\n{}", lines("4T0B")),
            "drives.csv, line 12, column size: \"4T0B\" is",
        ),
        ("case,drive\na,b\n".into(), "line 1: there is no column size"),
        ("case,drive,size\n,b,1TB\n".into(), "line 2, column case: there is no case"),
        ("case,drive,size\na b,b,1TB\n".into(), "line 2: \"a b\" is not a name for a case"),
        ("case,drive,size\na,/nowhere,\n".into(), "line 2: /nowhere is not mounted, and no size"),
        ("case,drive,size\n\na,b\n".into(), "line 3: b is not mounted"),
        ("case,drive,size\na,X,1TB\nb,X,1TB\n".into(), "line 3: X is listed twice: the first is"),
        ("case,drive,size\n".into(), "lists no drive"),
    ] {
        fs::write(&list, content).unwrap();
        assert_refused(holdall(folder.path()).args(words), 2, &[said, "hint: "]);
    }
    fs::remove_file(&list).unwrap();
    assert_refused(holdall(folder.path()).args(words), 2, &["drives.csv", "No such file"]);
}

/// As a spreadsheet saves it: with a mark at the beginning, other separators, and sizes in groups.
#[rstest]
#[case("\u{feff}case;mount;serial;size\r\na;;SN1;1,5 TB\r\nb;;SN2;1 500 000 000 000\r\n")]
#[case("Size\tSerial\tCase\n1500GB\tSN1\ta\n1.5TB\tSN2\tb\n")]
#[case("case,serial,size\na,\"SN1\",\"1,500,000,000,000\"\nb,SN2,1500000000000\n")]
fn an_inventory_of_a_spreadsheet_is_read(#[case] content: &str) {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("drives.csv");
    fs::write(&list, content).unwrap();
    let plan =
        event(folder.path(), &["plan", "--size", "1TB", "--inventory", list.to_str().unwrap()]);
    let drive = |n: usize| {
        let drive = &plan["drives"][n];
        (drive["case"].clone(), drive["drive"].clone(), drive["free_bytes"].clone())
    };
    let expected =
        |case: &str, drive: &str| (case.into(), drive.into(), 1_485_000_000_000_u64.into());
    assert_eq!((drive(0), drive(1)), (expected("a", "SN1"), expected("b", "SN2")));
}

/// What a sample takes for duplicates is said, and nothing is built on it.
#[test]
fn an_estimate_does_not_count_on_duplicates() {
    let shipment = Shipment::new(&[1]);
    let mut noise = vec![0; 500_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    for name in ["a", "b"] {
        fs::write(shipment.source.join(name), &noise).unwrap();
    }
    let source = shipment.source.to_str().unwrap();
    let words = ["plan", source, "--drive-size", "50MB", "--cases", "1", "--estimate"];
    let estimate = event(shipment.path(), &words)["estimate"].clone();
    assert_eq!(
        (&estimate["duplicates"], &estimate["stored_bytes"]),
        (&0.5.into(), &1_000_000.into())
    );
    let text = run(shipment.path(), words).expect(0).stdout.replace('\n', " ");
    assert!(
        text.contains("Files that seem to be duplicates are 50 % of it, not counted"),
        "{text}"
    );
}

/// The same as `plan` says of the drives that are attached; no recipient is needed.
#[test]
fn a_dry_run_writes_nothing() {
    let shipment = small();
    let mut words: Vec<String> =
        vec![shipment.source.to_str().unwrap().into(), "--folder-drives".into()];
    for (case, path) in &shipment.drives {
        words.extend(["--drive".into(), format!("{case}={}", path.display())]);
    }
    let said = |before: &[&str]| {
        let all = before.iter().map(ToString::to_string).chain(words.clone());
        shipment.run(all).expect(0).event("shipment-plan")
    };
    let (dry, plan) = (said(&["pack", "--dry-run", "--json"]), said(&["plan", "--json"]));
    assert!(!shipment.state().exists());
    assert_untouched(&shipment);
    for same in ["fits", "survive", "entries", "data_bytes", "sets"] {
        assert_eq!(dry[same], plan[same]);
    }
    assert_eq!((&dry["survive"], &dry["rounds"]), (&"cases=1,drives=1".into(), &1.into()));
    let nowhere = Shipment::new(&[1]).source.join("gone");
    let refused = ["plan", nowhere.to_str().unwrap(), "--drive-size", "2TB", "--cases", "2"];
    assert_refused(holdall(shipment.path()).args(refused), 1, &["does not exist", "hint: name a"]);
}

/// Times come from what bench measured last, and it is said of when that is.
#[test]
fn times_are_from_the_last_bench() {
    let folder = tempfile::tempdir().unwrap();
    let before = event(folder.path(), &MANY);
    assert_eq!(before["measured"], Value::Null);
    let kept = serde_json::json!({
        "time": "2026-03-01T10:00:00Z",
        "packing": {"level": 3, "bytes_per_second": 1e8, "ratio": 1.0},
        "verify": 1e9, "decode": 2e8, "drive": null,
    });
    fs::create_dir_all(folder.path().join("holdall")).unwrap();
    fs::write(folder.path().join("holdall/bench.json"), kept.to_string()).unwrap();
    let after = event(folder.path(), &MANY);
    assert_eq!(after["measured"], "2026-03-01T10:00:00Z");
    let seconds = |plan: &Value, what: &str| plan[what].as_f64().unwrap();
    assert!((seconds(&after, "pack_seconds") - 8e5).abs() < 1.0, "80 TB at 100 MB/s");
    assert!((seconds(&after, "restore_seconds") - 4e5).abs() < 1.0, "80 TB at 200 MB/s");
    let text = run(folder.path(), MANY).expect(0).stdout;
    assert!(text.contains("by holdall bench of\n2026-03-01: 100 MB/s of packing."), "{text}");
}

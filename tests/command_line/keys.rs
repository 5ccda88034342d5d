//! No letter of a secret is ever said, wherever it was typed (Review A1, R3), and key files
//! come from files and standard input.

use crate::{assert_refused, holdall, small};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The identity in a file.
fn secret(key: &Path) -> String {
    let text = fs::read_to_string(key).unwrap();
    text.lines().last().unwrap().to_owned()
}

/// Review A1, R3: no letter of it, wherever it was typed.
#[test]
fn a_secret_key_is_never_said() {
    let shipment = small();
    let (key, drive) = (shipment.key.to_str().unwrap(), shipment.paths()[0].display().to_string());
    let (secret, case) = (secret(&shipment.key), format!("a={drive}"));
    let source = shipment.source.to_str().unwrap();
    let pack = ["pack", source, "--folder-drives", "--drive", &case];
    let in_path = format!("{drive}/{}", secret.to_lowercase());
    let slips: [(Vec<&str>, i32, &str); 8] = [
        ([&pack[..], &["-r", &secret]].concat(), 2, "its recipient is age1"),
        ([&pack[..], &["-R", &secret]].concat(), 2, "in place of a file's name"),
        (vec!["ls", &drive, "-i", &secret], 1, "in place of a file's name"),
        (vec!["ls", &secret, "-i", key], 2, "a secret key was typed"),
        (vec!["verify", &drive, "-i", key, "--against", &in_path], 2, "a secret key was typed"),
        ([&pack[..], &["-r", &shipment.recipient, "--name", &secret]].concat(), 2, "was typed"),
        (
            vec!["pack", &secret, "--folder-drives", "--drive", &case, "-r", &shipment.recipient],
            2,
            "a secret key was typed",
        ),
        ([&pack[..], &["-r", &shipment.recipient, &secret]].concat(), 2, "was typed"),
    ];
    for (words, status, told) in slips {
        for json in [&[][..], &["--json"]] {
            let mut command = holdall(shipment.path());
            command.args(&words).args(json);
            assert_refused(&mut command, status, &[told]);
            let output = command.output().unwrap();
            let all = [output.stdout, output.stderr].concat();
            let all = String::from_utf8(all).unwrap().to_uppercase();
            assert!(!all.contains(&secret[16..30]), "{words:?}:\n{all}");
        }
    }
}

/// Review A1, A21: what was meant by a word that is no recipient is said, with what to type.
#[test]
fn a_slip_with_r_is_answered_with_what_was_meant() {
    let shipment = small();
    let case = format!("a={}", shipment.paths()[0].display());
    let r = &shipment.recipient;
    for (word, told) in [
        (format!("{r},{r}"), ["several keys in one", "hint: give each recipient its own -r"]),
        (format!("{r} {r}"), ["several keys in one", "hint: give each recipient its own -r"]),
        ("alice".into(), ["-r: this is no key", "or name a file of recipients"]),
    ] {
        let mut pack = holdall(shipment.path());
        pack.arg("pack").arg(&shipment.source).args(["--folder-drives", "--drive", &case]);
        assert_refused(pack.args(["-r", &word]), 2, &told);
        let said = String::from_utf8(pack.output().unwrap().stderr).unwrap();
        assert!(!said.contains(&secret(&shipment.key)), "{said}");
    }
}

/// Issue 14, point 8: an identity file stands for its recipient, which is said.
#[test]
fn an_identity_file_is_packed_to() {
    for option in ["-r", "-R"] {
        let shipment = small();
        let drive = shipment.paths()[0].display().to_string();
        let mut pack = holdall(shipment.path());
        // A drive that is alone needs no case.
        pack.arg("pack").arg(&shipment.source).args(["--folder-drives", "--drive", &drive]);
        let packed = pack.arg(option).arg(&shipment.key).assert().code(0);
        let said = String::from_utf8(packed.get_output().stderr.clone()).unwrap();
        let told =
            format!("line 3 is an identity (a secret key): its recipient {}", shipment.recipient);
        assert!(said.contains(&told) && !said.contains(&secret(&shipment.key)), "{said}");
        let mut ls = holdall(shipment.path());
        ls.args(["ls", &drive, "-i"]).arg(&shipment.key).assert().code(0);
    }
}

/// Review A21, R19: `-R -` and `-i -`.
#[test]
fn keys_come_from_standard_input() {
    let shipment = small();
    let drive = shipment.paths()[0].display().to_string();
    let mut pack = holdall(shipment.path());
    pack.arg("pack").arg(&shipment.source).args(["--folder-drives", "-R", "-"]);
    pack.args(["--drive", &format!("a={drive}")]);
    pack.write_stdin(format!("# team\n{}\n", shipment.recipient)).assert().code(0);
    let mut ls = holdall(shipment.path());
    ls.args(["ls", &drive, "-i", "-"]).write_stdin(fs::read(&shipment.key).unwrap());
    ls.assert().code(0);
    let mut ls = holdall(shipment.path());
    ls.args(["ls", &drive, "-i", "-"]).write_stdin("");
    assert_refused(&mut ls, 1, &["standard input holds no key"]);
}

/// Review A21: what is in the way of a key, and who may read it.
#[test]
fn keygen_says_what_is_in_its_way_and_who_may_read_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut keygen = holdall(folder.path());
    keygen.args(["keygen", "-o"]).arg(folder.path().join("no/key"));
    assert_refused(&mut keygen, 1, &["error: write ", "no/key", "hint: make its folder first"]);
    let taken = folder.path().join("taken");
    fs::write(&taken, "").unwrap();
    let mut keygen = holdall(folder.path());
    assert_refused(
        keygen.args(["keygen", "-o"]).arg(&taken),
        1,
        &["error: write ", "never writes over"],
    );
    let mut keygen = holdall(folder.path());
    assert_refused(keygen.args(["keygen", "--json"]), 2, &["add -o"]);

    // A name that is not UTF-8 is no reason to fail.
    let odd = folder.path().join(OsStr::from_bytes(b"odd\xff.key"));
    let made = holdall(folder.path()).args(["keygen", "--json", "-o"]).arg(&odd).output().unwrap();
    let event: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(odd.is_file() && event["file"].as_str().unwrap().ends_with("odd\u{fffd}.key"));
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = fs::OpenOptions::new();
        let path = folder.path().join(format!("{mode:o}"));
        let file = options.write(true).create_new(true).mode(mode).open(&path).unwrap();
        let mut keygen = std::process::Command::new(env!("CARGO_BIN_EXE_holdall"));
        let output = keygen.arg("keygen").stdout(file).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.contains("everybody can read"), warned, "{stderr}");
        let recipient = stderr.lines().find_map(|l| l.strip_prefix("note: its recipient is "));
        assert!(fs::read_to_string(&path).unwrap().contains(recipient.unwrap()));
    }
}

// Security, cosmetic: an identity that others can read is taken, and told.
#[test]
fn an_identity_that_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let shipment = small();
    shipment.pack("drives=1").expect(0);
    let drive = shipment.paths()[0].display().to_string();
    let told = |mode: u32| {
        fs::set_permissions(&shipment.key, fs::Permissions::from_mode(mode)).unwrap();
        let key = shipment.key.to_str().unwrap();
        let run = shipment.run(["ls", &drive, "-i", key, "--json"]).expect(0);
        let notes = run.events_of("note");
        let is_it = |n: &&serde_json::Value| n["text"].as_str().unwrap().contains("chmod 600");
        notes.iter().filter(is_it).count()
    };
    assert_eq!([told(0o600), told(0o644)], [0, 1]);
}

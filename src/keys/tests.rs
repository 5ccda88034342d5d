//! Key files of every sort: what is taken, and what is said of the rest, without a letter of it.

use super::KeyError;
use super::kind::KeyKind;
use super::recipients::{Identities, Recipients, generate};
use rstest::rstest;
use std::fs;
use std::path::PathBuf;

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// A file of these bytes, and the folder that it lies in.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// An identity and its recipient.
fn pair() -> (String, String) {
    let (text, recipient) = generate("");
    (text.lines().last().unwrap().to_owned(), recipient)
}

fn wide(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(bytes).collect()
}

/// Review R19: what editors and shells make of a text file.
#[test]
fn a_byte_order_mark_utf_16_and_blanks_are_taken() {
    let (secret, _) = pair();
    let text = |key: &str| format!("# team\r\n\r\n \t{key} \r\n");
    for key in [RECIPIENT, &secret] {
        let (plain, bare) = (text(key), format!("\u{feff}{key}"));
        let files = [
            plain.as_bytes().to_vec(),
            bare.as_bytes().to_vec(),
            wide(&plain, u16::to_le_bytes),
            wide(&plain, u16::to_be_bytes),
        ];
        for bytes in files {
            let (_folder, path) = file(&bytes);
            if key == RECIPIENT {
                assert_eq!(Recipients::read(&[], &[path]).unwrap().words(), [RECIPIENT]);
            } else {
                Identities::read(&[path]).unwrap();
            }
        }
    }
    let typed = Recipients::read(&[format!(" {RECIPIENT}\n")], &[]).unwrap();
    assert_eq!(typed.words(), [RECIPIENT]);
}

/// All of an error's text.
fn chain(error: &KeyError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

/// Review A1, A21, R3, R19: a key is told by its kind and its place, and nothing of it is said.
#[rstest]
#[case::behind_a_key(
    b"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p # alice",
    "line 1: there is more"
)]
#[case::several(
    b"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p,age1ql3z7hjy54pw3hyww5ayyfg7",
    "line 1: these are several keys in one"
)]
#[case::several_with_blanks(
    b"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p age1ql3z7hjy54pw3hyww5ayyfg7",
    "line 1: these are several keys in one"
)]
#[case::with_a_secret(
    b"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p,AGE-SECRET-KEY-13FLV3P0000",
    "line 1: these are several keys in one"
)]
#[case::cut(
    b"\n\nage1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2",
    "line 3: this age recipient is incomplete"
)]
#[case::secret_cut(
    b"AGE-SECRET-KEY-13FLV3P0000",
    "line 1: this age identity (a secret key) is incomplete"
)]
#[case::plugin(b"age1yubikey1qwertyuiop", "line 1: this is a recipient of the age plugin yubikey")]
#[case::plugin_secret(b"AGE-PLUGIN-YUBIKEY-1QWERTYUIOP", "of the age plugin yubikey")]
#[case::plugin_mistyped(b"AGE-PLUGIN-YUBIKEY-1QWERTY-1UIOP", "of the age plugin yubikey")]
#[case::post_quantum(b"age1pq1qwertyuiop", "post-quantum recipient")]
#[case::post_quantum_secret(b"AGE-SECRET-KEY-PQ-1QWERTYUIOP", "post-quantum identity")]
#[case::ssh(b"# mine\nssh-ed25519 AAAAC3Nz qwerty@home", "line 2: this is a public SSH key")]
#[case::ssh_secret(
    b"-----BEGIN OPENSSH PRIVATE KEY-----\nqwerty",
    "line 1: this is a private key of SSH"
)]
#[case::passphrase(
    b"age-encryption.org/v1\n-> scrypt qwerty 18\nqwerty\n--- x\n\xff\xfe",
    "keys: this file is encrypted with a passphrase"
)]
#[case::encrypted(
    b"age-encryption.org/v1\n-> X25519 qwerty\n\xff",
    "keys: this file is encrypted with age"
)]
#[case::armored(
    b"-----BEGIN AGE ENCRYPTED FILE-----\nqwerty",
    "line 1: this file is encrypted with age"
)]
#[case::pgp(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nqwerty", "this is a PGP key")]
#[case::shadow(b"root:$6$qwerty:19000::::::", "line 1: this is no key")]
#[case::binary(b"\x7fELF\xff\xfe qwerty", "keys: this is no text file")]
#[case::zeros(b"qwerty\0\0", "keys: this is no text file")]
#[case::broken_utf_16(b"\xff\xfeq\0\0\xd8q\0", "keys: this is no text file")]
#[case::nothing(b"# qwerty\n", "keys holds no key")]
fn a_key_is_told_by_kind_and_place(#[case] bytes: &[u8], #[case] told: &str) {
    let (_folder, path) = file(bytes);
    let errors = [
        Recipients::read(&[], std::slice::from_ref(&path)).err().unwrap(),
        Identities::read(&[path]).err().unwrap(),
    ];
    for text in errors.iter().map(chain) {
        assert!(text.contains(told), "{text}");
        let content = ["qwerty", "QWERTY", "alice", "3FLV3P", "w3hyww5", "$6$"];
        assert!(content.iter().all(|content| !text.contains(content)), "{text}");
    }
}

/// Issue 14, point 8: of an identity in a file its recipient is taken, whichever option names it.
#[test]
fn of_an_identity_in_a_file_its_recipient_is_taken() {
    let (secret, recipient) = pair();
    let (_folder, path) = file(format!("# created\n{secret}\n{RECIPIENT}\n").as_bytes());
    let name = path.display().to_string();
    for (words, files) in [(vec![], vec![path]), (vec![name], vec![])] {
        let read = Recipients::read(&words, &files).unwrap();
        assert_eq!(read.words(), [&*recipient, RECIPIENT]);
        let [(place, used)] = read.of_identities() else { panic!("one of them") };
        assert!(place.to_string().ends_with("keys, line 2") && *used == recipient, "{place}");
    }
}

/// Review A1: an identity that was typed is told with its recipient.
#[test]
fn a_key_in_the_wrong_place_is_told_with_the_half_that_is_public() {
    let (secret, recipient) = pair();
    let named = PathBuf::from(&secret);
    let errors = [
        Recipients::read(&[RECIPIENT.into(), secret.clone()], &[]).err().unwrap(),
        Recipients::read(&[], std::slice::from_ref(&named)).err().unwrap(),
        Identities::read(&[named]).err().unwrap(),
    ];
    let places = ["-r number 2", "in place of", "in place of"];
    for (error, place) in errors.iter().zip(places) {
        let text = chain(error);
        let told = text.contains(place) && text.contains(&recipient);
        assert!(told && text.contains("(a secret key)") && !text.contains(&secret), "{text}");
    }
    let (_folder, path) = file(RECIPIENT.as_bytes());
    let error = Identities::read(&[path]).err().unwrap();
    assert!(error.to_string().ends_with("line 1: this is a recipient (a public key)"), "{error}");
}

#[test]
fn a_key_file_is_of_a_bounded_length() {
    let error = Identities::read(&["/dev/zero".into()]).err().unwrap();
    assert!(matches!(error, KeyError::File { .. }), "{error}");
}

#[test]
fn names_of_files_are_no_keys() {
    for name in ["me.key", "ssh-keys", "age1.txt", "team recipients"] {
        let error = Identities::read(&[name.into()]).err().unwrap();
        assert!(chain(&error).starts_with(&format!("read {name}: ")), "{error}");
    }
    assert_eq!(KeyKind::of("team recipients"), KeyKind::Unknown);
}

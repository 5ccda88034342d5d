//! The wrapped keys on the drives: nobody can make one again, so none is ever overwritten by another
//! that may be the packer's, and each of them is tried.

use super::repair::{Bench, repair};
use crate::common::images::{Image, Packed};
use age::x25519::Identity;
use holdall::testing::format::ids::{RunId, SetNumber, ShipmentId};
use holdall::testing::keys::RunKey;
use holdall::testing::keys::recipients::{Identities, Recipients};
use holdall::testing::monitor::Recording;
use rstest::rstest;
use std::time::{Duration, Instant};

fn key_paths(packed: &Packed, image: &Image) -> Vec<String> {
    let folder = packed.set_folder();
    let is_key = |path: &&String| {
        let below = path.strip_prefix(&format!("{folder}/")).unwrap_or_default();
        below.starts_with("key-") || below.starts_with("copy/key-")
    };
    image.keys().filter(is_key).cloned().collect()
}

/// Is this the line beside a key file?
fn is_line(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| ending == "b3")
}

/// Puts another key file in the place of the packer's, second copy and lines too, as a thief would.
fn replace_key(packed: &Packed, image: &mut Image, other: &[u8]) {
    for path in key_paths(packed, image) {
        let name = path.rsplit_once('/').unwrap().1.replace(".b3", ".age");
        let line = format!("{}  {name}\n", blake3::hash(other));
        let bytes = if is_line(&path) { line.into_bytes() } else { other.to_vec() };
        image.insert(path, bytes);
    }
    let line = key_paths(packed, image).into_iter().find(|path| is_line(path)).unwrap();
    let copy = line.replace("/key-", "/copy/key-");
    image.insert(copy, image[&line].clone());
}

/// A key file that somebody without the key could make: wrapped to an identity of his own.
fn anothers(packed: &Packed) -> Vec<u8> {
    let name = packed.set_folder().rsplit_once('/').unwrap().1.to_owned();
    let shipment: ShipmentId = name.split_once('-').unwrap().0.parse().unwrap();
    let path = key_paths(packed, &packed.images[0]).remove(0);
    let run: RunId = path.rsplit_once("key-").unwrap().1[..16].parse().unwrap();
    let to = Recipients::read(&[Identity::generate().to_public().to_string()], &[]).unwrap();
    to.wrap(&RunKey::new([7; 32], shipment, SetNumber(1), run)).unwrap()
}

/// Review S2: a copy on one drive, with more votes than the honest ones had, replaced the only genuine
/// key.
#[rstest]
#[case::two_drives(&[1, 1], "drives=1", &[0])]
#[case::two_thieves_of_three(&[1, 1, 1], "drives=1", &[0, 2])]
fn a_wrapped_key_is_never_overwritten_by_another(
    #[case] cases: &[usize],
    #[case] survive: &str,
    #[case] tampered: &[usize],
) {
    let packed = Packed::new(cases, survive, "another key");
    let mut images = packed.images.clone();
    let other = anothers(&packed);
    tampered.iter().for_each(|drive| replace_key(&packed, &mut images[*drive], &other));
    let bench = Bench::new(&images);
    let verified = packed.verify(&bench.shared(), false);
    assert_eq!(verified.status, 3, "{:#?}", verified.problems);
    let [problem] = &verified.problems[..] else { panic!("{:#?}", verified.problems) };
    assert!(problem.detail.contains("the drives have different ones"), "{problem:?}");
    for drive in 0..cases.len() {
        assert!(problem.detail.contains(&format!("drive {drive}")), "{problem:?}");
    }
    assert!(
        verified.sets[0].drives.iter().all(|d| d.report.bad_metadata_files == 0),
        "no drive is blamed"
    );
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &[], None, &monitor);
    assert!(!done.is_whole());
    assert_eq!(done.repaired.keys_differ.len(), 1);
    assert_eq!(monitor.problems().len(), 1, "{:#?}", monitor.problems());
    assert!(bench.images() == images, "nothing was written");
    packed.must_be_restored(&bench.shared(), "both key files are tried");
    packed.must_be_restored(&bench.shared()[..2], "the honest drive and a tampered one");
}

/// What its own drive convicts gives way: rot, in each place.
#[test]
fn a_wrapped_key_that_rotted_is_mended() {
    let packed = Packed::new(&[1, 1], "drives=1", "rotten key");
    for path in key_paths(&packed, &packed.images[0]) {
        let mut images = packed.images.clone();
        // Within the last stanza's body, so that it still looks like a key file.
        let bytes = images[0].get_mut(&path).unwrap();
        let at = if is_line(&path) { 5 } else { 100 };
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        let bench = Bench::new(&images);
        let verified = packed.verify(&bench.shared(), false);
        let of_it = |p: &&holdall::testing::monitor::Problem| p.subject.ends_with(&path);
        assert_eq!(verified.problems.iter().filter(of_it).count(), 1, "{:#?}", verified.problems);
        let monitor = Recording::default();
        let done = repair(&bench.shared(), &[], None, &monitor);
        assert!(done.is_whole(), "{path}: {:#?}", monitor.problems());
        assert!(bench.images() == packed.images, "{path}");
    }
}

/// Review S10: a file of as many stanzas as fit, and one of as many lines, take no time to speak of.
#[rstest]
#[case::stanzas(
    "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n"
)]
#[case::lines("-> a\n\n")]
fn a_key_file_of_many_stanzas_is_told_fast(#[case] stanza: &str) {
    let mut file = b"age-encryption.org/v1\n".to_vec();
    let end = [b"--- ", [b'A'; 43].as_slice(), b"\n", &[0; 104]].concat();
    while file.len() + stanza.len() + end.len() <= 65_536 {
        file.extend(stanza.as_bytes());
    }
    file.extend(end);
    let identities = Identities::of(Identity::generate());
    let begun = Instant::now();
    let (shipment, set, run) = (ShipmentId(1), SetNumber(1), RunId(1));
    assert!(identities.unwrap(&file, shipment, set, run, None).is_err());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// What does not fit a key file is refused before anything is packed.
#[test]
fn as_many_recipients_as_fit_and_no_more() {
    let key = RunKey::new([1; 32], ShipmentId(1), SetNumber(1), RunId(1));
    let words = |count: usize| vec![Identity::generate().to_public().to_string(); count];
    let most = Recipients::read(&words(600), &[]).unwrap().wrap(&key).unwrap();
    assert!(most.len() <= 65_536, "{}", most.len());
    let refused = Recipients::read(&words(601), &[]).err().unwrap().to_string();
    assert_eq!(refused, "601 recipients are too many: a key file has room for 600");
}

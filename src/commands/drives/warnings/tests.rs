use super::*;
use crate::commands::drives::recorded;
use rstest::rstest;
use std::path::Path;

/// What costs a day is told, and of the right drives.
#[rstest]
#[case("/media/ann/one", "failing", "it expects to fail soon (SMART): leave it at home")]
#[case("/media/ann/one", "sectors", "24 of its sectors cannot be read (SMART)")]
#[case("/media/ann/one", "shared-disk", "the same disk (sda) as /media/ann/two: ")]
#[case("/media/ann/two", "shared-disk", "the same disk (sda) as /media/ann/one: ")]
#[case("/media/ann/T5", "busy", "another program reads or writes 34 MB/s on it now")]
#[case("/media/ann/T5 1", "in-use", "holdall pack (process 4711) is at work on it")]
#[case("/media/ann/STICK", "usb2", "USB 2: about 7 hours for each TB, and as long again to read")]
#[case("/media/ann/STICK", "usb2", "use a port and a cable of USB 3")]
#[case("/media/ann/STICK", "fat", "stay far below FAT's limit of 4 GB")]
#[case("/media/ann/STICK", "small", "60 GB are free, and 999 GB on the largest drive here")]
#[case("/media/ann/CARD", "usb2", "as long again to read it back")]
#[case("/media/ann/vault", "no-answer", "it does not answer")]
#[case("/mnt/image", "read-only", "nothing can be written to it")]
#[case("/", "own-disk", "it is on the system's disk (/): what is packed there does not travel")]
#[case("/boot/efi", "own-disk", "it is a partition of the system's disk (/): ")]
fn is_said(#[case] point: &str, #[case] kind: &str, #[case] words: &str) {
    let drives = recorded::drives();
    let drive = drives.iter().find(|drive| drive.path == Path::new(point)).unwrap();
    let found = drive.warnings.iter().find(|warning| warning.kind == kind);
    let found = found.unwrap_or_else(|| panic!("no {kind}: {:?}", drive.warnings));
    assert!(found.text.contains(words), "{}", found.text);
}

#[test]
fn of_a_drive_that_is_as_it_should_be_nothing_is_said() {
    let drives = recorded::drives();
    for point in ["/data", "/media/ann/PHOTOS"] {
        let drive = drives.iter().find(|drive| drive.path == Path::new(point)).unwrap();
        assert_eq!(drive.warnings, []);
    }
    // A reader of USB 2 in a port of USB 2 could not be faster elsewhere.
    let card = drives.iter().find(|drive| drive.path == Path::new("/media/ann/CARD")).unwrap();
    assert!(!card.warnings.iter().any(|warning| warning.text.contains("USB 3")));
    assert_eq!((hours_per_terabyte(480), hours_per_terabyte(12)), (7, 285));
}

//! The words of what a restore says at its end.

use super::*;

/// Review A24: one waits, two wait.
#[test]
fn what_is_one_is_told_in_the_singular() {
    let text = |count, in_place| {
        let restored =
            Restored { waiting: count, already: count, lost: count, ..Restored::default() };
        let outcome = RestoreOutcome { restored, in_place, ..Default::default() };
        super::restored(&outcome, Path::new("to"), "")
    };
    assert!(text(1, false).contains("1 file waits for drives"), "{}", text(1, false));
    assert!(text(1, false).contains("1 entry was in place already"), "{}", text(1, false));
    assert!(text(2, false).contains("2 files wait for drives"), "{}", text(2, false));
    let in_place = text(1, true);
    assert!(in_place.contains("1 entry is in place, "), "{in_place}");
    assert!(in_place.contains("and 1 entry is missing"), "{in_place}");
    assert!(text(2, true).contains("and 2 entries are missing"), "{}", text(2, true));
}

/// Folders are entries that are in place too; a set and more are several.
#[test]
fn what_is_several_is_told_in_the_plural() {
    let restored = Restored { already: 2, known: 1, ..Restored::default() };
    let outcome =
        RestoreOutcome { restored, awaited: vec![3], awaited_more: true, ..Default::default() };
    let text = super::restored(&outcome, Path::new("to"), "");
    assert!(text.contains("3 entries were in place already"), "{text}");
    assert!(
        text.contains(
            "Set 3 and perhaps more of this shipment are still missing: attach their drives"
        ),
        "{text}"
    );
}

/// Where a drive is missing and nothing damaged, nothing is said of damage.
#[test]
fn what_was_rebuilt_is_told_by_its_reason() {
    let text = |all, damaged| {
        let reconstructed = Reconstructed { all, damaged };
        let restored = Restored { reconstructed, ..Restored::default() };
        super::restored(&RestoreOutcome { restored, ..Default::default() }, Path::new("to"), "")
    };
    let absent = "2 blocks on missing drives were reconstructed from parity.";
    assert!(text(2, 0).contains(absent) && !text(2, 0).contains("damaged"), "{}", text(2, 0));
    assert!(text(3, 1).contains(absent), "{}", text(3, 1));
    let damaged = "1 damaged block was reconstructed from parity: holdall verify";
    assert!(text(3, 1).contains(damaged), "{}", text(3, 1));
    assert!(!text(1, 1).contains("missing"), "{}", text(1, 1));
}

/// It says what to type.
#[test]
fn what_was_given_up_can_be_had_in_another_folder() {
    let restored = Restored { lost: 2, ..Restored::default() };
    let outcome = RestoreOutcome { restored, in_place: true, ..Default::default() };
    let text = super::restored(&outcome, Path::new("to"), "");
    assert!(text.contains("with a new folder after --to"), "{text}");
}

/// Review F14.
#[test]
fn of_a_set_that_committed_nothing_no_file_is_called_complete() {
    let text = |entries| {
        let restored = Restored { end_unknown: true, entries, ..Restored::default() };
        super::restored(&RestoreOutcome { restored, ..Default::default() }, Path::new("to"), "")
    };
    assert!(text(0).contains("Nothing was committed to these drives"), "{}", text(0));
    let told = "Every file that these drives name is complete and verified";
    assert!(text(1).contains(told), "{}", text(1));
}

/// Its drives are here, so that nothing is to be attached.
#[test]
fn of_a_set_that_another_process_restores_no_drive_is_called_missing() {
    let outcome = RestoreOutcome { awaited: vec![2], in_use: vec![2], ..Default::default() };
    let text = super::restored(&outcome, Path::new("to"), "");
    assert!(text.contains("Another holdall is restoring set 2 to the same folder"), "{text}");
    assert!(!text.contains("attach") && text.contains("list of missing files is not"), "{text}");
}

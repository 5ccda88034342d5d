//! Two drives vouch for different texts, one of them forged without a key: what only that demands is no
//! loss, and the drives are said to disagree.

use super::authentic::{forged_file, paths, put_text, record_files, restore, text_of};
use super::repair::Bench;
use crate::common::images::{Image, Packed};
use holdall::testing::commands::status::status_of;
use holdall::testing::format::ids::{RunId, StripeNumber, record_path};
use holdall::testing::format::record::RecordFileHeader;
use holdall::testing::format::set::RunLine;
use holdall::testing::monitor::Recording;
use holdall::testing::sets::open::find;
use rstest::rstest;

#[derive(Clone, Copy, Debug)]
enum Forgery {
    /// a run that never was
    Run,
    /// more record files than there can be
    Files,
    /// one more record file, which is there, of a stripe that is not
    Stripe,
}

fn forge(packed: &Packed, image: &mut Image, how: Forgery) {
    let mut text = text_of(packed, image);
    let line = text.runs[0].clone();
    match how {
        Forgery::Run => text.runs.push(RunLine { run: RunId(7), ..line }),
        Forgery::Files => (text.runs[0].files, text.runs[0].stripes) = (u32::MAX, u32::MAX),
        Forgery::Stripe => {
            let (header, records) = record_files(packed, image).remove(0);
            let last = paths(packed, image, "records/").pop().unwrap();
            let mut record = records[0].clone();
            record.id.number = StripeNumber(1000);
            let header = RecordFileHeader {
                number: line.files,
                stripes: 1,
                part: None,
                previous: *blake3::hash(&image[&last]).as_bytes(),
                ..header
            };
            let file = forged_file(&header, &[record]);
            text.runs[0] = RunLine {
                files: line.files + 1,
                stripes: line.stripes + 1,
                last: *blake3::hash(&file).as_bytes(),
                ..line
            };
            let path = record_path(header.run, header.number);
            image.insert(format!("{}/{path}", packed.set_folder()), file);
        }
    }
    put_text(packed, image, &text);
}

/// Security: a forged set.txt on one of two drives is a disagreement, and no loss.
#[rstest]
fn what_one_of_two_texts_demands_is_no_loss(
    #[values(Forgery::Run, Forgery::Files, Forgery::Stripe)] how: Forgery,
    #[values(0, 1)] tampered: usize,
) {
    let packed = Packed::of_many_records(&[1, 1], "drives=1", "rivals");
    let mut images = packed.images.clone();
    forge(&packed, &mut images[tampered], how);
    let drives = Bench::new(&images).shared();
    restore(&packed, &drives, &[]).must_be_complete(&packed, "one of two texts");
    let verified = packed.verify(&drives, false);
    assert_eq!(
        (verified.status, verified.sets[0].needs_root),
        (3, true),
        "{:#?}",
        verified.problems
    );
    let disagree = verified.problems.iter().filter(|p| p.detail.contains("(--expect ROOT)"));
    assert_eq!(disagree.count(), 1, "{:#?}", verified.problems);
    let status = status_of(&find(&drives, &Recording::default()), &Recording::default()).unwrap();
    assert!(status[0].verdict.restorable());
    // What is lost by either is lost.
    images.iter_mut().for_each(|image| image.retain(|path, _| !path.contains("/shards/")));
    assert_eq!(packed.verify(&Bench::new(&images).shared(), false).status, 1);
}

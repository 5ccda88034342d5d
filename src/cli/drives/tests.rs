use super::*;
use crate::cli::text::columns;
use crate::commands::drives::recorded;

/// The page is looked at whole: `fixtures/drives/page.txt`, which `HOLDALL_RENEW=1` writes anew.
#[test]
fn the_page_fits_80_columns_and_is_as_it_was() {
    let idle =
        IdleDisk { name: "sdh".into(), model: Some("Kingston".into()), bytes: 62_000_000_000 };
    let page = shown(&Listing { drives: recorded::drives(), idle: vec![idle] }, false);
    for line in page.lines() {
        assert!(columns(line) <= WIDTH && !line.ends_with(' '), "{line:?}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/drives/page.txt");
    if std::env::var_os("HOLDALL_RENEW").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(page, std::fs::read_to_string(path).unwrap_or_default(), "{page}");
    let none = shown(&Listing { drives: Vec::new(), idle: Vec::new() }, false);
    assert_eq!(none, "No drive is mounted.\n");
}

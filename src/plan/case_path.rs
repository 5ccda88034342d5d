//! A drive as the user names it: `CASE=PATH`.

use std::path::PathBuf;
use std::str::FromStr;

/// The name of the case a drive belongs to, and the path where the drive is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasePath {
    pub case: String,
    pub path: PathBuf,
}

impl FromStr for CasePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (case, path) = text.split_once('=').unwrap_or(("", text));
        if case.is_empty() || path.is_empty() {
            let path = if path.is_empty() { "/media/usb1" } else { path };
            return Err(format!(
                "write CASE=PATH, the case that the drive travels in and its path, such as a={path}"
            ));
        }
        Ok(Self { case: case.into(), path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::path_alone("/media/usb2", "a=/media/usb2")]
    #[case::no_case("=/media/usb2", "a=/media/usb2")]
    #[case::no_path("north=", "a=/media/usb1")]
    #[case::nothing("", "a=/media/usb1")]
    fn what_is_missing_is_asked_for_by_example(#[case] text: &str, #[case] example: &str) {
        let error = text.parse::<CasePath>().unwrap_err();
        assert!(error.ends_with(example), "{error}");
    }

    #[test]
    fn a_path_may_hold_more_equals_signs() {
        let drive: CasePath = "north=/media/a=b".parse().unwrap();
        assert_eq!((drive.case.as_str(), drive.path), ("north", "/media/a=b".into()));
    }
}

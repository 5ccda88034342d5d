//! A drive as the user names it: `CASE=PATH`, or a path alone where only one drive is meant.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The case of a drive that is alone, and travels in no case with a name.
const ONLY_CASE: &str = "a";

/// The name of the case a drive belongs to, and the path where the drive is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasePath {
    /// empty until [`CasePath::named`] if a path alone was given
    pub case: String,
    pub path: PathBuf,
}

/// Why a drive without the name of its case is not enough.
#[derive(Debug, thiserror::Error)]
pub enum UnnamedCase {
    /// It is one of several.
    #[error("{count} drives are given, and the case of {} is not", path.display())]
    Several { count: usize, path: PathBuf },
    /// There are several cases that it may travel in.
    #[error("the case of {} is not given, and the shipment has {}", path.display(), cases.join(", "))]
    Which { path: PathBuf, cases: Vec<String> },
}

impl UnnamedCase {
    /// What to type instead.
    pub fn example(&self) -> String {
        let (path, case) = match self {
            Self::Several { path, .. } => (path, ONLY_CASE),
            Self::Which { path, cases } => (path, cases.first().map_or(ONLY_CASE, |case| case)),
        };
        example(case, path)
    }
}

fn example(case: &str, path: &Path) -> String {
    format!(
        "write CASE=PATH, the case that the drive travels in and its path, such as {case}={}",
        path.display()
    )
}

impl CasePath {
    /// As `--drive` takes it: a path without the name of a case, too. The name of a case has no `/`,
    /// so what has one before its first `=` is a path.
    pub fn or_path(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((case, _)) if !case.contains('/') => text.parse(),
            _ if text.is_empty() => text.parse(),
            _ => Ok(Self { case: String::new(), path: text.into() }),
        }
    }

    /// The drives, each with the name of its case. `known` are the cases of the shipment so far: a
    /// drive that is alone needs no name if there is one case at most.
    pub fn named(drives: &[Self], known: &[String]) -> Result<Vec<Self>, UnnamedCase> {
        let mut named = drives.to_vec();
        for drive in named.iter_mut().filter(|drive| drive.case.is_empty()) {
            let path = drive.path.clone();
            drive.case = match (drives, known) {
                ([_], []) => ONLY_CASE.into(),
                ([_], [case]) => case.clone(),
                ([_], cases) => return Err(UnnamedCase::Which { path, cases: cases.into() }),
                _ => return Err(UnnamedCase::Several { count: drives.len(), path }),
            };
        }
        Ok(named)
    }
}

impl FromStr for CasePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (case, path) = text.split_once('=').unwrap_or(("", text));
        if case.is_empty() || path.is_empty() {
            let path = if path.is_empty() { "/media/usb1" } else { path };
            return Err(example(ONLY_CASE, path.as_ref()));
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

    /// Issue 14, point 8: as `--drive` takes it.
    #[rstest]
    #[case("north=/media/a=b", Some(("north", "/media/a=b")))]
    #[case("/media/usb2", Some(("", "/media/usb2")))]
    #[case("usb", Some(("", "usb")))]
    #[case("/media/a=b", Some(("", "/media/a=b")))]
    #[case("./a=b", Some(("", "./a=b")))]
    #[case("a=b", Some(("a", "b")))]
    #[case("=/media/usb2", None)]
    #[case("north=", None)]
    #[case("", None)]
    fn the_case_may_be_left_out(#[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        let drive = CasePath::or_path(text).ok();
        let drive = drive.as_ref().map(|d| (d.case.as_str(), d.path.to_str().unwrap()));
        assert_eq!(drive, expected);
    }

    #[test]
    fn a_drive_alone_is_in_the_only_case() {
        let drives = |all: &[&str]| -> Vec<CasePath> {
            all.iter().map(|text| CasePath::or_path(text).unwrap()).collect()
        };
        let case = |known: &[&str]| {
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            CasePath::named(&drives(&["/usb"]), &known).map(|named| named[0].case.clone())
        };
        assert_eq!(case(&[]).unwrap(), "a");
        assert_eq!(case(&["north"]).unwrap(), "north");
        let error = case(&["north", "south"]).unwrap_err();
        assert!(error.example().ends_with("north=/usb") && error.to_string().contains("south"));
        let error = CasePath::named(&drives(&["a=/x", "/usb"]), &[]).unwrap_err();
        assert!(error.to_string().starts_with("2 drives are given, and the case of /usb is not"));
        assert_eq!(CasePath::named(&drives(&["b=/x"]), &["c".into()]).unwrap(), drives(&["b=/x"]));
    }
}

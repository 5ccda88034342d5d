//! Where the local state of this user lies.

use super::error::LocalStateError;
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// The folder of this user's state: `$XDG_STATE_HOME/holdall`, or `$HOME/.local/state/holdall`.
/// It need not be there.
pub fn state_path() -> Result<PathBuf, LocalStateError> {
    state_path_in(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))
}

/// The same; it is made if it is not there.
pub fn state_folder() -> Result<PathBuf, LocalStateError> {
    make(state_path()?)
}

fn state_path_in(
    state_home: Option<OsString>,
    home: Option<OsString>,
) -> Result<PathBuf, LocalStateError> {
    let absolute = |text: Option<OsString>| text.map(PathBuf::from).filter(|p| p.is_absolute());
    let folder = absolute(state_home).or_else(|| Some(absolute(home)?.join(".local/state")));
    Ok(folder.ok_or(LocalStateError::NoHome)?.join("holdall"))
}

fn make(folder: PathBuf) -> Result<PathBuf, LocalStateError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| LocalStateError::io("create", &folder, source))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn state_folder_in(
        state_home: Option<OsString>,
        home: Option<OsString>,
    ) -> Result<PathBuf, LocalStateError> {
        make(state_path_in(state_home, home)?)
    }

    #[test]
    fn state_folder_follows_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(dir.path().join(name).into_os_string());
        let folder = state_folder_in(path("state"), path("home")).unwrap();
        assert_eq!(folder, dir.path().join("state/holdall"));
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(state_folder_in(path("state"), None).unwrap(), folder, "made once, found again");
        for unset in [None, Some("".into()), Some("relative".into())] {
            let folder = state_folder_in(unset.clone(), path("home")).unwrap();
            assert_eq!(folder, dir.path().join("home/.local/state/holdall"));
            assert!(matches!(state_folder_in(None, unset), Err(LocalStateError::NoHome)));
        }
    }

    #[test]
    fn a_folder_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("holdall"), "").unwrap();
        let error = state_folder_in(Some(dir.path().into()), None).unwrap_err();
        assert!(error.to_string().starts_with("cannot create /"), "{error}");
        assert!(error.to_string().ends_with("/holdall"), "{error}");
    }
}

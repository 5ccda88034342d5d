//! Small things that this machine keeps beside the shipments in progress: one file of JSON each.

use super::error::LocalStateError;
use super::folder::{state_folder, state_path};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;

/// Keeps a value under a name, in the place of the one before. A crash leaves one of both.
pub fn keep(name: &str, value: &impl Serialize) -> Result<(), LocalStateError> {
    let folder = state_folder()?;
    let (new, path) = (folder.join(format!("{name}.new")), folder.join(name));
    let write = || {
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&new)?;
        serde_json::to_writer(&file, value).map_err(io::Error::from)?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(|source| LocalStateError::io("write", &path, source))
}

/// What was kept under a name, if it is there and can be read. Nothing is made.
pub fn kept<T: DeserializeOwned>(name: &str) -> Option<T> {
    let bytes = fs::read(state_path().ok()?.join(name)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

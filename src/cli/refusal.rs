//! A command that could not be done.

use super::exit::Status;
use super::next::again_with;
use crate::drives::DriveError;
use crate::format::shown::typed;
use crate::keys::KeyError;
use crate::opening::open::OpenError;
use std::io::ErrorKind;

/// A command that could not be done: what stopped it, what to type instead, and the status.
pub struct Refusal {
    /// what stopped it
    pub error: Box<dyn std::error::Error>,
    /// what to do about it
    pub hint: Option<String>,
    /// the exit status
    pub status: Status,
}

impl Refusal {
    /// The command line asks for what cannot be.
    pub fn usage(text: impl Into<String>, hint: impl Into<String>) -> Self {
        let error = Box::<dyn std::error::Error>::from(text.into());
        Self { error, hint: Some(hint.into()), status: Status::Usage }
    }

    /// A person said no.
    pub fn declined() -> Self {
        let error = Box::<dyn std::error::Error>::from("the answer was no: nothing was done");
        Self { error, hint: None, status: Status::Usage }
    }

    /// It could not be done.
    pub fn failed(error: impl std::error::Error + 'static) -> Self {
        Self { error: Box::new(error), hint: None, status: Status::Failed }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }
}

/// What to do when no set or key could be opened.
pub fn open_refusal(error: OpenError) -> Refusal {
    let hint = match &error {
        OpenError::Stopped => return Refusal::failed(error),
        OpenError::Drive(_) => "name folders where drives are mounted",
        OpenError::NoSet { denied: true, .. } => {
            "its permissions keep you from reading it: as its owner or root, run \
             chmod -R a+rX DRIVE/holdall"
        }
        OpenError::NoSet { .. } => {
            "a drive of a set has a folder named holdall: mount the drives and name their mount \
             points"
        }
        OpenError::Newer { .. } | OpenError::Suite { .. } => {
            "a newer holdall is needed for these drives"
        }
        OpenError::SeveralShipments { shipments } => &match shipments.last() {
            Some(latest) => format!(
                "name one of them with --shipment; the latest, for example: {}",
                again_with(&format!("--shipment {}", latest.shipment))
            ),
            None => "name one of them with --shipment".into(),
        },
        OpenError::NoLatest { .. } | OpenError::Beginning { .. } => {
            "name one of them with --shipment"
        }
        OpenError::NotCarried { .. } => "attach its drives, or name one of these with --shipment",
        OpenError::Conflict { .. } => "say which root pack printed: --expect ROOT",
        OpenError::Keys { .. } => {
            "one of them is not the packer's: attach the set's other drives, or leave out the drives of \
             one key, those that were in others' hands"
        }
        OpenError::NoSuchRoot { .. } => {
            "check the root (pack printed it; b3sum DRIVE/holdall/SET/set.txt), or attach other drives"
        }
        OpenError::NotByThisKey { key, .. } => &format!(
            "attach a drive with another {key}; if there is none, either the root or the drives are not \
             from whoever packed for this key: ask for the root again"
        ),
        OpenError::Key { source: KeyError::NotForUs { .. }, .. } => {
            "name the identity that belongs to a recipient of this shipment; if it is that one, the \
             copies of the key on these drives are damaged: attach another drive of the set"
        }
        OpenError::Key { .. } => {
            "no copy of the key on these drives is sound: attach another drive of the set"
        }
        OpenError::Empty { erase, .. } => &format!(
            "attach its other drives; if these are all, nothing was ever committed to it, and \
             {erase} removes it"
        ),
        OpenError::NoKeyFile { .. } => "attach another drive of the set: each carries the keys",
    };
    Refusal::failed(error).hint(hint)
}

/// What to do when somebody else is at work.
pub const WAIT: &str = "wait until it has ended";

/// What to do where no drive is mounted.
pub const NO_DRIVE: &str = "mount the drive and name its mount point; if the folder itself is meant, \
                            add --folder-drives";

/// What to do about a drive that cannot be used.
pub fn drive_hint(error: &DriveError) -> String {
    let hint = match error.source.kind() {
        ErrorKind::ReadOnlyFilesystem => {
            "it is mounted read-only: look for a write-protect switch, or mount it writable"
        }
        ErrorKind::PermissionDenied => {
            return format!(
                "name a folder on it that you may write to, or make it yours: sudo chown -R $USER {} \
                 (exFAT and NTFS belong to whoever mounts them)",
                typed(&error.drive)
            );
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on it, or use another",
        ErrorKind::NotFound if is_case_with_slash(&error.drive) => {
            "the name of a case has no /: what has one before its first = is a path"
        }
        _ => "name the folder where the drive is mounted",
    };
    hint.into()
}

/// Was `a/b=/media/usb1` written for a case and its path?
fn is_case_with_slash(word: &str) -> bool {
    word.split_once('=').is_some_and(|(case, path)| case.contains('/') && path.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next step is typed as it stands, and says what was wrong.
    #[test]
    fn a_drive_that_cannot_be_used_has_its_own_remedy() {
        let hint = |drive: &str, kind: ErrorKind| {
            let source = std::io::Error::from(kind);
            drive_hint(&DriveError {
                drive: drive.into(),
                action: "open",
                path: String::new(),
                source,
            })
        };
        let denied = hint("/media/it's", ErrorKind::PermissionDenied);
        assert!(denied.contains("sudo chown -R $USER \"/media/it's\" ("), "{denied}");
        let slash = "the name of a case has no /";
        assert!(hint("a/b=/media/usb1", ErrorKind::NotFound).starts_with(slash));
        assert!(!hint("/media/a=b", ErrorKind::NotFound).starts_with(slash));
    }
}

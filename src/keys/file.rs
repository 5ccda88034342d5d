//! Key files: their text, whoever wrote it.
//!
//! - Enters: a path, `-` for standard input.
//! - Leaves: the lines that are neither empty nor comments, without surrounding blanks.
//! - Always holds: (1) the text is wiped when it is dropped; (2) no error quotes any of it; (3) at
//!   most [`MAX_FILE_BYTES`] are read.

use super::error::{KeyError, KeyPlace, is_standard_input, shown};
use super::kind::KeyKind;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest file of identities or recipients that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The text of a key file.
pub(super) struct KeyFileText {
    path: PathBuf,
    text: Zeroizing<String>,
}

impl KeyFileText {
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| {
            // A key typed in place of a file's name must not be shown as one.
            let place = KeyPlace::Typed { option: "in place of a file's name", number: 1 };
            match KeyKind::of(&path.to_string_lossy()) {
                kind if kind.is_a_key() => KeyError::WrongKind { place, kind },
                _ => KeyError::File { action: "read", path: shown(path), source },
            }
        };
        let mut bytes = Zeroizing::new(Vec::new());
        let limit = MAX_FILE_BYTES + 1;
        let read = if is_standard_input(path) {
            io::stdin().lock().take(limit).read_to_end(&mut bytes)
        } else {
            File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
        };
        if read.map_err(failed)? as u64 == limit {
            return Err(failed(io::Error::from(io::ErrorKind::FileTooLarge)));
        }
        let text = text(&bytes)
            .map_err(|kind| KeyError::WrongKind { place: KeyPlace::File(path.into()), kind })?;
        Ok(Self { path: path.into(), text })
    }

    /// The lines that are neither empty nor comments, and the place of each.
    pub fn lines(&self) -> impl Iterator<Item = (KeyPlace, &str)> {
        let lines = self.text.lines().map(str::trim).enumerate();
        lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(at, line)| (KeyPlace::Line { path: self.path.clone(), number: at + 1 }, line))
    }
}

/// UTF-8, with or without a byte order mark, or UTF-16 with one, as some editors and shells write it.
fn text(bytes: &[u8]) -> Result<Zeroizing<String>, KeyKind> {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units: Zeroizing<Vec<u16>> = Zeroizing::new(
            bytes[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect(),
        );
        String::from_utf16(&units).map_err(|_| KeyKind::Binary)
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes)?,
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes)?,
        _ if bytes.starts_with(b"age-encryption.org/") => {
            let stanza = bytes.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
            let with_passphrase = stanza.starts_with(b"-> scrypt ");
            return Err(if with_passphrase { KeyKind::WithPassphrase } else { KeyKind::Encrypted });
        }
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            std::str::from_utf8(bytes).map_err(|_| KeyKind::Binary)?.into()
        }
    };
    let text = Zeroizing::new(text);
    if text.contains('\0') { Err(KeyKind::Binary) } else { Ok(text) }
}

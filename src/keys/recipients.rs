//! Wrapping a run key to recipients with age (X25519), and unwrapping it with an identity.

use super::error::{KeyError, KeyPlace, shown};
use super::file::KeyFileText;
use super::kind::KeyKind;
use super::run::RunKey;
use crate::format::ids::{RunId, SetNumber, ShipmentId};
use crate::format::key::header_len;
use crate::format::list::Hash;
use age::secrecy::ExposeSecret;
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The most recipients that fit a key file: each takes 98 bytes of it.
const MAX_RECIPIENTS: usize = 600;

/// Public keys to which a shipment is packed.
#[derive(Default, Clone)]
pub struct Recipients {
    keys: Vec<age::x25519::Recipient>,
    /// those that are the public half of an identity: where it stands, and the recipient
    of_identities: Vec<(KeyPlace, String)>,
}

impl Recipients {
    /// From words and files. A word is `age1…`, or the name of a file; a file has one `age1…` per
    /// line (`#` begins a comment), or an identity, whose recipient is taken.
    pub fn read(words: &[String], files: &[PathBuf]) -> Result<Self, KeyError> {
        let mut all = Self::default();
        for (at, word) in words.iter().enumerate() {
            let word = word.trim();
            match parse(word, KeyPlace::Typed { option: "-r", number: at + 1 }) {
                Ok(key) => all.keys.push(key),
                Err(KeyError::WrongKind { kind: KeyKind::Unknown, .. }) if is_file(word) => {
                    all.add_file(word.as_ref())?;
                }
                Err(KeyError::WrongKind { kind: KeyKind::Unknown, place }) => {
                    let is_folder = Path::new(word).is_dir();
                    let kind = if is_folder { KeyKind::Folder } else { KeyKind::NoFile };
                    return Err(KeyError::WrongKind { place, kind });
                }
                Err(error) => return Err(error),
            }
        }
        files.iter().try_for_each(|path| all.add_file(path))?;
        match all.keys.len() {
            0 => Err(KeyError::NoRecipient),
            count if count > MAX_RECIPIENTS => {
                Err(KeyError::TooMany { count, most: MAX_RECIPIENTS })
            }
            _ => Ok(all),
        }
    }

    fn add_file(&mut self, path: &Path) -> Result<(), KeyError> {
        let (file, before) = (KeyFileText::read(path)?, self.keys.len());
        for (place, line) in file.lines() {
            if let KeyKind::Identity { recipient } = KeyKind::of(line) {
                self.keys.push(parse(&recipient, place.clone())?);
                self.of_identities.push((place, recipient));
            } else {
                self.keys.push(parse(line, place)?);
            }
        }
        if self.keys.len() == before {
            return Err(KeyError::Empty { path: shown(path) });
        }
        Ok(())
    }

    /// The recipients as text, one word each.
    pub fn words(&self) -> Vec<String> {
        self.keys.iter().map(ToString::to_string).collect()
    }

    /// Those that are the public half of an identity: where it stands, and the recipient.
    pub fn of_identities(&self) -> &[(KeyPlace, String)] {
        &self.of_identities
    }

    /// Wraps a run key: the bytes of `key-<run>.age`.
    pub fn wrap(&self, key: &RunKey) -> Result<Vec<u8>, KeyError> {
        let recipients = self.keys.iter().map(|r| r as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients)
            .map_err(|e| KeyError::Wrap(std::io::Error::other(e)))?;
        let mut out = Vec::new();
        let mut writer = encryptor.wrap_output(&mut out).map_err(KeyError::Wrap)?;
        writer.write_all(&key.file_bytes()).map_err(KeyError::Wrap)?;
        writer.finish().map_err(KeyError::Wrap)?;
        Ok(out)
    }
}

/// Is there a file of this name, or a pipe?
fn is_file(word: &str) -> bool {
    std::fs::metadata(word).is_ok_and(|found| !found.is_dir())
}

/// A key of the kind that is wanted, or what the text is instead.
fn parse<K: std::str::FromStr>(text: &str, place: KeyPlace) -> Result<K, KeyError> {
    text.parse().map_err(|_| KeyError::WrongKind { place, kind: KeyKind::of(text) })
}

/// Secret keys that may open a shipment.
pub struct Identities(Vec<Box<dyn age::Identity + Send + Sync>>);

impl Identities {
    /// Reads identity files as age-keygen writes them.
    pub fn read(files: &[PathBuf]) -> Result<Self, KeyError> {
        let mut all: Vec<Box<dyn age::Identity + Send + Sync>> = Vec::new();
        for path in files {
            let (file, before) = (KeyFileText::read(path)?, all.len());
            for (place, line) in file.lines() {
                all.push(Box::new(parse::<age::x25519::Identity>(line, place)?));
            }
            if all.len() == before {
                return Err(KeyError::Empty { path: shown(path) });
            }
        }
        Ok(Self(all))
    }

    /// Identities already in memory.
    pub fn of(identity: age::x25519::Identity) -> Self {
        Self(vec![Box::new(identity)])
    }

    /// Unwraps the key of a run from its key file. `commitment` is that of the run's records.
    pub fn unwrap(
        &self,
        file: &[u8],
        shipment: ShipmentId,
        set: SetNumber,
        run: RunId,
        commitment: Option<&Hash>,
    ) -> Result<RunKey, KeyError> {
        let damaged = |_| KeyError::Damaged { run };
        let header = header_len(file).ok_or(KeyError::Damaged { run })?;
        let input = HeaderAtOnce { rest: file, header };
        let decryptor = age::Decryptor::new_buffered(input).map_err(damaged)?;
        let identities = self.0.iter().map(|i| i.as_ref() as &dyn age::Identity);
        let mut reader = decryptor.decrypt(identities).map_err(|e| match e {
            age::DecryptError::NoMatchingKeys => KeyError::NotForUs { run },
            _ => KeyError::Damaged { run },
        })?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(128));
        reader.by_ref().take(128).read_to_end(&mut bytes).map_err(|_| KeyError::Damaged { run })?;
        let key = RunKey::from_file_bytes(&bytes, shipment, set, run)
            .map_err(|source| KeyError::Format { run, source })?;
        match commitment {
            Some(c) if *c != key.commitment() => Err(KeyError::Commitment { run }),
            _ => Ok(key),
        }
    }
}

/// A key file whose header is read in one go. age asks for it line by line and parses everything
/// again after each, which takes the square of their number.
struct HeaderAtOnce<'a> {
    rest: &'a [u8],
    header: usize,
}

impl Read for HeaderAtOnce<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.rest.read(buffer)
    }
}

impl BufRead for HeaderAtOnce<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        Ok(self.rest)
    }

    fn consume(&mut self, amount: usize) {
        self.rest.consume(amount);
    }

    fn read_until(&mut self, _: u8, line: &mut Vec<u8>) -> std::io::Result<usize> {
        let (header, rest) = self.rest.split_at(std::mem::take(&mut self.header));
        line.extend_from_slice(header);
        self.rest = rest;
        Ok(header.len())
    }
}

/// A new identity: its file's text as age-keygen writes it, and its recipient.
pub fn generate(created: &str) -> (Zeroizing<String>, String) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    let text =
        format!("# created: {created}\n# public key: {recipient}\n{}\n", secret.expose_secret());
    (Zeroizing::new(text), recipient)
}

/// Writes a new identity file, mode 0600; never overwrites.
pub fn write_identity(path: &Path, text: &str) -> Result<(), KeyError> {
    use std::os::unix::fs::OpenOptionsExt;
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| KeyError::File { action: "write", path: shown(path), source })
}

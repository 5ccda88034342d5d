//! Wrapping a run key to recipients with age (X25519), and unwrapping it with an identity.

use super::RunKey;
use super::file::{KeyFile, Place, shown};
use super::kind::KeyKind;
use crate::format::FormatError;
use crate::format::ids::{RunId, SetNumber, ShipmentId};
use crate::format::list::Hash;
use age::secrecy::ExposeSecret;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest key file that is read.
pub const MAX_KEY_BYTES: u64 = 1 << 20;

/// Why a key could not be wrapped, unwrapped or read. None of it quotes a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What stands there is not the kind of key that is needed.
    #[error("{place}: {kind}")]
    WrongKind {
        /// where
        place: Place,
        /// what it is
        kind: KeyKind,
    },
    /// There is no recipient at all.
    #[error("no recipient")]
    NoRecipient,
    /// A file of identities or recipients could not be read.
    #[error("{action} {path}")]
    File {
        /// read or write
        action: &'static str,
        /// the file, as it is shown
        path: String,
        /// what the system said
        #[source]
        source: std::io::Error,
    },
    /// The file holds no key.
    #[error("{path} holds no key")]
    Empty {
        /// the file, as it is shown
        path: String,
    },
    /// age could not wrap.
    #[error("wrap the run key")]
    Wrap(#[source] std::io::Error),
    /// The key file is not for any of the identities given.
    #[error("the key of run {run} is not wrapped to any identity given")]
    NotForUs {
        /// the run
        run: RunId,
    },
    /// The key file is damaged.
    #[error("the key file of run {run} is damaged")]
    Damaged {
        /// the run
        run: RunId,
    },
    /// What was wrapped is not a run key of this run.
    #[error("the key file of run {run} does not hold its key")]
    Format {
        /// the run
        run: RunId,
        /// what is wrong with it
        #[source]
        source: FormatError,
    },
    /// The key is not the one that the records commit to.
    #[error("the key of run {run} is not the one its records were made with")]
    Commitment {
        /// the run
        run: RunId,
    },
}

/// Public keys to which a shipment is packed.
pub struct Recipients(Vec<age::x25519::Recipient>);

impl Recipients {
    /// From words (`age1…`) and files with one such word a line (`#` begins a comment).
    pub fn read(words: &[String], files: &[PathBuf]) -> Result<Self, KeyError> {
        let mut all = Vec::new();
        for (at, word) in words.iter().enumerate() {
            all.push(parse(word.trim(), Place::Typed { option: "-r", number: at + 1 })?);
        }
        for path in files {
            let (file, before) = (KeyFile::read(path)?, all.len());
            for (place, line) in file.lines() {
                all.push(parse(line, place)?);
            }
            if all.len() == before {
                return Err(KeyError::Empty { path: shown(path) });
            }
        }
        if all.is_empty() { Err(KeyError::NoRecipient) } else { Ok(Self(all)) }
    }

    /// As text, one word each.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Wraps a run key: the bytes of `key-<run>.age`.
    pub fn wrap(&self, key: &RunKey) -> Result<Vec<u8>, KeyError> {
        let recipients = self.0.iter().map(|r| r as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients)
            .map_err(|e| KeyError::Wrap(std::io::Error::other(e)))?;
        let mut out = Vec::new();
        let mut writer = encryptor.wrap_output(&mut out).map_err(KeyError::Wrap)?;
        writer.write_all(&key.file_bytes()).map_err(KeyError::Wrap)?;
        writer.finish().map_err(KeyError::Wrap)?;
        Ok(out)
    }
}

/// A key of the kind that is wanted, or what it is instead.
fn parse<K: std::str::FromStr>(text: &str, place: Place) -> Result<K, KeyError> {
    text.parse().map_err(|_| KeyError::WrongKind { place, kind: KeyKind::of(text) })
}

/// Secret keys that may open a shipment.
pub struct Identities(Vec<Box<dyn age::Identity + Send + Sync>>);

impl Identities {
    /// Reads identity files as age-keygen writes them.
    pub fn read(files: &[PathBuf]) -> Result<Self, KeyError> {
        let mut all: Vec<Box<dyn age::Identity + Send + Sync>> = Vec::new();
        for path in files {
            let (file, before) = (KeyFile::read(path)?, all.len());
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

    /// Unwraps the key of a run from its key file. `commitment` is what the run's records say.
    pub fn unwrap(
        &self,
        file: &[u8],
        shipment: ShipmentId,
        set: SetNumber,
        run: RunId,
        commitment: Option<&Hash>,
    ) -> Result<RunKey, KeyError> {
        let damaged = |_| KeyError::Damaged { run };
        let decryptor = age::Decryptor::new_buffered(BufReader::new(file)).map_err(damaged)?;
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

//! What a word or a line that should have been a key is, without quoting a letter of it.
//!
//! - Enters: a word of the command line, a line or the first bytes of a key file.
//! - Leaves: its kind, in words that may be printed, logged and mailed.
//! - Always holds: the words contain nothing of the text but the public half of a secret key and the
//!   name of a plugin.

use age::x25519::{Identity, Recipient};
use std::fmt;

/// What a text looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `age1…`
    Recipient,
    /// `age1…`, cut short or mistyped
    BrokenRecipient,
    /// `AGE-SECRET-KEY-1…`, and its public half
    Identity {
        /// the recipient that belongs to it
        recipient: String,
    },
    /// `AGE-SECRET-KEY-1…`, cut short or mistyped
    BrokenIdentity,
    /// several keys, with commas or blanks between them
    Several,
    /// a key, with more after it on its line
    KeyAndMore,
    /// the public half of a key of an age plugin: its name
    PluginRecipient(String),
    /// the secret half of a key of an age plugin: its name
    PluginIdentity(String),
    /// age's post-quantum recipient
    PostQuantumRecipient,
    /// age's post-quantum identity
    PostQuantumIdentity,
    /// a public SSH key
    SshPublic,
    /// a private SSH key, or another in PEM
    Private,
    /// a file that age encrypted with a passphrase
    WithPassphrase,
    /// a file that age encrypted, in letters or for a recipient
    Encrypted,
    /// a PGP key
    Pgp,
    /// bytes that are not text
    Binary,
    /// none of these
    /// a word in whose place the name of a file may stand, and is not
    NoFile,
    /// the same, of a folder
    Folder,
    Unknown,
}

impl KeyKind {
    /// The kind of a word, or of a line without surrounding blanks.
    pub fn of(text: &str) -> Self {
        if Self::is_several(text) {
            return Self::Several;
        }
        let whole = Self::of_word(text);
        let key_and_more = |word| {
            matches!(Self::of_word(word), Self::Recipient | Self::Identity { .. })
                .then_some(Self::KeyAndMore)
        };
        match text.split_once(char::is_whitespace) {
            Some((word, _)) if whole != Self::SshPublic => key_and_more(word).unwrap_or(whole),
            _ => whole,
        }
    }

    /// Whether each of several words is a key, perhaps a mistyped one.
    fn is_several(text: &str) -> bool {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty());
        let kinds: Vec<Self> = words.map(Self::of_word).collect();
        let broken = |kind: &Self| matches!(kind, Self::BrokenRecipient);
        kinds.len() > 1 && kinds.iter().all(|kind| kind.is_a_key() || broken(kind))
    }

    fn of_word(text: &str) -> Self {
        if let Ok(identity) = text.parse::<Identity>() {
            return Self::Identity { recipient: identity.to_public().to_string() };
        }
        if text.parse::<Recipient>().is_ok() {
            return Self::Recipient;
        }
        let upper = text.to_ascii_uppercase();
        let begins = |beginning: &str| upper.starts_with(beginning);
        // Its own letters begin behind the first 1 at the latest, and none of them is shown.
        if let Some((name, _)) = upper.strip_prefix("AGE-PLUGIN-").and_then(|t| t.split_once("-1"))
        {
            return Self::PluginIdentity(plugin(name));
        }
        if let Some((name, _)) = upper.strip_prefix("AGE1").and_then(|t| t.split_once('1')) {
            let is_own = name == "PQ";
            return if is_own {
                Self::PostQuantumRecipient
            } else {
                Self::PluginRecipient(plugin(name))
            };
        }
        let ssh = ["SSH-", "ECDSA-SHA2-", "SK-SSH-", "SK-ECDSA-"];
        if begins("AGE-SECRET-KEY-PQ-1") {
            Self::PostQuantumIdentity
        } else if begins("AGE-SECRET-KEY-") {
            Self::BrokenIdentity
        } else if begins("AGE1") {
            Self::BrokenRecipient
        } else if ssh.into_iter().any(begins) {
            Self::SshPublic
        } else if begins("AGE-ENCRYPTION.ORG/") || begins("-----BEGIN AGE ENCRYPTED") {
            Self::Encrypted
        } else if begins("-----BEGIN PGP") {
            Self::Pgp
        } else if begins("-----BEGIN") && upper.contains("PRIVATE KEY") {
            Self::Private
        } else {
            Self::Unknown
        }
    }

    /// Whether it is certainly a key, and cannot be the name of a file.
    pub fn is_a_key(&self) -> bool {
        let secret = matches!(
            self,
            Self::BrokenIdentity | Self::PluginIdentity(_) | Self::PostQuantumIdentity
        );
        secret || matches!(self, Self::Recipient | Self::Several | Self::Identity { .. })
    }

    /// What to do about it, if that depends on the kind alone.
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::Several => "give each recipient its own -r, or each key its own line of a file",
            Self::KeyAndMore => {
                "put nothing behind a key on its line; a comment is a line of its own that begins \
                 with #"
            }
            Self::BrokenRecipient | Self::BrokenIdentity => "copy the whole key again",
            Self::WithPassphrase | Self::Encrypted => {
                "decrypt it with age: age -d FILE | holdall ... -i - reads the identity from \
                 standard input"
            }
            Self::PluginRecipient(_)
            | Self::PluginIdentity(_)
            | Self::PostQuantumRecipient
            | Self::PostQuantumIdentity
            | Self::SshPublic
            | Self::Private
            | Self::Pgp => "only age's own X25519 keys are supported: holdall keygen makes one",
            _ => return None,
        })
    }
}

/// A plugin's name, if it is one: what is longer may be anything.
fn plugin(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let is_name = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_name { name } else { "(unknown)".into() }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recipient => "this is a recipient (a public key)",
            Self::BrokenRecipient => "this age recipient is incomplete or mistyped",
            Self::Identity { recipient } => {
                return write!(
                    f,
                    "this is an identity (a secret key); its recipient is {recipient}"
                );
            }
            Self::BrokenIdentity => "this age identity (a secret key) is incomplete or mistyped",
            Self::Several => "these are several keys in one",
            Self::KeyAndMore => "there is more on this line than a key",
            Self::PluginRecipient(name) => {
                return write!(f, "this is a recipient of the age plugin {name}");
            }
            Self::PluginIdentity(name) => {
                return write!(f, "this is an identity (a secret key) of the age plugin {name}");
            }
            Self::PostQuantumRecipient => "this is a post-quantum recipient of age",
            Self::PostQuantumIdentity => "this is a post-quantum identity (a secret key) of age",
            Self::SshPublic => "this is a public SSH key",
            Self::Private => "this is a private key of SSH or TLS",
            Self::WithPassphrase => "this file is encrypted with a passphrase",
            Self::Encrypted => "this file is encrypted with age",
            Self::Pgp => "this is a PGP key",
            Self::Binary => "this is no text file",
            Self::NoFile => "this is no key, and there is no file of this name",
            Self::Folder => "this is no key, but a folder",
            Self::Unknown => "this is no key",
        })
    }
}

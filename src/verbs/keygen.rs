//! `keygen`: a new identity.

use crate::entropy::{Entropy, System};
use crate::keys::recipients::{KeyError, generate, write_identity};
use std::path::Path;
use zeroize::Zeroizing;

/// What was made.
pub struct NewIdentity {
    /// the public half
    pub recipient: String,
    /// the identity file's text, if it was not written to a file
    pub text: Option<Zeroizing<String>>,
}

/// Makes an identity and writes it to `path` (never over a file), or gives back its text.
pub fn keygen(path: Option<&Path>) -> Result<NewIdentity, KeyError> {
    let (text, recipient) = generate(&System.now());
    match path {
        Some(path) => {
            write_identity(path, &text)?;
            Ok(NewIdentity { recipient, text: None })
        }
        None => Ok(NewIdentity { recipient, text: Some(text) }),
    }
}

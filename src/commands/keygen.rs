//! `keygen`: a new identity.

use crate::entropy::{Entropy, System};
use crate::keys::KeyError;
use crate::keys::recipients::{generate, write_identity};
use serde::Serialize;
use std::path::Path;
use zeroize::Zeroizing;

#[derive(Serialize)]
pub struct NewIdentity {
    /// the public half
    pub recipient: String,
    /// where the identity was written
    pub file: Option<String>,
    /// its text, if it was not written to a file
    #[serde(skip)]
    pub text: Option<Zeroizing<String>>,
}

/// Makes an identity and writes it to `path` (never over a file), or gives back its text.
pub fn keygen(path: Option<&Path>) -> Result<NewIdentity, KeyError> {
    let (text, recipient) = generate(&System.now());
    match path {
        Some(path) => {
            write_identity(path, &text)?;
            let file = Some(path.display().to_string());
            Ok(NewIdentity { recipient, file, text: None })
        }
        None => Ok(NewIdentity { recipient, file: None, text: Some(text) }),
    }
}

//! The rule of `--map-names`: what an entry is called where its own name cannot be.
//!
//! - Enters: one name of a path, any bytes.
//! - Leaves: a name that ext4, NTFS, exFAT, FAT, APFS, Windows and macOS take.
//! - Always holds: (1) two names have two; (2) a name that all of them take is left as it is; (3)
//!   what is left is one name: never `.` or `..`, no `/` in it, not that of anything of the restore's
//!   own; (4) `%XX` stands for a byte, as in a URL, and undoes it; only a name with [`CUT`] in it has
//!   to be looked up in the list.
//!
//! A byte becomes `%` and two hexadecimal digits if it
//! - is no UTF-8, a control character, or one of `"*:<>?\|`;
//! - is the `.` or the space that the name ends in;
//! - is the first of a name that Windows gives to a device (`CON`, `nul.txt`), or of one that the
//!   restore has for itself;
//! - is a `%` that would be taken for one of these, or for [`CUT`].
//!
//! A name that would be longer than the destination's may be is cut, and ends in [`CUT`], 32 digits
//! of the BLAKE3 of the whole name, and its extension. The name that differs from another in the
//! same folder by the case of letters only, and comes second, has all such letters as bytes.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::layout::{NAMES, WORK};

/// Stands before the hash of a name that was cut.
const CUT: &str = "%~";
/// Hexadecimal digits of that hash.
const CUT_DIGITS: usize = 32;
/// The longest extension that stays at the end of a name that is cut, with its dot.
const MOST_EXTENSION: usize = 17;
/// Bytes that a name may have everywhere.
const MOST: usize = 255;
/// What no destination has less of.
const LEAST: usize = 80;
/// What Windows gives to devices, whatever the extension.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
/// The same with a digit after it.
const NUMBERED: [&str; 2] = ["COM", "LPT"];

/// How long a name may be where the system says so; none or nonsense: as everywhere.
pub(super) fn most_bytes(told: u64) -> usize {
    usize::try_from(told).unwrap_or(MOST).clamp(LEAST, MOST)
}

/// What a name becomes.
pub(super) fn mapped(name: &[u8], most: usize) -> Cow<'_, [u8]> {
    let escaped = escape(name, &|_| false);
    if escaped.as_bytes() == name && name.len() <= most {
        return Cow::Borrowed(name);
    }
    Cow::Owned(fit(escaped, name, most))
}

/// Does a name become another?
pub(super) fn is_changed(name: &[u8]) -> bool {
    *mapped(name, MOST) != *name
}

/// What a name becomes beside one that differs from it by the case of letters only.
pub(super) fn mapped_apart(name: &[u8], most: usize) -> Vec<u8> {
    let has_case = |c: char| !c.to_lowercase().eq([c]) || !c.to_uppercase().eq([c]);
    fit(escape(name, &has_case), name, most)
}

fn escape(name: &[u8], is_more: &dyn Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(name.len());
    let byte = |out: &mut String, byte: u8| {
        let _ = write!(out, "%{byte:02X}");
    };
    let is_reserved = is_reserved(name);
    let (mut at, last) = (0, name.len().saturating_sub(1));
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            let escapes = match c {
                '"' | '*' | ':' | '<' | '>' | '?' | '\\' | '|' | '/' => true,
                '.' | ' ' if at == last => true,
                '%' => is_escape(&name[at + 1..]),
                c => c.is_control(),
            };
            if escapes || at == 0 && is_reserved || is_more(c) {
                let mut bytes = [0; 4];
                c.encode_utf8(&mut bytes).bytes().for_each(|b| byte(&mut out, b));
            } else {
                out.push(c);
            }
            at += c.len_utf8();
        }
        chunk.invalid().iter().for_each(|b| byte(&mut out, *b));
        at += chunk.invalid().len();
    }
    out
}

/// Would a `%` before this be taken for the beginning of an escape?
fn is_escape(rest: &[u8]) -> bool {
    rest.starts_with(&CUT.as_bytes()[1..])
        || rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit)
}

/// Can Windows open what is called so?
pub(super) fn opens_on_windows(name: &[u8]) -> bool {
    let is_taken = |c: char| c >= ' ' && !"\"*:<>?\\|".contains(c);
    let text = std::str::from_utf8(name);
    text.is_ok_and(|text| text.chars().all(is_taken) && !text.ends_with(['.', ' ']))
        && !is_device(name)
}

/// Has the name a meaning of its own, to Windows or to the restore?
fn is_reserved(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with(WORK.as_bytes()) || lower == NAMES.as_bytes() || is_device(name)
}

/// Does Windows give the name to a device?
fn is_device(name: &[u8]) -> bool {
    let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
    let Ok(stem) = std::str::from_utf8(stem.trim_ascii_end()) else { return false };
    let is_digit = |rest: &str| {
        let mut rest = rest.chars();
        let digit = rest.next().is_some_and(|c| c.is_ascii_digit() || "¹²³".contains(c));
        digit && rest.next().is_none()
    };
    DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device))
        || NUMBERED.iter().any(|device| {
            let beginning = stem.get(..device.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(device))
                && is_digit(&stem[device.len()..])
        })
}

/// Cuts what is too long, within no character and no escape.
fn fit(escaped: String, name: &[u8], most: usize) -> Vec<u8> {
    if escaped.len() <= most {
        return escaped.into_bytes();
    }
    let extension = escaped.rfind('.').map_or("", |dot| &escaped[dot..]);
    let is_plain = extension.len() > 1
        && extension.len() <= MOST_EXTENSION
        && extension[1..].bytes().all(|byte| byte.is_ascii_alphanumeric());
    let extension = if is_plain { extension } else { "" };
    let mut keep = most - CUT.len() - CUT_DIGITS - extension.len();
    while !escaped.is_char_boundary(keep) {
        keep -= 1;
    }
    // An escape is three bytes, and a `%` that is none may as well go.
    if let Some(percent) = escaped.as_bytes()[keep - 2..keep].iter().position(|b| *b == b'%') {
        keep = keep - 2 + percent;
    }
    let hash = blake3::hash(name).to_hex();
    [&escaped[..keep], CUT, &hash[..CUT_DIGITS], extension].concat().into_bytes()
}

#[cfg(test)]
mod tests;

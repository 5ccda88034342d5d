//! An entry's bytes as an item of a list, behind the item's first: what differs from the entry before it.

use super::entry::{Entry, Kind, Lack, checked_path, names_len, shown_path};
use super::error::FormatError;
use super::wire::{Fields, Put};

/// The most extended attributes of an entry. Linux lists less: 64 KiB of names.
const MAX_XATTRS: usize = 32_768;

const FLAG_CONTINUED: u8 = 1;
const FLAG_WHOLE: u8 = 2;
const FLAG_CHANGED: u8 = 4;
/// Path and time say what differs from the entry before.
const FLAG_RELATIVE: u8 = 8;
/// Mode and owners are those of the entry before.
const FLAG_SAME_OWNERS: u8 = 16;
/// Fields follow.
const FLAG_FIELDS: u8 = 32;

const FIELD_TARGET: u8 = 1;
const FIELD_XATTR: u8 = 4;
const FIELD_DEVICE: u8 = 5;
const FIELD_HOLES: u8 = 6;
const FIELD_LACKS: u8 = 7;
/// A field with a tag from here on must be understood.
const FIELD_CRITICAL: u8 = 128;

/// Bytes of a coded entry besides path, names and fields, at most.
const MOST_FIXED_BYTES: usize = 60;

/// How many bytes a coded entry takes, at most.
pub fn entry_len(entry: &Entry) -> usize {
    let field = |len: usize| if len == 0 { 0 } else { 6 + len };
    MOST_FIXED_BYTES
        + names_len(entry)
        + field(entry.target.len())
        + entry.xattrs.iter().map(|(n, v)| field(2 + n.len() + v.len())).sum::<usize>()
        + field(if entry.device.is_some() { 8 } else { 0 })
        + field(entry.holes.len() * 16)
        + field(entry.lacks.len())
}

fn has_same_owners(entry: &Entry, before: &Entry) -> bool {
    let owners = |e: &Entry| (e.mode, e.uid, e.gid);
    owners(entry) == owners(before) && entry.user == before.user && entry.group == before.group
}

/// Appends an entry's bytes, without the item's tag, as what differs from the entry `before` it, if
/// there is one.
pub(super) fn encode_entry(
    entry: &Entry,
    continued: bool,
    before: Option<&Entry>,
    out: &mut Vec<u8>,
) {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let same_owners = before.is_some_and(|before| has_same_owners(entry, before));
    let flags_at = out.len();
    out.put_u8(
        flag(continued, FLAG_CONTINUED)
            | flag(entry.whole, FLAG_WHOLE)
            | flag(entry.changed, FLAG_CHANGED)
            | flag(before.is_some(), FLAG_RELATIVE)
            | flag(same_owners, FLAG_SAME_OWNERS),
    );
    out.put_u8(entry.kind as u8);
    let shared = before.map_or(0, |before| {
        let pairs = entry.path.iter().zip(&before.path);
        pairs.take_while(|(a, b)| a == b).count()
    });
    if before.is_some() {
        out.put_varint(shared as u64);
    }
    out.put_counted(&entry.path[shared..]);
    if !same_owners {
        out.put_u16(entry.mode as u16);
        out.put_varint(entry.uid.into());
        out.put_varint(entry.gid.into());
        out.put_counted(&entry.user);
        out.put_counted(&entry.group);
    }
    let (mtime, nanos) = before.map_or((0, 0), |before| (before.mtime, before.mtime_nanos));
    out.put_signed_varint(entry.mtime.wrapping_sub(mtime));
    out.put_signed_varint(i64::from(entry.mtime_nanos) - i64::from(nanos));
    if entry.kind == Kind::File {
        out.put_varint(entry.size);
    }
    let fields_at = out.len();
    encode_fields(entry, out);
    let fields = out.len() - fields_at;
    if fields > 0 {
        out[flags_at] |= FLAG_FIELDS;
        let mut len = Vec::with_capacity(5);
        len.put_varint(fields as u64);
        out.splice(fields_at..fields_at, len);
    }
}

fn encode_fields(entry: &Entry, out: &mut Vec<u8>) {
    let mut field = |tag: u8, parts: &[&[u8]]| {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        if len > 0 {
            out.put_u8(tag);
            out.put_varint(len as u64);
            parts.iter().for_each(|p| out.put(p));
        }
    };
    field(FIELD_TARGET, &[&entry.target]);
    for (name, value) in &entry.xattrs {
        field(FIELD_XATTR, &[&(name.len() as u16).to_le_bytes(), name, value]);
    }
    if let Some((major, minor)) = entry.device {
        field(FIELD_DEVICE, &[&major.to_le_bytes(), &minor.to_le_bytes()]);
    }
    let mut holes = Vec::with_capacity(entry.holes.len() * 16);
    for (offset, len) in &entry.holes {
        holes.put_u64(*offset);
        holes.put_u64(*len);
    }
    field(FIELD_HOLES, &[&holes]);
    let lacks: Vec<u8> = entry.lacks.iter().map(|lack| *lack as u8).collect();
    field(FIELD_LACKS, &[&lacks]);
}

/// Reads an entry after its item's tag, and whether it is continued; `before` is the entry before it
/// in its list, if there is one.
pub(super) fn decode_entry(
    fields: &mut Fields,
    before: Option<&Entry>,
) -> Result<(Entry, bool), FormatError> {
    let flags = fields.u8()?;
    let kind_byte = fields.u8()?;
    let kind = Kind::from_byte(kind_byte).ok_or_else(|| fields.invalid("kind", kind_byte))?;
    let has = |bit: u8| flags & bit != 0;
    let mut entry = Entry::new(Vec::new(), kind);
    (entry.whole, entry.changed) = (has(FLAG_WHOLE), has(FLAG_CHANGED));
    let of_files = has(FLAG_CONTINUED | FLAG_WHOLE | FLAG_CHANGED);
    if flags >= FLAG_FIELDS << 1
        || (of_files && kind != Kind::File)
        || (entry.changed && !entry.whole)
        || (entry.whole && has(FLAG_CONTINUED))
        || (has(FLAG_SAME_OWNERS) && !has(FLAG_RELATIVE))
    {
        return Err(fields.invalid("flags", flags));
    }
    let before = match before.filter(|_| has(FLAG_RELATIVE)) {
        None if has(FLAG_RELATIVE) => return Err(fields.invalid("flags", "nothing before")),
        before => before,
    };
    entry.path = decode_path(fields, before)?;
    match before.filter(|_| has(FLAG_SAME_OWNERS)) {
        Some(before) => {
            (entry.mode, entry.uid, entry.gid) = (before.mode, before.uid, before.gid);
            (entry.user, entry.group) = (before.user.clone(), before.group.clone());
        }
        None => {
            entry.mode = fields.u16()?.into();
            (entry.uid, entry.gid) = (fields.varint_u32()?, fields.varint_u32()?);
            (entry.user, entry.group) = (fields.counted()?.to_vec(), fields.counted()?.to_vec());
        }
    }
    if entry.mode & !0o7777 != 0 {
        return Err(fields.invalid("mode", entry.mode));
    }
    let (mtime, nanos) = before.map_or((0, 0), |before| (before.mtime, before.mtime_nanos));
    entry.mtime = fields.signed_varint()?.wrapping_add(mtime);
    let nanos = fields.signed_varint()?.saturating_add(nanos.into());
    match u32::try_from(nanos) {
        Ok(nanos @ ..1_000_000_000) => entry.mtime_nanos = nanos,
        _ => return Err(fields.invalid("mtime nanoseconds", nanos)),
    }
    if kind == Kind::File {
        entry.size = fields.varint()?;
    }
    if has(FLAG_FIELDS) {
        decode_fields(&mut entry, fields.counted()?)?;
    }
    check_entry(&entry)?;
    Ok((entry, has(FLAG_CONTINUED)))
}

fn decode_path(fields: &mut Fields, before: Option<&Entry>) -> Result<Vec<u8>, FormatError> {
    let mut path = Vec::new();
    if let Some(before) = before {
        let shared = fields.varint()?;
        let known = usize::try_from(shared).ok().and_then(|shared| before.path.get(..shared));
        path.extend_from_slice(known.ok_or_else(|| fields.invalid("shared path", shared))?);
    }
    path.extend_from_slice(fields.counted()?);
    checked_path(&path)?;
    Ok(path)
}

fn decode_fields(entry: &mut Entry, bytes: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new("entry", bytes);
    if bytes.is_empty() {
        return Err(fields.invalid("fields", "none"));
    }
    let mut last_tag = 0;
    while fields.left() > 0 {
        let tag = fields.u8()?;
        let field = fields.counted()?;
        if tag < last_tag || (tag == last_tag && tag != FIELD_XATTR) {
            return Err(fields.invalid("tag order", tag));
        }
        last_tag = tag;
        decode_field(entry, tag, field)?;
    }
    Ok(())
}

/// What must hold between an entry's fields.
fn check_entry(entry: &Entry) -> Result<(), FormatError> {
    let invalid =
        |field, value: &dyn std::fmt::Display| FormatError::invalid("entry", field, value);
    if entry.path.is_empty() && entry.kind != Kind::Folder {
        return Err(invalid("path", &"empty"));
    }
    let is_link = matches!(entry.kind, Kind::Symlink | Kind::HardLink);
    if is_link == entry.target.is_empty() {
        return Err(invalid("target", &shown_path(&entry.target)));
    }
    if entry.kind == Kind::HardLink {
        checked_path(&entry.target)?;
    }
    let both = entry.lacks.starts_with(&[Lack::Names, Lack::SomeNames]);
    let foreign = |lack: &&Lack| !lack.is_of(entry.kind, &entry.path);
    if let Some(lack) = entry.lacks.iter().find(|lack| both || foreign(lack)) {
        return Err(invalid("lacks", &(*lack as u8)));
    }
    if entry.kind == Kind::Unknown {
        let bare = Entry { lacks: entry.lacks.clone(), ..Entry::new(&entry.path[..], entry.kind) };
        if *entry != bare {
            return Err(invalid("kind", &"unknown, and yet there is metadata"));
        }
    }
    Ok(())
}

fn decode_field(entry: &mut Entry, tag: u8, bytes: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new("entry field", bytes);
    match tag {
        FIELD_TARGET => entry.target = bytes.to_vec(),
        FIELD_XATTR => {
            let name_len = fields.u16()? as usize;
            let name = fields.take(name_len)?.to_vec();
            let value = fields.take(fields.left())?.to_vec();
            let ascends = entry.xattrs.last().is_none_or(|(before, _)| *before < name);
            if name.is_empty() || name.contains(&0) || !ascends {
                return Err(fields.invalid("attribute name", shown_path(&name)));
            }
            entry.xattrs.push((name, value));
            if entry.xattrs.len() > MAX_XATTRS {
                return Err(fields.invalid("extended attributes", entry.xattrs.len()));
            }
        }
        FIELD_DEVICE => {
            entry.device = Some((fields.u32()?, fields.u32()?));
            fields.zeros(fields.left()).and_then(|()| match bytes.len() {
                8 => Ok(()),
                len => Err(fields.invalid("device", len)),
            })?;
        }
        FIELD_HOLES => {
            let mut before = None;
            while fields.left() > 0 {
                let (offset, len) = (fields.u64()?, fields.u64()?);
                let end = offset.checked_add(len).filter(|end| len > 0 && *end <= entry.size);
                if end.is_none() || before.is_some_and(|before| offset <= before) {
                    return Err(fields.invalid("holes", format!("{offset}+{len}")));
                }
                before = end;
                entry.holes.push((offset, len));
            }
        }
        FIELD_LACKS => {
            for byte in bytes {
                let lack = Lack::from_byte(*byte);
                let Some(lack) = lack.filter(|lack| entry.lacks.last() < Some(lack)) else {
                    return Err(fields.invalid("lacks", byte));
                };
                entry.lacks.push(lack);
            }
        }
        tag if tag < FIELD_CRITICAL => {}
        tag => return Err(fields.invalid("tag", tag)),
    }
    Ok(())
}

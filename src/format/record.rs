//! Stripe records and the files that carry them: in clear, the same on every drive of the set.
//!
//! A stripe record says where the stripe's shards lie and what every block's hash is. A record file
//! is one commit: its records count as soon as one valid copy of the file exists anywhere. It names
//! the record file before it by its BLAKE3, and ends with a MAC under the run key.

use super::error::{FORMAT_VERSION, FormatError};
use super::ids::INDEX_PART;
use super::ids::{RunId, SetNumber, ShipmentId, Slot, StripeId, StripeNumber};
use super::list::{HASH_BYTES, Hash};
use super::shard::{Blocks, MAX_SHARDS, SALT_BYTES, Salt};
use super::suite::Suite;
use super::wire::{Fields, Put};

const MAGIC: &[u8; 8] = b"holdrec\n";
/// The longest record file that is read.
pub const MAX_RECORD_FILE_BYTES: u64 = 32 << 20;
/// The most records that it holds.
pub const MAX_RECORDS: u32 = 1 << 16;

const HEADER_BYTES: usize = 48;
const SHARD_BYTES: usize = 2 + SALT_BYTES;
const MEMBER_BYTES: usize = 16;
/// Bytes of the MAC and the digest that end a record file.
const END_BYTES: usize = 2 * HASH_BYTES;

/// Which drives a stripe lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StripeKind {
    /// each shard on a different drive
    Across = 0,
    /// one parity shard over shards of the same drive, which are its members
    Along = 1,
}

/// What made the placement of a stripe differ from the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// nothing
    Planned = 0,
    /// replanned because a drive was lost
    DriveLost = 1,
    /// replanned because a drive was full
    DriveFull = 2,
    /// replanned because the dataset was larger than planned
    MoreData = 3,
}

/// One shard of a stripe, as its record has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRecord {
    /// the drive it was written to
    pub slot: Slot,
    /// the salt of its key; zeros for a parity shard
    pub salt: Salt,
}

/// A shard that is protected by a stripe along its drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// the stripe across that it belongs to
    pub stripe: StripeId,
    pub index: u8,
}

/// Everything about a stripe but its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeRecord {
    pub shipment: ShipmentId,
    pub set: SetNumber,
    /// run and number
    pub id: StripeId,
    /// across drives or along one
    pub kind: StripeKind,
    /// why this placement
    pub reason: Reason,
    pub suite: Suite,
    /// data shards; 0 along a drive, where the members take their place
    pub k: u8,
    /// parity shards; 1 along a drive
    pub m: u8,
    /// B and n; along a drive n is that of the longest member
    pub blocks: Blocks,
    /// k data shards, then m parity shards
    pub shards: Vec<ShardRecord>,
    /// for a stripe along: the shards it protects
    pub members: Vec<Member>,
    /// block hashes, shard by shard: hash of block b of shard s at s·n + b
    pub hashes: Vec<Hash>,
}

impl StripeRecord {
    /// The hashes of shard `index`, one per block.
    pub fn shard_hashes(&self, index: usize) -> &[Hash] {
        let n = self.blocks.count();
        &self.hashes[index * n..(index + 1) * n]
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let len = HEADER_BYTES
            + self.shards.len() * SHARD_BYTES
            + self.members.len() * MEMBER_BYTES
            + self.hashes.len() * HASH_BYTES;
        let mut out = Vec::with_capacity(len);
        out.put_u32(len as u32);
        out.put_u8(self.kind as u8);
        out.put_u8(self.reason as u8);
        out.put_u8(self.suite.number());
        out.put_u8(self.k);
        out.put_u8(self.m);
        out.put_u8(0);
        out.put_u16(FORMAT_VERSION);
        out.put_u32(self.blocks.bytes() as u32);
        out.put_u32(self.blocks.count() as u32);
        out.put_u32(self.set.0);
        out.put_u64(self.shipment.0);
        out.put_u64(self.id.run.0);
        out.put_u32(self.id.number.0);
        out.put_u32(self.members.len() as u32);
        for shard in &self.shards {
            out.put_u16(shard.slot.0);
            out.put(&shard.salt);
        }
        for member in &self.members {
            out.put_u64(member.stripe.run.0);
            out.put_u32(member.stripe.number.0);
            out.put_u8(member.index);
            out.put(&[0; 3]);
        }
        self.hashes.iter().for_each(|h| out.put(h));
        out
    }

    /// Reads a record, or all of it but its hashes, of which the number is checked all the same.
    fn decode(bytes: &[u8], has_hashes: bool) -> Result<Self, FormatError> {
        let mut fields = Fields::new("stripe record", bytes);
        fields.take(4)?;
        let kind = match fields.u8()? {
            0 => StripeKind::Across,
            1 => StripeKind::Along,
            other => return Err(fields.invalid("kind", other)),
        };
        let reason = match fields.u8()? {
            0 => Reason::Planned,
            1 => Reason::DriveLost,
            2 => Reason::DriveFull,
            3 => Reason::MoreData,
            other => return Err(fields.invalid("reason", other)),
        };
        let suite = Suite::of(fields.u8()?)?;
        let (k, m) = (fields.u8()?, fields.u8()?);
        let count = k as usize + m as usize;
        let shape = match kind {
            StripeKind::Across => k > 0 && count <= MAX_SHARDS,
            StripeKind::Along => (k, m) == (0, 1),
        };
        if !shape {
            return Err(fields.invalid("k and m", format!("{k}+{m}")));
        }
        fields.zeros(1)?;
        newer("stripe record", fields.u16()?)?;
        let blocks = Blocks::new(fields.u32()?, fields.u32()?)?;
        let set = SetNumber(fields.u32()?);
        let shipment = ShipmentId(fields.u64()?);
        let id = StripeId { run: RunId(fields.u64()?), number: StripeNumber(fields.u32()?) };
        let member_count = fields.u32()? as usize;
        let hash_count = count * blocks.count();
        let needed = (count * SHARD_BYTES) as u64
            + member_count as u64 * MEMBER_BYTES as u64
            + (hash_count * HASH_BYTES) as u64;
        if needed != fields.left() as u64 {
            return Err(fields.invalid("length", bytes.len()));
        }
        if (kind == StripeKind::Across) != (member_count == 0) {
            return Err(fields.invalid("members", member_count));
        }
        let mut shards = Vec::with_capacity(count);
        for _ in 0..count {
            shards.push(ShardRecord { slot: Slot(fields.u16()?), salt: fields.array()? });
        }
        let mut members = Vec::with_capacity(member_count);
        for _ in 0..member_count {
            let stripe =
                StripeId { run: RunId(fields.u64()?), number: StripeNumber(fields.u32()?) };
            members.push(Member { stripe, index: fields.u8()? });
            fields.zeros(3)?;
        }
        let read = if has_hashes { hash_count } else { 0 };
        let mut hashes = Vec::with_capacity(read);
        for _ in 0..read {
            hashes.push(fields.array()?);
        }
        if kind == StripeKind::Across && !distinct(&shards) {
            return Err(fields.invalid("slots", "one drive twice"));
        }
        Ok(Self { shipment, set, id, kind, reason, suite, k, m, blocks, shards, members, hashes })
    }
}

fn distinct(shards: &[ShardRecord]) -> bool {
    let mut slots: Vec<_> = shards.iter().map(|s| s.slot).collect();
    slots.sort_unstable();
    slots.windows(2).all(|w| w[0] != w[1])
}

fn newer(what: &'static str, version: u16) -> Result<(), FormatError> {
    match version {
        FORMAT_VERSION => Ok(()),
        0 => Err(FormatError::invalid(what, "version", 0)),
        found => Err(FormatError::Newer { what, found: found as u64 }),
    }
}

/// The catalog part that was written with a record file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRecord {
    /// the part's number within its run
    pub number: u32,
    /// B and n of the part's file
    pub blocks: Blocks,
    /// BLAKE3 of the part's file
    pub root: Hash,
}

/// The head of a record file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFileHeader {
    pub shipment: ShipmentId,
    pub set: SetNumber,
    pub run: RunId,
    /// the file's number within the run, from 0
    pub number: u32,
    /// how many stripe records follow
    pub stripes: u32,
    /// the catalog part written with it
    pub part: Option<PartRecord>,
    /// commitment of the run key
    pub commitment: Hash,
    /// BLAKE3 of the record file before it, of the same run or the run before; zeros for the
    /// first of a set
    pub previous: Hash,
}

/// Builds a record file from records; `mac` returns the MAC of the hash of all bytes before it.
pub fn encode_file(
    header: &RecordFileHeader,
    records: &[Vec<u8>],
    mac: impl FnOnce(&Hash) -> Hash,
) -> Vec<u8> {
    let body: usize = records.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(RECORDS_AT + body + END_BYTES);
    out.put(MAGIC);
    out.put_u16(FORMAT_VERSION);
    out.put_u16(u16::from(header.part.is_some()));
    out.put_u32(header.set.0);
    out.put_u64(header.shipment.0);
    out.put_u64(header.run.0);
    out.put_u32(header.number);
    out.put_u32(header.stripes);
    match &header.part {
        Some(part) => {
            out.put_u32(part.number);
            out.put_u32(part.blocks.bytes() as u32);
            out.put_u32(part.blocks.count() as u32);
            out.put(&part.root[..]);
        }
        None => out.put(&[0; 12 + HASH_BYTES]),
    }
    out.put(&header.commitment);
    out.put(&header.previous);
    records.iter().for_each(|r| out.put(r));
    let mac = mac(blake3::hash(&out).as_bytes());
    out.put(&mac);
    let digest = *blake3::hash(&out).as_bytes();
    out.put(&digest);
    out
}

/// What a record file's bytes are hashed to, in one pass over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHashes {
    /// BLAKE3 of all before the MAC
    pub body: Hash,
    /// the MAC that it carries
    pub mac: Hash,
    /// BLAKE3 of all before the digest
    sealed: Hash,
    /// the digest that it carries
    digest: Hash,
    /// BLAKE3 of the whole file
    pub whole: Hash,
}

impl FileHashes {
    /// Of a file; none if it is too short to have a MAC and a digest.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (body, end) = bytes.split_at_checked(bytes.len().checked_sub(END_BYTES)?)?;
        let (mac, digest) = (*end.first_chunk()?, *end.last_chunk()?);
        let mut hasher = blake3::Hasher::new();
        let mut to_here = |bytes: &[u8]| *hasher.update(bytes).finalize().as_bytes();
        let (body, sealed, whole) = (to_here(body), to_here(&mac), to_here(&digest));
        Some(Self { body, mac, sealed, digest, whole })
    }
}

/// Decodes a record file's head and checks its digest. The records are read with [`records`].
pub fn decode_file(bytes: &[u8]) -> Result<RecordFileHeader, FormatError> {
    decode_hashed(bytes, FileHashes::of(bytes).as_ref())
}

/// The same of a file that was hashed, if it was long enough.
pub fn decode_hashed(
    bytes: &[u8],
    hashes: Option<&FileHashes>,
) -> Result<RecordFileHeader, FormatError> {
    const WHAT: &str = "record file";
    let mut fields = Fields::new(WHAT, bytes);
    if fields.take(MAGIC.len())? != MAGIC {
        return Err(fields.invalid("magic", "not a record file"));
    }
    newer(WHAT, fields.u16()?)?;
    let Some(hashes) = hashes.filter(|_| bytes.len() >= RECORDS_AT + END_BYTES) else {
        return Err(FormatError::Truncated {
            what: WHAT,
            at: 0,
            needed: RECORDS_AT + END_BYTES,
            left: bytes.len(),
        });
    };
    if hashes.sealed != hashes.digest {
        return Err(FormatError::Digest { what: WHAT });
    }
    let has_part = match fields.u16()? {
        0 => false,
        1 => true,
        other => return Err(fields.invalid("flags", other)),
    };
    let set = SetNumber(fields.u32()?);
    let shipment = ShipmentId(fields.u64()?);
    let run = RunId(fields.u64()?);
    let number = fields.u32()?;
    let stripes = fields.u32()?;
    if stripes > MAX_RECORDS {
        return Err(fields.invalid("count of records", stripes));
    }
    let part = if has_part {
        let number = fields.u32()?;
        let blocks = Blocks::new(fields.u32()?, fields.u32()?)?;
        if number == INDEX_PART {
            return Err(fields.invalid("part", "the index is none"));
        }
        Some(PartRecord { number, blocks, root: fields.array()? })
    } else {
        fields.zeros(12 + HASH_BYTES)?;
        None
    };
    let (commitment, previous) = (fields.array()?, fields.array()?);
    Ok(RecordFileHeader { shipment, set, run, number, stripes, part, commitment, previous })
}

/// Bytes of a record file's head.
const RECORDS_AT: usize = 148;

/// The number of the first stripe across in a record file, read as far as that and no further; if
/// there is none, that of the first along. Nothing of it is checked: it says where to look. `read`
/// fills a buffer from an offset, and returns whether it could.
pub fn first_number(mut read: impl FnMut(u64, &mut [u8]) -> bool) -> Option<StripeNumber> {
    let mut head = [0; RECORDS_AT];
    if !read(0, &mut head) || !head.starts_with(MAGIC) {
        return None;
    }
    let mut fields = Fields::new("record file", &head[36..40]);
    let (mut offset, mut along) = (RECORDS_AT as u64, None);
    for _ in 0..fields.u32().ok()? {
        let mut bytes = [0; 44];
        if !read(offset, &mut bytes) {
            return along;
        }
        let mut fields = Fields::new("stripe record", &bytes);
        let (len, kind) = (fields.u32().ok()?, fields.u8().ok()?);
        fields.take(35).ok()?;
        let number = StripeNumber(fields.u32().ok()?);
        if kind == StripeKind::Across as u8 {
            return Some(number);
        }
        along.get_or_insert(number);
        offset += u64::from(len);
    }
    along
}

/// Reads the records of a file that [`decode_file`] accepted, and checks that they belong to it.
pub fn records<'a>(
    header: &RecordFileHeader,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<StripeRecord, FormatError>> + use<'a> {
    records_with(header, bytes, true)
}

/// The same without the block hashes, which are most of a record.
pub fn outlines<'a>(
    header: &RecordFileHeader,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<StripeRecord, FormatError>> + use<'a> {
    records_with(header, bytes, false)
}

fn records_with<'a>(
    header: &RecordFileHeader,
    bytes: &'a [u8],
    has_hashes: bool,
) -> impl Iterator<Item = Result<StripeRecord, FormatError>> + use<'a> {
    let header = *header;
    let mut rest = &bytes[RECORDS_AT.min(bytes.len())..bytes.len().saturating_sub(END_BYTES)];
    let mut left = header.stripes;
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || (left == 0 && rest.is_empty()) {
            return None;
        }
        let next = next_record(&header, &mut rest, left, has_hashes);
        failed = next.is_err();
        left = left.saturating_sub(1);
        Some(next)
    })
}

fn next_record(
    header: &RecordFileHeader,
    rest: &mut &[u8],
    left: u32,
    has_hashes: bool,
) -> Result<StripeRecord, FormatError> {
    let mut fields = Fields::new("record file", rest);
    if left == 0 {
        return Err(fields.invalid("stripe count", header.stripes));
    }
    let len = fields.u32()? as usize;
    if len < HEADER_BYTES || len > rest.len() {
        return Err(fields.invalid("record length", len));
    }
    let (bytes, after) = rest.split_at(len);
    *rest = after;
    let record = StripeRecord::decode(bytes, has_hashes)?;
    if record.shipment != header.shipment || record.set != header.set || record.id.run != header.run
    {
        return Err(FormatError::invalid("stripe record", "shipment, set or run", record.id));
    }
    Ok(record)
}

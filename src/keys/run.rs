//! The run key and its children. Every child is BLAKE3's `derive_key` with a context of its own
//! over a message of fixed length that begins with the run key.

use crate::format::ids::{RunId, SetNumber, ShipmentId, StripeId};
use crate::format::list::Hash;
use crate::format::record::{FileHashes, RecordFileHeader, StripeRecord};
use crate::format::set::SetText;
use crate::format::shard::{Blocks, Salt};
use crate::format::{FORMAT_VERSION, FormatError, Suite};
use zeroize::{Zeroize, ZeroizeOnDrop};

const SHARD_CONTEXT: &str = "holdall 2026-11-22 format 1 shard key";
const PART_CONTEXT: &str = "holdall 2026-11-22 format 1 catalog key";
const SHARD_SALT_CONTEXT: &str = "holdall 2026-11-29 shard salt";
const PART_SALT_CONTEXT: &str = "holdall 2026-11-29 catalog salt";
const MAC_CONTEXT: &str = "holdall 2026-11-22 format 1 record key";
const SET_CONTEXT: &str = "holdall 2026-11-22 format 1 set key";
const COMMITMENT_CONTEXT: &str = "holdall 2026-11-22 format 1 run key commitment";
const FILE_MAGIC: &[u8; 16] = b"holdall run key\n";
const FILE_BYTES: usize = 16 + 2 + 2 + 8 + 4 + 8 + 32;

/// The key of one AEAD, a shard's or a catalog file's, and which AEAD. Used once, then wiped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SealKey(pub(crate) [u8; 32], #[zeroize(skip)] pub(crate) Suite);

/// The key of one run of `pack` on one set.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RunKey {
    key: [u8; 32],
    #[zeroize(skip)]
    shipment: ShipmentId,
    #[zeroize(skip)]
    set: SetNumber,
    #[zeroize(skip)]
    run: RunId,
}

impl RunKey {
    /// A key for this run from 32 random bytes of the operating system.
    pub fn new(key: [u8; 32], shipment: ShipmentId, set: SetNumber, run: RunId) -> Self {
        Self { key, shipment, set, run }
    }

    /// The run it belongs to.
    pub fn run(&self) -> RunId {
        self.run
    }

    fn derive(&self, context: &str, rest: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&self.key);
        hasher.update(rest);
        let key = *hasher.finalize().as_bytes();
        hasher.zeroize();
        key
    }

    fn owner(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend(self.shipment.0.to_le_bytes());
        out.extend(self.set.0.to_le_bytes());
        out.extend(self.run.0.to_le_bytes());
        out
    }

    /// The commitment that is in clear in every record file: it shows whether a key is the right one.
    pub fn commitment(&self) -> Hash {
        self.derive(COMMITMENT_CONTEXT, &self.owner())
    }

    fn salted(&self, salt: &Salt, suite: Suite) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        out.extend(salt);
        out.extend(FORMAT_VERSION.to_le_bytes());
        out.extend([suite.number(), 0]);
        out.extend(self.owner());
        out
    }

    /// The salt of data shard `index` of a stripe. It is hedged: fresh randomness alone is repeated
    /// where a machine is cloned while it packs, and so is the run key; `content`, the BLAKE3 of what
    /// the stripe holds, then keeps two contents from sharing a key.
    pub fn shard_salt(&self, random: &Salt, id: StripeId, index: u8, content: &Hash) -> Salt {
        let mut rest = self.hedged(random, content);
        rest.extend(id.number.0.to_le_bytes());
        rest.push(index);
        self.derive(SHARD_SALT_CONTEXT, &rest)
    }

    /// The salt of a catalog file, in the same way.
    pub fn part_salt(&self, random: &Salt, part: u32, content: &Hash) -> Salt {
        let mut rest = self.hedged(random, content);
        rest.extend(part.to_le_bytes());
        self.derive(PART_SALT_CONTEXT, &rest)
    }

    fn hedged(&self, random: &Salt, content: &Hash) -> Vec<u8> {
        [&random[..], content, &self.owner()].concat()
    }

    /// The key of data shard `index` of a stripe.
    pub fn shard_key(&self, salt: &Salt, shape: &StripeShape, index: u8) -> SealKey {
        let mut rest = self.salted(salt, shape.suite);
        rest.extend(shape.id.number.0.to_le_bytes());
        rest.extend([index, shape.k, shape.m, 0]);
        rest.extend((shape.blocks.bytes() as u32).to_le_bytes());
        rest.extend((shape.blocks.count() as u32).to_le_bytes());
        SealKey(self.derive(SHARD_CONTEXT, &rest), shape.suite)
    }

    /// The key of a catalog file.
    pub fn part_key(&self, salt: &Salt, suite: Suite, part: u32, blocks: Blocks) -> SealKey {
        let mut rest = self.salted(salt, suite);
        rest.extend(part.to_le_bytes());
        rest.extend((blocks.bytes() as u32).to_le_bytes());
        rest.extend((blocks.count() as u32).to_le_bytes());
        SealKey(self.derive(PART_CONTEXT, &rest), suite)
    }

    fn mac(&self, context: &str, bytes: &[u8]) -> Hash {
        let mut key = self.derive(context, &self.owner());
        let mac = *blake3::keyed_hash(&key, bytes).as_bytes();
        key.zeroize();
        mac
    }

    /// The MAC of a record file: `body` is the BLAKE3 of what comes before it.
    pub fn record_mac(&self, body: &Hash) -> Hash {
        self.mac(MAC_CONTEXT, body)
    }

    /// Whether this record file is of this run, and authentic. Its digest was checked before.
    pub fn is_record_file(&self, header: &RecordFileHeader, bytes: &[u8]) -> bool {
        FileHashes::of(bytes).is_some_and(|hashes| self.has_made(header, &hashes))
    }

    /// The same of a file that was hashed.
    pub fn has_made(&self, header: &RecordFileHeader, hashes: &FileHashes) -> bool {
        header.commitment == self.commitment() && same(&self.record_mac(&hashes.body), &hashes.mac)
    }

    /// The MAC of a set.txt, over all its lines before the last.
    pub fn set_mac(&self, lines: &[u8]) -> Hash {
        self.mac(SET_CONTEXT, lines)
    }

    /// Whether the run of this key closed the set with this text.
    pub fn has_closed(&self, text: &SetText) -> bool {
        text.mac.is_some_and(|mac| same(&self.set_mac(&text.lines()), &mac))
    }

    /// The plain bytes of a key file, which are wrapped to the recipients.
    pub(super) fn file_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let mut out = zeroize::Zeroizing::new(Vec::with_capacity(FILE_BYTES));
        out.extend(FILE_MAGIC);
        out.extend(FORMAT_VERSION.to_le_bytes());
        out.extend([0, 0]);
        out.extend(self.owner());
        out.extend(self.key);
        out
    }

    /// Reads the plain bytes of a key file; they must belong to this shipment, set and run.
    pub(super) fn from_file_bytes(
        bytes: &[u8],
        shipment: ShipmentId,
        set: SetNumber,
        run: RunId,
    ) -> Result<Self, FormatError> {
        const WHAT: &str = "run key";
        if bytes.len() != FILE_BYTES || bytes[..16] != FILE_MAGIC[..] {
            return Err(FormatError::invalid(WHAT, "length or magic", bytes.len()));
        }
        let version = u16::from_le_bytes([bytes[16], bytes[17]]);
        if version == 0 || bytes[18..20] != [0, 0] {
            return Err(FormatError::invalid(WHAT, "version", version));
        }
        if version != FORMAT_VERSION {
            return Err(FormatError::Newer { what: WHAT, found: version as u64 });
        }
        let mut key = Self::new([0; 32], shipment, set, run);
        if bytes[20..40] != key.owner() {
            return Err(FormatError::invalid(WHAT, "owner", "another shipment, set or run"));
        }
        key.key.copy_from_slice(&bytes[40..]);
        Ok(key)
    }
}

/// Compares in constant time.
fn same(a: &Hash, b: &Hash) -> bool {
    blake3::Hash::from_bytes(*a) == blake3::Hash::from_bytes(*b)
}

/// What a shard's key is bound to besides the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StripeShape {
    /// run and number
    pub id: StripeId,
    pub suite: Suite,
    /// data shards
    pub k: u8,
    /// parity shards
    pub m: u8,
    /// B and n
    pub blocks: Blocks,
}

impl From<&StripeRecord> for StripeShape {
    fn from(r: &StripeRecord) -> Self {
        Self { id: r.id, suite: r.suite, k: r.k, m: r.m, blocks: r.blocks }
    }
}

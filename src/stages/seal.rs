//! Sealing: payloads to blocks, and blocks back to payloads.
//!
//! - Enters: the payloads of a stripe's data shards, or sealed blocks.
//! - Leaves: the blocks of all its shards, each sealed, hashed, and the parity over them; or plain
//!   bytes that are authentic.
//! - Always holds: (1) a key seals one shard, nonce = block number, so no pair repeats; (2) a
//!   block is sealed, hashed and coded while it is hot: one task per column, no second pass; (3) no
//!   plain byte leaves a block whose tag is wrong.

use super::aead::{Aead, NONCE_BYTES, Tag};
use super::hash::block_hash;
use super::parity::{Code, add_to};
use crate::format::list::Hash;
use crate::format::shard::{Blocks, SALT_BYTES, Salt, TAG_BYTES, Trailer};
use crate::keys::RunKey;
use crate::keys::run::{SealKey, StripeShape};
use rayon::prelude::*;

/// A block whose tag does not match: damaged, or sealed under another key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block {number} is not authentic")]
pub struct NotAuthentic {
    /// the block
    pub number: usize,
}

/// The AEAD of one shard or catalog file; none if its suite is not known.
pub struct Cipher(Option<Aead>);

/// The nonce of a block, in both suites: its number as 64 bits little-endian, then zeros.
fn nonce(number: usize) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..8].copy_from_slice(&(number as u64).to_le_bytes());
    nonce
}

/// Where the ciphertext of a block begins: after the salt in block 0.
fn sealed_start(number: usize) -> usize {
    if number == 0 { SALT_BYTES } else { 0 }
}

/// The places of a block's ciphertext and tag; the salt is written in front if it is block 0.
fn parts<'a>(number: usize, salt: &Salt, block: &'a mut [u8]) -> (&'a mut [u8], &'a mut Tag) {
    let (front, tag) = block.split_last_chunk_mut().expect("a block is longer than its tag");
    let (head, sealed) = front.split_at_mut(sealed_start(number));
    head.copy_from_slice(&salt[..head.len()]);
    (sealed, tag)
}

impl Cipher {
    /// The cipher of this key, which it consumes.
    #[allow(clippy::needless_pass_by_value)] // by value: one key cannot start two ciphers
    pub fn new(key: SealKey) -> Self {
        Self(Aead::new(key.1, &key.0))
    }

    fn sealing(&self) -> &Aead {
        self.0.as_ref().expect("nothing is sealed with a suite that is not known")
    }

    /// Seals `plain` into `block`, which lies at `number`; block 0 gets the salt in front.
    fn seal_from(&self, number: usize, salt: &Salt, plain: &[u8], block: &mut [u8]) {
        let (sealed, tag) = parts(number, salt, block);
        self.sealing().seal(nonce(number), plain, sealed, tag);
    }

    /// Seals the plain bytes that already lie in `block`.
    fn seal_in_place(&self, number: usize, salt: &Salt, block: &mut [u8]) {
        let (sealed, tag) = parts(number, salt, block);
        self.sealing().seal_in_place(nonce(number), sealed, tag);
    }

    /// Opens a block into `plain`, which has exactly its plain length and is zeros if that fails.
    pub fn open(&self, number: usize, block: &[u8], plain: &mut [u8]) -> Result<(), NotAuthentic> {
        let aead = self.0.as_ref();
        let parts = block
            .split_last_chunk()
            .and_then(|(front, tag)| front.get(sealed_start(number)..).map(|sealed| (sealed, tag)));
        let opened = aead
            .zip(parts)
            .is_some_and(|(aead, (sealed, tag))| aead.open(nonce(number), sealed, tag, plain));
        if opened {
            Ok(())
        } else {
            plain.fill(0);
            Err(NotAuthentic { number })
        }
    }
}

/// A data shard's payload before it is laid into blocks.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    /// runs of chunk bytes and their offsets in the payload, one after the other from 0
    runs: Vec<(usize, &'a [u8])>,
    chunk_bytes: usize,
    list: Vec<u8>,
}

impl<'a> Payload<'a> {
    /// Chunk bytes, run after run, and the list.
    pub fn new(runs: impl Iterator<Item = &'a [u8]>, list: Vec<u8>) -> Self {
        let mut payload = Self { runs: Vec::new(), chunk_bytes: 0, list };
        for run in runs {
            payload.runs.push((payload.chunk_bytes, run));
            payload.chunk_bytes += run.len();
        }
        payload
    }

    pub fn list(&self) -> &[u8] {
        &self.list
    }

    #[cfg(test)]
    pub(super) fn render_for_test(&self, payload_bytes: usize, out: &mut [u8]) {
        self.render(payload_bytes, 0, out);
    }

    /// The run in which payload byte `at` lies, or the last one before it.
    fn run_at(&self, at: usize) -> usize {
        self.runs.partition_point(|(start, _)| *start <= at).saturating_sub(1)
    }

    /// Copies the payload's bytes from `start` on into `out`, which ends within the payload.
    fn render(&self, payload_bytes: usize, start: usize, out: &mut [u8]) {
        let trailer =
            Trailer { chunk_bytes: self.chunk_bytes as u32, list_bytes: self.list.len() as u32 }
                .encode();
        let trailer_at = payload_bytes - trailer.len();
        let list_at = trailer_at - self.list.len();
        out.fill(0);
        let end = start + out.len();
        let mut put = |at: usize, bytes: &[u8]| {
            let (from, to) = (start.max(at), end.min(at + bytes.len()));
            if from < to {
                out[from - start..to - start].copy_from_slice(&bytes[from - at..to - at]);
            }
        };
        let runs = self.runs[self.run_at(start).min(self.runs.len())..].iter();
        runs.take_while(|(at, _)| *at < end).for_each(|(at, run)| put(*at, run));
        put(list_at, &self.list);
        put(trailer_at, &trailer);
    }

    fn seal_block(
        &self,
        cipher: &Cipher,
        salt: &Salt,
        blocks: Blocks,
        number: usize,
        out: &mut [u8],
    ) {
        let range = blocks.payload_range(number);
        let run = self.runs.get(self.run_at(range.start));
        let within = run.and_then(|(at, run)| run.get(range.start - at..range.end - at));
        if let Some(plain) = within {
            cipher.seal_from(number, salt, plain, out);
        } else {
            let (plain, _) = parts(number, salt, out);
            self.render(blocks.payload_bytes(), range.start, plain);
            cipher.seal_in_place(number, salt, out);
        }
    }
}

/// Seals a stripe: `buffer` receives its shards one after the other (k data, then m parity), and
/// the block hashes come back shard by shard. Each shard is added to its sum, if it has one.
pub fn seal_stripe(
    key: &RunKey,
    shape: &StripeShape,
    salts: &[Salt],
    payloads: &[Payload],
    code: &Code,
    buffer: &mut [u8],
    sums: Vec<Option<&mut [u8]>>,
) -> Vec<Hash> {
    let (k, n) = (payloads.len(), shape.blocks.count());
    let ciphers: Vec<_> = salts
        .iter()
        .enumerate()
        .map(|(i, salt)| Cipher::new(key.shard_key(salt, shape, i as u8)))
        .collect();
    let shards = shape.k as usize + shape.m as usize;
    let hashes: Vec<Vec<Hash>> = columns(buffer, shape.blocks, shards)
        .into_par_iter()
        .zip(sum_columns(sums, shape.blocks))
        .enumerate()
        .map(|(number, (mut column, sums))| {
            for (s, block) in column[..k].iter_mut().enumerate() {
                payloads[s].seal_block(&ciphers[s], &salts[s], shape.blocks, number, block);
            }
            let (data, parity) = column.split_at_mut(k);
            let data: Vec<&[u8]> = data.iter().map(|b| &**b).collect();
            code.encode(&data, parity);
            for (shard, sum) in sums {
                add_to(sum, column[shard]);
            }
            column.iter().map(|block| block_hash(block, number, n)).collect()
        })
        .collect();
    (0..shards).flat_map(|s| hashes.iter().map(move |column| column[s])).collect()
}

/// The blocks of a stripe's buffer by column.
fn columns(buffer: &mut [u8], blocks: Blocks, shards: usize) -> Vec<Vec<&mut [u8]>> {
    let n = blocks.count();
    let mut columns: Vec<Vec<&mut [u8]>> = (0..n).map(|_| Vec::with_capacity(shards)).collect();
    for (at, block) in buffer.chunks_exact_mut(blocks.bytes()).enumerate() {
        columns[at % n].push(block);
    }
    columns
}

/// The blocks of the sums by column, with the shard that is added to each.
fn sum_columns(sums: Vec<Option<&mut [u8]>>, blocks: Blocks) -> Vec<Vec<(usize, &mut [u8])>> {
    let mut columns: Vec<Vec<_>> = (0..blocks.count()).map(|_| Vec::new()).collect();
    for (shard, sum) in sums.into_iter().enumerate() {
        for (column, block) in columns
            .iter_mut()
            .zip(sum.into_iter().flat_map(|sum| sum.chunks_exact_mut(blocks.bytes())))
        {
            column.push((shard, block));
        }
    }
    columns
}

/// Seals a catalog file's content: its length, the content, zeros to whole blocks.
pub fn seal_content(
    content: &[u8],
    block_bytes: u32,
    salt: &Salt,
    key: impl FnOnce(Blocks) -> SealKey,
) -> (Vec<u8>, Blocks) {
    let mut head = (content.len() as u64).to_le_bytes().to_vec();
    let plain_per_block = block_bytes as usize - TAG_BYTES;
    let count = (head.len() + content.len() + SALT_BYTES).div_ceil(plain_per_block);
    let blocks = Blocks::new(block_bytes, count as u32)
        .expect("a catalog part is closed long before it reaches 65,536 blocks");
    head.extend_from_slice(content);
    head.resize(blocks.payload_bytes(), 0);
    let cipher = Cipher::new(key(blocks));
    let mut out = vec![0; blocks.file_bytes()];
    out.par_chunks_exact_mut(blocks.bytes()).enumerate().for_each(|(number, block)| {
        cipher.seal_from(number, salt, &head[blocks.payload_range(number)], block);
    });
    (out, blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Suite;
    use crate::format::ids::{RunId, SetNumber, ShipmentId, StripeId, StripeNumber};
    use crate::stages::hash::root_of;

    fn key() -> RunKey {
        RunKey::new([7; 32], ShipmentId(1), SetNumber(1), RunId(2))
    }

    fn shape(suite: Suite, k: u8, m: u8, count: u32) -> StripeShape {
        let id = StripeId { run: RunId(2), number: StripeNumber(5) };
        let blocks = Blocks::new(4096, count).unwrap();
        StripeShape { id, suite, k, m, blocks }
    }

    #[test]
    fn a_sealed_stripe_opens_to_its_payloads_and_hashes_to_plain_blake3() {
        for (suite, count) in Suite::ALL.into_iter().flat_map(|s| [1, 2, 3, 64].map(|n| (s, n))) {
            let shape = shape(suite, 2, 1, count);
            let blocks = shape.blocks;
            let chunks = vec![3; blocks.payload_bytes() - 500];
            let payloads = [
                Payload::new([&chunks[..77], &chunks[77..]].into_iter(), vec![9; 400]),
                Payload::new([&chunks[..10]].into_iter(), vec![]),
            ];
            let salts = [[1; 32], [2; 32]];
            let mut buffer = vec![0; 3 * blocks.file_bytes()];
            let code = Code::new(2, 1).unwrap();
            let mut sums = vec![vec![0x5a; buffer.len() / 3]; 2];
            let (first, rest) = sums.split_at_mut(1);
            let asked = vec![None, Some(&mut first[0][..]), Some(&mut rest[0][..])];
            let hashes = seal_stripe(&key(), &shape, &salts, &payloads, &code, &mut buffer, asked);
            for (sum, shard) in sums.iter().zip(buffer.chunks_exact(buffer.len() / 3).skip(1)) {
                assert!(sum.iter().zip(shard).all(|(sum, byte)| *sum == 0x5a ^ byte));
            }
            for (s, shard) in buffer.chunks(blocks.file_bytes()).enumerate() {
                let n = blocks.count();
                assert_eq!(root_of(&hashes[s * n..][..n]), *blake3::hash(shard).as_bytes());
            }
            for (s, payload) in payloads.iter().enumerate() {
                let cipher = Cipher::new(key().shard_key(&salts[s], &shape, s as u8));
                let mut plain = vec![0; blocks.payload_bytes()];
                for b in 0..blocks.count() {
                    let at = s * blocks.file_bytes() + b * 4096;
                    let range = blocks.payload_range(b);
                    cipher.open(b, &buffer[at..at + 4096], &mut plain[range.clone()]).unwrap();
                    buffer[at + 100] ^= 1;
                    let mut scrap = vec![0; range.len()];
                    let opened = cipher.open(b, &buffer[at..at + 4096], &mut scrap);
                    assert_eq!(opened, Err(NotAuthentic { number: b }));
                    assert!(scrap.iter().all(|byte| *byte == 0), "nothing of it leaves");
                }
                assert!(plain.starts_with(&chunks[..payload.chunk_bytes]));
                let end = plain.len() - 16;
                let trailer = Trailer::decode(plain[end..].try_into().unwrap(), plain.len());
                let trailer = trailer.unwrap();
                assert_eq!(trailer.chunk_bytes as usize, payload.chunk_bytes);
                assert_eq!(&plain[end - payload.list.len()..end], payload.list);
            }
        }
    }

    /// Test case 14 of the GCM specification: key, nonce and one block of plain bytes are zeros.
    #[test]
    fn suite_2_is_aes_256_gcm() {
        let sealed = 0xcea7_403d_4d60_6b6e_074e_c5d3_baf3_9d18_u128.to_be_bytes();
        let tag = 0xd0d1_c8a7_9999_6bf0_265b_98b5_d48a_b919_u128.to_be_bytes();
        let mut plain = [1; 16];
        let cipher = Cipher::new(SealKey([0; 32], Suite::Aes256));
        let block = [&[0; SALT_BYTES][..], &sealed, &tag].concat();
        assert_eq!(cipher.open(0, &block, &mut plain), Ok(()));
        assert_eq!(plain, [0; 16]);
        // Neither in the wrong place, nor too short, nor with room for another length.
        assert!(cipher.open(1, &block[SALT_BYTES..], &mut plain).is_err());
        assert!(cipher.open(0, &block[..40], &mut plain).is_err());
        assert!(cipher.open(0, &block, &mut [0; 17]).is_err());
        let cipher = Cipher::new(SealKey([0; 32], Suite::ChaCha20));
        assert!(cipher.open(0, &block, &mut plain).is_err(), "with the other suite");
    }

    #[test]
    fn what_a_key_is_bound_to_changes_it() {
        let base = shape(Suite::ChaCha20, 2, 1, 3);
        let sealed =
            |shape: &StripeShape, index: u8, salt: Salt| key().shard_key(&salt, shape, index).0;
        let first = sealed(&base, 0, [0; 32]);
        let mut others = vec![sealed(&base, 1, [0; 32]), sealed(&base, 0, [1; 32])];
        for change in 0..5 {
            let mut s = base;
            match change {
                0 => s.k = 3,
                1 => s.m = 2,
                2 => s.suite = Suite::Aes256,
                3 => s.blocks = Blocks::new(8192, 3).unwrap(),
                _ => s.id.number = StripeNumber(6),
            }
            others.push(sealed(&s, 0, [0; 32]));
        }
        others.push(
            RunKey::new([7; 32], ShipmentId(9), SetNumber(1), RunId(2))
                .shard_key(&[0; 32], &base, 0)
                .0,
        );
        others.push(
            RunKey::new([7; 32], ShipmentId(1), SetNumber(2), RunId(2))
                .shard_key(&[0; 32], &base, 0)
                .0,
        );
        assert!(others.iter().all(|k| *k != first));
    }
}

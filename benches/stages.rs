//! Each stage alone, on one core: random contents, at random places of a buffer larger than the caches
//! and, beside it, hot. Printed by divan: the time of one call, and bytes a second.
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use holdall::testing::format::Suite;
use holdall::testing::format::ids::{RunId, SetNumber, ShipmentId, StripeId, StripeNumber};
use holdall::testing::format::list::Method;
use holdall::testing::format::shard::Blocks;
use holdall::testing::keys::RunKey;
use holdall::testing::keys::run::StripeShape;
use holdall::testing::measure::sample::SampleData;
use holdall::testing::stages::aead::Aead;
use holdall::testing::stages::compress::{Compressor, Decompressor};
use holdall::testing::stages::dedup::{Dedup, Known};
use holdall::testing::stages::hash::{Merge, block_hash, piece};
use holdall::testing::stages::parity::Code;
use holdall::testing::stages::seal::{Cipher, Payload, seal_stripe};

const CHUNK: usize = 1 << 20;
const BLOCK: usize = 256 << 10;
/// Larger than the caches.
const COLD: usize = 256 << 20;

fn main() {
    divan::main();
}

/// Random places in random bytes, of so many bytes each.
struct Places {
    bytes: Vec<u8>,
    state: u64,
}

impl Places {
    /// All over `reach` bytes.
    fn new(reach: usize) -> Self {
        let mut bytes = vec![0; reach + CHUNK];
        blake3::Hasher::new().update(b"stages").finalize_xof().fill(&mut bytes);
        Self { bytes, state: 1 }
    }

    fn next(&mut self, len: usize) -> &[u8] {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = (self.state >> 33) as usize % (self.bytes.len() - len);
        &self.bytes[at..at + len]
    }
}

fn shape(suite: Suite, k: u8, m: u8) -> StripeShape {
    let id = StripeId { run: RunId(1), number: StripeNumber(0) };
    StripeShape { id, suite, k, m, blocks: Blocks::new(BLOCK as u32, 3).unwrap() }
}

fn key() -> RunKey {
    RunKey::new([1; 32], ShipmentId(1), SetNumber(1), RunId(1))
}

#[divan::bench(args = [CHUNK, COLD])]
fn hash_a_chunk(bencher: Bencher, reach: usize) {
    let mut places = Places::new(reach);
    bencher
        .counter(BytesCount::new(CHUNK))
        .bench_local(|| black_box(piece(places.next(CHUNK), 1 << 30, false)));
}

#[divan::bench(args = [CHUNK, COLD])]
fn hash_a_block(bencher: Bencher, reach: usize) {
    let mut places = Places::new(reach);
    bencher
        .counter(BytesCount::new(BLOCK))
        .bench_local(|| black_box(block_hash(places.next(BLOCK), 3, 64)));
}

#[divan::bench]
fn join_hashes(bencher: Bencher) {
    let value = piece(&[7; 4096], 1 << 20, false);
    let mut merge = Merge::default();
    bencher.counter(BytesCount::new(CHUNK)).bench_local(|| merge.push(black_box(value)));
}

#[divan::bench(args = ["noise", "table"], consts = [1, 3])]
fn probe_and_compress<const LEVEL: i32>(bencher: Bencher, kind: &str) {
    let sample = if kind == "noise" { SampleData::noise() } else { SampleData::table() };
    let (mut compressor, mut stored) = (Compressor::new(LEVEL).unwrap(), Vec::new());
    let mut chunks = sample.chunks.iter().cycle();
    bencher.counter(BytesCount::new(CHUNK)).bench_local(|| {
        let chunk = chunks.next().unwrap();
        black_box(compressor.compress(chunk, &mut stored))
    });
}

#[divan::bench(consts = [1, 3])]
fn decompress<const LEVEL: i32>(bencher: Bencher) {
    let (mut compressor, mut stored) = (Compressor::new(LEVEL).unwrap(), Vec::new());
    let plain = SampleData::table().chunks.swap_remove(0);
    assert_eq!(compressor.compress(&plain, &mut stored), Method::Zstd(LEVEL as u8));
    let (mut decompressor, mut back) = (Decompressor::new().unwrap(), vec![0; plain.len()]);
    bencher.counter(BytesCount::new(CHUNK)).bench_local(|| {
        decompressor.decompress(Method::Zstd(LEVEL as u8), &stored, &mut back).unwrap();
        black_box(&back);
    });
}

#[divan::bench]
fn remember_and_find(bencher: Bencher) {
    let (mut dedup, mut number) = (Dedup::new(1 << 18), 0u64);
    bencher.counter(BytesCount::new(CHUNK)).bench_local(|| {
        number += 1;
        let id = *blake3::hash(&number.to_le_bytes()).as_bytes();
        dedup.remember(id, CHUNK as u32, Known::Here { bundle: 0, chunk_offset: 0 });
        black_box(dedup.find(&id, CHUNK as u32).is_some())
    });
}

#[divan::bench(args = [Suite::ChaCha20, Suite::Aes256])]
fn seal_3_and_1(bencher: Bencher, suite: Suite) {
    let (shape, code) = (shape(suite, 3, 1), Code::new(3, 1).unwrap());
    let mut places = Places::new(COLD);
    let plain: Vec<Vec<u8>> =
        (0..3).map(|_| places.next(shape.blocks.payload_bytes() - 1000).to_vec()).collect();
    let one = |bytes| Payload::new(std::iter::once(bytes), Vec::new());
    let payloads: Vec<Payload> = plain.iter().map(|bytes| one(&bytes[..])).collect();
    let mut buffer = vec![0; 4 * shape.blocks.file_bytes()];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    bencher.counter(BytesCount::new(3 * shape.blocks.file_bytes())).bench_local(|| {
        pool.install(|| {
            let (salts, sums) = ([[0; 32]; 3], Vec::new());
            black_box(seal_stripe(&key(), &shape, &salts, &payloads, &code, &mut buffer, sums));
        });
    });
}

#[divan::bench(args = [64 << 10, 1 << 20])]
fn suite_1_by_aws_lc_rs(bencher: Bencher, len: usize) {
    seal(bencher, &Aead::aws_lc_chacha20(&[1; 32]), len);
}

/// Faster where the CPU has AVX-512, slower elsewhere.
#[divan::bench(args = [64 << 10, 1 << 20])]
fn suite_1_by_chacha20poly1305(bencher: Bencher, len: usize) {
    seal(bencher, &Aead::chacha20poly1305(&[1; 32]), len);
}

fn seal(bencher: Bencher, aead: &Aead, len: usize) {
    let mut places = Places::new(COLD);
    let (mut sealed, mut tag) = (vec![0; len], [0; 16]);
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        aead.seal([0; 12], places.next(len), &mut sealed, &mut tag);
        black_box((&sealed, &tag));
    });
}

#[divan::bench(args = [Suite::ChaCha20, Suite::Aes256])]
fn open_a_block(bencher: Bencher, suite: Suite) {
    let (shape, code) = (shape(suite, 1, 0), Code::new(1, 0).unwrap());
    let plain = Places::new(COLD).next(shape.blocks.payload_bytes() - 1000).to_vec();
    let payloads = [Payload::new(std::iter::once(&plain[..]), Vec::new())];
    let mut buffer = vec![0; shape.blocks.file_bytes()];
    seal_stripe(&key(), &shape, &[[0; 32]], &payloads, &code, &mut buffer, Vec::new());
    let cipher = Cipher::new(key().shard_key(&[0; 32], &shape, 0));
    let mut out = vec![0; shape.blocks.payload_range(1).len()];
    bencher.counter(BytesCount::new(BLOCK)).bench_local(|| {
        cipher.open(1, &buffer[BLOCK..2 * BLOCK], &mut out).unwrap();
        black_box(&out);
    });
}

#[divan::bench(args = [(3, 1), (12, 3), (45, 15)])]
fn encode_a_column(bencher: Bencher, (k, m): (usize, usize)) {
    let code = Code::new(k, m).unwrap();
    let mut places = Places::new(COLD);
    let data: Vec<Vec<u8>> = (0..k).map(|_| places.next(BLOCK).to_vec()).collect();
    let mut parity = vec![vec![0; BLOCK]; m];
    bencher.counter(BytesCount::new(k * BLOCK)).bench_local(|| {
        let data: Vec<&[u8]> = data.iter().map(|block| &block[..]).collect();
        let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(|block| &mut block[..]).collect();
        code.encode(&data, &mut parity);
        black_box(&parity);
    });
}

#[divan::bench(args = [(3, 1), (12, 3), (45, 15)])]
fn reconstruct_m_of_a_column(bencher: Bencher, (k, m): (usize, usize)) {
    let code = Code::new(k, m).unwrap();
    let mut places = Places::new(COLD);
    let blocks: Vec<Vec<u8>> = (0..k + m).map(|_| places.next(BLOCK).to_vec()).collect();
    let mut out = vec![vec![0; BLOCK]; m.min(k)];
    let wanted: Vec<usize> = (0..out.len()).collect();
    bencher.counter(BytesCount::new(k * BLOCK)).bench_local(|| {
        let there = |i: usize| (i >= wanted.len()).then_some(&blocks[i][..]);
        let column: Vec<Option<&[u8]>> = (0..k + m).map(there).collect();
        let mut outs: Vec<&mut [u8]> = out.iter_mut().map(|block| &mut block[..]).collect();
        code.reconstruct(&column, &wanted, &mut outs).unwrap();
        black_box(&outs);
    });
}

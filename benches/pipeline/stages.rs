//! Each stage alone, hot in cache: on one core, and on all of them at once.

use holdall::testing::dataset::Source;
use holdall::testing::drives::buffer::Buffer;
use holdall::testing::drives::{Drive, LocalDrive, WriteMode};
use holdall::testing::format::Suite;
use holdall::testing::format::ids::{RunId, SetNumber, ShipmentId, StripeId, StripeNumber};
use holdall::testing::format::list::{Kind, Method};
use holdall::testing::format::shard::Blocks;
use holdall::testing::keys::RunKey;
use holdall::testing::keys::run::StripeShape;
use holdall::testing::measure::sample::SampleData;
use holdall::testing::measure::whole::SourcePart;
use holdall::testing::stages::compress::{Compressor, Decompressor};
use holdall::testing::stages::hash::{block_hash, piece};
use holdall::testing::stages::parity::Code;
use holdall::testing::stages::seal::{Cipher, Payload, seal_stripe};
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of a GB.
pub const GB: f64 = 1e9;
/// Bytes of a chunk.
const CHUNK_BYTES: usize = 1 << 20;
/// Tries of which the best counts.
const TRIES: usize = 3;
/// How long a try takes at least.
const TRY: Duration = Duration::from_millis(60);

/// How fast something is, in bytes of what it is given.
#[derive(Clone, Copy)]
pub struct Rate {
    /// bytes per second, one core
    pub one_core: f64,
    /// bytes per second, all cores at once
    pub all_cores: f64,
}

impl Rate {
    /// What a GB costs, hot and alone.
    pub fn core_seconds(&self) -> f64 {
        GB / self.one_core
    }
}

/// Bytes per second of a job that works on `bytes` bytes each time it is called.
fn speed(bytes: usize, job: &mut dyn FnMut()) -> f64 {
    job();
    let mut best: f64 = 0.0;
    for _ in 0..TRIES {
        let (began, mut rounds) = (Instant::now(), 0);
        while rounds == 0 || began.elapsed() < TRY {
            job();
            rounds += 1;
        }
        best = best.max((rounds * bytes) as f64 / began.elapsed().as_secs_f64());
    }
    best
}

/// The rate of a job: on this thread, and on all of the pool's at the same time. `make` gives each
/// thread a job of its own.
fn rate<J: FnMut()>(bytes: usize, make: impl Fn() -> J + Sync) -> Rate {
    let one_core = speed(bytes, &mut make());
    let all: Vec<f64> = rayon::broadcast(|_| speed(bytes, &mut make()));
    Rate { one_core, all_cores: all.iter().sum() }
}

/// Bytes of a block that is measured.
const BLOCK_BYTES: usize = 256 << 10;
/// Bytes that are read again and again.
const READ_BYTES: usize = 256 << 20;
/// Bytes of a shard that is written, and how many are before they are removed again, untimed.
const SHARD_BYTES: usize = 16 << 20;
const WRITTEN_SHARDS: usize = 8;
/// Blocks of a shard that is measured: few, so that a stripe stays in cache.
const BLOCKS: u32 = 3;

/// A level of compression, and what it gives.
#[derive(Clone, Copy)]
pub struct Compression {
    /// with the probe, in plain bytes
    pub rate: Rate,
    /// back again, in plain bytes
    pub back: Rate,
    /// stored bytes to a plain one
    pub ratio: f64,
}

/// BLAKE3 of chunks.
pub fn hash(sample: &SampleData) -> Rate {
    rate(sample.bytes(), || {
        || {
            for chunk in &sample.chunks {
                black_box(piece(chunk, 1 << 20, false));
            }
        }
    })
}

/// The probe and, where it pays, zstd.
pub fn compress(sample: &SampleData, level: i32) -> io::Result<Compression> {
    Compressor::new(level)?;
    let make = || Compressor::new(level).expect("the one before was made as well");
    // High levels take seconds for all of them.
    let chunks = || sample.chunks.iter();
    let with_probe = rate(sample.bytes(), || {
        let (mut compressor, mut stored) = (make(), Vec::new());
        move || {
            for chunk in chunks() {
                black_box(compressor.compress(chunk, &mut stored));
            }
        }
    });
    let mut compressor = make();
    let store = |chunk: &Vec<u8>| {
        let mut stored = Vec::new();
        match compressor.compress(chunk, &mut stored) {
            Method::Zstd(level) => (Method::Zstd(level), stored, chunk.len()),
            Method::Plain => (Method::Plain, chunk.clone(), chunk.len()),
        }
    };
    let stored: Vec<(Method, Vec<u8>, usize)> = chunks().map(store).collect();
    Decompressor::new()?;
    let back = rate(sample.bytes(), || {
        let mut decompressor = Decompressor::new().expect("the one before was made as well");
        let mut plain = vec![0; CHUNK_BYTES];
        let stored = &stored;
        move || {
            for (method, bytes, len) in stored {
                let out = &mut plain[..*len];
                let _ = black_box(decompressor.decompress(*method, bytes, out));
            }
        }
    });
    let stored_bytes: usize = stored.iter().map(|(_, bytes, _)| bytes.len()).sum();
    let ratio = stored_bytes as f64 / sample.bytes().max(1) as f64;
    Ok(Compression { rate: with_probe, back, ratio })
}

fn blocks() -> Blocks {
    Blocks::new(BLOCK_BYTES as u32, BLOCKS).expect("these sizes are within the format")
}

fn shape(suite: Suite, k: usize, m: usize) -> StripeShape {
    let id = StripeId { run: RunId(1), number: StripeNumber(0) };
    StripeShape { id, suite, k: k as u8, m: m as u8, blocks: blocks() }
}

fn key() -> RunKey {
    RunKey::new([1; 32], ShipmentId(1), SetNumber(1), RunId(1))
}

/// Sealing, block hashes and parity of a stripe, in bytes of its data shards.
pub fn seal(suite: Suite, k: usize, m: usize) -> Rate {
    let plain = vec![7; blocks().payload_bytes() - 1000];
    let (shape, salts) = (shape(suite, k, m), vec![[0; 32]; k]);
    let pool = || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        pool.expect("the machine has a thread more")
    };
    rate(k * blocks().file_bytes(), || {
        let payload = Payload::new(std::iter::once(&plain[..]), Vec::new());
        let payloads = vec![payload; k];
        let mut buffer = vec![0; (k + m) * blocks().file_bytes()];
        let (key, code, pool) = (key(), Code::new(k, m).expect("a valid code"), pool());
        let (shape, salts) = (&shape, &salts);
        move || {
            pool.install(|| {
                let sums = Vec::new();
                black_box(seal_stripe(&key, shape, salts, &payloads, &code, &mut buffer, sums));
            });
        }
    })
}

/// Opening blocks, in bytes of blocks.
pub fn open(suite: Suite) -> Rate {
    let shape = shape(suite, 1, 0);
    let payload_bytes = blocks().payload_bytes();
    rate(blocks().file_bytes(), || {
        let plain = vec![7; payload_bytes - 1000];
        let payloads = [Payload::new(std::iter::once(&plain[..]), Vec::new())];
        let mut buffer = vec![0; blocks().file_bytes()];
        let code = Code::new(1, 0).expect("a valid code");
        seal_stripe(&key(), &shape, &[[0; 32]], &payloads, &code, &mut buffer, Vec::new());
        let cipher = Cipher::new(key().shard_key(&[0; 32], &shape, 0));
        let mut out = vec![0; payload_bytes];
        move || {
            for number in 0..BLOCKS as usize {
                let range = blocks().payload_range(number);
                let block = &buffer[number * BLOCK_BYTES..(number + 1) * BLOCK_BYTES];
                let opened = cipher.open(number, block, &mut out[range]);
                opened.expect("it was sealed with the same key");
            }
            black_box(&out);
        }
    })
}

pub fn block_hashes() -> Rate {
    rate(BLOCK_BYTES, || {
        let block = vec![9; BLOCK_BYTES];
        move || {
            black_box(block_hash(&block, 1, 64));
        }
    })
}

/// Reconstructing one data block of a column, in bytes of its data blocks.
pub fn reconstruct(k: usize, m: usize) -> Rate {
    rate(k * BLOCK_BYTES, || {
        let blocks = vec![vec![3; BLOCK_BYTES]; k + m];
        let mut out = vec![0; BLOCK_BYTES];
        let code = Code::new(k, m).expect("a valid code");
        move || {
            let column: Vec<Option<&[u8]>> =
                (0..k + m).map(|i| (i > 0).then_some(&blocks[i][..])).collect();
            code.reconstruct(&column, &[0], &mut [&mut out]).expect("k blocks are there");
            black_box(&mut out);
        }
    })
}

/// Reading files in pieces of a chunk, from the page cache if they are there, in plain bytes.
pub fn read(source: &Source, part: &SourcePart) -> Rate {
    let most = (part.bytes as usize).min(READ_BYTES);
    rate(most, || {
        let mut buffer = vec![0; CHUNK_BYTES];
        move || {
            let mut left = most;
            let files = part.entries.iter().filter(|e| e.entry.kind == Kind::File);
            for file in files {
                let Ok(opened) = source.open_file(&file.entry.path) else { continue };
                let mut at = 0;
                while left > 0
                    && let Ok(len) = opened.read_at(at, &mut buffer)
                    && len > 0
                {
                    black_box(&buffer);
                    at += len as u64;
                    left = left.saturating_sub(len);
                }
            }
        }
    })
}

/// Writing shards to new files, by a drive for each thread.
pub fn write(root: &Path) -> Rate {
    let of_thread = |number: usize| {
        let folder = root.join(format!("written-{number}"));
        let drive = LocalDrive::make(&folder).expect("there is room");
        let mut shard = Buffer::zeroed(SHARD_BYTES);
        shard.fill(5);
        let mut best: f64 = 0.0;
        for _ in 0..=TRIES {
            let began = Instant::now();
            for number in 0..WRITTEN_SHARDS {
                drive.write(&number.to_string(), &shard, WriteMode::New).expect("there is room");
            }
            let bytes = (WRITTEN_SHARDS * SHARD_BYTES) as f64;
            best = best.max(bytes / began.elapsed().as_secs_f64());
            for number in 0..WRITTEN_SHARDS {
                drive.remove(&number.to_string()).expect("it is there");
            }
        }
        best
    };
    let one_core = of_thread(0);
    let all: Vec<f64> = rayon::broadcast(|thread| of_thread(thread.index()));
    Rate { one_core, all_cores: all.iter().sum() }
}

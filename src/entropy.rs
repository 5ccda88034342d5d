//! Randomness and time, passed in so that a test can fix both.

use parking_lot::Mutex;

/// Where ids, keys, salts and times come from.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()>;
    /// Now, RFC 3339, in seconds.
    fn now(&self) -> String;
    /// Seconds of a monotonic clock, from an arbitrary beginning.
    fn seconds(&self) -> u64;
}

/// The randomness and the clocks of the operating system.
pub struct System;

static BEGINNING: std::sync::LazyLock<std::time::Instant> =
    std::sync::LazyLock::new(std::time::Instant::now);

impl Entropy for System {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        getrandom::fill(bytes).map_err(std::io::Error::from)
    }

    fn now(&self) -> String {
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn seconds(&self) -> u64 {
        BEGINNING.elapsed().as_secs()
    }
}

/// A fixed stream and a fixed time. Never for real data: its keys can be known.
pub struct Fixed(Mutex<blake3::OutputReader>);

impl Fixed {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof()))
    }
}

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.lock().fill(bytes);
        Ok(())
    }

    fn now(&self) -> String {
        "2026-01-01T00:00:00Z".into()
    }

    fn seconds(&self) -> u64 {
        0
    }
}

/// A random number of 64 bits, for ids.
pub fn random_id(entropy: &dyn Entropy) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

//! Numbers and bytes from a seed: a test that fails once fails again.

/// A stream of random bytes that its name decides.
pub struct Random(blake3::OutputReader);

impl Random {
    /// The stream of this name.
    pub fn new(name: &str) -> Self {
        Self(blake3::Hasher::new().update(name.as_bytes()).finalize_xof())
    }

    /// The next bytes: nothing compresses them.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % end as u64) as usize
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// `count` of the numbers below `end`, ascending.
    pub fn choose(&mut self, count: usize, end: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (0..end).collect();
        let mut chosen: Vec<usize> =
            (0..count).map(|_| left.swap_remove(self.below(left.len()))).collect();
        chosen.sort_unstable();
        chosen
    }

    /// Text that compresses as prose does, `len` bytes.
    pub fn text(&mut self, len: usize) -> Vec<u8> {
        const WORDS: [&str; 12] = [
            "drive", "case", "stripe", "the", "of", "shard", "parity", "block", "a", "chunk\n",
            "list", "and",
        ];
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(self.pick(&WORDS).as_bytes());
            out.push(b' ');
        }
        out.truncate(len);
        out
    }
}

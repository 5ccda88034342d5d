//! Which cipher a shipment is sealed with: what was asked for, and what `auto` makes of it.

use crate::format::Suite;

/// What `--cipher` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherChoice {
    Given(Suite),
    /// AES where the packing machine's CPU does it fast, else ChaCha20
    Auto,
}

/// ChaCha20, which is fast on every machine.
impl Default for CipherChoice {
    fn default() -> Self {
        Self::Given(Suite::ChaCha20)
    }
}

impl CipherChoice {
    /// The words of `--cipher`.
    pub const WORDS: [&'static str; 3] = ["chacha20", "aes256", "auto"];

    /// The choice that a word names.
    pub fn of(word: &str) -> Option<Self> {
        let given = Suite::ALL.into_iter().find(|suite| suite.word() == word);
        given.map(Self::Given).or((word == "auto").then_some(Self::Auto))
    }

    /// The suite, given whether the CPU has instructions for AES.
    pub fn suite(self, aes_is_fast: bool) -> Suite {
        match self {
            Self::Given(suite) => suite,
            Self::Auto if aes_is_fast => Suite::Aes256,
            Self::Auto => Suite::ChaCha20,
        }
    }
}

/// Whether this CPU has instructions for AES and for GCM's carry-less product. Without both of them
/// AES-256-GCM is several times slower than ChaCha20-Poly1305.
pub fn aes_is_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        // With AVX comes the code that interleaves the two.
        has!("aes") && has!("pclmulqdq") && has!("avx")
    }
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::is_aarch64_feature_detected as has;
        has!("aes") && has!("pmull")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_goes_by_the_cpu_and_the_others_do_not() {
        let suites = |word| CipherChoice::of(word).map(|c| [false, true].map(|fast| c.suite(fast)));
        assert_eq!(suites("auto"), Some([Suite::ChaCha20, Suite::Aes256]));
        assert_eq!(suites("chacha20"), Some([Suite::ChaCha20; 2]));
        assert_eq!(suites("aes256"), Some([Suite::Aes256; 2]));
        assert_eq!(suites("AES"), None);
        assert!(CipherChoice::WORDS.iter().all(|word| CipherChoice::of(word).is_some()));
    }
}

//! The two AEADs of the format, each by the library that is faster on the CPU at hand.
//!
//! - Enters: a suite and its key; plain bytes, or ciphertext with its tag.
//! - Leaves: ciphertext with its tag; plain bytes, or that they are not authentic.
//! - Always holds: (1) both libraries give the same bytes, so that the choice never shows on a
//!   drive; (2) both wipe their copy of the key when dropped.

use crate::format::Suite;
use crate::format::shard::TAG_BYTES;
use aws_lc_rs::aead as aws_lc;
use chacha20poly1305::aead::array::Array;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};

/// The length of a key, in both suites.
pub const KEY_BYTES: usize = 32;
/// The length of a nonce, in both suites.
pub const NONCE_BYTES: usize = aws_lc::NONCE_LEN;
/// Nonces of both suites.
pub type Nonce = [u8; NONCE_BYTES];
/// Tags of both suites.
pub type Tag = [u8; TAG_BYTES];

/// One key, ready to seal and open without associated data.
pub enum Aead {
    /// either suite by aws-lc-rs
    AwsLc(Box<aws_lc::LessSafeKey>),
    /// suite 1 by chacha20poly1305
    ChaCha20Poly1305(ChaCha20Poly1305),
}

/// Whether chacha20poly1305 was compiled with its code for AVX-512 and this CPU can run it. Without
/// AVX-512, aws-lc-rs is the faster one.
fn has_wide_vectors() -> bool {
    #[cfg(all(chacha20_avx512, target_arch = "x86_64"))]
    return is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
    #[cfg(not(all(chacha20_avx512, target_arch = "x86_64")))]
    return false;
}

impl Aead {
    /// The faster implementation of a suite; none of a suite that is not known.
    pub fn new(suite: Suite, key: &[u8; KEY_BYTES]) -> Option<Self> {
        match suite {
            Suite::ChaCha20 if has_wide_vectors() => Some(Self::chacha20poly1305(key)),
            Suite::ChaCha20 => Some(Self::aws_lc_chacha20(key)),
            Suite::Aes256 => Some(Self::aws_lc(&aws_lc::AES_256_GCM, key)),
            Suite::Unknown(_) => None,
        }
    }

    /// Suite 1 by aws-lc-rs.
    pub fn aws_lc_chacha20(key: &[u8; KEY_BYTES]) -> Self {
        Self::aws_lc(&aws_lc::CHACHA20_POLY1305, key)
    }

    fn aws_lc(algorithm: &'static aws_lc::Algorithm, key: &[u8; KEY_BYTES]) -> Self {
        let key = aws_lc::UnboundKey::new(algorithm, key);
        let key = key.expect("both suites have keys of 32 bytes");
        Self::AwsLc(Box::new(aws_lc::LessSafeKey::new(key)))
    }

    /// Suite 1 by chacha20poly1305.
    pub fn chacha20poly1305(key: &[u8; KEY_BYTES]) -> Self {
        Self::ChaCha20Poly1305(ChaCha20Poly1305::new(key.into()))
    }

    /// Encrypts `plain` into `sealed`, which is as long, and writes its tag.
    pub fn seal(&self, nonce: Nonce, plain: &[u8], sealed: &mut [u8], tag: &mut Tag) {
        const FITS: &str =
            "plain bytes and ciphertext are equally long, and shorter than the limit";
        match self {
            Self::AwsLc(key) => {
                let nonce = aws_lc::Nonce::assume_unique_for_key(nonce);
                let none = aws_lc::Aad::empty();
                key.seal_out_of_place_scatter(nonce, none, plain, sealed, &[], tag).expect(FITS);
            }
            Self::ChaCha20Poly1305(key) => {
                let both = InOutBuf::new(plain, sealed).expect(FITS);
                let made = key.encrypt_inout_detached(&nonce.into(), &[], both).expect(FITS);
                tag.copy_from_slice(&made);
            }
        }
    }

    /// Encrypts `bytes` where they are, and writes their tag.
    pub fn seal_in_place(&self, nonce: Nonce, bytes: &mut [u8], tag: &mut Tag) {
        const FITS: &str = "the bytes are fewer than the limit";
        match self {
            Self::AwsLc(key) => {
                let nonce = aws_lc::Nonce::assume_unique_for_key(nonce);
                let none = aws_lc::Aad::empty();
                key.seal_in_place_scatter(nonce, none, bytes, &[], tag).expect(FITS);
            }
            Self::ChaCha20Poly1305(key) => {
                let made = key.encrypt_inout_detached(&nonce.into(), &[], bytes.into());
                tag.copy_from_slice(&made.expect(FITS));
            }
        }
    }

    /// Decrypts `sealed` into `plain`, and returns whether it is as long and the tag is right. If
    /// not, `plain` holds nothing that may be used: a library may decrypt while it authenticates.
    #[must_use]
    pub fn open(&self, nonce: Nonce, sealed: &[u8], tag: &Tag, plain: &mut [u8]) -> bool {
        match self {
            Self::AwsLc(key) => {
                let nonce = aws_lc::Nonce::assume_unique_for_key(nonce);
                let none = aws_lc::Aad::empty();
                key.open_separate_gather(nonce, none, sealed, tag, plain).is_ok()
            }
            Self::ChaCha20Poly1305(key) => InOutBuf::new(sealed, plain).is_ok_and(|both| {
                key.decrypt_inout_detached(&nonce.into(), &[], both, &Array(*tag)).is_ok()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Plain bytes of the vectors in RFC 8439, 2.4.2 and 2.8.2.
    const SUNSCREEN: &[u8; 114] =
        b"Ladies and Gentlemen of the class of '99: If I could offer you \
        only one tip for the future, sunscreen would be it.";

    /// Suite 1 by each library.
    fn both(key: &[u8; KEY_BYTES]) -> [Aead; 2] {
        [Aead::aws_lc_chacha20(key), Aead::chacha20poly1305(key)]
    }

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        let digits: Vec<char> = hexadecimal.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    /// Ciphertext, and the tag over it and associated data, which the format has none of.
    fn sealed_with_data(aead: &Aead, nonce: Nonce, data: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = plain.to_vec();
        match aead {
            Aead::AwsLc(key) => {
                let nonce = aws_lc::Nonce::assume_unique_for_key(nonce);
                let data = aws_lc::Aad::from(data);
                let tag = key.seal_in_place_separate_tag(nonce, data, &mut sealed).unwrap();
                sealed.extend_from_slice(tag.as_ref());
            }
            Aead::ChaCha20Poly1305(key) => {
                let buffer = (&mut sealed[..]).into();
                let tag = key.encrypt_inout_detached(&nonce.into(), data, buffer).unwrap();
                sealed.extend_from_slice(&tag);
            }
        }
        sealed
    }

    #[test]
    fn rfc_8439_2_4_2_the_key_stream() {
        let key: [u8; KEY_BYTES] = std::array::from_fn(|i| i as u8);
        let nonce = [0, 0, 0, 0, 0, 0, 0, 0x4a, 0, 0, 0, 0];
        let expected = bytes(
            "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b
             f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8
             07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736
             5af90bbf74a35be6b40b8eedf2785e42874d",
        );
        for aead in both(&key) {
            let (mut sealed, mut tag) = ([0; SUNSCREEN.len()], [0; TAG_BYTES]);
            aead.seal(nonce, SUNSCREEN, &mut sealed, &mut tag);
            assert_eq!(sealed[..], expected);
        }
    }

    #[test]
    fn rfc_8439_2_8_2_the_tag() {
        let key: [u8; KEY_BYTES] = std::array::from_fn(|i| 0x80 + i as u8);
        let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let data = bytes("50515253c0c1c2c3c4c5c6c7");
        let expected = bytes(
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
             3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
             92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
             3ff4def08e4b7a9de576d26586cec64b6116
             1ae10b594f09e26a7e902ecbd0600691",
        );
        for aead in both(&key) {
            assert_eq!(sealed_with_data(&aead, nonce, &data, SUNSCREEN), expected);
        }
    }

    #[test]
    fn both_libraries_wipe_the_key_and_the_faster_one_is_chosen() {
        fn wiped_when_dropped<T: zeroize::ZeroizeOnDrop>() {}
        // aws-lc-rs says so in its documentation alone: its key has no such trait.
        wiped_when_dropped::<ChaCha20Poly1305>();

        let chosen = Aead::new(Suite::ChaCha20, &[0; KEY_BYTES]).unwrap();
        assert_eq!(matches!(chosen, Aead::ChaCha20Poly1305(_)), has_wide_vectors());
        let chosen = Aead::new(Suite::Aes256, &[0; KEY_BYTES]).unwrap();
        assert!(matches!(chosen, Aead::AwsLc(_)));
        assert!(Aead::new(Suite::Unknown(9), &[0; KEY_BYTES]).is_none());
    }

    proptest! {
        /// Lengths on both sides of what vector code takes at once, up to a whole block.
        #[test]
        fn what_one_library_seals_the_other_opens(
            key: [u8; KEY_BYTES],
            nonce: Nonce,
            len in prop_oneof![0..2100_usize, (1 << 18) - 70..=1_usize << 18],
            seed: u8,
            wrong in 0..128_usize,
        ) {
            let mut plain = vec![0; len];
            blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut plain);
            let aeads = both(&key);
            let made = aeads.each_ref().map(|aead| {
                let (mut sealed, mut tag) = (vec![0; len], [0; TAG_BYTES]);
                aead.seal(nonce, &plain, &mut sealed, &mut tag);
                let (mut bytes, mut again) = (plain.clone(), [0; TAG_BYTES]);
                aead.seal_in_place(nonce, &mut bytes, &mut again);
                assert_eq!((&bytes, again), (&sealed, tag));
                (sealed, tag)
            });
            prop_assert_eq!(&made[0], &made[1]);
            for (aead, (sealed, tag)) in aeads.iter().zip(made.iter().rev()) {
                let mut opened = vec![0; len];
                prop_assert!(aead.open(nonce, sealed, tag, &mut opened));
                prop_assert_eq!(&opened, &plain);
                let mut bad = *tag;
                bad[wrong / 8] ^= 1 << (wrong % 8);
                prop_assert!(!aead.open(nonce, sealed, &bad, &mut opened));
                prop_assert!(!aead.open(nonce, sealed, tag, &mut vec![0; len + 1]));
            }
        }
    }
}

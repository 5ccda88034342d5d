//! The parity code: systematic Reed–Solomon over GF(2^8), polynomial 0x11d, parity row i (from k)
//! of column j is 1 / (i xor j), the Cauchy matrix of ISA-L. It works on one column at a time: the
//! k + m blocks of one number. Parity along a drive is the plain sum of blocks, [`add_to`].

use rusty_erasure::{Coder, Matrix};

/// Adds a block to a sum, byte by byte in GF(2^8): exclusive or. Where one is longer, its
/// bytes past the other's end do not change.
pub fn add_to(sum: &mut [u8], block: &[u8]) {
    sum.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
}

/// What the code cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParityError {
    /// k or m is out of range.
    #[error("no code for {k} data and {m} parity shards")]
    Shape {
        /// data shards
        k: usize,
        /// parity shards
        m: usize,
    },
    /// Fewer than k blocks are left.
    #[error("{present} blocks of the {needed} needed are left")]
    TooFew {
        /// blocks that are good
        present: usize,
        /// k
        needed: usize,
    },
}

/// Rows of parity that the library computes in one pass over the data.
const ROWS_AT_ONCE: usize = 4;
/// Bytes of a column's strip: small enough to stay in a core's own cache.
const CACHED_BYTES: usize = 256 << 10;
/// Strips are whole cache lines, and long enough to be worth a call.
const STRIP_UNIT: usize = 4096;

/// The code for one k and m.
pub struct Code {
    k: usize,
    m: usize,
    coder: Option<Coder>,
}

impl Code {
    /// For `k` data and `m` parity shards; m = 0 has no parity and can reconstruct nothing.
    pub fn new(k: usize, m: usize) -> Result<Self, ParityError> {
        let shape = ParityError::Shape { k, m };
        if k == 0 || k + m > crate::format::shard::MAX_SHARDS {
            return Err(shape);
        }
        let coder = match m {
            0 => None,
            _ => {
                let matrix = Matrix::cauchy(k, m).map_err(|_| shape.clone())?;
                Some(rusty_erasure::coder(matrix).map_err(|_| shape)?)
            }
        };
        Ok(Self { k, m, coder })
    }

    /// Computes the m parity blocks of a column from its k data blocks.
    ///
    /// Strip by strip: the library passes over all data once for every few rows of parity, and should
    /// find it in the cache.
    pub fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) {
        let Some(coder) = &self.coder else { return };
        let len = data.first().map_or(0, |block| block.len());
        let strip = match self.m {
            ..=ROWS_AT_ONCE => len.max(1),
            _ => (CACHED_BYTES / (self.k + self.m)).next_multiple_of(STRIP_UNIT),
        };
        let mut rows: Vec<_> = parity.iter_mut().map(|row| row.chunks_mut(strip)).collect();
        let (mut from, mut to) = (Vec::with_capacity(self.k), Vec::with_capacity(self.m));
        for start in (0..len).step_by(strip) {
            let end = (start + strip).min(len);
            from.clear();
            from.extend(data.iter().map(|block| &block[start..end]));
            to.clear();
            to.extend(rows.iter_mut().filter_map(Iterator::next));
            coder.encode(&from, &mut to).expect("the caller's blocks have the code's shape");
        }
    }

    /// Reconstructs the blocks named in `wanted` from those that are there, at least k of them.
    pub fn reconstruct(
        &self,
        column: &[Option<&[u8]>],
        wanted: &[usize],
        out: &mut [&mut [u8]],
    ) -> Result<(), ParityError> {
        let present = column.iter().flatten().count();
        let too_few = ParityError::TooFew { present, needed: self.k };
        match &self.coder {
            _ if wanted.is_empty() => Ok(()),
            Some(coder) if present >= self.k => {
                let shape = ParityError::Shape { k: self.k, m: self.m };
                coder.recover(column, wanted, out).map_err(|_| shape)
            }
            _ => Err(too_few),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GF(2^8) by its definition, to compare the library with.
    fn mul(mut a: u8, mut b: u8) -> u8 {
        let mut p = 0;
        while b != 0 {
            if b & 1 == 1 {
                p ^= a;
            }
            a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1d };
            b >>= 1;
        }
        p
    }

    fn inverse(a: u8) -> u8 {
        (1..=255).find(|b| mul(a, *b) == 1).unwrap()
    }

    #[test]
    fn parity_is_the_cauchy_code_of_the_specification() {
        for (k, m, len) in
            [(1, 1, 97), (3, 1, 97), (2, 2, 97), (5, 3, 97), (11, 5, 40_001), (200, 55, 9000)]
        {
            let data: Vec<Vec<u8>> = (0..k)
                .map(|j| (0..len).map(|x| (x * 31 + x / 256 + j * 7 + 3) as u8).collect())
                .collect();
            let mut parity = vec![vec![0; len]; m];
            let refs: Vec<&[u8]> = data.iter().map(|d| &d[..]).collect();
            let mut outs: Vec<&mut [u8]> = parity.iter_mut().map(|p| &mut p[..]).collect();
            Code::new(k, m).unwrap().encode(&refs, &mut outs);
            for (i, row) in parity.iter().enumerate() {
                for x in (0..len).step_by(len / 97) {
                    let want = (0..k)
                        .fold(0, |sum, j| sum ^ mul(inverse(((k + i) ^ j) as u8), data[j][x]));
                    assert_eq!(row[x], want, "{k}+{m} row {i} byte {x}");
                }
            }
        }
    }

    #[test]
    fn every_loss_of_m_is_reconstructed_and_one_more_is_refused() {
        let (k, m) = (4, 3);
        let code = Code::new(k, m).unwrap();
        let data: Vec<Vec<u8>> = (0..k).map(|j| vec![j as u8 * 17 + 1; 64]).collect();
        let mut parity = vec![vec![0; 64]; m];
        {
            let refs: Vec<&[u8]> = data.iter().map(|d| &d[..]).collect();
            let mut outs: Vec<&mut [u8]> = parity.iter_mut().map(|p| &mut p[..]).collect();
            code.encode(&refs, &mut outs);
        }
        let all: Vec<&[u8]> = data.iter().chain(&parity).map(|b| &b[..]).collect();
        for lost in 0u32..1 << (k + m) {
            let column: Vec<_> =
                (0..k + m).map(|i| (lost >> i & 1 == 0).then_some(all[i])).collect();
            let wanted: Vec<_> = (0..k + m).filter(|i| lost >> i & 1 == 1).collect();
            let mut out = vec![vec![0; 64]; wanted.len()];
            let mut outs: Vec<&mut [u8]> = out.iter_mut().map(|p| &mut p[..]).collect();
            let result = code.reconstruct(&column, &wanted, &mut outs);
            if wanted.len() > m {
                let present = k + m - wanted.len();
                assert_eq!(result, Err(ParityError::TooFew { present, needed: k }));
            } else if !wanted.is_empty() {
                result.unwrap();
                wanted.iter().zip(&out).for_each(|(w, o)| assert_eq!(o, all[*w]));
            }
        }
    }
}

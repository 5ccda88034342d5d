//! Buffers for direct reads and writes, and the pool that they come from.
//!
//! - Enters: a length.
//! - Leaves: that many bytes, starting at a multiple of [`ALIGNMENT`].
//! - Always holds: (1) a buffer never moves, so its alignment stays; (2) the bytes of a
//!   new buffer are zero, those of a pooled one are whatever its last user left; (3) a pool keeps
//!   no more free buffers than it was told to, so memory is a constant.

use memmap2::{Advice, MmapMut};
use parking_lot::Mutex;
use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What `O_DIRECT` asks of addresses, offsets and lengths: the largest sector in use, and a page.
pub const ALIGNMENT: usize = 4096;

/// Free buffers that [`Pool::new`] keeps.
const KEPT_BUFFERS: usize = 16;

/// Does direct I/O take this address, offset or length?
pub(super) fn aligned(number: u64) -> bool {
    number.is_multiple_of(ALIGNMENT as u64)
}

/// Bytes whose start is aligned; the length is any.
///
/// The kernel maps them, in huge pages where it has some: one fault touches 2 MiB, and what direct
/// I/O has to pin is few pages.
#[derive(Default)]
pub struct Buffer {
    /// none: it has no bytes
    bytes: Option<MmapMut>,
    len: usize,
}

impl Buffer {
    /// A buffer of zeros.
    pub fn zeroed(len: usize) -> Self {
        // The capacity is whole units, so that buffers of nearly one length can stand in for
        // each other.
        let capacity = len.next_multiple_of(ALIGNMENT);
        Self { bytes: (len > 0).then(|| map(capacity)), len }
    }

    /// The length that it can be given without being made anew.
    pub fn capacity(&self) -> usize {
        self.bytes.as_ref().map_or(0, |bytes| bytes.len())
    }

    /// Gives it this length, with any content; it is made anew if it has too little room.
    pub fn fit(&mut self, len: usize) {
        if len > self.capacity() {
            drop(mem::take(self)); // the old memory is given back before the new is asked for
            *self = Self::zeroed(len);
        }
        self.len = len;
    }
}

/// Zeros of which none is in memory before it is touched. Without memory it ends the program, as a
/// vector would.
fn map(len: usize) -> MmapMut {
    let bytes = MmapMut::map_anon(len).unwrap_or_else(|_| {
        handle_alloc_error(Layout::array::<u8>(len).unwrap_or(Layout::new::<u8>()))
    });
    bytes.advise(Advice::HugePage).ok(); // a hint, which not every kernel knows
    bytes
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], |bytes| &bytes[..self.len])
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut().map_or(&mut [], |bytes| &mut bytes[..self.len])
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len) // never the content, which may be secret
    }
}

/// Buffers that are used again and again; its clones are the same pool.
#[derive(Clone)]
pub struct Pool(Arc<Shelf>);

struct Shelf {
    free: Mutex<Vec<Buffer>>,
    kept: usize,
}

impl Pool {
    /// A pool that keeps up to 16 free buffers.
    pub fn new() -> Self {
        Self::keeping(KEPT_BUFFERS)
    }

    /// A pool that keeps up to `kept` free buffers.
    pub fn keeping(kept: usize) -> Self {
        Self(Arc::new(Shelf { free: Mutex::new(Vec::new()), kept }))
    }

    /// A buffer of this length, with any content: the smallest free one that suffices, or a new
    /// one.
    pub fn take(&self, len: usize) -> Pooled {
        let mut buffer = self.0.find(len).unwrap_or_default();
        buffer.fit(len);
        Pooled { buffer, home: Arc::clone(&self.0) }
    }

    /// How many free buffers it holds now.
    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.0.free.lock().len()
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl Shelf {
    fn find(&self, len: usize) -> Option<Buffer> {
        let mut free = self.free.lock();
        let fitting = free.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= len);
        let (number, _) = fitting.min_by_key(|(_, buffer)| buffer.capacity())?;
        Some(free.swap_remove(number))
    }

    /// Keeps the larger ones when it is full, for they serve every length.
    fn put(&self, buffer: Buffer) {
        let mut free = self.free.lock();
        free.push(buffer);
        if free.len() > self.kept {
            let smallest = free.iter().enumerate().min_by_key(|(_, buffer)| buffer.capacity());
            let number = smallest.map_or(0, |(number, _)| number);
            let dropped = free.swap_remove(number);
            drop(free); // the memory is given back outside the lock
            drop(dropped);
        }
    }
}

/// A buffer that goes back to its pool when dropped.
pub struct Pooled {
    buffer: Buffer,
    home: Arc<Shelf>,
}

impl Deref for Pooled {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buffer
    }
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.buffer.fmt(f)
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.home.put(mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn at(bytes: &[u8]) -> usize {
        bytes.as_ptr().addr()
    }

    #[test]
    fn every_length_is_aligned_and_zero() {
        assert!(Buffer::zeroed(0).is_empty());
        for len in [1, 4095, 4096, 4097, 262_144, 1_048_577] {
            let mut buffer = Buffer::zeroed(len);
            assert_eq!((buffer.len(), at(&buffer) % ALIGNMENT), (len, 0));
            assert!(buffer.capacity() >= len && buffer.iter().all(|&byte| byte == 0));
            buffer.fill(7);
            let moved = Box::new(buffer);
            assert_eq!((at(&moved) % ALIGNMENT, moved.iter().all(|&byte| byte == 7)), (0, true));
        }
    }

    #[test]
    fn a_pool_gives_the_smallest_that_fits() {
        let pool = Pool::new();
        let (small, large) = (pool.take(5000), pool.take(100_000));
        let (small_at, large_at) = (at(&small), at(&large));
        drop(small);
        drop(large);
        assert_eq!(pool.free(), 2);
        assert_eq!(at(&pool.take(8192)), small_at, "whole units are there");
        let taken = pool.take(8193);
        assert_eq!((at(&taken), taken.len(), pool.free()), (large_at, 8193, 1));
        assert_eq!(pool.take(1_000_000).len(), 1_000_000);
    }

    #[test]
    fn a_pool_keeps_so_many_and_the_larger() {
        let pool = Pool::keeping(2);
        let taken: Vec<_> = [40_000, 10_000, 20_000, 30_000].map(|len| pool.take(len)).into();
        drop(taken);
        assert_eq!(pool.free(), 2);
        assert!(pool.0.free.lock().iter().all(|buffer| buffer.capacity() >= 30_000));
        drop(Pool::keeping(0).take(10));
    }

    #[test]
    fn pooled_buffers_cross_threads() {
        let pool = Pool::new();
        let shared: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(pool.take(9000));
        thread::scope(|scope| {
            for _ in 0..4 {
                let (pool, shared) = (pool.clone(), Arc::clone(&shared));
                scope.spawn(move || {
                    (0..100).for_each(|len| pool.take(len).fill(1));
                    assert_eq!((*shared).as_ref().len(), 9000);
                });
            }
        });
        drop(shared);
        assert!(pool.free() >= 2);
    }
}

//! Little-endian fields, read with every length checked and appended.
//!
//! A varint is an integer in 7 bits a byte, the lowest first; the top bit says that more follow. A
//! signed one is zigzag: 0, -1, 1, -2, … as 0, 1, 2, 3, ….

use super::error::FormatError;

/// Reads fields in order from bytes that may be anything.
pub struct Fields<'a> {
    what: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// `what` names the structure in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, at: 0 }
    }

    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn invalid(&self, field: &'static str, value: impl std::fmt::Display) -> FormatError {
        FormatError::invalid(self.what, field, value)
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let left = self.left();
        if len > left {
            return Err(FormatError::Truncated { what: self.what, at: self.at, needed: len, left });
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A varint; others than the shortest form are refused.
    pub fn varint(&mut self) -> Result<u64, FormatError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && byte > 1 || byte == 0 && shift > 0 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.invalid("varint", "not the shortest form of 64 bits"))
    }

    /// A varint of at most 32 bits.
    pub fn varint_u32(&mut self) -> Result<u32, FormatError> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.invalid("varint", value))
    }

    /// A signed varint.
    pub fn signed_varint(&mut self) -> Result<i64, FormatError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Bytes behind their number.
    pub fn counted(&mut self) -> Result<&'a [u8], FormatError> {
        let len = self.varint()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Bytes that the format says are zero.
    pub fn zeros(&mut self, len: usize) -> Result<(), FormatError> {
        let bytes = self.take(len)?;
        match bytes.iter().find(|b| **b != 0) {
            None => Ok(()),
            Some(b) => Err(self.invalid("reserved", b)),
        }
    }
}

/// Appends fields; `Vec<u8>` with the widths spelled out.
pub trait Put {
    fn put_u8(&mut self, v: u8);
    fn put_u16(&mut self, v: u16);
    fn put_u32(&mut self, v: u32);
    fn put_u64(&mut self, v: u64);
    fn put_varint(&mut self, v: u64);
    fn put_signed_varint(&mut self, v: i64);
    fn put(&mut self, bytes: &[u8]);
    /// The bytes behind their number.
    fn put_counted(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, v: u8) {
        self.push(v);
    }

    fn put_u16(&mut self, v: u16) {
        self.extend_from_slice(&v.to_le_bytes());
    }

    fn put_u32(&mut self, v: u32) {
        self.extend_from_slice(&v.to_le_bytes());
    }

    fn put_u64(&mut self, v: u64) {
        self.extend_from_slice(&v.to_le_bytes());
    }

    fn put_varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.push(v as u8);
    }

    fn put_signed_varint(&mut self, v: i64) {
        self.put_varint((v << 1 ^ v >> 63).cast_unsigned());
    }

    fn put_counted(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_one_form() {
        for value in [0, 1, 127, 128, 300, 1 << 32, u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            bytes.put_varint(value);
            bytes.put_signed_varint(value.cast_signed());
            let mut fields = Fields::new("test", &bytes);
            assert_eq!(fields.varint().unwrap(), value);
            assert_eq!(fields.signed_varint().unwrap(), value.cast_signed());
            assert_eq!(fields.left(), 0);
        }
        let most = [0xff; 9];
        for bad in
            [&[0x80, 0][..], &[0x80], &[&most[..], &[2]].concat(), &[&most[..], &[0x81]].concat()]
        {
            assert!(Fields::new("test", bad).varint().is_err(), "{bad:?}");
        }
        assert_eq!(Fields::new("test", &[&most[..], &[1]].concat()).varint().unwrap(), u64::MAX);
    }
}

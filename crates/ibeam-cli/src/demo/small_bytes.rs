//! Byte strings as keys, values and arguments: short ones in place, long ones shared.
//!
//! A [`SmallBytes`] has the size of a [`Bytes`] (32 bytes on 64-bit machines) and keeps up to [`INLINE`] bytes inside.
//! The usual request (`GET key:000000000012`, `INCR counter`) therefore crosses from the connection's process to the
//! shard's and back without an allocation, and a short value lies in the table's own entry. `Bytes` alone costs one
//! allocation for each argument when copied out of the read buffer, and when it is split off without a copy it keeps
//! the whole read buffer alive for as long as a three-byte value is stored.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::{BufMut, Bytes, BytesMut};

/// The longest byte string that needs no allocation.
pub(crate) const INLINE: usize = 23;

/// An immutable byte string; cloning costs a copy of 32 bytes or one reference count.
#[derive(Clone)]
pub(crate) struct SmallBytes(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, data: [u8; INLINE] },
    Shared(Bytes),
}

impl SmallBytes {
    /// The empty string.
    pub(crate) const EMPTY: Self = Self(Repr::Inline { len: 0, data: [0; INLINE] });

    /// Copies `bytes`.
    #[inline]
    pub(crate) fn copy_from_slice(bytes: &[u8]) -> Self {
        match Self::inline(bytes) {
            Some(inline) => inline,
            None => Self(Repr::Shared(Bytes::copy_from_slice(bytes))),
        }
    }

    #[inline]
    fn inline(bytes: &[u8]) -> Option<Self> {
        let len = bytes.len();
        let mut data = [0; INLINE];
        // Copies of fixed, overlapping pieces: for so few bytes a call to `memcpy` costs more than it copies.
        match len {
            16..=INLINE => {
                data[..16].copy_from_slice(&bytes[..16]);
                data[len - 8..len].copy_from_slice(&bytes[len - 8..]);
            }
            8..16 => {
                data[..8].copy_from_slice(&bytes[..8]);
                data[len - 8..len].copy_from_slice(&bytes[len - 8..]);
            }
            4..8 => {
                data[..4].copy_from_slice(&bytes[..4]);
                data[len - 4..len].copy_from_slice(&bytes[len - 4..]);
            }
            0..4 => {
                for (to, from) in data.iter_mut().zip(bytes) {
                    *to = *from;
                }
            }
            _ => return None,
        }
        Some(Self(Repr::Inline { len: len as u8, data }))
    }

    /// The bytes.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, data } => &data[..usize::from(*len)],
            Repr::Shared(bytes) => bytes,
        }
    }

    /// How many bytes lie outside of this value.
    #[inline]
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Shared(bytes) => bytes.len(),
        }
    }

    /// As `Bytes`, without a copy if it is a long one.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Inline { len, data } => Bytes::copy_from_slice(&data[..usize::from(len)]),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// `self` followed by `more`. A long string that nobody else holds grows in place, so that appending is linear in
    /// what is appended.
    pub(crate) fn append(self, more: &[u8]) -> Self {
        let len = self.len() + more.len();
        let mut grown = match self.0 {
            Repr::Inline { len: old, mut data } if len <= INLINE => {
                data[usize::from(old)..len].copy_from_slice(more);
                return Self(Repr::Inline { len: len as u8, data });
            }
            Repr::Inline { len: old, data } => {
                let mut fresh = BytesMut::with_capacity(len);
                fresh.put_slice(&data[..usize::from(old)]);
                fresh
            }
            Repr::Shared(bytes) => bytes.try_into_mut().unwrap_or_else(|shared| {
                let mut fresh = BytesMut::with_capacity(len);
                fresh.put_slice(&shared);
                fresh
            }),
        };
        grown.put_slice(more);
        Self(Repr::Shared(grown.freeze()))
    }
}

impl Default for SmallBytes {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Deref for SmallBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Borrow<[u8]> for SmallBytes {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

/// A short `Bytes` is copied, so that it does not keep the buffer that it is a part of.
impl From<Bytes> for SmallBytes {
    fn from(bytes: Bytes) -> Self {
        Self::inline(&bytes).unwrap_or(Self(Repr::Shared(bytes)))
    }
}

impl From<Vec<u8>> for SmallBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::inline(&bytes).unwrap_or_else(|| Self(Repr::Shared(bytes.into())))
    }
}

impl From<&'static str> for SmallBytes {
    fn from(text: &'static str) -> Self {
        Self::inline(text.as_bytes())
            .unwrap_or_else(|| Self(Repr::Shared(Bytes::from_static(text.as_bytes()))))
    }
}

impl From<String> for SmallBytes {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl PartialEq for SmallBytes {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SmallBytes {}

impl PartialOrd for SmallBytes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SmallBytes {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl Hash for SmallBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for SmallBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_size_of_bytes() {
        assert_eq!(size_of::<SmallBytes>(), size_of::<Bytes>());
    }

    #[test]
    fn is_inline_up_to_the_limit_whatever_it_came_from() {
        for len in (0..=INLINE + 2).chain([1000]) {
            let bytes: Vec<u8> = (1..=len).map(|byte| byte as u8).collect();
            let heap = if len > INLINE { len } else { 0 };
            for small in [
                SmallBytes::copy_from_slice(&bytes),
                SmallBytes::from(bytes.clone()),
                SmallBytes::from(Bytes::from(bytes.clone())),
            ] {
                assert_eq!(small.as_slice(), bytes);
                assert_eq!(small.heap_bytes(), heap, "{len}");
                assert_eq!(small.clone().into_bytes(), bytes);
            }
        }
    }

    #[test]
    fn append_grows_over_the_limit_and_leaves_clones_alone() {
        let mut value = SmallBytes::EMPTY;
        let mut expected = Vec::new();
        for piece in [&b"abc"[..], b"", &[b'x'; INLINE - 3], b"y", &[b'z'; 100], b"end"] {
            let before = value.clone();
            let seen = before.to_vec();
            value = value.append(piece);
            expected.extend_from_slice(piece);
            assert_eq!(value.as_slice(), expected);
            assert_eq!(before.as_slice(), seen);
        }
    }

    #[test]
    fn append_reuses_the_allocation_that_only_it_holds() {
        let mut value = SmallBytes::copy_from_slice(&[b'a'; 4096]);
        let mut moves = 0;
        for _ in 0..10_000 {
            let before = value.as_ptr();
            value = value.append(b"0123456789");
            moves += usize::from(value.as_ptr() != before);
        }
        assert_eq!(value.len(), 104_096);
        assert!(moves < 10, "{moves} copies for 10,000 appends");
    }
}

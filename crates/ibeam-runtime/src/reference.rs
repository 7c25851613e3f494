//! References: values that are unique in the program.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A value that no other call of [`make_ref`](crate::process::make_ref) gives: the name of a monitor, an alias, a timer
/// or a request of the program's own.
///
/// # Erlang/OTP
/// `reference()`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(NonZeroU64);

/// Set in the bits of a reference, never in those of a pid.
const MARK: u64 = 1 << 63;
const MARKED: NonZeroU64 = NonZeroU64::new(MARK).unwrap();
/// How many references a thread takes at a time: the shared counter is touched that much more rarely.
const BLOCK: u64 = 1 << 10;

impl Reference {
    pub(crate) fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        thread_local!(static MINE: Cell<(u64, u64)> = const { Cell::new((0, 0)) });
        MINE.with(|mine| {
            let (mut next, mut end) = mine.get();
            if next == end {
                next = NEXT.fetch_add(BLOCK, Relaxed);
                end = next + BLOCK;
            }
            mine.set((next + 1, end));
            Self(MARKED | next)
        })
    }

    pub(crate) fn to_bits(self) -> u64 {
        self.0.get()
    }

    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        if bits & MARK == 0 { None } else { NonZeroU64::new(bits).map(Self) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#Ref<0.{}>", self.0.get() & !MARK)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

//! Where the value of an entry is.

use std::sync::{Arc, Weak};

/// The value of an entry, as the index has it. What has left an [index](super::index) may stay in its memory for long; so a
/// value whose end matters to anybody belongs to the entry's owner, and is only lent to the index.
#[derive(Clone)]
pub enum Stored<V> {
    /// Nobody can tell when it is dropped.
    Plain(V),
    /// It is its owner's.
    Lent(Weak<V>),
}

/// The owner's part.
pub(super) type Strong<V> = Option<Arc<V>>;

impl<V> Stored<V> {
    /// Which of the two values of this type are.
    pub(super) const IS_LENT: bool = std::mem::needs_drop::<V>();

    /// For the index and for the owner.
    pub(super) fn new(value: V) -> (Self, Strong<V>) {
        if Self::IS_LENT {
            let value = Arc::new(value);
            (Self::Lent(Arc::downgrade(&value)), Some(value))
        } else {
            (Self::Plain(value), None)
        }
    }

    /// `None`: the entry is gone.
    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&V) -> R) -> Option<R> {
        match self {
            Self::Plain(value) => Some(f(value)),
            Self::Lent(value) => value.upgrade().map(|value| f(&value)),
        }
    }
}

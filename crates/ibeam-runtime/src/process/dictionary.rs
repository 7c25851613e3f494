//! Process-local values: a typed map that belongs to one process and goes with it.

use std::any::{Any, TypeId};
use std::fmt;

use crate::process::owner;

/// A key of the process dictionary: its name and the type of its values. Two keys with one name and different types are
/// different keys.
///
/// ```
/// use ibeam_runtime::{Runtime, process::{self, Key}};
///
/// const REQUEST: Key<u64> = Key::new("request");
/// Runtime::new().block_on(async {
///     assert_eq!(process::put(REQUEST, 7), None);
///     assert_eq!(process::put(REQUEST, 8), Some(7));
///     assert_eq!(process::get(REQUEST), Some(8));
///     assert_eq!(process::take(REQUEST), Some(8));
///     assert_eq!(process::take(REQUEST), None);
/// });
/// ```
pub struct Key<T> {
    name: &'static str,
    _value: std::marker::PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// The key of that name for values of type `T`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, _value: std::marker::PhantomData }
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}: {})", self.name, std::any::type_name::<T>())
    }
}

/// The values of one process, in the order in which their keys were first put. A list: processes have few.
#[derive(Default)]
pub(crate) struct Dictionary(Vec<Entry>);

struct Entry {
    name: &'static str,
    type_id: TypeId,
    value: Box<dyn Any + Send>,
}

impl Dictionary {
    fn position<T: 'static>(&self, key: Key<T>) -> Option<usize> {
        self.0.iter().position(|entry| entry.name == key.name && entry.type_id == TypeId::of::<T>())
    }

    fn put<T: Send + 'static>(&mut self, key: Key<T>, value: Box<T>) -> Option<Box<dyn Any + Send>> {
        match self.position(key) {
            Some(at) => Some(std::mem::replace(&mut self.0[at].value, value)),
            None => {
                self.0.push(Entry { name: key.name, type_id: TypeId::of::<T>(), value });
                None
            }
        }
    }

    fn take<T: 'static>(&mut self, key: Key<T>) -> Option<Box<dyn Any + Send>> {
        self.position(key).map(|at| self.0.remove(at).value)
    }

    /// Takes all values out, for the process is ending.
    pub(crate) fn take_all(&mut self) -> Vec<Box<dyn Any + Send>> {
        std::mem::take(&mut self.0).into_iter().map(|entry| entry.value).collect()
    }

    pub(crate) fn keys(&self) -> Vec<&'static str> {
        self.0.iter().map(|entry| entry.name).collect()
    }
}

fn unbox<T: 'static>(value: Box<dyn Any + Send>) -> T {
    *value.downcast().expect("the key's type is the value's")
}

/// Stores `value` and returns the former one.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `put/2`, `Process.put/2`.
#[track_caller]
pub fn put<T: Send + 'static>(key: Key<T>, value: T) -> Option<T> {
    let value = Box::new(value);
    owner("put").with_rare(|rare| rare.dictionary.put(key, value)).map(unbox)
}

/// A copy of the value.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `get/1`, `Process.get/1`.
#[must_use]
#[track_caller]
pub fn get<T: Clone + Send + 'static>(key: Key<T>) -> Option<T> {
    // The program's `clone` must not run while the dictionary is borrowed: take the value out, and put it back in its
    // place.
    let owner = owner("get");
    let at = owner.with_rare_if_any(|rare| rare.dictionary.position(key)).flatten()?;
    let value = owner.with_rare(|rare| std::mem::replace(&mut rare.dictionary.0[at].value, Box::new(())));
    let copy = value.downcast_ref::<T>().expect("the key's type is the value's").clone();
    owner.with_rare(|rare| rare.dictionary.0[at].value = value);
    Some(copy)
}

/// A copy of the value, or `default`.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `Process.get/2`.
#[must_use]
#[track_caller]
pub fn get_or<T: Clone + Send + 'static>(key: Key<T>, default: T) -> T {
    get(key).unwrap_or(default)
}

/// Removes the value and returns it.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `erase/1`, `Process.delete/1`.
#[doc(alias = "erase")]
#[doc(alias = "delete")]
#[track_caller]
pub fn take<T: Send + 'static>(key: Key<T>) -> Option<T> {
    owner("take").with_rare_if_any(|rare| rare.dictionary.take(key)).flatten().map(unbox)
}

/// The names of the keys that have a value, in the order in which they were first put.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `get_keys/0`, `Process.get_keys/0`.
#[must_use]
#[track_caller]
pub fn keys() -> Vec<&'static str> {
    owner("keys").with_rare_if_any(|rare| rare.dictionary.keys()).unwrap_or_default()
}

//! A thread's pointer to a value that lives on its own stack, for as long as a call lasts.

use std::cell::Cell;
use std::ptr;

/// See the module. To be put into a `thread_local!` with a `const` initialiser: reading it is then one load.
pub(crate) struct Scoped<T>(Cell<*const T>);

impl<T> Scoped<T> {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(ptr::null()))
    }

    /// Lets [`get`](Self::get) find `value` while `f` runs.
    pub(crate) fn set<R>(&self, value: &T, f: impl FnOnce() -> R) -> R {
        struct Reset<'a, T>(&'a Cell<*const T>, *const T);
        impl<T> Drop for Reset<'_, T> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _reset = Reset(&self.0, self.0.replace(value));
        f()
    }

    /// Looks at the value, if one is set.
    #[inline(always)]
    pub(crate) fn get<R>(&self, f: impl FnOnce(Option<&T>) -> R) -> R {
        // SAFETY: not null, it points to the value that `set` borrows until after it has put back what was there before; and
        // `Scoped` is not `Sync`, so this is the thread of that `set`.
        f(unsafe { self.0.get().as_ref() })
    }
}

//! Where handles find the registry of a name, whichever run of it there is.
//!
//! # Invariants
//! 1. Per runtime, name and types of keys and values there is one cell, as long as anybody has it.
//! 2. The cell shows a run from the start of its supervisor until that ends: before the supervisor's name is free.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::{Arc, Weak};

use foldhash::fast::FixedState;
use ibeam_runtime::__private::extension;
use ibeam_runtime::Name;
use parking_lot::Mutex;
use sdd::{AtomicShared, Guard, Shared, Tag};

use super::core::Core;
use super::lock::Locks;
use super::{Keys, RegistryKey, RegistryValue};

/// See the module. Handles come and go while others are read: what counts the ones and what the others read stand in different
/// cache lines.
#[repr(align(128))]
pub(super) struct Cell<K: RegistryKey, V: RegistryValue, M: Keys> {
    pub(super) name: Name,
    current: AtomicShared<Core<K, V, M>>,
    pub(super) locks: Locks,
    home: Weak<Cells>,
}

/// The cells of a runtime.
#[derive(Default)]
struct Cells(Mutex<ByName>);

type ByName = HashMap<(Name, TypeId), Weak<dyn Any + Send + Sync>, FixedState>;

impl<K: RegistryKey, V: RegistryValue, M: Keys> Cell<K, V, M> {
    /// The cell of this name in the current runtime.
    pub(super) fn of(name: Name) -> Arc<Self> {
        let home = extension::<Cells>();
        let mut cells = home.0.lock();
        let key = (name.clone(), TypeId::of::<Self>());
        if let Some(cell) = cells.get(&key).and_then(Weak::upgrade) {
            return cell.downcast().unwrap_or_else(|_| unreachable!("found by its type"));
        }
        let cell = Arc::new(Self {
            name,
            current: AtomicShared::null(),
            locks: Locks::default(),
            home: Arc::downgrade(&home),
        });
        let weak: Weak<Self> = Arc::downgrade(&cell);
        cells.insert(key, weak);
        cell
    }

    /// A look at the run that there is. The guard is the one that the [index](super::index) needs too: the second costs nothing.
    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&Core<K, V, M>) -> R) -> Option<R> {
        let guard = Guard::new();
        self.current.load(Acquire, &guard).as_ref().map(f)
    }

    fn set(&self, core: Option<Shared<Core<K, V, M>>>) {
        drop(self.current.swap((core, Tag::None), AcqRel));
    }

    /// Shows this run until the guard is dropped.
    pub(super) fn show(self: Arc<Self>, core: Core<K, V, M>) -> Shown<K, V, M> {
        self.set(Some(Shared::new(core.clone())));
        Shown { cell: self, core }
    }
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Drop for Cell<K, V, M> {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else { return };
        let key = (self.name.clone(), TypeId::of::<Self>());
        let mut cells = home.0.lock();
        // Another one may have its place by now.
        if cells.get(&key).is_some_and(|cell| cell.strong_count() == 0) {
            cells.remove(&key);
        }
    }
}

/// A run is the one that handles find. The supervisor's process has it.
pub(super) struct Shown<K: RegistryKey, V: RegistryValue, M: Keys> {
    cell: Arc<Cell<K, V, M>>,
    core: Core<K, V, M>,
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Drop for Shown<K, V, M> {
    fn drop(&mut self) {
        if self.cell.with(|core| core.is(&self.core)) == Some(true) {
            // Nobody else shows a run before the name, which is this process', is free.
            self.cell.set(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use ibeam_runtime::__private::extension;
    use ibeam_runtime::Runtime;

    use super::super::Unique;
    use super::{Cell, Cells};

    #[test]
    fn there_is_a_cell_as_long_as_anybody_has_it() {
        Runtime::new().block_on(async {
            let cells = || extension::<Cells>().0.lock().len();
            let rooms = Cell::<u8, (), Unique>::of("rooms".into());
            let again = Cell::<u8, (), Unique>::of("rooms".into());
            let others = Cell::<u16, (), Unique>::of("rooms".into());
            assert_eq!((rooms.name.as_str(), std::ptr::eq(&*rooms, &*again), cells()), ("rooms", true, 2));
            drop(rooms);
            assert_eq!(cells(), 2);
            drop(again);
            assert_eq!(cells(), 1);
            drop(others);
            assert_eq!(cells(), 0);
        });
    }
}

//! What layers above keep per runtime: one value per type, made when it is first asked for.

use std::any::{Any, TypeId};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::runtime;

/// The values. A list: there are as many as there are kinds of services.
#[derive(Default)]
pub(crate) struct Extensions(Mutex<Vec<(TypeId, Arc<dyn Any + Send + Sync>)>>);

/// The current runtime's `T`, which all who ask for it share. It lives as long as the runtime.
#[must_use]
pub fn extension<T: Default + Send + Sync + 'static>() -> Arc<T> {
    runtime::with_current(|shared| {
        let mut values = shared.extensions.0.lock();
        let found = values.iter().find(|(type_id, _)| *type_id == TypeId::of::<T>());
        let value = match found {
            Some((_, value)) => Arc::clone(value),
            None => {
                let value: Arc<dyn Any + Send + Sync> = Arc::<T>::default();
                values.push((TypeId::of::<T>(), Arc::clone(&value)));
                value
            }
        };
        value.downcast().unwrap_or_else(|_| unreachable!("stored under its type"))
    })
}

/// What to begin hashing with: by chance, so that nobody who chooses keys from outside can make them collide, and always the
/// same where the same program is to run in the same way each time.
#[must_use]
pub fn hash_seed() -> u64 {
    runtime::with_current(|shared| {
        if shared.driver.repeats_runs() {
            0
        } else {
            foldhash::fast::RandomState::default().build_hasher().finish()
        }
    })
}

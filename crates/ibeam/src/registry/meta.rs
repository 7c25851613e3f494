//! What a registry is told about itself.

use std::any::Any;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;

use super::any_key::AnyKey;

type Values = HashMap<Arc<dyn AnyKey>, Arc<dyn Any + Send + Sync>, FixedState>;

/// Values under keys of any type: written now and then, read often, and without a lock.
#[derive(Default)]
pub(super) struct Meta(ArcSwap<Values>);

impl Meta {
    pub(super) fn put<T: Send + Sync + 'static>(
        &self,
        key: impl Hash + Eq + Send + Sync + 'static,
        value: T,
    ) {
        let (key, value): (Arc<dyn AnyKey>, Arc<dyn Any + Send + Sync>) = (Arc::new(key), Arc::new(value));
        self.0.rcu(|values| {
            let mut values = Values::clone(values);
            values.insert(Arc::clone(&key), Arc::clone(&value));
            values
        });
    }

    pub(super) fn get<T: Clone + 'static>(
        &self,
        key: &(impl Hash + Eq + Send + Sync + 'static),
    ) -> Option<T> {
        let values = self.0.load();
        values.get(key as &dyn AnyKey)?.downcast_ref::<T>().cloned()
    }

    pub(super) fn delete(&self, key: &(impl Hash + Eq + Send + Sync + 'static)) {
        self.0.rcu(|values| {
            let mut values = Values::clone(values);
            values.remove(key as &dyn AnyKey);
            values
        });
    }
}

impl Clone for Meta {
    fn clone(&self) -> Self {
        Self(ArcSwap::new(self.0.load_full()))
    }
}

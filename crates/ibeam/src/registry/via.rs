//! Keys of a registry as names of processes.

use std::fmt;

use ibeam_runtime::{ExitReason, KeyTaken, NameRegistry, Pid, Via, process};

use super::{RegisterError, Registry, RegistryKey, RegistryValue};

/// A registry whose names are registered with a certain value: see [`Registry::with_value`].
#[derive(Clone)]
pub struct WithValue<K: RegistryKey, V: RegistryValue> {
    registry: Registry<K, V>,
    value: V,
}

impl<K: RegistryKey, V: RegistryValue> fmt::Debug for WithValue<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WithValue").field(&self.registry).finish()
    }
}

impl<K: RegistryKey, V: RegistryValue> Registry<K, V> {
    /// This registry, to be used for names that are registered with `value`.
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # struct Room;
    /// # impl GenServer for Room {
    /// #     type Args = ();
    /// #     async fn init((): ()) -> Init<Self> {
    /// #         Init::ok(Room)
    /// #     }
    /// # }
    /// Runtime::new().block_on(async {
    ///     let rooms = Registry::<u32, &'static str>::unique("rooms").start_link().await.unwrap();
    ///     let room = Room::start_link(()).name(rooms.with_value("lobby").via(7_u32)).await.unwrap();
    ///     assert_eq!(rooms.lookup(&7), Some((room.pid().unwrap(), "lobby")));
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `{:via, Registry, {registry, key, value}}`.
    #[must_use]
    pub fn with_value(&self, value: V) -> WithValue<K, V> {
        WithValue { registry: self.clone(), value }
    }

    /// The name that `key` is in this registry; who gets it is registered with `value`.
    #[must_use]
    pub fn via_with(&self, key: impl Into<K>, value: V) -> Via {
        self.with_value(value).via(key)
    }

    fn register_name(&self, key: &K, pid: Pid, value: V) -> Result<(), KeyTaken> {
        match self.register_for(pid, key.clone(), value) {
            Ok(_) => Ok(()),
            Err(RegisterError::AlreadyRegistered { pid, .. }) => Err(KeyTaken { pid }),
            // As if the registry were a process that is called, and is not there.
            Err(error) if process::try_self_pid().is_some() => process::exit(ExitReason::error(error)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The keys as names: those who get one are registered with the default value. For others see
/// [`with_value`](Registry::with_value).
///
/// A start with such a name fails with [`RegisterError::NotRunning`] as its reason where the registry does not run.
///
/// # Erlang/OTP
/// `{:via, Registry, {registry, key}}`, with its value `nil`.
impl<K: RegistryKey, V: RegistryValue + Default> NameRegistry for Registry<K, V> {
    type Key = K;

    fn name(&self) -> &str {
        Registry::name(self).as_str()
    }

    async fn register(&self, key: &K, pid: Pid) -> Result<(), KeyTaken> {
        self.register_name(key, pid, V::default())
    }

    async fn unregister(&self, key: &K) {
        Registry::unregister(self, key);
    }

    fn whereis(&self, key: &K) -> Option<Pid> {
        Registry::whereis(self, key)
    }
}

impl<K: RegistryKey, V: RegistryValue> NameRegistry for WithValue<K, V> {
    type Key = K;

    fn name(&self) -> &str {
        self.registry.name().as_str()
    }

    async fn register(&self, key: &K, pid: Pid) -> Result<(), KeyTaken> {
        self.registry.register_name(key, pid, self.value.clone())
    }

    async fn unregister(&self, key: &K) {
        self.registry.unregister(key);
    }

    fn whereis(&self, key: &K) -> Option<Pid> {
        self.registry.whereis(key)
    }
}

//! What listeners are told.

use ibeam_runtime::{Name, Pid, process};

use super::{RegistryKey, RegistryValue};

/// A message for the [listeners](super::RegistryBuilder::listeners) of a registry. Who registers or unregisters, or ends,
/// sends it before it goes on; so it is in the listener's mailbox when `register` returns.
///
/// # Erlang/OTP
/// `{:register, registry, key, pid, value}` and `{:unregister, registry, key, pid}`.
#[derive(Clone, Debug, PartialEq)]
pub enum RegistryEvent<K, V> {
    /// A process has registered a key.
    Registered {
        /// The registry.
        registry: Name,
        /// The key.
        key: K,
        /// Whose it is.
        pid: Pid,
        /// The value that it was registered with.
        value: V,
    },
    /// A process has unregistered a key, or has ended.
    Unregistered {
        /// The registry.
        registry: Name,
        /// The key.
        key: K,
        /// Whose it was.
        pid: Pid,
    },
}

/// Sends each listener an event. One that is not there now misses it.
pub(super) fn tell<K: RegistryKey, V: RegistryValue>(
    listeners: &[Name],
    event: impl Fn() -> RegistryEvent<K, V>,
) {
    for listener in listeners.iter().filter_map(process::whereis) {
        listener.send(event());
    }
}

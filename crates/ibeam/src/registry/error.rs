//! Why a process was not registered.

use std::fmt;

use ibeam_runtime::{Name, Pid};

/// Why a process was not registered. Nothing has changed; the value that was to be registered is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError<K> {
    /// Another process, or this one, has the key.
    AlreadyRegistered {
        /// The registry.
        registry: Name,
        /// The key.
        key: K,
        /// Whose it is.
        pid: Pid,
    },
    /// No registry of this kind, with these types of keys and values, runs under that name.
    NotRunning {
        /// The registry.
        registry: Name,
    },
    /// The process to be registered is ending or has ended.
    NoProc {
        /// The registry.
        registry: Name,
        /// The key.
        key: K,
        /// The process.
        pid: Pid,
    },
}

impl<K: fmt::Debug> fmt::Display for RegisterError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRegistered { registry, key, pid } => {
                write!(f, "the key {key:?} of `{registry}` is already registered by {pid}")
            }
            Self::NotRunning { registry } => {
                write!(
                    f,
                    "unknown registry `{registry}`: expected one that runs and has keys of type `{}`",
                    std::any::type_name::<K>()
                )
            }
            Self::NoProc { registry, key, pid } => {
                write!(f, "expected a live process for the key {key:?} of `{registry}`, got {pid}")
            }
        }
    }
}

impl<K: fmt::Debug> std::error::Error for RegisterError<K> {}

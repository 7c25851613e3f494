//! The names that a server can be started under.

use std::fmt;

use ibeam_runtime::{Destination, Name, Via};

/// The name of a server: one of its runtime, or a key in a registry.
///
/// # Erlang/OTP
/// `{local, Name}` and `{via, Module, Name}`. A registry for a whole cluster is a [`NameRegistry`](crate::NameRegistry) too, so there is no
/// `{global, Name}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ServerName {
    /// A name of the runtime.
    Local(Name),
    /// A key in a registry.
    Via(Via),
}

impl ServerName {
    pub(crate) fn whereis(&self) -> Option<ibeam_runtime::Pid> {
        Destination::from(self).resolve()
    }
}

impl From<&str> for ServerName {
    fn from(name: &str) -> Self {
        Self::Local(name.into())
    }
}

impl From<String> for ServerName {
    fn from(name: String) -> Self {
        Self::Local(name.into())
    }
}

impl From<Name> for ServerName {
    fn from(name: Name) -> Self {
        Self::Local(name)
    }
}

impl From<&Name> for ServerName {
    fn from(name: &Name) -> Self {
        Self::Local(name.clone())
    }
}

impl From<Via> for ServerName {
    fn from(via: Via) -> Self {
        Self::Via(via)
    }
}

impl From<&ServerName> for Destination {
    fn from(name: &ServerName) -> Self {
        match name {
            ServerName::Local(name) => Self::Name(name.clone()),
            ServerName::Via(via) => Self::Via(via.clone()),
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(name) => write!(f, "`{name}`"),
            Self::Via(via) => via.fmt(f),
        }
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(name) => name.fmt(f),
            Self::Via(via) => via.fmt(f),
        }
    }
}

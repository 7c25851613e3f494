//! Names that somebody else keeps: a registry of the program's own, a library's, one for a whole cluster.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;

use crate::pid::Pid;

/// A service that gives processes names. Its names can be used wherever a name can: by
/// [`Destination`](crate::Destination), and by ibeam's servers.
///
/// A registry frees the keys of processes that end, before anybody can hear of their end if that matters to its users: it
/// links to what it registers, or monitors it.
///
/// ```
/// use ibeam_runtime::{Destination, KeyTaken, NameRegistry, Pid, Runtime, process};
/// use std::collections::HashMap;
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Clone, Default)]
/// struct Rooms(Arc<Mutex<HashMap<u32, Pid>>>);
///
/// impl NameRegistry for Rooms {
///     type Key = u32;
///     fn name(&self) -> &str {
///         "rooms"
///     }
///     async fn register(&self, key: &u32, pid: Pid) -> Result<(), KeyTaken> {
///         let mut rooms = self.0.lock().unwrap();
///         match rooms.get(key) {
///             Some(&taken) => Err(KeyTaken { pid: taken }),
///             None => Ok(drop(rooms.insert(*key, pid))),
///         }
///     }
///     async fn unregister(&self, key: &u32) {
///         self.0.lock().unwrap().remove(key);
///     }
///     fn whereis(&self, key: &u32) -> Option<Pid> {
///         self.0.lock().unwrap().get(key).copied()
///     }
/// }
///
/// Runtime::new().block_on(async {
///     let rooms = Rooms::default();
///     rooms.register(&7, process::self_pid()).await.unwrap();
///     let lobby = Destination::from(rooms.via(7_u32));
///     lobby.send("hello").unwrap();
///     assert_eq!(process::recv().await.downcast::<&str>().unwrap(), "hello");
///     assert_eq!(lobby.to_string(), "7 in `rooms`");
/// });
/// ```
///
/// # Erlang/OTP
/// The callback module of `{via, Module, Name}`. Sending is not its business here: what is found is sent to.
pub trait NameRegistry: Clone + Send + Sync + 'static {
    /// What it knows processes by.
    type Key: Clone + fmt::Debug + Eq + Hash + Send + Sync + 'static;

    /// The registry's own name, for people to read. Two registries of one type with one name count as the same.
    fn name(&self) -> &str;

    /// Gives `pid` the key. A server that is started under a key calls this in its own process, before its `init`.
    ///
    /// # Errors
    /// [`KeyTaken`]: another process has it.
    ///
    /// # Erlang/OTP
    /// `register_name/2`.
    fn register(&self, key: &Self::Key, pid: Pid) -> impl Future<Output = Result<(), KeyTaken>> + Send;

    /// Frees the key. Called when a start fails after the key was registered.
    ///
    /// # Erlang/OTP
    /// `unregister_name/1`.
    fn unregister(&self, key: &Self::Key) -> impl Future<Output = ()> + Send;

    /// Who has the key now. Does not wait; called at each use of a name.
    ///
    /// # Erlang/OTP
    /// `whereis_name/1`.
    fn whereis(&self, key: &Self::Key) -> Option<Pid>;

    /// The name that `key` is in this registry.
    fn via(&self, key: impl Into<Self::Key>) -> Via {
        Via(Arc::new(Entry { registry: self.clone(), key: key.into() }))
    }
}

/// Another process has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyTaken {
    /// Who has it.
    pub pid: Pid,
}

impl fmt::Display for KeyTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key is taken by {}", self.pid)
    }
}

impl std::error::Error for KeyTaken {}

/// A key in a [`NameRegistry`], as a name. Cheap to clone; looked up at each use.
///
/// # Erlang/OTP
/// `{via, Module, Name}`.
#[derive(Clone)]
pub struct Via(Arc<dyn DynEntry>);

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Via {
    /// Who has the name now.
    #[must_use]
    pub fn whereis(&self) -> Option<Pid> {
        self.0.whereis()
    }

    /// Gives `pid` the name: [`NameRegistry::register`].
    ///
    /// # Errors
    /// [`KeyTaken`]: another process has it.
    pub async fn register(&self, pid: Pid) -> Result<(), KeyTaken> {
        self.0.register(pid).await
    }

    /// Frees the name: [`NameRegistry::unregister`].
    pub async fn unregister(&self) {
        self.0.unregister().await;
    }
}

struct Entry<R: NameRegistry> {
    registry: R,
    key: R::Key,
}

trait DynEntry: Any + Send + Sync {
    fn whereis(&self) -> Option<Pid>;
    fn register(&self, pid: Pid) -> BoxFuture<'_, Result<(), KeyTaken>>;
    fn unregister(&self) -> BoxFuture<'_, ()>;
    fn as_any(&self) -> &dyn Any;
    fn is(&self, other: &dyn DynEntry) -> bool;
    fn hash(&self, state: &mut dyn Hasher);
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl<R: NameRegistry> DynEntry for Entry<R> {
    fn whereis(&self) -> Option<Pid> {
        self.registry.whereis(&self.key)
    }

    fn register(&self, pid: Pid) -> BoxFuture<'_, Result<(), KeyTaken>> {
        Box::pin(self.registry.register(&self.key, pid))
    }

    fn unregister(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.registry.unregister(&self.key))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is(&self, other: &dyn DynEntry) -> bool {
        let other = other.as_any().downcast_ref::<Self>();
        other.is_some_and(|other| other.key == self.key && other.registry.name() == self.registry.name())
    }

    fn hash(&self, mut state: &mut dyn Hasher) {
        self.registry.name().hash(&mut state);
        self.key.hash(&mut state);
    }

    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in `{}`", self.key, self.registry.name())
    }
}

impl PartialEq for Via {
    fn eq(&self, other: &Self) -> bool {
        self.0.is(&*other.0)
    }
}

impl Eq for Via {}

impl Hash for Via {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Via({self})")
    }
}

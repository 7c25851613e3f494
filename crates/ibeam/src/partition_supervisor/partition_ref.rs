//! The handle of a running partition supervisor.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use ibeam_runtime::{CallError, Destination, ExitReason, NameRegistry, Pid, Timeout};

use super::routing::{Route, Router};
use super::start::Partition;
use crate::gen_server::{ServerName, StartError};
use crate::supervisor::{ChildCounts, ChildError, ChildSpec, Kind, RestartChildError, SupervisorRef};

/// A partition supervisor, by name. Cheap to clone; the name is resolved at each use, so such a handle outlives restarts.
///
/// # Erlang/OTP
/// The functions of Elixir's `PartitionSupervisor`. Differs: where the supervisor is not there, the error is a [`CallError`]; there
/// the caller exits.
pub struct PartitionSupervisorRef<P: Partition = ChildSpec> {
    router: Router,
    _partition: PhantomData<fn() -> P>,
}

impl<P: Partition> Clone for PartitionSupervisorRef<P> {
    fn clone(&self) -> Self {
        Self { router: self.router.clone(), _partition: PhantomData }
    }
}

impl<P: Partition> fmt::Debug for PartitionSupervisorRef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PartitionSupervisorRef").field(self.router.supervisor()).finish()
    }
}

/// One partition, as [`which_children`](PartitionSupervisorRef::which_children) lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// Its number, counted from 0.
    pub partition: usize,
    /// Its process; `None` if it has none now.
    pub pid: Option<Pid>,
    /// It has no process, and its supervisor is about to start it again.
    pub restarting: bool,
    /// Worker or supervisor.
    pub kind: Kind,
    /// The type that implements it, if that is known.
    pub module: Option<&'static str>,
}

/// Why the number of partitions was not changed, or not all of the way.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ResizeError {
    /// There cannot be more than there were at the start. Nothing has changed.
    TooMany {
        /// How many there can be.
        limit: usize,
        /// How many there were to be.
        got: usize,
    },
    /// A partition did not start. Those before it have; no key is routed to them.
    Start {
        /// The partition.
        partition: usize,
        /// Why.
        error: StartError,
    },
    /// The supervisor did not answer.
    Call(CallError),
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { limit, got } => write!(f, "expected 0 to {limit} partitions, got {got}"),
            Self::Start { partition, error } => write!(f, "partition {partition} did not start: {error}"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ResizeError {}

impl<P: Partition> PartitionSupervisorRef<P> {
    /// Whatever partition supervisor has this name, each time the handle is used.
    #[must_use]
    pub fn named(name: impl Into<ServerName>) -> Self {
        Self { router: Router::new(name.into()), _partition: PhantomData }
    }

    /// The supervisor's process now; `None` if nobody has the name.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        Destination::from(self.router.supervisor()).resolve()
    }

    /// The partition of this key: a handle that finds its process at each use.
    ///
    /// # Erlang/OTP
    /// `{:via, PartitionSupervisor, {name, key}}`.
    #[must_use]
    pub fn key(&self, key: impl Hash) -> P::Ref {
        P::handle(&self.router, Route::of(key))
    }

    /// The process of this key's partition now; `None` if it has none, or there is no such supervisor.
    #[must_use]
    pub fn whereis(&self, key: impl Hash) -> Option<Pid> {
        self.router.whereis(&Route::of(key))
    }

    /// How many partitions there are.
    ///
    /// # Errors
    /// [`CallError::NoProc`]: there is no such supervisor.
    ///
    /// # Erlang/OTP
    /// `PartitionSupervisor.partitions/1`.
    pub fn partitions(&self) -> Result<usize, CallError> {
        self.router.table().map(|table| table.partitions()).ok_or_else(|| self.no_proc())
    }

    /// Changes the number of partitions, 0 to as many as there were at the start; returns how many there were. Keys are routed
    /// to new ones when all of them have started, and to old ones not any more before the first of them is stopped.
    ///
    /// # Errors
    /// See [`ResizeError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves things half done; another resize puts them right.
    ///
    /// # Erlang/OTP
    /// `PartitionSupervisor.resize!/2`.
    pub async fn resize(&self, partitions: usize) -> Result<usize, ResizeError> {
        let gone = || ResizeError::Call(self.no_proc());
        let table = self.router.table().ok_or_else(gone)?;
        if partitions > table.limit() {
            return Err(ResizeError::TooMany { limit: table.limit(), got: partitions });
        }
        let supervisor = SupervisorRef::of(self.pid().ok_or_else(gone)?);
        let _turn = table.turn().await;
        let former = table.partitions();
        // All of those that are to run, not only the new ones: a resize before this one may have been dropped half-way.
        for partition in 0..partitions {
            match supervisor.restart_child(partition.to_string()).await {
                Ok(_) | Err(RestartChildError::Running { .. } | RestartChildError::Restarting { .. }) => {}
                Err(RestartChildError::Start { error, .. }) => {
                    return Err(ResizeError::Start { partition, error });
                }
                Err(RestartChildError::Call(error)) => return Err(ResizeError::Call(error)),
                Err(RestartChildError::NotFound { .. }) => return Err(gone()),
            }
        }
        table.set_partitions(partitions);
        for partition in partitions..table.limit() {
            table.set(partition, None);
            match supervisor.terminate_child(partition.to_string()).await {
                Ok(()) => {}
                Err(ChildError::Call(error)) => return Err(ResizeError::Call(error)),
                Err(_) => return Err(gone()),
            }
        }
        Ok(former)
    }

    /// The partitions, in the order of their numbers, those without a process included.
    ///
    /// # Errors
    /// The supervisor did not answer.
    ///
    /// # Erlang/OTP
    /// `PartitionSupervisor.which_children/1`.
    pub async fn which_children(&self) -> Result<Vec<PartitionInfo>, CallError> {
        let children = self.supervisor()?.which_children().await?;
        let mut partitions: Vec<_> = children
            .into_iter()
            .filter_map(|child| {
                Some(PartitionInfo {
                    partition: child.id.as_str().parse().ok()?,
                    pid: child.pid,
                    restarting: child.restarting,
                    kind: child.kind,
                    module: child.module,
                })
            })
            .collect();
        partitions.sort_unstable_by_key(|info| info.partition);
        Ok(partitions)
    }

    /// How many partitions there are, in all and running.
    ///
    /// # Errors
    /// The supervisor did not answer.
    ///
    /// # Erlang/OTP
    /// `PartitionSupervisor.count_children/1`.
    pub async fn count_children(&self) -> Result<ChildCounts, CallError> {
        self.supervisor()?.count_children().await
    }

    /// Stops the partitions in reverse order, then the supervisor, and waits for that. Its name is free then.
    ///
    /// # Errors
    /// The supervisor was not there, ended with another reason, or did not stop in time.
    ///
    /// # Erlang/OTP
    /// `PartitionSupervisor.stop/3`.
    pub async fn stop(
        &self,
        reason: ExitReason,
        timeout: impl Into<Timeout> + Send,
    ) -> Result<(), CallError> {
        self.supervisor()?.stop(reason, timeout).await
    }

    fn supervisor(&self) -> Result<SupervisorRef, CallError> {
        self.pid().map(SupervisorRef::of).ok_or_else(|| self.no_proc())
    }

    fn no_proc(&self) -> CallError {
        CallError::NoProc { destination: Destination::from(self.router.supervisor()) }
    }
}

impl<P: Partition> From<&PartitionSupervisorRef<P>> for Destination {
    fn from(supervisor: &PartitionSupervisorRef<P>) -> Self {
        Self::from(supervisor.router.supervisor())
    }
}

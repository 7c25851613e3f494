//! What one asks of an agent.

use std::fmt;

use ibeam_runtime::{CallError, Destination, ExitReason, Name, NameRegistry, Pid, Target, Timeout, process};

use super::function::{AsyncFunction, Get, GetAsync, OfCall, OfCast, Update, UpdateAsync};
use super::{Agent, Function};
use crate::gen_server::ServerRef;

/// An agent, by pid, by name or by a key in a registry. Cheap to clone; a name is looked up at each use, so such a handle
/// outlives restarts.
///
/// Works inside and outside of processes.
pub struct AgentRef<T>(ServerRef<Agent<T>>);

/// A function on its way to an agent and back: options, then `.await`. Waits 5 s by default; see
/// [`process::Call`].
pub type AgentCall<T, K, F, R> = process::Call<F, R, OfCall<T, K, F, R>>;

impl<T: Send + 'static> AgentRef<T> {
    /// The agent with this pid. Functions for a process that is no agent with a `T` come back as
    /// [`CallError::NoReply`](crate::CallError::NoReply).
    #[must_use]
    pub fn of(pid: Pid) -> Self {
        Self(ServerRef::of(pid))
    }

    /// Whatever agent has this name, each time the handle is used.
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        Self(ServerRef::named(name))
    }

    /// Whatever agent has this key in the registry, each time the handle is used.
    #[must_use]
    pub fn via<R: NameRegistry>(registry: &R, key: impl Into<R::Key>) -> Self {
        Self(ServerRef::via(registry, key))
    }

    /// The agent's process now; `None` if nobody has the name.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    /// What `function` says of the value. It runs in the agent.
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # use std::time::Duration;
    /// # Runtime::new().block_on(async {
    /// let agent = Agent::start(|| 42).await.unwrap();
    /// assert_eq!(agent.get(|n| n + 1).timeout(Duration::from_secs(1)).await, Ok(43));
    /// # });
    /// ```
    ///
    /// # Errors
    /// See [`CallError`](crate::CallError). If `function` panics, the agent ends, and this is
    /// [`CallError::Exited`](crate::CallError::Exited) with the panic.
    ///
    /// # Cancel safety
    /// Dropping the future after its first poll stops the waiting. The function runs all the same.
    ///
    /// # Erlang/OTP
    /// `Agent.get/3`.
    #[inline]
    pub fn get<F, R>(&self, function: F) -> AgentCall<T, Get, F, R>
    where
        F: FnOnce(&T) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.apply(function)
    }

    /// Changes the value.
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # Runtime::new().block_on(async {
    /// let agent = Agent::start(|| 42).await.unwrap();
    /// agent.update(|n| *n += 1).await.unwrap();
    /// assert_eq!(agent.get(|n| *n).await, Ok(43));
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    ///
    /// # Erlang/OTP
    /// `Agent.update/3`.
    #[inline]
    pub fn update<F>(&self, function: F) -> AgentCall<T, Update, F, ()>
    where
        F: FnOnce(&mut T) + Send + 'static,
    {
        self.apply(function)
    }

    /// Changes the value, and gives what `function` returns.
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # Runtime::new().block_on(async {
    /// let agent = Agent::start(|| vec![1, 2]).await.unwrap();
    /// assert_eq!(agent.get_and_update(|numbers| numbers.pop()).await, Ok(Some(2)));
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    ///
    /// # Erlang/OTP
    /// `Agent.get_and_update/3`.
    #[inline]
    pub fn get_and_update<F, R>(&self, function: F) -> AgentCall<T, Update, F, R>
    where
        F: FnOnce(&mut T) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.apply(function)
    }

    /// Changes the value some time, and does not wait for it: there is no word of whether the agent lives.
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # Runtime::new().block_on(async {
    /// let agent = Agent::start(|| 42).await.unwrap();
    /// agent.cast(|n| *n += 1);
    /// // What one process asks is done in order.
    /// assert_eq!(agent.get(|n| *n).await, Ok(43));
    /// # });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Agent.cast/2`.
    #[inline]
    pub fn cast<F>(&self, function: F)
    where
        F: FnOnce(&mut T) + Send + 'static,
    {
        self.0.destination().send_as::<F, OfCast<T, Update, F>>(function);
    }

    /// As [`get`](Self::get), with a function that waits. The agent does nothing else meanwhile.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn get_async<F, R>(&self, function: F) -> AgentCall<T, GetAsync, F, R>
    where
        F: AsyncFnOnce(&T) -> R + for<'a> AsyncFunction<&'a T, Reply = R>,
        R: Send + 'static,
    {
        self.apply(function)
    }

    /// As [`update`](Self::update), with a function that waits. The agent does nothing else meanwhile.
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # async fn fetch(_: u32) -> u32 { 7 }
    /// # Runtime::new().block_on(async {
    /// let agent = Agent::start(|| 1_u32).await.unwrap();
    /// agent.update_async(async |n| *n += fetch(*n).await).await.unwrap();
    /// assert_eq!(agent.get(|n| *n).await, Ok(8));
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn update_async<F>(&self, function: F) -> AgentCall<T, UpdateAsync, F, ()>
    where
        F: AsyncFnOnce(&mut T) + for<'a> AsyncFunction<&'a mut T, Reply = ()>,
    {
        self.apply(function)
    }

    /// As [`get_and_update`](Self::get_and_update), with a function that waits. The agent does nothing else meanwhile.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn get_and_update_async<F, R>(&self, function: F) -> AgentCall<T, UpdateAsync, F, R>
    where
        F: AsyncFnOnce(&mut T) -> R + for<'a> AsyncFunction<&'a mut T, Reply = R>,
        R: Send + 'static,
    {
        self.apply(function)
    }

    /// As [`cast`](Self::cast), with a function that waits. The agent does nothing else meanwhile.
    pub fn cast_async<F>(&self, function: F)
    where
        F: AsyncFnOnce(&mut T) + for<'a> AsyncFunction<&'a mut T, Reply = ()>,
    {
        self.0.destination().send_as::<F, OfCast<T, UpdateAsync, F>>(function);
    }

    #[inline]
    fn apply<K, F, R>(&self, function: F) -> AgentCall<T, K, F, R>
    where
        K: Function<T, F, R>,
        F: Send + 'static,
        R: Send + 'static,
    {
        process::Call::with_meta(self.0.destination().clone(), function)
    }

    /// Asks the agent to stop with `reason`, behind all that was asked before, and waits until it is gone.
    ///
    /// # Errors
    /// See [`ServerRef::stop`].
    ///
    /// # Erlang/OTP
    /// `Agent.stop/3`, whose defaults are [`ExitReason::Normal`] and [`Timeout::Infinity`].
    pub async fn stop(
        &self,
        reason: ExitReason,
        timeout: impl Into<Timeout> + Send,
    ) -> Result<(), CallError> {
        self.0.stop(reason, timeout).await
    }
}

impl<T> Clone for AgentRef<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for AgentRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentRef<{}>({})", std::any::type_name::<T>(), Destination::from(&self.0))
    }
}

/// What the start of a [child](Agent::child) gives.
impl<T> From<ServerRef<Agent<T>>> for AgentRef<T> {
    fn from(agent: ServerRef<Agent<T>>) -> Self {
        Self(agent)
    }
}

impl<T> From<&AgentRef<T>> for Destination {
    fn from(agent: &AgentRef<T>) -> Self {
        (&agent.0).into()
    }
}

impl<T> From<&AgentRef<T>> for Target {
    fn from(agent: &AgentRef<T>) -> Self {
        (&agent.0).into()
    }
}

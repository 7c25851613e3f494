//! The handle of a server.

use std::fmt;
use std::marker::PhantomData;

use ibeam_runtime::process::{self};
use ibeam_runtime::{CallError, Destination, ExitReason, Name, NameRegistry, Pid, Target, Timeout};

use super::dispatch::stop_call;
use super::{CallMeta, CastMeta, GenServer, HandleCall, HandleCast, HandleInfo, InfoMeta, RequestId};

/// A server, by pid or by name. Cheap to clone; a name is resolved at each use, so such a handle outlives restarts.
///
/// Works inside and outside of processes.
pub struct ServerRef<S> {
    destination: Destination,
    _server: PhantomData<fn() -> S>,
}

/// A call of a server: options, then `.await`. Waits 5 s for the reply by default.
pub type Call<S, Q> = process::Call<Q, <S as HandleCall<Q>>::Reply, CallMeta<S, Q>>;

impl<S: GenServer> ServerRef<S> {
    /// The server with this pid. Requests to a process that is no `S` come back as [`CallError::NoReply`].
    #[must_use]
    pub fn of(pid: Pid) -> Self {
        Self { destination: Destination::Pid(pid), _server: PhantomData }
    }

    /// Whatever server has this name, each time the handle is used.
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        Self { destination: Destination::Name(name.into()), _server: PhantomData }
    }

    /// Whatever server has this key in the registry, each time the handle is used.
    ///
    /// # Erlang/OTP
    /// `{via, Module, Name}`.
    #[must_use]
    pub fn via<R: NameRegistry>(registry: &R, key: impl Into<R::Key>) -> Self {
        Self { destination: Destination::Via(registry.via(key)), _server: PhantomData }
    }

    /// The server's process now; `None` if nobody has the name.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.destination.resolve()
    }

    /// Sends `request` and waits for the reply, 5 s by default.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting. It does not unsend the request.
    ///
    /// # Erlang/OTP
    /// `gen_server:call/3`. Differs: a failure is an `Err` here, there it exits the caller; [`or_exit`](super::OrExit::or_exit)
    /// does that.
    #[inline]
    pub fn call<Q: Send + 'static>(&self, request: Q) -> Call<S, Q>
    where
        S: HandleCall<Q>,
    {
        process::Call::with_meta(self.destination.clone(), request)
    }

    /// Sends `request` at once, and leaves it to the caller when to take the response: see [`send_request`](super::send_request).
    ///
    /// # Panics
    /// Outside of a process, which has no mailbox for the response.
    ///
    /// # Erlang/OTP
    /// `gen_server:send_request/2`.
    pub fn send_request<Q: Send + 'static>(&self, request: Q) -> RequestId<S::Reply>
    where
        S: HandleCall<Q>,
    {
        super::send_request(self.call(request))
    }

    /// Sends `request`; there is no reply, and no word of whether it arrived.
    ///
    /// # Erlang/OTP
    /// `gen_server:cast/2`.
    #[inline]
    pub fn cast<Q: Send + 'static>(&self, request: Q)
    where
        S: HandleCast<Q>,
    {
        self.destination.send_as::<Q, CastMeta<S, Q>>(request);
    }

    /// Sends a plain message that the server has a handler for.
    pub fn send<Q: Send + 'static>(&self, message: Q)
    where
        S: HandleInfo<Q>,
    {
        self.destination.send_as::<Q, InfoMeta<S, Q>>(message);
    }

    /// Asks the server to stop with `reason`, and waits until it is gone. Its [`terminate`](GenServer::terminate) runs.
    ///
    /// # Errors
    /// [`CallError::Exited`] with another reason than the one asked for, [`CallError::NoProc`], or a timeout, after which the
    /// server is still stopping.
    ///
    /// # Erlang/OTP
    /// `gen_server:stop/3`.
    pub async fn stop(
        &self,
        reason: ExitReason,
        timeout: impl Into<Timeout> + Send,
    ) -> Result<(), CallError> {
        stop_call(self.destination.clone(), reason, timeout.into()).await
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }
}

impl<S> Clone for ServerRef<S> {
    fn clone(&self) -> Self {
        Self { destination: self.destination.clone(), _server: PhantomData }
    }
}

impl<S> fmt::Debug for ServerRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerRef<{}>({})", std::any::type_name::<S>(), self.destination)
    }
}

impl<S> From<&ServerRef<S>> for Destination {
    fn from(server: &ServerRef<S>) -> Self {
        server.destination.clone()
    }
}

impl<S> From<&ServerRef<S>> for Target {
    fn from(server: &ServerRef<S>) -> Self {
        match &server.destination {
            Destination::Pid(pid) => Self::Pid(*pid),
            Destination::Name(name) => Self::Name(name.clone()),
            Destination::Alias(alias) => Self::Pid(alias.pid()),
            // A monitor watches a process: the one that has the key now.
            Destination::Via(via) => {
                via.whereis().map_or_else(|| Self::Name(via.to_string().into()), Self::Pid)
            }
        }
    }
}

//! From a message to its handler, for messages that the macro's match does not know.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use ibeam_runtime::__private::Meta;
use ibeam_runtime::process::{self, Key};
use ibeam_runtime::{CallError, CallFrom, Destination, ExitReason, Message, Timeout};

use super::{GenServer, HandleCall, HandleCast, HandleInfo, Next, Reply};

/// The handler that travels with a request: boxed per message if it can wait, which a match of the macro's is not.
pub struct Handler<S>(pub(crate) HandlerFn<S>, pub(crate) Sent);

type HandlerFn<S> = for<'a> fn(&'a mut S, Message) -> Handling<'a>;

/// A message that is being handled: a future that is boxed only where there is something to wait for.
pub enum Handling<'a> {
    /// It was handled at once, and the server goes on.
    Done,
    /// This handles it.
    Waits(Pin<Box<dyn Future<Output = Next> + Send + 'a>>),
}

impl Future for Handling<'_> {
    type Output = Next;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        match &mut *self {
            Self::Done => Poll::Ready(Next::go_on()),
            Self::Waits(handling) => handling.as_mut().poll(cx),
        }
    }
}

/// How a request comes to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Call,
    Cast,
    Info,
}

/// What is attached to a call with a `Q` for an `S`.
pub struct CallMeta<S, Q>(PhantomData<fn(S, Q)>);

impl<S: HandleCall<Q>, Q: Send + 'static> Meta for CallMeta<S, Q> {
    const META: Option<&'static (dyn Any + Send + Sync)> = Some(&Handler::<S>(
        |server, message| {
            Handling::Waits(Box::pin(async move {
                match crate::__private::take_call::<S, Q>(message) {
                    Ok((request, from)) => crate::__private::handle_call(server, request, from).await,
                    Err(message) => other(server, message).await,
                }
            }))
        },
        Sent::Call,
    ));
}

/// A request that nobody can make: every server handles it, in name. With one more handler than the server's own there is never just one,
/// which rustc would take for the one that is meant, and complain about the request instead of the missing handler.
pub enum NoRequest {}

#[diagnostic::do_not_recommend]
impl<S: GenServer> HandleCall<NoRequest> for S {
    type Reply = NoRequest;
    async fn handle_call(&mut self, request: NoRequest, _: CallFrom<NoRequest>) -> Reply<NoRequest> {
        match request {}
    }
}

#[diagnostic::do_not_recommend]
impl<S: GenServer> HandleCast<NoRequest> for S {
    async fn handle_cast(&mut self, request: NoRequest) -> Next {
        match request {}
    }
}

#[diagnostic::do_not_recommend]
impl<S: GenServer> HandleInfo<NoRequest> for S {
    async fn handle_info(&mut self, message: NoRequest) -> Next {
        match message {}
    }
}

/// What is attached to a cast of a `Q` for an `S`.
pub struct CastMeta<S, Q>(PhantomData<fn(S, Q)>);

impl<S: HandleCast<Q>, Q: Send + 'static> Meta for CastMeta<S, Q> {
    const META: Option<&'static (dyn Any + Send + Sync)> = Some(&Handler::<S>(
        |server, message| {
            Handling::Waits(Box::pin(async move {
                match crate::__private::take_cast::<S, Q>(message) {
                    Ok(request) => server.handle_cast(request).await,
                    Err(message) => other(server, message).await,
                }
            }))
        },
        Sent::Cast,
    ));
}

/// What is attached to a `Q` that is sent to an `S` by its reference.
pub struct InfoMeta<S, Q>(PhantomData<fn(S, Q)>);

impl<S: HandleInfo<Q>, Q: Send + 'static> Meta for InfoMeta<S, Q> {
    const META: Option<&'static (dyn Any + Send + Sync)> = Some(&Handler::<S>(
        |server, message| {
            Handling::Waits(Box::pin(async move {
                match message.downcast_as::<Q, Self>() {
                    Ok(message) => HandleInfo::handle_info(server, message).await,
                    Err(message) => other(server, message).await,
                }
            }))
        },
        Sent::Info,
    ));
}

/// Asks a server to stop. The call has no reply: it ends with the server.
struct StopRequest(ExitReason);

/// The calls that wait for this server's end.
const STOPPERS: Key<Vec<CallFrom<()>>> = Key::new("$stoppers");

/// Is this the question whether the process would stop? Who asks learns the answer from the end of the process.
pub(crate) fn take_stop(message: Message) -> Result<ExitReason, Message> {
    let (StopRequest(reason), from) = message.take_call::<StopRequest, ()>()?;
    let mut stoppers = process::take(STOPPERS).unwrap_or_default();
    stoppers.push(from);
    process::put(STOPPERS, stoppers);
    Ok(reason)
}

/// Asks a process to stop, and waits for its end.
pub(crate) async fn stop_call(
    destination: Destination,
    reason: ExitReason,
    timeout: Timeout,
) -> Result<(), CallError> {
    let stop = process::Call::<StopRequest, ()>::new(destination, StopRequest(reason.clone()));
    match stop.timeout(timeout).await {
        Ok(()) => Ok(()),
        Err(CallError::Exited { reason: actual, .. }) if actual == reason => Ok(()),
        Err(error) => Err(error),
    }
}

/// Requests of the library's own, calls that nobody handles, and plain messages.
pub(crate) async fn other<S: GenServer>(server: &mut S, message: Message) -> Next {
    let message = match take_stop(message) {
        Ok(reason) => return Next::stop(reason),
        Err(message) => message,
    };
    if message.is_call() {
        // Dropping it tells the caller.
        log_unexpected::<S>(&message);
        return Next::go_on();
    }
    GenServer::handle_info(server, message).await
}

pub(super) fn log_unexpected<S>(message: &Message) {
    tracing::error!(
        target: "ibeam::gen_server",
        server = std::any::type_name::<S>(),
        pid = %process::self_pid(),
        name = process::name().map(tracing::field::display),
        ?message,
        "unexpected message"
    );
}

//! What the macros' expansions use. Not for programs.

use std::future::Future;
use std::process::ExitCode;

use ibeam_runtime::{CallFrom, Message, RuntimeBuilder, Termination, process};

pub use ibeam_runtime::process::{Candidate, receive_with};

use crate::gen_server::{
    CallMeta, CastMeta, GenServer, HandleCall, HandleCast, Handler, Handling, Next, Reply, Start,
};

/// The body of `#[ibeam::main]`.
pub fn main<F>(builder: RuntimeBuilder, future: F) -> ExitCode
where
    F: Future + Send + 'static,
    F::Output: Termination,
{
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime did not start: {error}")),
    };
    // The outcome is looked at as that of any process, crash report included.
    let ended = runtime.block_on(async move {
        let (_main, monitor) = process::builder().label("main").spawn_monitor(future);
        let monitor = monitor.reference();
        receive_with(move |message| {
            message.arm(
                |down: ibeam_runtime::Down| if down.monitor == monitor { Ok(down.reason) } else { Err(down) },
            )
        })
        .await
    });
    if ended.is_abnormal() { fail(&format!("main: {ended}")) } else { ExitCode::SUCCESS }
}

#[expect(clippy::print_stderr, reason = "as the standard library does for a `main` that returns an error")]
fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}

/// See [`Start`].
pub fn start<S: GenServer>(args: S::Args) -> Start<S> {
    Start::new(args, false)
}

/// See [`Start`].
pub fn start_link<S: GenServer>(args: S::Args) -> Start<S> {
    Start::new(args, true)
}

/// Is this a call with a `Q` for an `S`?
#[inline(always)]
pub fn take_call<S: HandleCall<Q>, Q: Send + 'static>(
    message: Message,
) -> Result<(Q, CallFrom<S::Reply>), Message> {
    message.take_call_as::<Q, S::Reply, CallMeta<S, Q>>()
}

/// Is this a cast with a `Q` for an `S`?
#[inline(always)]
pub fn take_cast<S: HandleCast<Q>, Q: Send + 'static>(message: Message) -> Result<Q, Message> {
    message.downcast_as::<Q, CastMeta<S, Q>>()
}

/// Handles a call by its trait, and replies if that is what comes back.
pub async fn handle_call<S: HandleCall<Q>, Q: Send + 'static>(
    server: &mut S,
    request: Q,
    from: CallFrom<S::Reply>,
) -> Next {
    let key = from.key();
    let reply = server.handle_call(request, from).await;
    reply_by_key(key, reply)
}

/// Replies, if that is what the handler says, to the caller it was given. A handler that returns its reply has dropped the
/// caller a moment ago, who is taken up again by the key.
pub fn reply_by_key<R: Send + 'static>(key: usize, reply: Reply<R>) -> Next {
    reply.send(|| CallFrom::reclaim(key))
}

/// Replies, if that is what the handler says, to a caller it was not given.
pub fn reply_to<R: Send + 'static>(from: CallFrom<R>, reply: Reply<R>) -> Next {
    reply.send(|| Some(from))
}

/// Handles what is none of the messages that the server's macro knows: those of handler traits written by hand, requests of
/// the library's own, and everything else.
pub fn dispatch_other<S: GenServer>(server: &mut S, message: Message) -> Handling<'_> {
    // Boxed: these are rare, or boxed anyhow, and must not make each server's future larger.
    match message.meta().and_then(|meta| meta.downcast_ref::<Handler<S>>()) {
        Some(handler) => (handler.0)(server, message),
        None => Handling::Waits(Box::pin(crate::gen_server::other(server, message))),
    }
}

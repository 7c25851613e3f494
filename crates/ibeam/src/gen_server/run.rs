//! The server's process: start, the loop, the end.

use std::future::Future;
use std::time::Duration;

use ibeam_runtime::process::{self, receive_with, recv};
use ibeam_runtime::{Exit, ExitReason, Message};

use ibeam_runtime::__private::catch_exit;

use super::outcome::{InitKind, NextKind};
use super::start::{Begin, Begun};
use super::{GenServer, Init, Next};

/// The body of a server's process. Its first message is the call of whoever starts it; that call ends with `init`, or, if
/// the process ends before, with the process' reason.
///
/// A million servers may wait in here: what is needed only at the beginning, at the end or now and then is boxed, and nothing
/// but the state outlives a wait, so that the future has the size of the state and of the largest handler, and little more.
/// `tests/gen_server_size.rs` has the limit.
pub(super) fn run<S: GenServer>(args: S::Args, linked: bool) -> impl Future<Output = ExitReason> + Send {
    let begin = Box::pin(begin::<S>(args));
    async move {
        let (mut server, first) = match begin.await {
            Ok(begun) => begun,
            Err(reason) => return reason,
        };
        // One catch around the whole loop: none per message.
        let ended = catch_exit(serve(&mut server, first, linked)).await;
        let last_words = Box::pin(last_words(&mut server, ended));
        last_words.await
    }
}

/// Handles message after message. `rare`: what comes before the next one, if it is not to be waited for.
///
/// Not an `async fn`, which would keep its arguments twice; and no match is under way while a handler waits, for its subject
/// would be kept.
fn serve<S: GenServer>(
    server: &mut S,
    mut rare: Option<Box<Next>>,
    linked: bool,
) -> impl Future<Output = ExitReason> + Send {
    async move {
        loop {
            let message = if rare.is_none() {
                recv().await
            } else {
                match Box::pin(settle(server, rare.take())).await {
                    Settled::Message(message) => message,
                    Settled::GoOn => continue,
                    Settled::Stop(reason) => return reason,
                }
            };
            let message = match not_the_parents_exit(message, linked) {
                Ok(message) => message,
                Err(reason) => return reason,
            };
            rare = match server.dispatch(message).await {
                Next(NextKind::GoOn) => None,
                Next(NextKind::Stop(reason)) => return reason,
                next => Some(Box::new(next)),
            };
        }
    }
}

/// What comes after everything that comes before the next message.
enum Settled {
    Message(Message),
    GoOn,
    Stop(ExitReason),
}

/// Does what comes before the next message, and what that asks for.
async fn settle<S: GenServer>(server: &mut S, rare: Option<Box<Next>>) -> Settled {
    let mut next = rare.map_or_else(Next::go_on, |next| *next);
    loop {
        next = match next.0 {
            NextKind::GoOn => return Settled::GoOn,
            NextKind::Stop(reason) => return Settled::Stop(reason),
            NextKind::Hibernate => {
                process::hibernate().await;
                return Settled::GoOn;
            }
            NextKind::Timeout(timeout) => match message_within(timeout).await {
                Some(message) => return Settled::Message(message),
                None => server.handle_timeout().await,
            },
            NextKind::Continue(work) => server.handle_continue(work).await,
        };
    }
}

/// The state, and what comes first if that is not the next message.
async fn begin<S: GenServer>(args: S::Args) -> Result<(S, Option<Box<Next>>), ExitReason> {
    let starter = receive_with(|message| message.call::<Begin, Begun>().map(|(Begin, from)| from)).await;
    match catch_exit(S::init(args)).await? {
        Init(InitKind::Ok(server, next)) => {
            starter.reply(Begun::Running);
            let first = match next {
                Next(NextKind::GoOn) => None,
                next => Some(Box::new(next)),
            };
            Ok((server, first))
        }
        Init(InitKind::Ignore) => {
            starter.reply(Begun::Ignored);
            Err(ExitReason::Normal)
        }
        // The starter learns it from the end of its call.
        Init(InitKind::Stop(reason)) => Err(reason),
    }
}

/// Says good-bye; a panic while doing so replaces the reason.
async fn last_words<S: GenServer>(server: &mut S, ended: Result<ExitReason, ExitReason>) -> ExitReason {
    let (Ok(reason) | Err(reason)) = ended;
    match catch_exit(server.terminate(&reason)).await {
        Ok(()) => reason,
        Err(worse) => worse,
    }
}

async fn message_within(timeout: Duration) -> Option<Message> {
    receive_with(|message| message.any(Ok)).after(timeout).await
}

/// A server that traps exits ends with its parent all the same: with who spawned it, if they are linked.
#[inline]
fn not_the_parents_exit(message: Message, linked: bool) -> Result<Message, ExitReason> {
    if linked && message.is::<Exit>() { is_it_the_parents(message) } else { Ok(message) }
}

#[cold]
fn is_it_the_parents(message: Message) -> Result<Message, ExitReason> {
    match message.downcast::<Exit>() {
        Ok(exit) if process::parent() == Some(exit.pid) => Err(exit.reason),
        Ok(exit) => Ok(Message::from_value(exit)),
        Err(message) => Ok(message),
    }
}

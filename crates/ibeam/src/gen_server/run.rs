//! The server's process: start, the loop, the end.

use std::future::Future;
use std::time::Duration;

use ibeam_runtime::process::{self, receive_with, recv};
use ibeam_runtime::{Exit, ExitReason, Message, Pid};

use ibeam_runtime::__private::catch_exit;

use super::outcome::{InitKind, NextKind};
use super::start::{Begin, Begun};
use super::{GenServer, Init, Next};

/// The body of a server's process. Its first message is the call of whoever starts it; that call ends with `init`, or, if
/// the process ends before, with the process' reason.
///
/// A million servers may wait in here: what is needed only at the beginning, at the end or now and then is boxed, so that the
/// future has the size of the state and of the largest handler.
pub(super) fn run<S: GenServer>(
    args: S::Args,
    parent: Option<Pid>,
) -> impl Future<Output = ExitReason> + Send {
    let begin = Box::pin(begin::<S>(args));
    async move {
        let (mut server, mut next) = match begin.await {
            Ok(begun) => begun,
            Err(reason) => return reason,
        };
        // One catch around the whole loop: none per message.
        let handling = catch_exit(async {
            loop {
                let message = match std::mem::take(&mut next.0) {
                    NextKind::GoOn => recv().await,
                    NextKind::Stop(reason) => return reason,
                    other => match Box::pin(other_than_messages(&mut server, other)).await {
                        Ok(message) => message,
                        Err(after) => {
                            next = after;
                            continue;
                        }
                    },
                };
                next = match not_the_parents_exit(message, parent) {
                    Ok(message) => server.dispatch(message).await,
                    Err(reason) => return reason,
                };
            }
        });
        let ended = handling.await;
        let last_words = Box::pin(last_words(&mut server, ended));
        last_words.await
    }
}

async fn begin<S: GenServer>(args: S::Args) -> Result<(S, Next), ExitReason> {
    let starter = receive_with(|message| message.call::<Begin, Begun>().map(|(Begin, from)| from)).await;
    match catch_exit(S::init(args)).await? {
        Init(InitKind::Ok(server, next)) => {
            starter.reply(Begun::Running);
            Ok((server, next))
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

/// What comes before the next message: the message, or what comes after that.
async fn other_than_messages<S: GenServer>(server: &mut S, next: NextKind) -> Result<Message, Next> {
    match next {
        NextKind::Hibernate => {
            process::hibernate().await;
            Ok(recv().await)
        }
        NextKind::Timeout(timeout) => match message_within(timeout).await {
            Some(message) => Ok(message),
            None => Err(server.handle_timeout().await),
        },
        NextKind::Continue(work) => Err(server.handle_continue(work).await),
        NextKind::GoOn | NextKind::Stop(_) => Err(Next(next)),
    }
}

async fn message_within(timeout: Duration) -> Option<Message> {
    receive_with(|message| message.any(Ok)).after(timeout).await
}

/// A server that traps exits ends with its parent all the same.
#[inline]
fn not_the_parents_exit(message: Message, parent: Option<Pid>) -> Result<Message, ExitReason> {
    let Some(parent) = parent.filter(|_| message.is::<Exit>()) else { return Ok(message) };
    match message.downcast::<Exit>() {
        Ok(exit) if exit.pid == parent => Err(exit.reason),
        Ok(exit) => Ok(Message::from_value(exit)),
        Err(message) => Ok(message),
    }
}

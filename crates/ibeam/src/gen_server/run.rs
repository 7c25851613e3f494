//! The server's process: start, the loop, the end.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::time::Duration;

use ibeam_runtime::process::{self, Key, receive_with, recv};
use ibeam_runtime::{Exit, ExitReason, Instant, Message, Via};

use ibeam_runtime::__private::{Boxed, Described, Promise, catch_exit};

use super::outcome::{First, InitKind};
use super::start::Begun;
use super::{GenServer, Init, Next, status};

/// What a server is started with, besides its arguments.
pub(super) struct Setup {
    /// It goes with the process that starts it.
    pub(super) linked: bool,
    pub(super) via: Option<Via>,
    pub(super) hibernate_after: Option<Duration>,
}

/// The word to the starter.
type Starter = Promise<Begun>;

/// After which time without a message the server hibernates.
const HIBERNATE_AFTER: Key<Duration> = Key::new("$hibernate_after");

/// The body of a server's process. Its starter is told how `init` went, or, if the process ends before, the process' reason.
///
/// A million servers may wait in here: what is needed only at the beginning, at the end or now and then is [apart], and nothing
/// but the state outlives a wait, so that the future has the size of the state and of the largest handler, and little more.
/// `tests/gen_server_size.rs` has the limit.
pub(super) fn run<S: GenServer>(
    args: S::Args,
    setup: Setup,
    starter: Starter,
) -> impl Future<Output = ExitReason> + Send {
    let waits = Waits { linked: setup.linked, hibernates: setup.hibernate_after.is_some() };
    // Apart only below: what the future captures it keeps, and this is one word.
    let begin = Boxed::pin(begin::<S>(args, setup, starter));
    async move {
        let (mut server, mut state) = match begin.await {
            Ok(begun) => begun,
            Err(reason) => return reason,
        };
        // One catch around the whole loop: none per message.
        let ended = catch_exit(serve(&mut server, &mut state, waits)).await;
        apart(Box::pin(last_words(&mut server, state, ended))).await
    }
}

/// The body of [`GenServer::enter_loop`]: as [`run`], for a process and a state that are there.
pub(super) async fn enter<S: GenServer>(mut server: S, first: Next, setup: Setup) -> ExitReason {
    let waits = Waits { linked: setup.linked, hibernates: setup.hibernate_after.is_some() };
    if let Some(idle) = setup.hibernate_after {
        process::put(HIBERNATE_AFTER, idle);
    }
    let mut state = State { next: first, last: None };
    let ended = catch_exit(serve(&mut server, &mut state, waits)).await;
    last_words(&mut server, state, ended).await
}

/// A future whose code is out of the way too. The loop's function stays small, which counts when a handler panics: how the
/// unwinding finds out what to do takes time in proportion to the places in a function from where it can come.
fn apart<'a, T>(future: Pin<Box<impl Future<Output = T> + Send + 'a>>) -> Apart<'a, T> {
    future
}

type Apart<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How the server waits for its messages: two bits beside the state.
#[derive(Clone, Copy)]
struct Waits {
    /// The end of its parent is its own.
    linked: bool,
    /// It hibernates when nothing comes for a while.
    hibernates: bool,
}

/// What the loop knows from one message to the next.
struct State {
    /// What the last callback has asked for.
    next: Next,
    last: Option<Described>,
}

impl State {
    /// By value: what is borrowed before a wait is kept during it.
    #[inline(always)]
    fn note(&mut self, message: Message) -> Message {
        self.last = Some(message.described());
        message
    }
}

/// Handles message after message.
///
/// No match is under way while a handler waits, for its subject would be kept.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its arguments twice")]
fn serve<S: GenServer>(
    server: &mut S,
    state: &mut State,
    waits: Waits,
) -> impl Future<Output = ExitReason> + Send {
    async move {
        loop {
            let message = if state.next.0.is_none() && !waits.hibernates {
                recv().await
            } else {
                match apart(Box::pin(settle(server, mem::take(&mut state.next)))).await {
                    Settled::Message(message) => message,
                    Settled::GoOn => continue,
                    Settled::Stop(reason) => return reason,
                }
            };
            let message = match not_the_parents_exit(message, waits.linked) {
                Ok(message) => message,
                Err(reason) => return reason,
            };
            state.next = server.dispatch(state.note(message)).await;
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
async fn settle<S: GenServer>(server: &mut S, mut next: Next) -> Settled {
    loop {
        let Some(first) = next.0 else {
            let Some(idle) = process::get(HIBERNATE_AFTER) else { return Settled::GoOn };
            match message_within(idle).await {
                Some(message) => return Settled::Message(message),
                None => next = Next::hibernate(),
            }
            continue;
        };
        next = match *first {
            First::Stop(reason) => return Settled::Stop(reason),
            First::Hibernate => {
                process::hibernate().await;
                return Settled::Message(recv().await);
            }
            First::Timeout { after, hibernate: false } => match message_within(after).await {
                Some(message) => return Settled::Message(message),
                None => server.handle_timeout().await,
            },
            First::Timeout { after, hibernate: true } => {
                match hibernate_until(process::now() + after).await {
                    Some(message) => return Settled::Message(message),
                    None => server.handle_timeout().await,
                }
            }
            First::Continue(work) => server.handle_continue(work).await,
        };
    }
}

async fn message_within(timeout: Duration) -> Option<Message> {
    receive_with(|message| message.any(Ok)).after(timeout).await
}

/// Hibernates until there is a message, but not beyond this.
async fn hibernate_until(at: Instant) -> Option<Message> {
    {
        let mut message = std::pin::pin!(process::hibernate());
        let mut over = std::pin::pin!(process::sleep_until(at));
        std::future::poll_fn(|cx| {
            if message.as_mut().poll(cx).is_ready() {
                return std::task::Poll::Ready(());
            }
            over.as_mut().poll(cx)
        })
        .await;
    }
    process::try_recv()
}

/// The server's own state, and the loop's. Each start makes this future: what few servers need is [apart], and what it is made from
/// stands in it once.
fn begin<S: GenServer>(
    args: S::Args,
    setup: Setup,
    starter: Starter,
) -> impl Future<Output = Result<(S, State), ExitReason>> + Send {
    let Setup { via, hibernate_after, .. } = setup;
    async move {
        if let Some(via) = &via
            && let Err(taken) = apart(Box::pin(via.register(process::self_pid()))).await
        {
            starter.keep(Begun::Taken(taken.pid));
            return Err(ExitReason::Normal);
        }
        if let Some(idle) = hibernate_after {
            process::put(HIBERNATE_AFTER, idle);
        }
        let (begun, reason) = match catch_exit(S::init(args)).await {
            Ok(Init(InitKind::Ok(server, next))) => {
                starter.keep(Begun::Running);
                return Ok((server, State { next, last: None }));
            }
            Ok(Init(InitKind::Ignore)) => (Some(Begun::Ignored), ExitReason::Normal),
            Ok(Init(InitKind::Error(reason))) => (Some(Begun::Failed(reason)), ExitReason::Normal),
            // The starter learns it from the end of its call.
            Ok(Init(InitKind::Stop(reason))) | Err(reason) => (None, reason),
        };
        apart(Box::pin(has_not_begun(via, starter, begun))).await;
        Err(reason)
    }
}

async fn has_not_begun(via: Option<Via>, starter: Starter, begun: Option<Begun>) {
    // Who hears of the failure finds the name free.
    if let Some(via) = &via {
        via.unregister().await;
    }
    if let Some(name) = process::name() {
        let _ = process::unregister(name);
    }
    if let Some(begun) = begun {
        starter.keep(begun);
    }
}

/// Says good-bye; a panic while doing so replaces the reason.
async fn last_words<S: GenServer>(
    server: &mut S,
    state: State,
    ended: Result<ExitReason, ExitReason>,
) -> ExitReason {
    let (Ok(reason) | Err(reason)) = ended;
    let reason = match catch_exit(server.terminate(&reason)).await {
        Ok(()) => reason,
        Err(worse) => worse,
    };
    if reason.is_abnormal() {
        status::report(server, state.last, &reason);
    }
    reason
}

/// A server that traps exits ends with its parent all the same: with who spawned it, if they are linked.
#[inline]
fn not_the_parents_exit(message: Message, linked: bool) -> Result<Message, ExitReason> {
    if linked && message.is::<Exit>() { is_it_the_parents(message) } else { Ok(message) }
}

#[cold]
fn is_it_the_parents(message: Message) -> Result<Message, ExitReason> {
    let parent = process::parent();
    match message.downcast_ref::<Exit>() {
        Some(exit) if parent == Some(exit.pid) => {
            message.downcast::<Exit>().map_or_else(Ok, |exit| Err(exit.reason))
        }
        _ => Ok(message),
    }
}

//! Calls: a request whose sender waits for the reply. One allocation, no monitor.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::exit;
use crate::process::names::{NameWait, whereis};
use crate::process::receive::may_go_on;
use crate::process::room::{self, Ticket, Turn};
use crate::process::send::{Destination, Refused, post_reserved, try_post_from};
use crate::raw::call::{self, Outcome, Replier, Waiting};
use crate::raw::node::{Meta, NoMeta, OwnedNode};
use crate::raw::pcb::Owner;
use crate::timeout::Timeout;
use crate::timer::alarm::Alarm;

/// Why a call brought no reply.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CallError {
    /// There is no such process, or nobody has the name. The request was not sent.
    NoProc {
        /// Who was called.
        destination: Destination,
    },
    /// The process ended before it replied. Whether it has acted on the request is not known.
    Exited {
        /// The process.
        pid: Pid,
        /// Why it ended.
        reason: ExitReason,
    },
    /// The process dropped the call without a reply.
    NoReply {
        /// The process.
        pid: Pid,
    },
    /// No reply came in time. The process may still act on the request; a late reply is dropped.
    Timeout {
        /// The process.
        pid: Pid,
        /// How long the call waited.
        after: Duration,
    },
    /// The mailbox is full, and its policy is not to wait. The request was not sent.
    Full {
        /// The process.
        pid: Pid,
    },
    /// The process called itself: it could never answer. The request was not sent.
    CallsItself {
        /// The process.
        pid: Pid,
    },
}

impl CallError {
    /// The reason that a process exits with if it does not survive this error.
    #[must_use]
    pub fn into_exit_reason(self) -> ExitReason {
        match self {
            Self::NoProc { .. } => ExitReason::NoProc,
            Self::Exited { reason, .. } => reason,
            Self::Timeout { .. } => ExitReason::Timeout,
            other => ExitReason::error(other),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProc { destination } => write!(f, "called {destination}, which is no live process"),
            Self::Exited { pid, reason } => write!(f, "{pid} ended before it replied: {reason}"),
            Self::NoReply { pid } => write!(f, "{pid} dropped the call without a reply"),
            Self::Timeout { pid, after } => write!(f, "{pid} did not reply within {after:?}"),
            Self::Full { pid } => write!(f, "the mailbox of {pid} is full"),
            Self::CallsItself { pid } => write!(f, "{pid} called itself, which it could never answer"),
        }
    }
}

impl std::error::Error for CallError {}

/// What only few calls need.
#[derive(Default)]
struct Rare {
    /// For room in the mailbox.
    ticket: Ticket,
    /// For calls that wait for somebody to have the name.
    patience: Option<Patience>,
}

/// How a call waits for somebody to have the name.
#[derive(Default)]
struct Patience {
    name: Option<NameWait>,
    look: Option<Alarm>,
}

impl Patience {
    fn is_waiting(&self) -> bool {
        self.name.is_some() || self.look.is_some()
    }
}

/// How often a key of a registry is looked up by a call that waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The future of a call: waits for the reply, 5 s by default.
///
/// Works inside and outside of processes.
///
/// # Errors
/// See [`CallError`]. Whatever happens, it ends: with the reply, the timeout, or the reason why there will be no reply.
///
/// After [`CallError::NoProc`] the request was not sent and is still here: awaited again (by reference), the same call tries
/// again, for instance until a named server has been restarted.
///
/// # Cancel safety
/// Dropping it before the first poll sends nothing. After that it stops the waiting; the request is not unsent.
///
/// ```
/// use ibeam_runtime::{CallError, Runtime, process::{self, Call}};
///
/// Runtime::new().block_on(async {
///     let server = process::spawn(async {
///         let (number, from) = process::recv().await.take_call::<u64, u64>().unwrap();
///         from.reply(number + 1);
///     });
///     assert_eq!(Call::<u64, u64>::new(server, 41).await, Ok(42));
///     assert!(matches!(Call::<u64, u64>::new(server, 41).await, Err(CallError::NoProc { .. } | CallError::Exited { .. })));
/// });
/// ```
///
/// # Erlang/OTP
/// `gen_server:call/3` and its likes. Differs: what ends the caller there is an `Err` here.
#[must_use = "nothing is sent until it is awaited"]
pub struct Call<Q, R, X = NoMeta> {
    destination: Destination,
    request: Option<Q>,
    waiting: Option<Waiting<R>>,
    /// The bits of the pid that was called last; 0, which no pid has, before that.
    pid: u64,
    alarm: Alarm,
    rare: Option<Box<Rare>>,
    _meta: PhantomData<fn() -> X>,
}

impl<Q, R> Call<Q, R> {
    /// A call of `destination` with `request`. The receiver takes it with
    /// [`Message::take_call`](crate::Message::take_call) for the same two types.
    pub fn new(destination: impl Into<Destination>, request: Q) -> Self {
        Self::with_meta(destination, request)
    }
}

impl<Q, R, X> Call<Q, R, X> {
    #[doc(hidden)]
    #[inline(always)]
    pub fn with_meta(destination: impl Into<Destination>, request: Q) -> Self {
        Self {
            destination: destination.into(),
            request: Some(request),
            waiting: None,
            pid: 0,
            alarm: Alarm::new(Timeout::CALL),
            rare: None,
            _meta: PhantomData,
        }
    }

    /// Waits this long, or for ever with [`Timeout::Infinity`]; counted from the first poll, and covering the wait for
    /// room in the mailbox, the queueing, the handling and the reply.
    #[inline(always)]
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.alarm.limit(timeout.into());
        self
    }

    /// Calls somebody else, as long as the request was not sent: after [`CallError::NoProc`] for instance, when the process
    /// whose pid the caller had kept has ended, and its successor is known by name. After that it does nothing.
    ///
    /// ```
    /// use ibeam_runtime::{Runtime, process::{self, Call}};
    ///
    /// Runtime::new().block_on(async {
    ///     let old = process::spawn(async {});
    ///     while process::info(old).await.is_some() {}
    ///     process::builder().name("doubler").spawn(async {
    ///         let (number, from) = process::recv().await.take_call::<u64, u64>().unwrap();
    ///         from.reply(2 * number);
    ///     });
    ///
    ///     let mut call = Call::<u64, u64>::new(old, 21);
    ///     assert!((&mut call).await.is_err());
    ///     call.redirect("doubler");
    ///     assert_eq!(call.await, Ok(42));
    /// });
    /// ```
    pub fn redirect(&mut self, destination: impl Into<Destination>) {
        if self.waiting.is_none() {
            self.destination = destination.into();
        }
    }

    /// Who is called.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Where nobody has the name, waits until somebody has it, up to the timeout: for a server that is being restarted. A pid
    /// that is no process any more is not waited for, since it never will be one again.
    ///
    /// The request is sent once: a server that ends after it took the request ends the call, with its reason. A key of a
    /// [registry](crate::NameRegistry) is looked up again every 5 ms, a name is waited for.
    ///
    /// # Errors
    /// [`CallError::NoProc`] if the timeout is over and nobody has the name.
    pub fn wait_for_name(mut self) -> Self {
        self.rare.get_or_insert_default().patience.get_or_insert_default();
        self
    }
}

// Nothing in it is pinned.
impl<Q, R, X> Unpin for Call<Q, R, X> {}

impl<Q: Send + 'static, R: Send + 'static, X: Meta> Call<Q, R, X> {
    #[inline]
    fn send(&mut self, cx: &Context<'_>) -> Poll<Result<(), CallError>> {
        let (pid, target) = match &self.destination {
            Destination::Pid(pid) => (*pid, pid.to_bits()),
            Destination::Alias(alias) => (alias.pid(), alias.reference().to_bits()),
            Destination::Name(name) => match whereis(name) {
                Some(pid) => (pid, pid.to_bits()),
                None => return self.nobody(None, cx),
            },
            Destination::Via(via) => match via.whereis() {
                Some(pid) => (pid, pid.to_bits()),
                None => return self.nobody(None, cx),
            },
        };
        let caller = Owner::current();
        if caller.is_some_and(|caller| caller.pid() == pid) {
            return Poll::Ready(Err(CallError::CallsItself { pid }));
        }
        self.pid = pid.to_bits();
        let turn = match &mut self.rare {
            None => Turn::None,
            Some(rare) => rare.ticket.turn(pid, cx.waker()),
        };
        if turn == Turn::Others {
            return Poll::Pending;
        }
        let waker = match caller {
            Some(caller) if caller.pcb().is_own_waker(cx.waker()) => caller.pcb().waker(),
            _ => cx.waker().clone(),
        };
        let request = self.request.take().expect("a call is sent once");
        let (node, waiting) = call::call::<Q, R, X>(target, request, waker);
        let sent = match turn {
            Turn::None => try_post_from(caller, pid, node),
            _ => post_reserved(pid, node),
        };
        match sent {
            Ok(()) => {
                self.waiting = Some(waiting);
                // A call that has found its receiver waits for nobody else.
                if self.rare.is_some() {
                    self.rare = None;
                }
                Poll::Ready(Ok(()))
            }
            Err((node, why)) => {
                // Before the other side of the node: it must not wake us.
                drop(waiting);
                self.refused(pid, node, why, cx)
            }
        }
    }

    #[cold]
    fn refused(
        &mut self,
        pid: Pid,
        node: OwnedNode,
        why: Refused,
        cx: &Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let Ok((request, replier)) = call::take_call::<Q, R, X>(node) else {
            unreachable!("the node that was refused")
        };
        // Nobody waits for it: this only frees the node.
        replier.finish(Outcome::Gone(None));
        self.request = Some(request);
        match why {
            Refused::NoProc => self.nobody(Some(pid), cx),
            Refused::Full if room::is_for_waiting(pid) => {
                let rare = self.rare.get_or_insert_default();
                if let Some(patience) = &mut rare.patience {
                    // Somebody is there; now it is room that is waited for.
                    *patience = Patience::default();
                }
                if rare.ticket.join(pid, cx.waker()) != Turn::Others {
                    // The process has ended meanwhile: the next poll finds that out.
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Refused::Full | Refused::ToDrop => Poll::Ready(Err(CallError::Full { pid })),
        }
    }

    /// Nobody has the name, or only one who has ended.
    #[cold]
    fn nobody(&mut self, stale: Option<Pid>, cx: &Context<'_>) -> Poll<Result<(), CallError>> {
        let Some(patience) = self.rare.as_mut().and_then(|rare| rare.patience.as_mut()) else {
            return Poll::Ready(Err(self.no_proc()));
        };
        match &self.destination {
            Destination::Name(name) => {
                let wait = patience.name.get_or_insert_with(NameWait::new);
                if wait.poll(name, stale, cx).is_ready() {
                    // Looked up again in the next poll.
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Destination::Via(_) => {
                let mut look = Alarm::new(Timeout::After(LOOK_AGAIN));
                if look.poll(&mut Context::from_waker(cx.waker())).is_ready() {
                    cx.waker().wake_by_ref();
                }
                patience.look = Some(look);
                Poll::Pending
            }
            Destination::Pid(_) | Destination::Alias(_) => Poll::Ready(Err(self.no_proc())),
        }
    }

    /// The outcome, which is there.
    #[inline(always)]
    fn outcome(&mut self) -> Result<R, CallError> {
        self.alarm.silence();
        let Some(waiting) = self.waiting.take() else { unreachable!("it was there a moment ago") };
        waiting.take(Ok, |reason| Err(self.gone(reason)))
    }

    #[cold]
    fn gone(&self, reason: Option<ExitReason>) -> CallError {
        let pid = Pid::from_bits(self.pid);
        match reason {
            Some(reason) => CallError::Exited { pid, reason },
            None => CallError::NoReply { pid },
        }
    }

    #[cold]
    fn timed_out(&mut self) -> CallError {
        // Stops the waiting: a late reply is dropped.
        self.waiting = None;
        let patience = self.rare.as_ref().and_then(|rare| rare.patience.as_ref());
        let nobody = patience.is_some_and(Patience::is_waiting);
        if nobody || self.pid == 0 {
            return self.no_proc();
        }
        let pid = Pid::from_bits(self.pid);
        CallError::Timeout { pid, after: self.alarm.after().unwrap_or_default() }
    }

    #[cold]
    fn no_proc(&self) -> CallError {
        CallError::NoProc { destination: self.destination.clone() }
    }
}

impl<Q: Send + 'static, R: Send + 'static, X: Meta> Future for Call<Q, R, X> {
    type Output = Result<R, CallError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match &this.waiting {
            Some(waiting) => {
                if waiting.poll_ref(cx.waker()).is_ready() {
                    if exit::is_held_back(cx.waker()) {
                        return Poll::Pending;
                    }
                    return Poll::Ready(this.outcome());
                }
            }
            // What was just sent has no reply yet; if it has, because the receiver runs beside us, we have been woken for it.
            None => {
                if let Poll::Ready(Err(error)) = this.send(cx) {
                    // If not, the next poll tries again: the request is still here.
                    ready!(may_go_on(cx));
                    return Poll::Ready(Err(error));
                }
            }
        }
        if this.alarm.poll(cx).is_ready() {
            return Poll::Ready(Err(this.timed_out()));
        }
        Poll::Pending
    }
}

/// The right to reply to a call: from any process or task, once. Dropped without a reply, the caller learns at once that
/// there will be none.
///
/// # Erlang/OTP
/// `From` in `handle_call`. Differs: it cannot be used twice.
#[must_use = "dropping it without a reply ends the call with `CallError::NoReply`"]
pub struct CallFrom<R: 'static>(Option<Replier<R>>);

impl<R: 'static> CallFrom<R> {
    #[inline(always)]
    pub(crate) fn new(replier: Replier<R>) -> Self {
        Self(Some(replier))
    }

    /// Replies. `false`: the caller did not wait any more, and the reply was dropped.
    ///
    /// # Erlang/OTP
    /// `gen_server:reply/2`.
    #[inline]
    pub fn reply(mut self, reply: R) -> bool {
        match self.0.take() {
            Some(replier) => replier.finish(Outcome::Replied(reply)),
            None => false,
        }
    }

    /// Has the caller stopped waiting? `false` may be out of date when it is read.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_none_or(Replier::is_abandoned)
    }
}

impl<R: 'static> CallFrom<R> {
    /// Tells calls apart, for [`reclaim`](Self::reclaim).
    #[doc(hidden)]
    #[must_use]
    pub fn key(&self) -> usize {
        self.0.as_ref().map_or(0, Replier::key)
    }

    /// The call of this key again, if the called process has dropped it without a reply a moment ago, in the same poll.
    #[doc(hidden)]
    #[must_use]
    pub fn reclaim(key: usize) -> Option<Self> {
        exit::reclaim(key).map(Self::new)
    }
}

impl<R: 'static> Drop for CallFrom<R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(replier) = self.0.take() {
            exit::abandon(replier);
        }
    }
}

impl<R: 'static> fmt::Debug for CallFrom<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFrom").finish_non_exhaustive()
    }
}

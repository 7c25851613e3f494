//! Sending: into the mailbox of a process, by pid, name or alias, and what a mailbox with a bound does.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::driver::threads::Many;
use crate::observe;
use crate::pid::Pid;
use crate::process::Overflow;
use crate::process::monitors::Alias;
use crate::process::names::{Name, whereis};
use crate::process::receive::may_go_on;
use crate::process::room::{self, Ticket, Turn};
use crate::process::via::Via;
use crate::raw::mailbox::Push;
use crate::raw::node::{Meta, NoMeta, OwnedNode};
use crate::raw::pcb::{Owner, Pcb};
use crate::raw::slab;
use crate::reference::Reference;
use crate::runtime;
use crate::runtime::metrics::Undelivered;

/// Where a message goes. Names are resolved at each use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A process.
    Pid(Pid),
    /// Whoever has the name then.
    Name(Name),
    /// Whoever has the key in the registry then.
    Via(Via),
    /// The process behind an alias, as long as the alias is active.
    Alias(Alias),
}

impl Destination {
    /// The process behind it now.
    #[must_use]
    pub fn resolve(&self) -> Option<Pid> {
        match self {
            Self::Pid(pid) => Some(*pid),
            Self::Name(name) => whereis(name),
            Self::Via(via) => via.whereis(),
            Self::Alias(alias) => Some(alias.pid()),
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`SendError`]: nobody has the name; the message comes back. A pid or alias whose process has ended is no error: the
    /// message is dropped and counted.
    ///
    /// # Erlang/OTP
    /// `Dest ! Message`, with its `badarg` for a name that nobody has.
    pub fn send<M: Send + 'static>(&self, message: M) -> Result<(), SendError<M>> {
        match self {
            Self::Pid(pid) => pid.send(message),
            Self::Alias(alias) => alias.send(message),
            Self::Name(name) => match whereis(name) {
                Some(pid) => pid.send(message),
                None => return Err(SendError { destination: self.clone(), message }),
            },
            Self::Via(via) => match via.whereis() {
                Some(pid) => pid.send(message),
                None => return Err(SendError { destination: self.clone(), message }),
            },
        }
        Ok(())
    }
}

impl Destination {
    /// Sends a message with the attachment `X`; what nobody gets is counted.
    #[doc(hidden)]
    #[inline]
    pub fn send_as<M: Send + 'static, X: Meta>(&self, message: M) {
        let target = match self {
            Self::Pid(pid) => (*pid, pid.to_bits()),
            Self::Alias(alias) => (alias.pid(), alias.reference().to_bits()),
            Self::Name(name) => match whereis(name) {
                Some(pid) => (pid, pid.to_bits()),
                None => return runtime::undelivered_to_name(OwnedNode::message::<M, X>(0, message)),
            },
            Self::Via(via) => match via.whereis() {
                Some(pid) => (pid, pid.to_bits()),
                None => return runtime::undelivered_to_name(OwnedNode::message::<M, X>(0, message)),
            },
        };
        post(target.0, OwnedNode::message::<M, X>(target.1, message));
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => pid.fmt(f),
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Via(via) => via.fmt(f),
            Self::Alias(alias) => write!(f, "{} ({})", alias.reference(), alias.pid()),
        }
    }
}

impl From<Pid> for Destination {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl From<Name> for Destination {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

impl From<Via> for Destination {
    fn from(via: Via) -> Self {
        Self::Via(via)
    }
}

impl From<&str> for Destination {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

/// A message was sent to a name that nobody has.
#[derive(Clone, PartialEq, Eq)]
pub struct SendError<M> {
    /// The name.
    pub destination: Destination,
    message: M,
}

impl<M> SendError<M> {
    /// The message that was not sent.
    pub fn into_inner(self) -> M {
        self.message
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("destination", &self.destination).finish_non_exhaustive()
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nobody has the name {}", self.destination)
    }
}

impl<M> std::error::Error for SendError<M> {}

/// Why a message was not sent; it comes back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError<M> {
    /// There is no such process.
    NoProc(Pid, M),
    /// Its mailbox is full.
    Full(Pid, M),
}

impl<M> TrySendError<M> {
    /// The message that was not sent.
    pub fn into_inner(self) -> M {
        match self {
            Self::NoProc(_, message) | Self::Full(_, message) => message,
        }
    }

    /// Was the mailbox full?
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(..))
    }
}

impl<M> fmt::Debug for TrySendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProc(pid, _) => f.debug_tuple("NoProc").field(pid).finish_non_exhaustive(),
            Self::Full(pid, _) => f.debug_tuple("Full").field(pid).finish_non_exhaustive(),
        }
    }
}

impl<M> fmt::Display for TrySendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProc(pid, _) => write!(f, "there is no process {pid}"),
            Self::Full(pid, _) => write!(f, "the mailbox of {pid} is full"),
        }
    }
}

impl<M> std::error::Error for TrySendError<M> {}

impl Pid {
    /// Sends a message. It never waits and never fails: a message for a process that has ended, or whose mailbox is full,
    /// is dropped and counted (see [`Metrics`](crate::Metrics)).
    ///
    /// Messages from one process to another arrive in the order sent.
    ///
    /// # Erlang/OTP
    /// `Pid ! Message`.
    #[inline]
    pub fn send<M: Send + 'static>(self, message: M) {
        post(self, OwnedNode::message::<M, NoMeta>(self.to_bits(), message));
    }

    /// Sends a message, or says why not.
    ///
    /// `Ok` means that the message is in the mailbox (or was dropped, where the mailbox' [policy](Overflow) is to drop). The
    /// process may still end before it takes it.
    ///
    /// # Errors
    /// - [`TrySendError::NoProc`]: there is no such process.
    /// - [`TrySendError::Full`]: the mailbox has a bound, and its policy is to wait or to reject.
    pub fn try_send<M: Send + 'static>(self, message: M) -> Result<(), TrySendError<M>> {
        let node = OwnedNode::message::<M, NoMeta>(self.to_bits(), message);
        let Err((node, why)) = try_post(self, node) else { return Ok(()) };
        if why == Refused::ToDrop {
            runtime::undelivered(self, node, why.undelivered());
            return Ok(());
        }
        let message =
            node.into_message::<M, NoMeta>().unwrap_or_else(|_| unreachable!("the node that was refused"));
        Err(match why {
            Refused::NoProc => TrySendError::NoProc(self, message),
            Refused::Full | Refused::ToDrop => TrySendError::Full(self, message),
        })
    }

    /// Sends a message, and waits for room where the mailbox has a bound and the policy to [wait](Overflow::Wait). Those who
    /// wait, in calls too, are served in the order in which they came. A process that waits for room in its own mailbox,
    /// and takes nothing out of it meanwhile, waits for ever.
    ///
    /// # Errors
    /// The future gives the error of [`try_send`](Self::try_send); `Full` only with the policy to reject.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready sends nothing, and leaves the line.
    pub fn send_wait<M: Send + 'static>(self, message: M) -> SendWait<M> {
        SendWait { pid: self, message: Some(message), ticket: Ticket::default() }
    }
}

/// The future of [`Pid::send_wait`].
#[must_use = "nothing is sent until it is awaited"]
pub struct SendWait<M> {
    pid: Pid,
    message: Option<M>,
    ticket: Ticket,
}

impl<M> Unpin for SendWait<M> {}

impl<M: Send + 'static> Future for SendWait<M> {
    type Output = Result<(), TrySendError<M>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(may_go_on(cx));
        let pid = self.pid;
        let turn = self.ticket.turn(pid, cx.waker());
        if turn == Turn::Others {
            return Poll::Pending;
        }
        let message = self.message.take().expect("polled after it was ready");
        let node = OwnedNode::message::<M, NoMeta>(pid.to_bits(), message);
        let sent = if turn == Turn::Ours { post_reserved(pid, node) } else { try_post(pid, node) };
        let Err((node, why)) = sent else { return Poll::Ready(Ok(())) };
        if why == Refused::ToDrop {
            runtime::undelivered(pid, node, why.undelivered());
            return Poll::Ready(Ok(()));
        }
        let message =
            node.into_message::<M, NoMeta>().unwrap_or_else(|_| unreachable!("the node that was refused"));
        if why == Refused::Full && room::is_for_waiting(pid) {
            self.message = Some(message);
            if self.ticket.join(pid, cx.waker()) != Turn::Others {
                // The process has ended meanwhile: the next poll finds that out.
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        Poll::Ready(Err(match why {
            Refused::NoProc => TrySendError::NoProc(pid, message),
            Refused::Full | Refused::ToDrop => TrySendError::Full(pid, message),
        }))
    }
}

/// This process is soon to be sent something. Who sends to thousands says so a few ahead, so that their mailboxes are in the cache
/// when it comes to them.
#[inline(always)]
pub fn will_send(pid: Pid) {
    slab::prefetch(pid);
}

/// Runs `f`, which sends to many processes: whom it wakes is put into the run queue one after the other, and other workers
/// are told of them by the dozen rather than one by one.
pub fn sending_to_many<R>(f: impl FnOnce() -> R) -> R {
    let _many = Many::begin();
    f()
}

/// Why a node was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NoProc,
    Full,
    /// The mailbox is full, and its policy is to drop what comes, without a word to the sender.
    ToDrop,
}

impl Refused {
    pub(crate) fn undelivered(self) -> Undelivered {
        match self {
            Self::NoProc => Undelivered::NoProc,
            Self::Full | Self::ToDrop => Undelivered::Overflow,
        }
    }
}

/// Puts a message into a mailbox; what is refused is dropped and counted.
#[inline]
pub(crate) fn post(pid: Pid, node: OwnedNode) {
    if let Err((node, why)) = try_post(pid, node) {
        runtime::undelivered(pid, node, why.undelivered());
    }
}

/// Puts a message or call into a mailbox, within its bound. Runs no code of the program: what is refused comes back.
#[inline]
pub(crate) fn try_post(pid: Pid, node: OwnedNode) -> Result<(), (OwnedNode, Refused)> {
    try_post_from(Owner::current(), pid, node)
}

/// [`try_post`] for who knows already in which process it is.
#[inline(always)]
pub(crate) fn try_post_from(
    sender: Option<Owner>,
    pid: Pid,
    node: OwnedNode,
) -> Result<(), (OwnedNode, Refused)> {
    // Sending is work too: who sends a lot in one turn goes to the back afterwards.
    if let Some(sender) = sender
        && !sender.charge_send()
    {
        return observe::post(sender, pid, node, false);
    }
    let Some(pcb) = slab::lookup(pid) else { return Err((node, Refused::NoProc)) };
    let push = match pcb.bound.get() {
        None => push_of(&node),
        Some((limit, overflow)) => match reserve(pcb, limit, overflow) {
            Ok(Push::Message) => push_of(&node),
            Ok(Push::Signal) => Push::Signal,
            // The places of a process that has ended stay taken.
            Err(_) if pcb.word.is_closed() => return Err((node, Refused::NoProc)),
            Err(refused) => return Err((node, refused)),
        },
    };
    pcb.push(node, push).map_err(|node| (node, Refused::NoProc))
}

/// A place in the mailbox for the message of an observed process.
#[cold]
pub(crate) fn place(pid: Pid, node: &OwnedNode, reserved: bool) -> Result<(&'static Pcb, Push), Refused> {
    let Some(pcb) = slab::lookup(pid).filter(|pcb| !pcb.word.is_closed()) else {
        return Err(Refused::NoProc);
    };
    match pcb.bound.get().filter(|_| !reserved) {
        None => Ok((pcb, push_of(node))),
        Some((limit, overflow)) => match reserve(pcb, limit, overflow)? {
            Push::Message => Ok((pcb, push_of(node))),
            Push::Signal => Ok((pcb, Push::Signal)),
        },
    }
}

/// As [`try_post`], for who has a place in the mailbox already.
#[cold]
pub(crate) fn post_reserved(pid: Pid, node: OwnedNode) -> Result<(), (OwnedNode, Refused)> {
    if let Some(sender) = Owner::current().filter(|sender| sender.bits().observed()) {
        return observe::post(sender, pid, node, true);
    }
    let Some(pcb) = slab::lookup(pid) else { return Err((node, Refused::NoProc)) };
    let push = push_of(&node);
    pcb.push(node, push).map_err(|node| (node, Refused::NoProc))
}

/// Aliases are looked at when the message arrives: the receiver sorts such messages like signals.
#[inline]
fn push_of(node: &OwnedNode) -> Push {
    if Reference::from_bits(node.header().target).is_none() { Push::Message } else { Push::Signal }
}

/// Takes a place in a mailbox with a bound.
fn reserve(pcb: &Pcb, limit: u32, overflow: Overflow) -> Result<Push, Refused> {
    let hard_limit = if overflow == Overflow::DropOldest { limit.saturating_mul(2) } else { limit };
    match pcb.bound.reserve(hard_limit) {
        // The receiver makes room when it sorts its mailbox, for which a signal wakes it.
        Ok(queued) if queued >= limit => Ok(Push::Signal),
        Ok(_) => Ok(Push::Message),
        Err(_) if matches!(overflow, Overflow::DropOldest | Overflow::DropNewest) => Err(Refused::ToDrop),
        Err(_) => Err(Refused::Full),
    }
}

//! Receiving: the next message, or the first one that fits.

use std::any::{Any, TypeId};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::message::Message;
use crate::process::mail::Spent;
use crate::process::{exit, owner};
use crate::raw::pcb::Owner;
use crate::reference::Reference;
use crate::timeout::Timeout;
use crate::timer::alarm::Alarm;

/// Waits for the next message, whatever it is.
///
/// # Panics
/// When polled outside of a process.
///
/// # Cancel safety
/// Dropping the future before it is ready leaves every message where it is.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
///
/// Runtime::new().block_on(async {
///     process::self_pid().send("hello");
///     assert_eq!(process::recv().await.downcast::<&str>().unwrap(), "hello");
/// });
/// ```
///
/// # Erlang/OTP
/// `receive Message -> Message end`.
pub fn recv() -> Recv {
    Recv { waiter: None }
}

/// The next message, if one is there.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `receive Message -> Message after 0 -> … end`.
#[track_caller]
pub fn try_recv() -> Option<Message> {
    let owner = owner("try_recv");
    owner.charge();
    owner.pop().map(Message::new)
}

/// Takes the first message of type `T` that fits out of the mailbox, and drops it, if it came after the reference was made: for
/// what nobody waits for any more. Does nothing outside of a process, or in one that is about to end.
pub fn flush_message<T: Send + 'static>(since: Reference, is_it: impl Fn(&T) -> bool) {
    let Some(owner) = Owner::current() else { return };
    if !owner.bits().exiting() {
        owner.remove_message(owner.sequence_since(since), is_it);
    }
}

/// The future of [`recv`].
#[derive(Debug)]
#[must_use = "nothing is received until it is awaited"]
pub struct Recv {
    /// Under which a waker is registered that is not the process' own.
    waiter: Option<Reference>,
}

impl Future for Recv {
    type Output = Message;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Message> {
        let owner = owner("recv");
        match owner.pop_charged() {
            Ok(Some(node)) => Poll::Ready(Message::new(node)),
            Ok(None) => {
                owner.wait_for_mail(cx, &mut self.waiter);
                Poll::Pending
            }
            Err(Spent) => yield_turn(owner, cx),
        }
    }
}

impl Drop for Recv {
    #[inline]
    fn drop(&mut self) {
        forget_waiter(self.waiter);
    }
}

/// The budget is used up: the process goes to the back of its run queue.
#[cold]
fn yield_turn<T>(owner: Owner, cx: &Context<'_>) -> Poll<T> {
    owner.set_bits(|bits| bits.with_yielded(true));
    if !owner.pcb().is_own_waker(cx.waker()) {
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}

/// Something that a process awaits is ready at once. May it go on, or is it somebody else's turn, or its own end? Without this
/// a loop that never waits could not be ended.
pub(crate) fn may_go_on(cx: &Context<'_>) -> Poll<()> {
    let Some(owner) = Owner::current() else { return Poll::Ready(()) };
    if exit::is_held_back(cx.waker()) {
        return Poll::Pending;
    }
    if owner.charge() { Poll::Ready(()) } else { yield_turn(owner, cx) }
}

#[inline(always)]
fn forget_waiter(waiter: Option<Reference>) {
    if let Some(waiter) = waiter {
        forget(waiter);
    }
}

#[inline(never)]
fn forget(waiter: Reference) {
    // A future that outlives its process, or is dropped by its destructors elsewhere, has nothing registered any more.
    if let Some(owner) = Owner::current() {
        owner.stop_waiting(waiter);
    }
}

/// A message that is offered to the arms of a receive.
#[derive(Debug)]
pub struct Candidate(Option<Message>);

impl Candidate {
    /// Offers the message to an arm for `T`: `Ok` takes it, `Err` hands it back. `None`: it was not taken.
    #[inline]
    pub fn arm<T: Send + 'static, R>(&mut self, take: impl FnOnce(T) -> Result<R, T>) -> Option<R> {
        if TypeId::of::<T>() == TypeId::of::<Message>() {
            // An arm for `Message` is an arm for messages of any type.
            let message = self.0.take()?.downcast::<T>().ok()?;
            return match take(message) {
                Ok(taken) => Some(taken),
                Err(message) => {
                    let mut message = Some(message);
                    let message: &mut dyn Any = &mut message;
                    self.0 = message.downcast_mut::<Option<Message>>().and_then(Option::take);
                    None
                }
            };
        }
        match self.0.take()?.into_node().offer(take) {
            Ok(taken) => Some(taken),
            Err(node) => {
                self.0 = Some(Message::new(node));
                None
            }
        }
    }

    /// Offers the message to an arm for calls with a `Q` for a `P`, which takes it.
    pub fn call<Q: Send + 'static, P: Send + 'static>(&mut self) -> Option<(Q, crate::process::CallFrom<P>)> {
        match self.0.take()?.take_call() {
            Ok(call) => Some(call),
            Err(message) => {
                self.0 = Some(message);
                None
            }
        }
    }

    /// Offers the message to an arm for messages of any type.
    pub fn any<R>(&mut self, take: impl FnOnce(Message) -> Result<R, Message>) -> Option<R> {
        match take(self.0.take()?) {
            Ok(taken) => Some(taken),
            Err(message) => {
                self.0 = Some(message);
                None
            }
        }
    }
}

/// Waits for the first message that `select` takes; the others stay in the mailbox, in order.
///
/// `select` is called once for each message, oldest first, and again for each that comes. This is what `receive!` is made of.
///
/// # Panics
/// When polled outside of a process.
///
/// # Cancel safety
/// Dropping the future before it is ready leaves every message where it is.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
///
/// Runtime::new().block_on(async {
///     let me = process::self_pid();
///     me.send("skipped");
///     me.send(3_u64);
///     me.send(8_u64);
///     let large = process::receive_with(|message| message.arm(|n: u64| if n > 5 { Ok(n) } else { Err(n) })).await;
///     assert_eq!(large, 8);
///     assert!(process::recv().await.is::<&str>());
/// });
/// ```
///
/// # Erlang/OTP
/// `receive … end` with patterns and guards.
pub fn receive_with<R, F>(select: F) -> Receive<F>
where
    F: FnMut(&mut Candidate) -> Option<R>,
{
    Receive { select, since: None, cursor: 0, waiter: None }
}

/// The future of [`receive_with`].
#[must_use = "nothing is received until it is awaited"]
pub struct Receive<F> {
    select: F,
    since: Option<Reference>,
    cursor: u64,
    waiter: Option<Reference>,
}

impl<F> Receive<F> {
    /// Skips the messages that were in the mailbox when the reference was made. They cannot contain it, so a receive that
    /// waits for an answer with it need not look at them, however many they are.
    ///
    /// The process remembers this for the last few references that it made, monitors and aliases included; for others
    /// everything is looked at.
    pub fn since(mut self, reference: Reference) -> Self {
        self.since = Some(reference);
        self
    }

    /// Waits no longer than `timeout`: the future is then `None`. Zero looks at what is in the mailbox.
    pub fn after(self, timeout: impl Into<Timeout>) -> ReceiveAfter<F> {
        ReceiveAfter { receive: self, alarm: Alarm::new(timeout.into()) }
    }

    fn poll_receive<R>(&mut self, cx: &mut Context<'_>) -> Poll<R>
    where
        F: FnMut(&mut Candidate) -> Option<R>,
    {
        let owner = owner("receive");
        if let Some(reference) = self.since.take() {
            self.cursor = owner.sequence_since(reference);
        }
        let select = &mut self.select;
        let scanned = owner.scan(&mut self.cursor, |node| {
            let mut candidate = Candidate(Some(Message::new(node)));
            match select(&mut candidate) {
                Some(taken) => Ok(taken),
                None => {
                    Err(candidate.0.expect("an arm that did not take the message put it back").into_node())
                }
            }
        });
        match scanned {
            Ok(taken) => Poll::Ready(taken),
            Err(true) => yield_turn(owner, cx),
            Err(false) => {
                owner.wait_for_mail(cx, &mut self.waiter);
                Poll::Pending
            }
        }
    }
}

// The closure is only ever called, never pinned.
impl<F> Unpin for Receive<F> {}

impl<R, F> Future for Receive<F>
where
    F: FnMut(&mut Candidate) -> Option<R>,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        self.poll_receive(cx)
    }
}

impl<F> Drop for Receive<F> {
    fn drop(&mut self) {
        forget_waiter(self.waiter);
    }
}

/// The future of [`Receive::after`].
#[must_use = "nothing is received until it is awaited"]
pub struct ReceiveAfter<F> {
    receive: Receive<F>,
    alarm: Alarm,
}

impl<F> Unpin for ReceiveAfter<F> {}

impl<R, F> Future for ReceiveAfter<F>
where
    F: FnMut(&mut Candidate) -> Option<R>,
{
    type Output = Option<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<R>> {
        let this = &mut *self;
        if let Poll::Ready(taken) = this.receive.poll_receive(cx) {
            return Poll::Ready(Some(taken));
        }
        let bits = owner("receive").bits();
        // A receive that has only used up its budget has not looked at everything yet; one that an exit signal ends is not
        // to be taken for one that found nothing.
        if bits.yielded() || bits.doomed() {
            return Poll::Pending;
        }
        this.alarm.poll(cx).map(|()| None)
    }
}

/// Gives back the memory that the process does not need while it waits, and waits until a message is there. The message
/// stays in the mailbox.
///
/// # Panics
/// When polled outside of a process.
///
/// # Erlang/OTP
/// `erlang:hibernate/3`. Differs: there is no heap to compact; what shrinks are the tables of links, monitors and skipped
/// messages. Returns where it was called.
pub async fn hibernate() {
    let owner = || owner("hibernate");
    owner().with_rare_if_any(|rare| {
        rare.saved.shrink();
        rare.waiters.shrink_to_fit();
    });
    owner().set_bits(|bits| bits.with_hibernating(true));
    let _awake = Awake;
    let mut seen = Seen(None);
    std::future::poll_fn(|cx| {
        let owner = owner();
        owner.fetch();
        if owner.mailbox_len() > 0 && !owner.bits().doomed() {
            return may_go_on(cx);
        }
        owner.wait_for_mail(cx, &mut seen.0);
        Poll::Pending
    })
    .await;

    /// Also when the future is dropped.
    struct Awake;
    impl Drop for Awake {
        fn drop(&mut self) {
            if let Some(owner) = Owner::current() {
                owner.set_bits(|bits| bits.with_hibernating(false));
            }
        }
    }
    struct Seen(Option<Reference>);
    impl Drop for Seen {
        fn drop(&mut self) {
            forget_waiter(self.0);
        }
    }
}

//! Leaving: a process that ends itself from any depth, and what its panics leave behind.
//!
//! Both unwind the process' own stack. While that happens the reason is not known to the values that are dropped on the
//! way. So a call that the called process drops without a reply is kept as an orphan until the end of the poll, and ended
//! with the reason then.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::task::Waker;

use crate::exit_reason::{ExitReason, PanicReason};
use crate::pid::Pid;
use crate::process::owner;
use crate::raw::answering::Debt;
use crate::raw::call::{Orphan, Outcome, Replier};
use crate::raw::catch::CatchExit;
use crate::raw::pcb::{Bits, Owner};

thread_local! {
    /// Where the panic that unwinds this thread began.
    static PANIC: RefCell<Option<Place>> = const { RefCell::new(None) };
    /// Calls that the called process has dropped in this poll.
    static ORPHANS: RefCell<Vec<Orphan>> = const { RefCell::new(Vec::new()) };
}

struct Place {
    location: Option<String>,
    backtrace: Option<Backtrace>,
}

/// The payload of an unwinding that is an exit, not a panic.
struct Leaving(ExitReason);
/// The payload of an unwinding because of a signal to oneself; the reason stands in the block.
struct Doomed;

/// Ends the calling process with `reason`, from any depth: its destructors run, `catch_unwind` in between does not help.
///
/// # Panics
/// Outside of a process. In a destructor that runs because of a panic the program is aborted, as with any panic there.
///
/// ```
/// use ibeam_runtime::{Down, ExitReason, Runtime, process};
///
/// fn deep() {
///     process::exit(ExitReason::other("enough"));
/// }
/// Runtime::new().block_on(async {
///     let (_pid, _monitor) = process::spawn_monitor(async { deep() });
///     let down = process::recv().await.downcast::<Down>().unwrap();
///     assert_eq!(down.reason, ExitReason::other("enough"));
/// });
/// ```
///
/// # Erlang/OTP
/// `exit/1`.
#[track_caller]
pub fn exit(reason: ExitReason) -> ! {
    owner("exit");
    panic::resume_unwind(Box::new(Leaving(reason)))
}

/// After a signal to oneself: does it end us?
pub(crate) fn leave_if_doomed(owner: Owner) {
    if owner.bits().doomed() && !std::thread::panicking() && !owner.bits().exiting() {
        panic::resume_unwind(Box::new(Doomed));
    }
}

/// Something has reached the calling process by another way than its mailbox. Has an exit signal that was sent before
/// it ended the process? Then the poll must go no further, for nothing may overtake the signal. Nor may it, if the process
/// waits for the end of others: see `hold.rs`.
#[inline]
pub(crate) fn is_held_back(waker: &Waker) -> bool {
    let Some(owner) = Owner::current() else { return false };
    if owner.pcb().word.has_signals() {
        owner.fetch();
    }
    let held_back = owner.bits().has_any(Bits::HELD_BACK);
    if held_back && !owner.pcb().is_own_waker(waker) {
        // Polled again by whoever is in between.
        waker.wake_by_ref();
    }
    held_back
}

/// How a process' future came to its end by unwinding.
pub(crate) enum Unwound {
    /// `exit`, or a panic.
    Itself(ExitReason),
    /// A signal to itself.
    BySignal,
}

/// What the payload of an unwinding says.
pub(crate) fn unwound(payload: Box<dyn Any + Send>) -> Unwound {
    let payload = match payload.downcast::<Leaving>() {
        Ok(leaving) => return Unwound::Itself(leaving.0),
        Err(payload) => payload,
    };
    if payload.is::<Doomed>() {
        return Unwound::BySignal;
    }
    let place = PANIC.take();
    let (location, backtrace) = place.map_or((None, None), |place| (place.location, place.backtrace));
    Unwound::Itself(ExitReason::Panic(PanicReason::new(payload, location, backtrace)))
}

/// What the payload of an unwinding that changes nothing any more says.
pub(crate) fn unwound_message(payload: Box<dyn Any + Send>) -> String {
    match unwound(payload) {
        Unwound::Itself(reason) => reason.to_string(),
        Unwound::BySignal => "a signal to itself".to_owned(),
    }
}

/// A call was dropped without a reply.
pub(crate) fn abandon<R: 'static>(replier: Replier<R>) {
    match Owner::current() {
        // By the end of this poll, or of the process, it is known whether it goes on: see `finish_orphans`.
        Some(owner)
            if owner.pid().to_bits() == replier.target()
                && (owner.bits().polling() || owner.bits().exiting()) =>
        {
            keep_orphan(owner, replier.into_orphan(owner.pid().to_bits()));
        }
        _ => {
            replier.finish(Outcome::Gone(None));
        }
    }
}

/// The process that owed this drops it on its way out: whose end it is, is known by who drops it.
pub(crate) fn abandon_own<T>(debt: impl Debt<T>) {
    match Owner::current() {
        Some(owner) if owner.bits().polling() || owner.bits().exiting() => {
            keep_orphan(owner, debt.into_orphan(owner.pid().to_bits()));
        }
        _ => debt.pay(Outcome::Gone(None)),
    }
}

fn keep_orphan(owner: Owner, orphan: Orphan) {
    owner.set_bits(|bits| bits.with_orphans(true));
    ORPHANS.with_borrow_mut(|orphans| orphans.push(orphan));
}

/// The call of this key, if it was dropped in this poll.
pub(crate) fn reclaim<R: 'static>(key: usize) -> Option<Replier<R>> {
    ORPHANS.with_borrow_mut(|orphans| {
        let at = orphans.iter().position(|orphan| orphan.is(key))?;
        orphans.swap_remove(at).reclaim()
    })
}

/// The processes whose calls the calling process has dropped in this poll, as far as they are processes.
pub fn dropped_callers() -> Vec<Pid> {
    let Some(owner) = Owner::current() else { return Vec::new() };
    let me = owner.pid().to_bits();
    ORPHANS.with_borrow(|orphans| {
        orphans.iter().filter(|orphan| orphan.target() == me).filter_map(Orphan::caller).collect()
    })
}

/// At the end of a poll: ends the calls that were dropped in it. If the process is ending they are kept, and end with it.
#[inline(always)]
pub(crate) fn finish_orphans(owner: Owner) {
    if owner.bits().has_orphans() {
        finish_some_orphans(owner);
    }
}

#[cold]
fn finish_some_orphans(owner: Owner) {
    owner.set_bits(|bits| bits.with_orphans(false));
    // Around this process another one may run, on this thread: an inline runtime can be polled anywhere.
    let pid = owner.pid().to_bits();
    let mut orphans: Vec<_> =
        ORPHANS.with_borrow_mut(|orphans| orphans.extract_if(.., |orphan| orphan.target() == pid).collect());
    if owner.bits().fated() {
        // They will end with the process, and it has not ended yet.
        return owner.with_rare(|rare| rare.orphans.append(&mut orphans));
    }
    // Waking the callers runs code that may come back here.
    orphans.into_iter().for_each(|orphan| orphan.finish(None));
}

/// Runs `future`; if it panics or exits, that is the outcome, and the process is bound to end soon: calls that it drops from
/// here on end with its reason. For behaviours, which have last words to say.
pub fn catch_exit<F: Future>(future: F) -> CatchExit<F> {
    CatchExit::new(future, false)
}

/// As [`catch_exit`], for a process that goes on after that, as a supervisor does whose child's start function panics: calls
/// that were dropped on the way end without a reply.
pub fn catch_failure<F: Future>(future: F) -> CatchExit<F> {
    CatchExit::new(future, true)
}

/// As [`catch_failure`], for a function. What it shares with the caller must bear that it is left half-way.
///
/// # Errors
/// The reason that the process would have ended with.
pub fn catch_failure_of<T>(f: impl FnOnce() -> T) -> Result<T, ExitReason> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| caught(payload, true))
}

/// The reason that the process is bound to end with, unless it goes on, now that its unwinding has been caught. A signal's is
/// passed on: there are no last words.
#[cold]
pub(crate) fn caught(payload: Box<dyn Any + Send>, goes_on: bool) -> ExitReason {
    if payload.is::<Doomed>() {
        panic::resume_unwind(payload);
    }
    if let Some(owner) = Owner::current()
        && !goes_on
    {
        owner.set_bits(|bits| bits.with_fated(true));
    }
    match unwound(payload) {
        Unwound::Itself(reason) => reason,
        Unwound::BySignal => unreachable!("looked at above"),
    }
}

/// From now on a panic in a process is written down for its exit reason and its crash report, and not printed.
pub(crate) fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let former = panic::take_hook();
        panic::set_hook(Box::new(
            move |info| {
                if Owner::current().is_some() { note_panic(info) } else { former(info) }
            },
        ));
    });
}

fn note_panic(info: &PanicHookInfo<'_>) {
    // Addresses only: to find their names reads the program's debug information, a tenth of a second the first time.
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    PANIC.set(Some(Place {
        location: info.location().map(ToString::to_string),
        backtrace: captured.then_some(backtrace),
    }));
}

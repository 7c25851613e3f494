//! What ends the wait for events when the next timer is due.
//!
//! A timer of the system that is an event among the others (`timerfd`). tokio's own timers, and the time limit of the wait itself,
//! count whole milliseconds and round up, each once: a process would wake a millisecond later than its timer says. Where there is no such
//! thing it is tokio's.

use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::time::Sleep;

use crate::time::Instant;

/// One wait's end: see [`Alarm::poll`].
pub(super) type Fallback<'a> = Pin<&'a mut Option<Sleep>>;

/// Belongs to whoever is in the driver.
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: Option<linux::Timer>,
    /// As [`Instant::as_nanos`]; 0: it is not, or has gone off.
    set_for: AtomicU64,
}

impl Alarm {
    /// Within a tokio runtime.
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            timer: linux::timer(),
            set_for: AtomicU64::new(0),
        }
    }

    /// Is it over? If not, the waker is used at `at`, or before: who wakes asks again. `fallback` is empty at first.
    pub(super) fn poll(
        &self,
        at: Instant,
        now: Instant,
        fallback: Fallback<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if at <= now {
            return Poll::Ready(());
        }
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer
            && (self.set_for.load(Relaxed) == at.as_nanos() || self.set(timer, at, now))
        {
            return timer.poll_read_ready(cx).map(|gone_off| {
                self.set_for.store(0, Relaxed);
                linux::clear(gone_off);
            });
        }
        let mut fallback = fallback;
        if fallback.is_none() {
            fallback.set(Some(tokio::time::sleep(at - now)));
        }
        match fallback.as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Ready(()),
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::atomic::Ordering::Relaxed;
    use std::task::{Context, Poll, Waker};

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

    use super::Alarm;
    use crate::time::Instant;

    pub(super) type Timer = AsyncFd<OwnedFd>;

    /// `None`: the system gives none.
    pub(super) fn timer() -> Option<Timer> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC).ok()?;
        #[allow(
            deprecated,
            reason = "an `OwnedFd` stays what it is; what replaces it is newer than the tokio we ask for"
        )]
        AsyncFd::with_interest(timer, Interest::READABLE).ok()
    }

    impl Alarm {
        /// `false`: the system does not take it.
        pub(super) fn set(&self, timer: &Timer, at: Instant, now: Instant) -> bool {
            let Ok(it_value) = Timespec::try_from(at - now) else { return false };
            // It may have gone off for a former time meanwhile.
            if let Poll::Ready(gone_off) = timer.poll_read_ready(&mut Context::from_waker(Waker::noop())) {
                clear(gone_off);
            }
            let value = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
            let is_set = timerfd_settime(timer, TimerfdTimerFlags::empty(), &value).is_ok();
            self.set_for.store(if is_set { at.as_nanos() } else { 0 }, Relaxed);
            is_set
        }
    }

    pub(super) fn clear(gone_off: io::Result<AsyncFdReadyGuard<'_, OwnedFd>>) {
        if let Ok(mut gone_off) = gone_off {
            gone_off.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    /// Whatever was set before, and whether it has gone off: the next wait ends, and not before its time.
    #[test]
    fn each_wait_ends_at_its_time() {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = std::time::Instant::now();
        let now = || Instant::START + start.elapsed();
        let context = tokio.enter();
        let without = Alarm { timer: None, ..Alarm::new() };
        for alarm in [Alarm::new(), without] {
            let wait = |after: Duration| {
                let at = now() + after;
                tokio.block_on(async {
                    let mut fallback = pin!(None);
                    // As the worker does: whoever is woken asks again.
                    while at > now() {
                        poll_fn(|cx| alarm.poll(at, now(), fallback.as_mut(), cx)).await;
                    }
                });
                assert!(now() >= at);
            };
            wait(Duration::from_micros(300));
            // One that is set and left alone.
            tokio.block_on(poll_fn(|cx| {
                let polled = alarm.poll(now() + Duration::from_secs(3600), now(), pin!(None), cx);
                assert!(polled.is_pending());
                Poll::Ready(())
            }));
            for micros in [1_000, 1, 0, 300, 300] {
                wait(Duration::from_micros(micros));
            }
        }
        drop(context);
    }
}

//! What ends the wait for events when the next timer is due.
//!
//! A timer of the system that is an event among the others (`timerfd`). tokio's own timers, and the time limit of the wait itself,
//! count whole milliseconds and round up, each once: a process would wake a millisecond later than its timer says. Where there is no such
//! thing it is tokio's.
//!
//! # Invariants
//! 1. A wait never ends too late for want of a setting: what the timer was set for is known only while the system has taken it, and it has
//!    not gone off.
//! 2. It may end too early, so whoever is woken asks again.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Sleep;

use crate::time::Instant;

/// Belongs to whoever is in the driver.
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: Option<linux::Timer>,
}

impl Alarm {
    /// Within a tokio runtime.
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            timer: linux::Timer::new(),
        }
    }

    /// Is it over? If not, the waker is used at `at`, or before: who wakes asks again. `fallback` is empty at first.
    pub(super) fn poll(
        &self,
        at: Instant,
        now: Instant,
        mut fallback: Pin<&mut Option<Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if at <= now {
            return Poll::Ready(());
        }
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer
            && timer.set(at, now)
        {
            return timer.poll(cx);
        }
        if fallback.is_none() {
            fallback.set(Some(tokio::time::sleep(at - now)));
        }
        fallback.as_pin_mut().map_or(Poll::Ready(()), |sleep| sleep.poll(cx))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;
    use std::task::{Context, Poll, Waker};

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use crate::time::Instant;

    pub(super) struct Timer {
        fd: AsyncFd<OwnedFd>,
        /// For which time it is set, as [`Instant::as_nanos`]; 0: it is not, or has gone off.
        set_for: AtomicU64,
    }

    impl Timer {
        /// `None`: the system gives none.
        pub(super) fn new() -> Option<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok()?;
            #[allow(
                deprecated,
                reason = "an `OwnedFd` stays what it is; what replaces it is newer than the tokio we ask for"
            )]
            let fd = AsyncFd::with_interest(timer, Interest::READABLE).ok()?;
            Some(Self { fd, set_for: AtomicU64::new(0) })
        }

        /// It goes off at `at`. `false`: the system does not take it.
        pub(super) fn set(&self, at: Instant, now: Instant) -> bool {
            if self.set_for.load(Relaxed) == at.as_nanos() {
                return true;
            }
            // It may have gone off for a former time meanwhile.
            let _former = self.poll(&mut Context::from_waker(Waker::noop()));
            let is_set = Timespec::try_from(at - now).is_ok_and(|it_value| {
                let value = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
                timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &value).is_ok()
            });
            self.set_for.store(if is_set { at.as_nanos() } else { 0 }, Relaxed);
            is_set
        }

        /// Has it gone off? If not, the waker is used when it does.
        pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.fd.poll_read_ready(cx).map(|gone_off| {
                self.set_for.store(0, Relaxed);
                if let Ok(mut gone_off) = gone_off {
                    gone_off.clear_ready();
                }
            })
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
        let without = Alarm {
            #[cfg(target_os = "linux")]
            timer: None,
        };
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

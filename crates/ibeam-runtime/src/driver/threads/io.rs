//! The I/O driver: a tokio runtime that runs on whichever worker has nothing to do.
//!
//! An event then fires its waker on the very thread that will run the woken process.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::task::Poll;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime as Tokio};

use super::alarm::Alarm;
use crate::runtime::Config;
use crate::time::Instant;

/// See the module.
pub(super) struct Io {
    /// `None`: the program's own tokio does the I/O, and this only keeps the time.
    own: Mutex<Option<Arc<Own>>>,
    handle: Handle,
    /// 1 + the index of the worker inside; 0: nobody is.
    holder: AtomicUsize,
    /// Is the one inside running tasks, rather than sleeping?
    busy: Arc<AtomicBool>,
}

/// A tokio runtime of our own.
struct Own {
    // Dropped first: it is registered there.
    alarm: Alarm,
    tokio: Tokio,
}

/// How long to be in the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Only for what is there now.
    No,
    /// Until then; `None`: as long as it takes.
    Until(Option<Instant>),
}

impl Io {
    pub(super) fn new(config: &Config) -> std::io::Result<Self> {
        let busy = Arc::new(AtomicBool::new(false));
        let (own, handle) = match &config.tokio {
            Some(handle) => (None, handle.clone()),
            None => {
                let (park, unpark) = (Arc::clone(&busy), Arc::clone(&busy));
                let tokio = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .thread_name(format!("{}-blocking", config.name))
                    .on_thread_park(move || park.store(false, Relaxed))
                    .on_thread_unpark(move || unpark.store(true, Relaxed))
                    .build()?;
                let handle = tokio.handle().clone();
                let alarm = {
                    let _tokio = handle.enter();
                    Alarm::new()
                };
                (Some(Arc::new(Own { alarm, tokio })), handle)
            }
        };
        Ok(Self { own: Mutex::new(own), handle, holder: AtomicUsize::new(0), busy })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Who is inside.
    pub(super) fn holder(&self) -> Option<usize> {
        self.holder.load(SeqCst).checked_sub(1)
    }

    /// Is that worker inside, and busy with a task there?
    pub(super) fn is_busy_in(&self, index: usize) -> bool {
        self.holder() == Some(index) && self.busy.load(Relaxed)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    pub(super) fn is_free(&self) -> bool {
        self.holder.load(Relaxed) == 0
    }

    /// Goes inside, if nobody is. Until `enough` says so, or the time is over, events are waited for and tasks run. `enough` is
    /// given a waker when there is none yet.
    pub(super) fn drive(
        &self,
        index: usize,
        wait: Wait,
        now: impl Fn() -> Instant,
        enough: impl Fn(&std::task::Waker) -> bool,
    ) -> bool {
        if self.holder.compare_exchange(0, index + 1, SeqCst, Relaxed).is_err() {
            return false;
        }
        let own = self.own.lock().clone();
        match (own, wait) {
            (Some(own), Wait::No) => {
                let mut polls = 0;
                own.tokio.block_on(poll_fn(|cx| {
                    polls += 1;
                    if polls > 1 {
                        return Poll::Ready(());
                    }
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }));
            }
            (Some(own), Wait::Until(at)) => own.tokio.block_on(async {
                let mut fallback = pin!(None);
                poll_fn(|cx| match at {
                    _ if enough(cx.waker()) => Poll::Ready(()),
                    Some(at) => own.alarm.poll(at, now(), fallback.as_mut(), cx),
                    None => Poll::Pending,
                })
                .await;
            }),
            (None, Wait::Until(at)) => {
                if !enough(std::task::Waker::noop()) {
                    match at {
                        Some(at) => std::thread::park_timeout(at - now()),
                        None => std::thread::park(),
                    }
                }
            }
            (None, Wait::No) => {}
        }
        self.busy.store(false, Relaxed);
        self.holder.store(0, SeqCst);
        true
    }

    /// Ends tokio's part; tasks that block are left to themselves.
    pub(super) fn shut_down(&self) {
        let own = self.own.lock().take();
        if let Some(Own { alarm, tokio }) = own.and_then(Arc::into_inner) {
            drop(alarm);
            tokio.shutdown_background();
        }
    }
}

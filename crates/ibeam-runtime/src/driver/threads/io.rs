//! The I/O driver: a tokio runtime that runs on whichever worker has nothing to do.
//!
//! An event then fires its waker on the very thread that will run the woken process.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime as Tokio};

use crate::runtime::Config;

/// See the module.
pub(super) struct Io {
    /// `None`: the program's own tokio does the I/O, and this only keeps the time.
    tokio: Mutex<Option<Arc<Tokio>>>,
    handle: Handle,
    /// 1 + the index of the worker inside; 0: nobody is.
    holder: AtomicUsize,
    /// Is the one inside running tasks, rather than sleeping?
    busy: Arc<AtomicBool>,
}

impl Io {
    pub(super) fn new(config: &Config) -> std::io::Result<Self> {
        let busy = Arc::new(AtomicBool::new(false));
        let (tokio, handle) = match &config.tokio {
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
                (Some(Arc::new(tokio)), handle)
            }
        };
        Ok(Self { tokio: Mutex::new(tokio), handle, holder: AtomicUsize::new(0), busy })
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

    /// Goes inside, if nobody is. Until `enough` says so, or the time is over, events are waited for and tasks run; with a
    /// time of zero only what is there now. `enough` is given a waker when there is none yet.
    pub(super) fn drive(
        &self,
        index: usize,
        limit: Option<Duration>,
        enough: impl Fn(&std::task::Waker) -> bool,
    ) -> bool {
        if self.holder.compare_exchange(0, index + 1, SeqCst, Relaxed).is_err() {
            return false;
        }
        let tokio = self.tokio.lock().clone();
        match tokio {
            Some(tokio) if limit == Some(Duration::ZERO) => {
                let mut polls = 0;
                tokio.block_on(poll_fn(|cx| {
                    polls += 1;
                    if polls > 1 {
                        return Poll::Ready(());
                    }
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }));
            }
            Some(tokio) => tokio.block_on(async {
                let mut alarm = pin!(limit.map(tokio::time::sleep));
                poll_fn(|cx| {
                    if enough(cx.waker()) {
                        return Poll::Ready(());
                    }
                    match alarm.as_mut().as_pin_mut() {
                        Some(alarm) => alarm.poll(cx),
                        None => Poll::Pending,
                    }
                })
                .await;
            }),
            None => {
                if limit != Some(Duration::ZERO) && !enough(std::task::Waker::noop()) {
                    match limit {
                        Some(limit) => std::thread::park_timeout(limit),
                        None => std::thread::park(),
                    }
                }
            }
        }
        self.busy.store(false, Relaxed);
        self.holder.store(0, SeqCst);
        true
    }

    /// Ends tokio's part; tasks that block are left to themselves.
    pub(super) fn shut_down(&self) {
        let tokio = self.tokio.lock().take();
        if let Some(tokio) = tokio.and_then(Arc::into_inner) {
            tokio.shutdown_background();
        }
    }
}

//! How long a thread has had a core, asked by another thread.

use std::time::Duration;

/// The clock that goes on while one thread runs. It may outlive the thread.
#[derive(Clone, Copy)]
pub(crate) struct CpuClock {
    #[cfg(target_os = "linux")]
    id: libc::clockid_t,
}

impl CpuClock {
    /// The calling thread's. `None` where the system has no such clocks.
    pub(crate) fn of_this_thread() -> Option<Self> {
        #[cfg(target_os = "linux")]
        {
            let mut id = 0;
            // SAFETY: the calling thread is there, and `id` is ours to be written.
            let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut id) };
            (failed == 0).then_some(Self { id })
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// How long the thread has had a core. `None` if it is over.
    pub(crate) fn time(self) -> Option<Duration> {
        #[cfg(target_os = "linux")]
        {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the number of a clock, which the system looks up, and `time` is ours to be written.
            let failed = unsafe { libc::clock_gettime(self.id, &raw mut time) };
            let parts = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
            (failed == 0).then_some(Duration::new(parts.0, parts.1))
        }
        #[cfg(not(target_os = "linux"))]
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::CpuClock;

    #[test]
    fn it_goes_on_while_its_thread_runs_and_no_longer() {
        let (tell, told) = channel();
        let (go_on, goes_on) = channel();
        let other = thread::spawn(move || {
            tell.send(CpuClock::of_this_thread().expect("Linux has them")).unwrap();
            goes_on.recv().unwrap();
        });
        let clock: CpuClock = told.recv().unwrap();
        let mine = CpuClock::of_this_thread().expect("Linux has them");
        let (before, other_before) = (mine.time().unwrap(), clock.time().unwrap());
        // The other one sleeps meanwhile.
        while mine.time().unwrap() - before < Duration::from_millis(20) {}
        assert!(clock.time().unwrap() - other_before < Duration::from_millis(10));
        go_on.send(()).unwrap();
        other.join().unwrap();
        // The system knows it a little longer than that.
        while clock.time().is_some() {
            thread::yield_now();
        }
    }
}

//! How large a storm is, and what the program as a whole looks like meanwhile.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use ibeam::Runtime;
use tracing::{Event, Id, Level, Metadata, Subscriber, span};

use crate::common;

/// The first in the short form, the second in the long one.
pub(crate) fn pick<T>(short: T, long: T) -> T {
    match std::env::var("IBEAM_STORMS").as_deref() {
        Ok("long") => long,
        Ok("short") | Err(_) => short,
        Ok(other) => panic!("IBEAM_STORMS: expected `short` or `long`, got `{other}`"),
    }
}

/// Runs a storm as a process on two workers. In the short form one that hangs fails; the long one takes as long as it takes.
pub(crate) fn on_threads<B>(body: impl FnOnce() -> B)
where
    B: Future<Output = ()> + Send + 'static,
{
    if pick(true, false) {
        common::on_threads(2, body);
    } else {
        Runtime::builder().workers(2).build().expect("the system gives its threads").block_on(body());
    }
}

/// Lets one storm run at a time, and listens to crash reports, which would be printed otherwise.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| tracing::subscriber::set_global_default(Reports).expect("the first to listen"));
    // A storm that failed has said so itself.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Crash reports since the program began.
pub(crate) fn crash_reports() -> u64 {
    CRASHES.load(Ordering::Relaxed)
}

static CRASHES: AtomicU64 = AtomicU64::new(0);

struct Reports;

impl Subscriber for Reports {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.is_span() && *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == "ibeam::crash" {
            CRASHES.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Numbers by chance, from a seed.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// What the operating system says of this program. Linux only; elsewhere nothing grows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Program {
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
    pub(crate) resident_mib: usize,
}

impl Program {
    pub(crate) fn now() -> Self {
        let entries = |directory: &str| fs::read_dir(directory).map_or(0, Iterator::count);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|line| line.trim().split(' ').next()?.parse::<usize>().ok());
        Self {
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
            resident_mib: kib.unwrap_or(0) / 1024,
        }
    }
}

//! What the machine says about itself: core distance, resident memory, CPU time.

use std::fmt;
use std::hint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a cache line takes there and back between two spinning threads.
///
/// Figures that cross cores follow it, and on a virtual machine it can change within seconds, which is why every cell
/// prints its own.
pub(crate) struct PingPong {
    median_ns: f64,
    min_ns: f64,
}

impl PingPong {
    /// `None` when the machine was too busy.
    pub(crate) fn median(&self) -> Option<f64> {
        self.median_ns.is_finite().then_some(self.median_ns)
    }
}

impl fmt::Display for PingPong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.median_ns.is_infinite() {
            return f.write_str("not measured, the machine is too busy");
        }
        write!(f, "{:.0} ns (at best {:.0})", self.median_ns, self.min_ns)
    }
}

/// Round trips per sample: long against the clock's own cost, short against a time slice.
const TRIPS_PER_SAMPLE: u64 = 1_000;
const SAMPLES: usize = 40;
/// On a busy machine both threads can share a core, and each turn then costs a time slice.
const BUDGET: Duration = Duration::from_millis(500);

/// Measures the cache line's way between two threads: the median of 40 samples of 1,000 round trips.
///
/// Takes at most about half a second. On a machine too busy for one whole sample both figures are infinite.
pub(crate) fn cache_line_ping_pong() -> PingPong {
    const STOP: u64 = u64::MAX;
    let line = AtomicU64::new(0);
    let mut samples = Vec::with_capacity(SAMPLES);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut expected = 1;
            loop {
                match line.load(Ordering::Acquire) {
                    STOP => return,
                    seen if seen == expected => {
                        // Not a store: it could wipe out a stop that came meanwhile.
                        let _stopped =
                            line.compare_exchange(seen, seen + 1, Ordering::Release, Ordering::Relaxed);
                        expected += 2;
                    }
                    _ => hint::spin_loop(),
                }
            }
        });
        let begun = Instant::now();
        let mut turn = 0;
        'samples: for _ in 0..SAMPLES {
            let start = Instant::now();
            for _ in 0..TRIPS_PER_SAMPLE {
                line.store(turn + 1, Ordering::Release);
                let mut spins = 0_u32;
                while line.load(Ordering::Acquire) != turn + 2 {
                    hint::spin_loop();
                    spins = spins.wrapping_add(1);
                    if spins.is_multiple_of(65_536) && begun.elapsed() > BUDGET {
                        break 'samples;
                    }
                }
                turn += 2;
            }
            samples.push(start.elapsed().as_nanos() as f64 / TRIPS_PER_SAMPLE as f64);
        }
        line.store(STOP, Ordering::Release);
    });
    samples.sort_by(f64::total_cmp);
    PingPong {
        median_ns: samples.get(samples.len() / 2).copied().unwrap_or(f64::INFINITY),
        min_ns: samples.first().copied().unwrap_or(f64::INFINITY),
    }
}

/// The resident memory of this process in bytes.
///
/// # Panics
/// Where there is no `/proc`: the memory figures exist on Linux only.
pub(crate) fn resident_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// The most that it ever was.
///
/// # Panics
/// As [`resident_bytes`].
pub(crate) fn peak_resident_bytes() -> u64 {
    status_bytes("VmHWM:")
}

fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux's /proc is mounted");
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .expect("/proc/self/status has such a line, in kB");
    kilobytes * 1024
}

/// The CPU time that all threads of this process have used.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests of this program may give memory back meanwhile, so one look is not enough.
    #[test]
    fn resident_memory_grows_with_what_is_touched() {
        let looks: Vec<_> = (0..20)
            .map(|_| {
                let before = resident_bytes();
                let block = std::hint::black_box(vec![1_u8; 64 << 20]);
                let after = resident_bytes();
                drop(block);
                after.saturating_sub(before)
            })
            .collect();
        assert!(looks.iter().any(|&grown| grown > 60 << 20 && grown < 128 << 20), "{looks:?}");
    }

    /// The kernel keeps its two counters apart, and may be some pages behind with the peak.
    #[test]
    fn the_peak_stays_when_memory_is_given_back() {
        const BEHIND: u64 = 4 << 20;
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let held = resident_bytes();
        drop(block);
        let peak = peak_resident_bytes();
        assert!(held > 60 << 20 && peak + BEHIND >= held, "{held} held, {peak} at the peak");
    }

    #[test]
    fn cpu_time_counts_work() {
        let (before, start) = (cpu_time(), Instant::now());
        while cpu_time() - before < Duration::from_millis(5) {
            assert!(start.elapsed() < Duration::from_secs(60), "a minute of work was not counted");
        }
    }

    #[test]
    fn the_ping_pong_ends_and_says_what_it_saw() {
        let probe = cache_line_ping_pong();
        assert!(probe.min_ns <= probe.median_ns && probe.min_ns > 1.0);
        let busy = PingPong { median_ns: f64::INFINITY, min_ns: f64::INFINITY };
        assert_eq!(busy.to_string(), "not measured, the machine is too busy");
    }
}

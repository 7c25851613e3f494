//! Very many callers of one server whose mailbox has a bound: each call ends with its own reply, and memory stays flat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ibeam::{Metrics, Overflow, prelude::*};

use crate::common::until;
use crate::scale::{Program, alone, on_threads, pick};

/// How many requests the mailbox takes.
const BOUND: u32 = 1_000;
/// How many looks at the memory there are after the first tenth of the time.
const LOOKS: u32 = 9;

struct Doubler;

#[gen_server]
impl Doubler {
    async fn init(_: ()) -> Init<Self> {
        Init::ok(Doubler)
    }

    #[call]
    async fn double(&mut self, number: u64) -> u64 {
        number * 2
    }
}

/// Calls until it is told to stop, and counts.
async fn caller(server: ServerRef<Doubler>, first: u64, stop: Arc<AtomicBool>, calls: Arc<AtomicU64>) {
    let mut number = first;
    while !stop.load(Ordering::Relaxed) {
        let doubled = server.double(number).timeout(Timeout::Infinity).await;
        assert_eq!(doubled, Ok(number * 2), "the reply to this very call");
        calls.fetch_add(1, Ordering::Relaxed);
        number += 1;
    }
}

#[test]
fn a_crowd_of_callers_is_served_in_flat_memory() {
    let _alone = alone();
    let (callers, time) = pick((3_000_u64, Duration::from_secs(2)), (100_000, Duration::from_secs(60)));
    on_threads(move || async move {
        let server = Doubler::start_link(()).mailbox(BOUND, Overflow::Wait).await.unwrap();
        let before = Metrics::current().processes;
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        for number in 0..callers {
            let caller = caller(server.clone(), number << 32, Arc::clone(&stop), Arc::clone(&calls));
            process::spawn(caller);
        }
        process::sleep(time / (LOOKS + 1)).await;
        let warm = Program::now();
        let mut looks = Vec::new();
        for _ in 0..LOOKS {
            process::sleep(time / (LOOKS + 1)).await;
            let queued = process::info(server.pid().unwrap()).await.unwrap().message_queue_len;
            assert!(queued <= BOUND as usize, "{queued} in a mailbox for {BOUND}");
            looks.push(Program::now().resident_mib);
        }
        // Each has had its turn, and somebody a second one. On a busy machine that may take longer.
        until(|| calls.load(Ordering::Relaxed) > callers).await;
        let most = looks.iter().copied().max().unwrap_or(0);
        assert!(most <= warm.resident_mib + warm.resident_mib / 10 + 16, "{warm:?}, then {looks:?} MiB");
        stop.store(true, Ordering::Relaxed);
        // All callers leave.
        until(|| Metrics::current().processes == before).await;
        assert_eq!(Metrics::current().undelivered.total(), 0);
    });
}

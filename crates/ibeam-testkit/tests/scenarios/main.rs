//! Systems as programs have them, in simulations where much goes wrong: what OTP promises has to hold all the same.
//!
//! | file | what it is about |
//! |---|---|
//! | `supervision.rs` | trees whose processes are killed |
//! | `dynamic.rs` | children that come and go, partitions |
//! | `calls.rs` | requests and their ends |
//! | `links_monitors.rs` | who hears of whose end |
//! | `names.rs` | one name, one process |
//! | `mailboxes.rs` | order and bounds |
//! | `timers.rs` | never early, never after a cancel |
//!
//! Each is run with 20 seeds by `cargo test`, and with `IBEAM_SEEDS=1000` in CI.

mod calls;
mod dynamic;
mod links_monitors;
mod mailboxes;
mod names;
mod supervision;
mod timers;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ibeam::prelude::*;
use ibeam::sim::Victim;
use ibeam::supervisor::ServerChild;
use ibeam_testkit::{Supervised, start_supervised};

const MS: Duration = Duration::from_millis(1);
/// As good as never too many restarts.
const OFTEN: (usize, Duration) = (1_000, Duration::from_secs(1));

/// How often each worker was started.
#[derive(Clone, Default)]
struct Starts(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Starts {
    fn of(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

/// A server that knows which of its lives this is.
struct Worker {
    life: u64,
    value: u64,
}

#[gen_server]
impl Worker {
    async fn init(name: &'static str, starts: Starts) -> Init<Self> {
        let mut starts = starts.0.lock().unwrap();
        let life = starts.entry(name).or_default();
        *life += 1;
        Init::ok(Worker { life: *life, value: 0 })
    }

    #[call]
    async fn life(&mut self) -> u64 {
        self.life
    }

    /// Adds, and says in which life, and to what.
    #[call]
    async fn add(&mut self, by: u64) -> (u64, u64) {
        self.value += by;
        (self.life, self.value)
    }

    /// Answers when it is too late for most.
    #[call]
    async fn slowly(&mut self, time: Duration) -> u64 {
        process::sleep(time).await;
        self.life
    }

    #[call]
    async fn later(&mut self, from: CallFrom<u64>) -> Reply<u64> {
        let life = self.life;
        process::spawn(async move {
            process::sleep(MS).await;
            from.reply(life);
        });
        Reply::later()
    }
}

fn worker(name: &'static str, starts: &Starts) -> ServerChild<Worker> {
    Worker::child((name, starts.clone())).id(name).name(name)
}

fn named(name: &'static str) -> ServerRef<Worker> {
    ServerRef::named(name)
}

/// Those that have a name are killed: the workers, not their supervisors.
fn with_a_name(victim: &Victim) -> bool {
    victim.name.is_some()
}

/// Lets the faults strike for a while, then no more, and waits until restarts are over.
async fn until_quiet() {
    process::sleep(Duration::from_secs(1)).await;
    ibeam::sim::calm();
    process::sleep(Duration::from_secs(30)).await;
}

/// Starts it, again and again where the faults do not let it.
async fn started<C: Supervised>(child: impl Fn() -> C) -> C::Handle {
    loop {
        if let Ok(handle) = start_supervised(child()).await {
            return handle;
        }
    }
}

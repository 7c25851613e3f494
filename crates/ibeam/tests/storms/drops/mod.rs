//! Every future of the library, dropped after each number of polls.
//!
//! Goal: nothing of it is left. No link, monitor, name, timer or process but those that the future's "Cancel safety" says, and no
//! message in the mailbox of who dropped it. Method: in a simulation, for each number of polls until the future is over in fewer, with the
//! process' own waker and with another one, and for many seeds. What was started is killed then, an hour passes, and all tables are looked
//! at.
//!
//! | file | futures of |
//! |---|---|
//! | `processes.rs` | processes and GenServers |
//! | `supervisors.rs` | supervisors of all kinds |
//! | `tasks.rs` | tasks, streams of them, task supervisors |
//! | `registries.rs` | agents, registries, PubSub |

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ibeam::sim::Simulation;
use ibeam::{Metrics, prelude::*};

use crate::scale::{alone, pick};

/// The cases of a file, by name: each makes a future and tries it.
macro_rules! cases {
    ($($name:literal: $run:expr;)*) => {
        pub(super) const CASES: &[(&str, Case)] = &[$(($name, |with| Box::pin($run(with)))),*];
    };
}

mod processes;
mod registries;
mod supervisors;
mod tasks;

/// With how many polls a future is tried at most: none needs as many.
const POLLS_MAX: usize = 40;
/// A future that is not woken for so long will not be.
const NEVER: Duration = Duration::from_secs(600);

/// How a future is polled and dropped.
#[derive(Clone, Copy, Debug)]
struct Try {
    polls: usize,
    /// With a waker that is not the process' own, as under `FuturesUnordered`.
    foreign: bool,
}

struct Forward(Waker);

impl Wake for Forward {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

impl Try {
    /// Polls the future so often, then drops it. `true`: it was over before.
    async fn this<F: IntoFuture>(self, future: F) -> bool {
        let mut future = Box::pin(future.into_future());
        let mut never = Box::pin(process::sleep(NEVER));
        let mut left = self.polls;
        let over = poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            let foreign = Waker::from(Arc::new(Forward(cx.waker().clone())));
            let mut with = Context::from_waker(if self.foreign { &foreign } else { cx.waker() });
            if future.as_mut().poll(&mut with).is_ready() || never.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            if left == 0 { Poll::Ready(false) } else { Poll::Pending }
        });
        let over = over.await;
        drop(never);
        drop(future);
        over
    }
}

type Case = fn(Try) -> Pin<Box<dyn Future<Output = bool> + Send>>;

/// A server that answers at once, late, or never.
struct Server;

#[gen_server]
impl Server {
    async fn init(wait: Duration) -> Init<Self> {
        process::sleep(wait).await;
        Init::ok(Server)
    }

    #[call]
    async fn now(&mut self) -> u64 {
        1
    }

    #[call]
    async fn late(&mut self, from: CallFrom<u64>) -> Reply<u64> {
        process::spawn(async move {
            process::sleep(Duration::from_secs(1)).await;
            from.reply(2);
        });
        Reply::later()
    }

    #[call]
    async fn never(&mut self) -> u64 {
        std::future::pending().await
    }

    async fn terminate(&mut self, _: &ExitReason) {
        process::sleep(Duration::from_secs(1)).await;
    }
}

const AT_ONCE: Duration = Duration::ZERO;
const A_SECOND: Duration = Duration::from_secs(1);

async fn server() -> ServerRef<Server> {
    Server::start(AT_ONCE).await.expect("it starts")
}

/// Runs a case as a process that traps exits; `true` if the future was over before it was dropped.
async fn leaves_nothing(case: Case, with: Try) -> bool {
    process::trap_exit(true);
    let me = process::self_pid();
    let over = case(with).await;
    // Whoever was to answer or to start has done so.
    process::sleep(Duration::from_secs(30)).await;
    let info = process::info(me).await.expect("this process");
    let mine: Vec<_> = process::list().into_iter().filter(|pid| *pid != me).collect();
    let strangers: Vec<_> = info.links.iter().filter(|pid| !mine.contains(pid)).collect();
    assert!(strangers.is_empty(), "links to {strangers:?}");
    assert_eq!(info.monitors, [], "monitors");
    assert_eq!(info.monitored_by, [], "somebody still watches");
    // What was started may stay, as the futures' docs say. With it all of this goes.
    mine.into_iter().for_each(process::kill);
    process::sleep(Duration::from_secs(3600)).await;
    let mut left = Vec::new();
    while let Some(message) = process::try_recv() {
        if !message.is::<Exit>() {
            left.push(message);
        }
    }
    assert!(left.is_empty(), "messages: {left:?}");
    assert_eq!(process::list(), [me], "processes");
    assert_eq!(process::registered(), Vec::<Name>::new(), "names");
    assert_eq!(Metrics::current().timers, 0, "timers");
    let info = process::info(me).await.expect("this process");
    assert_eq!((info.links, info.monitors), (vec![], vec![]));
    over
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_behind() {
    let _alone = alone();
    let seeds = pick(3, 500);
    let cases = [processes::CASES, supervisors::CASES, tasks::CASES, registries::CASES];
    for (name, case) in cases.into_iter().flatten() {
        for (seed, foreign) in (0..seeds).flat_map(|seed| [(seed, false), (seed, true)]) {
            let over = (0..POLLS_MAX).any(|polls| {
                let with = Try { polls, foreign };
                let run = || Simulation::new(seed).run(leaves_nothing(*case, with));
                std::panic::catch_unwind(run)
                    .unwrap_or_else(|_| panic!("{name}, {with:?}, seed {seed}: see the crash above"))
            });
            assert!(over, "{name} is not over after {POLLS_MAX} polls");
        }
    }
}

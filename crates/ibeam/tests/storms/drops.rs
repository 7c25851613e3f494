//! Every future of the library, dropped after each number of polls.
//!
//! Goal: nothing of it is left. No link, monitor, name, timer or process but those that the future's "Cancel safety" says, and no
//! message in the mailbox of who dropped it. Method: in a simulation, for each number of polls until the future is over in fewer, with the
//! process' own waker and with another one, and for many seeds. What was started is killed then, an hour passes, and all tables are looked
//! at.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ibeam::gen_server::{RequestIds, send_request};
use ibeam::sim::Simulation;
use ibeam::supervisor;
use ibeam::{Metrics, Overflow, prelude::*, proc_lib};

use crate::scale::{alone, pick};

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

macro_rules! cases {
    ($($name:literal: $run:expr;)*) => {
        const CASES: &[(&str, Case)] = &[$(($name, |with| Box::pin($run(with)))),*];
    };
}

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

fn worker(id: &str) -> ChildSpec {
    ChildSpec::new(id, || async { Ok(process::spawn_link(std::future::pending::<()>())) })
}

async fn tree() -> SupervisorRef {
    let supervisor = Supervisor::new(Strategy::OneForOne).child(worker("a")).child(worker("b"));
    supervisor.start().await.expect("it starts")
}

async fn rooms() -> DynamicSupervisorRef {
    DynamicSupervisor::spec().start().await.expect("it starts")
}

async fn parts() -> PartitionSupervisorRef<supervisor::ServerChild<Server>> {
    PartitionSupervisor::new("parts", Server::child(AT_ONCE)).partitions(2).start().await.expect("it starts")
}

/// A process with room for one message, which it never takes.
async fn full() -> Pid {
    let full = process::builder().mailbox(1, Overflow::Wait).spawn(std::future::pending::<()>());
    full.send("fills it");
    full
}

cases! {
    "recv": |with: Try| async move { with.this(process::recv()).await };
    "a selective receive": |with: Try| async move { with.this(ibeam::process::receive_with(|message| message.arm(|n: u64| Ok::<_, u64>(n)))).await };
    "a receive with a limit": |with: Try| async move { with.this(ibeam::process::receive_with(|message| message.arm(|n: u64| Ok::<_, u64>(n))).after(A_SECOND)).await };
    "sleep": |with: Try| async move { with.this(process::sleep(A_SECOND)).await };
    "yield_now": |with: Try| async move { with.this(process::yield_now()).await };
    "hibernate": |with: Try| async move { with.this(process::hibernate()).await };
    "info": |with: Try| async move {
        let pid = process::spawn(std::future::pending::<()>());
        with.this(process::info(pid)).await
    };
    "send_wait": |with: Try| async move {
        let full = full().await;
        with.this(full.send_wait(2_u64)).await
    };
    "a call": |with: Try| async move { with.this(server().await.now()).await };
    "a call without a limit": |with: Try| async move { with.this(server().await.now().timeout(Timeout::Infinity)).await };
    "a call with a late reply": |with: Try| async move { with.this(server().await.late()).await };
    "a call that times out": |with: Try| async move { with.this(server().await.never().timeout(A_SECOND)).await };
    "a call of a full mailbox": |with: Try| async move {
        let full = ServerRef::<Server>::of(full().await);
        with.this(full.now().timeout(A_SECOND)).await
    };
    "a call of one that dies": |with: Try| async move {
        let server = server().await;
        process::kill_after(server.pid().unwrap(), Duration::from_millis(10));
        with.this(server.never()).await
    };
    "a call that waits for a name": |with: Try| async move {
        let named = ServerRef::<Server>::named("later");
        process::spawn(async {
            process::sleep(Duration::from_millis(10)).await;
            Server::start(AT_ONCE).name("later").await.expect("it starts");
        });
        with.this(named.now().wait_for_name()).await
    };
    "a call that waits for a name in vain": |with: Try| async move {
        with.this(ServerRef::<Server>::named("nobody").now().wait_for_name().timeout(A_SECOND)).await
    };
    "a response": |with: Try| async move {
        let request = send_request(server().await.late());
        with.this(request.receive_response(Timeout::Infinity)).await
    };
    "a response that does not come": |with: Try| async move {
        let request = send_request(server().await.never());
        with.this(request.receive_response(A_SECOND)).await
    };
    "a wait for a response": |with: Try| async move {
        let mut request = send_request(server().await.late());
        with.this(request.wait_response(A_SECOND * 2)).await
    };
    "the next response of many": |with: Try| async move {
        let server = server().await;
        let mut requests = RequestIds::<u64, u64>::new();
        requests.add(send_request(server.late()), 1);
        requests.add(send_request(server.now()), 2);
        with.this(requests.receive_response(Timeout::Infinity)).await
    };
    "start": |with: Try| async move { with.this(Server::start(A_SECOND)).await };
    "start_link": |with: Try| async move { with.this(Server::start_link(A_SECOND)).await };
    "start with a name": |with: Try| async move { with.this(Server::start(A_SECOND).name("server")).await };
    "start with a monitor": |with: Try| async move {
        let start = async {
            let (_server, monitor) = Server::start(A_SECOND).monitored().await.expect("it starts");
            process::demonitor_flush(monitor);
        };
        with.this(start).await
    };
    "start of one that takes too long": |with: Try| async move { with.this(Server::start(A_SECOND * 3).timeout(A_SECOND)).await };
    "start of a name that is taken": |with: Try| async move {
        let _taken = Server::start(AT_ONCE).name("server").await.expect("it starts");
        with.this(Server::start(AT_ONCE).name("server")).await
    };
    "stop": |with: Try| async move { with.this(server().await.stop(ExitReason::Normal, Timeout::Infinity)).await };
    "stop of one that takes too long": |with: Try| async move {
        with.this(server().await.stop(ExitReason::Normal, Duration::from_millis(1))).await
    };
    "proc_lib's start": |with: Try| async move {
        let start = proc_lib::start(|starter| async move {
            process::sleep(A_SECOND).await;
            starter.init_ack(1_u32);
            std::future::pending::<()>().await
        });
        with.this(start).await
    };
    "a supervisor's start": |with: Try| async move {
        let slow = Server::child(A_SECOND).id("slow");
        with.this(Supervisor::new(Strategy::OneForOne).name("tree").child(worker("a")).child(slow).start_link()).await
    };
    "start_child": |with: Try| async move { with.this(tree().await.start_child(Server::child(A_SECOND))).await };
    "terminate_child": |with: Try| async move { with.this(tree().await.terminate_child("a")).await };
    "restart_child": |with: Try| async move {
        let tree = tree().await;
        tree.terminate_child("a").await.expect("it is there");
        with.this(tree.restart_child("a")).await
    };
    "delete_child": |with: Try| async move {
        let tree = tree().await;
        tree.terminate_child("a").await.expect("it is there");
        with.this(tree.delete_child("a")).await
    };
    "which_children": |with: Try| async move { with.this(tree().await.which_children()).await };
    "which_child": |with: Try| async move { with.this(tree().await.which_child("a")).await };
    "count_children": |with: Try| async move { with.this(tree().await.count_children()).await };
    "child_spec": |with: Try| async move { with.this(tree().await.child_spec("a")).await };
    "a supervisor's stop": |with: Try| async move {
        with.this(tree().await.stop(ExitReason::Normal, Timeout::Infinity)).await
    };
    "a look at a tree": |with: Try| async move { with.this(supervisor::tree(&tree().await)).await };
    "a dynamic supervisor's start": |with: Try| async move { with.this(DynamicSupervisor::new("rooms").start_link()).await };
    "a dynamic supervisor's start_child": |with: Try| async move {
        with.this(rooms().await.start_child(Server::child(A_SECOND))).await
    };
    "a dynamic supervisor's terminate_child": |with: Try| async move {
        let rooms = rooms().await;
        let child = rooms.start_child(Server::child(AT_ONCE)).await.expect("it starts");
        with.this(rooms.terminate_child(child.pid().unwrap())).await
    };
    "a dynamic supervisor's which_children": |with: Try| async move { with.this(rooms().await.which_children()).await };
    "a dynamic supervisor's count_children": |with: Try| async move { with.this(rooms().await.count_children()).await };
    "a dynamic supervisor's stop": |with: Try| async move {
        let rooms = rooms().await;
        rooms.start_child(Server::child(AT_ONCE)).await.expect("it starts");
        with.this(rooms.stop(ExitReason::Normal, Timeout::Infinity)).await
    };
    "a partition supervisor's start": |with: Try| async move {
        with.this(PartitionSupervisor::new("parts", Server::child(A_SECOND)).partitions(2).start_link()).await
    };
    "resize": |with: Try| async move { with.this(parts().await.resize(1)).await };
    "a partition supervisor's which_children": |with: Try| async move { with.this(parts().await.which_children()).await };
    "a partition supervisor's count_children": |with: Try| async move { with.this(parts().await.count_children()).await };
    "a partition supervisor's stop": |with: Try| async move {
        with.this(parts().await.stop(ExitReason::Normal, Timeout::Infinity)).await
    };
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
    for (name, case) in CASES {
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

//! Children for the tests of dynamic and partition supervisors, and what one asks about them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::time::Duration;

use ibeam::dynamic_supervisor::Recipe;
use ibeam::prelude::*;
use ibeam::supervisor::{ChildCounts, StartedChild};

/// Keeps a number.
pub(crate) struct Keeper(pub(crate) u64);

#[gen_server(client = pub(crate) KeeperClient)]
impl Keeper {
    pub(crate) async fn init(number: u64) -> Init<Self> {
        Init::ok(Keeper(number))
    }

    #[call]
    pub(crate) async fn number(&mut self) -> u64 {
        self.0
    }

    #[call]
    pub(crate) async fn set(&mut self, number: u64) {
        self.0 = number;
    }

    #[cast]
    pub(crate) async fn crash(&mut self) {
        process::exit(ExitReason::other("crash"));
    }
}

/// Does nothing until it is ended.
pub(crate) fn sleeper() -> ChildSpec {
    ChildSpec::new("sleeper", || async { Ok(process::spawn_link(std::future::pending::<()>())) })
}

/// Traps exits, and ends with `reason` on its first message.
pub(crate) fn answers(reason: ExitReason) -> ChildSpec {
    ChildSpec::new("answers", move || {
        let reason = reason.clone();
        async move {
            let child = process::builder().link().trap_exit();
            Ok(child.spawn(async move {
                process::recv().await;
                process::exit(reason);
            }))
        }
    })
}

/// Traps exits and takes no notice of them.
pub(crate) fn deaf() -> ChildSpec {
    ChildSpec::new("deaf", || async {
        Ok(process::builder().link().trap_exit().spawn(std::future::pending::<()>()))
    })
}

/// How many children there are: specs, active, supervisors, workers.
pub(crate) async fn counts<R: Recipe>(supervisor: &DynamicSupervisorRef<R>) -> (usize, usize, usize, usize) {
    let ChildCounts { specs, active, supervisors, workers, .. } = supervisor.count_children().await.unwrap();
    (specs, active, supervisors, workers)
}

/// The pids of the children that run.
pub(crate) async fn pids<R: Recipe>(supervisor: &DynamicSupervisorRef<R>) -> Vec<Pid> {
    let children = supervisor.which_children().await.unwrap();
    children.into_iter().filter_map(|child| child.pid).collect()
}

pub(crate) fn pid(started: StartedChild) -> Pid {
    started.pid.expect("a child that runs")
}

/// Ends a process, and waits until it is gone: its supervisor has been told before us.
pub(crate) async fn end(pid: Pid, reason: ExitReason) {
    let monitor = process::monitor(pid);
    process::exit_signal(pid, reason);
    down_of(monitor).await;
}

/// Waits for the notice of this monitor.
pub(crate) async fn down_of(monitor: Reference) -> ExitReason {
    receive! { Down { monitor: gone, reason, .. } if gone == monitor => reason }
}

/// Every 10 ms of virtual time, until it holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    for _ in 0..1_000 {
        if condition().await {
            return;
        }
        process::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to hold within 10 s");
}

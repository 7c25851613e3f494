//! Runs a program on ibeam, in the simulation: the twin of `erlang/supervisors.erl`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ibeam::prelude::*;
use ibeam::sim::Simulation;
use ibeam::supervisor::{
    self, ChildError, DeleteChildError, FailedToStartChild, RestartChildError, Significant, StartChildError,
    StartedChild,
};

use super::program::{AutoShutdown, Body, Child, Restart, Script, Shutdown, Start, Step, Strategy};
use crate::processes::program::Reason;
use crate::processes::reason_word;

/// Over which everything is that a step has caused.
const SETTLED: Duration = Duration::from_secs(10);

#[derive(Default)]
struct World {
    words: Vec<String>,
    step: usize,
    starts: BTreeMap<u32, usize>,
    pids: BTreeMap<u32, Pid>,
    watcher: Option<Pid>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nobody panics while it is locked")
    }

    fn log(&self, word: impl AsRef<str>) {
        let mut world = self.lock();
        let word = format!("{}:{}", world.step, word.as_ref());
        world.words.push(word);
    }
}

/// To the watcher: a child has started; its supervisor waits for `Watched`.
struct Watch(u32, Pid, Pid);
struct Watched;
/// To a child: end by yourself.
struct Die(ExitReason);

/// Writes down that the child has ended, before anybody can know.
struct Ends(Shared, u32);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.log(format!("-{}", self.1));
    }
}

pub(super) fn run(script: &Script, seed: u64) -> String {
    let script = script.clone();
    Simulation::new(seed).run(async move {
        process::trap_exit(true);
        let world = Shared(Arc::default());
        let watcher = process::spawn(watch(world.clone()));
        world.lock().watcher = Some(watcher);
        let supervisor = Supervisor::new(match script.strategy {
            Strategy::OneForOne => supervisor::Strategy::OneForOne,
            Strategy::OneForAll => supervisor::Strategy::OneForAll,
            Strategy::RestForOne => supervisor::Strategy::RestForOne,
        })
        .intensity(script.intensity, Duration::from_secs(3600))
        .auto_shutdown(match script.auto_shutdown {
            AutoShutdown::Never => supervisor::AutoShutdown::Never,
            AutoShutdown::Any => supervisor::AutoShutdown::AnySignificant,
            AutoShutdown::All => supervisor::AutoShutdown::AllSignificant,
        })
        .children(script.children.iter().map(|child| spec(&world, child)))
        .start_link()
        .await;
        match supervisor {
            Ok(supervisor) => {
                let pid = supervisor.pid().expect("it was started by pid");
                survey(&world, &supervisor, pid).await;
                for step in script.steps {
                    world.lock().step += 1;
                    if let Some(result) = perform(&world, &supervisor, step).await {
                        world.log(format!("={result}"));
                    }
                    survey(&world, &supervisor, pid).await;
                }
                process::exit_signal(pid, ExitReason::Shutdown);
                process::sleep(SETTLED).await;
                log_the_end(&world, pid);
            }
            Err(StartError::Init { reason }) => {
                process::sleep(SETTLED).await;
                let failed = reason.downcast_ref::<FailedToStartChild>();
                world.log(format!(
                    "failed={}",
                    failed.map_or_else(|| reason.to_string(), |f| f.id.to_string())
                ));
            }
            Err(other) => world.log(format!("failed={other}")),
        }
        let words = std::mem::take(&mut world.lock().words);
        words.join(" ")
    })
}

async fn watch(world: Shared) {
    let mut ids = BTreeMap::new();
    loop {
        receive! {
            Watch(id, pid, supervisor) => {
                ids.insert(process::monitor(pid), id);
                supervisor.send(Watched);
            },
            Down { monitor, reason, .. } => {
                world.log(format!("r{}.{}", ids[&monitor], reason_word(&reason)));
            },
        }
    }
}

fn spec(world: &Shared, child: &Child) -> ChildSpec {
    let Child { id, body, .. } = *child;
    let (world, plan) = (world.clone(), child.plan.clone());
    let spec = ChildSpec::new(id.to_string(), move || {
        let planned = {
            let mut world = world.lock();
            let starts = world.starts.entry(id).or_default();
            *starts += 1;
            plan.get(*starts - 1).copied().unwrap_or(Start::Ok)
        };
        world.log(match planned {
            Start::Ok => format!("+{id}"),
            Start::Ignore => format!("?{id}"),
            Start::Error(_) | Start::Crash => format!("!{id}"),
        });
        let world = world.clone();
        async move {
            match planned {
                Start::Ok => {}
                Start::Ignore => return Err(StartError::Ignored),
                Start::Error(value) => return Err(StartError::Init { reason: ExitReason::other(value) }),
                Start::Crash => panic!("crash"),
            }
            let ends = Ends(world.clone(), id);
            let builder = process::builder().link();
            let builder = if body == Body::Plain { builder } else { builder.trap_exit() };
            let pid = builder.spawn(async move {
                let _ends = ends;
                live(body).await;
            });
            let watcher = {
                let mut world = world.lock();
                world.pids.insert(id, pid);
                world.watcher.expect("it was the first")
            };
            watcher.send(Watch(id, pid, process::self_pid()));
            receive! { Watched => {} }
            Ok(pid)
        }
    });
    let spec = spec
        .restart(match child.restart {
            Restart::Permanent => supervisor::Restart::Permanent,
            Restart::Transient => supervisor::Restart::Transient,
            Restart::Temporary => supervisor::Restart::Temporary,
        })
        .shutdown(match child.shutdown {
            Shutdown::BrutalKill => supervisor::Shutdown::BrutalKill,
            Shutdown::Timeout => supervisor::Shutdown::Timeout(Duration::from_millis(1)),
            Shutdown::Infinity => supervisor::Shutdown::Infinity,
        });
    match child.restart {
        Restart::Transient if child.significant => spec.significant(Significant::Transient),
        Restart::Temporary if child.significant => spec.significant(Significant::Temporary),
        _ => spec,
    }
}

async fn live(body: Body) {
    loop {
        receive! {
            Die(reason) => process::exit(reason),
            Exit { reason, .. } => match body {
                Body::Obeys => process::exit(reason),
                Body::Lies => process::exit(ExitReason::other(9_u32)),
                Body::Leaves => return,
                Body::Plain | Body::Deaf => {}
            },
        }
    }
}

async fn perform(world: &Shared, supervisor: &SupervisorRef, step: Step) -> Option<String> {
    match step {
        Step::Exit(id, reason) => {
            let Some(pid) = world.lock().pids.get(&id).copied() else { return Some("nobody".to_owned()) };
            match reason {
                Reason::Kill => process::kill(pid),
                reason => pid.send(Die(reason.into())),
            }
            None
        }
        Step::Start(child) => Some(match supervisor.start_child(spec(world, &child)).await {
            Ok(started) => started_word(&started),
            Err(StartChildError::AlreadyStarted { .. }) => "already_started".to_owned(),
            Err(StartChildError::AlreadyPresent { .. }) => "already_present".to_owned(),
            Err(StartChildError::Start { error, .. }) => failure_word(&error),
            Err(StartChildError::Call(_)) => "noproc".to_owned(),
            Err(other) => other.to_string(),
        }),
        Step::Terminate(id) => Some(match supervisor.terminate_child(id.to_string()).await {
            Ok(()) => "ok".to_owned(),
            Err(ChildError::NotFound { .. }) => "not_found".to_owned(),
            Err(ChildError::Call(_)) => "noproc".to_owned(),
            Err(other) => other.to_string(),
        }),
        Step::Restart(id) => Some(match supervisor.restart_child(id.to_string()).await {
            Ok(started) => started_word(&started),
            Err(RestartChildError::NotFound { .. }) => "not_found".to_owned(),
            Err(RestartChildError::Running { .. }) => "running".to_owned(),
            Err(RestartChildError::Restarting { .. }) => "restarting".to_owned(),
            Err(RestartChildError::Start { error, .. }) => failure_word(&error),
            Err(RestartChildError::Call(_)) => "noproc".to_owned(),
            Err(other) => other.to_string(),
        }),
        Step::Delete(id) => Some(match supervisor.delete_child(id.to_string()).await {
            Ok(()) => "ok".to_owned(),
            Err(DeleteChildError::NotFound { .. }) => "not_found".to_owned(),
            Err(DeleteChildError::Running { .. }) => "running".to_owned(),
            Err(DeleteChildError::Restarting { .. }) => "restarting".to_owned(),
            Err(DeleteChildError::Call(_)) => "noproc".to_owned(),
            Err(other) => other.to_string(),
        }),
    }
}

fn started_word(started: &StartedChild) -> String {
    if started.pid.is_some() { "ok" } else { "ignored" }.to_owned()
}

fn failure_word(error: &StartError) -> String {
    match error {
        StartError::Init { reason: ExitReason::Other(value) } => format!("v({value})"),
        _ => "error".to_owned(),
    }
}

/// Waits until nothing moves, and says who is there.
async fn survey(world: &Shared, supervisor: &SupervisorRef, pid: Pid) {
    process::sleep(SETTLED).await;
    let Ok(children) = supervisor.which_children().await else { return log_the_end(world, pid) };
    let state = |child: &supervisor::ChildInfo| match child.pid {
        Some(_) => "+",
        None if child.restarting => "*",
        None => "-",
    };
    let children: Vec<String> =
        children.iter().map(|child| format!("{}{}", child.id, state(child))).collect();
    world.log(format!("[{}]", children.join(",")));
    let Ok(count) = supervisor.count_children().await else { return };
    world.log(format!("count={}/{}/{}/{}", count.specs, count.active, count.supervisors, count.workers));
}

/// If the supervisor has ended, and that was not said yet: why.
fn log_the_end(world: &Shared, supervisor: Pid) {
    while let Some(message) = process::try_recv() {
        if let Ok(exit) = message.downcast::<Exit>()
            && exit.pid == supervisor
        {
            world.log(format!("end={}", reason_word(&exit.reason)));
        }
    }
}

//! Children and questions for the tests of supervisors.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ibeam::KeyTaken;
use ibeam::prelude::*;
use ibeam::supervisor::{ChildCounts, ChildInfo};

/// A naming service.
#[derive(Clone, Default)]
pub(crate) struct Phonebook(Arc<Mutex<HashMap<&'static str, Pid>>>);

impl NameRegistry for Phonebook {
    type Key = &'static str;

    fn name(&self) -> &str {
        "registry"
    }

    async fn register(&self, key: &&'static str, pid: Pid) -> Result<(), KeyTaken> {
        let taken = self.0.lock().unwrap().insert(key, pid);
        taken.map_or(Ok(()), |pid| Err(KeyTaken { pid }))
    }

    async fn unregister(&self, key: &&'static str) {
        self.0.lock().unwrap().remove(key);
    }

    fn whereis(&self, key: &&'static str) -> Option<Pid> {
        self.0.lock().unwrap().get(key).copied()
    }
}

/// What has happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn write(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    /// What was written since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A child that runs `body`, linked to its supervisor.
pub(crate) fn child<F, B>(id: &str, body: F) -> ChildSpec
where
    F: Fn() -> B + Send + Sync + 'static,
    B: Future<Output = ()> + Send + 'static,
{
    ChildSpec::new(id, move || {
        let body = body();
        async move { Ok(process::spawn_link(body)) }
    })
}

/// To a child of this module: end by yourself, with this reason.
pub(crate) struct Do(pub(crate) ExitReason);

/// What most children here do: nothing, until they are told to end.
pub(crate) async fn obey() {
    receive! { Do(reason) => process::exit(reason) }
}

/// A child that does nothing until it is ended.
pub(crate) fn worker(id: &str) -> ChildSpec {
    child(id, obey)
}

/// A child that writes down its starts as `+id`.
pub(crate) fn logged(id: &str, log: &Log) -> ChildSpec {
    let (name, log) = (id.to_owned(), log.clone());
    ChildSpec::new(id, move || {
        log.write(format!("+{name}"));
        async move { Ok(process::spawn_link(obey())) }
    })
}

/// A child that writes down its starts as `+id` and, as it takes its leave, its stops as `-id`.
pub(crate) fn polite(id: &str, log: &Log) -> ChildSpec {
    let (name, log) = (id.to_owned(), log.clone());
    ChildSpec::new(id, move || {
        let (name, log) = (name.clone(), log.clone());
        async move {
            log.write(format!("+{name}"));
            Ok(process::builder().link().trap_exit().spawn(async move {
                let reason = receive! { Exit { reason, .. } => reason, Do(reason) => reason };
                log.write(format!("-{name}"));
                process::exit(reason);
            }))
        }
    })
}

/// A child that answers the request to stop by ending with this reason.
pub(crate) fn ends_with(id: &str, reason: ExitReason) -> ChildSpec {
    ChildSpec::new(id, move || {
        let reason = reason.clone();
        async move {
            Ok(process::builder().link().trap_exit().spawn(async move {
                let reason = receive! { Exit { .. } => reason, Do(reason) => reason };
                process::exit(reason);
            }))
        }
    })
}

/// A child that does not hear the request to stop.
pub(crate) fn deaf(id: &str) -> ChildSpec {
    ChildSpec::new(id, || async {
        Ok(process::builder().link().trap_exit().spawn(std::future::pending::<()>()))
    })
}

/// Whether a child starts, to be changed while it is restarted.
#[derive(Clone)]
pub(crate) struct Switch(Arc<Mutex<bool>>);

impl Switch {
    pub(crate) fn on() -> Self {
        Self(Arc::new(Mutex::new(true)))
    }

    pub(crate) fn set(&self, on: bool) {
        *self.0.lock().unwrap() = on;
    }

    pub(crate) fn is_on(&self) -> bool {
        *self.0.lock().unwrap()
    }
}

/// A child whose start fails while the switch is off. Writes down its starts as `+id` and its failures as `!id`.
pub(crate) fn switched(id: &str, switch: &Switch, log: &Log) -> ChildSpec {
    let (name, switch, log) = (id.to_owned(), switch.clone(), log.clone());
    ChildSpec::new(id, move || {
        let on = switch.is_on();
        log.write(format!("{}{name}", if on { '+' } else { '!' }));
        async move {
            if on {
                Ok(process::spawn_link(obey()))
            } else {
                Err(StartError::Init { reason: ExitReason::other("off") })
            }
        }
    })
}

/// A supervisor that the test is linked to; the test traps exits.
pub(crate) async fn start(supervisor: Supervisor) -> SupervisorRef {
    process::trap_exit(true);
    supervisor.start_link().await.unwrap()
}

pub(crate) fn one_for_one() -> Supervisor {
    Supervisor::new(Strategy::OneForOne)
}

pub(crate) async fn info(supervisor: &SupervisorRef, id: &str) -> ChildInfo {
    supervisor.which_child(id).await.unwrap()
}

/// The process of a child that has one.
pub(crate) async fn pid(supervisor: &SupervisorRef, id: &str) -> Pid {
    info(supervisor, id).await.pid.unwrap_or_else(|| panic!("expected child `{id}` to run"))
}

/// The ids, newest first.
pub(crate) async fn ids(supervisor: &SupervisorRef) -> Vec<String> {
    supervisor.which_children().await.unwrap().into_iter().map(|child| child.id.to_string()).collect()
}

/// Specs, active, supervisors, workers.
pub(crate) async fn counts(supervisor: &SupervisorRef) -> [usize; 4] {
    let ChildCounts { specs, active, supervisors, workers, .. } = supervisor.count_children().await.unwrap();
    [specs, active, supervisors, workers]
}

/// Has a child of this module end by itself, and waits for that: why it ended. The supervisor of a process has heard of its end
/// by then, so what it is asked after this it answers behind what that makes it do.
pub(crate) async fn end(pid: Pid, reason: ExitReason) -> ExitReason {
    let monitor = process::monitor(pid);
    if reason == ExitReason::Kill {
        process::kill(pid);
    } else {
        pid.send(Do(reason));
    }
    receive! { Down { monitor: gone, reason, .. } if gone == monitor => reason }
}

/// An abnormal reason.
pub(crate) fn crash() -> ExitReason {
    ExitReason::other("crash")
}

pub(crate) async fn crash_child(supervisor: &SupervisorRef, id: &str) {
    end(pid(supervisor, id).await, crash()).await;
}

/// Why a supervisor that the test is linked to has ended.
pub(crate) async fn exit_of(supervisor: Pid) -> ExitReason {
    receive! { Exit { pid, reason } if pid == supervisor => reason }
}

/// Asks a supervisor to stop as its parent would, and waits for its end.
pub(crate) async fn shut_down(supervisor: &SupervisorRef) -> ExitReason {
    let pid = supervisor.pid().expect("a supervisor that runs");
    process::exit_signal(pid, ExitReason::Shutdown);
    exit_of(pid).await
}

/// Monitors a process: awaited, why it ended.
pub(crate) fn watch(pid: Pid) -> impl Future<Output = ExitReason> {
    let monitor = process::monitor(pid);
    async move {
        receive! { Down { monitor: gone, reason, .. } if gone == monitor => reason }
    }
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

//! The supervisor's process: a server that traps exits.

use std::collections::HashMap;

use ibeam_runtime::process;
use ibeam_runtime::{CallFrom, Exit, ExitReason, Message, Pid};

use super::child_exit::{AfterExit, after_exit, ended_as_asked};
use super::child_spec::{ChildId, ChildSpec, Restart};
use super::child_start::start;
use super::child_stop;
use super::intensity::Intensity;
use super::{ChildError, ChildInfo, StartChildError, Strategy, Supervisor};
use crate::gen_server::{GenServer, HandleCall, Init, Next, Reply};

/// # Invariants
/// 1. A child's process is in `by_pid` from its start until its exit has been handled; two starts of one child never overlap.
/// 2. `order` holds the keys of the children as they were added; keys are never reused.
pub(super) struct Supervising {
    intensity: Intensity,
    children: HashMap<u64, Child>,
    by_pid: HashMap<Pid, u64>,
    by_id: HashMap<ChildId, u64>,
    next_key: u64,
}

struct Child {
    spec: ChildSpec,
    pid: Option<Pid>,
}

pub(super) struct StartChild(pub(super) ChildSpec);
pub(super) struct TerminateChild(pub(super) ChildId);
pub(super) struct WhichChildren;
/// To the supervisor itself: a restart that failed is to be tried again.
struct Retry(u64);

impl GenServer for Supervising {
    type Args = Supervisor;

    async fn init(supervisor: Supervisor) -> Init<Self> {
        process::trap_exit(true);
        let Supervisor { strategy: Strategy::OneForOne, intensity, children, .. } = supervisor;
        let mut this = Self {
            intensity,
            children: HashMap::new(),
            by_pid: HashMap::new(),
            by_id: HashMap::new(),
            next_key: 0,
        };
        for spec in children {
            if let Err(error) = this.add(spec).await {
                this.stop_all().await;
                // As OTP's `{shutdown, {failed_to_start_child, Id, Reason}}`.
                return Init::stop(ExitReason::shutdown_with(error.to_string()));
            }
        }
        Init::ok(this)
    }

    async fn handle_info(&mut self, message: Message) -> Next {
        let message = match message.downcast::<Exit>() {
            Ok(Exit { pid, reason }) => return self.exited(pid, &reason).await,
            Err(message) => message,
        };
        match message.downcast::<Retry>() {
            Ok(Retry(key)) if self.children.get(&key).is_some_and(|child| child.pid.is_none()) => {
                self.restart(key).await
            }
            Ok(_) => Next::go_on(),
            Err(message) => {
                tracing::error!(target: "ibeam::supervisor", pid = %process::self_pid(), ?message, "unexpected message");
                Next::go_on()
            }
        }
    }

    async fn terminate(&mut self, _reason: &ExitReason) {
        self.stop_all().await;
    }
}

impl HandleCall<StartChild> for Supervising {
    type Reply = Result<Pid, StartChildError>;

    async fn handle_call(
        &mut self,
        StartChild(spec): StartChild,
        _: CallFrom<Self::Reply>,
    ) -> Reply<Self::Reply> {
        Reply::now(self.add(spec).await)
    }
}

impl HandleCall<TerminateChild> for Supervising {
    type Reply = Result<(), ChildError>;

    async fn handle_call(
        &mut self,
        TerminateChild(id): TerminateChild,
        _: CallFrom<Self::Reply>,
    ) -> Reply<Self::Reply> {
        let Some(&key) = self.by_id.get(&id) else { return Reply::now(Err(ChildError::NotFound { id })) };
        self.stop(key).await;
        if self.children[&key].spec.settings.restart == Restart::Temporary {
            self.forget(key);
        }
        Reply::now(Ok(()))
    }
}

impl HandleCall<WhichChildren> for Supervising {
    type Reply = Vec<ChildInfo>;

    async fn handle_call(&mut self, _: WhichChildren, _: CallFrom<Vec<ChildInfo>>) -> Reply<Vec<ChildInfo>> {
        let info = |key: u64| {
            let Child { spec, pid } = &self.children[&key];
            ChildInfo { id: spec.settings.id.clone(), pid: *pid, kind: spec.settings.kind }
        };
        Reply::now(self.keys().into_iter().map(info).collect())
    }
}

impl Supervising {
    /// In the order in which the children were added.
    fn keys(&self) -> Vec<u64> {
        let mut keys: Vec<_> = self.children.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    async fn add(&mut self, spec: ChildSpec) -> Result<Pid, StartChildError> {
        let id = spec.settings.id.clone();
        if let Some(key) = self.by_id.get(&id) {
            return Err(match self.children[key].pid {
                Some(pid) => StartChildError::AlreadyStarted { id, pid },
                None => StartChildError::AlreadyPresent { id },
            });
        }
        let pid = match start(&spec).await {
            Ok(started) => started.pid,
            Err(error) => return Err(StartChildError::Start { id, error }),
        };
        let key = self.next_key;
        self.next_key += 1;
        self.by_id.insert(id, key);
        if let Some(pid) = pid {
            self.by_pid.insert(pid, key);
        }
        self.children.insert(key, Child { spec, pid });
        Ok(pid.expect("replaced soon"))
    }

    fn forget(&mut self, key: u64) {
        if let Some(child) = self.children.remove(&key) {
            self.by_id.remove(&child.spec.settings.id);
        }
    }

    async fn exited(&mut self, pid: Pid, reason: &ExitReason) -> Next {
        // Somebody else who was linked to the supervisor, or a child that did not start.
        let Some(key) = self.by_pid.remove(&pid) else { return Next::go_on() };
        let Some(child) = self.children.get_mut(&key) else { return Next::go_on() };
        child.pid = None;
        let spec = &child.spec;
        if reason.is_abnormal() {
            tracing::error!(
                target: "ibeam::supervisor",
                supervisor = %process::self_pid(),
                child = %spec.settings.id,
                %pid,
                %reason,
                restart = ?spec.settings.restart,
                "child `{}` ended: {reason}",
                spec.settings.id
            );
        }
        match after_exit(spec.settings.restart, reason) {
            AfterExit::Restart => self.restart(key).await,
            AfterExit::Keep => Next::go_on(),
            AfterExit::Forget => {
                self.forget(key);
                Next::go_on()
            }
        }
    }

    async fn restart(&mut self, key: u64) -> Next {
        let spec = self.children[&key].spec.clone();
        if !self.intensity.allows_restart(process::now()) {
            let (max, within) = self.intensity.limits();
            tracing::error!(
                target: "ibeam::supervisor",
                supervisor = %process::self_pid(),
                child = %spec.settings.id,
                "more than {max} restarts within {within:?}: the last one would have been that of child `{}`",
                spec.settings.id
            );
            return Next::stop(ExitReason::Shutdown);
        }
        match start(&spec).await {
            Ok(started) => {
                if let Some(pid) = started.pid {
                    self.by_pid.insert(pid, key);
                }
                self.children.get_mut(&key).expect("looked at above").pid = started.pid;
            }
            Err(error) => {
                tracing::error!(target: "ibeam::supervisor", child = %spec.settings.id, "child `{}` did not start: {error}", spec.settings.id);
                // Through the mailbox, so that others are heard in between.
                process::self_pid().send(Retry(key));
            }
        }
        Next::go_on()
    }

    async fn stop_all(&mut self) {
        for key in self.keys().into_iter().rev() {
            self.stop(key).await;
        }
    }

    /// Stops a child's process, if it has one.
    async fn stop(&mut self, key: u64) {
        let Some(child) = self.children.get_mut(&key) else { return };
        let Some(pid) = child.pid.take() else { return };
        let shutdown = child.spec.settings.shutdown();
        let id = child.spec.settings.id.clone();
        let restart = child.spec.settings.restart;
        self.by_pid.remove(&pid);
        let reason = child_stop::stop(pid, shutdown).await;
        if !ended_as_asked(restart, shutdown, &reason) {
            tracing::error!(target: "ibeam::supervisor", child = %id, %pid, %reason, "child `{id}` did not stop as asked: {reason}");
        }
    }
}

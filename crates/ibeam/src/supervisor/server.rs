//! The supervisor's process: a server that traps exits.
//!
//! A restart is done in three steps, which are the same for every strategy: what else has to stop is stopped (in reverse order), the
//! children that are to start are `Due`, and the due ones are started in order. A start that fails ends the last step: that child is
//! `Restarting`, which others may wait for, and a retry comes through the mailbox, at once or after its back-off. So a child that
//! does not start never keeps the supervisor from its other work.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ibeam_runtime::{CallFrom, Exit, ExitReason, Message, Pid, TaggedDown, process};

use super::backoff::Backoff;
use super::builder::{Supervise, Supervisor, SupervisorInit};
use super::child_check;
use super::child_exit::{AfterExit, after_exit, concerned, ended_as_asked, ends_supervisor, is_reported};
use super::child_report::{self as report, ErrorContext, Progress};
use super::child_spec::{ChildId, ChildSpec, Restart, StartedChild};
use super::child_start::{StartFuture, forgotten, lingering, start_failed};
use super::child_stop;
use super::children::{Child, Children, How, Key, Retry, Status, Token};
use super::intensity::Intensity;
use super::supervisor_ref::{
    ChildCounts, ChildError, ChildInfo, DeleteChildError, FailedToStartChild, RestartChildError,
    StartChildError,
};
use super::tree::{Below, ListChildren, TreeNode};
use super::{AutoShutdown, Strategy};
use crate::__private::{dispatch_other, handle_call, take_call};
use crate::gen_server::{GenServer, HandleCall, Init, Next, Reply, ServerName, StartError};

pub(super) struct Supervising {
    /// The type of the supervisor, for reports.
    module: &'static str,
    strategy: Strategy,
    auto_shutdown: AutoShutdown,
    backoff: Option<Arc<Backoff>>,
    intensity: Intensity,
    children: Children,
    /// What the jitter of back-off starts from.
    seed: u64,
}

/// What a supervisor is started with.
pub(super) struct Setup {
    module: &'static str,
    make: Make,
    /// What it is registered as before its `init` runs.
    pub(super) name: Option<ServerName>,
}

enum Make {
    Ready(Supervisor),
    ByInit(Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = SupervisorInit> + Send>> + Send>),
}

impl Setup {
    pub(super) fn ready(mut supervisor: Supervisor) -> Self {
        let name = supervisor.name.take();
        Self { module: std::any::type_name::<Supervisor>(), make: Make::Ready(supervisor), name }
    }

    pub(super) fn by_init<S: Supervise>(args: S::Args) -> Self {
        let init = Box::new(move || -> Pin<Box<dyn Future<Output = _> + Send>> { Box::pin(S::init(args)) });
        Self { module: std::any::type_name::<S>(), make: Make::ByInit(init), name: None }
    }
}

pub(super) struct StartChild(pub(super) ChildSpec);
pub(super) struct TerminateChild(pub(super) ChildId);
pub(super) struct RestartChild(pub(super) ChildId);
pub(super) struct DeleteChild(pub(super) ChildId);
pub(super) struct WhichChildren;
pub(super) struct WhichChild(pub(super) ChildId);
pub(super) struct CountChildren;
pub(super) struct ChildSpecOf(pub(super) ChildId);
/// How long a restart waits for the end of who has its name: such a process has nothing to do any more but to end.
const LINGER: Duration = Duration::from_millis(100);

/// To the supervisor itself: a start that is to come.
struct Again {
    key: Key,
    token: Token,
}

impl GenServer for Supervising {
    type Args = Setup;

    async fn init(Setup { module, make, name: started_as }: Setup) -> Init<Self> {
        process::trap_exit(true);
        let supervisor = match make {
            Make::Ready(supervisor) => supervisor,
            Make::ByInit(init) => match init().await {
                SupervisorInit::Ok(supervisor) => supervisor,
                SupervisorInit::Ignore => return Init::ignore(),
            },
        };
        if let Err(error) = supervisor.check() {
            return Init::stop(ExitReason::error(error));
        }
        let Supervisor { strategy, limits, auto_shutdown, backoff, name, children } = supervisor;
        // The name that it was started with it has already; this one is of its own `init`.
        if let Some(name) = &name
            && let Err(reason) = register(name).await
        {
            return Init::stop(reason);
        }
        report::introduce(name.clone().or(started_as));
        let mut seed = DefaultHasher::new();
        process::now().hash(&mut seed);
        let mut this = Self {
            module,
            strategy,
            auto_shutdown,
            backoff: backoff.map(Arc::new),
            intensity: Intensity::new(limits),
            children: Children::default(),
            seed: seed.finish(),
        };
        for spec in children {
            let id = spec.settings.id.clone();
            let key = this.children.add(spec);
            if let Err(error) = this.start(key, Progress::Info).await {
                if let Some(child) = this.children.get(key) {
                    report::error(module, ErrorContext::StartError, &child.settings, None, &error);
                }
                this.stop_all().await;
                if let Some(ServerName::Via(via)) = name {
                    via.unregister().await;
                }
                return Init::stop(ExitReason::shutdown_with(FailedToStartChild { id, error }));
            }
        }
        Init::ok(this)
    }

    /// As the macro would write it: no request needs its handler boxed.
    async fn dispatch(&mut self, message: Message) -> Next {
        let message = match message.downcast::<Exit>() {
            Ok(exit) => return self.exited(exit).await,
            Err(message) => message,
        };
        let message = match take_call::<Self, StartChild>(message) {
            Ok((request, from)) => return handle_call(self, request, from).await,
            Err(message) => message,
        };
        let message = match take_call::<Self, TerminateChild>(message) {
            Ok((request, from)) => return handle_call(self, request, from).await,
            Err(message) => message,
        };
        let message = match message.downcast::<Again>() {
            Ok(again) => return self.again(again).await,
            Err(message) => message,
        };
        let message = match message.downcast::<TaggedDown<Again>>() {
            Ok(ended) => return self.again(ended.tag).await,
            Err(message) => message,
        };
        match message.take_call::<ListChildren, Below>() {
            Ok((ListChildren { max }, from)) => {
                from.reply(self.list(max));
                Next::go_on()
            }
            Err(message) => dispatch_other(self, message).await,
        }
    }

    async fn terminate(&mut self, _reason: &ExitReason) {
        self.stop_all().await;
    }
}

impl HandleCall<StartChild> for Supervising {
    type Reply = Result<StartedChild, StartChildError>;

    async fn handle_call(
        &mut self,
        StartChild(spec): StartChild,
        _: CallFrom<Self::Reply>,
    ) -> Reply<Self::Reply> {
        Reply::now(self.start_child(spec).await)
    }
}

impl HandleCall<TerminateChild> for Supervising {
    type Reply = Result<(), ChildError>;

    async fn handle_call(
        &mut self,
        TerminateChild(id): TerminateChild,
        _: CallFrom<Self::Reply>,
    ) -> Reply<Self::Reply> {
        let Some(key) = self.children.key_of(id.as_str()) else {
            return Reply::now(Err(ChildError::NotFound { id }));
        };
        self.terminate_child(key).await;
        Reply::now(Ok(()))
    }
}

impl HandleCall<RestartChild> for Supervising {
    type Reply = Result<StartedChild, RestartChildError>;

    async fn handle_call(
        &mut self,
        RestartChild(id): RestartChild,
        _: CallFrom<Self::Reply>,
    ) -> Reply<Self::Reply> {
        let Some(key) = self.children.key_of(id.as_str()) else {
            return Reply::now(Err(RestartChildError::NotFound { id }));
        };
        Reply::now(match self.children.get(key).map(Child::status) {
            Some(&Status::Running(pid)) => Err(RestartChildError::Running { id, pid }),
            Some(Status::Due | Status::Restarting(_)) => Err(RestartChildError::Restarting { id }),
            Some(Status::Stopped) | None => {
                self.start(key, Progress::Debug).await.map_err(|error| RestartChildError::Start { id, error })
            }
        })
    }
}

impl HandleCall<DeleteChild> for Supervising {
    type Reply = Result<(), DeleteChildError>;

    async fn handle_call(
        &mut self,
        DeleteChild(id): DeleteChild,
        _: CallFrom<Self::Reply>,
    ) -> Reply<Self::Reply> {
        let Some(key) = self.children.key_of(id.as_str()) else {
            return Reply::now(Err(DeleteChildError::NotFound { id }));
        };
        Reply::now(match self.children.get(key).map(Child::status) {
            Some(&Status::Running(pid)) => Err(DeleteChildError::Running { id, pid }),
            Some(Status::Due | Status::Restarting(_)) => Err(DeleteChildError::Restarting { id }),
            Some(Status::Stopped) | None => {
                self.children.remove(key);
                Ok(())
            }
        })
    }
}

impl HandleCall<WhichChildren> for Supervising {
    type Reply = Vec<ChildInfo>;

    async fn handle_call(&mut self, _: WhichChildren, _: CallFrom<Self::Reply>) -> Reply<Self::Reply> {
        Reply::now(self.children.iter().rev().map(|(_, child)| info(child)).collect())
    }
}

impl HandleCall<WhichChild> for Supervising {
    type Reply = Result<ChildInfo, ChildError>;

    async fn handle_call(
        &mut self,
        WhichChild(id): WhichChild,
        _: CallFrom<Self::Reply>,
    ) -> Reply<Self::Reply> {
        Reply::now(self.child(id).map(info))
    }
}

impl HandleCall<CountChildren> for Supervising {
    type Reply = ChildCounts;

    async fn handle_call(&mut self, _: CountChildren, _: CallFrom<Self::Reply>) -> Reply<Self::Reply> {
        Reply::now(self.counts())
    }
}

impl HandleCall<ChildSpecOf> for Supervising {
    type Reply = Result<ChildSpec, ChildError>;

    async fn handle_call(
        &mut self,
        ChildSpecOf(id): ChildSpecOf,
        _: CallFrom<Self::Reply>,
    ) -> Reply<Self::Reply> {
        let spec = |child: &Child| ChildSpec {
            settings: child.settings.clone(),
            start: child.start.clone().unwrap_or_else(forgotten),
        };
        Reply::now(self.child(id).map(spec))
    }
}

/// Gives the calling process a name.
async fn register(name: &ServerName) -> Result<(), ExitReason> {
    let me = process::self_pid();
    match name {
        ServerName::Local(name) => process::register(name, me).map_err(ExitReason::error),
        ServerName::Via(via) => via.register(me).await.map_err(ExitReason::error),
    }
}

fn info(child: &Child) -> ChildInfo {
    ChildInfo {
        id: child.settings.id.clone(),
        pid: child.pid(),
        restarting: child.is_restarting(),
        kind: child.settings.kind,
        module: child.settings.module,
    }
}

impl Supervising {
    fn child(&self, id: ChildId) -> Result<&Child, ChildError> {
        let child = self.children.key_of(id.as_str()).and_then(|key| self.children.get(key));
        child.ok_or(ChildError::NotFound { id })
    }

    fn counts(&self) -> ChildCounts {
        let mut counts = ChildCounts::default();
        self.children.iter().for_each(|(_, child)| counts.count(child.settings.kind, child.pid().is_some()));
        counts
    }

    /// Its part of a tree.
    fn list(&self, max: usize) -> Below {
        let node = |child: &Child| {
            let ChildInfo { id, pid, restarting, kind, module } = info(child);
            TreeNode::child(Some(id), pid, restarting, kind, module)
        };
        let children = self.children.iter().take(max).map(|(_, child)| node(child)).collect();
        Below { counts: self.counts(), children }
    }

    fn backoff(&self, child: &Child) -> Option<Arc<Backoff>> {
        child.settings.backoff.clone().or_else(|| self.backoff.clone())
    }

    async fn start_child(&mut self, spec: ChildSpec) -> Result<StartedChild, StartChildError> {
        child_check::check(&spec.settings, Some(self.auto_shutdown)).map_err(StartChildError::Spec)?;
        if let Some(key) = self.children.key_of(spec.settings.id.as_str()) {
            let id = spec.settings.id;
            return Err(match self.children.get(key).and_then(Child::pid) {
                Some(pid) => StartChildError::AlreadyStarted { id, pid },
                None => StartChildError::AlreadyPresent { id },
            });
        }
        let key = self.children.add(spec);
        let started = self.start(key, Progress::Debug).await;
        started.map_err(|error| {
            let id = self.children.get(key).map(|child| child.settings.id.clone());
            self.children.remove(key);
            StartChildError::Start { id: id.unwrap_or_else(|| "".into()), error }
        })
    }

    /// Starts a child that has no process. If that fails it is `Stopped`. A temporary one that ignores is forgotten.
    async fn start(&mut self, key: Key, level: Progress) -> Result<StartedChild, StartError> {
        let Some(child) = self.children.get(key) else { return Ok(StartedChild::ignored()) };
        let temporary = child.settings.restart == Restart::Temporary;
        let starting = child.start.clone().unwrap_or_else(forgotten);
        let started = StartFuture::begin(|| starting.start()).await;
        let status = match &started {
            Ok(StartedChild { pid: Some(pid), .. }) => Status::Running(*pid),
            Ok(_) if temporary => {
                self.children.set(key, Status::Stopped);
                self.children.remove(key);
                return started;
            }
            Ok(_) | Err(_) => Status::Stopped,
        };
        self.children.set(key, status);
        let timed = self.backoff.is_some();
        if let Some(child) = self.children.get_mut(key)
            && let Some(pid) = child.pid()
        {
            if temporary {
                child.start = None;
            }
            if timed || child.settings.backoff.is_some() {
                child.since = Some(process::now());
            }
            report::progress(level, self.module, &child.settings, pid);
        }
        started
    }

    async fn exited(&mut self, Exit { pid, reason }: Exit) -> Next {
        // Somebody else who was linked to the supervisor, or a child that did not start.
        let Some(key) = self.children.key_of_pid(pid) else { return Next::go_on() };
        self.children.set(key, Status::Stopped);
        let Some(child) = self.children.get(key) else { return Next::go_on() };
        let (restart, significant) = (child.settings.restart, child.settings.significant);
        if is_reported(restart, &reason) {
            report::error(self.module, ErrorContext::ChildTerminated, &child.settings, Some(pid), &reason);
        }
        match after_exit(restart, &reason) {
            AfterExit::Restart => return self.restart(key, reason).await,
            AfterExit::Keep => {}
            AfterExit::Forget => self.children.remove(key),
        }
        let is_left =
            |child: &Child| child.settings.significant && !matches!(child.status(), Status::Stopped);
        let others = || self.children.iter().any(|(_, child)| is_left(child));
        if ends_supervisor(self.auto_shutdown, significant, others) {
            return Next::stop(ExitReason::Shutdown);
        }
        Next::go_on()
    }

    /// Restarts a child that has ended with this reason, if that is not too often.
    async fn restart(&mut self, key: Key, reason: ExitReason) -> Next {
        let Some(child) = self.children.get(key) else { return Next::go_on() };
        let now = process::now();
        if !self.intensity.allows_restart(now, &child.settings.id, &reason) {
            report::error(
                self.module,
                ErrorContext::Shutdown,
                &child.settings,
                None,
                &self.intensity.spent(),
            );
            self.children.set(key, Status::Stopped);
            return Next::stop(ExitReason::Shutdown);
        }
        let wait = self.wait_after_exit(key);
        self.make_way(key).await;
        match wait {
            Some(wait) => self.retry(key, How::GoOn, Some(wait)),
            None => self.start_due(key).await,
        }
        Next::go_on()
    }

    /// Stops what the strategy does not leave running without this child; it and they are due then.
    async fn make_way(&mut self, key: Key) {
        let concerned = concerned(self.strategy, key);
        if concerned.start() == concerned.end() {
            return self.children.set(key, Status::Due);
        }
        for key in self.children.keys_in(concerned).into_iter().rev() {
            self.stop(key).await;
            // Stopped by hand or not, all are started again, as in OTP. Of a temporary child there is nothing left.
            self.children.set(key, Status::Due);
        }
    }

    /// Starts the children that are due because of this one, in order. One that does not start is tried again later, and those after it
    /// wait for that.
    async fn start_due(&mut self, key: Key) {
        let (mut from, last) = concerned(self.strategy, key).into_inner();
        while let Some(key) = self.children.next_due(from..=last) {
            if let Err(error) = self.start(key, Progress::Info).await {
                return self.failed(key, error);
            }
            from = key + 1;
        }
    }

    /// A restart's start has failed.
    fn failed(&mut self, key: Key, error: StartError) {
        let Some(child) = self.children.get(key) else { return };
        report::error(self.module, ErrorContext::StartError, &child.settings, None, &error);
        let (backoff, waited_for) = (self.backoff(child), child.waited_for);
        // Once per process, so that a name that is taken for good is no better than any other failure.
        let lingering = lingering(&error).filter(|pid| waited_for != Some(*pid));
        match backoff {
            None => {
                self.retry(key, How::Afresh(start_failed(error)), lingering.map(|_| LINGER));
                self.retry_at_the_end_of(key, lingering);
            }
            Some(backoff) => {
                let wait = self.next_wait(key, &backoff, 1);
                self.retry(key, How::GoOn, Some(wait));
            }
        }
    }

    /// Through the mailbox, so that others are heard in between.
    fn retry(&mut self, key: Key, how: How, wait: Option<Duration>) {
        let token = self.children.fresh();
        let (me, again) = (process::self_pid(), Again { key, token });
        let timer = match wait {
            Some(wait) => Some(process::send_after(me, again, wait)),
            None => {
                me.send(again);
                None
            }
        };
        self.children.set(key, Status::Restarting(Retry { token, how, timer, monitor: None }));
    }

    /// A retry that waits comes as soon as this process has ended.
    fn retry_at_the_end_of(&mut self, key: Key, pid: Option<Pid>) {
        let Some(pid) = pid else { return };
        let token = self.children.await_end(key, pid);
        let monitor = token.map(|token| process::monitor_builder(pid).tag(Again { key, token }).start());
        self.children.add_monitor(key, monitor);
    }

    async fn again(&mut self, Again { key, token }: Again) -> Next {
        let how = match self.children.get(key).map(Child::status) {
            Some(Status::Restarting(retry)) if retry.token == token => retry.how.clone(),
            // Terminated, or restarted with others, meanwhile.
            _ => return Next::go_on(),
        };
        match how {
            How::Afresh(reason) => self.restart(key, reason).await,
            How::GoOn => {
                self.children.set(key, Status::Due);
                self.start_due(key).await;
                Next::go_on()
            }
        }
    }

    /// A child that is to be restarted under back-off because it has ended: how long that waits. `None`: not at all.
    fn wait_after_exit(&mut self, key: Key) -> Option<Duration> {
        let child = self.children.get(key)?;
        let backoff = self.backoff(child)?;
        let ran_for = child.since.map_or(Duration::ZERO, |since| process::now() - since);
        if backoff.is_stable_after(ran_for)
            && let Some(child) = self.children.get_mut(key)
        {
            child.failures = 0;
        }
        let wait = self.next_wait(key, &backoff, 0);
        (!wait.is_zero()).then_some(wait)
    }

    /// One more restart, after so many failures in a row `at_least`: how long to wait before it.
    fn next_wait(&mut self, key: Key, backoff: &Backoff, at_least: u32) -> Duration {
        let Some(child) = self.children.get_mut(key) else { return Duration::ZERO };
        let failures = child.failures.max(at_least);
        child.failures = failures.saturating_add(1);
        let mut random = DefaultHasher::new();
        (self.seed, key, failures, process::now()).hash(&mut random);
        backoff.delay(failures, random.finish())
    }

    async fn terminate_child(&mut self, key: Key) {
        let waited_for = matches!(self.children.get(key).map(Child::status), Some(Status::Restarting(_)));
        self.stop(key).await;
        if waited_for && let Some(next) = self.children.next_due(concerned(self.strategy, key)) {
            // It took the restart of others with it: that goes on with the next one.
            self.retry(next, How::GoOn, None);
        }
    }

    async fn stop_all(&mut self) {
        for key in self.children.keys_in(0..=Key::MAX).into_iter().rev() {
            self.stop(key).await;
        }
    }

    /// Stops a child's process, if it has one, and whatever was to start one. A temporary child is forgotten.
    async fn stop(&mut self, key: Key) {
        let Some(child) = self.children.get(key) else { return };
        let (restart, shutdown, pid) = (child.settings.restart, child.settings.shutdown(), child.pid());
        // Its exit is waited for here, and is nobody's if it comes late.
        self.children.set(key, Status::Stopped);
        if let Some(pid) = pid {
            let reason = child_stop::stop(pid, shutdown).await;
            if !ended_as_asked(restart, shutdown, &reason)
                && let Some(child) = self.children.get(key)
            {
                report::error(self.module, ErrorContext::ShutdownError, &child.settings, Some(pid), &reason);
            }
        }
        if restart == Restart::Temporary {
            self.children.remove(key);
        }
    }
}

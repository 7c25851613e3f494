//! The process of a dynamic supervisor: a server that traps exits.
//!
//! # Invariants
//! 1. It waits for nothing but the start of a child. A child that stops is waited for by its entry in the table, which is
//!    `Stopping`, and by who asked for it; the supervisor goes on meanwhile.
//! 2. The end of a child is told by its link. A child may remove that link; so whoever still stops after [`LOOK`] is
//!    monitored too. What comes second finds no entry, and is ignored: a pid is never used again.
//! 3. Nothing here looks through the mailbox, or through all children, for the sake of one child.

use std::collections::HashMap;
use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ibeam_runtime::__private::{Nearby, SmallMap, catch_failure_of};
use ibeam_runtime::process::{self, deadline_after, receive_with};
use ibeam_runtime::{CallFrom, Down, Exit, ExitReason, Instant, Message, Pid, Target};

use super::children::{Child, Children, State, ended_as_asked};
use super::deadlines::{Deadlines, What};
use super::recipe::Begun;
use super::start::Flags;
use super::{DynamicChildError, DynamicChildInfo, DynamicStartError, Recipe};
use crate::gen_server::{GenServer, Init, Next, StartError, other};
use crate::supervisor::child_exit::{AfterExit, after_exit, is_reported};
use crate::supervisor::child_report::{self as report, ErrorContext, Progress};
use crate::supervisor::child_start::StartFuture;
use crate::supervisor::intensity::Intensity;
use crate::supervisor::tree::{Below, ListChildren, TreeNode};
use crate::supervisor::{Backoff, ChildCounts, Shutdown, StartedChild};

/// How long a child that was asked to stop is given before it is monitored, in case that it has removed its link.
const LOOK: Duration = Duration::from_secs(1);
/// How many children are asked to stop, or looked after, before others get a turn.
const BATCH: usize = 256;

/// See the module.
pub(super) struct Supervising<R: Recipe> {
    recipe: R,
    module: &'static str,
    max_children: usize,
    intensity: Intensity<Pid>,
    backoff: Option<Arc<Backoff>>,
    children: Children<R::Kept>,
    deadlines: Deadlines,
    /// When the next [`LookAfter`] comes.
    armed: Option<Instant>,
    /// Who has asked for the end of a child that stops.
    callers: SmallMap<Pid, CallFrom<TerminateReply>>,
    /// Who has asked for it after them: hardly ever anybody.
    late_callers: Vec<(Pid, CallFrom<TerminateReply>)>,
    /// Children with a back-off that were restarted, under their pids.
    failing: HashMap<Pid, Failing, Nearby>,
    /// How many there have been.
    numbered: u64,
}

/// What a restart back-off needs to know of a child.
struct Failing {
    backoff: Arc<Backoff>,
    /// Restarts in a row that did not help.
    failures: u32,
    started: Instant,
    /// Which of the supervisor's it is: no other has this number, and in each run of a simulation it is the same, unlike its pid.
    number: u64,
}

/// What the process is started with.
pub(super) enum Setup<R> {
    Ready(Flags, R),
    /// The supervisor is a type: `None` is its ignore.
    ByInit(Box<dyn FnOnce() -> InitFuture<R> + Send>),
}

/// What the `init` of a supervisor that is a type says.
pub(super) type InitFuture<R> = Pin<Box<dyn Future<Output = Option<(Flags, R)>> + Send>>;

/// Requests; the replies are beside them. Only the start depends on what children are made from.
pub(super) struct StartChild<R: Recipe>(pub(super) R::Args);
pub(super) type StartReply = Result<StartedChild, DynamicStartError>;
pub(super) struct TerminateChild(pub(super) Pid);
pub(super) type TerminateReply = Result<(), DynamicChildError>;
pub(super) struct WhichChildren;
pub(super) struct WhichChild(pub(super) Pid);
pub(super) struct CountChildren;

/// To the supervisor itself: the restart of this child has failed, or has to wait, and is to be tried again; why.
struct Retry(Pid, ExitReason);
/// To the supervisor itself: a deadline of a child that stops may be due.
struct LookAfter;

impl<R: Recipe> GenServer for Supervising<R> {
    type Args = Setup<R>;

    async fn init(setup: Setup<R>) -> Init<Self> {
        process::trap_exit(true);
        let (flags, recipe) = match setup {
            Setup::Ready(flags, recipe) => (flags, recipe),
            Setup::ByInit(init) => match init().await {
                Some(setup) => setup,
                None => return Init::ignore(),
            },
        };
        if let Err(reason) = flags.check() {
            return Init::stop(ExitReason::error(reason));
        }
        Init::ok(Self::new(flags, recipe))
    }

    // The handlers of a supervisor that starts a million children are not boxed one by one.
    async fn dispatch(&mut self, message: Message) -> Next {
        let message = match message.take_call::<StartChild<R>, StartReply>() {
            Ok((StartChild(args), from)) => {
                let mut place = None;
                let reply = match self.begin(args, &mut place) {
                    Ok(begun) => {
                        let started = poll_fn(|cx| Pin::new(&mut begun.start).poll(cx)).await;
                        self.started(started, place.take())
                    }
                    Err(error) => Err(error),
                };
                from.reply(reply);
                return Next::go_on();
            }
            Err(message) => message,
        };
        let message = match message.take_call::<TerminateChild, TerminateReply>() {
            Ok((TerminateChild(pid), from)) => {
                self.terminate_child(pid, from);
                return Next::go_on();
            }
            Err(message) => message,
        };
        match message.downcast::<Exit>() {
            Ok(Exit { pid, reason }) => self.exited(pid, &reason).await,
            Err(message) => Box::pin(self.dispatch_rare(message)).await,
        }
    }

    async fn terminate(&mut self, _reason: &ExitReason) {
        self.stop_all().await;
    }
}

impl<R: Recipe> Supervising<R> {
    fn new(flags: Flags, recipe: R) -> Self {
        Self {
            recipe,
            module: flags.module,
            max_children: flags.max_children,
            intensity: Intensity::new(flags.limits),
            backoff: flags.backoff,
            children: Children::new(),
            deadlines: Deadlines::default(),
            armed: None,
            callers: SmallMap::default(),
            late_callers: Vec::new(),
            failing: HashMap::default(),
            numbered: 0,
        }
    }

    async fn dispatch_rare(&mut self, message: Message) -> Next {
        let message = match message.downcast::<Retry>() {
            Ok(Retry(pid, reason)) => {
                // It may have been terminated meanwhile.
                return match self.children.get(pid).map(Child::state) {
                    Some(State::Restarting) => self.restart(pid, reason).await,
                    _ => Next::go_on(),
                };
            }
            Err(message) => message,
        };
        let message = match message.downcast::<LookAfter>() {
            Ok(LookAfter) => {
                self.look_after();
                return Next::go_on();
            }
            Err(message) => message,
        };
        let message = match message.downcast::<Down>() {
            Ok(Down { target: Target::Pid(pid), reason, .. }) => {
                self.down(pid, &reason);
                return Next::go_on();
            }
            Ok(_) => return Next::go_on(),
            Err(message) => message,
        };
        let message = match message.take_call::<WhichChildren, Vec<DynamicChildInfo>>() {
            Ok((WhichChildren, from)) => {
                from.reply(self.list(usize::MAX, |child| child).await);
                return Next::go_on();
            }
            Err(message) => message,
        };
        let message = match message.take_call::<WhichChild, Option<DynamicChildInfo>>() {
            Ok((WhichChild(pid), from)) => {
                from.reply(self.children.get(pid).map(|child| self.info(pid, child)));
                return Next::go_on();
            }
            Err(message) => message,
        };
        let message = match message.take_call::<CountChildren, ChildCounts>() {
            Ok((CountChildren, from)) => {
                from.reply(self.children.counts());
                return Next::go_on();
            }
            Err(message) => message,
        };
        match message.take_call::<ListChildren, Below>() {
            Ok((ListChildren { max }, from)) => {
                let children = self.list(max, |child| {
                    let DynamicChildInfo { pid, kind, module, .. } = child;
                    TreeNode::child(None, pid, pid.is_none(), kind, module)
                });
                from.reply(Below { children: children.await, counts: self.children.counts() });
                Next::go_on()
            }
            Err(message) => other(self, message).await,
        }
    }

    /// The first of the children, in words of the asker's.
    async fn list<T>(&self, max: usize, put: impl Fn(DynamicChildInfo) -> T) -> Vec<T> {
        let mut list = Vec::with_capacity(self.children.len().min(max));
        for (pid, child) in self.children.iter().take(max) {
            list.push(put(self.info(pid, child)));
            // Processes beside this one go on meanwhile.
            if list.len().is_multiple_of(4096) {
                process::yield_now().await;
            }
        }
        list
    }

    fn info(&self, pid: Pid, child: &Child<R::Kept>) -> DynamicChildInfo {
        DynamicChildInfo {
            pid: (child.state() != State::Restarting).then_some(pid),
            kind: child.kind(),
            restart: child.restart(),
            shutdown: child.shutdown(),
            module: self.children.implemented_by(child),
        }
    }

    /// Begins the first start of a child, in `place`. Not part of what waits for it: what is handed from one `async` block to the next
    /// is copied each time.
    #[inline]
    fn begin<'a>(
        &self,
        args: R::Args,
        place: &'a mut Option<Begun<R::Kept>>,
    ) -> Result<&'a mut Begun<R::Kept>, DynamicStartError> {
        if self.children.len() >= self.max_children {
            return Err(DynamicStartError::MaxChildren { limit: self.max_children });
        }
        catch_failure_of(|| place.insert(self.recipe.begin(args)))
            .map_err(|reason| DynamicStartError::Start(StartError::Init { reason }))
    }

    #[inline]
    fn started(
        &mut self,
        started: Result<StartedChild, StartError>,
        begun: Option<Begun<R::Kept>>,
    ) -> StartReply {
        let started = started.map_err(DynamicStartError::Start)?;
        if let Some(pid) = started.pid
            && let Some(Begun { kept, mut terms, .. }) = begun
        {
            report::progress(Progress::Debug, self.module, &terms, pid);
            let backoff = terms.backoff.take();
            self.children.add(pid, kept, terms);
            if let Some(backoff) = backoff {
                self.note_failing(pid, backoff);
            }
        }
        Ok(started)
    }

    /// A child has ended, or somebody else who is linked to the supervisor.
    async fn exited(&mut self, pid: Pid, reason: &ExitReason) -> Next {
        if let Some(child) = self.children.remove_if_stopping(pid) {
            self.stopped(pid, &child, reason);
            return Next::go_on();
        }
        let Some(child) = self.children.get(pid) else { return Next::go_on() };
        if child.state() == State::Restarting {
            // An exit signal in the name of a process that is dead already.
            return Next::go_on();
        }
        if is_reported(child.restart(), reason) {
            self.report(ErrorContext::ChildTerminated, child, pid, reason);
        }
        match after_exit(child.restart(), reason) {
            AfterExit::Restart => self.ended(pid, reason).await,
            AfterExit::Keep | AfterExit::Forget => {
                self.forget(pid);
                Next::go_on()
            }
        }
    }

    /// A child has ended and is to be restarted: at once, or after a while.
    async fn ended(&mut self, pid: Pid, reason: &ExitReason) -> Next {
        let now = process::now();
        if !self.intensity.allows_restart(now, &pid, reason) {
            return self.give_up(pid);
        }
        if !self.failing.contains_key(&pid)
            && let Some(backoff) = self.backoff.clone()
        {
            self.note_failing(pid, backoff);
        }
        let Some(failing) = self.failing.get_mut(&pid) else { return self.start_again(pid).await };
        if failing.backoff.is_stable_after(now - failing.started) {
            failing.failures = 0;
        }
        let wait = failing.backoff.delay(failing.failures, random(failing));
        failing.failures = failing.failures.saturating_add(1);
        if wait.is_zero() {
            return self.start_again(pid).await;
        }
        self.children.set_state(pid, State::Restarting);
        process::send_after(process::self_pid(), Retry(pid, reason.clone()), wait);
        Next::go_on()
    }

    /// From now on this child is restarted with this back-off.
    fn note_failing(&mut self, pid: Pid, backoff: Arc<Backoff>) {
        self.numbered += 1;
        let (started, number) = (process::now(), self.numbered);
        self.failing.insert(pid, Failing { backoff, failures: 0, started, number });
    }

    /// Another try of a restart that has failed; with a back-off it does not count.
    async fn restart(&mut self, pid: Pid, reason: ExitReason) -> Next {
        if !self.failing.contains_key(&pid) && !self.intensity.allows_restart(process::now(), &pid, &reason) {
            return self.give_up(pid);
        }
        self.start_again(pid).await
    }

    fn report(&self, context: ErrorContext, child: &Child<R::Kept>, pid: Pid, reason: &dyn Display) {
        report::error(self.module, context, self.children.reported(child), Some(pid), reason);
    }

    fn give_up(&mut self, pid: Pid) -> Next {
        if let Some(child) = self.children.get(pid) {
            self.report(ErrorContext::Shutdown, child, pid, &self.intensity.spent());
        }
        self.forget(pid);
        Next::stop(ExitReason::Shutdown)
    }

    async fn start_again(&mut self, former: Pid) -> Next {
        let Some(kept) = self.children.get(former).and_then(Child::kept) else { return Next::go_on() };
        match StartFuture::begin(|| self.recipe.again(kept)).await {
            Ok(StartedChild { pid: Some(pid), .. }) => {
                self.children.replace(former, pid);
                if let Some(failing) = self.failing.remove(&former) {
                    self.failing.insert(pid, Failing { started: process::now(), ..failing });
                }
                if let Some(child) = self.children.get(pid) {
                    report::progress(Progress::Info, self.module, self.children.reported(child), pid);
                }
            }
            Ok(StartedChild { pid: None, .. }) => self.forget(former),
            Err(error) => {
                if let Some(child) = self.children.get(former) {
                    self.report(ErrorContext::StartError, child, former, &error);
                }
                self.children.set_state(former, State::Restarting);
                self.try_again(former, error);
            }
        }
        Next::go_on()
    }

    /// Through the mailbox, so that others are heard in between.
    fn try_again(&mut self, pid: Pid, error: StartError) {
        let (me, retry) = (process::self_pid(), Retry(pid, ExitReason::error(error)));
        match self.failing.get_mut(&pid) {
            None => me.send(retry),
            Some(failing) => {
                let wait = failing.backoff.delay(failing.failures.max(1), random(failing));
                failing.failures = failing.failures.saturating_add(1);
                process::send_after(me, retry, wait);
            }
        }
    }

    fn forget(&mut self, pid: Pid) {
        self.children.remove(pid);
        self.forget_failures(pid);
    }

    fn forget_failures(&mut self, pid: Pid) {
        if !self.failing.is_empty() {
            self.failing.remove(&pid);
        }
    }

    fn terminate_child(&mut self, pid: Pid, from: CallFrom<TerminateReply>) {
        match self.children.stop(pid) {
            None => drop(from.reply(Err(DynamicChildError::NotFound { pid }))),
            // It stops because somebody has asked for it.
            Some((State::Stopping, _)) => self.late_callers.push((pid, from)),
            Some((State::Restarting, _)) => {
                self.forget(pid);
                from.reply(Ok(()));
            }
            Some((State::Running, shutdown)) => {
                self.callers.insert(pid, from);
                self.ask(pid, shutdown);
                self.arm();
            }
        }
    }

    /// Sends a child that is to stop what it is to end by, and notes when to look after it.
    fn ask(&mut self, pid: Pid, shutdown: Shutdown) {
        match shutdown {
            Shutdown::BrutalKill => process::kill(pid),
            Shutdown::Timeout(_) | Shutdown::Infinity => process::exit_signal(pid, ExitReason::Shutdown),
        }
        match shutdown {
            Shutdown::Timeout(limit) if limit <= LOOK => {
                self.deadlines.add(deadline_after(limit), pid, What::Kill);
            }
            _ => self.deadlines.add(deadline_after(LOOK), pid, What::Look),
        }
        let children = &self.children;
        self.deadlines.tidy(children.stopping(), |pid| {
            children.get(pid).is_some_and(|child| child.state() == State::Stopping)
        });
    }

    /// Asks to be told when the next deadline is due.
    fn arm(&mut self) {
        if let Some(next) = self.deadlines.next()
            && self.armed.is_none_or(|armed| next < armed)
        {
            // One that was armed for later comes too, finds nothing, and does no harm.
            process::send_at(process::self_pid(), LookAfter, next);
            self.armed = Some(next);
        }
    }

    /// Looks after the children whose deadline is due.
    fn look_after(&mut self) {
        self.armed = None;
        let now = process::now();
        for _ in 0..BATCH {
            let Some((at, pid, what)) = self.deadlines.due(now) else { return self.arm() };
            let Some((State::Stopping, shutdown)) =
                self.children.get(pid).map(|child| (child.state(), child.shutdown()))
            else {
                continue;
            };
            match (what, shutdown) {
                (What::Kill, _) => process::kill(pid),
                (What::Look, Shutdown::Timeout(limit)) => {
                    self.deadlines.add(at + limit.saturating_sub(LOOK), pid, What::Kill);
                }
                (What::Look, _) => {}
            }
            if self.children.watch(pid) {
                process::monitor(pid);
            }
        }
        self.armed = Some(now);
        process::self_pid().send(LookAfter);
    }

    /// A monitored child has ended.
    fn down(&mut self, pid: Pid, reason: &ExitReason) {
        if let Some(child) = self.children.remove_if_stopping(pid) {
            self.stopped(pid, &child, reason);
        }
    }

    /// A child that was to stop has done so, and is no child any more.
    fn stopped(&mut self, pid: Pid, child: &Child<R::Kept>, reason: &ExitReason) {
        if !ended_as_asked(child.restart(), child.shutdown(), reason) {
            self.report(ErrorContext::ShutdownError, child, pid, reason);
        }
        self.deadlines.forget_if_alone(pid);
        self.forget_failures(pid);
        if let Some(from) = self.callers.remove(&pid) {
            from.reply(Ok(()));
        }
        if !self.late_callers.is_empty() {
            for (_, from) in self.late_callers.extract_if(.., |(of, _)| *of == pid) {
                from.reply(Err(DynamicChildError::NotFound { pid }));
            }
        }
    }

    /// Stops all children, side by side, each within its own limit. Messages of others stay in the mailbox: they end with the
    /// supervisor.
    async fn stop_all(&mut self) {
        enum Heard {
            Exit(Exit),
            Down(Down),
            Time,
            Retry,
        }
        // One receive for all of them: it remembers how far it has looked, and looks at no message of others twice.
        let mut heard = receive_with(|message| {
            let exit = message.arm(|exit: Exit| Ok(Heard::Exit(exit)));
            let down = exit.or_else(|| message.arm(|down: Down| Ok(Heard::Down(down))));
            let time = down.or_else(|| message.arm(|LookAfter| Ok(Heard::Time)));
            time.or_else(|| message.arm(|Retry(..)| Ok(Heard::Retry)))
        });
        // From the newest to the oldest. Who gets another place because some go moves further down.
        let mut place = self.children.places();
        while !self.children.is_empty() {
            place = place.min(self.children.places());
            for _ in 0..BATCH.min(place) {
                place -= 1;
                match self.children.at(place).map(|(pid, child)| (pid, child.state(), child.shutdown())) {
                    Some((pid, State::Running, shutdown)) => {
                        self.children.stop(pid);
                        self.ask(pid, shutdown);
                    }
                    Some((pid, State::Restarting, _)) => self.forget(pid),
                    Some((_, State::Stopping, _)) | None => {}
                }
            }
            self.arm();
            let mut wait = place == 0;
            if !wait {
                process::yield_now().await;
            }
            // All that is there; with everybody asked, wait for the first.
            while !self.children.is_empty() {
                let next = poll_fn(|cx| match Pin::new(&mut heard).poll(cx) {
                    Poll::Ready(next) => Poll::Ready(Some(next)),
                    Poll::Pending if wait => Poll::Pending,
                    Poll::Pending => Poll::Ready(None),
                });
                match next.await {
                    // Who has not been asked yet has ended by itself, and that is how it stays.
                    Some(Heard::Exit(Exit { pid, reason })) => {
                        if let Some(child) = self.children.remove(pid) {
                            self.stopped(pid, &child, &reason);
                        }
                    }
                    Some(Heard::Down(Down { target: Target::Pid(pid), reason, .. })) => {
                        self.down(pid, &reason)
                    }
                    Some(Heard::Time) => self.look_after(),
                    Some(Heard::Down(_) | Heard::Retry) => {}
                    None => break,
                }
                wait = place == 0;
            }
        }
    }
}

/// What shortens a wait: no two are equally long. The same in each run of a simulation.
fn random(failing: &Failing) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::default().hash_one((process::now(), failing.number, failing.failures))
}

#[cfg(test)]
mod tests {
    use ibeam_runtime::sim::Simulation;

    use super::super::AnyChild;
    use super::*;
    use crate::supervisor::ChildSpec;

    #[test]
    fn nothing_is_kept_of_a_child_that_is_forgotten() {
        Simulation::new(0).run(async {
            let mut supervisor = Supervising::new(Flags::default(), AnyChild::default());
            let child =
                ChildSpec::new("a", || async { Ok(process::spawn_link(std::future::pending::<()>())) });
            let child = child.backoff(Backoff::new(LOOK, LOOK));
            let mut place = None;
            let begun = supervisor.begin(child, &mut place).unwrap();
            let started = poll_fn(|cx| Pin::new(&mut begun.start).poll(cx)).await;
            let pid = supervisor.started(started, place).unwrap().pid.unwrap();
            assert_eq!((supervisor.children.len(), supervisor.failing.len()), (1, 1));
            supervisor.forget(pid);
            assert_eq!((supervisor.children.len(), supervisor.failing.len()), (0, 0));
        });
    }
}

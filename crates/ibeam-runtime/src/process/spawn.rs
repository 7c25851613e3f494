//! Starting processes.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tracing::Instrument;

use crate::driver::Place;
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::extra::Extra;
use crate::process::lineage::{Lineage, OnBehalf};
use crate::process::links::Link;
use crate::process::monitors::Down;
use crate::process::monitors::{AliasMode, Monitor, Monitored, Target, tagged};
use crate::process::names::{Name, NameError, register_in};
use crate::process::signal::{self, Signal};
use crate::process::{Overflow, Priority, Termination, owner};
use crate::raw::future::FutureBox;
use crate::raw::node::OwnedNode;
use crate::raw::pcb::{Birth, Owner, RuntimePtr};
use crate::raw::slab;
use crate::reference::Reference;
use crate::runtime::{self, Runtime, Shared};

/// Starts a process that runs `future`. It begins to run at once, on some worker.
///
/// From inside a process the new one belongs to the same runtime; elsewhere to the thread's current runtime, which is
/// started if there is none (see [`Runtime`]).
///
/// # Panics
/// If the limit of processes is reached, or the runtime is shutting down: see [`Spawn::try_spawn`].
///
/// ```
/// use ibeam_runtime::{Runtime, process};
///
/// Runtime::new().block_on(async {
///     let me = process::self_pid();
///     process::spawn(async move { me.send("hello from a process") });
///     assert_eq!(process::recv().await.downcast::<&str>().unwrap(), "hello from a process");
/// });
/// ```
///
/// # Erlang/OTP
/// `spawn/1`.
#[track_caller]
pub fn spawn<F>(future: F) -> Pid
where
    F: Future + Send + 'static,
    F::Output: Termination,
{
    builder().spawn(future)
}

/// Starts a process that is linked to the calling one from its first moment on.
///
/// # Panics
/// Outside of a process, and as [`spawn`].
///
/// # Erlang/OTP
/// `spawn_link/1`.
#[track_caller]
pub fn spawn_link<F>(future: F) -> Pid
where
    F: Future + Send + 'static,
    F::Output: Termination,
{
    builder().link().spawn(future)
}

/// Starts a process that the calling one monitors from its first moment on.
///
/// # Panics
/// Outside of a process, and as [`spawn`].
///
/// # Erlang/OTP
/// `spawn_monitor/1`.
#[track_caller]
pub fn spawn_monitor<F>(future: F) -> (Pid, Reference)
where
    F: Future + Send + 'static,
    F::Output: Termination,
{
    let (pid, monitor) = builder().spawn_monitor(future);
    (pid, monitor.reference())
}

/// A process with options.
///
/// ```
/// use ibeam_runtime::{Runtime, process::{self, Overflow}};
///
/// Runtime::new().block_on(async {
///     let pid = process::builder()
///         .name("collector")
///         .mailbox(100, Overflow::DropOldest)
///         .spawn(std::future::pending::<()>());
///     assert_eq!(process::whereis("collector"), Some(pid));
/// });
/// ```
///
/// # Erlang/OTP
/// `spawn_opt/2`.
#[inline]
pub fn builder() -> Spawn {
    Spawn::default()
}

/// See [`builder`].
#[must_use = "no process is started before `spawn`"]
#[derive(Default)]
pub struct Spawn {
    link: bool,
    priority: Priority,
    mailbox: Option<(u32, Overflow)>,
    trap_exit: bool,
    on_behalf: OnBehalf,
    crash_is_callers: bool,
    place: Place,
    extra: Option<Box<Extra>>,
    /// What few are started with: a box away, for all this is moved some times on its way.
    special: Option<Box<Special>>,
}

#[derive(Default)]
struct Special {
    name: Option<Name>,
    partner: Option<Pid>,
    alias: Option<AliasMode>,
    tag: Option<Tag>,
    runtime: Option<Arc<Shared>>,
    span: Option<tracing::Span>,
}

type Tag = Box<dyn FnOnce(Pid, Down) -> OwnedNode + Send>;

/// Why a process was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnError {
    /// The runtime's limit of processes is reached.
    ProcessLimit {
        /// The limit.
        limit: usize,
    },
    /// The runtime is shutting down.
    ShuttingDown,
    /// The name cannot be had.
    Name(NameError),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProcessLimit { limit } => {
                write!(f, "expected at most {limit} processes (`max_processes`), this would be one more")
            }
            Self::ShuttingDown => f.write_str("the runtime is shutting down"),
            Self::Name(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SpawnError {}

impl Spawn {
    /// Registers the process under a name before it runs.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.special().name = Some(name.into());
        self
    }

    /// Links it to the calling process.
    #[inline]
    pub fn link(mut self) -> Self {
        self.link = true;
        self
    }

    /// Links it to this process, from its first moment on, whether or not it is linked to the calling one too. If there is no such
    /// process it gets an exit signal with [`ExitReason::NoProc`], as from [`link`](crate::process::link).
    ///
    /// ```
    /// use ibeam_runtime::{Runtime, process};
    ///
    /// Runtime::new().block_on(async {
    ///     let partner = process::spawn(std::future::pending::<()>());
    ///     let pid = process::builder().link_to(partner).spawn(std::future::pending::<()>());
    ///     assert_eq!(process::info(pid).await.unwrap().links, [partner]);
    ///     assert_eq!(process::info(partner).await.unwrap().links, [pid]);
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// What a process that begins with `link/1` does, which others can see without the link.
    pub fn link_to(mut self, partner: Pid) -> Self {
        self.special().partner = Some(partner);
        self
    }

    /// Makes the monitor of [`spawn_monitor`](Self::spawn_monitor) an alias too.
    pub fn monitor_alias(mut self, mode: AliasMode) -> Self {
        self.special().alias = Some(mode);
        self
    }

    /// Gives the notice of the monitor of [`spawn_monitor`](Self::spawn_monitor) a tag.
    pub fn monitor_tag<T: Send + 'static>(mut self, tag: T) -> Self {
        self.special().tag = Some(tagged(tag));
        self
    }

    /// Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Takes at most `limit` messages (1 to 2^30 - 1) into the mailbox. Default: no bound.
    pub fn mailbox(mut self, limit: u32, overflow: Overflow) -> Self {
        self.mailbox = Some((limit, overflow));
        self
    }

    /// A text that says what the process is, for inspection and crash reports.
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.extra().rare().label = Some(label.into());
        self
    }

    /// The processes on whose behalf it works, nearest first.
    pub fn callers(mut self, callers: impl Into<Arc<[Pid]>>) -> Self {
        self.extra().rare().callers = Some(callers.into());
        self
    }

    /// It works on behalf of the process that spawns it, and of those that one works for: they are its
    /// [callers](crate::process::callers), unless others are [given](Self::callers).
    ///
    /// # Erlang/OTP
    /// What Elixir's tasks are started with in `$callers`.
    #[inline]
    pub fn on_behalf(mut self) -> Self {
        self.on_behalf = OnBehalf::Parent;
        self
    }

    /// If it ends otherwise than normally, its first caller ends too, unless that traps exits: half of a link, which leaves no
    /// [`Exit`](crate::Exit) message and no entry in a table. Until it is
    /// [disowned](crate::process::disown).
    #[inline]
    #[doc(hidden)]
    pub fn crash_is_callers(mut self) -> Self {
        self.crash_is_callers = true;
        self
    }

    /// It is one of many that come one after the other, a few at once: it goes behind those that are ready, as who has been woken.
    #[inline]
    #[doc(hidden)]
    pub fn in_passing(mut self) -> Self {
        self.place = Place::Back;
        self
    }

    /// Traps exits from its first moment on.
    pub fn trap_exit(mut self) -> Self {
        self.trap_exit = true;
        self
    }

    /// Runs it, and reports its crash, in this span.
    pub fn span(mut self, span: tracing::Span) -> Self {
        self.extra().rare().span = Some(span.clone());
        self.special().span = Some(span);
        self
    }

    /// Starts it in this runtime, not in the current one.
    pub fn runtime(mut self, runtime: &Runtime) -> Self {
        self.special().runtime = Some(runtime.shared().clone());
        self
    }

    fn special(&mut self) -> &mut Special {
        self.special.get_or_insert_default()
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Starts the process.
    ///
    /// # Panics
    /// Where [`try_spawn`](Self::try_spawn) gives an error, and outside of a process if it is to be linked.
    #[track_caller]
    #[inline]
    pub fn spawn<F>(self, future: F) -> Pid
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        match self.try_spawn(future) {
            Ok(pid) => pid,
            Err(error) => panic!("no process was started: {error}"),
        }
    }

    /// Starts the process, monitored by the calling one.
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn), and outside of a process.
    #[track_caller]
    pub fn spawn_monitor<F>(self, future: F) -> (Pid, Monitor)
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        match self.try_spawn_monitor(future) {
            Ok(spawned) => spawned,
            Err(error) => panic!("no process was started: {error}"),
        }
    }

    /// Starts the process, or says why not.
    ///
    /// # Errors
    /// See [`SpawnError`].
    ///
    /// # Panics
    /// Outside of a process, if it is to be linked.
    #[track_caller]
    #[inline]
    pub fn try_spawn<F>(self, future: F) -> Result<Pid, SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        let parent = if self.link { Some(owner("spawn_link")) } else { Owner::current() };
        self.start(parent, None, future)
    }

    /// Starts the process, monitored by the calling one, or says why not.
    ///
    /// # Errors
    /// See [`SpawnError`]. There is no monitor then.
    ///
    /// # Panics
    /// Outside of a process.
    #[track_caller]
    pub fn try_spawn_monitor<F>(self, future: F) -> Result<(Pid, Monitor), SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        let owner = owner("spawn_monitor");
        let active = self.special.as_ref().is_some_and(|special| special.alias.is_some());
        let reference = crate::process::make_ref();
        let pid = self.start(Some(owner), Some(reference), future)?;
        Ok((pid, Monitor::new(owner.pid(), reference, active)))
    }

    #[inline]
    fn start<F>(self, parent: Option<Owner>, monitor: Option<Reference>, future: F) -> Result<Pid, SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        let future = match self.special.as_ref().and_then(|special| special.span.as_ref()) {
            None => FutureBox::new(future),
            Some(span) => FutureBox::new(future.instrument(span.clone())),
        };
        self.start_boxed(parent, monitor, future)
    }

    fn start_boxed(
        self,
        parent: Option<Owner>,
        monitor: Option<Reference>,
        future: FutureBox,
    ) -> Result<Pid, SpawnError> {
        let given = self.special.as_ref().and_then(|special| special.runtime.as_ref());
        let held;
        let (runtime, shared) = match (given, parent) {
            (None, Some(owner)) => (owner.runtime(), owner.shared()),
            _ => {
                held = given.cloned().unwrap_or_else(runtime::current);
                (RuntimePtr::of(&held), &*held)
            }
        };
        self.start_in(runtime, shared, parent, monitor, future)
    }

    #[inline(always)]
    fn start_in(
        mut self,
        runtime: RuntimePtr,
        shared: &Shared,
        parent: Option<Owner>,
        monitor: Option<Reference>,
        future: FutureBox,
    ) -> Result<Pid, SpawnError> {
        shared.process_begins()?;
        let Some(unborn) = slab::acquire() else {
            shared.process_ended();
            return Err(SpawnError::ProcessLimit { limit: crate::pid::INDEX_LIMIT as usize });
        };
        let pid = unborn.pid();
        if let Some(sim) = &shared.sim {
            let label =
                self.extra.as_deref_mut().and_then(Extra::rare_if_any).and_then(|rare| rare.label.clone());
            sim.spawned(pid, parent.map(Owner::pid), future.type_name(), label);
        }
        if let (Some(parent), Some(reference)) = (parent, monitor) {
            self.extra().rare().watchers.insert_new(reference, parent.pid());
        }
        let special = self.special.take();
        let partner = special.as_ref().and_then(|special| special.partner);
        if let Some(partner) = partner {
            self.extra().links.insert(partner, Link::ACTIVE);
        }
        let birth = Birth {
            lineage: parent.map(|parent| parent.lineage_for_children(self.on_behalf)),
            extra: self.extra,
            bound: self.mailbox,
            priority: self.priority,
            trap_exit: self.trap_exit,
            crash_is_callers: self.crash_is_callers,
            observed: shared.sim.is_some(),
            parent_link: self.link,
        };
        let newborn = unborn.begin(runtime, future, birth);
        let (name, alias, tag) =
            special.map_or((None, None, None), |special| (special.name, special.alias, special.tag));
        if let Some(name) = name
            && let Err(error) = register_in(shared, name, pid)
        {
            // It ends before its future is polled. Its parent, who has entered neither link nor monitor, ignores that.
            newborn.doom(ExitReason::Normal);
            newborn.schedule(Place::Next);
            return Err(SpawnError::Name(error));
        }
        if let Some(parent) = parent
            && (self.link || monitor.is_some())
        {
            if self.link {
                parent.tidy_links();
            }
            parent.with_extra(|extra| {
                if self.link {
                    extra.links.insert_new(pid, Link::ACTIVE);
                    parent.links_have_grown(&extra.links);
                }
                if let Some(reference) = monitor {
                    let rare = extra.rare();
                    if let Some(mode) = alias {
                        rare.aliases.insert(reference, mode);
                    }
                    rare.monitors
                        .insert_new(reference, Monitored { target: Target::Pid(pid), pid: Some(pid), tag });
                }
            });
        }
        if let Some(partner) = partner {
            link_partner(pid, partner);
        }
        newborn.schedule(self.place);
        Ok(pid)
    }
}

/// The other side of the link of a process that has not begun to run.
#[cold]
fn link_partner(pid: Pid, partner: Pid) {
    if signal::send(partner, Signal::Link { from: pid }).is_err() {
        // It is there, and has not ended.
        let _ = signal::send(pid, Signal::LinkExit { from: partner, reason: ExitReason::NoProc });
    }
}

/// A process that a timer is to start.
pub(crate) struct Later {
    future: FutureBox,
    lineage: Option<Arc<Lineage>>,
}

impl Later {
    pub(crate) fn new(future: FutureBox, lineage: Option<Arc<Lineage>>) -> Self {
        Self { future, lineage }
    }

    /// Starts it. Runs no code of the program: what cannot be started comes back.
    pub(crate) fn start(self, shared: &Arc<Shared>) -> Result<(), (Self, SpawnError)> {
        if let Err(error) = shared.process_begins() {
            return Err((self, error));
        }
        let Some(unborn) = slab::acquire() else {
            shared.process_ended();
            return Err((self, SpawnError::ProcessLimit { limit: crate::pid::INDEX_LIMIT as usize }));
        };
        if let Some(sim) = &shared.sim {
            sim.spawned(unborn.pid(), None, self.future.type_name(), None);
        }
        let birth = Birth {
            lineage: self.lineage,
            extra: None,
            bound: None,
            priority: Priority::Normal,
            trap_exit: false,
            crash_is_callers: false,
            observed: shared.sim.is_some(),
            parent_link: false,
        };
        unborn.begin(RuntimePtr::of(shared), self.future, birth).schedule(Place::Back);
        Ok(())
    }
}

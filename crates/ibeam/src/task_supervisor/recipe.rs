//! What a task supervisor starts its tasks from.

use ibeam_runtime::{ExitReason, Pid, SpawnError};

use crate::dynamic_supervisor::{Begun, Recipe, Terms, sealed};
use crate::gen_server::StartError;
use crate::supervisor::child_start::StartFuture;
use crate::supervisor::{Kind, Restart, Shutdown, StartedChild};

/// The tasks of a task supervisor. See [`DynamicSupervisorRef`](crate::DynamicSupervisorRef), which works with any recipe.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    _private: (),
}

impl Recipe for Tasks {}

/// One task that is to be started, in the supervisor's process.
pub struct NewTask {
    run: Run,
    restart: Restart,
    shutdown: Shutdown,
}

pub(super) enum Run {
    Once(Box<dyn FnOnce() -> Result<Pid, SpawnError> + Send>),
    Again(Again),
}

/// How a task is started that may be restarted.
pub(super) type Again = Box<dyn Fn() -> Result<Pid, SpawnError> + Send + Sync>;

impl NewTask {
    pub(super) fn new(run: Run, restart: Restart, shutdown: Shutdown) -> Self {
        Self { run, restart, shutdown }
    }
}

impl sealed::Recipe for Tasks {
    type Args = NewTask;
    /// `None`: it is not restarted.
    type Kept = Option<Again>;

    fn begin(&self, NewTask { run, restart, shutdown }: NewTask) -> Begun<Option<Again>> {
        let (kept, spawned) = match run {
            Run::Once(run) => (None, run()),
            Run::Again(run) => {
                let spawned = run();
                (Some(run), spawned)
            }
        };
        let terms = Terms { restart, shutdown, kind: Kind::Worker, implemented_by: None, backoff: None };
        Begun { kept, start: started(spawned), terms }
    }

    fn again(&self, kept: &Option<Again>) -> StartFuture {
        match kept {
            Some(run) => started(run()),
            None => StartFuture::over(Err(StartError::Init { reason: ExitReason::NoProc })),
        }
    }
}

fn started(spawned: Result<Pid, SpawnError>) -> StartFuture {
    StartFuture::over(spawned.map(StartedChild::running).map_err(StartError::from_spawn))
}

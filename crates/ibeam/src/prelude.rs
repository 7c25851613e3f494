//! What most programs use: `use ibeam::prelude::*;`.

pub use crate::agent::{Agent, AgentRef};
pub use crate::dynamic_supervisor::{
    DynamicChildError, DynamicStartError, DynamicSupervisor, DynamicSupervisorRef,
};
pub use crate::gen_server::{
    Call, Continue, GenServer, HandleCall, HandleCast, HandleInfo, Init, Next, OrExit, Reply, ServerRef,
    StartError,
};
pub use crate::partition_supervisor::{PartitionSupervisor, PartitionSupervisorRef, ResizeError};
pub use crate::pubsub::PubSub;
pub use crate::registry::{RegisterError, Registry, RegistryEvent};
pub use crate::supervisor::{
    ChildSpec, Restart, Shutdown, Strategy, Supervise, Supervisor, SupervisorInit, SupervisorRef,
};
pub use crate::task::{OnTimeout, RunTask, Task, TaskEnded, TaskError};
pub use crate::task_supervisor::{TaskSupervisor, TaskSupervisorRef};
pub use crate::{
    Alias, AliasMode, CallError, CallFrom, Down, Exit, ExitReason, Message, Name, NameRegistry, Pid,
    Reference, Runtime, Timeout, Timer, TimerFired, gen_server, process, receive,
};

//! PartitionSupervisor: the same child several times, and a key that says which one to use.
//!
//! # When to use it, and when not
//! For a process that has become a bottleneck and whose state can be divided by a key: a cache by its keys, counters by their
//! users, or a [`DynamicSupervisor`] that starts too many children for one process. Not where a request concerns several keys at
//! once, or where the order among all requests matters.
//!
//! ```
//! use ibeam::prelude::*;
//!
//! struct Visits {
//!     count: u64,
//! }
//!
//! #[gen_server]
//! impl Visits {
//!     async fn init(count: u64) -> Init<Self> {
//!         Init::ok(Visits { count })
//!     }
//!
//!     #[call]
//!     async fn visit(&mut self) -> u64 {
//!         self.count += 1;
//!         self.count
//!     }
//! }
//!
//! Runtime::new().block_on(async {
//!     let visits = PartitionSupervisor::new("visits", Visits::child(0)).partitions(4).start_link().await.unwrap();
//!     assert_eq!(visits.partitions(), Ok(4));
//!     assert_eq!(visits.key("joe").visit().await, Ok(1));
//!     assert_eq!(visits.key("joe").visit().await, Ok(2));
//!     // Numbers are divided by the number of partitions; what is left says which one.
//!     assert_eq!(visits.key(7).pid(), visits.key(3).pid());
//! });
//! ```
//!
//! # Many children behind several supervisors
//! ```
//! # use ibeam::prelude::*;
//! # fn job() -> ChildSpec {
//! #     ChildSpec::new("job", || async { Ok(process::spawn_link(std::future::pending::<()>())) })
//! # }
//! # Runtime::new().block_on(async {
//! let jobs = PartitionSupervisor::new("jobs", DynamicSupervisor::spec()).start_link().await.unwrap();
//! jobs.key(process::self_pid()).start_child(job()).await.unwrap();
//! # });
//! ```
//!
//! # Which partition
//! A key that hashes as one number is that number, without its sign, modulo the number of partitions; any other key is hashed, in
//! every program in the same way. Which partition a key has may change with a version of ibeam.
//!
//! [`key`](PartitionSupervisorRef::key) gives a handle that finds the partition's process at each use, so it outlives restarts
//! of the partition and of the whole supervisor, and follows a [`resize`](PartitionSupervisorRef::resize).
//!
//! # Erlang/OTP
//! Elixir's `PartitionSupervisor`; `supervisor.key(k)` is its `{:via, PartitionSupervisor, {name, k}}`.

#[cfg(doc)]
use crate::dynamic_supervisor::DynamicSupervisor;

mod partition_ref;
mod routing;
mod start;

pub use partition_ref::{PartitionInfo, PartitionSupervisorRef, ResizeError};
pub use start::{Partition, PartitionSupervisor, PartitionsError, StartPartitionSupervisor};

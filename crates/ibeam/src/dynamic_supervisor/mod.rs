//! DynamicSupervisor: children that are started on demand, any number of them.
//!
//! # When to use it, and when not
//! For children that come and go while the program runs: a process per connection, per room, per job. They have no ids and no
//! order; each is found by its pid, or by a name that it registers itself. For a fixed set of children that depend on each
//! other use a [`Supervisor`](crate::supervisor). A dynamic supervisor starts its children one after the other, and each start
//! waits for the child's `init`: where that becomes a bottleneck, put several of them behind a
//! [`PartitionSupervisor`](mod@crate::partition_supervisor).
//!
//! ```
//! use ibeam::prelude::*;
//!
//! struct Room {
//!     guests: u32,
//! }
//!
//! #[gen_server]
//! impl Room {
//!     async fn init(guests: u32) -> Init<Self> {
//!         Init::ok(Room { guests })
//!     }
//!
//!     #[call]
//!     async fn enter(&mut self) -> u32 {
//!         self.guests += 1;
//!         self.guests
//!     }
//! }
//!
//! Runtime::new().block_on(async {
//!     let top = Supervisor::new(Strategy::OneForOne).child(DynamicSupervisor::new("rooms").max_children(10_000));
//!     let _top = top.start_link().await.unwrap();
//!
//!     let rooms = DynamicSupervisorRef::named("rooms");
//!     let room = rooms.start_child(Room::child(0).restart(Restart::Transient)).await.unwrap();
//!     assert_eq!(room.enter().await, Ok(1));
//!     assert_eq!(rooms.count_children().await.unwrap().active, 1);
//!
//!     let pid = room.pid().unwrap();
//!     rooms.terminate_child(pid).await.unwrap();
//!     assert_eq!(rooms.terminate_child(pid).await, Err(DynamicChildError::NotFound { pid }));
//! });
//! ```
//!
//! # Children of one kind
//! With a [`template`](DynamicSupervisor::template) the supervisor knows how its children are started, and
//! [`start_child`](DynamicSupervisorRef::start_child) takes what makes one differ from the other. What they have in common
//! is in the template:
//!
//! ```
//! # use ibeam::prelude::*;
//! # struct Room;
//! # #[gen_server]
//! # impl Room {
//! #     async fn init(_config: (String, u64)) -> Init<Self> {
//! #         Init::ok(Room)
//! #     }
//! # }
//! # Runtime::new().block_on(async {
//! let prefix = "room".to_owned();
//! let rooms = DynamicSupervisor::spec()
//!     .template(move |number: u64| Room::child((prefix.clone(), number)).restart(Restart::Temporary))
//!     .start_link()
//!     .await
//!     .unwrap();
//! let room: ServerRef<Room> = rooms.start_child(7).await.unwrap();
//! # assert!(room.pid().is_some());
//! # });
//! ```
//!
//! # What it does when a child ends
//! | restart | child ended normally or by shutdown | child ended otherwise |
//! |---|---|---|
//! | [`Permanent`](crate::Restart::Permanent) | restarts it | restarts it |
//! | [`Transient`](crate::Restart::Transient) | forgets it | restarts it |
//! | [`Temporary`](crate::Restart::Temporary) | forgets it | forgets it |
//!
//! A restart begins with what the child was first started with. If it fails it is tried again, behind the messages that have
//! come meanwhile, and counts each time: more than `max_restarts` within `max_seconds` and the supervisor stops its children and
//! ends with [`ExitReason::Shutdown`](crate::ExitReason::Shutdown). A child without a process is *restarting*: it is counted, listed without a pid, and can be
//! terminated by its last pid. A restart that says [`ignore`](crate::Init::ignore) forgets the child.
//!
//! # Stopping
//! A supervisor that ends asks all its children to stop, side by side, each within the limit of its own
//! [`Shutdown`](crate::Shutdown), and then ends itself.
//!
//! # Erlang/OTP
//! Elixir's `DynamicSupervisor`, and with a template OTP's `simple_one_for_one`, whose template is a child specification to which
//! arguments are appended. Elixir's `extra_arguments`, which come before those of each child, are what a template's closure has
//! of its own. Differs: while a child stops, the supervisor goes on with other requests. Only who asked for it waits.

mod children;
mod deadlines;
mod dynamic_ref;
mod recipe;
mod server;
mod start;

pub(crate) use children::Terms;
pub use dynamic_ref::{DynamicChildError, DynamicChildInfo, DynamicStartError, DynamicSupervisorRef};
pub use recipe::{AnyChild, DynamicChild, Recipe, Template};
pub(crate) use recipe::{Begun, sealed};
pub(crate) use start::id_of;
pub use start::{DynamicInit, DynamicSettings, DynamicSupervisor, StartDynamicSupervisor, SuperviseDynamic};

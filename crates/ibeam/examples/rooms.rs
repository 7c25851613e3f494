//! Dynamic supervisors behind a partition supervisor: rooms that are opened on demand, spread by their names.
//!
//! ```sh
//! cargo run -p ibeam --example rooms
//! ```
//!
//! prints
//!
//! ```text
//! 4 supervisors, 6 rooms
//! lounge: joe is guest number 1
//! lounge: ann is guest number 2
//! a guest has broken the lounge
//! the lounge is open again, at the same address
//! lounge: joe is guest number 1
//! the kitchen is closed: 5 rooms are left
//! ```
//!
//! The crash report goes to standard error.

use ibeam::prelude::*;

/// A room. Its guests are gone when it crashes; the room itself comes back.
struct Room {
    name: String,
    guests: u64,
}

#[gen_server]
impl Room {
    async fn init(name: String) -> Init<Self> {
        Init::ok(Room { name, guests: 0 })
    }

    #[call]
    async fn enter(&mut self, guest: &'static str) -> String {
        assert!(guest != "vandal", "broken by a guest");
        self.guests += 1;
        format!("{}: {guest} is guest number {}", self.name, self.guests)
    }
}

#[ibeam::main]
async fn main() -> Result<(), ExitReason> {
    // Each partition is a dynamic supervisor whose children are rooms, known by their names.
    let supervisor = DynamicSupervisor::spec()
        .max_children(1_000)
        .template(|name: String| Room::child(name.clone()).name(name).restart(Restart::Transient));
    let rooms = PartitionSupervisor::new("rooms", supervisor).partitions(4).start_link().await?;

    for name in ["lounge", "kitchen", "attic", "cellar", "study", "hall"] {
        rooms.key(name).start_child(name.to_owned()).await?;
    }
    println!("{} supervisors, {} rooms", rooms.partitions()?, open(&rooms).await?);

    let lounge = ServerRef::<Room>::named("lounge");
    println!("{}", lounge.enter("joe").await?);
    println!("{}", lounge.enter("ann").await?);
    let monitor = process::monitor("lounge");
    if lounge.enter("vandal").await.is_err() {
        println!("a guest has broken the lounge");
    }
    // When we hear of the death, the supervisor has heard of it too: it answers when it has restarted the child.
    receive! { Down { monitor: gone, .. } if gone == monitor => {} }
    rooms.key("lounge").count_children().await?;
    println!("the lounge is open again, at the same address");
    println!("{}", lounge.enter("joe").await?);

    let kitchen = process::whereis("kitchen").ok_or(ExitReason::NoProc)?;
    rooms.key("kitchen").terminate_child(kitchen).await?;
    println!("the kitchen is closed: {} rooms are left", open(&rooms).await?);
    Ok(())
}

/// How many rooms there are, in all partitions.
async fn open<P>(rooms: &PartitionSupervisorRef<P>) -> Result<usize, ExitReason>
where
    P: ibeam::partition_supervisor::Partition,
{
    let mut count = 0;
    for partition in rooms.which_children().await? {
        let supervisor = partition.pid.ok_or(ExitReason::NoProc)?;
        count += DynamicSupervisorRef::of(supervisor).count_children().await?.active;
    }
    Ok(count)
}

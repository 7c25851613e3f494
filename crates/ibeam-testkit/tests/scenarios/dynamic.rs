//! Dynamic supervisors under churn, partitions under kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use ibeam::prelude::*;
use ibeam::supervisor::ServerChild;
use ibeam_testkit::prelude::*;

use crate::*;

/// Counts how many of its kind there are.
struct Room(Arc<AtomicI64>);

#[gen_server]
impl Room {
    async fn init(alive: Arc<AtomicI64>) -> Init<Self> {
        alive.fetch_add(1, SeqCst);
        Init::ok(Room(alive))
    }

    #[call]
    async fn ping(&mut self) -> &'static str {
        "pong"
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn is_room(victim: &ibeam::sim::Victim) -> bool {
    victim.initial_call.contains("Room")
}

#[ibeam::simulate(faults = Faults::rough().kills(8).failed_starts(2).kill_only(is_room))]
async fn children_come_and_go_and_none_is_lost() {
    let alive = Arc::new(AtomicI64::new(0));
    let rooms = started(|| DynamicSupervisor::new("rooms").intensity(OFTEN.0, OFTEN.1)).await;
    for churn in 0..4 {
        let (alive, rooms) = (Arc::clone(&alive), rooms.clone());
        process::builder().label("churn").spawn(async move {
            for n in 0..5 {
                let restart = if churn % 2 == 0 { Restart::Permanent } else { Restart::Temporary };
                let Ok(room) = rooms.start_child(Room::child(Arc::clone(&alive)).restart(restart)).await
                else {
                    continue;
                };
                let _ = room.ping().timeout(100 * MS).await;
                if n % 2 == 0
                    && let Some(pid) = room.pid()
                {
                    // It may have been killed, and be another one by now.
                    let _ = rooms.terminate_child(pid).await;
                }
            }
        });
    }
    until_quiet().await;
    let counts = rooms.count_children().await.unwrap();
    assert_eq!(counts.active as i64, alive.load(SeqCst), "{counts:?}");
    assert_eq!(counts.active, counts.specs);
    for child in rooms.which_children().await.unwrap() {
        assert_eq!(ServerRef::<Room>::of(child.pid.unwrap()).ping().await, Ok("pong"));
    }
    stop_supervised("rooms").await.unwrap();
    assert_eq!(alive.load(SeqCst), 0);
}

#[ibeam::simulate(faults = Faults::none().kills(5).failed_starts(2).kill_only(is_room).delay(20 * MS).slow(20 * MS))]
async fn the_limit_of_children_holds() {
    let alive = Arc::new(AtomicI64::new(0));
    let rooms = started(|| DynamicSupervisor::new("rooms").max_children(3)).await;
    let test = process::self_pid();
    for _ in 0..5 {
        let (alive, rooms) = (Arc::clone(&alive), rooms.clone());
        process::builder().label("client").spawn(async move {
            for _ in 0..3 {
                let child = Room::child(Arc::clone(&alive)).restart(Restart::Temporary);
                let started = rooms.start_child(child).await;
                assert!(alive.load(SeqCst) <= 3, "more than three rooms");
                if let Ok(room) = started {
                    process::sleep(2 * MS).await;
                    let _ = rooms.terminate_child(room.pid().unwrap()).await;
                }
            }
            test.send("done");
        });
    }
    until_quiet().await;
    assert_eq!(rooms.count_children().await.unwrap().active as i64, alive.load(SeqCst));
}

#[ibeam::simulate(faults = Faults::none().kills(4).kill_only(with_a_name).delay(20 * MS).slow(20 * MS))]
async fn a_key_keeps_its_partition() {
    let starts = Starts::default();
    let partitions = ["p0", "p1", "p2"];
    let counted = starts.clone();
    let supervisor = PartitionSupervisor::with_arguments("shards", move |partition| {
        worker(partitions[partition], &counted)
    });
    let supervisor = supervisor.partitions(3).intensity(OFTEN.0, OFTEN.1).child();
    started(|| supervisor.clone()).await;
    let shards = PartitionSupervisorRef::<ServerChild<Worker>>::named("shards");
    until_quiet().await;
    for key in 0..10_u64 {
        let pid = shards.whereis(key).unwrap();
        assert_eq!(shards.key(key).pid(), Some(pid));
        let name =
            partitions.into_iter().find(|name| named(name).pid() == Some(pid)).expect("one of the three");
        assert_eq!(shards.key(key).life().await, Ok(starts.of(name)));
    }
}

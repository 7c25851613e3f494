//! What a registry promises beyond Elixir's suite (`registry_unique.rs`, `registry_duplicate.rs`): who has an entry, and until when.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use common::{end_of, first, on_every_driver, until_it_waits};
use ibeam::prelude::*;
use ibeam::registry::{Duplicate, PartitionBy, RegistryValue};

/// Does nothing until it is ended.
async fn idle() {
    std::future::pending().await
}

async fn rooms() -> Registry<u32, String> {
    Registry::unique("rooms").partitions(2).start_link().await.unwrap()
}

fn rooms_supervisor() -> SupervisorRef {
    SupervisorRef::named("rooms")
}

async fn topics(by: PartitionBy) -> Registry<&'static str, u32, Duplicate> {
    Registry::duplicate("topics").partitions(3).partition_by(by).start_link().await.unwrap()
}

/// A process that has done this, and waits.
async fn process_that(first: impl FnOnce() + Send + 'static) -> Pid {
    let me = process::self_pid();
    let pid = process::spawn(async move {
        first();
        me.send(());
        idle().await;
    });
    common::first::<()>().await;
    pid
}

#[test]
fn entries_are_gone_when_the_end_is_known() {
    on_every_driver(|| async {
        let rooms = rooms().await;
        let other = rooms.clone();
        let owner = process_that(move || {
            for key in 0..40 {
                other.register(key, format!("room {key}")).unwrap();
            }
        })
        .await;
        assert_eq!(rooms.lookup(&39), Some((owner, "room 39".to_owned())));
        assert_eq!((rooms.count(), rooms.keys(owner).len()), (40, 40));
        process::kill(owner);
        end_of(owner).await;
        assert_eq!((rooms.count(), rooms.keys(owner), rooms.lookup(&39)), (0, vec![], None));
        assert_eq!(rooms.select(|key, _, _| Some(*key)), []);
    });
}

#[test]
fn a_topic_with_many_subscribers() {
    on_every_driver(|| async {
        for by in [PartitionBy::Pid, PartitionBy::Key] {
            let topics = topics(by).await;
            let mut subscribers = Vec::new();
            for number in 0..100 {
                let topics = topics.clone();
                subscribers
                    .push(process_that(move || assert!(topics.register("news", number).is_ok())).await);
            }
            let mut met = Vec::new();
            topics.dispatch(&"news", |pid, number| met.push((*number, pid)));
            met.sort_unstable();
            let expected: Vec<_> = (0..100).zip(subscribers.iter().copied()).collect();
            assert_eq!(met, expected);
            for (left, subscriber) in subscribers.into_iter().enumerate() {
                process::kill(subscriber);
                end_of(subscriber).await;
                let mut count = 0;
                topics.dispatch(&"news", |pid, _| {
                    assert_ne!(pid, subscriber);
                    count += 1;
                });
                assert_eq!((count, topics.count()), (99 - left, 99 - left));
            }
            let stop = SupervisorRef::named("topics");
            stop.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        }
    });
}

#[test]
fn the_end_of_a_registry_is_an_exit_signal_for_its_owners() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let rooms = rooms().await;
        let other = rooms.clone();
        let owner = process_that(move || assert!(other.register(1, String::new()).is_ok())).await;
        let partition = rooms.register(2, String::new()).unwrap();
        let monitor = process::monitor(owner);
        process::kill(partition);
        let exit = first::<Exit>().await;
        assert_eq!((exit.pid, exit.reason), (partition, ExitReason::Killed));
        assert_eq!(rooms.lookup(&2), None);
        let stop = SupervisorRef::named("rooms");
        stop.stop(ExitReason::Shutdown, Timeout::Infinity).await.unwrap();
        common::down(monitor).await;
        assert_eq!(rooms.count(), 0);
        let error = rooms.register(3, String::new()).unwrap_err();
        assert_eq!(error, RegisterError::NotRunning { registry: "rooms".into() });
    });
}

/// As if the registry were a process that is called and is not there.
#[test]
fn a_name_in_a_registry_that_does_not_run() {
    on_every_driver(|| async {
        let nobody = Registry::<u32, u32>::named("nobody");
        let (_, monitor) = process::spawn_monitor(async move {
            let _ = nobody.via(1_u32).register(process::self_pid()).await;
        });
        let reason = common::down(monitor).await.reason;
        let error = reason.downcast_ref::<RegisterError<u32>>();
        assert_eq!(error, Some(&RegisterError::NotRunning { registry: "nobody".into() }));
    });
}

#[tokio::test]
#[should_panic(expected = "unknown registry `nobody`")]
async fn a_name_in_a_registry_that_does_not_run_outside_of_processes() {
    let nobody = Registry::<u32, u32>::named("nobody");
    let _ = nobody.via(1_u32).register(process::spawn(async {})).await;
}

#[test]
fn a_key_as_a_name() {
    on_every_driver(|| async {
        let (me, rooms) = (process::self_pid(), rooms().await);
        for via in [rooms.via(7_u32), rooms.via_with(7_u32, "lobby".to_owned())] {
            assert!(via.to_string().contains("rooms"), "{via}");
            via.register(me).await.unwrap();
            assert_eq!((via.whereis(), rooms.whereis(&7)), (Some(me), Some(me)));
            assert_eq!(via.register(me).await.unwrap_err().pid, me);
            via.unregister().await;
            assert_eq!((via.whereis(), rooms.whereis(&7)), (None, None));
        }
    });
}

/// What belongs to one run goes with it, and with no other.
#[test]
fn the_end_of_a_run_is_not_that_of_the_next() {
    on_every_driver(|| async {
        let former = rooms().await;
        former.put_meta("run", 1);
        let supervisor = SupervisorRef::of(process::whereis("rooms").unwrap());
        // Somebody gives its name away, though it runs.
        process::unregister("rooms").unwrap();
        let rooms = rooms().await;
        assert_eq!(rooms.meta::<i32>("run"), None);
        rooms.put_meta("run", 2);
        supervisor.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        assert_eq!(former.meta::<i32>("run"), Some(2), "a handle is by name");
        rooms_supervisor().stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        assert_eq!(rooms.meta::<i32>("run"), None);
        rooms.put_meta("run", 3);
        assert_eq!(rooms.meta::<i32>("run"), None, "nothing runs");
    });
}

/// More than one turn's work: of one owner, and of many.
#[test]
fn a_partition_lets_go_of_all_its_owners() {
    const OWNERS: u32 = 560;
    on_every_driver(|| async {
        let topics: Registry<u32, u32, Duplicate> = Registry::duplicate("topics").start_link().await.unwrap();
        let me = process::self_pid();
        for number in 0..OWNERS {
            let topics = topics.clone();
            let entries = if number == OWNERS / 2 { 1_200 } else { 1 };
            let _ = process::spawn_monitor(async move {
                let mut partition = None;
                for entry in 0..entries {
                    partition = topics.register(entry % 700, number).ok();
                }
                me.send(partition.unwrap());
                idle().await;
            });
        }
        let mut partitions = Vec::new();
        for _ in 0..OWNERS {
            partitions.push(first::<Pid>().await);
        }
        assert_eq!(topics.count(), OWNERS as usize - 1 + 1_200);
        let monitor = process::monitor(partitions[0]);
        process::kill(partitions[0]);
        for _ in 0..=OWNERS {
            let down = first::<Down>().await;
            assert_eq!(down.reason, ExitReason::Killed);
            if down.monitor == monitor {
                assert_eq!((topics.count(), topics.select(|key, _, _| Some(*key))), (0, vec![]));
            }
        }
    });
}

/// However many entries an owner has; listeners are told of none of them.
#[test]
fn an_owner_hears_of_the_end_of_its_partition_once() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let me = process::self_pid();
        process::register("listener", me).unwrap();
        let rooms: Registry<u32, u32> =
            Registry::unique("rooms").listeners(["listener"]).start_link().await.unwrap();
        // More than it lets go of in one turn.
        for key in 0..1_200 {
            rooms.register(key, key).unwrap();
            first::<RegistryEvent<u32, u32>>().await;
        }
        let partition = rooms.register(1_200, 0).unwrap();
        first::<RegistryEvent<u32, u32>>().await;
        rooms_supervisor().stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        let mut heard = Vec::new();
        while let Some(message) = process::try_recv() {
            let exit: Exit = message.downcast().unwrap_or_else(|other| panic!("{other:?}"));
            heard.push((exit.pid, exit.reason));
        }
        heard.retain(|(pid, _)| *pid == partition);
        assert_eq!(heard, [(partition, ExitReason::Shutdown)]);
    });
}

/// Though its former owner lives on; with values that have a destructor, and with others.
#[test]
fn a_key_that_was_unregistered_is_free() {
    async fn check<V: RegistryValue + Default>() {
        let rooms: Registry<u32, V> = Registry::unique("rooms").start_link().await.unwrap();
        for _ in 0..2 {
            rooms.register(1, V::default()).unwrap();
            rooms.unregister(&1);
        }
        let other = rooms.clone();
        let owner = process_that(move || assert!(other.register(1, V::default()).is_ok())).await;
        rooms.unregister(&1);
        rooms.unregister_match(&1, |_| true);
        assert_eq!(rooms.whereis(&1), Some(owner), "it is somebody else's");
        rooms_supervisor().stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
    }
    on_every_driver(|| async {
        check::<u32>().await;
        check::<String>().await;
    });
}

/// A value whose destructor panics at the end of its owner.
#[derive(Clone)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if process::name().is_some_and(|name| name == "bomber") {
            panic!("as it was told");
        }
    }
}

#[test]
fn a_value_that_panics_keeps_no_entry() {
    on_every_driver(|| async {
        let rooms: Registry<u32, Option<Bomb>> = Registry::unique("rooms").start_link().await.unwrap();
        let other = rooms.clone();
        let owner = process_that(move || {
            process::register("bomber", process::self_pid()).unwrap();
            for key in 0..1_200 {
                other.register(key, (key % 300 == 0).then(|| Bomb)).unwrap();
            }
        })
        .await;
        process::kill(owner);
        end_of(owner).await;
        assert_eq!((rooms.count(), rooms.select(|key, _, _| Some(*key))), (0, vec![]));
    });
}

#[test]
fn a_process_in_several_registries() {
    on_every_driver(|| async {
        let mut registries = Vec::new();
        for number in 0..4_u32 {
            let registry = Registry::<u32, u32>::unique(format!("registry {number}"));
            registries.push(registry.start_link().await.unwrap());
        }
        let own = registries.clone();
        let owner = process_that(move || {
            own.iter().for_each(|registry| assert!(registry.register(7, 1).is_ok()));
            own[0].unregister(&7);
            own[2].unregister(&7);
            own[0].register(8, 2).unwrap();
        })
        .await;
        let keys = |registry: &Registry<u32, u32>| registry.keys(owner);
        assert_eq!(registries.iter().map(keys).collect::<Vec<_>>(), [vec![8], vec![7], vec![], vec![7]]);
        process::kill(owner);
        end_of(owner).await;
        for registry in &registries {
            assert_eq!((registry.count(), registry.keys(owner), registry.whereis(&7)), (0, vec![], None));
        }
    });
}

#[test]
fn a_key_is_found_by_what_it_can_be_borrowed_as() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let names: Registry<String, u8> = Registry::unique("names").start_link().await.unwrap();
        names.register("room:1".into(), 1).unwrap();
        assert_eq!((names.whereis("room:1"), names.whereis("room:2")), (Some(me), None));
        assert_eq!(names.lookup("room:1"), Some((me, 1)));
        assert_eq!(names.update_value("room:1", |value| value + 1), Some((2, 1)));
        assert_eq!((names.values("room:1", me), names.count_match("room:1", |_| true)), (vec![2], 1));
        names.unregister("room:1");
        assert_eq!((names.lookup("room:1"), names.count()), (None, 0));

        let topics: Registry<String, u8, Duplicate> =
            Registry::duplicate("topics").start_link().await.unwrap();
        // From few keys, which are looked through, to many, which are hashed.
        for topic in 0..40 {
            topics.register(format!("room:{topic}"), topic).unwrap();
            topics.register("room:0".into(), 0).unwrap();
        }
        let mut met = 0;
        topics.dispatch("room:0", |_, value| met += u32::from(*value == 0));
        assert_eq!(
            (met, topics.lookup("room:39"), topics.matching("room:1", |_| true).len()),
            (41, vec![(me, 39)], 1)
        );
        topics.unregister_match("room:0", |value| *value == 1);
        assert_eq!(topics.lookup("room:0").len(), 41);
        topics.unregister("room:0");
        assert_eq!((topics.lookup("room:0").len(), topics.count()), (0, 39));
    });
}

/// One of them, and the line behind it: who leaves the line is passed over, and a lock that nobody has is forgotten.
#[test]
fn a_lock_is_had_by_one_after_the_other() {
    struct Locked(u32);
    struct Release;
    on_every_driver(|| async {
        let rooms = rooms().await;
        let (me, key) = (process::self_pid(), Arc::new("key"));
        let mut line = Vec::new();
        for number in 0..5 {
            let (rooms, key) = (rooms.clone(), Arc::clone(&key));
            let locked = move || async move {
                me.send(Locked(number));
                first::<Release>().await;
            };
            let pid = process::spawn(async move { rooms.lock(key, locked).await });
            until_it_waits(pid).await;
            line.push(pid);
        }
        assert_eq!(first::<Locked>().await.0, 0);
        // Of those who wait, and then the one who has it.
        for gone in [1, 3, 0] {
            process::kill(line[gone]);
            end_of(line[gone]).await;
        }
        assert_eq!(first::<Locked>().await.0, 2);
        line[2].send(Release);
        assert_eq!(first::<Locked>().await.0, 4);
        line[4].send(Release);
        end_of(line[4]).await;
        assert_eq!((Arc::strong_count(&key), process::try_recv().is_none()), (1, true));
        assert_eq!(rooms.lock("key", || async { "free" }).await, "free");
    });
}

/// A key whose hash says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alike(u32);

impl Hash for Alike {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[test]
fn keys_that_hash_alike_are_different_keys() {
    on_every_driver(|| async {
        let rooms = rooms().await;
        rooms.put_meta(Alike(1), "one");
        rooms.put_meta(Alike(2), "two");
        let both = || [rooms.meta::<&str>(Alike(1)), rooms.meta::<&str>(Alike(2))];
        assert_eq!(both(), [Some("one"), Some("two")]);
        rooms.delete_meta(Alike(1));
        assert_eq!(both(), [None, Some("two")]);
        let inner = || async { rooms.lock(Alike(2), || async { "both" }).await };
        assert_eq!(rooms.lock(Alike(1), inner).await, "both");
    });
}

#[test]
fn a_parallel_dispatch_has_a_process_per_partition() {
    on_every_driver(|| async {
        let me = process::self_pid();
        for (partitions, by) in [(2, PartitionBy::Pid), (2, PartitionBy::Key), (1, PartitionBy::Pid)] {
            let name = format!("{by:?} {partitions}");
            let topics = Registry::<&str, u32>::duplicate(name).partitions(partitions).partition_by(by);
            let topics = topics.start_link().await.unwrap();
            for number in 0..40 {
                let topics = topics.clone();
                process_that(move || assert!(topics.register("news", number).is_ok())).await;
            }
            let met = Arc::new(Mutex::new(Vec::new()));
            let meet = Arc::clone(&met);
            let there = move |_, number: &u32| meet.lock().unwrap().push((*number, process::self_pid()));
            assert_eq!(topics.dispatch_parallel(&"news", there).await, Ok(()));
            let mut met = std::mem::take(&mut *met.lock().unwrap());
            met.sort_unstable();
            assert!(met.iter().map(|(number, _)| *number).eq(0..40), "{met:?}");
            let callers: HashSet<Pid> = met.into_iter().map(|(_, caller)| caller).collect();
            if partitions == 2 && by == PartitionBy::Pid {
                assert!(callers.len() == 2 && !callers.contains(&me), "{callers:?}");
                let seven = |_, number: &u32| {
                    if *number == 7 {
                        process::exit(ExitReason::other("seven"));
                    }
                };
                let ended = topics.dispatch_parallel(&"news", seven).await;
                assert_eq!(ended, Err(ExitReason::other("seven")));
            } else {
                assert_eq!(callers, HashSet::from([me]));
            }
        }
    });
}

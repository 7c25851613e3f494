//! What a registry promises beyond Elixir's suite (`registry_conformance.rs`): who has an entry, and until when.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;

use common::{end_of, first, on_every_driver};
use ibeam::prelude::*;
use ibeam::registry::{Duplicate, PartitionBy};

/// Does nothing until it is ended.
async fn idle() {
    std::future::pending().await
}

async fn rooms() -> Registry<u32, String> {
    Registry::unique("rooms").partitions(2).start_link().await.unwrap()
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

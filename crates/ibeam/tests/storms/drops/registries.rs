//! Agents, registries, PubSub.

use std::time::Duration;

use ibeam::prelude::*;
use ibeam::registry::PartitionBy;

use super::{A_SECOND, AT_ONCE, Case, Server, ServerClient as _, Try};

async fn agent() -> AgentRef<u32> {
    Agent::start(|| 1).await.expect("it starts")
}

async fn first_in_a_second() -> u32 {
    process::sleep(A_SECOND).await;
    1
}

async fn rooms() -> Registry<u32, ()> {
    Registry::unique("rooms").start().await.expect("it starts")
}

/// Its entries lie in two partitions.
async fn topics() -> Registry<&'static str, u32, ibeam::registry::Duplicate> {
    let topics = Registry::duplicate("topics").partition_by(PartitionBy::Pid).partitions(2);
    let topics = topics.start().await.expect("it starts");
    for number in 0..4 {
        let member = topics.clone();
        process::spawn(async move {
            member.register("news", number).expect("it runs");
            std::future::pending::<()>().await
        });
    }
    process::sleep(A_SECOND).await;
    topics
}

cases! {
    "an agent's start": |with: Try| async move { with.this(Agent::start_link(|| 1).name("agent")).await };
    "an agent's start that is waited for": |with: Try| async move { with.this(Agent::start_link_async(first_in_a_second)).await };
    "get": |with: Try| async move { with.this(agent().await.get(|number| *number)).await };
    "update": |with: Try| async move { with.this(agent().await.update(|number| *number += 1)).await };
    "get_and_update": |with: Try| async move {
        with.this(agent().await.get_and_update(|number| std::mem::replace(number, 2))).await
    };
    "get_async": |with: Try| async move {
        let get = agent().await.get_async(async |number: &u32| { process::sleep(A_SECOND).await; *number });
        with.this(get).await
    };
    "update_async": |with: Try| async move {
        let update = agent().await.update_async(async |number: &mut u32| { process::sleep(A_SECOND).await; *number += 1 });
        with.this(update).await
    };
    "get_and_update_async that takes too long": |with: Try| async move {
        let update = agent().await.get_and_update_async(async |number: &mut u32| { process::sleep(A_SECOND).await; *number });
        with.this(update.timeout(A_SECOND / 2)).await
    };
    "an agent's stop": |with: Try| async move { with.this(agent().await.stop(ExitReason::Normal, Timeout::Infinity)).await };
    "a registry's start": |with: Try| async move { with.this(Registry::<u32, ()>::unique("rooms").partitions(2).start_link()).await };
    "a start under a key": |with: Try| async move {
        let rooms = rooms().await;
        let over = with.this(Server::start(A_SECOND).name(rooms.via(1_u32))).await;
        process::sleep(A_SECOND * 2).await;
        // It goes on without who has started it, and has its key as long as it lives.
        if let Some(pid) = rooms.whereis(&1) {
            process::kill(pid);
            process::sleep(A_SECOND).await;
        }
        assert_eq!(rooms.count(), 0, "a key of nobody");
        over
    };
    "a start under a key that is taken": |with: Try| async move {
        let rooms = rooms().await;
        let _taken = Server::start(AT_ONCE).name(rooms.via(1_u32)).await.expect("it starts");
        with.this(Server::start(AT_ONCE).name(rooms.via(1_u32))).await
    };
    "a key that is registered by hand": |with: Try| async move {
        let rooms = rooms().await;
        let over = with.this(rooms.via(1_u32).register(process::self_pid())).await;
        assert!(over || rooms.count() == 0, "registered without a poll");
        rooms.via(1_u32).unregister().await;
        assert_eq!(rooms.count(), 0);
        over
    };
    "a call of a key": |with: Try| async move {
        let rooms = rooms().await;
        let _room = Server::start(AT_ONCE).name(rooms.via(1_u32)).await.expect("it starts");
        with.this(ServerRef::<Server>::via(&rooms, 1_u32).now()).await
    };
    "a lock": |with: Try| async move {
        let rooms = rooms().await;
        let (others, holds) = (rooms.clone(), Duration::from_millis(100));
        process::spawn(async move { others.lock("key", || process::sleep(holds)).await });
        process::yield_now().await;
        let over = with.this(rooms.lock("key", || process::sleep(holds))).await;
        let free = async { receive! { () => {}, after A_SECOND => panic!("the lock was left locked") } };
        let me = process::self_pid();
        process::spawn(async move { rooms.lock("key", || async { me.send(()) }).await });
        free.await;
        over
    };
    "dispatch_parallel": |with: Try| async move {
        let topics = topics().await;
        with.this(topics.dispatch_parallel(&"news", |pid, number| pid.send(*number))).await
    };
    "PubSub's start": |with: Try| async move { with.this(PubSub::new("bus").pool_size(2).start_link()).await };
    "a wait for what is published": |with: Try| async move {
        let bus = PubSub::new("bus").start().await.expect("it starts");
        bus.subscribe("news").expect("it runs");
        let publisher = bus.clone();
        process::spawn(async move {
            process::sleep(A_SECOND).await;
            publisher.broadcast("news", 1_u64).expect("it runs");
        });
        let over = with.this(process::receive_with(|message| message.arm(|n: u64| Ok::<_, u64>(n)))).await;
        bus.unsubscribe("news");
        process::sleep(A_SECOND * 2).await;
        assert!(bus.subscribers("news").is_empty());
        assert!(process::try_recv().is_none(), "it came to one who had unsubscribed");
        over
    };
}

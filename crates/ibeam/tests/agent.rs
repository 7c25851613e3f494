//! Agents. Names begin with the row of the conformance list that the test is for.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::time::Duration;

use common::{end_of, is_alive, next, on_each_driver, on_every_driver};
use ibeam::agent::StartAgent;
use ibeam::prelude::*;
use ibeam::{PartitionSupervisor, Priority};

type Words = HashMap<&'static str, &'static str>;

async fn forty_two() -> AgentRef<i32> {
    Agent::start(|| 42).await.unwrap()
}

#[test]
fn agt_001_a_supervisor_takes_an_agent_with_its_first_function() {
    on_every_driver(|| async {
        let supervisor = Supervisor::new(Strategy::OneForOne).child(Agent::child(|| 42).name("agent"));
        let supervisor = supervisor.start_link().await.unwrap();
        let agent = AgentRef::<i32>::named("agent");
        assert_eq!(agent.get(|n| *n).await, Ok(42));

        // A restart begins with the first value.
        agent.update(|n| *n = 0).await.unwrap();
        let first = agent.pid().unwrap();
        process::kill(first);
        end_of(first).await;
        assert_eq!(agent.get(|n| *n).wait_for_name().await, Ok(42));
        supervisor.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
    });
}

#[test]
fn agt_002_a_child_spec_has_the_type_as_its_id_unless_another_is_given() {
    on_every_driver(|| async {
        let plain = ChildSpec::from(Agent::child(|| 1));
        let changed =
            Agent::child(|| 1).id("other").restart(Restart::Temporary).shutdown(Shutdown::BrutalKill);
        let changed = ChildSpec::from(changed.options(|start| start.name("changed")));
        let (plain, changed) = (plain.settings(), changed.settings());
        assert_eq!(plain.id, std::any::type_name::<Agent<i32>>());
        assert_eq!(plain.restart, Restart::Permanent);
        assert_eq!(plain.shutdown, Shutdown::Timeout(Duration::from_secs(5)));
        assert_eq!(changed.id, "other");
        assert_eq!(changed.restart, Restart::Temporary);
        assert_eq!(changed.shutdown, Shutdown::BrutalKill);
    });
}

#[test]
fn agt_003_an_unnamed_agent_is_started_updated_read_and_stopped() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let agent = Agent::start_link(Words::new).await.unwrap();
        let pid = agent.pid().unwrap();
        let info = process::info(process::self_pid()).await.unwrap();
        assert!(info.links.contains(&pid), "the starter is linked to it");

        assert_eq!(agent.update(|map| map.extend([("hello", "world")])).await, Ok(()));
        assert_eq!(agent.get(|map| map.get("hello").copied()).timeout(ms(3000)).await, Ok(Some("world")));
        assert_eq!(
            agent.get_and_update(|map| map.remove("hello")).timeout(ms(3000)).await,
            Ok(Some("world"))
        );
        assert_eq!(agent.get(Words::clone).await, Ok(Words::new()));
        assert_eq!(agent.stop(ExitReason::Normal, Timeout::Infinity).await, Ok(()));
        assert!(!is_alive(pid).await);
        assert_eq!(next::<Exit>().await, Exit { pid, reason: ExitReason::Normal });
    });
}

#[test]
fn agt_004_an_agent_has_the_priority_it_is_started_with() {
    on_every_driver(|| async {
        let agent = Agent::start_link(Words::new).priority(Priority::High).await.unwrap();
        let info = process::info(agent.pid().unwrap()).await.unwrap();
        assert_eq!(info.priority, Priority::High);
    });
}

#[test]
fn agt_006_an_agent_is_started_without_a_link() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        assert_eq!(agent.get(|n| *n).await, Ok(42));
        let info = process::info(agent.pid().unwrap()).await.unwrap();
        assert_eq!(info.links, []);
    });
}

#[test]
fn agt_007_get_runs_its_function_in_the_agent() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        let (n, pid) = agent.get(|n| (*n, process::self_pid())).await.unwrap();
        assert_eq!((n, Some(pid)), (42, agent.pid()));
    });
}

#[test]
fn agt_008_update_changes_the_value() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        assert_eq!(agent.update(|n| *n += 1).await, Ok(()));
        assert_eq!(agent.get(|n| *n).await, Ok(43));
    });
}

fn add(n: &mut i32, by: i32) {
    *n += by;
}

#[test]
fn agt_009_update_with_a_function_and_an_argument() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        assert_eq!(agent.update(|n| add(n, 12)).await, Ok(()));
        assert_eq!(agent.get(|n| *n).await, Ok(54));
    });
}

#[test]
fn agt_010_a_cast_is_done_before_what_its_sender_asks_next() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        agent.cast(|n| add(n, 12));
        assert_eq!(agent.get(|n| *n).await, Ok(54));
    });
}

#[test]
fn agt_011_stop_waits_until_the_agent_is_gone() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        assert_eq!(agent.stop(ExitReason::Normal, Timeout::Infinity).await, Ok(()));
        assert!(!is_alive(agent.pid().unwrap()).await);
        assert!(matches!(agent.get(|n| *n).await, Err(CallError::NoProc { .. })));
    });
}

#[test]
fn stopping_gives_the_reason_and_comes_behind_what_was_asked() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let agent = Agent::start_link(|| process::self_pid()).await.unwrap();
        let me = process::self_pid();
        agent.cast(move |pid| me.send(*pid));
        let reason = ExitReason::shutdown_with("done");
        assert_eq!(agent.stop(reason.clone(), ms(1000)).await, Ok(()));
        let pid = next::<Pid>().await;
        assert_eq!(next::<Exit>().await, Exit { pid, reason });
    });
}

#[test]
fn a_panic_in_a_function_ends_the_agent_and_its_caller_gets_the_reason() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        let pid = agent.pid().unwrap();
        let monitor = process::monitor(pid);
        let waiter = agent.clone();
        let (_, task) = process::spawn_monitor(async move {
            // In line behind the panic, by the time the agent comes to it.
            waiter.get(|_| ()).await.map_err(CallError::into_exit_reason)
        });
        let failed = agent.get_and_update(|n| if *n == 42 { panic!("no more than 41") } else { *n }).await;
        let Err(CallError::Exited { pid: gone, reason }) = failed else { panic!("got {failed:?}") };
        assert_eq!(gone, pid);
        assert!(reason.to_string().contains("no more than 41"), "{reason}");
        let down = receive! { down @ Down { .. } if down.monitor == monitor => down };
        assert_eq!(down.reason, reason);
        // It was answered before, or ended with the agent.
        let other = receive! { Down { monitor, reason, .. } if monitor == task => reason };
        assert!([ExitReason::Normal, ExitReason::NoProc, reason].contains(&other), "{other}");
    });
}

#[test]
fn an_exit_in_a_function_is_the_reason_of_the_agent() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        let reason = ExitReason::other("enough");
        let exit = reason.clone();
        let failed = agent.update(move |_| process::exit(exit)).await;
        assert_eq!(failed, Err(CallError::Exited { pid: agent.pid().unwrap(), reason }));
    });
}

#[test]
fn a_panic_in_a_cast_and_in_an_async_function_ends_the_agent_too() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        let pid = agent.pid().unwrap();
        agent.cast(|_| panic!("in a cast"));
        assert!(end_of(pid).await.is_abnormal());

        let agent = forty_two().await;
        let failed = agent
            .update_async(async |_| {
                process::yield_now().await;
                panic!("later")
            })
            .await;
        assert!(
            matches!(&failed, Err(CallError::Exited { reason, .. }) if reason.to_string().contains("later"))
        );
    });
}

#[test]
fn a_start_whose_function_panics_fails() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let start: StartAgent<i32> = Agent::start_link(|| panic!("no value"));
        let Err(StartError::Init { reason }) = start.name("agent").await else { panic!("it started") };
        assert!(reason.to_string().contains("no value"), "{reason}");
        // Nothing is left of it.
        assert_eq!(process::whereis("agent"), None);
        assert!(process::try_recv().is_none());
    });
}

#[test]
fn a_caller_whose_time_is_up_does_not_stop_its_function() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        let pid = agent.pid().unwrap();
        agent.cast_async(async |_| process::sleep(ms(500)).await);
        let late = agent.update(|n| *n += 1).timeout(ms(10)).await;
        assert_eq!(late, Err(CallError::Timeout { pid, after: ms(10) }));
        assert_eq!(agent.get(|n| *n).await, Ok(43));
    });
}

#[test]
fn a_call_waits_five_seconds_by_default() {
    on_each_driver(|driver| async move {
        let agent = forty_two().await;
        let pid = agent.pid().unwrap();
        agent.cast_async(async |_| std::future::pending().await);
        let (call, after) = (agent.get(|n| *n), Duration::from_secs(5));
        if driver.has_real_clock() {
            assert_eq!(call.timeout(ms(5)).await, Err(CallError::Timeout { pid, after: ms(5) }));
        } else {
            assert_eq!(call.await, Err(CallError::Timeout { pid, after }));
        }
    });
}

async fn doubled(n: i32) -> i32 {
    process::yield_now().await;
    2 * n
}

async fn double(n: &mut i32) {
    *n = doubled(*n).await;
}

#[test]
fn async_functions_wait_and_nobody_comes_between() {
    on_every_driver(|| async {
        let agent = Agent::start_async(async || doubled(21).await).await.unwrap();
        let other = agent.clone();
        process::spawn(async move { other.cast(|n| *n += 1) });
        let by = 1000;
        let read = agent
            .get_and_update_async(async move |n| {
                let before = *n;
                process::sleep(ms(20)).await;
                *n += by;
                (before, *n)
            })
            .await
            .unwrap();
        assert_eq!(read.1 - read.0, by);
        assert_eq!(agent.get_async(async |n| doubled(*n).await).await, Ok(2 * 1043));
        agent.update_async(double).await.unwrap();
        assert_eq!(agent.get(|n| *n).await, Ok(2 * 1043));
        agent.cast_async(double);
        assert_eq!(agent.get(|n| *n).await, Ok(4 * 1043));
    });
}

#[test]
fn names_and_handles() {
    on_every_driver(|| async {
        let agent = Agent::start_link(|| 1).name("one").await.unwrap();
        let taken = Agent::start_link(|| 2).name("one").await;
        assert!(matches!(&taken, Err(StartError::AlreadyStarted { pid, .. }) if Some(*pid) == agent.pid()));
        let named = AgentRef::<i32>::named("one");
        assert_eq!((named.pid(), named.get(|n| *n).await), (agent.pid(), Ok(1)));
        assert_eq!(format!("{named:?}"), "AgentRef<i32>(`one`)");
        let by_pid = AgentRef::<i32>::of(agent.pid().unwrap());
        assert_eq!(by_pid.clone().get(|n| *n).await, Ok(1));
        let nobody = AgentRef::<i32>::named("two");
        assert!(matches!(nobody.get(|n| *n).await, Err(CallError::NoProc { .. })));
        nobody.cast(|n| *n += 1);

        let (monitored, monitor) = Agent::start(|| 3).monitored().await.unwrap();
        process::kill(monitored.pid().unwrap());
        assert_eq!(common::down(monitor).await.reason, ExitReason::Killed);
    });
}

#[test]
fn a_function_for_another_type_changes_nothing() {
    on_every_driver(|| async {
        let agent = forty_two().await;
        let pid = agent.pid().unwrap();
        let wrong = AgentRef::<String>::of(pid);
        assert_eq!(wrong.get(String::len).await, Err(CallError::NoReply { pid }));
        wrong.cast(String::clear);
        pid.send("a plain message");
        assert_eq!(agent.get(|n| *n).await, Ok(42));
    });
}

#[test]
fn an_agent_calls_another_one_but_not_itself() {
    on_every_driver(|| async {
        let (agent, other) = (forty_two().await, forty_two().await);
        let again = agent.clone();
        let asked =
            agent.get_async(async move |n| (other.get(|n| *n).await, again.get(|n| *n).await, *n)).await;
        let pid = agent.pid().unwrap();
        assert_eq!(asked, Ok((Ok(42), Err(CallError::CallsItself { pid }), 42)));
    });
}

#[test]
fn agents_are_children_of_every_kind_of_supervisor() {
    on_every_driver(|| async {
        let rooms = DynamicSupervisor::spec().start_link().await.unwrap();
        let room: AgentRef<Vec<u32>> = rooms.start_child(Agent::child(Vec::new)).await.unwrap().into();
        room.update(|guests| guests.push(7)).await.unwrap();
        assert_eq!(room.get(Vec::clone).await, Ok(vec![7]));

        let shards = PartitionSupervisor::new("shards", Agent::child_async(|| doubled(4))).partitions(2);
        let shards = shards.start_link().await.unwrap();
        let shard = AgentRef::from(shards.key(1));
        shard.update(|n| *n += 1).await.unwrap();
        assert_eq!(shard.get(|n| *n).await, Ok(9));
        assert_eq!(AgentRef::from(shards.key(0)).get(|n| *n).await, Ok(8));
    });
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

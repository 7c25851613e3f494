//! Elixir's suite of the partition supervisor: rows PSUP-001 to 015; and what else it promises.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod dynamic;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{first, is_alive, on_every_driver};
use dynamic::{Keeper, KeeperClient, counts, end, pid, sleeper};
use ibeam::partition_supervisor::PartitionsError;
use ibeam::prelude::*;
use ibeam::supervisor::{ChildCounts, Kind, ServerChild};
use ibeam::{Destination, KeyTaken, NameRegistry, metrics};

type Keepers = PartitionSupervisorRef<ServerChild<Keeper>>;

async fn keepers(partitions: usize) -> Keepers {
    let keepers = PartitionSupervisor::with_arguments("keepers", |partition| Keeper::child(partition as u64));
    keepers.partitions(partitions).start_link().await.unwrap()
}

/// A registry of the program's own.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<HashMap<&'static str, Pid>>>);

impl NameRegistry for Registry {
    type Key = &'static str;

    fn name(&self) -> &str {
        "registry"
    }

    async fn register(&self, key: &&'static str, pid: Pid) -> Result<(), KeyTaken> {
        self.0.lock().unwrap().insert(key, pid);
        Ok(())
    }

    async fn unregister(&self, key: &&'static str) {
        self.0.lock().unwrap().remove(key);
    }

    fn whereis(&self, key: &&'static str) -> Option<Pid> {
        self.0.lock().unwrap().get(key).copied()
    }
}

#[test]
fn psup_001_the_name_is_the_id() {
    on_every_driver(|| async {
        let spec = PartitionSupervisor::new("n", Keeper::child(7)).partitions(3).child();
        let settings = spec.settings();
        assert_eq!((settings.id.as_str(), settings.kind), ("n", Kind::Supervisor));
        Supervisor::new(Strategy::OneForOne).child(spec).start_link().await.unwrap();
        let keepers = Keepers::named("n");
        assert_eq!(keepers.partitions(), Ok(3));
        assert_eq!(keepers.key(2).number().await, Ok(7));
    });
}

#[test]
fn psup_002_with_a_name_of_a_registry() {
    on_every_driver(|| async {
        let registry = Registry::default();
        let name = registry.via("partitions");
        let keepers = PartitionSupervisor::new(name, Keeper::child(7)).start_link().await.unwrap();
        assert_eq!(keepers.partitions(), Ok(metrics().workers.max(1)));
        assert_eq!(keepers.key(0).number().await, Ok(7));
    });
}

#[test]
fn psup_005_no_partitions_are_refused() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let refused = PartitionSupervisor::new("n", sleeper()).partitions(0).start_link().await.unwrap_err();
        let StartError::Init { reason: ExitReason::Error(error) } = refused else { panic!("{refused}") };
        assert!(error.as_error().downcast_ref::<PartitionsError>().is_some());
        assert_eq!(error.to_string(), "expected a positive number of partitions, got 0");
        assert_eq!(process::whereis("n"), None);
    });
}

#[test]
fn psup_008_stop_is_synchronous() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let keepers = keepers(2).await;
        let keeper = keepers.key(1);
        assert_eq!(keepers.stop(ExitReason::Normal, Timeout::Infinity).await, Ok(()));
        assert_eq!((process::whereis("keepers"), keepers.pid(), keeper.pid()), (None, None, None));
    });
}

#[test]
fn psup_009_stop_by_a_name_of_a_registry() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let registry = Registry::default();
        let keepers = PartitionSupervisor::new(registry.via("partitions"), Keeper::child(7));
        let keepers = keepers.start_link().await.unwrap();
        let pid = keepers.pid().unwrap();
        assert_eq!(keepers.stop(ExitReason::Normal, Timeout::Infinity).await, Ok(()));
        assert!(!is_alive(pid).await);
    });
}

#[test]
fn psup_010_nobody_has_the_name() {
    on_every_driver(|| async {
        let nobody = Keepers::named("nobody");
        assert!(matches!(nobody.partitions(), Err(CallError::NoProc { .. })));
        assert!(matches!(nobody.key(1).number().await, Err(CallError::NoProc { .. })));
        assert!(matches!(nobody.count_children().await, Err(CallError::NoProc { .. })));
        assert!(matches!(nobody.resize(1).await, Err(ResizeError::Call(CallError::NoProc { .. }))));
        // Somebody has it who is none.
        process::register("nobody", process::self_pid()).unwrap();
        assert!(matches!(nobody.partitions(), Err(CallError::NoProc { .. })));
    });
}

#[test]
fn psup_011_nobody_has_the_key_in_the_registry() {
    on_every_driver(|| async {
        let nobody = Keepers::named(Registry::default().via("nobody"));
        assert!(matches!(nobody.partitions(), Err(CallError::NoProc { .. })));
    });
}

#[test]
fn psup_012_no_more_partitions_than_at_the_start() {
    on_every_driver(|| async {
        let keepers = keepers(8).await;
        let refused = keepers.resize(9).await.unwrap_err();
        assert_eq!(refused, ResizeError::TooMany { limit: 8, got: 9 });
        assert_eq!(refused.to_string(), "expected 0 to 8 partitions, got 9");
        assert_eq!(keepers.partitions(), Ok(8));
    });
}

#[test]
fn psup_013_listed_by_number() {
    on_every_driver(|| async {
        let keepers = PartitionSupervisor::new("keepers", Keeper::child(7)).start_link().await.unwrap();
        let listed = keepers.which_children().await.unwrap();
        assert_eq!(listed.len(), metrics().workers.max(1));
        for (number, info) in listed.into_iter().enumerate() {
            assert_eq!((info.partition, info.kind), (number, Kind::Worker));
            assert_eq!(info.pid, keepers.key(number).pid());
            assert!(info.pid.is_some() && info.module.unwrap().ends_with("Keeper"));
        }
    });
}

async fn counted<P: ibeam::partition_supervisor::Partition>(
    supervisor: &PartitionSupervisorRef<P>,
) -> (usize, usize, usize, usize) {
    let ChildCounts { specs, active, supervisors, workers, .. } = supervisor.count_children().await.unwrap();
    (specs, active, supervisors, workers)
}

#[test]
fn psup_014_workers_are_counted() {
    on_every_driver(|| async {
        let keepers = PartitionSupervisor::new("keepers", Keeper::child(7)).start_link().await.unwrap();
        let cores = metrics().workers.max(1);
        assert_eq!(counted(&keepers).await, (cores, cores, 0, cores));
    });
}

#[test]
fn psup_015_supervisors_are_counted() {
    on_every_driver(|| async {
        let jobs = PartitionSupervisor::new("jobs", DynamicSupervisor::spec()).start_link().await.unwrap();
        let cores = metrics().workers.max(1);
        assert_eq!(counted(&jobs).await, (cores, cores, cores, 0));
    });
}

#[test]
fn a_handle_outlives_the_restart_of_its_partition_and_of_the_supervisor() {
    on_every_driver(|| async {
        let keepers =
            PartitionSupervisor::with_arguments("keepers", |partition| Keeper::child(partition as u64));
        let top =
            Supervisor::new(Strategy::OneForOne).child(keepers.partitions(3)).start_link().await.unwrap();
        let keepers = Keepers::named("keepers");
        let keeper = keepers.key(5);
        keeper.set(100).await.unwrap();
        let former = keeper.pid().unwrap();
        end(former, ExitReason::other("crash")).await;
        // Asked behind the restart.
        assert_eq!(counted(&keepers).await, (3, 3, 0, 3));
        assert_ne!(keeper.pid(), Some(former));
        assert_eq!(keeper.number().await, Ok(2), "from its first arguments");

        // Twice: each incarnation has a table of its own.
        for _ in 0..2 {
            let former = keepers.pid().unwrap();
            end(former, ExitReason::Kill).await;
            assert_eq!(top.count_children().await.unwrap().active, 1);
            assert_ne!(keepers.pid(), Some(former));
            assert_eq!(keeper.number().await, Ok(2));
            keeper.set(100).await.unwrap();
        }
        assert_eq!(keepers.partitions(), Ok(3));
    });
}

#[test]
fn children_are_started_through_the_partition_of_a_key() {
    on_every_driver(|| async {
        let jobs = PartitionSupervisor::new("jobs", DynamicSupervisor::spec()).partitions(2);
        let jobs = jobs.start_link().await.unwrap();
        for number in 0..10_u8 {
            jobs.key(number).start_child(sleeper()).await.unwrap();
        }
        let child = pid(jobs.key(1).start_child(sleeper()).await.unwrap());
        assert_eq!((counts(&jobs.key(0)).await.0, counts(&jobs.key(1)).await.0), (5, 6));
        jobs.key(1).terminate_child(child).await.unwrap();
        assert_eq!(counts(&jobs.key(3)).await, (5, 5, 0, 5));
    });
}

#[test]
fn a_child_of_any_kind_is_a_destination() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let echo = ChildSpec::new("echo", move || async move {
            Ok(process::spawn_link(async move {
                loop {
                    receive! { text: &'static str => me.send((process::self_pid(), text)) }
                }
            }))
        });
        let echoes = PartitionSupervisor::new("echoes", echo).partitions(2).start_link().await.unwrap();
        let one: Destination = echoes.key("some key");
        one.send("hello").unwrap();
        let (pid, text) = first::<(Pid, &'static str)>().await;
        assert_eq!((Some(pid), text), (echoes.whereis("some key"), "hello"));
        assert_eq!(one.to_string().split(" in ").nth(1), Some("`echoes`"));
    });
}

#[test]
fn resized_down_and_up_again() {
    on_every_driver(|| async {
        let keepers = keepers(4).await;
        let pids: Vec<_> = (0..4).map(|key| keepers.key(key).pid().unwrap()).collect();
        assert_eq!(keepers.resize(2).await, Ok(4));
        assert_eq!(keepers.partitions(), Ok(2));
        assert!(!is_alive(pids[2]).await && !is_alive(pids[3]).await);
        assert_eq!([4, 3].map(|key| keepers.key(key).pid()), [Some(pids[0]), Some(pids[1])]);
        assert_eq!(counted(&keepers).await, (4, 2, 0, 4), "they can come back");

        assert_eq!(keepers.resize(0).await, Ok(2));
        assert!(matches!(keepers.key(1).number().await, Err(CallError::NoProc { .. })));
        assert_eq!(keepers.resize(4).await, Ok(0));
        for key in 0..4 {
            assert_eq!(keepers.key(key).number().await, Ok(key));
            assert!(!pids.contains(&keepers.key(key).pid().unwrap()));
        }
    });
}

#[test]
fn resizes_at_the_same_time_leave_what_the_last_one_wants() {
    on_every_driver(|| async {
        let keepers = keepers(6).await;
        let me = process::self_pid();
        for size in [1, 5, 0, 6, 3] {
            let keepers = keepers.clone();
            process::spawn(async move { me.send(keepers.resize(size).await) });
        }
        for _ in 0..5 {
            assert!(first::<Result<usize, ResizeError>>().await.is_ok());
        }
        let size = keepers.partitions().unwrap();
        let running: Vec<_> =
            keepers.which_children().await.unwrap().iter().map(|info| info.pid.is_some()).collect();
        assert_eq!(running, (0..6).map(|partition| partition < size).collect::<Vec<_>>());
    });
}

#[test]
fn a_resize_whose_partition_does_not_start_says_which() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let broken = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&broken);
        let child = move |partition| {
            let fails = Arc::clone(&fails);
            ChildSpec::new("child", move || {
                let fails = partition == 2 && fails.load(SeqCst);
                async move {
                    match fails {
                        false => Ok(process::spawn_link(std::future::pending::<()>())),
                        true => Err(StartError::Init { reason: ExitReason::other("broken") }),
                    }
                }
            })
        };
        let supervisor = PartitionSupervisor::with_arguments("partitions", child).partitions(3);
        let supervisor = supervisor.start_link().await.unwrap();
        supervisor.resize(1).await.unwrap();
        broken.store(true, SeqCst);
        let refused = supervisor.resize(3).await.unwrap_err();
        assert!(matches!(refused, ResizeError::Start { partition: 2, .. }), "{refused}");
        assert_eq!(supervisor.partitions(), Ok(1));
        broken.store(false, SeqCst);
        assert_eq!(supervisor.resize(3).await, Ok(1));
    });
}

#[test]
fn the_strategy_and_the_intensity_are_those_of_a_supervisor() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let keepers = PartitionSupervisor::new("keepers", Keeper::child(7)).partitions(2);
        let keepers = keepers.strategy(Strategy::OneForAll).intensity(1, Duration::from_secs(3600));
        let keepers = keepers.start_link().await.unwrap();
        let former = [0, 1].map(|key| keepers.key(key).pid());
        end(former[0].unwrap(), ExitReason::other("crash")).await;
        assert_eq!(counted(&keepers).await, (2, 2, 0, 2));
        let now = [0, 1].map(|key| keepers.key(key).pid());
        assert!(now[0] != former[0] && now[1] != former[1]);
        end(now[0].unwrap(), ExitReason::other("crash")).await;
        assert_eq!(first::<Exit>().await.reason, ExitReason::Shutdown);
    });
}

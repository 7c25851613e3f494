//! Starting, naming and stopping servers. Names begin with the row of the conformance list that the test is for.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod gen_server_common;

use std::time::Duration;

use common::{end_of, is_alive, next, nothing_comes, on_each_driver, on_every_driver};
use gen_server_common::{Phonebook, Probe, ProbeClient, Terminated, call, cast, init, ok, stopped};
use ibeam::gen_server::ServerName;
use ibeam::prelude::*;
use ibeam::{NameError, Start};

const WINDOW: Duration = Duration::from_millis(200);

/// One server, on every driver.
struct Stack(Vec<&'static str>);

#[gen_server(client = pub(crate) StackClient)]
impl Stack {
    async fn init(items: Vec<&'static str>) -> Init<Self> {
        Init::ok(Stack(items))
    }

    #[call]
    async fn pop(&mut self) -> Option<&'static str> {
        self.0.pop()
    }

    #[cast]
    async fn push(&mut self, item: &'static str) {
        self.0.push(item);
    }
}

fn hello() -> Start<Stack> {
    Stack::start_link(vec!["hello"])
}

#[test]
fn gsv_001_a_child_spec_has_the_type_as_its_id_unless_another_is_given() {
    on_every_driver(|| async {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(Stack::child(vec!["plain"]))
            .child(Stack::child(vec!["changed"]).id("other").restart(Restart::Temporary))
            .start_link()
            .await
            .unwrap();
        let children = supervisor.which_children().await.unwrap();
        let plain = children.iter().find(|child| child.id == std::any::type_name::<Stack>()).unwrap();
        let other = children.iter().find(|child| child.id == "other").unwrap();
        assert_eq!(children.len(), 2);
        assert_eq!(ServerRef::<Stack>::of(plain.pid.unwrap()).pop().await, Ok(Some("plain")));
        assert_eq!(ServerRef::<Stack>::of(other.pid.unwrap()).pop().await, Ok(Some("changed")));
        supervisor.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
    });
}

#[test]
fn gsv_002_a_name_that_is_none_is_refused() {
    on_every_driver(|| async {
        let before = process::list().len();
        let error = hello().name("").await.unwrap_err();
        assert_eq!(error, StartError::Name(NameError::Empty));
        assert_eq!(error.to_string(), "expected a name, got an empty string");
        common::until(|| process::list().len() == before).await;
    });
}

#[test]
fn gsv_003_a_server_is_started_and_called_through_a_registry() {
    on_every_driver(|| async {
        let phonebook = Phonebook::default();
        let started = hello().name(phonebook.via("stack")).await.unwrap();
        let server = ServerRef::<Stack>::via(&phonebook, "stack");
        assert_eq!(server.pid(), started.pid());
        assert_eq!(server.pop().await, Ok(Some("hello")));
        server.push("more");
        assert_eq!(server.pop().await, Ok(Some("more")));
        assert!(format!("{server:?}").ends_with("Stack>(\"stack\" in `phonebook`)"), "{server:?}");
    });
}

#[test]
fn gsv_005_a_server_is_started_and_called_by_a_local_name() {
    on_every_driver(|| async {
        hello().name("stack").await.unwrap();
        assert_eq!(ServerRef::<Stack>::named("stack").pop().await, Ok(Some("hello")));
    });
}

#[test]
fn gsv_006_start_link_call_and_cast() {
    on_every_driver(|| async {
        let server = hello().await.unwrap();
        let pid = server.pid().unwrap();
        assert!(process::info(process::self_pid()).await.unwrap().links.contains(&pid));
        assert_eq!(server.pop().await, Ok(Some("hello")));
        server.push("world");
        assert_eq!(server.pop().await, Ok(Some("world")));
        assert_eq!(server.stop(ExitReason::Normal, Timeout::Infinity).await, Ok(()));
    });
}

#[test]
fn gsv_010_without_a_name_a_server_has_none() {
    on_every_driver(|| async {
        let server = hello().await.unwrap();
        assert_eq!(process::info(server.pid().unwrap()).await.unwrap().name, None);
        assert_eq!(server.pop().await, Ok(Some("hello")));
    });
}

#[test]
fn gsv_011_start_makes_no_link() {
    on_every_driver(|| async {
        let server = Stack::start(vec![]).await.unwrap();
        assert!(process::info(process::self_pid()).await.unwrap().links.is_empty());
        assert_eq!(server.stop(ExitReason::Normal, Timeout::Infinity).await, Ok(()));
    });
}

#[test]
fn gsv_012_names_of_all_kinds_lead_to_the_process() {
    on_every_driver(|| async {
        let phonebook = Phonebook::default();
        let local = hello().name("n").await.unwrap().pid();
        let via = hello().name(phonebook.via("n")).await.unwrap().pid();
        assert!(local.is_some() && via.is_some() && local != via);
        assert_eq!(ServerRef::<Stack>::named("n").pid(), local);
        assert_eq!(ServerRef::<Stack>::of(local.unwrap()).pid(), local);
        assert_eq!(ServerRef::<Stack>::named("unknown").pid(), None);
        assert_eq!(ServerRef::<Stack>::via(&phonebook, "n").pid(), via);
        assert_eq!(ServerRef::<Stack>::via(&phonebook, "unknown").pid(), None);
    });
}

#[test]
fn gsv_013_stop_by_name() {
    on_every_driver(|| async {
        Stack::start(vec![]).name("n").await.unwrap();
        let server = ServerRef::<Stack>::named("n");
        assert_eq!(server.stop(ExitReason::Normal, Timeout::Infinity).await, Ok(()));
        assert_eq!(server.pid(), None);
    });
}

#[test]
fn otp_gs_01_a_call_that_stops_the_server_has_its_reply() {
    on_every_driver(|| async {
        let server = Probe::start(ok()).await.unwrap();
        let pid = server.pid().unwrap();
        assert_eq!(server.count().await, Ok(1));
        assert_eq!(server.ask(call(|_, _| Reply::now(7).stop(stopped()))).await, Ok(7));
        assert_eq!(next::<Terminated>().await, Terminated(stopped()));
        end_of(pid).await;
        let error = server.count().timeout(Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(error, CallError::NoProc { destination: pid.into() });
        assert_eq!(error.into_exit_reason(), ExitReason::NoProc);
    });
}

#[test]
fn otp_gs_02_a_start_that_takes_too_long_is_ended() {
    struct Slow;
    #[gen_server(client = pub(crate) SlowClient)]
    impl Slow {
        async fn init(told: Pid, takes: Duration) -> Init<Self> {
            told.send(process::self_pid());
            process::sleep(takes).await;
            Init::ok(Slow)
        }
        #[call]
        fn ping(&mut self) {}
    }
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let me = process::self_pid();
        let limit = driver.window(Duration::from_millis(100));
        for link in [false, true] {
            let day = Duration::from_secs(24 * 3600);
            let slow = if link { Slow::start_link(me, day) } else { Slow::start(me, day) };
            let began = process::now();
            assert_eq!(
                slow.name("slow").timeout(limit).await.unwrap_err(),
                StartError::Timeout { after: limit }
            );
            assert!(process::now() - began >= limit);
            let pid = next::<Pid>().await;
            assert!(!is_alive(pid).await);
            assert_eq!(process::whereis("slow"), None);
        }
        // No notice of the one that was linked, and nothing of the start itself.
        nothing_comes(driver.window(WINDOW)).await;
        let quick = Slow::start(me, Duration::ZERO).timeout(Duration::from_secs(60)).await.unwrap();
        assert_eq!(quick.ping().await, Ok(()));
    });
}

/// Such an `init` cannot be ended before its next await, and its starter does not wait for that.
#[test]
fn otp_gs_02_a_start_ends_where_init_blocks_its_thread() {
    use std::sync::mpsc;
    struct Blocks;
    impl GenServer for Blocks {
        type Args = mpsc::Receiver<()>;
        async fn init(blocked: mpsc::Receiver<()>) -> Init<Self> {
            let _ = blocked.recv();
            Init::ok(Blocks)
        }
    }
    common::on_threads(2, || async {
        process::trap_exit(true);
        let (free, blocked) = mpsc::channel();
        let after = Duration::from_millis(1);
        let error = Blocks::start_link(blocked).timeout(after).await.unwrap_err();
        assert_eq!(error, StartError::Timeout { after });
        free.send(()).unwrap();
        nothing_comes(Duration::from_millis(30)).await;
    });
}

#[test]
fn otp_gs_03_init_may_ignore_stop_or_fail() {
    on_every_driver(|| async {
        let me = process::self_pid();
        type Outcome = fn() -> Init<Probe>;
        let inits: [(Outcome, StartError); 3] = [
            (Init::ignore, StartError::Ignored),
            (|| Init::stop(stopped()), StartError::Init { reason: stopped() }),
            (
                || Init::error(ExitReason::other("foobar")),
                StartError::Init { reason: ExitReason::other("foobar") },
            ),
        ];
        for (outcome, error) in inits {
            let start = Probe::start(init(move || {
                me.send(process::self_pid());
                outcome()
            }));
            assert_eq!(start.await.unwrap_err(), error);
            assert!(!is_alive(next().await).await);
        }
    });
}

#[test]
fn otp_gs_04_the_end_of_a_linked_server_comes_once() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let server = Probe::start_link(ok()).await.unwrap();
        server.told_to(cast(|_| Next::stop(stopped())));
        assert_eq!(next::<Terminated>().await, Terminated(stopped()));
        let exit = next::<Exit>().await;
        assert_eq!((Some(exit.pid), exit.reason), (server.pid(), stopped()));
        nothing_comes(driver.window(WINDOW)).await;
    });
}

#[test]
fn otp_gs_05_a_server_may_be_monitored_from_its_start_on() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let (server, monitor) = Probe::start(ok()).monitored().await.unwrap();
        server.told_to(cast(|_| Next::stop(stopped())));
        assert_eq!(next::<Terminated>().await, Terminated(stopped()));
        let down = next::<Down>().await;
        assert_eq!((down.monitor, down.pid(), down.reason), (monitor, server.pid(), stopped()));
        nothing_comes(driver.window(WINDOW)).await;
    });
}

#[test]
fn otp_gs_06_a_name_that_is_taken_says_by_whom() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let phonebook = Phonebook::default();
        for name in [ServerName::from("taken"), ServerName::from(phonebook.via("taken"))] {
            let server = Probe::start(ok()).name(name.clone()).await.unwrap();
            let pid = server.pid().unwrap();
            let error = StartError::AlreadyStarted { name: name.clone(), pid };
            assert_eq!(Probe::start(ok()).name(name.clone()).await.unwrap_err(), error);
            assert_eq!(Probe::start_link(ok()).name(name.clone()).await.unwrap_err(), error);
            assert_eq!(Probe::start(ok()).name(name.clone()).monitored().await.unwrap_err(), error);
            assert_eq!(error.to_string(), format!("{name} is already started as {pid}"));
            assert_eq!(server.count().await, Ok(1));
        }
        nothing_comes(driver.window(WINDOW)).await;
    });
}

/// Two that want one key at once: the registry decides, when the process of each is there.
#[test]
fn otp_gs_06_of_two_starts_at_once_one_has_the_name() {
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        let phonebook = Phonebook::default();
        for _ in 0..2 {
            let phonebook = phonebook.clone();
            process::spawn(async move {
                process::trap_exit(true);
                let started = Probe::start_link(ok()).name(phonebook.via("one")).await;
                me.send(started.map(|server| server.pid().unwrap()));
                nothing_comes(driver.window(WINDOW)).await;
                std::future::pending::<()>().await;
            });
        }
        let (a, b) = (next::<Result<Pid, StartError>>().await, next::<Result<Pid, StartError>>().await);
        let (pid, error) = match (a, b) {
            (Ok(pid), Err(error)) | (Err(error), Ok(pid)) => (pid, error),
            other => panic!("one has it: {other:?}"),
        };
        assert_eq!(error, StartError::AlreadyStarted { name: phonebook.via("one").into(), pid });
    });
}

#[test]
fn otp_gs_07_after_a_stop_neither_name_nor_pid_can_be_called() {
    on_every_driver(|| async {
        let server = Stack::start(vec![]).name("stopped").await.unwrap();
        let pid = server.pid().unwrap();
        let named = ServerRef::<Stack>::named("stopped");
        named.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        for (server, destination) in [(named, "stopped".into()), (server, pid.into())] {
            let error = server.pop().timeout(Duration::from_millis(10)).await.unwrap_err();
            assert_eq!(error, CallError::NoProc { destination });
        }
        Stack::start(vec![]).name("stopped").await.unwrap();
    });
}

#[test]
fn otp_gs_08_the_name_of_a_start_that_failed_is_free() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let phonebook = Phonebook::default();
        type Outcome = fn() -> Init<Probe>;
        let outcomes: [Outcome; 4] =
            [Init::ignore, || Init::stop(stopped()), || Init::error(stopped()), || process::exit(stopped())];
        for round in 0..driver.rounds(100, 8) {
            let outcome = outcomes[round % outcomes.len()];
            for name in [ServerName::from("failed"), ServerName::from(phonebook.via("failed"))] {
                for start in [Probe::start(init(outcome)), Probe::start_link(init(outcome))] {
                    start.name(name.clone()).await.unwrap_err();
                    assert_eq!(process::whereis("failed"), None);
                    assert_eq!(phonebook.whereis(&"failed".to_owned()), None);
                }
            }
        }
        nothing_comes(Duration::ZERO).await;
    });
}

#[test]
fn otp_gs_09_stop_returns_when_the_server_is_gone() {
    on_every_driver(|| async {
        let phonebook = Phonebook::default();
        for reason in [ExitReason::Normal, ExitReason::other("a reason of its own")] {
            let unnamed = Probe::start(ok()).await.unwrap();
            Probe::start(ok()).name("local").await.unwrap();
            Probe::start(ok()).name(phonebook.via("via")).await.unwrap();
            let local = ServerRef::<Probe>::named("local");
            let via = ServerRef::<Probe>::via(&phonebook, "via");
            for server in [unnamed, local, via] {
                let pid = server.pid().unwrap();
                let monitor = process::monitor(pid);
                assert_eq!(server.stop(reason.clone(), Timeout::Infinity).await, Ok(()));
                assert!(!is_alive(pid).await);
                assert_eq!(common::down(monitor).await.reason, reason);
                let again = server.stop(reason.clone(), Timeout::Infinity).await.unwrap_err();
                assert_eq!(again.into_exit_reason(), ExitReason::NoProc);
            }
        }
    });
}

#[test]
fn stop_says_so_when_the_server_ends_otherwise_or_not_in_time() {
    on_each_driver(|driver| async move {
        struct Stubborn(bool);
        #[gen_server(client = pub(crate) StubbornClient)]
        impl Stubborn {
            fn init(panics: bool) -> Init<Self> {
                Init::ok(Stubborn(panics))
            }
            #[call]
            fn ping(&mut self) {}
            async fn terminate(&mut self, _: &ExitReason) {
                if self.0 {
                    process::exit(ExitReason::other("worse"));
                }
                std::future::pending::<()>().await;
            }
        }
        let server = Stubborn::start(true).await.unwrap();
        assert_eq!(server.ping().await, Ok(()));
        let error = server.stop(ExitReason::Shutdown, Timeout::Infinity).await.unwrap_err();
        assert_eq!(error.into_exit_reason(), ExitReason::other("worse"));
        let server = Stubborn::start(false).await.unwrap();
        let limit = driver.window(WINDOW);
        let error = server.stop(ExitReason::Shutdown, limit).await.unwrap_err();
        assert_eq!(error, CallError::Timeout { pid: server.pid().unwrap(), after: limit });
    });
}

/// The server is restarted: who calls it by its name meanwhile may wait for that.
#[test]
fn a_call_by_name_can_wait_for_the_next_incarnation() {
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        let phonebook = Phonebook::default();
        for name in [ServerName::from("phoenix"), ServerName::from(phonebook.via("phoenix"))] {
            let server = match &name {
                ServerName::Local(name) => ServerRef::<Stack>::named(name),
                ServerName::Via(_) => ServerRef::<Stack>::via(&phonebook, "phoenix"),
            };
            // Nobody is there, and nobody comes.
            let limit = driver.window(WINDOW);
            let began = process::now();
            let error = server.pop().timeout(limit).wait_for_name().await.unwrap_err();
            assert!(matches!(error, CallError::NoProc { .. }), "{error}");
            assert!(process::now() - began >= limit);
            assert!(
                matches!(server.pop().await, Err(CallError::NoProc { .. })),
                "without it there is no wait"
            );

            let first = Stack::start(vec!["first"]).name(name.clone()).await.unwrap();
            assert_eq!(server.pop().wait_for_name().await, Ok(Some("first")));
            first.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
            let caller = {
                let server = server.clone();
                process::spawn(async move {
                    me.send(server.pop().timeout(Timeout::Infinity).wait_for_name().await)
                })
            };
            common::until_it_waits(caller).await;
            let second = Stack::start(vec!["second"]).name(name.clone()).await.unwrap();
            assert_eq!(next::<Result<Option<&str>, CallError>>().await, Ok(Some("second")));
            second.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        }
    });
}

/// The rule for what is in the mailbox of a server that ends: nothing of it reaches the next one.
#[test]
fn messages_left_by_a_server_are_counted_and_calls_end_with_its_reason() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let left = || ibeam::metrics().undelivered.left_at_death;
        let server = Probe::start(ok()).name("mortal").await.unwrap();
        let (pid, before) = (server.pid().unwrap(), left());
        // It stops by what it handles first; the rest stands behind that.
        let stop = cast(|_| Next::stop(stopped()));
        server.told_to(cast(move |_| {
            let server = ServerRef::<Probe>::of(process::self_pid());
            server.told_to(stop);
            server.told_to(cast(|_| panic!("nobody handles this")));
            me.send("ready");
            Next::go_on()
        }));
        let caller = {
            let server = server.clone();
            process::spawn(async move {
                receive! { "go" => {} }
                me.send(server.count().await);
            })
        };
        assert_eq!(next::<&str>().await, "ready");
        caller.send("go");
        let gone = common::first::<Result<u64, CallError>>().await.unwrap_err();
        assert!(
            matches!(&gone, CallError::Exited { reason, .. } if *reason == stopped())
                || matches!(gone, CallError::NoProc { .. }),
            "{gone}"
        );
        end_of(pid).await;
        assert!(left() > before);
        let next = Probe::start(ok()).name("mortal").await.unwrap();
        assert_eq!(next.count().await, Ok(1), "the next one begins with an empty mailbox");
    });
}

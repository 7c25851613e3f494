//! Calls, casts and messages, and what the callbacks' outcomes do. Names begin with the row of the conformance list that the
//! test is for.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
#[path = "../../ibeam-runtime/tests/common_tracing/mod.rs"]
mod common_tracing;
mod gen_server_common;

use std::time::Duration;

use common::{end_of, is_alive, next, nothing_comes, on_each_driver, on_every_driver, until_it_waits};
use gen_server_common::{
    Info, OnMessage, Phonebook, Probe, ProbeClient, Terminated, TimedOut, Work, call, cast, init, ok, stopped,
};
use ibeam::gen_server::{NotRegistered, UndefinedCallback};
use ibeam::prelude::*;
use ibeam::process::Status;

const LONG: Duration = Duration::from_secs(3600);

/// Waits until the server waits, and says how.
async fn status(server: &ServerRef<Probe>) -> Status {
    let pid = server.pid().unwrap();
    until_it_waits(pid).await;
    process::info(pid).await.unwrap().status
}

#[test]
fn gsv_007_a_call_that_nobody_answers_times_out() {
    on_every_driver(|| async {
        let server = Probe::start(ok()).await.unwrap();
        let never = call(|probe, from| {
            probe.waiting = Some(from);
            Reply::later()
        });
        let after = Duration::from_millis(1);
        let pid = server.pid().unwrap();
        let error = server.ask(never).timeout(after).await.unwrap_err();
        assert_eq!(error, CallError::Timeout { pid, after });
        assert_eq!(error.to_string(), format!("{pid} did not reply within 1ms"));
        assert_eq!(error.into_exit_reason(), ExitReason::Timeout);
        assert!(is_alive(pid).await);
    });
}

#[test]
fn gsv_008_a_call_of_nobody_fails_at_once() {
    on_every_driver(|| async {
        let stopped = Probe::start(ok()).await.unwrap();
        stopped.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        for (server, who) in [
            (ServerRef::<Probe>::named("nobody"), "`nobody`".to_owned()),
            (stopped.clone(), stopped.pid().unwrap().to_string()),
        ] {
            let began = process::now();
            let caller = process::spawn_monitor(async move { server.count().timeout(LONG).await.map(drop) });
            let reason = common::down(caller.1).await.reason;
            assert!(process::now() - began < LONG);
            assert_eq!(reason.to_string(), format!("called {who}, which is no live process"));
            let exits = process::spawn_monitor(async move {
                ServerRef::<Probe>::named("nobody").count().await.or_exit();
            });
            assert_eq!(common::down(exits.1).await.reason, ExitReason::NoProc);
        }
    });
}

#[test]
fn otp_gs_13_a_reply_may_come_when_the_time_is_up() {
    on_each_driver(|driver| async move {
        let server = Probe::start(ok()).await.unwrap();
        let delayed = || {
            call(|probe, from| {
                probe.waiting = Some(from);
                Reply::later().timeout(Duration::from_millis(1))
            })
        };
        assert_eq!(server.ask(delayed()).await, Ok(100));
        if !driver.has_real_clock() {
            assert_eq!(server.ask(delayed()).timeout(Duration::from_millis(30)).await, Ok(200));
        }
    });
}

#[test]
fn otp_gs_14_a_request_ends_the_timeout() {
    on_each_driver(|driver| async move {
        let server = Probe::start(ok()).await.unwrap();
        let timeout = || call(|probe, _| Reply::now(probe.count).timeout(Duration::from_millis(1000)));
        if !driver.has_real_clock() {
            server.ask(timeout()).await.unwrap();
            process::sleep(Duration::from_millis(500)).await;
            assert_eq!(server.count().await, Ok(1), "it was in time");
            process::sleep(Duration::from_millis(1500)).await;
            assert_eq!(server.count().await, Ok(2), "and the timeout is over for good");
        }
        server.ask(timeout()).await.unwrap();
        next::<TimedOut>().await;
        let count = server.count().await.unwrap();
        assert_eq!(count, if driver.has_real_clock() { 101 } else { 103 }, "it ran once, before the call");
    });
}

#[test]
fn otp_gs_21_a_continue_may_stop_the_server() {
    on_every_driver(|| async {
        let (server, monitor) = Probe::start(ok()).monitored().await.unwrap();
        let stops = || Work(cast(|_| Next::stop(ExitReason::Normal)));
        assert_eq!(server.ask(call(move |_, _| Reply::now(1).then(stops()))).await, Ok(1));
        assert_eq!(next::<Terminated>().await, Terminated(ExitReason::Normal));
        assert_eq!(common::down(monitor).await.reason, ExitReason::Normal);
    });
}

/// The work comes before every message, also before those that are there already.
#[test]
fn a_continue_goes_before_the_next_message() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let server = Probe::start(init(move || {
            let me_again = process::self_pid();
            me_again.send(Info(cast(|probe| {
                probe.told.send(("message", probe.count));
                Next::go_on()
            })));
            Init::ok(Probe::new(me)).then(Work(cast(|probe| {
                probe.count = 5;
                Next::then(Work(cast(|probe| {
                    probe.count *= 2;
                    Next::go_on()
                })))
            })))
        }));
        let server = server.await.unwrap();
        assert_eq!(next::<(&str, u64)>().await, ("message", 10));
        assert_eq!(server.count().await, Ok(11));
    });
}

#[test]
fn otp_gs_22_only_messages_end_a_timeout() {
    on_each_driver(|driver| async move {
        if driver.has_real_clock() {
            return;
        }
        let me = process::self_pid();
        let half = Duration::from_millis(500);
        type Outcome = fn(Duration) -> Next;
        let outcomes: [(Outcome, bool); 3] = [
            (Next::timeout, false),
            (|after| Next::timeout_at(process::now() + after), false),
            (Next::hibernate_for, true),
        ];
        for (outcome, hibernates) in outcomes {
            // From init, a continue, a call, a cast and a message; each once with a call in time and once without.
            for from in 0..5 {
                for in_time in [false, true] {
                    let starts = process::now();
                    let server = match from {
                        0 => Probe::start(init(move || Init::ok(Probe::new(me)).next(outcome(half)))).await,
                        _ => Probe::start(ok()).await,
                    }
                    .unwrap();
                    let next_is = move || cast(move |_| outcome(half));
                    match from {
                        0 => {}
                        1 => server.told_to(cast(move |_| Next::then(Work(next_is())))),
                        2 => drop(server.ask(call(move |_, _| Reply::now(0).next(outcome(half)))).await),
                        3 => server.told_to(next_is()),
                        _ => server.pid().unwrap().send(Info(next_is())),
                    }
                    let waits = if hibernates { Status::Hibernating } else { Status::Waiting };
                    assert_eq!(status(&server).await, waits);
                    if in_time {
                        process::sleep(Duration::from_millis(400)).await;
                        server.count().await.unwrap();
                        nothing_comes(Duration::from_secs(1)).await;
                    } else {
                        assert_eq!(next::<TimedOut>().await, TimedOut);
                        let took = process::now() - starts;
                        assert!(half <= took && took <= Duration::from_millis(510), "{took:?}");
                        assert_eq!(status(&server).await, Status::Waiting);
                        nothing_comes(Duration::from_secs(1)).await;
                    }
                }
            }
        }
    });
}

#[test]
fn otp_gs_25_a_server_that_calls_itself_is_told_at_once() {
    on_every_driver(|| async {
        struct Narcissus;
        #[gen_server(client = pub(crate) NarcissusClient)]
        impl Narcissus {
            fn init() -> Init<Self> {
                Init::ok(Narcissus)
            }
            #[call]
            async fn look(&mut self, timeout: Timeout) -> Result<(), CallError> {
                ServerRef::<Narcissus>::of(process::self_pid()).look(timeout).timeout(timeout).await?
            }
        }
        let server = Narcissus::start().await.unwrap();
        let pid = server.pid().unwrap();
        for timeout in [Timeout::CALL, Timeout::Infinity] {
            assert_eq!(server.look(timeout).await, Ok(Err(CallError::CallsItself { pid })));
        }
        let me = ServerRef::<Narcissus>::of(process::self_pid());
        let error = me.look(Timeout::CALL).await.unwrap_err();
        assert_eq!(error, CallError::CallsItself { pid: process::self_pid() });
        assert!(error.into_exit_reason().downcast_ref::<CallError>().is_some());
    });
}

/// Does something, sets a timeout, and stops, in this order: for what has no reply.
fn three() -> [OnMessage; 3] {
    [
        cast(|probe| {
            probe.told.send("first");
            Next::go_on()
        }),
        cast(|_| Next::timeout(Duration::from_millis(1))),
        cast(|_| Next::stop(stopped())),
    ]
}

#[test]
fn otp_gs_26_casts_act_in_order() {
    on_every_driver(|| async {
        Probe::start(ok()).name("caster").await.unwrap();
        let server = ServerRef::<Probe>::named("caster");
        let [first, timeout, stop] = three();
        server.told_to(first);
        server.told_to(timeout);
        assert_eq!(next::<&str>().await, "first");
        assert_eq!(next::<TimedOut>().await, TimedOut);
        server.told_to(stop);
        assert_eq!(next::<Terminated>().await, Terminated(stopped()));
        // Nobody is told that a cast went nowhere.
        common::until(|| server.pid().is_none()).await;
        server.told_to(cast(|_| unreachable!()));
    });
}

#[test]
fn otp_gs_27_messages_go_to_their_handlers_in_order() {
    on_every_driver(|| async {
        let server = Probe::start(ok()).await.unwrap();
        let [first, timeout, stop] = three();
        server.pid().unwrap().send(Info(first));
        server.send(Info(timeout));
        assert_eq!(next::<&str>().await, "first");
        assert_eq!(next::<TimedOut>().await, TimedOut);
        server.send(Info(cast(|probe| {
            probe.told.send(ExitReason::Normal);
            Next::hibernate()
        })));
        assert_eq!(next::<ExitReason>().await, ExitReason::Normal);
        server.send(Info(stop));
        assert_eq!(next::<Terminated>().await, Terminated(stopped()));
    });
}

#[test]
fn otp_gs_28_a_server_hibernates_until_a_message_comes() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let server = Probe::start(init(move || Init::ok(Probe::new(me)).hibernate())).await.unwrap();
        assert_eq!(status(&server).await, Status::Hibernating);
        // The question itself leaves it as it is.
        assert_eq!(status(&server).await, Status::Hibernating);
        let hibernate = || cast(|_| Next::hibernate());
        for wake in 0..4 {
            // Awake while and after handling something else.
            let reply = server.ask(call(|_, _| Reply::now(1))).await;
            assert_eq!((reply, status(&server).await), (Ok(1), Status::Waiting));
            match wake {
                0 => drop(server.ask(call(|_, _| Reply::now(1).hibernate())).await),
                1 => server.told_to(hibernate()),
                2 => server.send(Info(hibernate())),
                _ => server.told_to(cast(move |_| Next::then(Work(hibernate())))),
            }
            assert_eq!(status(&server).await, Status::Hibernating);
        }
        process::send_after(&server, Info(cast(|_| Next::go_on())), Duration::from_millis(1));
        while status(&server).await != Status::Waiting {
            process::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn otp_gs_29_a_server_may_hibernate_when_nothing_comes_for_a_while() {
    on_each_driver(|driver| async move {
        if driver.has_real_clock() {
            return;
        }
        let idle = Duration::from_millis(100);
        let server = Probe::start(ok()).hibernate_after(idle).await.unwrap();
        for after in 0..4 {
            match after {
                0 => {}
                1 => drop(server.count().await),
                2 => server.told_to(cast(|_| Next::go_on())),
                _ => server.send(Info(cast(|_| Next::go_on()))),
            }
            assert_eq!(status(&server).await, Status::Waiting);
            process::sleep(Duration::from_millis(90)).await;
            assert_eq!(status(&server).await, Status::Waiting);
            process::sleep(Duration::from_millis(20)).await;
            assert_eq!(status(&server).await, Status::Hibernating);
            assert_eq!(status(&server).await, Status::Hibernating);
        }
    });
}

#[test]
fn otp_gs_34_a_process_may_become_a_server() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let phonebook = Phonebook::default();
        let book = phonebook.clone();
        let became = process::spawn(async move {
            process::register("local", process::self_pid()).unwrap();
            let server = Probe::new(me);
            server
                .enter_loop()
                .name("local")
                .next(Next::then(Work(cast(|p| {
                    p.count = 40;
                    Next::go_on()
                }))))
                .await
        });
        assert_eq!(ServerRef::<Probe>::of(became).count().await, Ok(41));
        let stopping = ServerRef::<Probe>::of(became);
        stopping.stop(stopped(), Timeout::Infinity).await.unwrap();
        assert_eq!(next::<Terminated>().await, Terminated(stopped()));
        let via = process::spawn(async move {
            book.via("via").register(process::self_pid()).await.unwrap();
            Probe::new(me).enter_loop().name(book.via("via")).await
        });
        assert_eq!(ServerRef::<Probe>::of(via).count().await, Ok(1));

        // A name of nobody's, and one of somebody else.
        process::register("another", me).unwrap();
        for name in ["unknown", "another"] {
            let (_, monitor) =
                process::spawn_monitor(async move { Probe::new(me).enter_loop().name(name).await });
            let reason = common::down(monitor).await.reason;
            assert_eq!(reason.downcast_ref(), Some(&NotRegistered { name: name.into() }), "{reason}");
            assert_eq!(reason.to_string(), format!("the process is not registered as `{name}`"));
        }
        let book = phonebook.clone();
        let (_, monitor) =
            process::spawn_monitor(async move { Probe::new(me).enter_loop().name(book.via("via")).await });
        let reason = common::down(monitor).await.reason;
        assert_eq!(reason.to_string(), "the process is not registered as \"via\" in `phonebook`");
    });
}

#[test]
fn otp_gs_35_a_server_that_traps_exits_ends_with_its_parent_named_or_not() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let trapping = move || {
            init(move || {
                process::trap_exit(true);
                Init::ok(Probe::new(me))
            })
        };
        for name in [Some("parent"), None] {
            let parent = process::spawn(async move {
                process::trap_exit(true);
                if let Some(name) = name {
                    process::register(name, process::self_pid()).unwrap();
                }
                let child = Probe::start_link(trapping()).await.unwrap();
                let other = Probe::start_link(trapping()).await.unwrap();
                // Told to, a server ends as always.
                other.told_to(cast(|_| Next::stop(stopped())));
                me.send(child);
                std::future::pending::<()>().await;
            });
            let child = common::first::<ServerRef<Probe>>().await;
            assert_eq!(common::first::<Terminated>().await, Terminated(stopped()));
            let pid = child.pid().unwrap();
            // The exit of somebody else is a message for `handle_info`.
            process::exit_signal(pid, ExitReason::other("no parent"));
            assert_eq!(child.count().await, Ok(1));
            let monitor = process::monitor(pid);
            process::kill(parent);
            assert_eq!(next::<Terminated>().await, Terminated(ExitReason::Killed));
            assert_eq!(common::down(monitor).await.reason, ExitReason::Killed);
        }
    });
}

/// Without a handler of its own for anything.
struct Bare;

impl GenServer for Bare {
    type Args = bool;
    async fn init(continues: bool) -> Init<Self> {
        if continues { Init::ok(Bare).then("work") } else { Init::ok(Bare) }
    }
}

#[test]
fn otp_gs_40_without_terminate_the_reason_is_the_one_asked_for() {
    on_every_driver(|| async {
        for reason in [ExitReason::Normal, ExitReason::other("abnormal")] {
            let (server, monitor) = Bare::start(false).monitored().await.unwrap();
            assert_eq!(server.stop(reason.clone(), Timeout::Infinity).await, Ok(()));
            assert_eq!(common::down(monitor).await.reason, reason);
        }
    });
}

#[test]
fn otp_gs_41_a_missing_callback_ends_the_server_with_its_name() {
    on_every_driver(|| async {
        let (server, monitor) = Bare::start(true).monitored().await.unwrap();
        let reason = common::down(monitor).await.reason;
        let undefined =
            UndefinedCallback { server: std::any::type_name::<Bare>(), callback: "handle_continue" };
        assert_eq!(reason.downcast_ref(), Some(&undefined));
        assert_eq!(reason.to_string(), format!("`{}` has no `handle_continue`", undefined.server));
        drop(server);
        // A call that there is no handler for compiles only for a server that is not the one it says it is.
        let wrong = ServerRef::<Probe>::of(Bare::start(false).await.unwrap().pid().unwrap());
        let pid = wrong.pid().unwrap();
        assert_eq!(wrong.count().await, Err(CallError::NoReply { pid }));
        assert!(is_alive(pid).await);
    });
}

#[test]
fn otp_gs_42_an_unexpected_message_is_logged_and_dropped() {
    common_tracing::record();
    on_every_driver(|| async {
        let server = Bare::start(false).await.unwrap();
        let pid = server.pid().unwrap();
        pid.send(7_u16);
        until_it_waits(pid).await;
        let seen = common_tracing::about(pid, "ibeam::gen_server");
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(&seen[0].fields["message"], "Message(u16)");
        assert_eq!(&seen[0].fields["server"], std::any::type_name::<Bare>());
        server.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        end_of(pid).await;
    });
}

#[test]
fn a_timeout_without_a_handler_is_logged() {
    common_tracing::record();
    on_every_driver(|| async {
        struct Impatient;
        impl GenServer for Impatient {
            type Args = ();
            async fn init((): ()) -> Init<Self> {
                Init::ok(Impatient).timeout(Duration::from_millis(1))
            }
        }
        let pid = Impatient::start(()).await.unwrap().pid().unwrap();
        // The clock has to go on, which it does for who waits for it.
        while common_tracing::about(pid, "ibeam::gen_server").is_empty() {
            process::sleep(Duration::from_millis(1)).await;
        }
        assert!(is_alive(pid).await);
    });
}

//! Every pending call ends exactly once: invariant 9.

mod common;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use common::{Driver, down, end_of, first, idle, next, nothing_comes, on_each_driver, on_every_driver};
use ibeam_runtime::process::{self, Call, Key};
use ibeam_runtime::{
    AliasMode, CallError, CallFrom, Destination, Down, ExitReason, Message, Overflow, Pid, Reference, Timeout,
};

/// What goes and comes with a call counts its drops.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Equal if it is one of the same: for comparing outcomes.
impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

type Server = CallFrom<Counted>;

fn take(message: Message) -> (Counted, Server) {
    message.take_call().expect("a call of this test")
}

/// What the called process does with the call, before or after an await.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Reply,
    DropFrom,
    DropMessage,
    LeaveItInTheMailbox,
    Crash,
    CrashHoldingIt,
    ExitHoldingIt,
    Return,
    WaitHoldingIt,
    Defer,
    DeferToAThread,
    DeferAndEnd,
    DeferToOneThatEnds,
}

const ALL: [Does; 13] = [
    Does::Reply,
    Does::DropFrom,
    Does::DropMessage,
    Does::LeaveItInTheMailbox,
    Does::Crash,
    Does::CrashHoldingIt,
    Does::ExitHoldingIt,
    Does::Return,
    Does::WaitHoldingIt,
    Does::Defer,
    Does::DeferToAThread,
    Does::DeferAndEnd,
    Does::DeferToOneThatEnds,
];

/// What a panicking server says.
const CRASH: &str = "it crashes";

async fn server(does: Does, later: bool, replies: Arc<AtomicUsize>) {
    let reply = move || Counted(Arc::clone(&replies));
    if does == Does::LeaveItInTheMailbox {
        return idle().await;
    }
    let message = process::recv().await;
    if later {
        process::yield_now().await;
    }
    if does == Does::DropMessage {
        drop(message);
        return idle().await;
    }
    if does == Does::Crash {
        // The message is among the locals.
        panic!("{CRASH}");
    }
    let (request, from) = take(message);
    if does == Does::WaitHoldingIt {
        let _held = (request, from);
        return idle().await;
    }
    drop(request);
    match does {
        Does::Reply => {
            from.reply(reply());
            idle().await;
        }
        Does::DropFrom => {
            drop(from);
            idle().await;
        }
        Does::CrashHoldingIt => {
            let _from = from;
            panic!("{CRASH}");
        }
        Does::ExitHoldingIt => {
            let _from = from;
            process::exit(ExitReason::shutdown_with("it exits"));
        }
        Does::Return => {}
        Does::Defer | Does::DeferAndEnd => {
            process::spawn(async move {
                process::yield_now().await;
                from.reply(reply());
            });
            if does == Does::Defer {
                idle().await;
            }
        }
        Does::DeferToAThread => {
            let reply = reply();
            std::thread::spawn(move || from.reply(reply)).join().unwrap();
            idle().await;
        }
        Does::DeferToOneThatEnds => {
            process::spawn(async move {
                let _from = from;
                process::yield_now().await;
            });
            idle().await;
        }
        Does::DropMessage | Does::LeaveItInTheMailbox | Does::Crash | Does::WaitHoldingIt => {
            unreachable!("done above")
        }
    }
}

/// How the call has to end if it waits as long as it takes and nobody ends the server; `None`: it does not end by itself.
fn expected(does: Does, pid: Pid, reply: &Counted) -> Option<Result<Counted, CallError>> {
    let gone = |reason| Some(Err(CallError::Exited { pid, reason }));
    match does {
        Does::Reply | Does::Defer | Does::DeferToAThread | Does::DeferAndEnd => {
            Some(Ok(Counted(Arc::clone(&reply.0))))
        }
        Does::DropFrom | Does::DropMessage | Does::DeferToOneThatEnds => {
            Some(Err(CallError::NoReply { pid }))
        }
        Does::ExitHoldingIt => gone(ExitReason::shutdown_with("it exits")),
        Does::Return => gone(ExitReason::Normal),
        Does::LeaveItInTheMailbox | Does::WaitHoldingIt => None,
        // Compared apart: a panic knows its place.
        Does::Crash | Does::CrashHoldingIt => None,
    }
}

/// Invariant 9: every pending call ends exactly once, with what the called process did.
#[test]
fn invariant_9_a_call_ends_once_whatever_the_called_process_does() {
    on_every_driver(|| async {
        for does in ALL {
            for later in [false, true] {
                let (requests, replies) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                let (pid, monitor) = process::spawn_monitor(server(does, later, Arc::clone(&replies)));
                let request = Counted(Arc::clone(&requests));
                let call = Call::<Counted, Counted>::new(pid, request).timeout(Timeout::Infinity);
                let reply = Counted(Arc::clone(&replies));
                let wanted = expected(does, pid, &reply);
                let ended = match does {
                    Does::LeaveItInTheMailbox | Does::WaitHoldingIt => {
                        // It ends with the server, whose reason it learns.
                        let (call, ()) = tokio::join!(call, async {
                            common::until_it_waits(pid).await;
                            process::exit_signal(pid, ExitReason::Kill);
                        });
                        assert_eq!(
                            call,
                            Err(CallError::Exited { pid, reason: ExitReason::Killed }),
                            "{does:?}"
                        );
                        call
                    }
                    _ => call.await,
                };
                match (&wanted, &ended) {
                    (Some(wanted), ended) => assert_eq!(ended, wanted, "{does:?}, later: {later}"),
                    (None, Err(CallError::Exited { pid: called, reason })) => {
                        assert_eq!(*called, pid);
                        if let ExitReason::Panic(panic) = reason {
                            assert_eq!(panic.message(), CRASH);
                        } else {
                            assert_eq!(*reason, ExitReason::Killed, "{does:?}, later: {later}");
                        }
                    }
                    (None, ended) => panic!("{does:?}, later: {later}: {ended:?}"),
                }
                drop((wanted, ended, reply));
                process::kill(pid);
                down(monitor).await;
                assert_eq!(requests.load(SeqCst), 1, "the request of {does:?} is dropped once");
                assert_eq!(Arc::strong_count(&requests), 1);
                // Whoever replies may still hold what it replies with.
                common::until(|| Arc::strong_count(&replies) == 1).await;
            }
        }
    });
}

/// Invariant 9: a call ends in time, whatever the called process does after that; a reply that is late is dropped.
#[test]
fn invariant_9_a_call_that_times_out_ends_once_and_its_late_reply_is_dropped() {
    on_every_driver(|| async {
        let after = Duration::from_millis(2);
        for does in ALL {
            let (requests, replies) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let acts = server(does, false, Arc::clone(&replies));
            let (pid, monitor) = process::spawn_monitor(async move {
                next_go().await;
                acts.await;
            });
            let request = Counted(Arc::clone(&requests));
            let call = Call::<Counted, Counted>::new(pid, request).timeout(after);
            assert_eq!(call.await, Err(CallError::Timeout { pid, after }), "{does:?}");
            pid.send("go");
            if !matches!(does, Does::LeaveItInTheMailbox) {
                common::until(|| requests.load(SeqCst) == 1 || does == Does::WaitHoldingIt).await;
            }
            process::kill(pid);
            down(monitor).await;
            common::until(|| Arc::strong_count(&replies) == 1).await;
            assert_eq!(requests.load(SeqCst), 1, "{does:?}");
            assert!(process::try_recv().is_none());
        }
    });
}

async fn next_go() {
    assert_eq!(first::<&str>().await, "go");
}

/// Invariant 9: a call that is dropped by its caller ends there; the reply finds nobody and is dropped.
#[test]
fn invariant_9_a_call_that_its_caller_drops_leaves_nothing() {
    on_every_driver(|| async {
        for does in ALL {
            let (requests, replies) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (pid, monitor) = process::spawn_monitor(server(does, true, Arc::clone(&replies)));
            // Not polled: nothing was sent.
            drop(Call::<Counted, Counted>::new(pid, Counted(Arc::clone(&requests))));
            assert_eq!(requests.load(SeqCst), 1);
            // Polled once.
            let call = Call::<Counted, Counted>::new(pid, Counted(Arc::clone(&requests)));
            tokio::select! {
                biased;
                _ = call => panic!("it cannot be answered within its first poll on one thread, nor as quickly on two"),
                () = std::future::ready(()) => {}
            }
            // With its caller.
            let request = Counted(Arc::clone(&requests));
            let (caller, of_caller) = process::spawn_monitor(async move {
                _ = Call::<Counted, Counted>::new(pid, request).timeout(Timeout::Infinity).await;
            });
            process::yield_now().await;
            process::kill(caller);
            let reason = down(of_caller).await.reason;
            assert!([ExitReason::Killed, ExitReason::Normal].contains(&reason));
            process::kill(pid);
            down(monitor).await;
            common::until(|| Arc::strong_count(&replies) == 1).await;
            assert_eq!(requests.load(SeqCst), 3, "{does:?}");
        }
    });
}

/// Invariant 9: a call that cannot be sent ends at once, and says why.
#[test]
fn invariant_9_a_call_that_cannot_be_sent_ends_at_once() {
    on_each_driver(|driver| async move {
        let requests = Arc::new(AtomicUsize::new(0));
        let call = |to: Destination| {
            Call::<Counted, Counted>::new(to, Counted(Arc::clone(&requests))).timeout(Timeout::Infinity)
        };
        let dead = process::spawn(async {});
        end_of(dead).await;
        let destination = Destination::from(dead);
        assert_eq!(call(dead.into()).await, Err(CallError::NoProc { destination }));
        let destination = Destination::from("invariant_9_nobody");
        assert_eq!(call("invariant_9_nobody".into()).await, Err(CallError::NoProc { destination }));
        let me = process::self_pid();
        assert_eq!(call(me.into()).await, Err(CallError::CallsItself { pid: me }));
        for overflow in [Overflow::Reject, Overflow::DropNewest] {
            let full = process::builder().mailbox(1, overflow).spawn(idle());
            full.send(());
            assert_eq!(call(full.into()).await, Err(CallError::Full { pid: full }), "{overflow:?}");
        }
        // Through an alias that is switched off: sent, and dropped unread.
        let (pid, monitor) = process::spawn_monitor(async move {
            let alias = process::alias(AliasMode::Explicit);
            process::unalias(alias);
            me.send(alias);
            idle().await;
        });
        let alias: ibeam_runtime::Alias = next().await;
        assert_eq!(call(alias.into()).await, Err(CallError::NoReply { pid }));
        process::kill(pid);
        down(monitor).await;
        assert_eq!(requests.load(SeqCst), 6);
        nothing_comes(driver.window(Duration::from_millis(20))).await;
    });
}

/// Invariant 9: a call that found nobody goes to another process, once; one that was sent stays where it is.
#[test]
fn invariant_9_a_call_that_was_not_sent_can_be_redirected() {
    on_each_driver(|driver| async move {
        let (requests, replies) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let serve = || process::spawn(server(Does::Reply, false, Arc::clone(&replies)));
        let (dead, one, other) = (process::spawn(async {}), serve(), serve());
        end_of(dead).await;
        let mut call = Call::<Counted, Counted>::new(dead, Counted(Arc::clone(&requests)));
        let destination = Destination::from(dead);
        assert_eq!((&mut call).await, Err(CallError::NoProc { destination: destination.clone() }));
        // As often as there is nobody.
        call.redirect(dead);
        assert_eq!((&mut call).await, Err(CallError::NoProc { destination }));
        call.redirect(one);
        assert_eq!(call.destination(), &Destination::from(one));
        // Sent by its first poll; to redirect it after that does nothing.
        let sent = poll_fn(|cx| Poll::Ready(Pin::new(&mut call).poll(cx).is_pending()));
        assert!(sent.await);
        call.redirect(other);
        assert_eq!(call.destination(), &Destination::from(one));
        assert_eq!(call.await, Ok(Counted(Arc::clone(&replies))));
        assert_eq!(requests.load(SeqCst), 1);
        assert!(process::info(other).await.is_some_and(|info| info.message_queue_len == 0));
        process::kill(other);
        nothing_comes(driver.window(Duration::from_millis(20))).await;
    });
}

/// Invariant 9: a call that waits for room in a full mailbox ends: when it gets in, when its time is over, or when the
/// process ends.
#[test]
fn invariant_9_a_call_that_waits_for_room_ends() {
    on_every_driver(|| async {
        for kind in 0..3 {
            let requests = Arc::new(AtomicUsize::new(0));
            let me = process::self_pid();
            let full = process::builder().mailbox(1, Overflow::Wait).spawn(async move {
                // Something else than messages is waited for, so that the mailbox stays full.
                let go = process::builder().spawn(async { next_go().await });
                me.send(go);
                end_of_without_mailbox(go).await;
                next::<()>().await;
                loop {
                    let (request, from) = take(process::recv().await);
                    from.reply(request);
                }
            });
            full.send(());
            let go: Pid = next().await;
            let callers: Vec<Reference> = (0..3)
                .map(|_| {
                    let request = Counted(Arc::clone(&requests));
                    let timeout = match kind {
                        1 => Timeout::After(Duration::from_millis(2)),
                        _ => Timeout::Infinity,
                    };
                    process::spawn_monitor(async move {
                        let ended = Call::<Counted, Counted>::new(full, request).timeout(timeout).await;
                        match (kind, ended) {
                            (0, Ok(_)) | (1, Err(CallError::Timeout { .. })) => {}
                            // It found the process gone when it was woken, or was in its mailbox by then.
                            (2, Err(CallError::NoProc { .. } | CallError::Exited { .. })) => {}
                            (_, ended) => panic!("kind {kind}: {ended:?}"),
                        }
                    })
                    .1
                })
                .collect();
            for caller in process::info(me).await.unwrap().monitors {
                let ibeam_runtime::Target::Pid(caller) = caller else { unreachable!("monitored by pid") };
                if kind != 1 {
                    common::until_it_waits(caller).await;
                }
            }
            match kind {
                0 => go.send("go"),
                1 => {}
                _ => process::kill(full),
            }
            for caller in callers {
                assert_eq!(down(caller).await.reason, ExitReason::Normal);
            }
            process::kill(full);
            end_of(full).await;
            assert_eq!(requests.load(SeqCst), 3);
        }
    });
}

/// Waits for the end of a process without a message.
async fn end_of_without_mailbox(pid: Pid) {
    while process::info(pid).await.is_some() {
        process::sleep(Duration::from_micros(100)).await;
    }
}

/// Invariant 9: calls end that a process holds at its death in places that go late: its own mailbox, its monitors' tags,
/// its local values; also where destructors panic on the way.
#[test]
fn invariant_9_a_caller_that_is_linked_to_the_called_process_ends_with_it_and_sees_no_failed_call() {
    on_each_driver(|driver| async move {
        for _ in 0..driver.rounds(10_000, 5) {
            let me = process::self_pid();
            let (_, caller) = process::spawn_monitor(async move {
                // Looks again and again, so as to see whatever there is to be seen.
                let looks = async {
                    loop {
                        process::yield_now().await;
                    }
                };
                let server = process::spawn_link(async {
                    let (_request, _from) = process::recv().await.take_call::<u32, u32>().unwrap();
                    process::exit(ExitReason::other("crash"));
                });
                tokio::select! {
                    biased;
                    failed = Call::<u32, u32>::new(server, 1) => me.send(failed.is_err()),
                    () = looks => {}
                }
            });
            assert_eq!(down(caller).await.reason, ExitReason::other("crash"));
            assert!(process::try_recv().is_none(), "the caller went on");
        }
    });
}

#[test]
fn invariant_9_calls_end_that_their_server_holds_in_odd_places() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the destructor of a request");
        }
    }
    const VALUE: Key<CallFrom<()>> = Key::new("call");
    on_every_driver(|| async {
        let leaves = |ended, pid| {
            assert_eq!(ended, Err(CallError::Exited { pid, reason: ExitReason::shutdown_with("end") }));
        };
        for place in 0..6 {
            let (pid, monitor) = process::spawn_monitor(async move {
                let me = process::self_pid();
                let message = process::recv().await;
                if place == 5 {
                    // Unread.
                    me.send(message);
                    process::exit(ExitReason::shutdown_with("end"));
                }
                let (_, from) = message.take_call::<(), ()>().unwrap();
                match place {
                    0 => me.send(from),
                    1 => {
                        me.send(from);
                        // More than one turn's worth is left.
                        (0..3_000).for_each(|number: u32| me.send(number));
                    }
                    2 => _ = process::put(VALUE, from),
                    3 => _ = process::monitor_builder(process::parent().unwrap()).tag(from).start(),
                    _ => {
                        me.send((Bomb, from));
                        let none = process::receive_with(|m| m.arm(Ok::<u8, u8>)).after(Duration::ZERO).await;
                        assert_eq!(none, None);
                    }
                }
                process::exit(ExitReason::shutdown_with("end"));
            });
            leaves(Call::<(), ()>::new(pid, ()).timeout(Timeout::Infinity).await, pid);
            assert_eq!(down(monitor).await.reason, ExitReason::shutdown_with("end"), "place {place}");
        }

        // A request whose destructor panics: left at death, dropped unread, dropped with the panic of its server.
        for how in 0..3 {
            let (pid, monitor) = process::spawn_monitor(async move {
                match how {
                    0 => {}
                    1 => {
                        let message = process::recv().await;
                        assert!(catch_unwind(AssertUnwindSafe(|| drop(message))).is_err());
                    }
                    _ => drop(process::recv().await),
                }
                idle().await;
            });
            let request = Call::<Bomb, ()>::new(pid, Bomb).timeout(Timeout::Infinity);
            let (ended, ()) = tokio::join!(request, async {
                if how == 0 {
                    common::until_it_waits(pid).await;
                    process::exit_signal(pid, ExitReason::Shutdown);
                }
            });
            match (how, ended) {
                (0, Err(CallError::Exited { reason: ExitReason::Shutdown, .. })) => {}
                (1, Err(CallError::NoReply { .. })) => process::kill(pid),
                (2, Err(CallError::Exited { reason: ExitReason::Panic(panic), .. })) => {
                    assert_eq!(panic.message(), "the destructor of a request");
                }
                (how, ended) => panic!("{how}: {ended:?}"),
            }
            down(monitor).await;
        }
    });
}

/// Small and fast; seeded, so that a failure comes back.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Invariant 9: in a mix of many callers and servers that reply, drop, defer, crash, and are killed at any moment, every
/// call ends, and ends once.
#[test]
fn invariant_9_every_call_ends_once_in_a_mix_of_all() {
    on_each_driver(|driver| async move {
        let seed = if let Driver::Sim { seed } = driver { seed } else { 9 };
        let mut random = Random(seed);
        let (servers, callers, calls) = (4, 8, driver.rounds(250, 12));
        let (requests, replies, ended) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // Servers that end are started anew under their name.
        let keepers: Vec<Pid> = (0..servers)
            .map(|number| {
                let replies = Arc::clone(&replies);
                let mut random = Random(random.below(1 << 30));
                process::spawn(async move {
                    loop {
                        let replies = Arc::clone(&replies);
                        let mut random = Random(random.below(1 << 30));
                        let name = format!("invariant_9_{number}");
                        let (_, monitor) = process::builder().name(name).spawn_monitor(async move {
                            // Some in a row that it survives.
                            loop {
                                let does = ALL[random.below(ALL.len() as u64) as usize];
                                let lives = matches!(
                                    does,
                                    Does::Reply
                                        | Does::DropFrom
                                        | Does::DropMessage
                                        | Does::Defer
                                        | Does::DeferToOneThatEnds
                                );
                                let serves = server(does, random.below(2) == 0, Arc::clone(&replies));
                                if lives && random.below(4) > 0 {
                                    tokio::select! {
                                        () = serves => {}
                                        () = process::sleep(Duration::from_micros(50)) => {}
                                    }
                                } else {
                                    return serves.await;
                                }
                            }
                        });
                        down(monitor.reference()).await;
                    }
                })
            })
            .collect();
        let callers: Vec<Reference> = (0..callers)
            .map(|_| {
                let (requests, ended) = (Arc::clone(&requests), Arc::clone(&ended));
                let mut random = Random(random.below(1 << 30));
                process::spawn_monitor(async move {
                    for _ in 0..calls {
                        let to = format!("invariant_9_{}", random.below(servers));
                        let call = Call::<Counted, Counted>::new(to.as_str(), Counted(Arc::clone(&requests)));
                        let call = match random.below(3) {
                            0 => call.timeout(Duration::from_micros(random.below(200))),
                            1 => call.timeout(Duration::from_millis(3)),
                            _ => call.timeout(Timeout::Infinity),
                        };
                        // Who waits for ever is helped by a kill, in time.
                        let killer = to.clone();
                        tokio::select! {
                            _ = call => {}
                            () = async {
                                loop {
                                    process::sleep(Duration::from_millis(1)).await;
                                    if let Some(pid) = process::whereis(&killer) {
                                        process::kill(pid);
                                    }
                                }
                            } => {}
                        }
                        ended.fetch_add(1, SeqCst);
                    }
                })
                .1
            })
            .collect();
        let all = callers.len() * calls;
        for caller in callers {
            assert_eq!(down(caller).await.reason, ExitReason::Normal);
        }
        assert_eq!(ended.load(SeqCst), all);
        keepers.into_iter().for_each(process::kill);
        for number in 0..servers {
            if let Some(pid) = process::whereis(format!("invariant_9_{number}")) {
                process::kill(pid);
                end_of(pid).await;
            }
        }
        // Requests and replies are all dropped, once each; what was deferred may still be on its way.
        common::until(|| Arc::strong_count(&requests) == 1 && Arc::strong_count(&replies) == 1).await;
        assert_eq!(requests.load(SeqCst), all);
        assert!(process::try_recv().is_none_or(|message| message.is::<Down>()));
    });
}

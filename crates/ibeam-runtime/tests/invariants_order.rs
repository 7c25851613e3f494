//! The order of what comes from one process: invariants 1, 2 and 3.

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{Driver, down, first, idle, next, nothing_comes, on_each_driver, on_every_driver, on_threads};
use ibeam_runtime::process::{self, Call, Key, monitor_builder, receive_with};
use ibeam_runtime::{
    Alias, AliasMode, CallFrom, Down, Exit, ExitReason, Overflow, Pid, Reference, TaggedDown, Timeout,
};

/// Small and fast; seeded, so that a failure comes back.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Sends numbers from 0 on by all ways there are: as messages to the pid, the name and an alias, as calls, as exit
/// signals, which a trapping receiver gets as messages, with other signals in between.
async fn sends_by_all_ways(to: Pid, name: String, alias: Alias, count: u64, seed: u64) {
    let mut random = Random(seed);
    let me = process::self_pid();
    for number in 0..count {
        match random.below(7) {
            0 => to.send((me, number)),
            1 => alias.send((me, number)),
            2 => ibeam_runtime::Destination::from(name.as_str()).send((me, number)).unwrap(),
            3 => process::exit_signal(to, ExitReason::other(number)),
            4 => to.send_wait((me, number)).await.unwrap(),
            5 => to.try_send((me, number)).unwrap(),
            // Sent by its first poll; nobody waits for the reply.
            _ => _ = Call::<(Pid, u64), ()>::new(to, (me, number)).timeout(Duration::ZERO).await,
        }
        if number + 1 == count {
            // From here on the receiver may be gone.
            return;
        }
        match random.below(12) {
            0 => process::yield_now().await,
            1 => process::link(to),
            2 => process::unlink(to),
            3 => _ = process::demonitor(process::monitor(to)),
            4 => assert!(process::info(to).await.is_some()),
            // A turn of sending only, so that a batch is long.
            _ => {}
        }
    }
}

/// Receives by all ways there are until it has the numbers of all senders, each sender's in order.
async fn receives_by_all_ways(senders: u64, count: u64, seed: u64) {
    let mut random = Random(seed);
    let mut expected: HashMap<Pid, u64> = HashMap::new();
    let mut left = senders * count;
    while left > 0 {
        let message = match random.below(4) {
            0 => process::recv().await,
            1 => match process::try_recv() {
                Some(message) => message,
                None => {
                    process::yield_now().await;
                    continue;
                }
            },
            2 => receive_with(|message| message.any(Ok)).await,
            _ => match receive_with(|message| message.any(Ok)).after(Duration::from_millis(1)).await {
                Some(message) => message,
                None => continue,
            },
        };
        let (pid, number) = match message.downcast::<(Pid, u64)>() {
            Ok(sent) => sent,
            Err(message) => match message.take_call::<(Pid, u64), ()>() {
                Ok((sent, from)) => {
                    from.reply(());
                    sent
                }
                Err(message) => {
                    let exit = message.downcast::<Exit>().unwrap();
                    let Some(number) = exit.reason.downcast_ref() else {
                        // A sender that was linked is done: so are its numbers.
                        assert!([ExitReason::Normal, ExitReason::NoProc].contains(&exit.reason));
                        assert_eq!(
                            expected.get(&exit.pid),
                            Some(&count),
                            "it has ended before its last number"
                        );
                        continue;
                    };
                    (exit.pid, *number)
                }
            },
        };
        let next = expected.entry(pid).or_default();
        assert_eq!(number, *next, "of {pid}");
        *next += 1;
        left -= 1;
    }
}

async fn messages_and_signals_keep_their_order(seed: u64, receivers: u64, senders: u64, count: u64) {
    let mut monitors = Vec::new();
    let parent = process::self_pid();
    for receiver in 0..receivers {
        let name = format!("invariant_1_{receiver}");
        let (pid, monitor) = process::builder().name(name.as_str()).trap_exit().spawn_monitor(async move {
            parent.send(process::alias(AliasMode::Explicit));
            receives_by_all_ways(senders, count, seed + receiver).await;
        });
        monitors.push(monitor.reference());
        let alias: Alias = first().await;
        for sender in 0..senders {
            let seed = seed * 1_000 + receiver * senders + sender;
            monitors.push(process::spawn_monitor(sends_by_all_ways(pid, name.clone(), alias, count, seed)).1);
        }
    }
    for monitor in monitors {
        assert_eq!(down(monitor).await.reason, ExitReason::Normal);
    }
}

/// Invariant 1: one sender's messages and signals to one receiver arrive in order, across batches and steals.
#[test]
fn invariant_1_messages_and_signals_of_one_sender_keep_their_order() {
    on_each_driver(|driver| async move {
        let seed = if let Driver::Sim { seed } = driver { seed } else { 1 };
        let (receivers, count) = (driver.rounds(6, 2) as u64, driver.rounds(3_000, 100) as u64);
        messages_and_signals_keep_their_order(seed, receivers, 4, count).await;
    });
    // More workers than cores: they take work from each other all the time.
    on_threads(8, || messages_and_signals_keep_their_order(2, 12, 6, 1_000));
}

/// How a process waits when an exit signal comes.
#[derive(Clone, Copy, Debug)]
enum Waits {
    ForAMessage,
    ForAnother,
    InTime,
    ForIo,
    ForAWaker,
    ForAReply,
    ForRoom,
    Hibernating,
    UnderSelect,
}

const WAITS: [Waits; 9] = [
    Waits::ForAMessage,
    Waits::ForAnother,
    Waits::InTime,
    Waits::ForIo,
    Waits::ForAWaker,
    Waits::ForAReply,
    Waits::ForRoom,
    Waits::Hibernating,
    Waits::UnderSelect,
];

impl Waits {
    /// A call that nobody answers, a mailbox that is full: `other` does nothing.
    async fn run(self, other: Pid, driver: Driver) {
        match self {
            Self::ForAMessage => _ = process::recv().await,
            Self::ForAnother => _ = first::<Reference>().await,
            Self::InTime => process::sleep(Duration::from_secs(3600)).await,
            // A socket lies outside of a simulation, which has nothing to wait for it with.
            Self::ForIo if matches!(driver, Driver::Sim { .. }) => idle().await,
            Self::ForIo => {
                let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
                socket.recv(&mut [0; 8]).await.unwrap();
            }
            Self::ForAWaker => {
                let (_sender, receiver) = tokio::sync::oneshot::channel::<()>();
                receiver.await.unwrap();
            }
            Self::ForAReply => _ = Call::<u8, ()>::new(other, 0).timeout(Timeout::Infinity).await,
            Self::ForRoom => {
                let full = process::builder().mailbox(1, Overflow::Wait).spawn(idle());
                full.send("first");
                full.send_wait("second").await.unwrap();
            }
            Self::Hibernating => process::hibernate().await,
            Self::UnderSelect => tokio::select! {
                _ = first::<Reference>() => {}
                () = process::sleep(Duration::from_secs(3600)) => {}
                () = idle() => {}
            },
        }
    }
}

/// Invariant 2: an exit signal acts whatever the process waits for.
#[test]
fn invariant_2_an_exit_signal_acts_whatever_the_process_waits_for() {
    on_each_driver(|driver| async move {
        let other = process::spawn(idle());
        for waits in WAITS {
            for (sent, expected) in [
                (ExitReason::Shutdown, ExitReason::Shutdown),
                (ExitReason::other("enough"), ExitReason::other("enough")),
                (ExitReason::Kill, ExitReason::Killed),
            ] {
                let (pid, monitor) = process::spawn_monitor(async move {
                    loop {
                        waits.run(other, driver).await;
                    }
                });
                common::until_it_waits(pid).await;
                process::exit_signal(pid, sent);
                assert_eq!(down(monitor).await.reason, expected, "{waits:?}");
            }
        }
    });
}

/// Invariant 2: an exit signal acts though the mailbox is full, whatever its policy.
#[test]
fn invariant_2_an_exit_signal_acts_though_the_mailbox_is_full() {
    on_each_driver(|driver| async move {
        for overflow in [Overflow::Wait, Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
            for waits in WAITS {
                // Who waits for any message takes one, and the mailbox is not full any more.
                if matches!(waits, Waits::ForAMessage | Waits::Hibernating) {
                    continue;
                }
                let other = process::spawn(idle());
                let (pid, monitor) = process::builder()
                    .mailbox(3, overflow)
                    .spawn_monitor(async move { waits.run(other, driver).await });
                (0..10).for_each(|number: u32| pid.send(number));
                assert_eq!(process::info(pid).await.unwrap().message_queue_len, 3, "{overflow:?}");
                process::exit_signal(pid, ExitReason::Shutdown);
                assert_eq!(down(monitor.reference()).await.reason, ExitReason::Shutdown, "{overflow:?}");
            }
        }
    });
}

/// Invariant 2: no later message of the sender of an exit signal overtakes it, whatever the receive.
#[test]
fn invariant_2_no_message_overtakes_an_exit_signal() {
    on_each_driver(|driver| async move {
        let overtaken = Arc::new(AtomicU32::new(0));
        for round in 0..driver.rounds(600, 40) {
            let seen = Arc::clone(&overtaken);
            let (pid, monitor) = process::spawn_monitor(async move {
                match round % 4 {
                    0 => _ = process::recv().await,
                    // Runs all the time, so that signal and message may come at any moment of its turn.
                    1 => {
                        while process::try_recv().is_none() {
                            process::yield_now().await;
                        }
                    }
                    2 => tokio::select! {
                        _ = first::<&str>() => {}
                        _ = process::recv() => {}
                    },
                    _ => _ = tokio::join!(first::<&str>(), process::recv()),
                }
                seen.fetch_add(1, SeqCst);
            });
            process::spawn(async move {
                if round % 3 == 0 {
                    process::yield_now().await;
                }
                process::exit_signal(pid, ExitReason::Shutdown);
                (0..3).for_each(|_| pid.send("late"));
            });
            assert_eq!(down(monitor).await.reason, ExitReason::Shutdown, "round {round}");
        }
        assert_eq!(overtaken.load(SeqCst), 0);
    });
}

/// Invariant 2: nor does what comes back by another way than the mailbox: the reply to a call, the answer to a question.
/// Both come in the middle of a turn of the one who waits, behind the signal.
#[test]
fn invariant_2_no_reply_overtakes_an_exit_signal() {
    on_every_driver(|| async {
        let overtaken = Arc::new(AtomicU32::new(0));
        for reason in [ExitReason::Shutdown, ExitReason::Kill] {
            for replies in [true, false] {
                let server = process::spawn(async {
                    // The right to reply goes to the caller, which knows who shall use it.
                    let (caller, from) = process::recv().await.take_call::<Pid, ()>().unwrap();
                    caller.send(from);
                    idle().await;
                });
                let (seen, sent) = (Arc::clone(&overtaken), reason.clone());
                let (_, monitor) = process::spawn_monitor(async move {
                    let me = process::self_pid();
                    let call = Call::<Pid, ()>::new(server, me).timeout(Timeout::Infinity);
                    let mut call = std::pin::pin!(call);
                    let from = tokio::select! {
                        biased;
                        _ = &mut call => unreachable!("nobody has replied"),
                        from = first::<CallFrom<()>>() => from,
                    };
                    let sends = move || {
                        process::exit_signal(me, sent);
                        if replies { assert!(from.reply(())) } else { drop(from) }
                    };
                    std::thread::spawn(sends).join().unwrap();
                    _ = call.await;
                    seen.fetch_add(1, SeqCst);
                });
                let expected = if reason == ExitReason::Kill { ExitReason::Killed } else { reason.clone() };
                assert_eq!(down(monitor).await.reason, expected);
            }
            let (seen, sent) = (Arc::clone(&overtaken), reason.clone());
            let expected = if reason == ExitReason::Kill { ExitReason::Killed } else { reason };
            let quicker = expected.clone();
            let (_, monitor) = process::spawn_monitor(async move {
                let me = process::self_pid();
                let other = process::spawn(idle());
                let question = process::info(other);
                let mut question = std::pin::pin!(question);
                let polled =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(Future::poll(question.as_mut(), cx)));
                if polled.await.is_ready() {
                    // The other one runs beside us, and was quicker than this test.
                    process::exit(quicker);
                }
                let ended = process::monitor(other);
                process::kill(other);
                assert_eq!(down(ended).await.reason, ExitReason::Killed);
                std::thread::spawn(move || process::exit_signal(me, sent)).join().unwrap();
                _ = question.await;
                seen.fetch_add(1, SeqCst);
            });
            assert_eq!(down(monitor).await.reason, expected);
        }
        assert_eq!(overtaken.load(SeqCst), 0);
    });
}

/// Says where it is dropped.
struct Sends {
    to: Pid,
    text: &'static str,
}

impl Drop for Sends {
    fn drop(&mut self) {
        self.to.send((process::self_pid(), self.text));
    }
}

const VALUE: Key<Sends> = Key::new("value");

/// Invariant 3: after `Down` or `Exit` has been delivered nothing more arrives from the dead process, not even from its
/// destructors, wherever they are.
#[test]
fn invariant_3_destructors_speak_before_the_notice_of_the_end() {
    async fn leaves(watcher: Pid, end: usize) {
        let sends = |text| Sends { to: watcher, text };
        let _local = sends("local");
        process::put(VALUE, sends("value"));
        process::self_pid().send(sends("message"));
        process::self_pid().send(sends("skipped"));
        let _skips = receive_with(|message| message.arm(Ok::<u8, u8>)).after(Duration::ZERO).await;
        process::self_pid().send(sends("in the inbox"));
        let _monitor = monitor_builder(watcher).tag(sends("tag")).start();
        let call = Call::<Sends, ()>::new(process::spawn(idle()), sends("request"));
        match end {
            0 => {}
            1 => panic!("the end"),
            2 => process::exit(ExitReason::other("the end")),
            3 => process::exit_signal(process::self_pid(), ExitReason::Kill),
            _ => {
                watcher.send("waits");
                idle().await;
            }
        }
        drop(call);
    }
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let me = process::self_pid();
        for end in 0..6 {
            // Once linked, once monitored, and once both.
            for how in 0..3 {
                let (pid, monitor) = match how {
                    0 => (process::spawn_link(leaves(me, end)), None),
                    1 => {
                        let (pid, monitor) = process::spawn_monitor(leaves(me, end));
                        (pid, Some(monitor))
                    }
                    _ => {
                        let (pid, monitor) = process::builder().link().spawn_monitor(leaves(me, end));
                        (pid, Some(monitor.reference()))
                    }
                };
                if end >= 4 {
                    assert_eq!(first::<&str>().await, "waits");
                    process::exit_signal(pid, if end == 4 { ExitReason::Kill } else { ExitReason::Shutdown });
                }
                let mut said = Vec::new();
                let mut notices = 0;
                while notices < usize::from(how != 1) + usize::from(how != 0) {
                    let message = match process::recv().await.downcast::<(Pid, &str)>() {
                        Ok((from, text)) => {
                            assert_eq!(
                                (from, notices),
                                (pid, 0),
                                "{text:?} came after the notice, end {end}"
                            );
                            said.push(text);
                            continue;
                        }
                        Err(message) => message,
                    };
                    match message.downcast::<Down>() {
                        Ok(down) => assert_eq!(Some(down.monitor), monitor),
                        Err(message) => assert_eq!(message.downcast::<Exit>().unwrap().pid, pid),
                    }
                    notices += 1;
                }
                said.sort_unstable();
                let all = ["in the inbox", "local", "message", "request", "skipped", "tag", "value"];
                assert_eq!(said, all, "end {end}");
            }
        }
        nothing_comes(driver.window(Duration::from_millis(50))).await;
    });
}

/// Invariant 3: what a process sent before its end has arrived before the notice, however it ends; the name is free.
#[test]
fn invariant_3_nothing_arrives_after_the_notice() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let me = process::self_pid();
        let mut random = Random(if let Driver::Sim { seed } = driver { seed } else { 3 });
        for _ in 0..driver.rounds(400, 30) {
            let linked = random.below(2) == 0;
            let talks = async move {
                let pid = process::self_pid();
                for number in 0_u64.. {
                    match number % 3 {
                        0 => me.send((pid, number)),
                        1 => process::exit_signal(me, ExitReason::other(number)),
                        _ => _ = me.try_send((pid, number)),
                    }
                    if number % 5 == 0 {
                        process::yield_now().await;
                    }
                }
            };
            let builder = process::builder().name("invariant_3");
            let (pid, monitor) = if linked {
                (builder.link().spawn(talks), None)
            } else {
                let (pid, monitor) = builder.spawn_monitor(talks);
                (pid, Some(monitor.reference()))
            };
            let until = random.below(40);
            let mut expected = 0;
            loop {
                if expected == until {
                    process::exit_signal(pid, ExitReason::Shutdown);
                }
                let number = match process::recv().await.downcast::<(Pid, u64)>() {
                    Ok((from, number)) => {
                        assert_eq!(from, pid);
                        number
                    }
                    Err(message) => match message.downcast::<Exit>() {
                        Ok(exit) if exit.reason == ExitReason::Shutdown => break,
                        Ok(exit) => *exit.reason.downcast_ref::<u64>().unwrap(),
                        Err(message) => {
                            assert_eq!(Some(message.downcast::<Down>().unwrap().monitor), monitor);
                            break;
                        }
                    },
                };
                assert_eq!(number, expected, "in order and without a gap");
                expected += 1;
            }
            // It is entirely gone: the next one of the name starts without an error.
            assert_eq!(process::whereis("invariant_3"), None);
            assert!(process::try_recv().is_none());
        }
        nothing_comes(driver.window(Duration::from_millis(50))).await;
    });
}

/// Invariant 3: the same for the notice with a tag, and for all who watch at once.
#[test]
fn invariant_3_every_watcher_has_its_messages_before_its_notice() {
    on_every_driver(|| async {
        let (talks, end) = process::spawn_monitor(async {
            let watchers: Vec<Pid> = first().await;
            for number in 0..20_u64 {
                watchers.iter().for_each(|watcher| watcher.send(number));
            }
        });
        let mut watchers = Vec::new();
        let mut ends = Vec::new();
        let me = process::self_pid();
        for _ in 0..20 {
            let (pid, monitor) = process::spawn_monitor(async move {
                let _monitor = monitor_builder(talks).tag("tag").start();
                me.send(());
                for number in 0..20 {
                    assert_eq!(next::<u64>().await, number);
                }
                assert_eq!(next::<TaggedDown<&str>>().await.down.reason, ExitReason::Normal);
                assert!(process::try_recv().is_none());
            });
            first::<()>().await;
            watchers.push(pid);
            ends.push(monitor);
        }
        talks.send(watchers);
        ends.push(end);
        for end in ends {
            assert_eq!(down(end).await.reason, ExitReason::Normal);
        }
    });
}

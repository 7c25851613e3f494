//! Selective receive behind long mailboxes, and what signals do to it: rows OTP-PS-28, 29, 44 and 45.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use common::{Driver, at_hand, down, next, on_each_driver};
use ibeam_runtime::process::{self, receive_with};
use ibeam_runtime::{ExitReason, Pid, Reference};

/// A numbered message of one of several senders. Counts itself when it is dropped, taken or not.
struct Numbered {
    sender: usize,
    number: usize,
    _dropped: Dropped,
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Four senders send their messages, beside each other.
fn senders(to: Pid, messages: usize, dropped: &Arc<AtomicUsize>) -> Vec<Reference> {
    (0..4)
        .map(|sender| {
            let dropped = Arc::clone(dropped);
            process::spawn_monitor(async move {
                for number in 0..messages / 4 {
                    to.send(Numbered { sender, number, _dropped: Dropped(Arc::clone(&dropped)) });
                    if number % 64 == 0 {
                        process::yield_now().await;
                    }
                }
            })
            .1
        })
        .collect()
}

/// Takes messages by one pattern after the other, so that the rest moves on from the inbox to the mail to the saved
/// ones while more come, and checks that each pattern sees each sender's messages in order and without a gap.
async fn takes_in_parts(messages: usize) {
    let mut taken = 0;
    let mut expected = [[0_usize, 1, 2]; 4];
    while taken < messages / 4 * 4 {
        // One remainder by three after the other, some of each; then whatever is there.
        for remainder in 0..3 {
            for _ in 0..7 {
                let found = receive_with(|message| {
                    message.arm(|m: Numbered| if m.number % 3 == remainder { Ok(m) } else { Err(m) })
                })
                .after(Duration::ZERO)
                .await;
                let Some(message) = found else { break };
                let expected = &mut expected[message.sender][remainder];
                assert_eq!(message.number, *expected, "of sender {}", message.sender);
                *expected += 3;
                taken += 1;
            }
        }
        // Waits for the rest, where a sender is slower.
        if process::info(process::self_pid()).await.unwrap().message_queue_len == 0
            && taken < messages / 4 * 4
        {
            process::hibernate().await;
        }
    }
}

/// Nothing here changes where a mailbox is stored. What moves are the messages: from the inbox to the mail, and what a
/// receive skips to the saved ones.
#[test]
fn otp_ps_28_messages_that_move_while_others_are_received_stay_complete_and_in_order() {
    on_each_driver(|driver| async move {
        let (receivers, messages) = (driver.rounds(20, 3), driver.rounds(4_000, 400));
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut monitors = Vec::new();
        for number in 0..receivers {
            let (pid, monitor) = process::spawn_monitor(async move {
                next::<()>().await;
                // Half of them begin behind a mailbox that is full already.
                if number % 2 == 0 {
                    process::sleep(Duration::from_millis(1)).await;
                }
                takes_in_parts(messages).await;
                assert!(process::try_recv().is_none());
            });
            pid.send(());
            monitors.extend(senders(pid, messages, &dropped));
            monitors.push(monitor);
        }
        for monitor in monitors {
            assert_eq!(down(monitor).await.reason, ExitReason::Normal);
        }
        assert_eq!(dropped.load(SeqCst), receivers * (messages / 4 * 4));
    });
}

#[test]
fn otp_ps_28_an_exit_acts_while_messages_move_and_each_is_dropped_once() {
    on_each_driver(|driver| async move {
        let (receivers, messages) = (driver.rounds(100, 4), driver.rounds(2_000, 200));
        let dropped = Arc::new(AtomicUsize::new(0));
        for number in 0..receivers {
            let (pid, monitor) = process::spawn_monitor(async move {
                // A third takes in parts, a third skips all, a third does nothing.
                match number % 3 {
                    0 => takes_in_parts(messages + 4).await,
                    1 => _ = next_other().await,
                    _ => common::idle().await,
                }
            });
            let senders = senders(pid, messages, &dropped);
            if number % 2 == 0 {
                // The signal comes among the messages.
                for _ in 0..number % 16 {
                    process::yield_now().await;
                }
                process::exit_signal(pid, ExitReason::shutdown_with(number));
            }
            for monitor in senders {
                assert_eq!(down(monitor).await.reason, ExitReason::Normal);
            }
            if number % 2 == 1 {
                process::exit_signal(pid, ExitReason::shutdown_with(number));
            }
            assert_eq!(down(monitor).await.reason, ExitReason::shutdown_with(number));
            // What was left, and what came too late, is gone when the end is known.
            assert_eq!(dropped.load(SeqCst), (number + 1) * (messages / 4 * 4));
        }
    });
}

/// Waits for what nobody sends.
async fn next_other() -> Reference {
    receive_with(|message| message.arm(Ok::<Reference, Reference>)).await
}

/// Signals of all kinds, at random times.
async fn bothers(pid: Pid, rounds: usize, mut random: u64) {
    for _ in 0..rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match random >> 61 {
            0 | 1 => {
                let monitor = process::monitor(pid);
                if random & (1 << 40) == 0 {
                    process::yield_now().await;
                }
                process::demonitor_flush(monitor);
            }
            2 | 3 => {
                process::link(pid);
                if random & (1 << 41) == 0 {
                    process::yield_now().await;
                }
                process::unlink(pid);
            }
            4 | 5 => assert!(process::info(pid).await.is_some()),
            _ => process::yield_now().await,
        }
    }
}

#[test]
fn otp_ps_29_an_idle_receiver_is_never_stuck_under_a_race_of_signals() {
    on_each_driver(|driver| async move {
        // Together the row's 400,000 rounds on threads; each of the others is one schedule, of which there are many.
        let (batches, rounds) = (driver.rounds(40, 3), driver.rounds(2_500, 20));
        for batch in 0..batches as u64 {
            let (receiver, monitor) = process::spawn_monitor(async {
                loop {
                    next::<Pid>().await.send("here");
                }
            });
            let racers: Vec<_> = (0..4)
                .map(|racer| process::spawn_monitor(bothers(receiver, rounds, batch * 4 + racer)).1)
                .collect();
            for racer in racers {
                assert_eq!(down(racer).await.reason, ExitReason::Normal);
            }
            // It answers questions and messages, has none of the links and monitors left, and can be killed.
            let info = process::info(receiver).await.expect("it lives");
            assert_eq!((info.links, info.monitored_by.len()), (vec![], 1));
            receiver.send(process::self_pid());
            assert_eq!(next::<&str>().await, "here");
            process::kill(receiver);
            assert_eq!(down(monitor).await.reason, ExitReason::Killed);
        }
    });
}

/// Monitor, send, and receive the answer by the monitor's reference: a call by hand. Says how many messages it looked at.
async fn call_by_hand(server: Pid) -> usize {
    let monitor = process::monitor(server);
    server.send((process::self_pid(), monitor));
    let mut looked_at = 0;
    receive_with(|message| {
        looked_at += 1;
        message.arm(|answer: Reference| if answer == monitor { Ok(()) } else { Err(answer) })
    })
    .since(monitor)
    .await;
    assert!(process::demonitor_flush(monitor));
    looked_at
}

#[test]
fn otp_ps_44_a_call_behind_a_huge_mailbox_takes_no_longer() {
    /// The quickest of some batches: in the others the machine may have done something else.
    async fn time_of_calls(server: Pid, calls: usize) -> Duration {
        let mut quickest = Duration::MAX;
        for _ in 0..20 {
            let start = Instant::now();
            for _ in 0..calls / 20 {
                assert_eq!(call_by_hand(server).await, 1, "only the answer is looked at");
            }
            quickest = quickest.min(start.elapsed());
        }
        quickest
    }
    on_each_driver(|driver| async move {
        let (messages, calls) = (driver.rounds(500_000, 5_000), driver.rounds(5_000, 200));
        let server = process::spawn(async {
            loop {
                let (from, answer) = next::<(Pid, Reference)>().await;
                from.send(answer);
            }
        });
        let empty = time_of_calls(server, calls).await;
        for number in 0..messages {
            process::self_pid().send(number);
        }
        // The first one takes the inbox over.
        assert_eq!(call_by_hand(server).await, 1);
        let full = time_of_calls(server, calls).await;
        assert_eq!(process::info(process::self_pid()).await.unwrap().message_queue_len, messages);
        if driver == Driver::Threads {
            assert!(full < empty * 10, "{calls} calls took {full:?}, with an empty mailbox {empty:?}");
        }
        for number in 0..messages {
            assert_eq!(at_hand::<usize>(), number);
        }
    });
}

#[test]
fn otp_ps_45_an_answer_is_found_though_another_receive_came_in_between() {
    #[derive(Debug, PartialEq)]
    struct Between(usize);
    on_each_driver(|driver| async move {
        let server = process::spawn(async {
            loop {
                let (from, answer) = next::<(Pid, Reference)>().await;
                from.send(answer);
            }
        });
        let me = process::self_pid();
        for round in 0..driver.rounds(100_000, 500) {
            // The other message comes before the reference is made, between it and the answer, or from the side.
            if round % 3 == 0 {
                me.send(Between(round));
            }
            let answer = process::make_ref();
            match round % 3 {
                1 => {
                    me.send(Between(round));
                    server.send((me, answer));
                }
                2 => {
                    server.send((me, answer));
                    me.send(Between(round));
                }
                _ => server.send((me, answer)),
            }
            let between = receive_with(|message| message.arm(Ok::<Between, Between>)).await;
            assert_eq!(between, Between(round));
            receive_with(|message| {
                message.arm(|came: Reference| if came == answer { Ok(()) } else { Err(came) })
            })
            .since(answer)
            .await;
        }
        assert!(process::try_recv().is_none());
    });
}

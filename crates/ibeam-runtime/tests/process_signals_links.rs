//! Links: row OTP-PS-46.

mod common;

use std::time::Duration;

use common::{
    at_hand, down, end_of, first, idle, is_alive, next, nothing_comes, on_each_driver, on_every_driver,
};
use ibeam_runtime::process::{self, Call};
use ibeam_runtime::{Exit, ExitReason, Pid};

/// What a partner is told to do.
enum Order {
    Link(Pid),
    Unlink(Pid),
    Trap(bool),
    /// The exits that have come.
    Exits,
}

/// Does as it is told, and collects exits.
async fn partner() {
    let mut exits: Vec<Exit> = Vec::new();
    loop {
        match process::recv().await.take_call::<Order, Vec<Exit>>() {
            Ok((Order::Link(pid), from)) => {
                process::link(pid);
                from.reply(Vec::new());
            }
            Ok((Order::Unlink(pid), from)) => {
                process::unlink(pid);
                from.reply(Vec::new());
            }
            Ok((Order::Trap(trap), from)) => {
                process::trap_exit(trap);
                from.reply(Vec::new());
            }
            Ok((Order::Exits, from)) => {
                from.reply(std::mem::take(&mut exits));
            }
            Err(message) => exits.push(message.downcast().unwrap()),
        }
    }
}

async fn tell(pid: Pid, order: Order) -> Vec<Exit> {
    Call::new(pid, order).await.unwrap_or_default()
}

/// The links of a process, in order.
async fn links(pid: Pid) -> Vec<Pid> {
    let mut links = process::info(pid).await.expect("a live process").links;
    links.sort_unstable();
    links
}

#[test]
fn otp_ps_46_links_are_symmetric_and_either_side_can_remove_them() {
    on_each_driver(|driver| async move {
        let (a, b) = (process::spawn(partner()), process::spawn(partner()));
        for (first, second) in [(a, b), (b, a)] {
            for (links_first, unlinks) in [(first, first), (first, second), (second, first), (second, second)]
            {
                let other = |one| if one == first { second } else { first };
                // Linking twice, from one side or both, is one link.
                tell(links_first, Order::Link(other(links_first))).await;
                tell(links_first, Order::Link(other(links_first))).await;
                tell(other(links_first), Order::Link(links_first)).await;
                assert_eq!((links(a).await, links(b).await), (vec![b], vec![a]));
                // One unlink removes it; another does nothing.
                tell(unlinks, Order::Unlink(other(unlinks))).await;
                assert_eq!((links(a).await, links(b).await), (vec![], vec![]));
                tell(other(unlinks), Order::Unlink(unlinks)).await;
                assert_eq!((links(a).await, links(b).await), (vec![], vec![]));
            }
        }
        // Unlinked, the end of one is nothing to the other.
        tell(a, Order::Link(b)).await;
        tell(a, Order::Unlink(b)).await;
        process::exit_signal(b, ExitReason::Shutdown);
        end_of(b).await;
        nothing_comes(driver.window(Duration::from_millis(100))).await;
        assert!(is_alive(a).await);
    });
}

#[test]
fn otp_ps_46_a_trapping_partner_gets_exit_and_another_dies_of_the_reason() {
    on_every_driver(|| async {
        let reasons = [
            ExitReason::Normal,
            ExitReason::Shutdown,
            ExitReason::other(("structured", 46)),
            ExitReason::Kill,
            ExitReason::Killed,
        ];
        for reason in reasons {
            for linked_at_spawn in [true, false] {
                // The one that ends is linked to one of each kind, and to one that was linked once.
                let starter = process::spawn(async {
                    process::trap_exit(true);
                    let plain: Pid = next().await;
                    let linked_at_spawn: bool = next().await;
                    let ends = async { next::<ExitReason>().await };
                    let ends = if linked_at_spawn {
                        process::spawn_link(ends)
                    } else {
                        let pid = process::spawn(ends);
                        process::link(pid);
                        pid
                    };
                    plain.send(ends);
                    let (reason, parent) = next::<(ExitReason, Pid)>().await;
                    ends.send(reason);
                    let exit: Exit = next().await;
                    parent.send((ends, exit));
                });
                let (plain, of_plain) = process::spawn_monitor(async {
                    process::link(next().await);
                    idle().await;
                });
                starter.send(plain);
                starter.send(linked_at_spawn);
                // The plain partner has its link when it shows.
                while links(plain).await.is_empty() {
                    process::yield_now().await;
                }
                starter.send((reason.clone(), process::self_pid()));
                let (ended, exit): (Pid, Exit) = first().await;
                assert_eq!(exit, Exit { pid: ended, reason: reason.clone() });
                if reason.is_normal() {
                    assert!(is_alive(plain).await);
                    assert_eq!(links(plain).await, []);
                    process::kill(plain);
                    down(of_plain).await;
                } else {
                    // `Kill` as the reason of a link is one like any other: who dies of it dies of `Kill`.
                    assert_eq!(down(of_plain).await.reason, reason);
                }
            }
        }
    });
}

#[test]
fn otp_ps_46_linking_to_oneself_does_nothing_and_to_nobody_is_noproc() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let me = process::self_pid();
        let before = links(me).await;
        process::link(me);
        assert_eq!(links(me).await, before);
        process::unlink(me);
        assert!(process::try_recv().is_none());

        let (dead, monitor) = process::spawn_monitor(async {});
        down(monitor).await;
        process::link(dead);
        assert_eq!(at_hand::<Exit>(), Exit { pid: dead, reason: ExitReason::NoProc });
        assert_eq!(links(me).await, before, "no link is left");

        // Who does not trap ends of it.
        let (_, monitor) = process::spawn_monitor(async move {
            process::link(process::self_pid());
            process::link(dead);
            process::yield_now().await;
            unreachable!("it ends at its first await");
        });
        assert_eq!(down(monitor).await.reason, ExitReason::NoProc);
    });
}

#[test]
fn otp_ps_46_unlink_leaves_an_exit_that_has_come_and_lets_no_other_come() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        for round in 0..driver.rounds(300, 20) {
            let (pid, monitor) = process::spawn_monitor(async move {
                for _ in 0..round % 5 {
                    process::yield_now().await;
                }
            });
            // It may have ended by now: then its `Exit` is there at once.
            process::link(pid);
            for _ in 0..round % 3 {
                process::yield_now().await;
            }
            process::unlink(pid);
            let mut exits = 0;
            let standing = process::info(process::self_pid()).await.unwrap().message_queue_len;
            for _ in 0..standing {
                match process::recv().await.downcast::<Exit>() {
                    Ok(exit) => {
                        assert_eq!(exit.pid, pid);
                        assert!([ExitReason::Normal, ExitReason::NoProc].contains(&exit.reason));
                        exits += 1;
                    }
                    // The notice of the end: nothing comes from it after that.
                    Err(other) => process::self_pid().send(other.downcast::<ibeam_runtime::Down>().unwrap()),
                }
            }
            assert!(exits <= 1);
            down(monitor).await;
            assert!(process::try_recv().is_none());
        }
    });
}

/// Both sides link and unlink as they like, without waiting for each other. When all signals have arrived, either both
/// are linked or neither is; and that is what the end of one shows.
#[test]
fn otp_ps_46_links_stay_symmetric_when_both_sides_change_them_at_once() {
    async fn changes(mut random: u64) {
        let other: Pid = next().await;
        let done: Pid = next().await;
        process::trap_exit(true);
        for _ in 0..30 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match (random >> 60) & 7 {
                0..3 => process::link(other),
                3..6 => process::unlink(other),
                _ => process::yield_now().await,
            }
        }
        done.send(());
        partner().await;
    }
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        for round in 0..driver.rounds(400, 15) as u64 {
            let (a, b) = (process::spawn(changes(round * 2)), process::spawn(changes(round * 2 + 1)));
            for (one, other) in [(a, b), (b, a)] {
                one.send(other);
                one.send(me);
            }
            next::<()>().await;
            next::<()>().await;
            // A signal is answered by one at most; the questions go behind them.
            links(a).await;
            links(b).await;
            let linked = links(a).await;
            assert_eq!(links(b).await, if linked.is_empty() { vec![] } else { vec![a] }, "round {round}");
            assert!(linked.is_empty() || linked == [b]);

            assert_eq!(tell(b, Order::Exits).await, []);
            process::exit_signal(a, ExitReason::Kill);
            end_of(a).await;
            let exits = tell(b, Order::Exits).await;
            match linked.is_empty() {
                true => assert_eq!(exits, [], "round {round}"),
                false => assert_eq!(exits, [Exit { pid: a, reason: ExitReason::Killed }], "round {round}"),
            }
            tell(b, Order::Trap(false)).await;
            process::exit_signal(b, ExitReason::Shutdown);
            end_of(b).await;
        }
    });
}

/// The normal end of a child makes no difference to a parent that does not trap exits, and no link is left: whatever it asks for,
/// however many there were, and whether or not it traps exits from then on.
#[test]
fn children_that_end_normally_leave_no_link() {
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        let mut stay = vec![process::spawn_link(idle())];
        for round in 0..driver.rounds(60, 30) {
            let gone = process::spawn_link(async {});
            end_of(gone).await;
            assert_eq!(links(me).await, stay, "after {round} others");
            if round % 3 == 0 {
                // More and more that stay, until the list of links is a large one.
                stay.push(process::spawn_link(idle()));
                stay.sort_unstable();
            }
        }
        let gone = process::spawn_link(async {});
        end_of(gone).await;
        process::unlink(gone);
        assert_eq!(links(me).await, stay);
        nothing_comes(driver.window(Duration::from_millis(1))).await;
    });
}

/// A link to a child that has ended normally is one to nobody, though there was one before.
#[test]
fn a_link_to_a_former_child_finds_nobody() {
    on_each_driver(|driver| async move {
        for traps_before in [false, true] {
            process::trap_exit(traps_before);
            let gone = process::spawn_link(async {});
            end_of(gone).await;
            if traps_before {
                assert_eq!(next::<Exit>().await, Exit { pid: gone, reason: ExitReason::Normal });
            }
            process::trap_exit(true);
            process::link(gone);
            assert_eq!(next::<Exit>().await, Exit { pid: gone, reason: ExitReason::NoProc });
            assert_eq!(links(process::self_pid()).await, []);
            nothing_comes(driver.window(Duration::from_millis(1))).await;
        }
        // One that does not trap exits ends of it.
        let (_, monitor) = process::spawn_monitor(async {
            let gone = process::spawn_link(async {});
            end_of(gone).await;
            process::link(gone);
            idle().await;
        });
        assert_eq!(down(monitor).await.reason, ExitReason::NoProc);
    });
}

/// A child whose end is to be told, because it is no normal one, finds its link, though the list is full of those that have ended.
#[test]
fn the_crash_of_a_child_among_many_that_end() {
    on_each_driver(|driver| async move {
        for _ in 0..driver.rounds(200, 20) {
            let (_, monitor) = process::spawn_monitor(async {
                let crash = process::spawn_link(async {
                    process::recv().await;
                    process::exit(ExitReason::other("crash"))
                });
                for at in 0.. {
                    process::spawn_link(async {});
                    if at == 20 {
                        crash.send(());
                    }
                    if at % 7 == 0 {
                        process::yield_now().await;
                    }
                }
            });
            assert_eq!(down(monitor).await.reason, ExitReason::other("crash"));
        }
    });
}

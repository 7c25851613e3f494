//! Who hears of whose end, and how often.

use std::collections::BTreeMap;

use ibeam::prelude::*;
use ibeam_testkit::prelude::*;

use crate::*;

async fn idle() {
    std::future::pending::<()>().await;
}

#[ibeam::simulate(faults = Faults::none().kills(1).delay(30 * MS).slow(30 * MS))]
async fn a_ring_of_links_ends_as_a_whole() {
    let first = process::builder().label("ring").spawn(async {
        receive! { next: Pid => process::link(next) }
        idle().await;
    });
    let (mut ring, mut last) = (vec![first], first);
    for _ in 0..5 {
        let before = last;
        last = process::builder().label("ring").spawn(async move {
            process::link(before);
            idle().await;
        });
        ring.push(last);
    }
    first.send(last);
    let monitors: Vec<_> = ring.iter().map(|pid| process::monitor(*pid)).collect();
    process::sleep(2_000 * MS).await;
    // Perhaps nobody was killed so far.
    process::kill(ring[2]);
    for monitor in monitors {
        let (_, reason) =
            assert_receive!(Down { monitor: m, reason, .. } if m == monitor, within: 10_000 * MS);
        assert!(matches!(reason, ExitReason::Killed | ExitReason::NoProc), "{reason}");
    }
}

#[ibeam::simulate(faults = Faults::none().kills(3).delay(30 * MS).slow(30 * MS))]
async fn each_monitor_has_one_notice() {
    let pids: Vec<Pid> = (0..4).map(|_| process::spawn(idle())).collect();
    let mut open = BTreeMap::new();
    for round in 0..12 {
        let pid = pids[round % 4];
        let monitor = process::monitor(pid);
        if round % 3 == 2 {
            process::yield_now().await;
            process::demonitor_flush(monitor);
        } else {
            open.insert(format!("{monitor:?}"), pid);
        }
    }
    process::sleep(1_000 * MS).await;
    pids.iter().for_each(|pid| process::kill(*pid));
    for _ in 0..open.len() {
        let monitor = assert_receive!(Down { monitor, .. }, within: 10_000 * MS);
        assert!(open.remove(&format!("{monitor:?}")).is_some(), "a notice that was not open: {monitor:?}");
    }
    refute_receive!(Down { .. }, within: 1_000 * MS);
}

/// Both sides link and unlink as they like, at the same time; at rest they agree.
#[ibeam::simulate(faults = Faults::none().delay(30 * MS).slow(30 * MS))]
async fn both_ends_of_a_link_agree() {
    let partner = |turns: u32| {
        process::builder().trap_exit().spawn(async move {
            let other = receive! { other: Pid => other };
            for turn in 0..turns {
                process::link(other);
                if turn % 2 == 0 {
                    process::yield_now().await;
                }
                process::unlink(other);
                process::sleep(MS).await;
            }
            if turns % 2 == 1 {
                process::link(other);
            }
            idle().await;
        })
    };
    for (left, right) in [(4, 6), (5, 4), (5, 7)] {
        let (a, b) = (partner(left), partner(right));
        a.send(b);
        b.send(a);
        process::sleep(5_000 * MS).await;
        let linked = process::info(a).await.unwrap().links == [b];
        assert_eq!(linked, process::info(b).await.unwrap().links == [a]);
        // The side that linked last wins or loses to the other's unlink; without a link at the end there is none.
        assert!(!linked || left % 2 == 1 || right % 2 == 1);
    }
}

#[ibeam::simulate(faults = Faults::none().delay(30 * MS).slow(30 * MS))]
async fn nothing_comes_after_an_unlink() {
    process::trap_exit(true);
    for _ in 0..6 {
        let pid = process::spawn_link(async {
            process::sleep(2 * MS).await;
            process::exit(ExitReason::other("over"));
        });
        process::sleep(MS).await;
        process::unlink(pid);
        // An exit may have been there before.
        while receive! { Exit { pid: p, .. } if p == pid => true, after Duration::ZERO => false } {}
        refute_receive!(Exit { pid: p, .. } if p == pid, within: 200 * MS);
    }
}

#[ibeam::simulate(faults = Faults::none().kills(2).delay(30 * MS).slow(30 * MS))]
async fn last_words_come_before_the_notice() {
    let test = process::self_pid();
    let mut speakers = BTreeMap::new();
    for n in 0..4_u64 {
        let (_pid, monitor) = process::builder().label("speaker").spawn_monitor(async move {
            for word in 0..10_u64 {
                test.send((n, word));
                process::yield_now().await;
            }
        });
        speakers.insert(n, monitor.reference());
    }
    let mut heard: BTreeMap<u64, u64> = BTreeMap::new();
    let mut ended = 0;
    while ended < 4 {
        receive! {
            (n, word): (u64, u64) => {
                assert!(speakers.contains_key(&n), "{n} speaks after its end");
                assert_eq!(*heard.entry(n).or_default(), word);
                *heard.entry(n).or_default() += 1;
            }
            Down { monitor, reason, .. } => {
                let (&n, _) = speakers.iter().find(|(_, m)| **m == monitor).unwrap();
                speakers.remove(&n);
                ended += 1;
                if reason == ExitReason::Normal {
                    assert_eq!(heard[&n], 10, "all that it said");
                }
            }
        }
    }
}

#[ibeam::simulate(faults = Faults::none().kills(3).delay(30 * MS).slow(30 * MS))]
async fn a_parent_hears_of_each_child_once() {
    process::trap_exit(true);
    let children: Vec<Pid> = (0..6)
        .map(|n| {
            process::builder().link().label("child").spawn(async move {
                process::sleep(Duration::from_millis(n)).await;
                if n % 2 == 0 { ExitReason::Normal } else { ExitReason::other(n) }
            })
        })
        .collect();
    let mut left = children.clone();
    for _ in 0..6 {
        let (pid, reason) = assert_receive!(Exit { pid, reason }, within: 10_000 * MS);
        let at = left.iter().position(|child| *child == pid).expect("a child that has not ended before");
        left.remove(at);
        assert!(reason != ExitReason::NoProc, "a link from the first moment on knows why");
    }
    refute_receive!(Exit { .. }, within: 1_000 * MS);
}

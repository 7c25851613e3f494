//! Stopping children: one, or many side by side.
//!
//! # Invariants
//! 1. When a stop has returned, the child is dead, whatever it did about its link: it was monitored.
//! 2. Nothing of it is left in the mailbox: neither its `Down` nor its `Exit`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ibeam_runtime::process::{self, receive_with};
use ibeam_runtime::{Down, Exit, ExitReason, Pid, Reference};

use super::child_spec::Shutdown;

/// Ends a linked process as its child specification says; returns why it ended.
pub(crate) async fn stop(pid: Pid, shutdown: Shutdown) -> ExitReason {
    let monitor = process::monitor(pid);
    let reason = match ask(pid, shutdown) {
        Some(limit) => match down(monitor).after(limit).await {
            Some(reason) => reason,
            None => {
                process::kill(pid);
                down(monitor).await
            }
        },
        None => down(monitor).await,
    };
    // The link has told us too, unless the child had removed it.
    process::unlink(pid);
    let exit = receive_with(move |message| {
        message.arm(|exit: Exit| if exit.pid == pid { Ok(exit.reason) } else { Err(exit) })
    });
    if reason == ExitReason::NoProc {
        // It had ended before: why stands in an older message.
        return exit.after(Duration::ZERO).await.unwrap_or(ExitReason::NoProc);
    }
    let _told = exit.since(monitor).after(Duration::ZERO).await;
    reason
}

/// Sends what the child is to end by; returns after which time it is to be killed.
fn ask(pid: Pid, shutdown: Shutdown) -> Option<Duration> {
    match shutdown {
        Shutdown::BrutalKill => {
            process::kill(pid);
            None
        }
        Shutdown::Timeout(limit) => {
            process::exit_signal(pid, ExitReason::Shutdown);
            Some(limit)
        }
        Shutdown::Infinity => {
            process::exit_signal(pid, ExitReason::Shutdown);
            None
        }
    }
}

fn down(monitor: Reference) -> process::Receive<impl FnMut(&mut process::Candidate) -> Option<ExitReason>> {
    receive_with(move |message| {
        message.arm(|down: Down| if down.monitor == monitor { Ok(down.reason) } else { Err(down) })
    })
    .since(monitor)
}

/// To the process that stops children side by side: those with this limit have had their time.
struct TimeIsUp(Reference, Duration);

/// Ends linked processes side by side, each within its own limit. `ended` is told why each ended, in the order in which
/// they do. Messages of others stay in the mailbox.
pub(crate) async fn stop_all<K>(
    children: impl IntoIterator<Item = (K, Pid, Shutdown)>,
    mut ended: impl FnMut(K, Pid, Shutdown, ExitReason),
) {
    enum Came<K> {
        Down((K, Pid, Shutdown), ExitReason),
        Exit(Exit),
        TimeIsUp(Duration),
    }
    let round = process::make_ref();
    let mut by_monitor: HashMap<Reference, (K, Pid, Shutdown)> = HashMap::new();
    let mut pids: HashSet<Pid> = HashSet::new();
    let mut by_limit: HashMap<Duration, Vec<Pid>> = HashMap::new();
    for (key, pid, shutdown) in children {
        let monitor = process::monitor(pid);
        // The monitor says it all; a link that fires would only say it again.
        process::unlink(pid);
        if let Some(limit) = ask(pid, shutdown) {
            by_limit.entry(limit).or_default().push(pid);
        }
        by_monitor.insert(monitor, (key, pid, shutdown));
        pids.insert(pid);
    }
    let mut left = by_monitor.len();
    let me = process::self_pid();
    let timers: Vec<_> =
        by_limit.keys().map(|&limit| process::send_after(me, TimeIsUp(round, limit), limit)).collect();

    // One receive for all of them: it remembers how far it has looked, and looks at no message of others twice.
    let mut receive = receive_with(|message| {
        let down = message.arm(|down: Down| match by_monitor.remove(&down.monitor) {
            Some(child) => Ok(Came::Down(child, down.reason)),
            None => Err(down),
        });
        // Of one that had ended before: why stands here, and its monitor finds nobody.
        let came = down.or_else(|| {
            message.arm(|exit: Exit| if pids.contains(&exit.pid) { Ok(Came::Exit(exit)) } else { Err(exit) })
        });
        came.or_else(|| {
            message.arm(|time: TimeIsUp| if time.0 == round { Ok(Came::TimeIsUp(time.1)) } else { Err(time) })
        })
    });
    let mut before: HashMap<Pid, ExitReason> = HashMap::new();
    while left > 0 {
        match (&mut receive).await {
            Came::Exit(exit) => {
                before.insert(exit.pid, exit.reason);
            }
            // Most of them are gone by now, and a kill of who is gone does nothing.
            Came::TimeIsUp(limit) => by_limit.remove(&limit).into_iter().flatten().for_each(process::kill),
            Came::Down((key, pid, shutdown), reason) => {
                left -= 1;
                let reason = match reason {
                    ExitReason::NoProc => before.remove(&pid).unwrap_or(ExitReason::NoProc),
                    reason => reason,
                };
                ended(key, pid, shutdown, reason);
            }
        }
    }
    drop(receive);
    // Of a timer that is late its message is there, or it is armed and can be cancelled.
    let late = timers
        .iter()
        .filter(|timer| timer.cancel().is_none())
        .count()
        .saturating_sub(timers.len() - by_limit.len());
    for _ in 0..late {
        receive_with(|message| {
            message.arm(|time: TimeIsUp| if time.0 == round { Ok(()) } else { Err(time) })
        })
        .await;
    }
}

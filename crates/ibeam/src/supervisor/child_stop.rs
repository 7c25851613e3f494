//! Stopping children: one, or many side by side.
//!
//! # Invariants
//! 1. When a stop has returned, the child is dead, whatever it did about its link: it was monitored.
//! 2. Nothing of it is left in the mailbox: neither its `Down` nor its `Exit`.

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

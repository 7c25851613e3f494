//! Waiting for the end of other processes where no future can wait: in a destructor.
//!
//! Who drops a stream of tasks stops them, and must not see anything of them after that. The destructor cannot await their end;
//! so the process itself does, between its polls: its future gets no turn before they are gone. Signals do, an exit signal
//! among them.

use std::task::{Context, Poll};

use crate::pid::Pid;
use crate::process::signal::{self, Signal};
use crate::raw::pcb::Owner;
use crate::report;

/// Some processes whose end is waited for.
pub(crate) struct Held {
    whom: Whom,
    /// `None` while it is asked.
    over: Option<Box<Over>>,
}

/// Whose end is waited for.
#[derive(Debug)]
pub enum Whom {
    /// These processes'.
    These(Vec<Pid>),
    /// That of some whose pids are not known yet, or of anybody.
    Anybody,
}

/// Are they gone?
type Over = dyn FnMut(&mut Context<'_>) -> Poll<()> + Send;

/// The calling process gets no turn before `over` is ready, which is polled with its waker. Meanwhile a crash of one of them is
/// not the caller's any more. `Err`: this is no process that could wait; `over` comes back.
pub fn hold_until<F>(whom: Whom, over: F) -> Result<(), F>
where
    F: FnMut(&mut Context<'_>) -> Poll<()> + Send + 'static,
{
    match Owner::current() {
        // One that unwinds will not be polled again.
        Some(owner) if owner.bits().polling() && !owner.bits().exiting() && !std::thread::panicking() => {
            owner.with_rare(|rare| rare.held.push(Held { whom, over: Some(Box::new(over)) }));
            owner.set_bits(|bits| bits.with_held(true));
            // To be asked for the first time: what it waits for need not know yet whom to wake.
            owner.pcb().wake();
            Ok(())
        }
        _ => Err(over),
    }
}

/// From now on a crash of this process is its own affair, where it was its caller's too: see
/// [`Spawn::crash_is_callers`](super::Spawn).
pub fn disown(pid: Pid) {
    // One that has ended needs no telling.
    let _ = signal::send(pid, Signal::Disown);
}

impl Owner {
    /// Is the end of this process waited for?
    pub(crate) fn is_held_by(self, pid: Pid) -> bool {
        let by = |held: &Held| match &held.whom {
            Whom::These(pids) => pids.contains(&pid),
            Whom::Anybody => true,
        };
        self.with_rare_if_any(|rare| rare.held.iter().any(by)).unwrap_or(false)
    }

    /// Before a poll: are all gone that are waited for?
    #[cold]
    pub(crate) fn may_be_polled(self) -> bool {
        let waker = self.pcb().waker();
        let mut overs =
            self.with_rare(|rare| rare.held.iter_mut().map(|held| held.over.take()).collect::<Vec<_>>());
        // What is asked may wait for a call, and may drop values of the program, which may add to what is waited for.
        self.set_bits(|bits| bits.with_held(false));
        for over in &mut overs {
            let Some(ask) = over else { continue };
            let mut waits = false;
            report::quietly(Some(self.pid()), || waits = ask(&mut Context::from_waker(&waker)).is_pending());
            if !waits {
                let over = over.take();
                report::quietly(Some(self.pid()), || drop(over));
            }
        }
        let waits = self.with_rare(|rare| {
            rare.held.iter_mut().zip(overs).for_each(|(held, over)| held.over = over);
            rare.held.retain(|held| held.over.is_some());
            !rare.held.is_empty()
        });
        self.set_bits(|bits| bits.with_held(waits));
        !waits
    }
}

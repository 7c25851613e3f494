//! How a process ends, in this order and no other:
//!
//! 1. it counts as exiting; a crash is reported;
//! 2. its future and its local values are dropped: their destructors may send, call, and panic;
//! 3. its mailbox is closed, and what is left in it is dropped, some at a time: pending calls end with the reason;
//! 4. what it has in tables is released, some at a time, then its name and its timers;
//! 5. its links and monitors fire;
//! 6. its pid becomes invalid and its slot free.
//!
//! So who is told of an end finds the name free, and nothing comes from a process after the news of its end. Of those who
//! are told, the processes that it monitored come first, then those it was linked to, then those whose calls it has
//! dropped, then those that monitor it.

use crate::driver::Place;
use crate::exit_reason::ExitReason;
use crate::observe;
use crate::pid::Pid;
use crate::process::exit;
use crate::process::extra::SmallMap;
use crate::process::keepers;
use crate::process::room;
use crate::process::signal::{self, Signal};
use crate::raw::leaves::Table;
use crate::raw::node::{Chain, Kind, OwnedNode};
use crate::raw::pcb::Owner;
use crate::raw::ready::Next;
use crate::raw::slab;
use crate::reference::Reference;
use crate::report;
use crate::runtime::metrics::Undelivered;

/// How many messages of a dead mailbox are dropped in one turn.
const SLICE: u32 = 1024;

/// A signal has ended the process.
#[cold]
pub(crate) fn begin_by_signal(owner: Owner) -> Next {
    end(owner, owner.take_doom())
}

/// The process has ended itself: returned, exited, or panicked.
#[inline]
pub(crate) fn begin(owner: Owner, reason: ExitReason) -> Next {
    if reason.is_abnormal() {
        report::crash(owner, &reason);
    }
    end(owner, reason)
}

fn end(owner: Owner, reason: ExitReason) -> Next {
    owner.set_bits(|bits| bits.with_exiting(true));
    if owner.bits().observed() {
        observe::exits(owner, &reason);
    }
    drop_quietly(owner, owner.take_future());
    // What destructors put there comes last.
    while let Some(values) =
        owner.with_rare_if_any(|rare| rare.dictionary.take_all()).filter(|v| !v.is_empty())
    {
        values.into_iter().for_each(|value| drop_quietly(owner, value));
    }
    // The calls that it has dropped end with it, once its name is free: see `finish`.
    owner.set_bits(|bits| bits.with_fated(true));
    exit::finish_orphans(owner);
    let (chain, _) = owner.pcb().word.close();
    owner.with_mail(|mail| mail.append(chain));
    drain(owner, reason)
}

/// Another turn of a process whose mailbox was too full to be emptied in one.
#[cold]
pub(crate) fn go_on(owner: Owner) -> Next {
    let reason = owner.with_extra(|extra| extra.reason.take()).unwrap_or(ExitReason::Normal);
    drain(owner, reason)
}

#[inline]
fn drain(owner: Owner, reason: ExitReason) -> Next {
    let mut left = SLICE;
    while let Some(node) = oldest(owner) {
        drop_node(owner, node, &reason);
        left -= 1;
        if left == 0 {
            return later(owner, reason);
        }
    }
    if owner.pcb().may_be_in(Table::Keepers) && keepers::release_some(owner, &reason) {
        return later(owner, reason);
    }
    finish(owner, &reason);
    Next::Done
}

/// There is more to take apart than one turn may take.
fn later(owner: Owner, reason: ExitReason) -> Next {
    exit::finish_orphans(owner);
    owner.with_extra(|extra| extra.reason = Some(reason));
    Next::Again(Place::Back)
}

fn oldest(owner: Owner) -> Option<OwnedNode> {
    let saved = if owner.bits().has_saved() {
        owner.with_rare_if_any(|rare| rare.saved.pop()).flatten()
    } else {
        None
    };
    saved.or_else(|| owner.with_mail(Chain::pop))
}

fn drop_node(owner: Owner, node: OwnedNode, reason: &ExitReason) {
    let target = Pid::from_bits(node.header().target);
    // Not for a former process of this slot: for this one, or for an alias of it.
    let ours = target == owner.pid() || Reference::from_bits(target.to_bits()).is_some();
    if node.kind() != Kind::Signal {
        return if ours {
            owner.shared().undelivered(owner.pid(), node, Undelivered::LeftAtDeath, Some(reason));
        } else {
            owner.drop_stray(node);
        };
    }
    // The process was not there any more for those who asked now, but for what was taken back it still has to act.
    match node.into_signal::<Signal>() {
        Ok(signal) if !ours => signal::refuse(target, signal),
        Ok(signal @ (Signal::Link { .. } | Signal::Monitor { .. })) => owner.too_late(signal),
        Ok(
            signal @ (Signal::Unlink { .. }
            | Signal::UnlinkAck { .. }
            | Signal::Demonitor { .. }
            | Signal::Disown),
        ) => owner.handle(signal),
        Ok(_) | Err(_) => {}
    }
}

fn finish(owner: Owner, reason: &ExitReason) {
    let (pid, pcb, shared) = (owner.pid(), owner.pcb(), owner.shared());
    if pcb.may_be_in(Table::Names) {
        shared.names.release(pid);
    }
    if pcb.may_be_in(Table::Timers) {
        shared.timers.cancel_of(pid);
    }
    if pcb.bound.get().is_some() {
        room::close(pid);
    }
    fire(owner, reason);
    drop(owner.take_lineage());
    shared.count_end(owner);
    pcb.life.end();
    slab::release(pid.index());
    shared.process_ended();
}

/// Tells all who have to do with the process, and those who watch it last of all: who is told of the end finds it in no
/// list. Nobody can be waited for: each gets a signal, and those who are gone get none.
#[inline]
fn fire(owner: Owner, reason: &ExitReason) {
    exit::finish_orphans(owner);
    let bits = owner.bits();
    if owner.has_extra() || bits.observed() || bits.crash_is_callers() && !reason.is_normal() {
        return fire_at_all(owner, reason);
    }
    tell_parent(owner, reason);
}

/// The link to the parent that stands in no table.
#[inline]
fn tell_parent(owner: Owner, reason: &ExitReason) {
    if owner.take_parent_link()
        && let Some(parent) = owner.parent()
        && !(reason.is_normal() && slab::lookup(parent).is_none_or(|parent| !parent.hears_all()))
    {
        let _ = signal::send(parent, Signal::LinkExit { from: owner.pid(), reason: reason.clone() });
    }
}

#[inline(never)]
fn fire_at_all(owner: Owner, reason: &ExitReason) {
    let pid = owner.pid();
    let mut links = SmallMap::default();
    let (mut watchers, mut monitors, mut too_late) = (Vec::new(), Vec::new(), Vec::new());
    let mut orphans = Vec::new();
    let caller = if owner.bits().crash_is_callers() && !reason.is_normal() { owner.caller() } else { None };
    loop {
        exit::finish_orphans(owner);
        // The program's values go before, for their destructors may send. What these ask for comes with the next round.
        let Some(mut extra) = owner.take_extra() else { break };
        links.append(std::mem::take(&mut extra.links));
        let rare = extra.take_rare();
        drop_quietly(owner, extra);
        let Some(mut rare) = rare else { continue };
        add(&mut watchers, rare.watchers.drain());
        add(&mut too_late, std::mem::take(&mut rare.too_late));
        add(&mut orphans, std::mem::take(&mut rare.orphans));
        for (reference, monitored) in rare.monitors.drain() {
            monitors.extend(monitored.pid.map(|target| (reference, target)));
            drop_quietly(owner, monitored.tag);
        }
        drop_quietly(owner, rare);
    }
    for (reference, target) in monitors {
        let _ = signal::send(target, Signal::Demonitor { reference });
    }
    tell_parent(owner, reason);
    for (&partner, link) in links.iter() {
        if link.is_active() {
            let _ = signal::send(partner, Signal::LinkExit { from: pid, reason: reason.clone() });
        }
    }
    if let Some(caller) = caller {
        let _ = signal::send(caller, Signal::CallersCrash { from: pid, reason: reason.clone() });
    }
    // A caller that is linked to the process, and does not survive that, must not see the call fail first.
    for orphan in orphans {
        orphan.finish(Some(reason.clone()));
    }
    // Left by code of the program that was woken.
    drop(owner.take_extra());
    for (reference, watcher) in watchers {
        let _ = signal::send(watcher, Signal::Down { reference, reason: reason.clone() });
    }
    for signal in too_late {
        signal::refuse(pid, signal);
    }
}

/// The first list is taken as it is; there is hardly ever another.
fn add<T>(list: &mut Vec<T>, mut more: Vec<T>) {
    if list.is_empty() {
        *list = more;
    } else {
        list.append(&mut more);
    }
}

/// Drops what is the program's; a panic in its destructors is reported and goes no further.
fn drop_quietly<T>(owner: Owner, value: T) {
    report::quietly(Some(owner.pid()), || drop(value));
}

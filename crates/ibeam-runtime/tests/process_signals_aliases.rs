//! Aliases, alone and as monitors: rows OTP-PS-21 to 23, 37, 42 and 43.

mod common;

use std::time::Duration;

use common::{at_hand, down, next, nothing_comes, on_each_driver, on_every_driver, until_it_waits};
use ibeam_runtime::process::{self, monitor_builder};
use ibeam_runtime::{Alias, AliasMode, Down, ExitReason, Pid, TaggedDown, Target};

/// The four modes: in `Reply` and `ReplyDemonitor` the first message ends the alias.
const MODES: [AliasMode; 4] =
    [AliasMode::Explicit, AliasMode::Reply, AliasMode::Demonitor, AliasMode::ReplyDemonitor];

/// The numbers of a batch go through the alias, the word that it is done to the pid.
struct Batch {
    alias: Alias,
    numbers: std::ops::Range<u32>,
}

#[derive(Debug, PartialEq)]
struct Done;

/// Sends batches as it is told to.
async fn sender() {
    loop {
        let Batch { alias, numbers } = next().await;
        numbers.for_each(|number| alias.send(number));
        alias.pid().send(Done);
    }
}

/// Has the batch sent, and says which numbers came through the alias, in the order in which they came.
async fn through(alias: Alias, sender: Pid, numbers: std::ops::Range<u32>) -> Vec<u32> {
    sender.send(Batch { alias, numbers });
    let mut came = Vec::new();
    loop {
        match process::recv().await.downcast::<u32>() {
            Ok(number) => came.push(number),
            Err(other) => {
                assert_eq!(other.downcast::<Done>().unwrap(), Done);
                return came;
            }
        }
    }
}

#[test]
fn otp_ps_21_an_alias_delivers_while_it_is_active_and_not_after() {
    on_every_driver(|| async {
        let sender = process::spawn(sender());
        for mode in [AliasMode::default(), AliasMode::Explicit] {
            let alias = process::alias(mode);
            assert_eq!(through(alias, sender, 0..2).await, [0, 1], "{mode:?}");
            assert!(process::unalias(alias));
            assert_eq!(through(alias, sender, 2..4).await, [], "{mode:?}");
            assert!(!process::unalias(alias), "a second time");
        }
        let alias = process::alias(AliasMode::Reply);
        assert_eq!(through(alias, sender, 0..4).await, [0]);
        assert_eq!(through(alias, sender, 4..8).await, []);
        assert!(!process::unalias(alias), "the reply has ended it");

        // A reply alias that nothing has come through is ended like any other.
        let alias = process::alias(AliasMode::Reply);
        assert!(process::unalias(alias));
        assert_eq!(through(alias, sender, 0..2).await, []);
        assert!(process::try_recv().is_none());
    });
}

/// Who sends runs beside the owner: what arrives is a beginning of what was sent, and what stands in the mailbox when
/// the alias is ended stays there.
#[test]
fn otp_ps_21_deactivation_cuts_a_stream_in_two() {
    on_each_driver(|driver| async move {
        for round in 0..driver.rounds(200, 10) {
            let alias = process::alias(AliasMode::Explicit);
            let sender = process::spawn(async move {
                next::<()>().await;
                for number in 0..40_u32 {
                    alias.send(number);
                    if number % 7 == 0 {
                        process::yield_now().await;
                    }
                }
                alias.pid().send(Done);
            });
            sender.send(());
            for _ in 0..round % 5 {
                process::yield_now().await;
            }
            assert!(process::unalias(alias));
            let standing = process::info(process::self_pid()).await.unwrap().message_queue_len;
            let mut came = Vec::new();
            loop {
                match process::recv().await.downcast::<u32>() {
                    Ok(number) => came.push(number),
                    Err(other) => break assert!(other.is::<Done>()),
                }
            }
            assert_eq!(came, (0..came.len() as u32).collect::<Vec<_>>(), "in order, without a gap");
            assert!(came.len() >= standing.saturating_sub(1), "{} came, {standing} stood there", came.len());
        }
    });
}

#[test]
fn otp_ps_22_ending_the_alias_leaves_its_monitor_in_force() {
    on_every_driver(|| async {
        let target = process::spawn(sender());
        let monitor = monitor_builder(target).alias(AliasMode::Explicit).start();
        let alias = monitor.alias().expect("one was asked for");
        assert_eq!(alias.reference(), monitor.reference());
        assert_eq!(through(alias, target, 0..2).await, [0, 1]);
        assert!(process::unalias(alias));
        assert_eq!(through(alias, target, 2..4).await, []);
        process::exit_signal(target, ExitReason::Shutdown);
        let expected =
            Down { monitor: monitor.reference(), target: Target::Pid(target), reason: ExitReason::Shutdown };
        assert_eq!(next::<Down>().await, expected);
        assert!(process::try_recv().is_none());
    });
}

/// What one alias with a monitor showed: before the target's end, after it, and whether the notice came.
#[derive(Debug, PartialEq)]
struct Shown {
    before: Vec<u32>,
    down: Option<ExitReason>,
    after: Vec<u32>,
    was_active: bool,
}

async fn shows(mode: AliasMode, by_spawn: bool, reason: ExitReason, before: u32) -> Shown {
    let waits = {
        let reason = reason.clone();
        async move {
            let Batch { alias, numbers } = next().await;
            numbers.for_each(|number| alias.send(number));
            alias.pid().send(Done);
            process::exit(reason)
        }
    };
    let (target, monitor) = if by_spawn {
        process::builder().monitor_alias(mode).spawn_monitor(waits)
    } else {
        let target = process::spawn(waits);
        (target, monitor_builder(target).alias(mode).start())
    };
    let alias = monitor.alias().expect("one was asked for");
    // The end of its own, to be ordered with.
    let independent = process::monitor(target);
    let before = through(alias, target, 0..before).await;
    let end = down(independent).await;
    assert_eq!(end.reason, reason);
    // Monitors of one process fire in the order in which they were made: the other notice is there, if it comes.
    let down = process::try_recv().map(|notice| notice.downcast::<Down>().unwrap());
    if let Some(down) = &down {
        assert_eq!((down.monitor, &down.target), (monitor.reference(), &Target::Pid(target)));
    }
    let sender = process::spawn(sender());
    let after = through(alias, sender, 10..13).await;
    assert!(process::try_recv().is_none());
    Shown { before, down: down.map(|down| down.reason), after, was_active: process::unalias(alias) }
}

/// What a mode has to show when that many messages are sent before the end, and three after it.
fn expected(mode: AliasMode, sent: u32, reason: &ExitReason) -> Shown {
    let end = || Some(reason.clone());
    let (before, down, after, was_active) = match mode {
        AliasMode::Explicit => (sent, end(), 3, true),
        AliasMode::Reply => (sent.min(1), end(), u32::from(sent == 0), false),
        AliasMode::Demonitor => (sent, end(), 0, false),
        AliasMode::ReplyDemonitor => (sent.min(1), end().filter(|_| sent == 0), 0, false),
    };
    Shown { before: (0..before).collect(), down, after: (10..10 + after).collect(), was_active }
}

#[test]
fn otp_ps_23_a_spawned_monitor_with_an_alias_is_as_one_made_after_the_spawn() {
    on_every_driver(|| async {
        for mode in MODES {
            for sent in [0, 1, 3] {
                for reason in [
                    ExitReason::Normal,
                    ExitReason::shutdown_with("simple"),
                    ExitReason::shutdown_with(("structured", vec![1, 2, 3])),
                ] {
                    let expected = expected(mode, sent, &reason);
                    for by_spawn in [true, false] {
                        let shown = shows(mode, by_spawn, reason.clone(), sent).await;
                        assert_eq!(shown, expected, "{mode:?}, {sent} sent, by spawn: {by_spawn}");
                    }
                }
            }
        }
    });
}

/// However quickly the child ends, its monitor is there before: the notice has its reason, never `NoProc`.
#[test]
fn otp_ps_23_there_is_no_window_between_spawn_and_monitor() {
    on_each_driver(|driver| async move {
        for round in 0..driver.rounds(500, 20) {
            let mode = MODES[round % MODES.len()];
            let reason = ExitReason::shutdown_with(round);
            let leaves = reason.clone();
            let (pid, monitor) =
                process::builder().monitor_alias(mode).spawn_monitor(async move { process::exit(leaves) });
            let expected = Down { monitor: monitor.reference(), target: Target::Pid(pid), reason };
            assert_eq!(next::<Down>().await, expected);
            let alias = monitor.alias().expect("one was asked for");
            let outlives = matches!(mode, AliasMode::Explicit | AliasMode::Reply);
            assert_eq!(process::unalias(alias), outlives, "{mode:?}");
        }
    });
}

#[test]
fn otp_ps_37_demonitor_leaves_an_alias_alone_that_is_no_monitor() {
    on_every_driver(|| async {
        let sender = process::spawn(sender());
        let ended = process::spawn_monitor(async {});
        down(ended.1).await;
        for (flush, mode) in
            [(true, AliasMode::Explicit), (false, AliasMode::Explicit), (true, AliasMode::Reply)]
        {
            let demonitor = if flush { process::demonitor_flush } else { process::demonitor };
            // Never a monitor.
            let alias = process::alias(mode);
            assert!(!demonitor(alias.reference()));
            assert_eq!(through(alias, sender, 0..1).await, [0]);
            assert_eq!(process::unalias(alias), mode == AliasMode::Explicit);

            // No longer a monitor: it has fired, or was taken back. Its notice goes with the flush only.
            let fired = monitor_builder(ended.0).alias(mode).start();
            assert!(!demonitor(fired.reference()));
            if !flush {
                assert_eq!(at_hand::<Down>().monitor, fired.reference());
            }
            assert!(process::try_recv().is_none());
            let alias = fired.alias().unwrap();
            assert_eq!(through(alias, sender, 0..1).await, [0]);
            assert_eq!(process::unalias(alias), mode == AliasMode::Explicit);

            let taken_back = monitor_builder(sender).alias(mode).start();
            assert!(demonitor(taken_back.reference()));
            assert!(!demonitor(taken_back.reference()));
            let alias = taken_back.alias().unwrap();
            assert_eq!(through(alias, sender, 0..1).await, [0]);
            assert_eq!(process::unalias(alias), mode == AliasMode::Explicit);

            // Switched off before.
            let alias = process::alias(mode);
            assert!(process::unalias(alias));
            assert!(!demonitor(alias.reference()));
            assert_eq!(through(alias, sender, 0..1).await, []);
        }
    });
}

#[test]
fn otp_ps_42_nothing_comes_through_a_reply_monitor_that_was_taken_back() {
    on_each_driver(|driver| async move {
        for mode in [AliasMode::ReplyDemonitor, AliasMode::Demonitor] {
            let target = process::spawn(sender());
            let independent = process::monitor(target);
            let monitor = monitor_builder(target).alias(mode).start();
            assert!(process::demonitor_flush(monitor.reference()));
            target.send(Batch { alias: monitor.alias().unwrap(), numbers: 0..2 });
            assert_eq!(next::<Done>().await, Done, "nothing came before it");
            process::exit_signal(target, ExitReason::Shutdown);
            let expected =
                Down { monitor: independent, target: Target::Pid(target), reason: ExitReason::Shutdown };
            assert_eq!(next::<Down>().await, expected);
            nothing_comes(driver.window(Duration::from_millis(100))).await;
        }
    });
}

#[test]
fn otp_ps_43_the_monitor_of_a_name_that_nobody_has_fires_at_once() {
    on_every_driver(|| async {
        let sender = process::spawn(sender());
        let name = "otp_ps_43_nobody";
        for mode in
            [None, Some(AliasMode::Explicit), Some(AliasMode::Demonitor), Some(AliasMode::ReplyDemonitor)]
        {
            for tagged in [false, true] {
                let mut builder = monitor_builder(name);
                if let Some(mode) = mode {
                    builder = builder.alias(mode);
                }
                if tagged {
                    builder = builder.tag(("tag", 43));
                }
                let monitor = builder.start();
                // Within 100 ms, says the row; here it is there when the call returns.
                let notice = if tagged {
                    let TaggedDown { tag, down } = at_hand::<TaggedDown<(&str, i32)>>();
                    assert_eq!(tag, ("tag", 43));
                    down
                } else {
                    at_hand::<Down>()
                };
                let target = Target::Name(name.into());
                let expected = Down { monitor: monitor.reference(), target, reason: ExitReason::NoProc };
                assert_eq!(notice, expected);
                assert_eq!(monitor.alias().is_some(), mode.is_some());
                let Some(alias) = monitor.alias() else { continue };
                if mode == Some(AliasMode::Explicit) {
                    assert_eq!(through(alias, sender, 0..2).await, [0, 1]);
                    assert!(process::unalias(alias));
                }
                assert_eq!(through(alias, sender, 2..4).await, []);
                assert!(!process::unalias(alias));
            }
        }

        // Doing so, and dying at once.
        for mode in MODES {
            let (pid, monitor) = process::spawn_monitor(async move {
                let _monitor = monitor_builder(name).alias(mode).tag("tag").start();
            });
            assert_eq!(down(monitor).await.reason, ExitReason::Normal);
            assert!(process::info(pid).await.is_none());
        }
        until_it_waits(sender).await;
        assert!(process::try_recv().is_none());
    });
}

/// Found by the differential runs: the alias was active.
#[test]
fn a_monitor_of_oneself_is_no_alias() {
    on_every_driver(|| async {
        let sender = process::spawn(sender());
        for mode in MODES {
            let monitor = monitor_builder(process::self_pid()).alias(mode).start();
            let alias = monitor.alias().expect("one was asked for");
            assert_eq!(through(alias, sender, 0..2).await, [], "{mode:?}");
            assert!(!process::unalias(alias), "{mode:?}");
            assert!(!process::demonitor(monitor.reference()), "{mode:?}");
        }
    });
}

//! What timers do besides sending one message: start processes, end them, go off again and again; and measuring time.
//!
//! Names begin with the row of the conformance list that the test is for. OTP's timer service is a process; here there is
//! none, so what its rows ask for is asked of the timers themselves: whatever was done before, they still work.

mod common;
mod common_time;
mod common_tracing;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{
    Driver, at_hand, down, end_of, first, idle, is_alive, next, nothing_comes, on_each_driver,
    on_each_driver_with, on_every_driver, until, until_it_waits,
};
use common_time::{Random, Scale};
use ibeam_runtime::inline::Inline;
use ibeam_runtime::process::{self, self_pid};
use ibeam_runtime::{AliasMode, Exit, ExitReason, Instant, Interval, Metrics, Overflow, Pid, Runtime};

/// Timers work.
async fn still_there() {
    process::send_after(self_pid(), "still there", Duration::from_millis(1));
    assert_eq!(first::<&str>().await, "still there");
}

async fn path(to: Pid) {
    to.send((self_pid(), 0));
}

async fn path_with_arguments(to: Pid, number: i32) {
    to.send((self_pid(), number));
}

#[test]
fn otp_tm_11_apply_after() {
    on_each_driver(|driver| async move {
        let (scale, me) = (Scale(driver), self_pid());
        for delay in [0, 500] {
            let start = process::now();
            process::apply_after(scale.ms(delay), path(me));
            process::apply_after(scale.ms(delay), path_with_arguments(me, 1));
            process::apply_after(scale.ms(delay), async move { me.send((self_pid(), 2)) });
            let mut seen = Vec::new();
            for _ in 0..3 {
                let (pid, number) = next::<(Pid, i32)>().await;
                scale.passed(start, delay, delay + 200);
                seen.push((number, pid));
            }
            seen.sort_unstable();
            assert_eq!(seen.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2]);
            let mut pids: Vec<_> = seen.iter().map(|(_, pid)| *pid).chain([me]).collect();
            pids.sort_unstable();
            pids.dedup();
            assert_eq!(pids.len(), 4, "each in a process of its own");
        }
        nothing_comes(driver.window(Duration::from_secs(2))).await;
    });
}

#[test]
fn a_process_that_is_to_be_started_is_none_until_then() {
    struct Told(Pid);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send("dropped");
        }
    }
    on_every_driver(|| async {
        let me = self_pid();
        process::register("starter", me).unwrap();
        let before = Metrics::current();
        let told = Told(me);
        let timer = process::apply_after(Duration::from_secs(3600), async move {
            drop(told);
            unreachable!("it was cancelled");
        });
        let after = Metrics::current();
        assert_eq!((after.processes, after.timers), (before.processes, before.timers + 1));
        let left = timer.cancel().expect("it was in time");
        assert!(left > Duration::from_secs(3500));
        assert_eq!(at_hand::<&str>(), "dropped");
        assert_eq!(timer.cancel(), None);

        // It comes from who asked for it, also when that one is gone.
        let (asker, monitor) = process::builder().name("asker").spawn_monitor(async move {
            process::apply_after(Duration::from_millis(5), async move {
                me.send((process::ancestors(), process::parent()));
            });
        });
        down(monitor.reference()).await;
        let (ancestors, parent) = next::<(Vec<process::Ancestor>, Option<Pid>)>().await;
        let line: Vec<_> = ancestors.iter().take(2).map(ToString::to_string).collect();
        assert_eq!(line, [format!("asker {asker}"), format!("starter {me}")]);
        assert_eq!(parent, Some(asker));
    });
}

#[test]
fn a_process_that_cannot_be_started_is_logged_and_the_others_go_on() {
    common_tracing::record();
    on_each_driver_with(
        || Runtime::builder().max_processes(4),
        |_| async {
            struct Told(Pid);
            impl Drop for Told {
                fn drop(&mut self) {
                    self.0.send("dropped");
                    panic!("while dropped");
                }
            }
            let (me, logged) = (self_pid(), not_started());
            let (told, in_the_way) = (Told(me), [process::spawn(idle()), process::spawn(idle())]);
            assert_eq!(Metrics::current().processes, 4);
            process::apply_after(Duration::from_millis(1), async move { drop(told) });
            process::send_after(me, "the next one", Duration::from_millis(2));
            // Destructors run when all that was due has been done.
            let mut seen = [next::<&str>().await, next().await];
            seen.sort_unstable();
            assert_eq!(seen, ["dropped", "the next one"]);
            assert!(not_started() > logged);

            process::kill(in_the_way[0]);
            end_of(in_the_way[0]).await;
            process::apply_after(Duration::from_millis(1), async move { me.send("started") });
            assert_eq!(next::<&str>().await, "started");
        },
    );
    fn not_started() -> usize {
        common_tracing::said(
            "ibeam::runtime",
            "a timer was to start a process, and did not: expected at most 4 processes",
        )
    }
}

/// Negative delays, wrong arities and what is no function are type errors. What stays is the period of zero, which in OTP
/// keeps the service busy for ever.
#[test]
fn otp_tm_12_a_period_of_zero_is_the_shortest_there_is() {
    on_each_driver(|driver| async move {
        let start = process::now();
        let interval = process::send_interval(self_pid(), (), Duration::ZERO);
        for n in 1..=20 {
            next::<()>().await;
            assert!(process::now() - start >= Duration::from_millis(n));
        }
        assert!(interval.cancel());
        if !driver.has_real_clock() {
            assert!(process::try_recv().is_none());
        }
        still_there().await;
    });
}

#[test]
fn otp_tm_13_send_after_to_each_kind_of_destination() {
    on_each_driver(|driver| async move {
        let scale = Scale(driver);
        process::register("receiver", self_pid()).unwrap();
        let alias = process::alias(AliasMode::Explicit);
        // At once.
        process::send_after(self_pid(), 1, Duration::ZERO);
        process::send_after("receiver", 2, Duration::ZERO);
        process::send_after(alias, 3, Duration::ZERO);
        assert_eq!([at_hand::<i32>(), at_hand(), at_hand()], [1, 2, 3]);

        let start = process::now();
        process::send_after(self_pid(), 1, scale.ms(500));
        process::send_after("receiver", 2, scale.ms(500));
        process::send_after(alias, 3, scale.ms(500));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(next::<i32>().await);
            scale.passed(start, 500, 700);
        }
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3]);

        // The alias may be off by then.
        let off = || Metrics::current().undelivered.alias_inactive;
        let before = off();
        process::send_after(alias, 4, scale.roomy(100));
        process::unalias(alias);
        while off() == before {
            process::sleep(Duration::from_millis(1)).await;
        }
        nothing_comes(driver.window(Duration::from_secs(1))).await;
    });
}

#[test]
fn otp_tm_14_a_name_is_resolved_when_the_timer_fires() {
    on_each_driver(|driver| async move {
        let delay = Scale(driver).roomy(500);
        process::send_after("later", "for who has it then", delay);
        process::register("later", self_pid()).unwrap();
        assert_eq!(next::<&str>().await, "for who has it then");

        // Nobody by then: counted, and that is all.
        let lost = Metrics::current().undelivered.no_proc;
        process::send_after("later", "lost", delay);
        process::unregister("later").unwrap();
        process::send_after(self_pid(), "after it", delay + Duration::from_millis(1));
        assert_eq!(next::<&str>().await, "after it");
        assert_eq!(Metrics::current().undelivered.no_proc, lost + 1);
    });
}

#[test]
fn otp_tm_15_exit_after() {
    on_each_driver(|driver| async move {
        let (scale, me) = (Scale(driver), self_pid());
        let reason = ExitReason::other("time is up");
        let start = process::now();
        let by_pid = process::spawn_monitor(idle());
        process::exit_after(by_pid.0, reason.clone(), scale.ms(1000));
        let by_name = process::builder().name("by name").spawn_monitor(idle());
        process::exit_after("by name", reason.clone(), scale.ms(1000));
        let theirs = reason.clone();
        let by_itself = process::spawn_monitor(async move {
            process::exit_after(self_pid(), theirs, scale.ms(1000));
            idle().await;
        });
        let unknown = process::exit_after("nobody", reason.clone(), Duration::ZERO);
        assert_eq!(unknown.read(), None);
        for monitor in [by_pid.1, by_name.1.reference(), by_itself.1] {
            assert_eq!(down(monitor).await.reason, reason);
            scale.passed(start, 1000, 1200);
        }

        // Trapped like any exit signal. It comes from no process.
        process::trap_exit(true);
        process::exit_after(me, reason.clone(), scale.ms(10));
        assert_eq!(next::<Exit>().await, Exit { pid: me, reason: reason.clone() });
        process::exit_after(me, ExitReason::Normal, scale.ms(10));
        assert_eq!(next::<Exit>().await, Exit { pid: me, reason: ExitReason::Normal });
        process::trap_exit(false);
        process::exit_after(me, ExitReason::Normal, scale.ms(10));
        nothing_comes(driver.window(Duration::from_millis(100))).await;

        // Cancelled in time.
        let spared = process::spawn(idle());
        let timer = process::exit_after(spared, reason, scale.ample(1000));
        assert!(timer.cancel().is_some());
        process::sleep(scale.ms(1100)).await;
        assert!(is_alive(spared).await);
        still_there().await;
    });
}

#[test]
fn otp_tm_16_kill_after() {
    on_each_driver(|driver| async move {
        let (scale, start) = (Scale(driver), process::now());
        process::trap_exit(true);
        // It cannot be trapped.
        let linked = || process::builder().trap_exit().link();
        let by_pid = linked().spawn(idle());
        process::kill_after(by_pid, scale.ms(1000));
        let by_name = linked().name("by name").spawn(idle());
        process::kill_after("by name", scale.ms(1000));
        let by_itself = linked().spawn(async move {
            process::kill_after(self_pid(), scale.ms(1000));
            idle().await;
        });
        for _ in 0..3 {
            let exit = next::<Exit>().await;
            assert!([by_pid, by_name, by_itself].contains(&exit.pid));
            assert_eq!(exit.reason, ExitReason::Killed);
            scale.passed(start, 1000, 1200);
        }
        still_there().await;
    });
}

/// Takes `count` occurrences, of which the n-th comes at n periods after the start.
async fn occurrences(scale: Scale, start: Instant, count: u64) {
    for n in 1..=count {
        first::<&str>().await;
        scale.passed(start, n * 1000, n * 1000 + 500);
    }
}

async fn ended(driver: Driver, interval: Interval) {
    assert!(interval.cancel());
    assert_eq!(interval.read(), None);
    // On a real clock more of them may have come already.
    while driver.has_real_clock() && process::try_recv().is_some() {}
    nothing_comes(driver.window(Duration::from_secs(5))).await;
}

#[test]
fn otp_tm_17_intervals() {
    on_each_driver(|driver| async move {
        let (scale, me) = (Scale(driver), self_pid());
        let period = scale.ms(1000);

        let start = process::now();
        let to_pid = process::send_interval(me, "tick", period);
        let left = to_pid.read().expect("it runs");
        assert!(left <= period);
        occurrences(scale, start, 5).await;
        ended(driver, to_pid).await;

        process::register("receiver", me).unwrap();
        let start = process::now();
        let to_name = process::send_interval("receiver", "tick", period);
        occurrences(scale, start, 3).await;
        ended(driver, to_name).await;

        let start = process::now();
        let to_alias = process::send_interval(process::alias(AliasMode::Explicit), "tick", period);
        occurrences(scale, start, 3).await;
        ended(driver, to_alias).await;

        let start = process::now();
        let processes = Metrics::current().processes;
        let applied = process::apply_interval(period, move || async move {
            assert_ne!(self_pid(), me);
            me.send("tick");
        });
        occurrences(scale, start, 3).await;
        assert!(applied.cancel());
        // What an occurrence has started goes on; none is started any more.
        until(|| Metrics::current().processes == processes).await;
        while driver.has_real_clock() && process::try_recv().is_some() {}
        nothing_comes(driver.window(Duration::from_secs(5))).await;
    });
}

#[test]
fn otp_tm_18_cancelling_what_has_ended() {
    on_each_driver(|driver| async move {
        let (ended, monitor) = process::spawn_monitor(async {});
        down(monitor).await;
        // One that never began, one that was cancelled, one whose process has ended, one for a name that nobody has.
        let never = process::send_interval(ended, (), Duration::from_millis(1));
        let cancelled = process::send_interval(self_pid(), (), Duration::from_secs(1));
        assert!(cancelled.cancel());
        let (other, monitor) = process::spawn_monitor(idle());
        let with_it = process::send_interval(other, (), Duration::from_secs(1));
        process::kill(other);
        down(monitor).await;
        let for_nobody = process::send_interval("nobody", (), Duration::from_millis(1));
        for interval in [never, cancelled, with_it, for_nobody] {
            assert_eq!(interval.read(), None);
            assert!(!interval.cancel());
            assert!(!interval.clone().cancel());
        }
        let timer = process::exit_after("nobody", ExitReason::Kill, Duration::ZERO);
        assert_eq!((timer.cancel(), timer.read()), (None, None));
        nothing_comes(driver.window(Duration::from_secs(2))).await;
        still_there().await;
    });
}

#[test]
fn otp_tm_19_sleeping_and_measuring() {
    on_each_driver(|driver| async move {
        let scale = Scale(driver);
        let (took, ()) = process::measure(process::sleep(scale.ms(1000))).await;
        scale.within(took, 1000, 1200);

        let (sleeper, monitor) = process::spawn_monitor(async move {
            process::sleep(Duration::from_millis(1 << 32)).await;
        });
        until_it_waits(sleeper).await;
        process::kill(sleeper);
        assert_eq!(down(monitor).await.reason, ExitReason::Killed);

        let (took, value) = process::measure(async {
            process::sleep(scale.ms(500)).await;
            "value"
        })
        .await;
        scale.within(took, 500, 800);
        assert_eq!(value, "value");

        // Errors, exits and panics come through.
        let error = process::measure(async { "x".parse::<i32>() }).await.1;
        assert!(error.is_err());
        let (_, monitor) = process::spawn_monitor(async {
            process::measure(async { process::exit(ExitReason::other("left")) }).await.1
        });
        assert_eq!(down(monitor).await.reason, ExitReason::other("left"));
        let (_, monitor) =
            process::spawn_monitor(async { process::measure(async { panic!("thrown") }).await.1 });
        let reason = down(monitor).await.reason;
        assert!(matches!(&reason, ExitReason::Panic(panic) if panic.message() == "thrown"), "{reason}");
    });
}

#[test]
fn otp_tm_21_many_at_once_under_load() {
    on_each_driver(|driver| async move {
        let scale = Scale(driver);
        let mut random = Random(21);
        // The load: two processes that compute all the time, letting others in now and then. A virtual clock stands still
        // while anybody can run, so there it would stand still for ever.
        for seed in 0..if driver.has_real_clock() { 2 } else { 0 } {
            process::spawn(async move {
                let mut random = Random(seed);
                loop {
                    std::hint::black_box((0..10_000).map(|_| random.pick(0..9)).sum::<u64>());
                    process::yield_now().await;
                }
            });
        }
        let mut one_shots = 0;
        let mut intervals = Vec::new();
        for round in 0..driver.rounds(200, 200) {
            let delay = random.pick(47..4800);
            let due = process::now() + scale.ms(delay);
            process::send_after(self_pid(), due, scale.ms(delay));
            one_shots += 1;
            if round % 20 == 0 {
                let period = random.pick(47..1000);
                let (start, number) = (process::now(), intervals.len());
                let interval = process::send_interval(self_pid(), number, scale.ms(period));
                intervals.push((interval, start, period, 0_u64));
            }
        }
        let mut late = (Duration::ZERO, Duration::ZERO);
        while one_shots > 0 || intervals.iter().any(|(.., count)| *count < 5) {
            let message = match process::recv().await.downcast::<Instant>() {
                Ok(due) => {
                    // Not early at all.
                    assert!(process::now() >= due, "on {driver}");
                    late.0 = late.0.max(process::now() - due);
                    one_shots -= 1;
                    continue;
                }
                Err(message) => message,
            };
            let (_, start, period, count) =
                &mut intervals[message.downcast::<usize>().expect("nothing else")];
            *count += 1;
            // From the ideal time: the n-th is not before n periods, and lateness does not add up.
            let due = *start + scale.ms(*period) * u32::try_from(*count).unwrap();
            assert!(process::now() >= due, "on {driver}");
            late.1 = late.1.max(process::now() - due);
        }
        let (one_shots, of_intervals) = late;
        assert!(
            one_shots < Duration::from_secs(8) && of_intervals < Duration::from_secs(4),
            "on {driver}: {late:?}"
        );
        if !driver.has_real_clock() {
            assert!(
                one_shots < Duration::from_millis(2) && of_intervals < Duration::from_millis(2),
                "{late:?}"
            );
        }
        assert!(intervals.iter().all(|(interval, ..)| interval.cancel()));
    });
}

/// The clock goes on while the only thread that could fire anything is busy.
#[test]
fn occurrences_that_are_late_all_come_and_the_next_ones_are_in_time() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(Inline::new().run(async {
        let period = Duration::from_millis(2);
        let start = process::now();
        process::send_interval(self_pid(), "tick", period);
        let armed = process::now();
        while process::now() < armed + 51 * period {
            std::hint::spin_loop();
        }
        assert!(process::try_recv().is_none(), "nobody could have sent anything");
        process::yield_now().await;
        for _ in 0..51 {
            assert_eq!(at_hand::<&str>(), "tick");
        }
        // The 100th comes at its time, as if nothing had been.
        for n in 52..=100 {
            assert_eq!(next::<&str>().await, "tick");
            assert!(process::now() >= start + n * period);
        }
    }));
}

#[test]
fn an_interval_for_a_name_lives_as_long_as_who_had_the_name() {
    on_each_driver(|driver| async move {
        let period = Scale(driver).ms(1000);
        let (had_it, monitor) = process::builder().name("name").spawn_monitor(idle());
        let interval = process::send_interval("name", "tick", period);
        // Meanwhile each message goes to whoever has the name then, and to nobody if nobody has.
        let lost = || Metrics::current().undelivered.no_proc;
        let before = lost();
        process::unregister("name").unwrap();
        while lost() == before {
            process::sleep(Duration::from_millis(1)).await;
        }
        process::register("name", self_pid()).unwrap();
        assert_eq!(next::<&str>().await, "tick");
        process::kill(had_it);
        down(monitor.reference()).await;
        assert_eq!(interval.read(), None);
        while driver.has_real_clock() && process::try_recv().is_some() {}
        nothing_comes(driver.window(10 * period)).await;
    });
}

#[test]
fn an_interval_ends_with_the_process_that_it_is_for_or_that_asked_for_it() {
    on_every_driver(|| async {
        let (period, me, before) = (Duration::from_millis(2), self_pid(), Metrics::current());
        let count = Arc::new(AtomicUsize::new(0));
        let (asker, monitor) = process::spawn_monitor({
            let count = Arc::clone(&count);
            async move {
                me.send([
                    process::send_interval(self_pid(), (), period),
                    process::apply_interval(period, move || {
                        count.fetch_add(1, SeqCst);
                        async {}
                    }),
                    // This one is for somebody else, and goes on.
                    process::send_interval(me, "tick", period),
                ]);
                idle().await;
            }
        });
        let [for_itself, applied, for_us] = next::<[Interval; 3]>().await;
        for _ in 0..3 {
            assert_eq!(next::<&str>().await, "tick");
        }
        process::kill(asker);
        down(monitor).await;
        assert_eq!((for_itself.read(), applied.read()), (None, None));
        // Those that were started before may not have had their turn yet.
        until(|| Metrics::current().processes == before.processes).await;
        let applied = count.load(SeqCst);
        for _ in 0..3 {
            assert_eq!(first::<&str>().await, "tick");
        }
        assert!(for_us.cancel());
        assert_eq!(Metrics::current().timers, before.timers);
        assert_eq!(count.load(SeqCst), applied);
    });
}

#[test]
fn a_message_that_cannot_be_copied_ends_its_interval_and_no_other() {
    struct Fragile(u32);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert_eq!(process::try_self_pid(), None, "it is copied in no process");
            panic!("copy number {}", self.0);
        }
    }
    /// The first copy is made where the interval is asked for.
    struct Later(AtomicUsize);
    impl Clone for Later {
        fn clone(&self) -> Self {
            let number = self.0.fetch_add(1, SeqCst);
            let in_a_process = process::try_self_pid().is_some();
            assert_eq!(in_a_process, number == 0, "number {number}");
            assert!(number < 3, "no more than three copies");
            Self(AtomicUsize::new(number))
        }
    }
    common_tracing::record();
    on_every_driver(|| async {
        let (_, monitor) = process::spawn_monitor(async {
            process::send_interval(self_pid(), Fragile(1), Duration::from_millis(1));
        });
        let reason = down(monitor).await.reason;
        assert!(matches!(&reason, ExitReason::Panic(_)), "{reason}");

        let said = || {
            common_tracing::said(
                "ibeam::crash",
                "`clone` of the message of an interval panicked: panic: no more than three",
            )
        };
        let before = said();
        let other = process::send_interval(self_pid(), "tick", Duration::from_millis(1));
        let fragile =
            process::send_interval(self_pid(), Later(AtomicUsize::new(0)), Duration::from_millis(1));
        for _ in 0..3 {
            first::<Later>().await;
        }
        while fragile.read().is_some() {
            first::<&str>().await;
        }
        for _ in 0..3 {
            first::<&str>().await;
        }
        assert!(said() > before);
        assert!(other.cancel() && !fragile.cancel());
    });
}

#[test]
fn an_occurrence_that_finds_a_full_mailbox_is_counted_and_the_next_one_comes() {
    on_every_driver(|| async {
        let me = self_pid();
        let bounded = process::builder().mailbox(2, Overflow::Reject).spawn(async move {
            loop {
                // Takes one when it is told to.
                process::receive_with(|message| message.arm(Ok::<Pid, Pid>)).await;
                me.send(first::<u64>().await);
            }
        });
        let overflow = || Metrics::current().undelivered.overflow;
        let before = overflow();
        let interval = process::send_interval(bounded, 7_u64, Duration::from_millis(1));
        while overflow() < before + 3 {
            process::sleep(Duration::from_millis(1)).await;
        }
        assert!(interval.cancel());
        assert_eq!(process::info(bounded).await.expect("it lives").message_queue_len, 2);
    });
}

#[test]
fn timers_for_processes_of_another_runtime() {
    let (here, there) = (Runtime::builder().workers(1).build(), Runtime::builder().workers(1).build());
    let (here, there) = (here.unwrap(), there.unwrap());
    let (pid, ticks) = there.block_on(async {
        let (ticks, seen) = std::sync::mpsc::channel();
        let pid = process::spawn(async move {
            for _ in 0..3 {
                ticks.send(next::<&str>().await).unwrap();
            }
        });
        (pid, seen)
    });
    here.block_on(async move {
        let interval = process::send_interval(pid, "tick", Duration::from_millis(1));
        for _ in 0..3 {
            assert_eq!(ticks.recv(), Ok("tick"));
        }
        // It has ended, and so does the interval, once it finds that out.
        while interval.read().is_some() {
            process::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(Metrics::current().timers, 0);
    });
}

//! Timers of a process: when they fire, what cancelling and reading tells, and that nothing of them stays behind.
//!
//! Names begin with the row of the conformance list that the test is for.

mod common;
mod common_time;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{at_hand, down, idle, next, nothing_comes, on_each_driver, on_every_driver};
use common_time::{Random, Scale};
use ibeam_runtime::process::{self, self_pid};
use ibeam_runtime::{ExitReason, Metrics, Reference, TimerFired};

#[test]
fn otp_tm_01_start_timer() {
    on_each_driver(|driver| async move {
        let scale = Scale(driver);
        let start = process::now();
        let fires = process::start_timer(self_pid(), "first", scale.ms(1000));
        let (never, armed) = (scale.ample(1000), process::now());
        let cancelled = process::start_timer(self_pid(), "second", never);
        let watched = process::start_timer(self_pid(), "third", scale.ms(1000) + Duration::from_millis(5));

        let left = cancelled.cancel().expect("it was cancelled at once");
        assert!(left <= never && left + (process::now() - armed) >= never, "{left:?}");
        assert_eq!(cancelled.cancel(), None);

        // On a machine that is late the third may have fired by now, but then the time is over too.
        process::sleep(scale.ms(600)).await;
        let left = watched.read();
        assert!(left.is_some() || process::now() - start > scale.ms(1000));

        let fired = next::<TimerFired<&str>>().await;
        assert_eq!(fired, TimerFired { timer: fires.reference(), message: "first" });
        scale.passed(start, 1000, 1400);
        assert_eq!((fires.read(), fires.cancel()), (None, None));

        // The third comes, the second never does.
        assert_eq!(next::<TimerFired<&str>>().await.timer, watched.reference());
        nothing_comes(driver.window(Duration::from_secs(5))).await;
    });
}

#[test]
fn otp_tm_02_send_after() {
    on_each_driver(|driver| async move {
        let (scale, start) = (Scale(driver), process::now());
        let timer = process::send_after(self_pid(), "bare", scale.ms(1000));
        assert_eq!(next::<&str>().await, "bare");
        scale.passed(start, 1000, 1500);
        assert_eq!(timer.read(), None);
    });
}

#[test]
fn otp_tm_03_messages_come_in_the_order_of_their_deadlines() {
    on_each_driver(|driver| async move {
        let scale = Scale(driver);
        let mut random = Random(3);
        let mut delays: Vec<u64> = (0..=50).map(|n| n * 100).collect();
        random.shuffle(&mut delays);
        // All from one start: on a real clock it takes time to set fifty timers.
        let start = process::now();
        for &delay in &delays {
            if driver.has_real_clock() {
                process::send_at(self_pid(), delay, start + scale.ms(delay));
            } else {
                process::send_after(self_pid(), delay, scale.ms(delay));
            }
        }
        delays.sort_unstable();
        for delay in delays {
            assert_eq!(next::<u64>().await, delay);
            scale.passed(start, delay, delay + 200);
        }

        // Also a millisecond apart, which is a tick.
        for round in 0..5 {
            let mut delays = [100, 101, 102, 103];
            random.shuffle(&mut delays);
            let start = process::now();
            for delay in delays {
                process::send_at(self_pid(), (round, delay), start + Duration::from_millis(delay));
            }
            for delay in [100, 101, 102, 103] {
                assert_eq!(next::<(i32, u64)>().await, (round, delay));
                assert!(process::now() - start >= Duration::from_millis(delay));
            }
        }
    });
}

#[test]
fn otp_tm_04_big_delays() {
    on_each_driver(|driver| async move {
        let scale = Scale(driver);
        for big in [1_u64 << 31, 1 << 33] {
            let big = Duration::from_millis(big);
            let timers = [
                process::start_timer(self_pid(), (), big),
                process::send_after(self_pid(), (), big),
                process::send_at(self_pid(), (), process::now() + big),
            ];
            process::sleep(scale.ms(200)).await;
            for timer in timers {
                let left = timer.cancel().expect("still armed");
                assert!(big - Duration::from_secs(10) <= left && left <= big - scale.ms(200), "{left:?}");
            }
        }
    });
}

/// What is negative, a fraction or no number is no `Duration`, and a process of another node has no `Pid` here. What stays is
/// a delay beyond what the clock can count.
#[test]
fn otp_tm_05_a_delay_that_is_longer_than_the_clock_is_the_longest_there_is() {
    on_each_driver(|driver| async move {
        let year = Duration::from_secs(365 * 24 * 3600);
        for timer in [
            process::send_after(self_pid(), (), Duration::MAX),
            process::start_timer(self_pid(), (), Duration::from_millis(u64::MAX)),
            process::send_at(self_pid(), (), process::now() + Duration::MAX),
        ] {
            nothing_comes(driver.window(Duration::from_secs(3600))).await;
            let left = timer.read().expect("armed");
            assert!(left > 500 * year && left < 600 * year, "{left:?}");
            assert!(timer.cancel().is_some());
        }
    });
}

/// A `Timer` that never was one cannot be made. The nearest thing: timers for processes that are not there any more.
#[test]
fn otp_tm_06_timers_that_are_none_any_more() {
    on_every_driver(|| async {
        let (ended, monitor) = process::spawn_monitor(async {});
        down(monitor).await;
        let never_armed = process::send_after(ended, (), Duration::from_secs(1));
        assert_eq!((never_armed.read(), never_armed.cancel()), (None, None));

        let (other, monitor) = process::spawn_monitor(idle());
        let gone_with_it = process::send_after(other, (), Duration::from_secs(1));
        assert!(gone_with_it.read().is_some());
        process::kill(other);
        down(monitor).await;
        assert_eq!((gone_with_it.read(), gone_with_it.cancel()), (None, None));

        // A name is nobody's process: the timer does not know who it will be for.
        let for_a_name = process::send_after("nobody", (), Duration::from_secs(1));
        assert!(for_a_name.read().is_some());
        assert!(for_a_name.cancel().is_some());
        assert_eq!((for_a_name.cancel(), for_a_name.read()), (None, None));
    });
}

#[test]
fn otp_tm_07_read_timer() {
    on_each_driver(|driver| async move {
        let timer = process::start_timer(self_pid(), (), Scale(driver).ample(1000));
        process::sleep(Scale(driver).ms(200)).await;
        let (read, cancelled) = (timer.read().expect("armed"), timer.cancel().expect("armed"));
        assert!(cancelled <= read, "{cancelled:?} {read:?}");
        if !driver.has_real_clock() {
            assert_eq!(cancelled, read, "no time goes by between two looks");
        }
        assert_eq!(timer.read(), None);
        nothing_comes(driver.window(Duration::from_secs(2))).await;
    });
}

/// A message that counts how many of its kind there are.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn otp_tm_08_nothing_stays_behind_of_a_timer() {
    on_each_driver(|driver| async move {
        let count = Arc::new(AtomicUsize::new(0));
        let (before, many) = (Metrics::current().timers, driver.rounds(5_000, 500));
        let arm = |delay| -> Vec<_> {
            (0..many).map(|_| process::send_after(self_pid(), Counted::new(&count), delay)).collect()
        };
        let timers = arm(Duration::from_secs(3600));
        assert_eq!((Metrics::current().timers - before, count.load(SeqCst)), (many, many));
        assert!(timers.iter().all(|timer| timer.cancel().is_some()));
        assert_eq!((Metrics::current().timers - before, count.load(SeqCst)), (0, 0));
        // Handles hold nothing of it.
        drop(timers);

        let timers = arm(Duration::from_millis(20));
        for _ in 0..many {
            drop(next::<Counted>().await);
        }
        assert_eq!((Metrics::current().timers - before, count.load(SeqCst)), (0, 0));
        assert!(timers.iter().all(|timer| timer.cancel().is_none()));
    });
}

#[test]
fn otp_tm_09_each_of_many_comes_once_with_its_own_payload() {
    on_every_driver(|| async {
        let payload =
            |n: u64| (n, vec![n.wrapping_mul(0x9E37_79B9_7F4A_7C15); 500], format!("timer {n}").repeat(20));
        let mut expected: Vec<(Reference, u64)> = Vec::new();
        let mut work = 0_u64;
        for n in 0..200 {
            let timer = process::start_timer(self_pid(), payload(n), Duration::from_millis(n));
            expected.push((timer.reference(), n));
            // Busy in between.
            work = (0..2_000).fold(work, |work, n| std::hint::black_box(work.rotate_left(3) ^ n));
        }
        for _ in 0..200 {
            let TimerFired { timer, message } = next::<TimerFired<(u64, Vec<u64>, String)>>().await;
            let at = expected.iter().position(|(reference, _)| *reference == timer).expect("ours, and once");
            assert_eq!(message, payload(expected.swap_remove(at).1));
        }
        assert!(expected.is_empty());
        nothing_comes(Duration::from_millis(20)).await;
    });
}

#[test]
fn otp_tm_10_the_timers_of_a_process_go_with_it() {
    on_every_driver(|| async {
        let (count, others) = (Arc::new(AtomicUsize::new(0)), Metrics::current().timers);
        let (theirs, me) = (Arc::clone(&count), self_pid());
        let (pid, monitor) = process::spawn_monitor(async move {
            for n in 0..700 {
                process::send_after(self_pid(), Counted::new(&theirs), Duration::from_secs(3600 + n));
            }
            me.send(());
            idle().await;
        });
        next::<()>().await;
        assert_eq!((Metrics::current().timers - others, count.load(SeqCst)), (700, 700));
        // One of somebody else's for it goes too, one of its own for somebody else would not.
        let ours = process::send_after(pid, Counted::new(&count), Duration::from_secs(1));
        process::kill(pid);
        assert_eq!(down(monitor).await.reason, ExitReason::Killed);
        assert_eq!((Metrics::current().timers - others, count.load(SeqCst)), (0, 0));
        assert_eq!(ours.cancel(), None);
    });
}

#[test]
fn a_timer_for_somebody_else_outlives_who_set_it() {
    on_every_driver(|| async {
        let me = self_pid();
        let (_, monitor) = process::spawn_monitor(async move {
            process::send_after(me, "still", Duration::from_millis(10));
        });
        down(monitor).await;
        assert_eq!(next::<&str>().await, "still");
    });
}

#[test]
fn a_message_whose_destructor_panics_does_not_keep_its_process_alive() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("while dropped");
        }
    }
    on_every_driver(|| async {
        let (pid, monitor) = process::spawn_monitor(async {
            for _ in 0..3 {
                process::send_after(self_pid(), Bomb, Duration::from_secs(1));
            }
            idle().await;
        });
        common::until_it_waits(pid).await;
        process::kill(pid);
        assert_eq!(down(monitor).await.reason, ExitReason::Killed);
        // Nor does one that finds nobody stop the timers.
        process::send_after("nobody", Bomb, Duration::from_millis(1));
        process::send_after(self_pid(), "after it", Duration::from_millis(2));
        assert_eq!(next::<&str>().await, "after it");
        // What is left when the runtime ends goes with it.
        process::send_after("nobody", Bomb, Duration::from_secs(3600));
        process::send_after("nobody", Bomb, Duration::from_secs(7200));
    });
}

#[test]
fn what_is_due_at_once_is_sent_at_once_and_by_nobody() {
    on_every_driver(|| async {
        process::send_after(self_pid(), 0, Duration::ZERO);
        assert_eq!(at_hand::<i32>(), 0);
        process::send_at(self_pid(), 1, process::now());
        assert_eq!(at_hand::<i32>(), 1);

        // A destructor that runs because of it is not part of the process that set the timer.
        struct WhoAmI(ibeam_runtime::Pid);
        impl Drop for WhoAmI {
            fn drop(&mut self) {
                self.0.send(process::try_self_pid());
            }
        }
        process::send_after("nobody", WhoAmI(self_pid()), Duration::ZERO);
        assert_eq!(at_hand::<Option<ibeam_runtime::Pid>>(), None);
    });
}

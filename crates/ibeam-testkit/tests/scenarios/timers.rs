//! Timers: never early, never after a cancel that came in time, once.

use ibeam::prelude::*;
use ibeam_testkit::prelude::*;

use crate::*;

#[ibeam::simulate(faults = Faults::none().slow(20 * MS).clock_jumps(30 * MS).late_timers(30 * MS))]
async fn a_cancel_that_came_in_time_is_kept() {
    let test = process::self_pid();
    for n in 0..10_u64 {
        let timer = process::send_after(test, n, 10 * MS);
        process::sleep(Duration::from_millis(5 + n)).await;
        match timer.cancel() {
            Some(_left) => refute_receive!(m: u64 if m == n, within: 200 * MS),
            None => {
                assert_received!(m: u64 if m == n, "it was done, so it is there");
                refute_receive!(m: u64 if m == n, within: 200 * MS);
            }
        }
    }
}

#[ibeam::simulate(faults = Faults::none().slow(20 * MS).clock_jumps(30 * MS).late_timers(30 * MS))]
async fn an_interval_is_never_ahead_of_the_clock() {
    let start = process::now();
    let interval = process::send_interval(process::self_pid(), "tick", 10 * MS);
    for count in 1..=10_u32 {
        assert_receive!("tick", within: 1_000 * MS);
        let passed = process::now() - start;
        assert!(passed >= 10 * MS * count, "tick {count} after {passed:?}");
    }
    assert!(interval.cancel());
    // One may have been on its way.
    while receive! { "tick" => true, after Duration::ZERO => false } {}
    refute_receive!("tick", within: 500 * MS);
}

#[ibeam::simulate(faults = Faults::none().kills(3).slow(20 * MS).clock_jumps(30 * MS).late_timers(30 * MS))]
async fn a_timeout_is_never_early_whoever_is_killed() {
    let test = process::self_pid();
    for n in 1..=5_u64 {
        process::builder().label("sleeper").spawn(async move {
            let (start, time) = (process::now(), Duration::from_millis(7 * n));
            receive! {
                "never" => {},
                after time => {},
            }
            assert!(process::now() - start >= time);
            test.send("woke");
        });
    }
    let mut woke = 0;
    while receive! { "woke" => true, after 5_000 * MS => false } {
        woke += 1;
    }
    assert!((2..=5).contains(&woke), "{woke} of 5, at most 3 killed");
}

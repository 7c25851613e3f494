//! The four message asserts, and catching exits and panics.

mod common;

use std::time::Duration;

use common::check_failure;
use ibeam::prelude::*;
use ibeam_testkit::prelude::*;

#[derive(Debug)]
struct Pair(&'static str, u32);
struct Hidden;

fn me() -> Pid {
    process::self_pid()
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_010_an_assert_waits_for_the_message() {
    let test = me();
    process::spawn(async move { test.send("hello") });
    assert_receive!("hello");
}

#[ibeam::test(every, seeds = 0..5)]
async fn an_assert_takes_what_matches_and_leaves_the_rest() {
    me().send(1_u64);
    me().send(Pair("a", 1));
    me().send(Pair("b", 2));
    assert_eq!(assert_receive!(Pair("b", n)), 2);
    assert_eq!(assert_receive!(Pair(name, n) if n < 2), ("a", 1));
    assert_eq!(assert_received!(n: u64), 1);
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_012_an_own_message_does_no_harm_when_it_is_not_needed() {
    me().send("hello");
    let message = assert_receive!(message, within: Duration::ZERO, "nothing came for {}", "me");
    assert_eq!(message.downcast::<&str>().unwrap(), "hello");
}

#[test]
fn an_own_message_goes_before_the_failure() {
    check_failure(
        || async { assert_receive!("hello", within: Duration::ZERO, "nothing came for {}", "me") },
        &[
            "nothing came for me\nassert_receive!: found no message matching `\"hello\"`\nthe mailbox is empty",
        ],
    );
}

/// That a wrong timeout does not compile is a test in the docs of `RECEIVE_TIMEOUT`; here is what does.
#[ibeam::test(every, seeds = 0..5)]
async fn tst_014_a_timeout_is_a_duration() {
    me().send("hello");
    assert_receive!("hello", within: Duration::from_millis(1));
    refute_receive!("hello", within: Duration::from_millis(1));
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_017_assert_received_does_not_wait() {
    me().send("hello");
    assert_received!("hello");
    let before = process::now();
    let test = me();
    process::send_after(test, "late", Duration::from_millis(50));
    let panic = catch_panic(async { assert_received!("late") }).await;
    assert!(panic.message().contains("found no message matching `\"late\"`"), "{panic}");
    assert!(process::now() - before < Duration::from_millis(50));
}

#[test]
fn tst_019_a_variable_of_the_guard_is_listed_once() {
    check_failure(
        || async {
            let x = 7;
            me().send(Pair("hello", 3));
            assert_received!(Pair(_, n) if n == x || n == x + 1);
        },
        &["with x = 7\nmailbox, showing 1 of 1, the oldest first:\n    Pair"],
    );
}

#[test]
fn tst_020_all_variables_of_the_guard_are_listed() {
    check_failure(
        || async {
            let (x, name, hidden) = (7, "world", Hidden);
            let is = |_: &Hidden| true;
            assert_received!(Pair(s, n) if n == x && s == name && is(&hidden));
        },
        &["with x = 7\n     name = \"world\"\n     hidden = a value of type `Hidden`\n"],
    );
}

#[test]
fn tst_021_a_failure_says_that_the_mailbox_is_empty() {
    check_failure(|| async { assert_received!("hello") }, &["the mailbox is empty"]);
}

#[test]
fn tst_022_a_failure_shows_the_messages() {
    check_failure(
        || async {
            me().send("world");
            assert_received!("hello");
        },
        &["no message matching `\"hello\"`\nmailbox, showing 1 of 1, the oldest first:\n    \"world\": &str"],
    );
    check_failure(
        || async {
            (0..12_u64).for_each(|n| me().send(n));
            me().send(Hidden);
            assert_received!("hello");
        },
        &["showing 10 of 13, the oldest first:\n    3: u64", "    11: u64\n    Hidden"],
    );
}

#[test]
fn messages_are_shown_by_their_values_if_that_is_wished() {
    #[derive(Debug)]
    #[allow(dead_code, reason = "shown")]
    struct Order {
        item: u8,
    }
    ibeam_testkit::show::<Order>();
    check_failure(
        || async {
            me().send(Order { item: 5 });
            assert_received!("hello");
        },
        &["    Order { item: 5 }"],
    );
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_023_what_the_pattern_binds_is_the_value() {
    me().send(("hello", "world"));
    let world = assert_received!(("hello", world): (&str, &str));
    assert_eq!(world, "world");
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_030_refute_received_does_not_wait() {
    process::send_after(me(), "hello", Duration::from_millis(20));
    refute_received!("hello");
    assert_receive!("hello");
}

#[test]
fn tst_031_a_refutal_quotes_the_message_and_the_pattern() {
    check_failure(
        || async {
            me().send("hello");
            refute_received!("hello");
        },
        &["refute_received!: unexpectedly found \"hello\": &str, which matches `\"hello\"`"],
    );
    check_failure(
        || async {
            let limit = 3;
            process::send_after(me(), 5_u64, Duration::from_millis(1));
            refute_receive!(n: u64 if n > limit);
        },
        &["unexpectedly received 5: u64, which matches `n: u64 if n > limit`\nwith limit = 3"],
    );
}

#[ibeam::test(every, seeds = 0..5)]
async fn a_refutal_leaves_what_does_not_match() {
    me().send(2_u64);
    refute_receive!(n: u64 if n > 3, within: Duration::from_millis(1));
    assert_received!(2_u64);
}

#[test]
fn tst_032_catching_from_what_ends_normally_is_a_failure() {
    check_failure(
        || async { drop(catch_exit(async {}).await) },
        &["expected to catch an exit, and got nothing"],
    );
    check_failure(
        || async { drop(catch_panic(async {}).await) },
        &["expected to catch a panic, and got nothing"],
    );
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_033_exits_and_panics_are_caught() {
    assert_eq!(catch_exit(async { process::exit(ExitReason::other(1)) }).await, ExitReason::other(1));
    assert_eq!(catch_panic(async { panic!("an error") }).await.message(), "an error");
}

#[test]
fn a_catcher_lets_the_other_kind_pass() {
    check_failure(|| async { drop(catch_exit(async { panic!("boom") }).await) }, &["panic: boom"]);
    check_failure(
        || async { drop(catch_panic(async { process::exit(ExitReason::other("gone")) }).await) },
        &["the test process exited: \"gone\""],
    );
}

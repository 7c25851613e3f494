//! Capturing what the processes of a test log.

use std::time::Duration;

use ibeam::prelude::*;
use ibeam_testkit::LogCapture;
use ibeam_testkit::prelude::*;
use tracing::Level;

#[ibeam::test(every, seeds = 0..5)]
async fn tst_040_nothing_logged_is_an_empty_text() {
    assert_eq!(capture_log(Level::TRACE, async {}).await, "");
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_041_a_capture_has_a_level() {
    let log = capture_log(Level::WARN, async {
        tracing::info!("not heard");
        tracing::warn!("heard");
    });
    assert_eq!(log.await, "[warn] log_capture: heard\n");
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_043_a_capture_sends_its_process_nothing() {
    process::trap_exit(true);
    capture_log(Level::INFO, async { tracing::info!("logged") }).await;
    refute_receive!(_, within: Duration::from_millis(100));
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_044_the_value_comes_with_the_log() {
    let (value, log) = with_log(Level::INFO, async {
        tracing::error!("calculating");
        2 + 2
    })
    .await;
    assert_eq!(value, 4);
    assert!(log.contains("calculating"));
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_045_records_are_written_as_the_format_says() {
    let capture = LogCapture::new(Level::INFO).format(|record| {
        format!("{}: {} {}", record.level, record.message, record.field("id").unwrap_or("-"))
    });
    let log = capture_log(capture, async { tracing::info!(id = 123, "hello") });
    assert_eq!(log.await, "INFO: hello 123\n");
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_046_an_inner_capture_has_its_own_options() {
    let outer = capture_log(Level::INFO, async {
        let inner = LogCapture::new(Level::ERROR).format(|record| format!("inner {}", record.message));
        let log = capture_log(inner, async {
            tracing::error!("one");
            tracing::info!("two");
        });
        assert_eq!(log.await, "inner one\n");
    });
    assert_eq!(outer.await, "[error] log_capture: one\n[info] log_capture: two\n");
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_047_any_function_can_write_a_record() {
    fn shouting(record: &ibeam_testkit::LogRecord) -> String {
        record.message.to_uppercase()
    }
    let log = capture_log(LogCapture::new(Level::INFO).format(shouting), async { tracing::info!("hello") });
    assert_eq!(log.await, "HELLO\n");
}

/// Another test that logs at the same time is not heard: each of these would hear the other's `n`.
#[test]
fn a_capture_hears_its_own_test_only() {
    std::thread::scope(|scope| {
        for n in 0..4_u64 {
            scope.spawn(move || {
                Test::check(async move {
                    let log = capture_log(Level::INFO, async {
                        for _ in 0..50 {
                            let (_pid, monitor) = process::spawn_monitor(async move { tracing::info!("{n}") });
                            assert_receive!(Down { monitor: m, .. } if m == monitor, within: Duration::from_secs(10));
                        }
                    })
                    .await;
                    let expected = format!("[info] log_capture: {n}\n").repeat(50);
                    assert_eq!(log, expected);
                });
            });
        }
    });
}

//! A program that listens to no `tracing` sees its crashes all the same: on its standard error, in a line each.
//!
//! Subscribers are set for a whole program, so these tests start the test program again as one of its own.

use std::process::Command;
use std::time::Duration;

use ibeam_runtime::{Down, ExitReason, Runtime, process};

/// Set in the program that crashes.
const CRASHES: &str = "IBEAM_TEST_CRASHES";

/// What the program that runs the test of this name, and nothing else, writes to its standard error.
fn stderr_of(test: &str, rust_backtrace: &str) -> String {
    let mut program = Command::new(std::env::current_exe().expect("the test program knows its file"));
    program.args(["--exact", test, "--nocapture"]).env(CRASHES, "1").env("RUST_BACKTRACE", rust_backtrace);
    let output = program.env_remove("RUST_LIB_BACKTRACE").output();
    let output = output.expect("it can be started again");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

fn is_the_program_that_crashes() -> bool {
    std::env::var_os(CRASHES).is_some()
}

#[test]
fn a_crash_is_printed_once() {
    if is_the_program_that_crashes() {
        return crash();
    }
    let printed = stderr_of("a_crash_is_printed_once", "0");
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable_by_key(|line| line.contains("oops"));
    let [other, panicked] = lines[..] else { panic!("expected two lines, got:\n{printed}") };
    let is = |line: &str, end: &str| line.starts_with("process <0.") && line.contains(end);
    assert!(is(other, "> crashed: \"no name\""), "{other}");
    assert!(is(panicked, "> `the one` crashed: panic: oops at "), "{panicked}");
    assert!(panicked.contains(file!()), "{panicked}");
}

#[test]
fn a_crash_is_printed_with_its_backtrace_where_one_is_asked_for() {
    if is_the_program_that_crashes() {
        return crash();
    }
    let printed = stderr_of("a_crash_is_printed_with_its_backtrace_where_one_is_asked_for", "1");
    let of_the_panic =
        printed.split("process <0.").find(|part| part.contains("oops")).expect("it was printed");
    assert!(of_the_panic.contains("\nstack backtrace:\n"), "{of_the_panic}");
    // The place of the panic is a frame of it.
    assert!(of_the_panic.matches("crash_reports_printed.rs").count() > 1, "{of_the_panic}");
}

fn crash() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    runtime.block_on(async {
        process::builder().name("the one").spawn_monitor(async { panic!("oops") });
        process::spawn_monitor(async { ExitReason::other("no name") });
        process::spawn_monitor(async { ExitReason::Shutdown });
        for _ in 0..3 {
            process::recv().await.downcast::<Down>().unwrap();
        }
    });
    runtime.shutdown(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_panic_outside_of_processes_is_printed_as_ever() {
    if is_the_program_that_crashes() {
        drop(Runtime::builder().workers(1).build().unwrap());
        let panicked = std::thread::Builder::new()
            .name("a plain thread".to_owned())
            .spawn(|| panic!("not ours"))
            .unwrap();
        return assert!(panicked.join().is_err());
    }
    let printed = stderr_of("a_panic_outside_of_processes_is_printed_as_ever", "0");
    assert!(printed.contains("thread 'a plain thread'") && printed.contains("not ours"), "{printed}");
}

//! Looking at what processes say to each other: tracing, probes, waiting for a condition.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use ibeam::prelude::*;
use ibeam_testkit::prelude::*;
use ibeam_testkit::{RequestKind, wait_until_within};

fn echo() -> Pid {
    process::spawn(async {
        loop {
            receive! { (text, from): (&str, Pid) => from.send(text) }
        }
    })
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_025_a_traced_process_reports_what_it_receives() {
    let pid = process::spawn(async {
        receive! { "never" => {} }
    });
    let _tracing = trace(pid);
    pid.send("hello");
    let (traced, message) = assert_receive!(Traced { pid, heard: Heard::Received { message, call: false } });
    assert_eq!((traced, message.as_str()), (pid, "\"hello\": &str"));
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_026_a_traced_process_reports_what_it_sends() {
    let echo = echo();
    let _tracing = trace(echo);
    echo.send(("hello", process::self_pid()));
    assert_receive!("hello");
    let (pid, to, message) = assert_receive!(Traced { pid, heard: Heard::Sent { to, message, call: false } });
    assert_eq!((pid, to, message.as_str()), (echo, process::self_pid(), "\"hello\": &str"));
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_028_a_traced_scope_has_the_value_of_its_future() {
    let echo = echo();
    let ask = async {
        echo.send(("hello", process::self_pid()));
        assert_receive!(text: &str)
    };
    assert_eq!(with_trace(echo, ask).await, "hello");
    while process::try_recv().is_some() {}
    // The scope is over.
    echo.send(("again", process::self_pid()));
    assert_receive!("again");
    refute_received!(_: Traced);
}

#[ibeam::test(every, seeds = 0..5)]
async fn calls_and_ends_are_reported_too() {
    let server = process::spawn(async {
        let (number, from) = process::recv().await.take_call::<u64, u64>().unwrap();
        from.reply(number);
        process::exit(ExitReason::Shutdown);
    });
    let _tracing = trace(server);
    assert_eq!(process::Call::<u64, u64>::new(server, 7).await, Ok(7));
    let message = assert_receive!(Traced { heard: Heard::Received { message, call: true }, .. });
    assert_eq!(message, "call u64");
    assert_receive!(Traced { pid, heard: Heard::Exited { reason: ExitReason::Shutdown } } if pid == server);
}

#[ibeam::test(every, seeds = 0..5)]
async fn a_traced_process_works_as_before() {
    let sum = process::spawn(async {
        let mut sum = 0;
        loop {
            receive! {
                n: u64 => sum += n,
                from: Pid => from.send(sum),
            }
        }
    });
    let test = process::self_pid();
    let _tracing = trace(sum);
    // More than it may handle in one turn.
    for n in 0..1_000_u64 {
        sum.send(n);
    }
    sum.send(test);
    assert_receive!(499_500_u64, within: Duration::from_secs(10));
    for n in 0..1_000_u64 {
        let message = assert_received!(Traced { heard: Heard::Received { message, .. }, .. });
        assert_eq!(message, format!("{n}: u64"));
    }
}

#[test]
fn a_process_cannot_trace_itself() {
    common::check_failure(|| async { drop(trace(process::self_pid())) }, &["cannot trace itself"]);
}

struct Store(u64);
struct Put(u64);
struct Tick;

#[gen_server]
impl Store {
    async fn init(start: u64) -> Init<Self> {
        Init::ok(Store(start))
    }
    #[call]
    async fn value(&mut self) -> u64 {
        self.0
    }
    #[info]
    async fn tick(&mut self, _: Tick) {
        self.0 += 1;
    }
}

impl HandleCast<Put> for Store {
    async fn handle_cast(&mut self, Put(value): Put) -> Next {
        self.0 = value;
        Next::go_on()
    }
}

#[ibeam::test(every, seeds = 0..5)]
async fn a_probe_around_a_server_passes_everything_on() {
    let store = start_supervised(Store::child(1)).await.unwrap();
    let probe = Probe::around(&store).name("store").start();
    let server = ServerRef::<Store>::named("store");
    assert_eq!(server.value().await, Ok(1));
    server.cast(Put(5));
    server.send(Tick);
    // The next call comes behind them on the same way.
    assert_eq!(server.value().await, Ok(6));
    assert_eq!(probe.requests(), ["call Store::value", "Put", "Tick", "call Store::value"]);
    let pid = probe.pid();
    assert_receive!(Probed { probe, kind: RequestKind::Message, request, .. } if request == "Put" && probe == pid);
}

#[ibeam::test(every, seeds = 0..5)]
async fn a_probe_in_place_of_a_server_answers_as_it_was_told() {
    let took = Arc::new(AtomicBool::new(false));
    let taken = Arc::clone(&took);
    let probe = Probe::<Store>::in_place()
        .answer(|_: __Store_value| 99)
        .take_cast(move |Put(value)| taken.store(value == 3, SeqCst))
        .start();
    probe.server().cast(Put(3));
    assert_eq!(probe.server().value().await, Ok(99));
    assert!(took.load(SeqCst));
    let monitor = process::monitor(probe.pid());
    drop(probe);
    assert_receive!(Down { monitor: m, reason: ExitReason::Killed, .. } if m == monitor);
}

#[ibeam::test(every, seeds = 0..5)]
async fn waiting_goes_on_when_somebody_has_made_it_so() {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    process::self_pid().send("stays");
    process::spawn(async move {
        process::sleep(Duration::from_millis(20)).await;
        set.store(true, SeqCst);
    });
    wait_until(|| async { flag.load(SeqCst) }).await;
    assert_received!("stays");
}

#[test]
fn waiting_in_vain_fails_with_the_mailbox() {
    common::check_failure(
        || async {
            process::self_pid().send(7_u64);
            wait_until_within(Duration::from_millis(10), || async { false }).await;
        },
        &["the condition did not become true within 10ms (", "probes_and_traces.rs", "    7: u64"],
    );
}

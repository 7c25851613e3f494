//! A program that is a tokio program and stays one: what its tasks can do with processes, and what they are told where they
//! cannot. Each test has a tokio runtime of its own, all share ibeam's default runtime, which outlives them.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use ibeam::prelude::*;
use tokio::sync::{mpsc, oneshot};

struct Counter {
    value: u64,
}

#[gen_server(client = pub(crate) CounterClient)]
impl Counter {
    async fn init(start: u64) -> Init<Self> {
        Init::ok(Counter { value: start })
    }

    #[call]
    async fn add(&mut self, by: u64) -> u64 {
        self.value += by;
        self.value
    }

    #[call]
    async fn crash(&mut self) {
        panic!("asked to");
    }

    /// Answers when tokio says that the time is up.
    #[call]
    async fn add_later(&mut self, by: u64, from: CallFrom<u64>) -> Reply<u64> {
        let value = self.value + by;
        process::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            from.reply(value);
        });
        Reply::later()
    }
}

#[tokio::test]
async fn a_task_spawns_a_process_and_sends_to_it() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let pid = process::spawn(async move {
        loop {
            receive! {
                text: &'static str => told.send(text).unwrap(),
                0_u8 => break,
            }
        }
    });
    pid.send("one");
    // From another task, on whatever thread.
    tokio::spawn(async move { pid.send("two") }).await.unwrap();
    pid.send(0_u8);
    assert_eq!(hears.recv().await, Some("one"));
    assert_eq!(hears.recv().await, Some("two"));
    assert_eq!(hears.recv().await, None, "the process has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_call_a_server() {
    let counter = Counter::start(0).await.unwrap();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let counter = counter.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    counter.add(1).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(counter.add(0).await, Ok(1_000));
    assert_eq!(counter.add_later(1).await, Ok(1_001));
    counter.stop(ExitReason::Normal, Duration::from_secs(5)).await.unwrap();
    let error = counter.add(1).await.unwrap_err();
    assert!(
        matches!(&error, CallError::NoProc { .. } | CallError::Exited { reason: ExitReason::Normal, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_task_learns_why_its_call_has_no_reply() {
    let counter = Counter::start(0).await.unwrap();
    let error = counter.crash().await.unwrap_err();
    assert!(matches!(&error, CallError::Exited { reason: ExitReason::Panic(_), .. }), "{error}");

    let silent = ServerRef::<Counter>::of(process::spawn(std::future::pending::<()>()));
    let error = silent.add(1).timeout(Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_tokio_clock_that_stands_still_does_not_stop_processes() {
    let counter = Counter::start(1).await.unwrap();
    assert_eq!(counter.add_later(1).await, Ok(2));
}

#[tokio::test]
async fn a_tokio_timeout_or_select_around_a_call_only_stops_the_waiting() {
    let counter = Counter::start(0).await.unwrap();
    let silent = ServerRef::<Counter>::of(process::spawn(std::future::pending::<()>()));
    tokio::select! {
        _ = silent.add(1).timeout(Timeout::Infinity) => panic!("it never answers"),
        added = counter.add(1) => assert_eq!(added, Ok(1)),
    }
    let waited = tokio::time::timeout(Duration::from_millis(1), silent.add(1).timeout(Timeout::Infinity));
    assert!(waited.await.is_err());
    assert_eq!(counter.add(1).await, Ok(2));
}

#[tokio::test]
async fn processes_use_tokio_of_their_own_runtime_not_of_the_test() {
    let (done, is_done) = oneshot::channel();
    process::spawn(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), tokio::net::TcpStream::connect(address));
        let sum = tokio::spawn(async { 1 + 1 }).await.unwrap();
        done.send((accepted.is_ok(), connected.is_ok(), sum)).unwrap();
    });
    assert_eq!(is_done.await, Ok((true, true, 2)));
}

#[test]
fn processes_outlive_the_tokio_runtime_they_were_started_from() {
    let tokio = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let counter = tokio().block_on(async { Counter::start(1).await.unwrap() });
    assert_eq!(tokio().block_on(async { counter.add_later(1).await }), Ok(2));
}

#[tokio::test]
async fn from_outside_of_a_process_the_rest_works() {
    let pid = process::builder().name("plain_tokio::rest").spawn(async {
        receive! { Exit { .. } => {}, 0_u8 => {} }
    });
    assert_eq!(process::whereis("plain_tokio::rest"), Some(pid));
    assert!(process::registered().iter().any(|name| name.as_str() == "plain_tokio::rest"));
    assert!(process::list().contains(&pid));
    assert_eq!(process::info(pid).await.map(|info| info.pid), Some(pid));
    assert_eq!(process::try_self_pid(), None);
    process::yield_now().await;
    process::sleep(Duration::from_millis(1)).await;
    let timer = process::send_after(pid, 0_u8, Duration::from_secs(3600));
    assert!(timer.cancel().is_some());
    process::unregister("plain_tokio::rest").unwrap();
    process::register("plain_tokio::rest again", pid).unwrap();
    process::exit_signal(pid, ExitReason::Shutdown);
    process::kill(pid);
    let supervisor = Supervisor::new(Strategy::OneForOne).start().await.unwrap();
    supervisor.stop(ExitReason::Shutdown, Duration::from_secs(5)).await.unwrap();
}

/// What every function that needs a mailbox says outside of a process.
fn expected(function: &str) -> String {
    format!(
        "`{function}` needs a process to act on, and this code runs outside of one: start it with `process::spawn` or \
         `Runtime::block_on`, not with `tokio::spawn` or on a thread of its own"
    )
}

#[track_caller]
fn check<R>(function: &str, call: impl FnOnce() -> R) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(call()))) else {
        panic!("expected a panic of `{function}` outside of a process");
    };
    let said = payload.downcast_ref::<String>().expect("a panic with a text");
    assert_eq!(*said, expected(function));
}

/// Polls once: where a future needs a process it says so at its first poll.
fn poll(future: impl Future) {
    let _ = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
}

#[tokio::test]
async fn what_needs_a_mailbox_says_so_outside_of_a_process() {
    use ibeam::process::Key;
    static KEY: Key<u64> = Key::new("key");
    let pid = process::spawn(std::future::pending::<()>());
    let reference = process::make_ref();

    check("self_pid", || process::self_pid());
    check("exit", || process::exit(ExitReason::Normal));

    check("recv", || poll(process::recv()));
    check("try_recv", || process::try_recv());
    check("receive", || {
        poll(async {
            receive! { 0_u8 => {} }
        })
    });
    check("receive", || {
        poll(async {
            receive! { 0_u8 => {}, after Duration::ZERO => {} }
        })
    });
    check("hibernate", || poll(process::hibernate()));

    check("link", || process::link(pid));
    check("unlink", || process::unlink(pid));
    check("trap_exit", || process::trap_exit(true));
    check("spawn_link", || process::spawn_link(async {}));
    check("spawn_monitor", || process::spawn_monitor(async {}));

    check("monitor", || process::monitor(pid));
    check("monitor", || process::monitor_builder(pid).start());
    check("demonitor", || process::demonitor(reference));
    check("demonitor_flush", || process::demonitor_flush(reference));
    check("alias", || process::alias(AliasMode::Explicit));

    check("put", || process::put(KEY, 1));
    check("get", || process::get(KEY));
    check("take", || process::take(KEY));
    check("keys", || process::keys());

    check("name", || process::name());
    check("label", || process::label());
    check("set_label", || process::set_label("label"));
    check("set_activity", || process::set_activity(None));
    check("set_priority", || process::set_priority(ibeam::Priority::Low));
    check("parent", || process::parent());
    check("ancestors", || process::ancestors());
    check("callers", || process::callers());

    check("spawn_link", || poll(std::future::IntoFuture::into_future(Counter::start_link(0))));
    process::kill(pid);
}

#[tokio::test]
async fn an_alias_is_given_up_by_a_process_only() {
    let (tell, told) = oneshot::channel();
    process::spawn(async move { tell.send(process::alias(AliasMode::Explicit)).unwrap() });
    let alias = told.await.unwrap();
    check("unalias", || process::unalias(alias));
}

#[tokio::test]
async fn a_task_looks_at_a_supervision_tree() {
    let app = Supervisor::new(Strategy::OneForOne).child(Counter::child(0).id("counter").name("counted"));
    let app = app.start().await.unwrap();
    let tree = ibeam::supervisor::tree(&app).await.unwrap();
    let counter = process::whereis("counted").unwrap();
    let expected =
        format!("{} supervisor, 1 child\n└─ counter (counted) {counter} worker\n", app.pid().unwrap());
    assert_eq!(tree.to_string(), expected);
    app.stop(ExitReason::Normal, None).await.unwrap();
}

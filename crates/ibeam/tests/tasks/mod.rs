//! Tasks, and questions about them, for the tests of tasks.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ibeam::prelude::*;

/// To a task of this module: go on.
pub(crate) struct Go;

/// The callers of a task, as it tells them.
pub(crate) struct Caller(pub(crate) Vec<Pid>);

pub(crate) fn unknown() -> &'static str {
    "unknown"
}

/// Waits for [`Go`], then this.
pub(crate) async fn waits_for_go<T>(then: impl FnOnce() -> T) -> T {
    receive! { Go => {} }
    then()
}

pub(crate) async fn tell(told: Pid, what: &'static str) {
    told.send(what);
}

/// A named function with arguments: doubles when told to go.
pub(crate) async fn double(number: u32) -> u32 {
    waits_for_go(|| number * 2).await
}

/// A task that has ended. The owner has to trap exits if it ends abnormally.
pub(crate) async fn ended<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    let task = Task::spawn(future);
    let monitor = process::monitor(task.pid().unwrap());
    receive! { Down { monitor: gone, .. } if gone == monitor => {} }
    task
}

/// An endless task whose owner is another process, and that process.
pub(crate) async fn of_another() -> (Task<()>, Pid) {
    let me = process::self_pid();
    let owner = process::spawn(async move {
        me.send(Task::spawn(std::future::pending::<()>()));
        std::future::pending::<()>().await
    });
    (receive! { task: Task<()> => task }, owner)
}

/// The processes that the calling one is linked to.
pub(crate) async fn links() -> Vec<Pid> {
    process::info(process::self_pid()).await.expect("a process that asks about itself").links
}

/// What the panic of `f` says.
pub(crate) fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("expected a panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().expect("a text").to_string(),
    }
}

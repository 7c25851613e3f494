//! Servers inside a program that is a tokio program and stays one: plain tasks call them and wait for replies.
//!
//! ```sh
//! cargo run -p ibeam --example inside_tokio
//! ```
//!
//! prints
//!
//! ```text
//! 10 tasks have counted to 55
//! a process has answered a task: 56
//! a task is no process
//! ```
//!
//! ibeam's runtime starts at its first use, with threads and I/O of its own. What needs a mailbox (`receive!`, `link`,
//! `monitor`, `start_link`) needs a process: `process::spawn` makes one from anywhere.

use ibeam::prelude::*;
use tokio::task::JoinSet;

struct Counter {
    value: u64,
}

#[gen_server(client = pub(crate) CounterClient)]
impl Counter {
    async fn init() -> Init<Self> {
        Init::ok(Counter { value: 0 })
    }

    /// Adds `by` and returns the new value.
    #[call]
    async fn add(&mut self, by: u64) -> u64 {
        self.value += by;
        self.value
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `start`, not `start_link`: `main` is no process that could be linked to.
    let counter = Counter::start().await?;

    let mut tasks = JoinSet::new();
    for by in 1..=10 {
        let counter = counter.clone();
        tasks.spawn(async move { counter.add(by).await });
    }
    while let Some(added) = tasks.join_next().await {
        added??;
    }
    println!("10 tasks have counted to {}", counter.add(0).await?);

    // Processes and tasks talk through whatever both know: calls, or any channel.
    let (answer, answered) = tokio::sync::oneshot::channel();
    process::spawn(async move {
        let _ = answer.send(counter.add(1).await);
    });
    println!("a process has answered a task: {}", answered.await??);

    if process::try_self_pid().is_none() {
        println!("a task is no process");
    }
    Ok(())
}

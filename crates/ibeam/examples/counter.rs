//! A GenServer: state that one process owns, behind typed calls and casts.
//!
//! ```sh
//! cargo run -p ibeam --example counter
//! ```
//!
//! prints
//!
//! ```text
//! increment by 2: 42
//! after a reset, by name: 1
//! stopped at 1: normal
//! nobody is left to call: called `counter`, which is no live process
//! ```

use std::time::Duration;

use ibeam::prelude::*;

struct Counter {
    value: i64,
}

#[gen_server(client = pub(crate) CounterClient)]
impl Counter {
    async fn init(start: i64) -> Init<Self> {
        Init::ok(Counter { value: start })
    }

    /// Adds `by` and returns the new value.
    #[call]
    async fn increment(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    /// Nobody waits for this one.
    #[cast]
    async fn reset(&mut self) {
        self.value = 0;
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        println!("stopped at {}: {reason}", self.value);
    }
}

#[ibeam::main]
async fn main() -> Result<(), ExitReason> {
    let counter = Counter::start_link(40).name("counter").await?;
    println!("increment by 2: {}", counter.increment(2).await?);
    counter.reset();

    // A name is looked up at each use: this handle would still be good after a restart of the server.
    let same = ServerRef::<Counter>::named("counter");
    println!("after a reset, by name: {}", same.increment(1).timeout(Duration::from_millis(500)).await?);

    let monitor = process::monitor(&counter);
    counter.stop(ExitReason::Normal, Duration::from_secs(1)).await?;
    // When its end is known, its name is free.
    receive! { Down { monitor: gone, .. } if gone == monitor => {} }
    if let Err(error) = same.increment(1).await {
        println!("nobody is left to call: {error}");
    }
    Ok(())
}

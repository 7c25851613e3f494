//! A supervisor: a worker crashes, and is started again from its first arguments.
//!
//! ```sh
//! cargo run -p ibeam --example supervised
//! ```
//!
//! prints
//!
//! ```text
//! 100 / 7 = 14
//! 100 / 0: the worker is gone, it panicked
//! the supervisor has started another one
//! 100 / 5 = 20
//! answers given by this worker: 1
//! ```
//!
//! The crash report goes to standard error: who it was, and why. A program that listens to `tracing` has it as an event.

use std::time::Duration;

use ibeam::prelude::*;

/// Divides one number by others.
struct Divider {
    dividend: i64,
    answers: u64,
}

#[gen_server(client = pub(crate) DividerClient)]
impl Divider {
    async fn init(dividend: i64) -> Init<Self> {
        Init::ok(Divider { dividend, answers: 0 })
    }

    /// Panics if `divisor` is 0. There is no code for that case: the next worker begins with a state that is known to be good.
    #[call]
    async fn divide_by(&mut self, divisor: i64) -> i64 {
        let quotient = self.dividend / divisor;
        self.answers += 1;
        quotient
    }

    #[call]
    async fn answers(&mut self) -> u64 {
        self.answers
    }
}

#[ibeam::main]
async fn main() -> Result<(), ExitReason> {
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .intensity(3, Duration::from_secs(5))
        .child(ChildSpec::server("divider", || Divider::start_link(100).name("divider")))
        .start_link()
        .await?;

    let divider = ServerRef::<Divider>::named("divider");
    println!("100 / 7 = {}", divider.divide_by(7).await?);

    let first = divider.pid().ok_or(ExitReason::NoProc)?;
    let monitor = process::monitor(first);
    if let Err(CallError::Exited { reason: ExitReason::Panic(_), .. }) = divider.divide_by(0).await {
        println!("100 / 0: the worker is gone, it panicked");
    }

    // When we hear of the death, the supervisor has heard of it too: it answers when it has restarted the child.
    receive! { Down { monitor: gone, .. } if gone == monitor => {} }
    let children = supervisor.which_children().await?;
    if children[0].pid.is_some_and(|second| second != first) {
        println!("the supervisor has started another one");
    }
    println!("100 / 5 = {}", divider.divide_by(5).await?);
    println!("answers given by this worker: {}", divider.answers().await?);
    Ok(())
}

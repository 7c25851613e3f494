//! A GenServer that stays free while others do the work: deferred replies, a continue, a timeout, collected requests, and a
//! name that outlives a restart.
//!
//! ```sh
//! cargo run -p ibeam --example kitchen
//! ```
//!
//! prints
//!
//! ```text
//! the ovens are hot
//! table 2: toast
//! table 3: pie
//! table 1: roast
//! nobody has ordered for a while
//! the kitchen was closed: shutdown: "fire inspection"
//! the ovens are hot
//! the next kitchen made: soup
//! ```

use std::time::Duration;

use ibeam::gen_server::{Collected, RequestIds, ServerStatus, send_request};
use ibeam::prelude::*;

struct Kitchen {
    owner: Pid,
    ovens_hot: bool,
}

/// Work that the first order waits for, but `start` does not.
#[derive(Debug)]
struct HeatOvens;

#[gen_server(client = pub(crate) KitchenClient)]
impl Kitchen {
    async fn init(owner: Pid) -> Init<Self> {
        Init::ok(Kitchen { owner, ovens_hot: false }).then(HeatOvens)
    }

    /// Somebody else cooks, and replies when it is done; the kitchen takes the next order meanwhile.
    #[call]
    async fn order(
        &mut self,
        dish: &'static str,
        minutes: u64,
        from: CallFrom<&'static str>,
    ) -> Reply<&'static str> {
        assert!(self.ovens_hot);
        process::spawn(async move {
            process::sleep(Duration::from_millis(minutes * 10)).await;
            from.reply(dish);
        });
        Reply::later()
    }

    /// If nothing is ordered within that time, `handle_timeout` runs.
    #[cast]
    async fn wait_for_orders(&mut self, patience: Duration) -> Next {
        Next::timeout(patience)
    }

    async fn handle_continue(&mut self, work: Continue) {
        if let Ok(HeatOvens) = work.downcast() {
            self.ovens_hot = true;
            println!("the ovens are hot");
        }
    }

    async fn handle_timeout(&mut self) {
        println!("nobody has ordered for a while");
        self.owner.send("idle");
    }

    /// What a report of its crash would show: not the owner.
    fn format_status(&self, status: &mut ServerStatus) {
        status.state = format!("Kitchen {{ ovens_hot: {} }}", self.ovens_hot);
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        println!("the kitchen was closed: {reason}");
    }
}

#[ibeam::main]
async fn main() -> Result<(), ExitReason> {
    let me = process::self_pid();
    let kitchen = Kitchen::start(me).name("kitchen").await?;

    // All orders at once, and each dish when it comes.
    let mut orders = RequestIds::new();
    orders.add(send_request(kitchen.order("roast", 60)), 1);
    orders.add(send_request(kitchen.order("toast", 1)), 2);
    orders.add(send_request(kitchen.order("pie", 30)), 3);
    while let Collected::Response { label: table, response } = orders.receive_response(Timeout::CALL).await {
        println!("table {table}: {}", response?);
    }

    kitchen.wait_for_orders(Duration::from_millis(1));
    receive! { "idle" => {} }

    // The kitchen goes, with a reason of ours that is no crash; a guest who knows the name waits for the next one.
    kitchen.stop(ExitReason::shutdown_with("fire inspection"), Timeout::CALL).await?;
    process::spawn(async move {
        let same = ServerRef::<Kitchen>::named("kitchen");
        me.send(same.order("soup", 1).wait_for_name().await);
    });
    Kitchen::start(me).name("kitchen").await?;
    let soup = receive! { dish: Result<&'static str, CallError> => dish? };
    println!("the next kitchen made: {soup}");
    Ok(())
}

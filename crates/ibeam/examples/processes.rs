//! Processes without a behaviour: spawn, send, `receive!`, monitor, link.
//!
//! ```sh
//! cargo run -p ibeam --example processes
//! ```
//!
//! prints
//!
//! ```text
//! hello, Joe
//! the greeter is gone: normal
//! the number came first, the text was taken first: text, 42
//! nothing came for 10 ms
//! the linked process took its time, then: timeout
//! ```

use std::time::Duration;

use ibeam::prelude::*;

struct Greet {
    name: String,
    from: Pid,
}
struct Greeting(String);

/// Ends normally after one greeting, or with a reason of its own choice if nobody comes.
async fn greeter() {
    receive! {
        Greet { name, from } => from.send(Greeting(format!("hello, {name}"))),
        after Duration::from_secs(5) => process::exit(ExitReason::Timeout),
    }
}

#[ibeam::main]
async fn main() {
    // A monitor tells when, and why, a process has ended. It is in place before the process runs.
    let (greeter, monitor) = process::spawn_monitor(greeter());
    greeter.send(Greet { name: "Joe".into(), from: process::self_pid() });
    receive! { Greeting(text) => println!("{text}") }
    let reason = receive! { Down { monitor: gone, reason, .. } if gone == monitor => reason };
    println!("the greeter is gone: {reason}");

    // What fits no arm stays where it is, for a later `receive!`.
    let me = process::self_pid();
    me.send(42_u64);
    me.send("text");
    let text = receive! { text: &'static str => text };
    let number = receive! { number: u64 => number };
    println!("the number came first, the text was taken first: {text}, {number}");

    receive! {
        _ => println!("somebody wrote to us"),
        after Duration::from_millis(10) => println!("nothing came for 10 ms"),
    }

    // Linked processes end together, unless one makes messages of exit signals, as this one does.
    process::trap_exit(true);
    let linked = process::spawn_link(async {
        process::sleep(Duration::from_millis(10)).await;
        process::exit(ExitReason::Timeout);
    });
    receive! { Exit { pid, reason, .. } if pid == linked => println!("the linked process took its time, then: {reason}") }
}

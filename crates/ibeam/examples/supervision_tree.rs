//! A supervision tree of three levels: who is restarted with whom, and who is left alone.
//!
//! ```sh
//! cargo run -p ibeam --example supervision_tree
//! ```
//!
//! prints
//!
//! ```text
//! the tree:
//!   config
//!   readers
//!     reader 1
//!     reader 2
//!   writer
//! reader 1 crashes, new are: reader 1
//! config crashes, new are: config, readers, reader 1, reader 2, writer
//! writer crashes, new are: writer
//! stopping in reverse order:
//!   writer
//!   reader 2
//!   reader 1
//!   config
//! ```
//!
//! The crash reports go to standard error.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use ibeam::prelude::*;

/// Is the whole tree on its way out?
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Something that others need, or that needs others. It says good-bye.
struct Part(String);

#[gen_server]
impl Part {
    async fn init(name: String) -> Init<Self> {
        // So that it is told when it is to stop.
        process::trap_exit(true);
        Init::ok(Part(name))
    }

    #[cast]
    async fn crash(&mut self) {
        process::exit(ExitReason::other("as told"));
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        // Restarts stop some of them too; that is not told here.
        if *reason == ExitReason::Shutdown && STOPPING.load(Relaxed) {
            println!("  {}", self.0);
        }
    }
}

fn part(name: &str) -> ChildSpec {
    let own = name.to_owned();
    ChildSpec::server(name, move || Part::start_link(own.clone()).name(own.as_str()))
}

/// Readers do not need each other: one that crashes is restarted alone.
struct Readers;

impl Supervise for Readers {
    type Args = u32;

    async fn init(count: u32) -> SupervisorInit {
        let readers = (1..=count).map(|number| part(&format!("reader {number}")));
        Supervisor::new(Strategy::OneForOne).intensity(3, Duration::from_secs(5)).children(readers).into()
    }
}

/// What comes later needs what comes before it: it is restarted with it.
fn app() -> Supervisor {
    Supervisor::new(Strategy::RestForOne)
        .child(part("config"))
        .child(Readers::child(2).id("readers"))
        .child(part("writer"))
}

/// All processes of the tree, by what they are called.
async fn tree(
    supervisor: &SupervisorRef,
    depth: usize,
    show: bool,
) -> Result<BTreeMap<String, Option<Pid>>, ExitReason> {
    let mut pids = BTreeMap::new();
    // The newest comes first.
    for child in supervisor.which_children().await?.into_iter().rev() {
        if show {
            println!("{:depth$}{}", "", child.id);
        }
        if let (Some(pid), ibeam::supervisor::Kind::Supervisor) = (child.pid, child.kind) {
            pids.append(&mut Box::pin(tree(&SupervisorRef::of(pid), depth + 2, show)).await?);
        }
        pids.insert(child.id.to_string(), child.pid);
    }
    Ok(pids)
}

#[ibeam::main]
async fn main() -> Result<(), ExitReason> {
    let app = app().start_link().await?;
    println!("the tree:");
    let mut before = tree(&app, 2, true).await?;

    let in_order = ["config", "readers", "reader 1", "reader 2", "writer"];
    for name in ["reader 1", "config", "writer"] {
        let victim = ServerRef::<Part>::named(name);
        let monitor = process::monitor(&victim);
        victim.crash();
        receive! { Down { monitor: gone, .. } if gone == monitor => {} }
        // Its supervisor has heard of it before us, so it answers when it has restarted what it had to.
        let after = tree(&app, 2, false).await?;
        let new: Vec<_> = in_order.into_iter().filter(|name| after.get(*name) != before.get(*name)).collect();
        println!("{name} crashes, new are: {}", new.join(", "));
        before = after;
    }

    println!("stopping in reverse order:");
    STOPPING.store(true, Relaxed);
    app.stop(ExitReason::Normal, Duration::from_secs(5)).await?;
    Ok(())
}

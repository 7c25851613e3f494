//! Panics where they hurt: in `init`, in handlers, in `terminate`, in destructors of the state, of requests, of replies, of messages
//! that nobody reads.
//!
//! Goal: each server ends once, with a reason; each call ends; nothing of it is left. Each scene is a process of its own, because
//! what explodes in the wrong hands is a panic there.

use std::time::Duration;

use ibeam::{Metrics, prelude::*};

use crate::common::{on_each_driver, until};
use crate::scale::{Chance, alone, pick};

/// Explodes when dropped, if it is armed, unless another panic is under way: that would be the end of the program, as anywhere in Rust.
struct Bomb {
    armed: bool,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.armed && !std::thread::panicking() {
            panic!("a bomb was dropped");
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
struct Plan {
    init: bool,
    handler: bool,
    terminate: bool,
    state: bool,
    request: bool,
    reply: bool,
    /// A message that the server never reads.
    unread: bool,
    caller_leaves: bool,
}

impl Plan {
    fn by(chance: &mut Chance) -> Self {
        let mut yes = || chance.below(3) == 0;
        Self {
            init: yes() && yes(),
            handler: yes(),
            terminate: yes(),
            state: yes(),
            request: yes(),
            reply: yes(),
            unread: yes(),
            caller_leaves: yes(),
        }
    }
}

struct Victim {
    plan: Plan,
    _state: Bomb,
}

#[gen_server]
impl Victim {
    async fn init(plan: Plan) -> Init<Self> {
        assert!(!plan.init, "`init` panics");
        Init::ok(Victim { plan, _state: Bomb { armed: plan.state } })
    }

    #[call]
    async fn ask(&mut self, request: Bomb) -> Bomb {
        process::yield_now().await;
        assert!(!self.plan.handler, "the handler panics");
        drop(request);
        Bomb { armed: self.plan.reply }
    }

    #[cast]
    async fn take(&mut self, unread: Bomb) {
        drop(unread);
    }

    async fn terminate(&mut self, _reason: &ExitReason) {
        process::yield_now().await;
        assert!(!self.plan.terminate, "`terminate` panics");
    }
}

/// One server's life. It may end this process too, where a bomb comes back to it.
async fn scene(plan: Plan) {
    let Ok((victim, monitor)) = Victim::start(plan).monitored().await else {
        assert!(plan.init, "{plan:?}");
        return;
    };
    let call = victim.ask(Bomb { armed: plan.request });
    if plan.caller_leaves {
        let mut call = Box::pin(std::future::IntoFuture::into_future(call));
        std::future::poll_fn(|cx| {
            let _not_waited_for = call.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
        drop(call);
    } else if let Ok(mut reply) = call.await {
        reply.armed = false;
    }
    if plan.unread {
        victim.take(Bomb { armed: true });
    }
    process::exit_signal(victim.pid().unwrap(), ExitReason::other("the end of the scene"));
    receive! { Down { monitor: m, .. } if m == monitor => {} }
    // Once.
    assert!(process::try_recv().is_none(), "{plan:?}: something came after the end");
}

#[test]
fn what_explodes_ends_its_server_once_and_leaves_nothing() {
    let _alone = alone();
    let scenes = pick(200, 20_000);
    on_each_driver(move |driver| async move {
        let before = Metrics::current().processes;
        let mut chance = Chance::new(0xb0b);
        for _ in 0..driver.rounds(scenes, 50) {
            let plan = Plan::by(&mut chance);
            let (pid, monitor) = process::spawn_monitor(scene(plan));
            let reason = receive! { Down { monitor: m, reason, .. } if m == monitor => reason };
            // A bomb in its own hands is the only thing that ends a scene.
            let own = plan.request || plan.reply || plan.caller_leaves || plan.init;
            assert!(reason == ExitReason::Normal || own, "{plan:?} ended {pid}: {reason}");
        }
        until(|| Metrics::current().processes == before).await;
        let info = process::info(process::self_pid()).await.unwrap();
        assert_eq!((info.links, info.monitors, info.message_queue_len), (vec![], vec![], 0));
        // The time limits of calls that are over go when they would have been due.
        if !driver.has_real_clock() {
            process::sleep(Duration::from_secs(60)).await;
            assert_eq!(Metrics::current().timers, 0);
        }
    });
}

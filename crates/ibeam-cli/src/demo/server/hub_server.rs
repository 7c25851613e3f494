//! The hub's process: tells subscribers what is published.

use std::collections::HashMap;

use ibeam::prelude::*;

use super::super::command::PubsubQuery;
use super::super::hub::{Hub, HubChange};
use super::super::resp::Reply as RespReply;
use super::super::small_bytes::SmallBytes;

/// The hub's name.
pub(super) const NAME: &str = "hub";

/// See the module. If it crashes, it starts empty, and the connections, which monitor it, subscribe anew.
pub(super) struct HubServer {
    hub: Hub<Pid>,
    monitors: HashMap<Pid, Reference>,
}

#[gen_server]
impl HubServer {
    async fn init() -> Init<Self> {
        Init::ok(Self { hub: Hub::new(), monitors: HashMap::new() })
    }

    /// Subscriptions of a connection, and their ends. When this returns, they hold.
    #[call]
    async fn change(&mut self, subscriber: Pid, changes: Vec<HubChange>) {
        for change in changes {
            let begins = matches!(change, HubChange::Subscribe(_));
            if !self.hub.apply(subscriber, change) {
                continue;
            }
            if begins {
                self.monitors.insert(subscriber, process::monitor(subscriber));
            } else if let Some(monitor) = self.monitors.remove(&subscriber) {
                process::demonitor_flush(monitor);
            }
        }
    }

    /// Sends a message to all who listen; how many it were.
    #[call]
    async fn publish(&mut self, channel: SmallBytes, message: SmallBytes) -> usize {
        self.hub.publish(&channel, &message, |subscriber, delivery| subscriber.send(delivery))
    }

    /// Answers PUBSUB.
    #[call]
    async fn query(&mut self, query: PubsubQuery) -> RespReply {
        self.hub.query(query)
    }

    /// How many channels and patterns are listened to.
    #[call]
    async fn counts(&mut self) -> (usize, usize) {
        self.hub.counts()
    }

    /// Panics, so that one can watch it come back.
    #[cast]
    async fn crash(&mut self) {
        panic!("DEBUG CRASH hub");
    }

    /// A subscriber is gone.
    #[info]
    async fn down(&mut self, down: Down) {
        if let Some(subscriber) = down.pid() {
            self.monitors.remove(&subscriber);
            self.hub.remove(subscriber);
        }
    }
}

//! One shard's process: its keys, and the timer that removes them when their time is over.

use std::time::Duration;

use ibeam::prelude::*;
use ibeam::supervisor::ServerChild;

use super::super::plan::{Batch, BatchReply};
use super::super::shard::Shard;
use super::now_ms;

/// How many expired keys are removed before requests get their turn.
const EXPIRE_AT_ONCE: usize = 256;

/// See the module.
pub(super) struct ShardServer {
    shard: Shard,
    index: usize,
    /// The timer of the next expiry, and what it is for.
    alarm: Option<(Timer, u64)>,
}

/// The shard's timer.
#[derive(Clone, Copy)]
struct Expire;

impl ShardServer {
    /// The name of their supervisor.
    pub(super) const PARTITIONS: &str = "shards";

    /// The shard of this partition. A name besides makes it one that reports of crashes tell.
    pub(super) fn partition(index: usize, value_bytes_max: usize) -> ServerChild<Self> {
        Self::child((index, value_bytes_max)).name(format!("shard-{index}"))
    }

    /// Sees to it that the timer is set for the next expiry.
    fn set_alarm(&mut self) {
        let next = self.shard.next_expiry();
        if next == self.alarm.as_ref().map(|(_, at)| *at) {
            return;
        }
        if let Some((timer, _)) = self.alarm.take() {
            timer.cancel();
        }
        self.alarm = next.map(|at| {
            let delay = Duration::from_millis(at.saturating_sub(now_ms()).saturating_add(1));
            (process::send_after(process::self_pid(), Expire, delay), at)
        });
    }
}

#[gen_server]
impl ShardServer {
    async fn init(index: usize, value_bytes_max: usize) -> Init<Self> {
        Init::ok(Self { shard: Shard::new(value_bytes_max), index, alarm: None })
    }

    /// Does what is asked, in order.
    #[call]
    async fn run(&mut self, batch: Batch) -> BatchReply {
        let now = now_ms();
        let reply = batch.into_iter().map(|request| self.shard.apply(request, now)).collect();
        self.set_alarm();
        reply
    }

    /// Panics, so that one can watch it come back.
    #[cast]
    async fn crash(&mut self) {
        panic!("DEBUG CRASH shard {}", self.index);
    }

    #[info]
    async fn expire(&mut self, _: Expire) {
        self.alarm = None;
        self.shard.expire_due(now_ms(), EXPIRE_AT_ONCE);
        // If there are more, the timer is due at once, behind the requests that wait.
        self.set_alarm();
    }
}

//! The demo assembled from its pure parts, with a function call where the real one has a process.

use bytes::{Buf, BytesMut};

use super::super::command::CrashTarget;
use super::super::info::{self, Snapshot};
use super::super::options::{Cli, DemoOptions};
use super::super::plan::{BatchReply, Plan, ShardCall};
use super::super::resp::{Decoder, ErrorReply, Output, Reply};
use super::super::session::{Effect, Session, Settings};
use super::super::shard::{Shard, ShardReply, ShardRequest};
use super::super::topics::{Change, Delivery, Subscription, Topics};

pub(super) struct Server {
    options: DemoOptions,
    settings: Settings,
    /// `None`: crashed, not restarted yet.
    shards: Vec<Option<Shard>>,
    topics: Topics,
    /// Each with its subscriber.
    subscriptions: Vec<(Subscription, usize)>,
    connections: Vec<Connection>,
    pub(super) now: u64,
}

struct Connection {
    input: BytesMut,
    decoder: Decoder,
    session: Session,
    plan: Plan,
    output: Output,
    mailbox: Vec<Delivery>,
    closed: bool,
}

impl Server {
    pub(super) fn new(shards: usize) -> Self {
        let line = ["ibeam".to_owned(), format!("--shards={shards}")];
        let options = <Cli as clap::Parser>::try_parse_from(line).expect("valid").into_demo();
        Self {
            settings: options.settings(options.listen),
            shards: (0..shards).map(|_| Some(Shard::new(options.max_bulk.0))).collect(),
            options,
            topics: Topics::default(),
            subscriptions: Vec::new(),
            connections: Vec::new(),
            now: 1_700_000_000_000,
        }
    }

    pub(super) fn connect(&mut self) -> usize {
        let id = self.connections.len() as u64 + 1;
        let peer = format!("127.0.0.1:{}", 50_000 + id);
        self.connections.push(Connection {
            input: BytesMut::new(),
            decoder: Decoder::new(self.options.limits()),
            session: Session::new(id, peer, self.options.listen.to_string(), self.now),
            plan: Plan::new(&self.settings.router),
            output: Output::default(),
            mailbox: Vec::new(),
            closed: false,
        });
        self.connections.len() - 1
    }

    pub(super) fn is_closed(&self, client: usize) -> bool {
        self.connections[client].closed
    }

    pub(super) fn disconnect(&mut self, client: usize) {
        self.connections[client].closed = true;
        let gone = self.subscriptions.extract_if(.., |(_, subscriber)| *subscriber == client);
        for (subscription, _) in gone {
            self.topics.end(&subscription);
        }
    }

    /// What the timers do.
    pub(super) fn expire_due(&mut self) -> usize {
        let mut removed = 0;
        for shard in self.shards.iter_mut().flatten() {
            while shard.next_expiry().is_some_and(|at| at <= self.now) {
                removed += shard.expire_due(self.now, 1);
            }
        }
        removed
    }

    /// What a connection's process does when bytes arrive; what it writes.
    pub(super) fn send(&mut self, client: usize, bytes: &[u8]) -> Vec<u8> {
        let connection = &mut self.connections[client];
        if connection.closed {
            return Vec::new();
        }
        connection.decoder.make_room(&mut connection.input);
        connection.input.extend_from_slice(bytes);
        loop {
            let connection = &mut self.connections[client];
            let effect = match connection.decoder.decode(&mut connection.input) {
                Ok(Some(args)) => connection.session.handle(
                    args,
                    self.now,
                    &self.settings,
                    &mut connection.plan,
                    &mut connection.output,
                ),
                Ok(None) => break,
                Err(error) => {
                    connection.plan.ready(ErrorReply::from(error).into(), &mut connection.output);
                    Some(Effect::Close)
                }
            };
            if effect.is_some() || self.connections[client].plan.is_full() {
                self.run_plan(client);
            }
            if let Some(effect) = effect {
                self.perform(client, effect);
            }
            if self.connections[client].closed {
                break;
            }
        }
        self.run_plan(client);
        let output = &mut self.connections[client].output;
        let len = output.remaining();
        output.copy_to_bytes(len).to_vec()
    }

    /// What a connection writes when it looks into its mailbox.
    pub(super) fn receive(&mut self, client: usize) -> Vec<u8> {
        let connection = &mut self.connections[client];
        for delivery in connection.mailbox.drain(..) {
            connection.session.deliver(delivery, &mut connection.output);
        }
        let len = connection.output.remaining();
        connection.output.copy_to_bytes(len).to_vec()
    }

    fn run_plan(&mut self, client: usize) {
        let calls = self.connections[client].plan.take_calls();
        let results: Vec<_> = calls.into_iter().map(|call| self.call(call)).collect();
        let connection = &mut self.connections[client];
        connection.plan.finish(results, &mut connection.output);
        assert!(connection.plan.is_empty());
    }

    fn call(&mut self, call: ShardCall) -> Result<BatchReply, ErrorReply> {
        let Some(shard) = &mut self.shards[call.shard] else {
            return Err(format!("ERR shard {} is down", call.shard).into());
        };
        Ok(call.batch.into_iter().map(|request| shard.apply(request, self.now)).collect())
    }

    fn perform(&mut self, client: usize, effect: Effect) {
        let reply = match effect {
            Effect::Subscriptions(changes) => {
                for change in changes {
                    match change {
                        Change::Subscribe(subscription) => {
                            self.topics.begin(&subscription);
                            self.subscriptions.push((subscription, client));
                        }
                        Change::Unsubscribe(subscription) => {
                            self.topics.end(&subscription);
                            self.subscriptions.retain(|had| *had != (subscription.clone(), client));
                        }
                    }
                }
                return;
            }
            Effect::Close | Effect::Shutdown => {
                self.connections[client].closed = true;
                return;
            }
            Effect::Publish { channel, message } => {
                let mut count = 0;
                for delivery in self.topics.deliveries(&channel, &message) {
                    for (_, to) in self.subscriptions.iter().filter(|(to, _)| *to == delivery.subscription) {
                        self.connections[*to].mailbox.push(delivery.clone());
                        count += 1;
                    }
                }
                Reply::Integer(count)
            }
            Effect::Pubsub(query) => {
                let listeners = |of| self.subscriptions.iter().filter(|(to, _)| *to == of).count();
                self.topics.query(query, listeners)
            }
            Effect::Walk(mut walk) => {
                while let Some((shard, request)) = walk.next_step() {
                    let shard = self.shards[shard].as_mut().expect("not crashed in these tests");
                    walk.absorb(shard.apply(request, self.now));
                }
                walk.into_reply()
            }
            Effect::Info(sections) => Reply::Bulk(info::render(&self.snapshot(), &sections).into()),
            Effect::ClientList(filter) => {
                let lines = self
                    .connections
                    .iter()
                    .map(|connection| connection.session.info(self.now))
                    .filter(|info| info.is_in(&filter))
                    .map(|info| format!("{info}\n"));
                Reply::Bulk(lines.collect::<String>().into())
            }
            Effect::Crash(CrashTarget::Shard(index)) => match self.shards.get_mut(index) {
                Some(shard) => {
                    *shard = None;
                    Reply::OK
                }
                None => ErrorReply::new("ERR no such shard").into(),
            },
            Effect::Crash(CrashTarget::Hub) => Reply::OK,
            Effect::Crash(CrashTarget::Connection(id)) => {
                let target = id.map_or(client, |id| id as usize - 1);
                self.disconnect(target);
                if target == client {
                    return;
                }
                Reply::OK
            }
        };
        self.connections[client].output.reply(reply);
    }

    fn snapshot(&mut self) -> Snapshot {
        let (channels, patterns) = self.topics.counts();
        let stats =
            self.shards.iter_mut().flatten().map(|shard| match shard.apply(ShardRequest::Stats, self.now) {
                ShardReply::Stats(stats) => stats,
                other => panic!("{other:?}"),
            });
        Snapshot { channels, patterns, shards: stats.collect(), ..Snapshot::default() }
    }
}

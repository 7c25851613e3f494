//! One connection's state: what a request means here, and what must be done for it.
//!
//! # Invariants
//! 1. [`Session::handle`] puts exactly the request's replies into the plan, in order, except for the requests whose
//!    effect says that its reply is still to come.
//! 2. A message is delivered only while its subscription stands, as the client sees it: none after the confirmation of
//!    UNSUBSCRIBE, even if it was on its way.

use std::collections::HashSet;
use std::fmt;

use super::command::{ClientCommand, ClientFilter, Command, CrashTarget, PubsubOnly, PubsubQuery, lookup};
use super::glob;
use super::info::REDIS_VERSION;
use super::plan::{Merge, Plan, Router};
use super::resp::{Args, ErrorReply, Output, Reply};
use super::shard::ShardRequest;
use super::small_bytes::SmallBytes;
use super::topics::{Change, Delivery, Subscription};
use super::walk::Walk;

/// What all connections of a server share and none changes.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) router: Router,
    /// What CONFIG GET shows: names in lower case, and values.
    pub(crate) config: Vec<(&'static str, String)>,
}

/// What a connection must do for a request, after it ran its plan.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Subscribe and unsubscribe; the confirmations are in the plan. Write them when the subscriptions hold, so that whoever
    /// reads them can rely on them.
    Subscriptions(Vec<Change>),
    /// Publish, and reply with how many got it.
    Publish { channel: SmallBytes, message: SmallBytes },
    /// Reply with what there is listened to.
    Pubsub(PubsubQuery),
    /// Ask shard after shard until there is a reply. It can take long.
    Walk(Walk),
    /// Reply with [`super::info::render`] of these sections.
    Info(Vec<String>),
    /// Reply with the [`ClientInfo`] lines of the connections that the filter takes.
    ClientList(ClientFilter),
    /// Panic a process; reply OK if it is another one than this, or an error if there is none.
    Crash(CrashTarget),
    /// Stop the server; the connection closes with it, without a reply.
    Shutdown,
    /// Write what is to be written and close the connection.
    Close,
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    peer: Box<str>,
    local: Box<str>,
    connected_ms: u64,
    active_ms: u64,
    name: SmallBytes,
    last_command: &'static str,
    subscriptions: HashSet<Subscription>,
}

impl Session {
    /// A connection that was just accepted. `id` is its number in CLIENT LIST, never used twice.
    pub(crate) fn new(id: u64, peer: String, local: String, now_ms: u64) -> Self {
        Self {
            id,
            peer: peer.into(),
            local: local.into(),
            connected_ms: now_ms,
            active_ms: now_ms,
            name: SmallBytes::EMPTY,
            last_command: "NULL",
            subscriptions: HashSet::new(),
        }
    }

    /// Its number in CLIENT LIST.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Handles a request: puts shard requests and known replies into `plan` (or, if it is empty, known replies right
    /// into `output`) and says what else must be done. `now_ms` is the server's wall clock.
    ///
    /// With an effect, run the plan first.
    #[inline]
    pub(crate) fn handle(
        &mut self,
        args: Args,
        now_ms: u64,
        settings: &Settings,
        plan: &mut Plan,
        output: &mut Output,
    ) -> Option<Effect> {
        self.active_ms = now_ms;
        match self.parse(args, now_ms) {
            Ok(Command::Key(key, op)) => {
                plan.key(&settings.router, key, op);
                None
            }
            Ok(command) => self.perform(command, now_ms, settings, plan, output),
            Err(error) => {
                plan.ready(error.into(), output);
                None
            }
        }
    }

    #[inline]
    fn parse(&mut self, args: Args, now_ms: u64) -> Result<Command, ErrorReply> {
        let spec = lookup(&args)?;
        self.last_command = spec.name;
        if !spec.while_subscribed && !self.subscriptions.is_empty() {
            return Err(PubsubOnly(spec.name).into());
        }
        spec.parse(args, now_ms)
    }

    fn perform(
        &mut self,
        command: Command,
        now_ms: u64,
        settings: &Settings,
        plan: &mut Plan,
        output: &mut Output,
    ) -> Option<Effect> {
        let router = &settings.router;
        let reply = match command {
            Command::Key(key, op) => {
                plan.key(router, key, op);
                return None;
            }
            Command::Keys(op, keys) => {
                plan.keys(router, op, keys);
                return None;
            }
            Command::Mset(pairs) => {
                plan.mset(router, pairs);
                return None;
            }
            Command::DbSize => {
                plan.all(router, &ShardRequest::DbSize, Merge::Sum);
                return None;
            }
            Command::Flush => {
                plan.all(router, &ShardRequest::Flush, Merge::Ok);
                return None;
            }

            Command::Subscribe(names) => {
                return self.subscribe(names, "subscribe", Subscription::Channel, plan, output);
            }
            Command::Psubscribe(names) => {
                return self.subscribe(names, "psubscribe", Subscription::Pattern, plan, output);
            }
            Command::Unsubscribe(names) => {
                return self.unsubscribe(names, "unsubscribe", Subscription::Channel, plan, output);
            }
            Command::Punsubscribe(names) => {
                return self.unsubscribe(names, "punsubscribe", Subscription::Pattern, plan, output);
            }
            Command::Reset => {
                plan.ready(Reply::simple("RESET"), output);
                self.name = SmallBytes::EMPTY;
                let ended: Vec<_> = self.subscriptions.drain().map(Change::Unsubscribe).collect();
                return (!ended.is_empty()).then_some(Effect::Subscriptions(ended));
            }
            Command::Quit => {
                plan.ready(Reply::OK, output);
                return Some(Effect::Close);
            }

            Command::Publish { channel, message } => return Some(Effect::Publish { channel, message }),
            Command::Pubsub(query) => return Some(Effect::Pubsub(query)),
            Command::KeysMatching(pattern) => return Some(Effect::Walk(Walk::keys(router, pattern))),
            Command::Scan(options) => return Some(Effect::Walk(Walk::scan(router, options))),
            Command::Info(sections) => return Some(Effect::Info(sections)),
            Command::Client(ClientCommand::List(filter)) => return Some(Effect::ClientList(filter)),
            Command::Crash(target) => return Some(Effect::Crash(target)),
            Command::Shutdown => return Some(Effect::Shutdown),
            Command::CrossProtocol => return Some(Effect::Close),

            Command::Answer(reply) => reply,
            Command::Ping(message) if !self.subscriptions.is_empty() => {
                Reply::Array(vec![Reply::bulk("pong"), Reply::Bulk(message.unwrap_or_default())])
            }
            Command::Ping(message) => message.map_or(const { Reply::simple("PONG") }, Reply::Bulk),
            Command::ConfigGet(patterns) => config_get(&settings.config, &patterns),
            Command::ConfigSet(pairs) => config_set(&settings.config, &pairs).into(),
            Command::Hello { name } => {
                if let Some(name) = name {
                    self.name = name;
                }
                self.hello()
            }
            Command::Client(ClientCommand::Id) => Reply::Integer(self.id as i64),
            Command::Client(ClientCommand::GetName) => {
                Reply::bulk_or_nil(Some(self.name.clone()).filter(|name| !name.is_empty()))
            }
            Command::Client(ClientCommand::SetName(name)) => {
                self.name = name;
                Reply::OK
            }
            Command::Client(ClientCommand::Info) => Reply::Bulk(format!("{}\n", self.info(now_ms)).into()),
        };
        plan.ready(reply, output);
        None
    }

    fn subscribe(
        &mut self,
        names: Args,
        kind: &'static str,
        subscription: fn(SmallBytes) -> Subscription,
        plan: &mut Plan,
        output: &mut Output,
    ) -> Option<Effect> {
        let mut changes = Vec::new();
        for name in names {
            let wanted = subscription(name.clone());
            if self.subscriptions.insert(wanted.clone()) {
                changes.push(Change::Subscribe(wanted));
            }
            plan.ready(self.confirmation(kind, Reply::Bulk(name)), output);
        }
        (!changes.is_empty()).then_some(Effect::Subscriptions(changes))
    }

    fn unsubscribe(
        &mut self,
        names: Args,
        kind: &'static str,
        subscription: fn(SmallBytes) -> Subscription,
        plan: &mut Plan,
        output: &mut Output,
    ) -> Option<Effect> {
        let names = if names.is_empty() { self.subscribed(subscription) } else { names };
        if names.is_empty() {
            plan.ready(self.confirmation(kind, Reply::Nil), output);
            return None;
        }
        let mut changes = Vec::new();
        for name in names {
            let ended = subscription(name.clone());
            if self.subscriptions.remove(&ended) {
                changes.push(Change::Unsubscribe(ended));
            }
            plan.ready(self.confirmation(kind, Reply::Bulk(name)), output);
        }
        (!changes.is_empty()).then_some(Effect::Subscriptions(changes))
    }

    /// The names of all subscriptions of one kind.
    fn subscribed(&self, kind: fn(SmallBytes) -> Subscription) -> Args {
        let of_kind = |subscription: &&Subscription| match subscription {
            Subscription::Channel(name) | Subscription::Pattern(name) => kind(name.clone()) == **subscription,
        };
        let names = self.subscriptions.iter().filter(of_kind).map(|subscription| match subscription {
            Subscription::Channel(name) | Subscription::Pattern(name) => name.clone(),
        });
        names.collect()
    }

    fn confirmation(&self, kind: &'static str, name: Reply) -> Reply {
        Reply::Array(vec![Reply::bulk(kind), name, Reply::Integer(self.subscriptions.len() as i64)])
    }

    /// Writes a message to the client, unless it unsubscribed meanwhile. Call it between requests, with an empty plan.
    pub(crate) fn deliver(&self, delivery: Delivery, output: &mut Output) {
        if self.subscriptions.contains(&delivery.subscription) {
            output.frame(delivery.frame);
        }
    }

    /// Whether it waits for messages: such a connection is not idle.
    pub(crate) fn is_subscribed(&self) -> bool {
        !self.subscriptions.is_empty()
    }

    /// The connection's line in CLIENT LIST.
    pub(crate) fn info(&self, now_ms: u64) -> ClientInfo {
        ClientInfo {
            id: self.id,
            peer: self.peer.to_string(),
            local: self.local.to_string(),
            name: self.name.clone(),
            age_s: now_ms.saturating_sub(self.connected_ms) / 1000,
            idle_s: now_ms.saturating_sub(self.active_ms) / 1000,
            channels: self.subscribed(Subscription::Channel).len(),
            patterns: self.subscribed(Subscription::Pattern).len(),
            last_command: self.last_command,
        }
    }

    fn hello(&self) -> Reply {
        Reply::Array(vec![
            Reply::bulk("server"),
            Reply::bulk("redis"),
            Reply::bulk("version"),
            Reply::bulk(REDIS_VERSION),
            Reply::bulk("proto"),
            Reply::Integer(2),
            Reply::bulk("id"),
            Reply::Integer(self.id as i64),
            Reply::bulk("mode"),
            Reply::bulk("standalone"),
            Reply::bulk("role"),
            Reply::bulk("master"),
            Reply::bulk("modules"),
            Reply::Array(vec![]),
        ])
    }
}

/// Each setting that one of the patterns matches, once, in the order of the patterns.
fn config_get(config: &[(&'static str, String)], patterns: &Args) -> Reply {
    let mut found = Vec::new();
    for pattern in patterns {
        let pattern = pattern.to_ascii_lowercase();
        for setting in config {
            if glob::matches(&pattern, setting.0.as_bytes()) && !found.contains(&setting) {
                found.push(setting);
            }
        }
    }
    Reply::Array(found.iter().flat_map(|(name, value)| [Reply::bulk(name), Reply::bulk(value)]).collect())
}

/// Settings come from the command line, so this says what Redis says of those that cannot be changed at run time.
fn config_set(config: &[(&'static str, String)], pairs: &Args) -> ErrorReply {
    let known =
        |name: &SmallBytes| config.iter().any(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
    let mut names = pairs.iter().step_by(2);
    let (before, name, after) = match names.find(|name| !known(name)) {
        Some(unknown) => ("ERR Unknown option or number of arguments for CONFIG SET - '", unknown, "'"),
        None => (
            "ERR CONFIG SET failed (possibly related to argument '",
            &pairs[0],
            "') - can't set immutable config",
        ),
    };
    ErrorReply::with_words([before.as_bytes(), name, after.as_bytes()].concat())
}

/// A connection as CLIENT LIST and CLIENT INFO show it; displayed as their line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    id: u64,
    peer: String,
    local: String,
    name: SmallBytes,
    age_s: u64,
    idle_s: u64,
    channels: usize,
    patterns: usize,
    last_command: &'static str,
}

impl ClientInfo {
    /// The connection's number.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether CLIENT LIST with this filter shows it.
    pub(crate) fn is_in(&self, filter: &ClientFilter) -> bool {
        match filter {
            ClientFilter::All => true,
            ClientFilter::Ids(ids) => ids.contains(&self.id),
            ClientFilter::Subscribers(yes) => (self.channels + self.patterns > 0) == *yes,
            ClientFilter::None => false,
        }
    }
}

impl fmt::Display for ClientInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.channels + self.patterns > 0 { 'P' } else { 'N' };
        write!(
            f,
            "id={} addr={} laddr={} name={} age={} idle={} flags={flags} db=0 sub={} psub={} ssub=0 multi=-1 cmd={} \
             user=default redir=-1 resp=2",
            self.id,
            self.peer,
            self.local,
            self.name.escape_ascii(),
            self.age_s,
            self.idle_s,
            self.channels,
            self.patterns,
            self.last_command,
        )
    }
}

//! The one table of commands.
//!
//! Arities, flags, key positions and groups are those that redis-server 7.0.15 reports in COMMAND INFO, so that
//! clients which ask (cluster clients, `redis-cli`'s hints) see what they know.

use super::super::resp::{Args, ErrorReply, Reply};
use super::super::small_bytes::SmallBytes;
use super::{Command, errors, parse};

/// Parses a command's arguments; the number of words was checked.
pub(super) type Parse = fn(&mut Request) -> Result<Command, ErrorReply>;

/// A request whose command is known.
pub(super) struct Request {
    /// With the command's name and, if it has one, its subcommand.
    pub(super) args: Args,
    pub(super) now_ms: u64,
    pub(super) name: &'static str,
}

/// A command or a subcommand.
#[derive(Debug)]
pub(crate) struct Spec {
    /// In lower case; a subcommand's is `container|name`.
    pub(crate) name: &'static str,
    /// How many words a request has, the name included; -n: at least n.
    arity: i32,
    flags: &'static str,
    /// The first and last word that is a key (-1: the last word), and the step between keys; zeros: none.
    keys: (i64, i64, i64),
    /// What follows the name, for HELP and hints.
    arguments: &'static str,
    group: &'static str,
    since: &'static str,
    summary: &'static str,
    /// ACL categories that do not follow from flags and group.
    categories: &'static str,
    subcommands: &'static [Spec],
    /// Allowed while the connection has subscriptions.
    pub(crate) while_subscribed: bool,
    /// `None` for a container, which needs a subcommand.
    parse: Option<Parse>,
}

const fn spec(name: &'static str, arity: i32, parse: Parse) -> Spec {
    Spec {
        name,
        arity,
        flags: "",
        keys: (0, 0, 0),
        arguments: "",
        group: "",
        since: "",
        summary: "",
        categories: "",
        subcommands: &[],
        while_subscribed: false,
        parse: Some(parse),
    }
}

const fn container(name: &'static str, subcommands: &'static [Spec]) -> Spec {
    Spec { subcommands, parse: None, ..spec(name, -2, parse::help) }
}

impl Spec {
    const fn flags(self, flags: &'static str) -> Self {
        Self { flags, ..self }
    }

    const fn keys(self, first: i64, last: i64, step: i64) -> Self {
        Self { keys: (first, last, step), ..self }
    }

    const fn arguments(self, arguments: &'static str) -> Self {
        Self { arguments, ..self }
    }

    const fn doc(self, group: &'static str, since: &'static str, summary: &'static str) -> Self {
        Self { group, since, summary, ..self }
    }

    const fn categories(self, categories: &'static str) -> Self {
        Self { categories, ..self }
    }

    const fn while_subscribed(self) -> Self {
        Self { while_subscribed: true, ..self }
    }

    const fn subcommands(self, subcommands: &'static [Spec]) -> Self {
        Self { subcommands, ..self }
    }
}

const READ: &str = "readonly fast";
const WRITE: &str = "write fast";
const GROW: &str = "write denyoom fast";
const SLOW_GROW: &str = "write denyoom";
const PUBSUB: &str = "pubsub noscript loading stale";
const CLIENT: &str = "noscript loading stale";
const ADMIN: &str = "admin noscript loading stale";
const HANDSHAKE: &str = "noscript loading stale fast no_auth allow_busy";

/// Every command, by group.
pub(crate) static COMMANDS: &[Spec] = &[
    // Values.
    spec("get", 2, parse::get).arguments("key").flags(READ).keys(1, 1, 1).doc(
        "string",
        "1.0.0",
        "Get the value of a key",
    ),
    spec("set", -3, parse::set)
        .arguments(
            "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time|PXAT unix-time-ms|KEEPTTL]",
        )
        .flags(SLOW_GROW)
        .keys(1, 1, 1)
        .doc(
            "string",
            "1.0.0",
            "Set the value of a key, with options for its expiry and for whether it may or must exist",
        ),
    spec("getdel", 2, parse::getdel).arguments("key").flags(WRITE).keys(1, 1, 1).doc(
        "string",
        "6.2.0",
        "Get the value of a key and delete the key",
    ),
    spec("getset", 3, parse::getset).arguments("key value").flags(GROW).keys(1, 1, 1).doc(
        "string",
        "1.0.0",
        "Set the value of a key and get the old one",
    ),
    spec("setnx", 3, parse::setnx).arguments("key value").flags(GROW).keys(1, 1, 1).doc(
        "string",
        "1.0.0",
        "Set the value of a key that does not exist",
    ),
    spec("setex", 4, parse::setex).arguments("key seconds value").flags(SLOW_GROW).keys(1, 1, 1).doc(
        "string",
        "2.0.0",
        "Set the value of a key and its time to live in seconds",
    ),
    spec("psetex", 4, parse::psetex).arguments("key milliseconds value").flags(SLOW_GROW).keys(1, 1, 1).doc(
        "string",
        "2.6.0",
        "Set the value of a key and its time to live in milliseconds",
    ),
    spec("mget", -2, parse::mget).arguments("key [key ...]").flags(READ).keys(1, -1, 1).doc(
        "string",
        "1.0.0",
        "Get the values of keys",
    ),
    spec("mset", -3, parse::mset).arguments("key value [key value ...]").flags(SLOW_GROW).keys(1, -1, 2).doc(
        "string",
        "1.0.1",
        "Set the values of keys",
    ),
    spec("incr", 2, parse::incr).arguments("key").flags(GROW).keys(1, 1, 1).doc(
        "string",
        "1.0.0",
        "Add one to a number",
    ),
    spec("decr", 2, parse::decr).arguments("key").flags(GROW).keys(1, 1, 1).doc(
        "string",
        "1.0.0",
        "Take one from a number",
    ),
    spec("incrby", 3, parse::incrby).arguments("key increment").flags(GROW).keys(1, 1, 1).doc(
        "string",
        "1.0.0",
        "Add to a number",
    ),
    spec("decrby", 3, parse::decrby).arguments("key decrement").flags(GROW).keys(1, 1, 1).doc(
        "string",
        "1.0.0",
        "Take from a number",
    ),
    spec("append", 3, parse::append).arguments("key value").flags(GROW).keys(1, 1, 1).doc(
        "string",
        "2.0.0",
        "Append to a value",
    ),
    spec("strlen", 2, parse::strlen).arguments("key").flags(READ).keys(1, 1, 1).doc(
        "string",
        "2.2.0",
        "Get the length of a value",
    ),
    // Keys.
    spec("del", -2, parse::del).arguments("key [key ...]").flags("write").keys(1, -1, 1).doc(
        "generic",
        "1.0.0",
        "Delete keys",
    ),
    spec("unlink", -2, parse::del).arguments("key [key ...]").flags(WRITE).keys(1, -1, 1).doc(
        "generic",
        "4.0.0",
        "Delete keys",
    ),
    spec("exists", -2, parse::exists).arguments("key [key ...]").flags(READ).keys(1, -1, 1).doc(
        "generic",
        "1.0.0",
        "Count how many of the keys exist",
    ),
    spec("expire", -3, parse::expire).arguments("key seconds [NX|XX|GT|LT]").flags(WRITE).keys(1, 1, 1).doc(
        "generic",
        "1.0.0",
        "Set a key's time to live in seconds",
    ),
    spec("pexpire", -3, parse::pexpire)
        .arguments("key milliseconds [NX|XX|GT|LT]")
        .flags(WRITE)
        .keys(1, 1, 1)
        .doc("generic", "2.6.0", "Set a key's time to live in milliseconds"),
    spec("expireat", -3, parse::expireat)
        .arguments("key unix-time [NX|XX|GT|LT]")
        .flags(WRITE)
        .keys(1, 1, 1)
        .doc("generic", "1.2.0", "Set a key's end as a Unix time in seconds"),
    spec("pexpireat", -3, parse::pexpireat)
        .arguments("key unix-time-ms [NX|XX|GT|LT]")
        .flags(WRITE)
        .keys(1, 1, 1)
        .doc("generic", "2.6.0", "Set a key's end as a Unix time in milliseconds"),
    spec("ttl", 2, parse::ttl).arguments("key").flags(READ).keys(1, 1, 1).doc(
        "generic",
        "1.0.0",
        "Get a key's time to live in seconds",
    ),
    spec("pttl", 2, parse::pttl).arguments("key").flags(READ).keys(1, 1, 1).doc(
        "generic",
        "2.6.0",
        "Get a key's time to live in milliseconds",
    ),
    spec("expiretime", 2, parse::expiretime).arguments("key").flags(READ).keys(1, 1, 1).doc(
        "generic",
        "7.0.0",
        "Get a key's end as a Unix time in seconds",
    ),
    spec("pexpiretime", 2, parse::pexpiretime).arguments("key").flags(READ).keys(1, 1, 1).doc(
        "generic",
        "7.0.0",
        "Get a key's end as a Unix time in milliseconds",
    ),
    spec("persist", 2, parse::persist).arguments("key").flags(WRITE).keys(1, 1, 1).doc(
        "generic",
        "2.2.0",
        "Let a key live for ever",
    ),
    spec("type", 2, parse::key_type).arguments("key").flags(READ).keys(1, 1, 1).doc(
        "generic",
        "1.0.0",
        "Get the type of a key's value",
    ),
    spec("keys", 2, parse::keys).arguments("pattern").flags("readonly").categories("dangerous").doc(
        "generic",
        "1.0.0",
        "Find all keys that match a pattern",
    ),
    spec("scan", -2, parse::scan)
        .arguments("cursor [MATCH pattern] [COUNT count] [TYPE type]")
        .flags("readonly")
        .doc("generic", "2.8.0", "Walk over all keys, a few at a time"),
    spec("dbsize", 1, parse::dbsize).flags(READ).categories("keyspace").doc(
        "server",
        "1.0.0",
        "Count the keys",
    ),
    spec("flushall", -1, parse::flush)
        .arguments("[ASYNC|SYNC]")
        .flags("write")
        .categories("keyspace dangerous")
        .doc("server", "1.0.0", "Delete all keys"),
    spec("flushdb", -1, parse::flush)
        .arguments("[ASYNC|SYNC]")
        .flags("write")
        .categories("keyspace dangerous")
        .doc("server", "1.0.0", "Delete all keys"),
    // Channels.
    spec("subscribe", -2, parse::subscribe)
        .arguments("channel [channel ...]")
        .flags(PUBSUB)
        .while_subscribed()
        .doc("pubsub", "2.0.0", "Listen to channels"),
    spec("psubscribe", -2, parse::psubscribe)
        .arguments("pattern [pattern ...]")
        .flags(PUBSUB)
        .while_subscribed()
        .doc("pubsub", "2.0.0", "Listen to the channels that match patterns"),
    spec("unsubscribe", -1, parse::unsubscribe)
        .arguments("[channel ...]")
        .flags(PUBSUB)
        .while_subscribed()
        .doc("pubsub", "2.0.0", "Stop listening to channels, or to all"),
    spec("punsubscribe", -1, parse::punsubscribe)
        .arguments("[pattern ...]")
        .flags(PUBSUB)
        .while_subscribed()
        .doc("pubsub", "2.0.0", "Stop listening to patterns, or to all"),
    spec("publish", 3, parse::publish).arguments("channel message").flags("pubsub loading stale fast").doc(
        "pubsub",
        "2.0.0",
        "Send a message to all who listen to a channel",
    ),
    container(
        "pubsub",
        &[
            spec("pubsub|channels", -2, parse::pubsub_channels)
                .arguments("[pattern]")
                .flags("pubsub loading stale")
                .doc("pubsub", "2.8.0", "the channels that somebody listens to"),
            spec("pubsub|numsub", -2, parse::pubsub_numsub)
                .arguments("[channel ...]")
                .flags("pubsub loading stale")
                .doc("pubsub", "2.8.0", "how many listen to each channel, patterns not counted"),
            spec("pubsub|numpat", 2, parse::pubsub_numpat).flags("pubsub loading stale").doc(
                "pubsub",
                "2.8.0",
                "how many patterns are listened to",
            ),
            spec("pubsub|help", 2, parse::help).flags("loading stale").doc("pubsub", "6.2.0", "this text"),
        ],
    )
    .doc("pubsub", "2.8.0", "Ask about channels"),
    // Connections.
    spec("ping", -1, parse::ping).arguments("[message]").flags("fast").while_subscribed().doc(
        "connection",
        "1.0.0",
        "Get an answer",
    ),
    spec("echo", 2, parse::echo).arguments("message").flags("loading stale fast").doc(
        "connection",
        "1.0.0",
        "Get the same back",
    ),
    spec("select", 2, parse::select).arguments("index").flags("loading stale fast").doc(
        "connection",
        "1.0.0",
        "Choose the database: there is one, 0",
    ),
    spec("hello", -1, parse::hello)
        .arguments("[2 [AUTH username password] [SETNAME clientname]]")
        .flags(HANDSHAKE)
        .doc("connection", "6.0.0", "Agree on a protocol: 2"),
    spec("auth", -2, parse::auth).arguments("[username] password").flags(HANDSHAKE).doc(
        "connection",
        "1.0.0",
        "Log in: there are no passwords",
    ),
    spec("quit", -1, parse::quit).flags(HANDSHAKE).while_subscribed().doc(
        "connection",
        "1.0.0",
        "Close the connection",
    ),
    spec("reset", 1, parse::reset).flags(HANDSHAKE).while_subscribed().doc(
        "connection",
        "6.2.0",
        "Forget the connection's name and subscriptions",
    ),
    container(
        "client",
        &[
            spec("client|getname", 2, parse::client_getname).flags(CLIENT).doc(
                "connection",
                "2.6.9",
                "the connection's name",
            ),
            spec("client|id", 2, parse::client_id).flags(CLIENT).doc(
                "connection",
                "5.0.0",
                "the connection's number",
            ),
            spec("client|info", 2, parse::client_info).flags(CLIENT).doc(
                "connection",
                "6.2.0",
                "all about the connection",
            ),
            spec("client|list", -2, parse::client_list)
                .arguments("[TYPE NORMAL|PUBSUB] [ID id ...]")
                .flags(ADMIN)
                .doc("connection", "2.4.0", "all about all connections"),
            spec("client|no-evict", 3, parse::client_no_evict).arguments("ON|OFF").flags(ADMIN).doc(
                "connection",
                "7.0.0",
                "accepted; nothing is ever evicted",
            ),
            spec("client|setinfo", 4, parse::client_setinfo)
                .arguments("LIB-NAME|LIB-VER value")
                .flags(CLIENT)
                .doc("connection", "7.2.0", "accepted, not kept"),
            spec("client|setname", 3, parse::client_setname).arguments("name").flags(CLIENT).doc(
                "connection",
                "2.6.9",
                "name the connection",
            ),
            spec("client|help", 2, parse::help).flags("loading stale").doc(
                "connection",
                "5.0.0",
                "this text",
            ),
        ],
    )
    .doc("connection", "2.4.0", "Ask about connections"),
    // The server.
    spec("info", -1, parse::info)
        .arguments("[section ...]")
        .flags("loading stale")
        .categories("dangerous")
        .doc("server", "1.0.0", "Get the server's numbers"),
    spec("command", -1, parse::command)
        .flags("loading stale")
        .doc("server", "2.8.13", "Ask about commands")
        .subcommands(&[
            spec("command|count", 2, parse::command_count).flags("loading stale").doc(
                "server",
                "2.8.13",
                "how many commands there are",
            ),
            spec("command|docs", -2, parse::command_docs)
                .arguments("[command ...]")
                .flags("loading stale")
                .doc("server", "7.0.0", "what commands are for"),
            spec("command|info", -2, parse::command_info)
                .arguments("[command ...]")
                .flags("loading stale")
                .doc("server", "2.8.13", "arity, flags and keys of commands"),
            spec("command|list", -2, parse::command_list).flags("loading stale").doc(
                "server",
                "7.0.0",
                "the names of all commands",
            ),
            spec("command|help", 2, parse::help).flags("loading stale").doc("server", "5.0.0", "this text"),
        ]),
    container(
        "config",
        &[
            spec("config|get", -3, parse::config_get).arguments("pattern [pattern ...]").flags(ADMIN).doc(
                "server",
                "2.0.0",
                "the settings that match",
            ),
            spec("config|set", -4, parse::config_set)
                .arguments("parameter value [parameter value ...]")
                .flags(ADMIN)
                .doc("server", "2.0.0", "refused: settings are given on the command line"),
            spec("config|help", 2, parse::help).flags("loading stale").doc("server", "5.0.0", "this text"),
        ],
    )
    .doc("server", "2.0.0", "Ask about settings"),
    spec("shutdown", -1, parse::shutdown)
        .arguments("[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]")
        .flags("admin noscript loading stale no_multi allow_busy")
        .doc("server", "1.0.0", "Finish what is in flight and stop the server"),
    spec("debug", -2, parse::debug).arguments("CRASH SHARD|CONNECTION|HUB [index]").flags(ADMIN).doc(
        "server",
        "1.0.0",
        "Panic a process and watch it come back",
    ),
];

/// Longer names than this are unknown without a look.
const NAME_MAX: usize = 16;

/// Finds commands by name in one probe as a rule; slots hold an index of [`COMMANDS`] or [`FREE`].
static INDEX: [u8; 256] = index();

const FREE: u8 = u8::MAX;

const fn slot(lower_case: &[u8]) -> usize {
    let mut hash = lower_case.len();
    let mut at = 0;
    while at < lower_case.len() {
        hash = hash.wrapping_mul(31).wrapping_add(lower_case[at] as usize);
        at += 1;
    }
    (hash ^ (hash >> 8)) & 0xff
}

const fn index() -> [u8; 256] {
    let mut index = [FREE; 256];
    assert!(COMMANDS.len() < index.len() / 2, "the index needs free slots");
    let mut at = 0;
    while at < COMMANDS.len() {
        let name = COMMANDS[at].name.as_bytes();
        assert!(name.len() <= NAME_MAX);
        let mut slot = slot(name);
        while index[slot] != FREE {
            slot = (slot + 1) % index.len();
        }
        index[slot] = at as u8;
        at += 1;
    }
    index
}

fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut lower_case = [0; NAME_MAX];
    let lower_case = lower_case.get_mut(..name.len())?;
    lower_case.copy_from_slice(name);
    lower_case.make_ascii_lowercase();
    let mut slot = slot(lower_case);
    loop {
        let spec = COMMANDS.get(usize::from(INDEX[slot]))?;
        if spec.name.as_bytes() == lower_case {
            return Some(spec);
        }
        slot = (slot + 1) % INDEX.len();
    }
}

/// Finds the command, or subcommand, that a request names and checks the number of its words.
///
/// # Errors
/// What the client gets.
#[inline]
pub(crate) fn lookup(args: &Args) -> Result<&'static Spec, ErrorReply> {
    let Some(mut spec) = find(&args[0]) else {
        let browser = [&b"post"[..], b"host:"].iter().any(|name| args[0].eq_ignore_ascii_case(name));
        return if browser { Ok(&CROSS_PROTOCOL) } else { Err(errors::unknown_command(args)) };
    };
    if let Some(word) = args.get(1).filter(|_| !spec.subcommands.is_empty()) {
        spec = spec.subcommand(word.as_slice()).ok_or_else(|| errors::unknown_subcommand(spec.name, word))?;
    }
    let len = args.len() as i64;
    let arity = i64::from(spec.arity);
    if len != arity && (arity > 0 || len < -arity) {
        return Err(errors::arguments(spec.name));
    }
    Ok(spec)
}

static CROSS_PROTOCOL: Spec = Spec { while_subscribed: true, ..spec("post", -1, parse::cross_protocol) };

impl Spec {
    /// Parses a request that [`lookup`] found to be of this command.
    ///
    /// # Errors
    /// What the client gets.
    #[inline]
    pub(crate) fn parse(&'static self, args: Args, now_ms: u64) -> Result<Command, ErrorReply> {
        let Some(parse) = self.parse else { return Err(errors::arguments(self.name)) };
        parse(&mut Request { args, now_ms, name: self.name })
    }

    fn subcommand(&self, word: &[u8]) -> Option<&'static Spec> {
        self.subcommands.iter().find(|spec| spec.short_name().as_bytes().eq_ignore_ascii_case(word))
    }

    /// The name without its container's.
    fn short_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, short)| short)
    }

    /// The command's entry in the reply of COMMAND and COMMAND INFO.
    fn info(&self) -> Reply {
        Reply::Array(vec![
            Reply::bulk(self.name),
            Reply::Integer(self.arity.into()),
            Reply::Array(self.flags.split_ascii_whitespace().map(Reply::simple).collect()),
            Reply::Integer(self.keys.0),
            Reply::Integer(self.keys.1),
            Reply::Integer(self.keys.2),
            Reply::Array(self.acl_categories().into_iter().map(Reply::simple).collect()),
            // Tips and key specifications: optional, and the three numbers say the same.
            Reply::Array(vec![]),
            Reply::Array(vec![]),
            Reply::Array(self.subcommands.iter().map(Self::info).collect()),
        ])
    }

    /// Redis derives most of them from flags and group, and so do we.
    fn acl_categories(&self) -> Vec<&'static str> {
        let has = |flag| self.flags.split_ascii_whitespace().any(|word| word == flag);
        let also = |category| self.categories.split_ascii_whitespace().any(|word| word == category);
        let is_container = self.parse.is_none();
        [
            ("@keyspace", self.group == "generic" || also("keyspace")),
            ("@read", has("readonly")),
            ("@write", has("write")),
            ("@string", self.group == "string"),
            ("@pubsub", has("pubsub")),
            ("@admin", has("admin")),
            ("@fast", has("fast")),
            ("@slow", !has("fast")),
            ("@dangerous", has("admin") || also("dangerous")),
            (
                "@connection",
                (self.group == "connection" && !is_container) || self.name.starts_with("command"),
            ),
        ]
        .into_iter()
        .filter_map(|(category, is_in)| is_in.then_some(category))
        .collect()
    }

    /// The command's entry in the reply of COMMAND DOCS: name and document.
    fn docs(&self) -> [Reply; 2] {
        let mut document = vec![
            Reply::bulk("summary"),
            Reply::bulk(self.summary),
            Reply::bulk("since"),
            Reply::bulk(self.since),
            Reply::bulk("group"),
            Reply::bulk(self.group),
        ];
        if !self.arguments.is_empty() {
            // One argument whose name is the whole line: what clients show is the same, and the parser, not a second
            // description of it, decides what is right.
            let argument = ["name", self.arguments, "type", "string"].map(Reply::bulk);
            document.push(Reply::bulk("arguments"));
            document.push(Reply::Array(vec![Reply::Array(argument.into())]));
        }
        if !self.subcommands.is_empty() {
            document.push(Reply::bulk("subcommands"));
            document.push(Reply::Array(self.subcommands.iter().flat_map(Self::docs).collect()));
        }
        [Reply::bulk(self.name), Reply::Array(document)]
    }
}

/// A command or, as `container|name`, a subcommand.
fn find_full_name(name: &[u8]) -> Option<&'static Spec> {
    match name.iter().position(|byte| *byte == b'|') {
        None => find(name),
        Some(bar) => find(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}

/// The reply of COMMAND and of COMMAND INFO: one entry per command of `names`, nil for an unknown one; all commands if
/// there are no names.
pub(super) fn info(names: &[SmallBytes]) -> Reply {
    Reply::Array(if names.is_empty() {
        COMMANDS.iter().map(Spec::info).collect()
    } else {
        names.iter().map(|name| find_full_name(name).map_or(Reply::Nil, Spec::info)).collect()
    })
}

/// The reply of COMMAND DOCS: name and document of each known command of `names`; all commands if there are no names.
pub(super) fn docs(names: &[SmallBytes]) -> Reply {
    Reply::Array(if names.is_empty() {
        COMMANDS.iter().flat_map(Spec::docs).collect()
    } else {
        names.iter().filter_map(|name| find_full_name(name)).flat_map(Spec::docs).collect()
    })
}

/// The reply of COMMAND LIST.
pub(super) fn list() -> Reply {
    Reply::Array(COMMANDS.iter().map(|spec| Reply::bulk(spec.name)).collect())
}

/// The reply to `HELP` for the container of the subcommand with this full name.
pub(super) fn help(name: &'static str) -> Reply {
    let container = name.split('|').next().unwrap_or(name);
    let subcommands = find(container.as_bytes()).map_or(&[][..], |container| container.subcommands);
    let title = format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        container.to_ascii_uppercase()
    );
    let lines = subcommands.iter().flat_map(|spec| {
        let usage = format!("{} {}", spec.short_name().to_ascii_uppercase(), spec.arguments);
        [usage.trim_end().to_owned(), format!("    {}", spec.summary)]
    });
    Reply::Array(std::iter::once(title).chain(lines).map(|line| Reply::Simple(line.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Args {
        line.split(' ').map(|word| SmallBytes::copy_from_slice(word.as_bytes())).collect()
    }

    fn all() -> impl Iterator<Item = &'static Spec> {
        COMMANDS.iter().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
    }

    #[test]
    fn every_command_is_found_by_its_name_in_any_case() {
        for spec in all() {
            let name = spec.name.to_ascii_uppercase();
            assert_eq!(find_full_name(name.as_bytes()).map(|found| found.name), Some(spec.name));
        }
        for unknown in ["", "ge", "gett", "get|x", "a name that is much too long", "client|", "|id"] {
            assert!(find_full_name(unknown.as_bytes()).is_none(), "{unknown}");
        }
    }

    #[test]
    fn names_are_found_with_few_probes() {
        let longest = COMMANDS
            .iter()
            .map(|spec| {
                let start = slot(spec.name.as_bytes());
                (0..)
                    .find(|step| COMMANDS[usize::from(INDEX[(start + step) % 256])].name == spec.name)
                    .expect("found")
            })
            .max();
        assert!(longest <= Some(3), "{longest:?}");
    }

    /// A request for every line of the table, with as few and with more words than it needs.
    #[test]
    fn every_command_parses() {
        for spec in all() {
            let line = match spec.name {
                "set" | "getset" | "setnx" | "append" | "publish" | "mset" => format!("{} 1 2", spec.name),
                "setex" | "psetex" => format!("{} k 1 v", spec.name),
                "expire" | "pexpire" | "expireat" | "pexpireat" | "incrby" | "decrby" => {
                    format!("{} k 1", spec.name)
                }
                "select" | "scan" => format!("{} 0", spec.name),
                "auth" => "auth default x".to_owned(),
                "debug" => "debug crash shard".to_owned(),
                "client|no-evict" => "client no-evict on".to_owned(),
                "client|setinfo" => "client setinfo lib-ver 1".to_owned(),
                "config|set" => "config set a b".to_owned(),
                name if spec.parse.is_none() => format!("{name} help"),
                name => {
                    let words = name.split('|').count() as i32;
                    name.replace('|', " ") + &" k".repeat((spec.arity.abs() - words).max(0) as usize)
                }
            };
            let args = words(&line);
            let found = lookup(&args).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(found.name.starts_with(spec.name), "{line}");
            found.parse(args, 0).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn every_command_checks_its_number_of_words() {
        for spec in all() {
            let name = spec.name.replace('|', " ");
            let present = name.split(' ').count();
            let wrong = match spec.arity {
                exact if exact > 0 => vec![exact as usize - 1, exact as usize + 1],
                at_least => vec![at_least.unsigned_abs() as usize - 1],
            };
            for len in wrong {
                if len < present {
                    continue;
                }
                let line = name.clone() + &" x".repeat(len - present);
                let error = lookup(&words(&line)).map(|spec| spec.name).expect_err(&line);
                let expected = format!("ERR wrong number of arguments for '{}' command", spec.name);
                assert_eq!(error.to_string(), expected, "{line}");
            }
        }
    }

    #[test]
    fn every_command_is_described() {
        for spec in all() {
            assert!(!spec.group.is_empty() && !spec.summary.is_empty(), "{}", spec.name);
            assert!(spec.since.split('.').count() == 3, "{}", spec.name);
            assert_eq!(spec.name, spec.name.to_ascii_lowercase());
            let words = spec.name.split('|').count() as u32;
            let takes_more =
                spec.arity != words as i32 && spec.parse.is_some() && spec.subcommands.is_empty();
            let may_be_ignored = ["quit", "command|list"].contains(&spec.name);
            assert!(may_be_ignored || takes_more != spec.arguments.is_empty(), "{}", spec.name);
        }
    }
}

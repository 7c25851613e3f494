//! Commands: from a request's words to a typed [`Command`], or to Redis' own error.
//!
//! # Invariants
//! 1. `table` is the only list of commands: the parser, the COMMAND replies and HELP all read it.
//! 2. Parsing decides everything that needs neither keys nor other connections: a command that parsed cannot be wrong
//!    any more, except for what it finds under its keys.
//! 3. The checks come in Redis' order (known, number of arguments, allowed while subscribed, arguments), so that a
//!    request with two mistakes gets the same error.

mod errors;
mod parse;
mod table;

pub(crate) use errors::PubsubOnly;
pub(crate) use table::lookup;

use super::resp::{Args, ErrorReply, Reply};
use super::shard::KeyOp;
use super::small_bytes::SmallBytes;

/// A request that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// A command about one key: one shard answers.
    Key(SmallBytes, KeyOp),
    /// A command about several keys, in the order in which they came.
    Keys(KeysOp, Args),
    /// MSET: key, value, key, value, …; always pairs.
    Mset(Args),
    /// KEYS with its pattern.
    KeysMatching(SmallBytes),
    Scan(ScanOptions),
    DbSize,
    /// FLUSHALL and FLUSHDB.
    Flush,

    Ping(Option<SmallBytes>),
    Subscribe(Args),
    Psubscribe(Args),
    /// None: from all channels.
    Unsubscribe(Args),
    /// None: from all patterns.
    Punsubscribe(Args),
    Publish {
        channel: SmallBytes,
        message: SmallBytes,
    },
    Pubsub(PubsubQuery),

    /// What can be said without looking at anything: ECHO, SELECT 0, COMMAND, HELP, …
    Answer(Reply),
    /// INFO with the sections asked for, in lower case.
    Info(Vec<String>),
    ConfigGet(Args),
    ConfigSet(Args),
    Client(ClientCommand),
    /// HELLO 2, with the connection's new name if one was given.
    Hello {
        name: Option<SmallBytes>,
    },
    Reset,
    Quit,
    Shutdown,
    Crash(CrashTarget),
    /// A browser that was tricked into speaking to us (`POST`, `Host:`): close without a word, as Redis does.
    CrossProtocol,
}

/// A command about several keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeysOp {
    Mget,
    /// DEL and UNLINK.
    Del,
    Exists,
}

/// SCAN's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanOptions {
    pub(crate) cursor: u64,
    pub(crate) count: usize,
    pub(crate) pattern: Option<SmallBytes>,
    /// The `TYPE` asked for is not `string`: nothing here has it.
    pub(crate) other_type: bool,
}

/// PUBSUB's questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PubsubQuery {
    Channels { pattern: Option<SmallBytes> },
    Numsub(Vec<SmallBytes>),
    Numpat,
}

/// CLIENT's subcommands that need the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientCommand {
    Id,
    GetName,
    /// A valid name, or empty for none.
    SetName(SmallBytes),
    Info,
    List(ClientFilter),
}

/// Which connections CLIENT LIST shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientFilter {
    All,
    Ids(Vec<u64>),
    /// Connections with subscriptions (true) or without (false).
    Subscribers(bool),
    /// A kind that does not exist here: masters and replicas.
    None,
}

/// Whom DEBUG CRASH panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CrashTarget {
    /// The shard with this index; the first one if none is said.
    Shard(usize),
    /// The connection with this id (CLIENT ID); this one if none is said.
    Connection(Option<u64>),
    /// The hub: the process on which subscriptions rest.
    Hub,
}

/// Parses a request: [`lookup`] and [`table::Spec::parse`] together.
///
/// # Errors
/// What the client gets.
#[cfg(test)]
fn parse(args: Args, now_ms: u64) -> Result<Command, ErrorReply> {
    lookup(&args)?.parse(args, now_ms)
}

/// Whether `name` can be a connection's name: printable ASCII without spaces, so that it fits into CLIENT LIST.
fn client_name(name: SmallBytes) -> Result<SmallBytes, ErrorReply> {
    if name.iter().all(u8::is_ascii_graphic) { Ok(name) } else { Err(errors::CLIENT_NAME) }
}

#[cfg(test)]
mod tests {
    use super::super::shard::{ExpireCondition, SetCondition, SetExpiry, TtlUnit};
    use super::*;

    const NOW: u64 = 1_000_000;

    fn words(line: &str) -> Args {
        line.split(' ').map(|word| SmallBytes::copy_from_slice(word.as_bytes())).collect()
    }

    #[track_caller]
    fn check(line: &str, expected: &Command) {
        assert_eq!(parse(words(line), NOW).as_ref(), Ok(expected), "{line}");
    }

    #[track_caller]
    fn check_error(line: &str, expected: &str) {
        let error = parse(words(line), NOW).expect_err(line);
        assert_eq!(error.to_string(), expected, "{line}");
    }

    fn key(op: KeyOp) -> Command {
        Command::Key("k".into(), op)
    }

    fn set(expiry: SetExpiry, condition: SetCondition, get: bool) -> Command {
        key(KeyOp::Set { value: "v".into(), expiry, condition, get })
    }

    #[test]
    fn set_options() {
        use SetCondition::*;
        use SetExpiry::*;
        for (line, command) in [
            ("SET k v", set(Never, Always, false)),
            ("set k v EX 10", set(At(NOW + 10_000), Always, false)),
            ("set k v px 10", set(At(NOW + 10), Always, false)),
            ("set k v EXAT 10", set(At(10_000), Always, false)),
            ("set k v PXAT 10", set(At(10), Always, false)),
            ("set k v keepttl", set(Keep, Always, false)),
            ("set k v nx", set(Never, IfAbsent, false)),
            ("set k v xx get", set(Never, IfPresent, true)),
            ("set k v GET EX 1 NX", set(At(NOW + 1000), IfAbsent, true)),
            ("set k v EX 1 EX 2", set(At(NOW + 2000), Always, false)),
            ("getset k v", set(Never, Always, true)),
            ("setex k 10 v", set(At(NOW + 10_000), Always, false)),
            ("psetex k 10 v", set(At(NOW + 10), Always, false)),
            ("setnx k v", key(KeyOp::SetNx("v".into()))),
        ] {
            check(line, &command);
        }
    }

    #[test]
    fn expire_options() {
        use ExpireCondition::*;
        for (line, deadline, condition) in [
            ("expire k 10", NOW + 10_000, Always),
            ("pexpire k 10", NOW + 10, Always),
            ("expireat k 10", 10_000, Always),
            ("pexpireat k 10", 10, Always),
            ("expire k -99999999", 0, Always),
            ("pexpire k 1 nx", NOW + 1, IfNone),
            ("pexpire k 1 XX", NOW + 1, IfSome),
            ("pexpire k 1 gt", NOW + 1, IfLater),
            ("pexpire k 1 xx gt", NOW + 1, IfLater),
            ("pexpire k 1 lt", NOW + 1, IfEarlier),
            ("pexpire k 1 lt xx", NOW + 1, IfSomeAndEarlier),
        ] {
            check(line, &key(KeyOp::Expire { deadline, condition }));
        }
    }

    #[test]
    fn numbers_and_units() {
        check("incr k", &key(KeyOp::IncrBy(1)));
        check("decr k", &key(KeyOp::IncrBy(-1)));
        check("incrby k -5", &key(KeyOp::IncrBy(-5)));
        check("decrby k 5", &key(KeyOp::IncrBy(-5)));
        check_error("decrby k -9223372036854775808", "ERR decrement would overflow");
        check("ttl k", &key(KeyOp::Ttl(TtlUnit::Seconds)));
        check("pexpiretime k", &key(KeyOp::Ttl(TtlUnit::UnixMilliseconds)));
    }

    #[test]
    fn one_key_is_asked_directly() {
        check("del k", &key(KeyOp::Del));
        check("unlink k", &key(KeyOp::Del));
        check("exists k", &key(KeyOp::Exists));
        check("del a b", &Command::Keys(KeysOp::Del, words("a b")));
        check("mget k", &Command::Keys(KeysOp::Mget, words("k")));
        check("mset a 1 b 2", &Command::Mset(words("a 1 b 2")));
    }

    #[test]
    fn scan_options() {
        let options = ScanOptions { cursor: 0, count: 10, pattern: None, other_type: false };
        check("scan 0", &Command::Scan(options.clone()));
        check("scan 281474976710656", &Command::Scan(ScanOptions { cursor: 1 << 48, ..options.clone() }));
        check("scan -1", &Command::Scan(ScanOptions { cursor: u64::MAX, ..options.clone() }));
        check(
            "scan +5 COUNT 7 match a* TYPE String",
            &Command::Scan(ScanOptions {
                cursor: 5,
                count: 7,
                pattern: Some("a*".into()),
                other_type: false,
            }),
        );
        check("scan 0 type hash", &Command::Scan(ScanOptions { other_type: true, ..options }));
    }

    #[test]
    fn crashes() {
        for (line, target) in [
            ("debug crash shard", CrashTarget::Shard(0)),
            ("DEBUG CRASH SHARD 3", CrashTarget::Shard(3)),
            ("debug crash connection", CrashTarget::Connection(None)),
            ("debug crash connection 17", CrashTarget::Connection(Some(17))),
            ("debug crash hub", CrashTarget::Hub),
        ] {
            check(line, &Command::Crash(target));
        }
        for line in [
            "debug crash",
            "debug crash x",
            "debug crash shard x",
            "debug crash shard 1 2",
            "debug crash hub 1",
            "debug jmap",
        ] {
            let word = line.split(' ').nth(1).expect("two words");
            check_error(
                line,
                &format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."),
            );
        }
    }

    #[test]
    fn clients() {
        use ClientCommand::*;
        for (line, command) in [
            ("client id", Id),
            ("CLIENT GetName", GetName),
            ("client setname me", SetName("me".into())),
            ("client info", Info),
            ("client list", List(ClientFilter::All)),
            ("client list type normal", List(ClientFilter::Subscribers(false))),
            ("client list type PUBSUB", List(ClientFilter::Subscribers(true))),
            ("client list type replica", List(ClientFilter::None)),
            ("client list id 1 2", List(ClientFilter::Ids(vec![1, 2]))),
        ] {
            check(line, &Command::Client(command));
        }
        check("client no-evict on", &Command::Answer(Reply::OK));
        check("client setinfo lib-name x", &Command::Answer(Reply::OK));
        check("hello 2 auth default x setname me", &Command::Hello { name: Some("me".into()) });
    }

    #[test]
    fn browsers_are_cut_off() {
        check("POST / HTTP/1.1", &Command::CrossProtocol);
        check("Host: localhost:6399", &Command::CrossProtocol);
    }

    #[test]
    fn words_that_are_too_long_or_have_line_ends_do_not_spoil_the_error() {
        let long = "a".repeat(200);
        check_error(
            &format!("{long} b"),
            &format!("ERR unknown command '{}', with args beginning with: 'b' ", "a".repeat(128)),
        );
        check_error(
            &format!("foo {long} b"),
            &format!("ERR unknown command 'foo', with args beginning with: '{}' ", "a".repeat(128)),
        );
        check_error(
            &format!("foo {} bbbbbbbbbb c", &long[..122]),
            &format!("ERR unknown command 'foo', with args beginning with: '{}' 'bbb' ", &long[..122]),
        );
        check_error("foo a\r\nb", "ERR unknown command 'foo', with args beginning with: 'a  b' ");
        check_error("foo a\0b c", "ERR unknown command 'foo', with args beginning with: 'a' 'c' ");
        check_error(
            &format!("client {long}"),
            &format!("ERR unknown subcommand '{}'. Try CLIENT HELP.", "a".repeat(128)),
        );
    }
}

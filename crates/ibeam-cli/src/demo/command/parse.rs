//! The arguments of each command, in the order of the table.

use super::super::number::{parse_i64, parse_usize};
use super::super::resp::{Args, ErrorReply, Reply};
use super::super::shard::{ExpireCondition, KeyOp, SetCondition, SetExpiry, TtlUnit};
use super::super::small_bytes::SmallBytes;
use super::table::{self, Request};
use super::{
    ClientCommand, ClientFilter, Command, CrashTarget, KeysOp, PubsubQuery, ScanOptions, client_name, errors,
};

type Parsed = Result<Command, ErrorReply>;

impl Request {
    /// Takes a word out.
    #[inline]
    fn take(&mut self, index: usize) -> SmallBytes {
        std::mem::take(&mut self.args[index])
    }

    /// Takes the words from `from` on out.
    fn rest(&mut self, from: usize) -> Args {
        let mut args = std::mem::take(&mut self.args);
        args.drain(..from);
        args
    }

    /// Whether this word is there and is this option, in any case.
    fn is(&self, index: usize, option: &str) -> bool {
        self.args.get(index).is_some_and(|word| word.eq_ignore_ascii_case(option.as_bytes()))
    }

    fn integer(&self, index: usize) -> Result<i64, ErrorReply> {
        parse_i64(&self.args[index]).ok_or(errors::NOT_AN_INTEGER)
    }

    #[inline]
    fn key(&mut self, op: KeyOp) -> Parsed {
        Ok(Command::Key(self.take(1), op))
    }
}

/// How a time is given: in seconds or milliseconds, from now or since 1970.
#[derive(Clone, Copy, PartialEq)]
struct TimeUnit {
    seconds: bool,
    from_now: bool,
}

const EX: TimeUnit = TimeUnit { seconds: true, from_now: true };
const PX: TimeUnit = TimeUnit { seconds: false, from_now: true };
const EXAT: TimeUnit = TimeUnit { seconds: true, from_now: false };
const PXAT: TimeUnit = TimeUnit { seconds: false, from_now: false };

impl TimeUnit {
    /// The Unix time in milliseconds, `None` if it does not fit into 64 bits.
    fn deadline(self, time: i64, now_ms: u64) -> Option<i64> {
        let milliseconds = if self.seconds { time.checked_mul(1000)? } else { time };
        if self.from_now { milliseconds.checked_add_unsigned(now_ms) } else { Some(milliseconds) }
    }
}

#[inline]
pub(super) fn get(request: &mut Request) -> Parsed {
    request.key(KeyOp::Get)
}

#[inline]
pub(super) fn set(request: &mut Request) -> Parsed {
    let (mut expiry, mut condition, mut get) = (SetExpiry::Never, SetCondition::Always, false);
    let mut time = None;
    let mut index = 3;
    while index < request.args.len() {
        let unit = [("EX", EX), ("PX", PX), ("EXAT", EXAT), ("PXAT", PXAT)]
            .into_iter()
            .find_map(|(option, unit)| request.is(index, option).then_some(unit));
        if request.is(index, "NX") && condition != SetCondition::IfPresent {
            condition = SetCondition::IfAbsent;
        } else if request.is(index, "XX") && condition != SetCondition::IfAbsent {
            condition = SetCondition::IfPresent;
        } else if request.is(index, "GET") {
            get = true;
        } else if request.is(index, "KEEPTTL") && time.is_none() {
            expiry = SetExpiry::Keep;
        } else if let Some(unit) = unit
            && expiry != SetExpiry::Keep
            && time.is_none_or(|(earlier, _)| earlier == unit)
            && index + 1 < request.args.len()
        {
            index += 1;
            time = Some((unit, index));
        } else {
            return Err(errors::SYNTAX);
        }
        index += 1;
    }
    if let Some((unit, index)) = time {
        expiry = SetExpiry::At(set_deadline(request, unit, index)?);
    }
    let value = request.take(2);
    request.key(KeyOp::Set { value, expiry, condition, get })
}

/// The deadline that the word at `index` says; a SET takes only times over zero.
fn set_deadline(request: &Request, unit: TimeUnit, index: usize) -> Result<u64, ErrorReply> {
    let time = request.integer(index)?;
    Some(time)
        .filter(|time| *time > 0)
        .and_then(|time| unit.deadline(time, request.now_ms))
        .and_then(|deadline| u64::try_from(deadline).ok())
        .ok_or_else(|| errors::expire_time(request.name))
}

pub(super) fn getdel(request: &mut Request) -> Parsed {
    request.key(KeyOp::GetDel)
}

pub(super) fn getset(request: &mut Request) -> Parsed {
    let value = request.take(2);
    request.key(KeyOp::Set { value, expiry: SetExpiry::Never, condition: SetCondition::Always, get: true })
}

pub(super) fn setnx(request: &mut Request) -> Parsed {
    let value = request.take(2);
    request.key(KeyOp::SetNx(value))
}

pub(super) fn setex(request: &mut Request) -> Parsed {
    set_with_time(request, EX)
}

pub(super) fn psetex(request: &mut Request) -> Parsed {
    set_with_time(request, PX)
}

fn set_with_time(request: &mut Request, unit: TimeUnit) -> Parsed {
    let expiry = SetExpiry::At(set_deadline(request, unit, 2)?);
    let value = request.take(3);
    request.key(KeyOp::Set { value, expiry, condition: SetCondition::Always, get: false })
}

pub(super) fn mget(request: &mut Request) -> Parsed {
    Ok(Command::Keys(KeysOp::Mget, request.rest(1)))
}

pub(super) fn mset(request: &mut Request) -> Parsed {
    let pairs = request.rest(1);
    if pairs.len().is_multiple_of(2) {
        Ok(Command::Mset(pairs))
    } else {
        Err(errors::arguments(request.name))
    }
}

pub(super) fn incr(request: &mut Request) -> Parsed {
    request.key(KeyOp::IncrBy(1))
}

pub(super) fn decr(request: &mut Request) -> Parsed {
    request.key(KeyOp::IncrBy(-1))
}

pub(super) fn incrby(request: &mut Request) -> Parsed {
    let by = request.integer(2)?;
    request.key(KeyOp::IncrBy(by))
}

pub(super) fn decrby(request: &mut Request) -> Parsed {
    let by = request.integer(2)?.checked_neg().ok_or(errors::DECREMENT_OVERFLOW)?;
    request.key(KeyOp::IncrBy(by))
}

pub(super) fn append(request: &mut Request) -> Parsed {
    let more = request.take(2);
    request.key(KeyOp::Append(more))
}

pub(super) fn strlen(request: &mut Request) -> Parsed {
    request.key(KeyOp::Strlen)
}

pub(super) fn del(request: &mut Request) -> Parsed {
    several(request, KeysOp::Del, KeyOp::Del)
}

pub(super) fn exists(request: &mut Request) -> Parsed {
    several(request, KeysOp::Exists, KeyOp::Exists)
}

/// One key needs no gathering.
fn several(request: &mut Request, op: KeysOp, single: KeyOp) -> Parsed {
    if request.args.len() == 2 { request.key(single) } else { Ok(Command::Keys(op, request.rest(1))) }
}

pub(super) fn expire(request: &mut Request) -> Parsed {
    expire_in(request, EX)
}

pub(super) fn pexpire(request: &mut Request) -> Parsed {
    expire_in(request, PX)
}

pub(super) fn expireat(request: &mut Request) -> Parsed {
    expire_in(request, EXAT)
}

pub(super) fn pexpireat(request: &mut Request) -> Parsed {
    expire_in(request, PXAT)
}

fn expire_in(request: &mut Request, unit: TimeUnit) -> Parsed {
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for index in 3..request.args.len() {
        match () {
            () if request.is(index, "NX") => nx = true,
            () if request.is(index, "XX") => xx = true,
            () if request.is(index, "GT") => gt = true,
            () if request.is(index, "LT") => lt = true,
            () => return Err(errors::unsupported_option(&request.args[index])),
        }
    }
    if nx && (xx || gt || lt) {
        return Err(errors::EXPIRE_NX);
    }
    if gt && lt {
        return Err(errors::EXPIRE_GT_LT);
    }
    let condition = match (nx, xx, gt, lt) {
        (true, ..) => ExpireCondition::IfNone,
        (_, _, true, _) => ExpireCondition::IfLater,
        (_, false, _, true) => ExpireCondition::IfEarlier,
        (_, true, _, true) => ExpireCondition::IfSomeAndEarlier,
        (_, true, ..) => ExpireCondition::IfSome,
        _ => ExpireCondition::Always,
    };
    let deadline = unit
        .deadline(request.integer(2)?, request.now_ms)
        .ok_or_else(|| errors::expire_time(request.name))?;
    // A time before 1970 is over too.
    let deadline = u64::try_from(deadline).unwrap_or(0);
    request.key(KeyOp::Expire { deadline, condition })
}

pub(super) fn ttl(request: &mut Request) -> Parsed {
    request.key(KeyOp::Ttl(TtlUnit::Seconds))
}

pub(super) fn pttl(request: &mut Request) -> Parsed {
    request.key(KeyOp::Ttl(TtlUnit::Milliseconds))
}

pub(super) fn expiretime(request: &mut Request) -> Parsed {
    request.key(KeyOp::Ttl(TtlUnit::UnixSeconds))
}

pub(super) fn pexpiretime(request: &mut Request) -> Parsed {
    request.key(KeyOp::Ttl(TtlUnit::UnixMilliseconds))
}

pub(super) fn persist(request: &mut Request) -> Parsed {
    request.key(KeyOp::Persist)
}

pub(super) fn key_type(request: &mut Request) -> Parsed {
    request.key(KeyOp::Type)
}

pub(super) fn keys(request: &mut Request) -> Parsed {
    Ok(Command::KeysMatching(request.take(1)))
}

pub(super) fn scan(request: &mut Request) -> Parsed {
    let mut options =
        ScanOptions { cursor: cursor(&request.args[1])?, count: 10, pattern: None, other_type: false };
    let mut index = 2;
    while index < request.args.len() {
        if index + 1 == request.args.len() {
            return Err(errors::SYNTAX);
        }
        if request.is(index, "COUNT") {
            let count = request.integer(index + 1)?;
            options.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(errors::SYNTAX)?;
        } else if request.is(index, "MATCH") {
            let pattern = request.take(index + 1);
            options.pattern = (pattern.as_slice() != b"*").then_some(pattern);
        } else if request.is(index, "TYPE") {
            options.other_type = !request.is(index + 1, "string");
        } else {
            return Err(errors::SYNTAX);
        }
        index += 2;
    }
    Ok(Command::Scan(options))
}

/// A cursor as C's `strtoul` reads it, which takes a sign and nothing at all.
fn cursor(word: &[u8]) -> Result<u64, ErrorReply> {
    let (negative, digits) = match word {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if word.is_empty() {
        return Ok(0);
    }
    if digits.is_empty() {
        return Err(errors::INVALID_CURSOR);
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        value = Some(u64::from(digit))
            .filter(|digit| *digit < 10)
            .and_then(|digit| value.checked_mul(10)?.checked_add(digit))
            .ok_or(errors::INVALID_CURSOR)?;
    }
    Ok(if negative { value.wrapping_neg() } else { value })
}

pub(super) fn dbsize(_: &mut Request) -> Parsed {
    Ok(Command::DbSize)
}

/// FLUSHALL and FLUSHDB: there is one database. `ASYNC` and `SYNC` make no difference.
pub(super) fn flush(request: &mut Request) -> Parsed {
    let valid = match request.args.len() {
        1 => true,
        2 => request.is(1, "ASYNC") || request.is(1, "SYNC"),
        _ => false,
    };
    if valid { Ok(Command::Flush) } else { Err(errors::SYNTAX) }
}

pub(super) fn subscribe(request: &mut Request) -> Parsed {
    Ok(Command::Subscribe(request.rest(1)))
}

pub(super) fn psubscribe(request: &mut Request) -> Parsed {
    Ok(Command::Psubscribe(request.rest(1)))
}

pub(super) fn unsubscribe(request: &mut Request) -> Parsed {
    Ok(Command::Unsubscribe(request.rest(1)))
}

pub(super) fn punsubscribe(request: &mut Request) -> Parsed {
    Ok(Command::Punsubscribe(request.rest(1)))
}

pub(super) fn publish(request: &mut Request) -> Parsed {
    Ok(Command::Publish { channel: request.take(1), message: request.take(2) })
}

pub(super) fn pubsub_channels(request: &mut Request) -> Parsed {
    match request.args.len() {
        2 => Ok(Command::Pubsub(PubsubQuery::Channels { pattern: None })),
        3 => Ok(Command::Pubsub(PubsubQuery::Channels { pattern: Some(request.take(2)) })),
        _ => Err(errors::subcommand_or_arguments("PUBSUB", &request.args[1])),
    }
}

pub(super) fn pubsub_numsub(request: &mut Request) -> Parsed {
    Ok(Command::Pubsub(PubsubQuery::Numsub(request.rest(2).into_vec())))
}

pub(super) fn pubsub_numpat(_: &mut Request) -> Parsed {
    Ok(Command::Pubsub(PubsubQuery::Numpat))
}

pub(super) fn help(request: &mut Request) -> Parsed {
    Ok(Command::Answer(table::help(request.name)))
}

pub(super) fn ping(request: &mut Request) -> Parsed {
    match request.args.len() {
        1 => Ok(Command::Ping(None)),
        2 => Ok(Command::Ping(Some(request.take(1)))),
        _ => Err(errors::arguments(request.name)),
    }
}

pub(super) fn echo(request: &mut Request) -> Parsed {
    Ok(Command::Answer(Reply::Bulk(request.take(1))))
}

pub(super) fn select(request: &mut Request) -> Parsed {
    match request.integer(1)? {
        0 => Ok(Command::Answer(Reply::OK)),
        _ => Err(errors::DB_INDEX),
    }
}

pub(super) fn hello(request: &mut Request) -> Parsed {
    let mut name = None;
    if request.args.len() > 1 {
        let version = parse_i64(&request.args[1]).ok_or(errors::PROTOCOL_VERSION)?;
        if version != 2 {
            return Err(errors::NO_PROTOCOL);
        }
    }
    let mut index = 2;
    while index < request.args.len() {
        let more = request.args.len() - index - 1;
        if request.is(index, "AUTH") && more >= 2 {
            log_in(&request.args[index + 1])?;
            index += 3;
        } else if request.is(index, "SETNAME") && more >= 1 {
            name = Some(client_name(request.take(index + 1))?);
            index += 2;
        } else {
            return Err(errors::hello_option(&request.args[index]));
        }
    }
    Ok(Command::Hello { name })
}

/// There is one user, `default`, and every password is right, as in a Redis without a configuration.
fn log_in(user: &[u8]) -> Result<(), ErrorReply> {
    if user == b"default" { Ok(()) } else { Err(errors::WRONG_PASSWORD) }
}

pub(super) fn auth(request: &mut Request) -> Parsed {
    match request.args.len() {
        2 => Err(errors::NO_PASSWORD),
        3 => log_in(&request.args[1]).map(|()| Command::Answer(Reply::OK)),
        _ => Err(errors::SYNTAX),
    }
}

pub(super) fn quit(_: &mut Request) -> Parsed {
    Ok(Command::Quit)
}

pub(super) fn reset(_: &mut Request) -> Parsed {
    Ok(Command::Reset)
}

pub(super) fn client_getname(_: &mut Request) -> Parsed {
    Ok(Command::Client(ClientCommand::GetName))
}

pub(super) fn client_id(_: &mut Request) -> Parsed {
    Ok(Command::Client(ClientCommand::Id))
}

pub(super) fn client_info(_: &mut Request) -> Parsed {
    Ok(Command::Client(ClientCommand::Info))
}

pub(super) fn client_list(request: &mut Request) -> Parsed {
    let filter = match request.args.len() {
        2 => ClientFilter::All,
        4 if request.is(2, "TYPE") => match () {
            () if request.is(3, "normal") => ClientFilter::Subscribers(false),
            () if request.is(3, "pubsub") => ClientFilter::Subscribers(true),
            () if ["master", "replica", "slave"].iter().any(|kind| request.is(3, kind)) => ClientFilter::None,
            () => return Err(errors::client_type(&request.args[3])),
        },
        len if len > 3 && request.is(2, "ID") => {
            let ids = request.args[3..].iter().map(|id| parse_i64(id).and_then(|id| u64::try_from(id).ok()));
            ClientFilter::Ids(ids.collect::<Option<_>>().ok_or(errors::CLIENT_ID)?)
        }
        _ => return Err(errors::SYNTAX),
    };
    Ok(Command::Client(ClientCommand::List(filter)))
}

/// Accepted because administration tools set it; nothing is ever evicted here.
pub(super) fn client_no_evict(request: &mut Request) -> Parsed {
    if request.is(2, "ON") || request.is(2, "OFF") {
        Ok(Command::Answer(Reply::OK))
    } else {
        Err(errors::SYNTAX)
    }
}

/// Accepted because clients written for Redis 7.2 and later send it with every connection.
pub(super) fn client_setinfo(request: &mut Request) -> Parsed {
    if request.is(2, "LIB-NAME") || request.is(2, "LIB-VER") {
        Ok(Command::Answer(Reply::OK))
    } else {
        Err(errors::SYNTAX)
    }
}

pub(super) fn client_setname(request: &mut Request) -> Parsed {
    client_name(request.take(2)).map(|name| Command::Client(ClientCommand::SetName(name)))
}

pub(super) fn info(request: &mut Request) -> Parsed {
    let sections = request.args[1..].iter();
    Ok(Command::Info(sections.map(|section| String::from_utf8_lossy(section).to_ascii_lowercase()).collect()))
}

pub(super) fn command(_: &mut Request) -> Parsed {
    Ok(Command::Answer(table::info(&[])))
}

pub(super) fn command_count(_: &mut Request) -> Parsed {
    Ok(Command::Answer(Reply::Integer(table::COMMANDS.len() as i64)))
}

pub(super) fn command_docs(request: &mut Request) -> Parsed {
    Ok(Command::Answer(table::docs(&request.args[2..])))
}

pub(super) fn command_info(request: &mut Request) -> Parsed {
    Ok(Command::Answer(table::info(&request.args[2..])))
}

pub(super) fn command_list(request: &mut Request) -> Parsed {
    if request.args.len() == 2 { Ok(Command::Answer(table::list())) } else { Err(errors::SYNTAX) }
}

pub(super) fn config_get(request: &mut Request) -> Parsed {
    Ok(Command::ConfigGet(request.rest(2)))
}

pub(super) fn config_set(request: &mut Request) -> Parsed {
    let pairs = request.rest(2);
    if pairs.len().is_multiple_of(2) { Ok(Command::ConfigSet(pairs)) } else { Err(errors::SYNTAX) }
}

/// There is nothing to save, so `SAVE`, `NOSAVE`, `NOW` and `FORCE` make no difference.
pub(super) fn shutdown(request: &mut Request) -> Parsed {
    let options = ["NOSAVE", "SAVE", "NOW", "FORCE", "ABORT"];
    let given = options.map(|option| (1..request.args.len()).any(|index| request.is(index, option)));
    let known = (1..request.args.len()).all(|index| options.iter().any(|option| request.is(index, option)));
    let [no_save, save, now, force, abort] = given;
    if !known || (save && no_save) || (abort && (save || no_save || now || force)) {
        return Err(errors::SYNTAX);
    }
    if abort { Err(errors::NO_SHUTDOWN) } else { Ok(Command::Shutdown) }
}

pub(super) fn debug(request: &mut Request) -> Parsed {
    if request.is(1, "HELP") && request.args.len() == 2 {
        return Ok(Command::Answer(Reply::Array(
            [
                "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                "CRASH SHARD [<index>]",
                "    Panic a shard's process (default: the first). Its keys are lost, the others stay.",
                "CRASH CONNECTION [<id>]",
                "    Panic a connection's process (default: this one).",
                "CRASH HUB",
                "    Panic the process that passes messages on to subscribers. Subscriptions stay.",
                "HELP",
                "    Print this help.",
            ]
            .map(Reply::simple)
            .into(),
        )));
    }
    crash_target(request)
        .map(Command::Crash)
        .ok_or_else(|| errors::subcommand_or_arguments("DEBUG", &request.args[1]))
}

fn crash_target(request: &Request) -> Option<CrashTarget> {
    if !request.is(1, "CRASH") || request.args.len() > 4 {
        return None;
    }
    let index = match request.args.get(3) {
        None => None,
        Some(index) => Some(parse_usize(index)?),
    };
    if request.is(2, "SHARD") {
        Some(CrashTarget::Shard(index.unwrap_or(0)))
    } else if request.is(2, "CONNECTION") {
        Some(CrashTarget::Connection(index.map(|id| id as u64)))
    } else if request.is(2, "HUB") && index.is_none() {
        Some(CrashTarget::Hub)
    } else {
        None
    }
}

pub(super) fn cross_protocol(_: &mut Request) -> Parsed {
    Ok(Command::CrossProtocol)
}

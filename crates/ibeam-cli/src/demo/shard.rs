//! One shard: what its process owns and does, without the process.
//!
//! # Invariants
//! 1. An expired key is never seen: access removes it first, and what walks over keys skips it. A timer that calls
//!    [`Shard::expire_due`] only makes the memory come back.
//! 2. `now` is the server's wall clock in milliseconds since 1970; every answer is computed from the one that came
//!    with its request.
//! 3. The answers to a batch are in the order of its requests.

use super::keyspace::{Entry, Key, Keyspace, NEVER};
use super::number::parse_i64;
use super::resp::{ErrorReply, Reply};
use super::small_bytes::SmallBytes;

static NOT_AN_INTEGER: ErrorReply = ErrorReply::new("ERR value is not an integer or out of range");
static WOULD_OVERFLOW: ErrorReply = ErrorReply::new("ERR increment or decrement would overflow");
static TOO_LONG: ErrorReply = ErrorReply::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

/// What a shard is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShardRequest {
    /// A command about one key; answered with [`ShardReply::Reply`].
    Key(Key, KeyOp),
    /// The values of keys; answered with [`ShardReply::Values`], in this order.
    Mget(Vec<Key>),
    /// Sets keys, the last one of equal ones last; answered with [`ShardReply::Count`].
    Mset(Vec<(Key, SmallBytes)>),
    /// Removes keys; answered with how many there were.
    Del(Vec<Key>),
    /// Answered with how many there are, equal ones counted each time.
    Exists(Vec<Key>),
    /// One step of a walk over the keys: about `count` of them in the order of [`Keyspace::scan`], from there on; answered with
    /// [`ShardReply::Walked`].
    Walk { from: u32, count: usize },
    /// Answered with how many keys there are, those included that expired but were not removed yet.
    DbSize,
    /// Removes everything; answered with how many there were.
    Flush,
    /// Answered with [`ShardReply::Stats`].
    Stats,
}

/// A command about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyOp {
    /// The value, or nil.
    Get,
    /// The value, or nil; and removes it.
    GetDel,
    /// Sets the value. Says OK, or nil if the condition did not hold; with `get` the old value, or nil.
    Set { value: SmallBytes, expiry: SetExpiry, condition: SetCondition, get: bool },
    /// Sets the value if there is none; says 1 if so, else 0.
    SetNx(SmallBytes),
    /// Adds to the number that the value is (none: 0); says the sum.
    IncrBy(i64),
    /// Appends; says the new length.
    Append(SmallBytes),
    /// The length of the value, or 0.
    Strlen,
    /// Removes the key; says 1 if it was there, else 0.
    Del,
    /// Says 1 if the key is there, else 0.
    Exists,
    /// Lets the key end after `deadline` (at once if that is not in the future); says 1 if it did, else 0.
    Expire { deadline: u64, condition: ExpireCondition },
    /// Takes the deadline away; says 1 if there was one, else 0.
    Persist,
    /// Says how long the key lives, or until when; -1 without a deadline, -2 without a key.
    Ttl(TtlUnit),
    /// Says `string` or `none`.
    Type,
}

/// The deadline after a SET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetExpiry {
    /// None: the usual SET.
    Never,
    /// The one that the key has (`KEEPTTL`).
    Keep,
    /// This millisecond is the last one.
    At(u64),
}

/// When a SET sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetCondition {
    Always,
    /// `NX`
    IfAbsent,
    /// `XX`
    IfPresent,
}

/// When an EXPIRE acts; a key without a deadline counts as one with an infinite one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpireCondition {
    Always,
    /// `NX`
    IfNone,
    /// `XX`, with `GT` or `LT` too if set: these alone never act on a key without a deadline.
    IfSome,
    /// `GT`
    IfLater,
    /// `LT`
    IfEarlier,
    /// `XX LT`
    IfSomeAndEarlier,
}

/// What TTL and its sisters say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TtlUnit {
    /// TTL
    Seconds,
    /// PTTL
    Milliseconds,
    /// EXPIRETIME
    UnixSeconds,
    /// PEXPIRETIME
    UnixMilliseconds,
}

/// What a shard answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShardReply {
    /// What the client gets.
    Reply(Reply),
    Values(Vec<Option<SmallBytes>>),
    Count(usize),
    /// `next` is where to go on in this shard, `None` at its end; `visited` how many keys were looked at, those included that
    /// expired and are not told.
    Walked {
        keys: Vec<SmallBytes>,
        visited: usize,
        next: Option<u32>,
    },
    Stats(ShardStats),
}

/// A shard's numbers for INFO.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ShardStats {
    /// Keys, those included that expired but were not removed yet.
    pub(crate) keys: usize,
    /// Keys with a deadline.
    pub(crate) volatile: usize,
    /// An estimate.
    pub(crate) memory_bytes: usize,
    /// Reads that found their key.
    pub(crate) hits: u64,
    /// Reads that did not.
    pub(crate) misses: u64,
    /// Keys whose time was over, removed by the timer.
    pub(crate) expired: u64,
    /// Requests handled.
    pub(crate) requests: u64,
}

impl ShardStats {
    /// Adds another shard's numbers.
    pub(crate) fn add(&mut self, other: &Self) {
        self.keys += other.keys;
        self.volatile += other.volatile;
        self.memory_bytes += other.memory_bytes;
        self.hits += other.hits;
        self.misses += other.misses;
        self.expired += other.expired;
        self.requests += other.requests;
    }
}

/// The keys of one shard.
#[derive(Debug)]
pub(crate) struct Shard {
    table: Keyspace,
    value_bytes_max: usize,
    hits: u64,
    misses: u64,
    expired: u64,
    requests: u64,
}

impl Shard {
    /// An empty shard in which no APPEND makes a value longer than `value_bytes_max`.
    pub(crate) fn new(value_bytes_max: usize) -> Self {
        Self { table: Keyspace::new(), value_bytes_max, hits: 0, misses: 0, expired: 0, requests: 0 }
    }

    /// Does what is asked.
    #[inline]
    pub(crate) fn apply(&mut self, request: ShardRequest, now_ms: u64) -> ShardReply {
        self.requests += 1;
        match request {
            ShardRequest::Key(key, op) => ShardReply::Reply(
                self.key_op(key, op, now_ms).unwrap_or_else(|error| Reply::Error(error.clone())),
            ),
            ShardRequest::Mget(keys) => {
                ShardReply::Values(keys.iter().map(|key| self.read(key, now_ms)).collect())
            }
            ShardRequest::Mset(pairs) => {
                let count = pairs.len();
                for (key, value) in pairs {
                    self.table.put(key, value, NEVER);
                }
                ShardReply::Count(count)
            }
            ShardRequest::Del(keys) => {
                ShardReply::Count(keys.iter().filter(|key| self.table.remove(key, now_ms).is_some()).count())
            }
            ShardRequest::Exists(keys) => {
                ShardReply::Count(keys.iter().filter(|key| self.table.get(key, now_ms).is_some()).count())
            }
            ShardRequest::Walk { from, count } => {
                let (mut keys, mut visited) = (Vec::new(), 0);
                let next = self.table.scan(from, count, |entry| {
                    visited += 1;
                    if is_live(entry, now_ms) {
                        keys.push(entry.key().clone());
                    }
                });
                ShardReply::Walked { keys, visited, next }
            }
            ShardRequest::DbSize => ShardReply::Count(self.table.len()),
            ShardRequest::Flush => {
                let count = self.table.len();
                self.table.clear();
                ShardReply::Count(count)
            }
            ShardRequest::Stats => ShardReply::Stats(self.stats()),
        }
    }

    #[inline]
    fn key_op(&mut self, key: Key, op: KeyOp, now: u64) -> Result<Reply, &'static ErrorReply> {
        Ok(match op {
            KeyOp::Get => Reply::bulk_or_nil(self.read(&key, now)),
            KeyOp::Set { value, expiry: SetExpiry::Never, condition: SetCondition::Always, get: false } => {
                self.table.put(key, value, NEVER);
                Reply::OK
            }
            KeyOp::Set { value, expiry, condition, get } => self.set(key, value, expiry, condition, get, now),
            KeyOp::GetDel => {
                let value = self.table.remove(&key, now);
                self.note(value.is_some());
                Reply::bulk_or_nil(value)
            }
            KeyOp::SetNx(value) => {
                let absent = self.table.get(&key, now).is_none();
                if absent {
                    self.table.put(key, value, NEVER);
                }
                flag(absent)
            }
            KeyOp::IncrBy(by) => Reply::Integer(self.incr_by(key, by, now)?),
            KeyOp::Append(more) => Reply::Integer(self.append(key, more, now)? as i64),
            KeyOp::Strlen => {
                let len = self.table.get(&key, now).map(|found| found.get().value().len());
                self.note(len.is_some());
                Reply::Integer(len.unwrap_or(0) as i64)
            }
            KeyOp::Del => flag(self.table.remove(&key, now).is_some()),
            KeyOp::Exists => {
                let found = self.table.get(&key, now).is_some();
                self.note(found);
                flag(found)
            }
            KeyOp::Expire { deadline, condition } => flag(self.expire(&key, deadline, condition, now)),
            KeyOp::Persist => flag(self.table.get(&key, now).is_some_and(|mut found| {
                let had = found.get().deadline() != NEVER;
                found.set_deadline(NEVER);
                had
            })),
            KeyOp::Ttl(unit) => {
                let deadline = self.table.get(&key, now).map(|found| found.get().deadline());
                self.note(deadline.is_some());
                Reply::Integer(ttl(deadline, unit, now))
            }
            KeyOp::Type => {
                let found = self.table.get(&key, now).is_some();
                self.note(found);
                Reply::simple(if found { "string" } else { "none" })
            }
        })
    }

    #[inline]
    fn read(&mut self, key: &Key, now: u64) -> Option<SmallBytes> {
        let value = self.table.get(key, now).map(|found| found.get().value().clone());
        self.note(value.is_some());
        value
    }

    #[inline]
    fn note(&mut self, found: bool) {
        if found {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
    }

    fn set(
        &mut self,
        key: Key,
        value: SmallBytes,
        expiry: SetExpiry,
        condition: SetCondition,
        get: bool,
        now: u64,
    ) -> Reply {
        let old = self.table.get(&key, now).map(|found| {
            let found = found.get();
            (found.deadline(), get.then(|| found.value().clone()))
        });
        if get {
            self.note(old.is_some());
        }
        let sets = match condition {
            SetCondition::Always => true,
            SetCondition::IfAbsent => old.is_none(),
            SetCondition::IfPresent => old.is_some(),
        };
        let (old_deadline, old_value) = old.unwrap_or((NEVER, None));
        if sets {
            let deadline = match expiry {
                SetExpiry::Never => NEVER,
                SetExpiry::Keep => old_deadline,
                SetExpiry::At(deadline) => deadline,
            };
            self.table.put(key, value, deadline);
        }
        match (get, sets) {
            (true, _) => Reply::bulk_or_nil(old_value),
            (false, true) => Reply::OK,
            (false, false) => Reply::Nil,
        }
    }

    fn incr_by(&mut self, key: Key, by: i64, now: u64) -> Result<i64, &'static ErrorReply> {
        let Some(mut found) = self.table.get(&key, now) else {
            self.table.put(key, decimal(by), NEVER);
            return Ok(by);
        };
        let old = parse_i64(found.get().value()).ok_or(&NOT_AN_INTEGER)?;
        let new = old.checked_add(by).ok_or(&WOULD_OVERFLOW)?;
        found.replace_value(decimal(new));
        Ok(new)
    }

    fn append(&mut self, key: Key, more: SmallBytes, now: u64) -> Result<usize, &'static ErrorReply> {
        let max = self.value_bytes_max;
        let Some(mut found) = self.table.get(&key, now) else {
            let len = more.len();
            self.table.put(key, more, NEVER);
            return Ok(len);
        };
        if found.get().value().len() + more.len() > max {
            return Err(&TOO_LONG);
        }
        Ok(found.append(&more))
    }

    fn expire(&mut self, key: &Key, deadline: u64, condition: ExpireCondition, now: u64) -> bool {
        let Some(mut found) = self.table.get(key, now) else { return false };
        let old = found.get().deadline();
        let acts = match condition {
            ExpireCondition::Always => true,
            ExpireCondition::IfNone => old == NEVER,
            ExpireCondition::IfSome => old != NEVER,
            ExpireCondition::IfLater => old != NEVER && deadline > old,
            ExpireCondition::IfEarlier => deadline < old,
            ExpireCondition::IfSomeAndEarlier => old != NEVER && deadline < old,
        };
        if acts && deadline <= now {
            self.table.remove(key, now);
        } else if acts {
            found.set_deadline(deadline);
        }
        acts
    }

    /// When the shard's timer should next call [`Shard::expire_due`], in the same milliseconds; `None` if nothing
    /// expires. It may become earlier or later with every request.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.table.next_expiry()
    }

    /// Removes about `limit` of the keys whose time is over; how many it were. Call it again at once (after the
    /// requests that wait) while [`Shard::next_expiry`] is not in the future.
    pub(crate) fn expire_due(&mut self, now_ms: u64, limit: usize) -> usize {
        let removed = self.table.expire_due(now_ms, limit);
        self.expired += removed as u64;
        removed
    }

    /// The shard's numbers.
    pub(crate) fn stats(&self) -> ShardStats {
        ShardStats {
            keys: self.table.len(),
            volatile: self.table.volatile(),
            memory_bytes: self.table.memory_bytes(),
            hits: self.hits,
            misses: self.misses,
            expired: self.expired,
            requests: self.requests,
        }
    }
}

fn is_live(entry: &Entry, now: u64) -> bool {
    entry.deadline() >= now
}

fn flag(yes: bool) -> Reply {
    Reply::Integer(yes.into())
}

#[inline]
fn decimal(number: i64) -> SmallBytes {
    SmallBytes::copy_from_slice(itoa::Buffer::new().format(number).as_bytes())
}

fn ttl(deadline: Option<u64>, unit: TtlUnit, now: u64) -> i64 {
    let milliseconds = match (deadline, unit) {
        (None, _) => return -2,
        (Some(NEVER), _) => return -1,
        (Some(deadline), TtlUnit::Seconds | TtlUnit::Milliseconds) => deadline.saturating_sub(now) as i64,
        (Some(deadline), TtlUnit::UnixSeconds | TtlUnit::UnixMilliseconds) => deadline as i64,
    };
    match unit {
        // To the nearest second, as Redis does: just after `EXPIRE key 10`, TTL says 10.
        TtlUnit::Seconds | TtlUnit::UnixSeconds => {
            (milliseconds / 1000) + i64::from(milliseconds % 1000 >= 500)
        }
        TtlUnit::Milliseconds | TtlUnit::UnixMilliseconds => milliseconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::keyspace::KeyHasher;

    struct Server {
        hasher: KeyHasher,
        shard: Shard,
        now: u64,
    }

    impl Server {
        fn new() -> Self {
            Self { hasher: KeyHasher::default(), shard: Shard::new(1000), now: 1_000_000 }
        }

        fn key(&self, name: &'static str) -> Key {
            self.hasher.key(name.into())
        }

        fn op(&mut self, key: &'static str, op: KeyOp) -> Reply {
            let request = ShardRequest::Key(self.key(key), op);
            match self.shard.apply(request, self.now) {
                ShardReply::Reply(reply) => reply,
                other => panic!("{other:?}"),
            }
        }

        #[track_caller]
        fn check(&mut self, key: &'static str, op: KeyOp, expected: &Reply) {
            assert_eq!(&self.op(key, op.clone()), expected, "{op:?}");
        }

        fn count(&mut self, request: ShardRequest) -> usize {
            match self.shard.apply(request, self.now) {
                ShardReply::Count(count) => count,
                other => panic!("{other:?}"),
            }
        }
    }

    fn set(value: &'static str) -> KeyOp {
        KeyOp::Set {
            value: value.into(),
            expiry: SetExpiry::Never,
            condition: SetCondition::Always,
            get: false,
        }
    }

    fn set_at(value: &'static str, deadline: u64) -> KeyOp {
        KeyOp::Set {
            value: value.into(),
            expiry: SetExpiry::At(deadline),
            condition: SetCondition::Always,
            get: false,
        }
    }

    fn expire(deadline: u64, condition: ExpireCondition) -> KeyOp {
        KeyOp::Expire { deadline, condition }
    }

    fn integer(number: i64) -> Reply {
        Reply::Integer(number)
    }

    #[test]
    fn set_with_every_condition() {
        use SetCondition::*;
        let set = |value: &'static str, condition, get| KeyOp::Set {
            value: value.into(),
            expiry: SetExpiry::Never,
            condition,
            get,
        };
        // (there before, condition, get) → (reply, there after)
        for (before, condition, get, reply, after) in [
            (None, Always, false, Reply::OK, Some("new")),
            (None, Always, true, Reply::Nil, Some("new")),
            (None, IfAbsent, false, Reply::OK, Some("new")),
            (None, IfAbsent, true, Reply::Nil, Some("new")),
            (None, IfPresent, false, Reply::Nil, None),
            (None, IfPresent, true, Reply::Nil, None),
            (Some("old"), Always, false, Reply::OK, Some("new")),
            (Some("old"), Always, true, Reply::bulk("old"), Some("new")),
            (Some("old"), IfAbsent, false, Reply::Nil, Some("old")),
            (Some("old"), IfAbsent, true, Reply::bulk("old"), Some("old")),
            (Some("old"), IfPresent, false, Reply::OK, Some("new")),
            (Some("old"), IfPresent, true, Reply::bulk("old"), Some("new")),
        ] {
            let mut server = Server::new();
            if let Some(before) = before {
                server.check("k", set(before, Always, false), &Reply::OK);
            }
            server.check("k", set("new", condition, get), &reply);
            server.check("k", KeyOp::Get, &after.map_or(Reply::Nil, Reply::bulk));
        }
    }

    #[test]
    fn set_and_the_deadline() {
        let mut server = Server::new();
        let deadline = server.now + 100;
        server.check("k", set_at("1", deadline), &Reply::OK);
        let keep = KeyOp::Set {
            value: "2".into(),
            expiry: SetExpiry::Keep,
            condition: SetCondition::Always,
            get: false,
        };
        server.check("k", keep.clone(), &Reply::OK);
        server.check("k", KeyOp::Ttl(TtlUnit::Milliseconds), &integer(100));
        server.check("k", set("3"), &Reply::OK);
        server.check("k", KeyOp::Ttl(TtlUnit::Milliseconds), &integer(-1));
        server.check("new", keep, &Reply::OK);
        server.check("new", KeyOp::Ttl(TtlUnit::Milliseconds), &integer(-1));
        server.check("past", set_at("1", 1), &Reply::OK);
        server.check("past", KeyOp::Get, &Reply::Nil);
    }

    #[test]
    fn expired_keys_are_never_seen() {
        let ops: [(KeyOp, Reply); 11] = [
            (KeyOp::Get, Reply::Nil),
            (KeyOp::GetDel, Reply::Nil),
            (KeyOp::SetNx("x".into()), integer(1)),
            (KeyOp::IncrBy(1), integer(1)),
            (KeyOp::Append("ab".into()), integer(2)),
            (KeyOp::Strlen, integer(0)),
            (KeyOp::Del, integer(0)),
            (KeyOp::Exists, integer(0)),
            (expire(u64::MAX - 1, ExpireCondition::Always), integer(0)),
            (KeyOp::Persist, integer(0)),
            (KeyOp::Type, Reply::simple("none")),
        ];
        for (op, reply) in ops {
            let mut server = Server::new();
            server.check("k", set_at("5", server.now + 10), &Reply::OK);
            server.now += 10;
            assert_ne!(server.op("k", KeyOp::Get), Reply::Nil, "the last millisecond");
            server.now += 1;
            server.check("k", op, &reply);
        }
        let mut server = Server::new();
        server.check("k", set_at("5", server.now), &Reply::OK);
        server.now += 1;
        let (k, now) = (server.key("k"), server.now);
        for (request, reply) in [
            (
                ShardRequest::Walk { from: 0, count: 10 },
                ShardReply::Walked { keys: vec![], visited: 1, next: None },
            ),
            (ShardRequest::Exists(vec![k.clone()]), ShardReply::Count(0)),
            (ShardRequest::Mget(vec![k.clone()]), ShardReply::Values(vec![None])),
            (ShardRequest::Del(vec![k]), ShardReply::Count(0)),
        ] {
            assert_eq!(server.shard.apply(request, now), reply);
        }
    }

    #[test]
    fn counters() {
        let mut server = Server::new();
        server.check("n", KeyOp::IncrBy(5), &integer(5));
        server.check("n", KeyOp::IncrBy(-7), &integer(-2));
        server.check("n", KeyOp::Get, &Reply::bulk("-2"));
        server.check("n", KeyOp::IncrBy(i64::MAX), &integer(i64::MAX - 2));
        server.check("n", KeyOp::IncrBy(3), &WOULD_OVERFLOW.clone().into());
        server.check("n", KeyOp::Get, &integer_text(i64::MAX - 2));
        server.check("n", expire(server.now + 100, ExpireCondition::Always), &integer(1));
        server.check("n", KeyOp::IncrBy(1), &integer(i64::MAX - 1));
        server.check("n", KeyOp::Ttl(TtlUnit::Milliseconds), &integer(100));
        for text in ["", " 1", "01", "1.5", "9223372036854775808"] {
            server.check("text", set(text), &Reply::OK);
            server.check("text", KeyOp::IncrBy(1), &NOT_AN_INTEGER.clone().into());
        }
    }

    fn integer_text(number: i64) -> Reply {
        Reply::Bulk(number.to_string().into())
    }

    #[test]
    fn append_and_strlen() {
        let mut server = Server::new();
        server.check("k", KeyOp::Strlen, &integer(0));
        server.check("k", KeyOp::Append("ab".into()), &integer(2));
        server.check("k", expire(server.now + 100, ExpireCondition::Always), &integer(1));
        server.check("k", KeyOp::Append("cd".into()), &integer(4));
        server.check("k", KeyOp::Get, &Reply::bulk("abcd"));
        server.check("k", KeyOp::Ttl(TtlUnit::Milliseconds), &integer(100));
        server.check("k", KeyOp::Append(vec![b'x'; 996].into()), &integer(1000));
        server.check("k", KeyOp::Append("y".into()), &TOO_LONG.clone().into());
        server.check("k", KeyOp::Strlen, &integer(1000));
    }

    #[test]
    fn expire_with_every_condition() {
        use ExpireCondition::*;
        const OLD: u64 = 2_000_000;
        // (has a deadline, condition, new deadline) → acts
        for (has, condition, new, acts) in [
            (false, Always, OLD, true),
            (false, IfNone, OLD, true),
            (false, IfSome, OLD, false),
            (false, IfLater, OLD, false),
            (false, IfEarlier, OLD, true),
            (false, IfSomeAndEarlier, OLD, false),
            (true, Always, OLD + 1, true),
            (true, IfNone, OLD + 1, false),
            (true, IfSome, OLD + 1, true),
            (true, IfLater, OLD + 1, true),
            (true, IfLater, OLD, false),
            (true, IfLater, OLD - 1, false),
            (true, IfEarlier, OLD - 1, true),
            (true, IfEarlier, OLD, false),
            (true, IfEarlier, OLD + 1, false),
            (true, IfSomeAndEarlier, OLD - 1, true),
            (true, IfSomeAndEarlier, OLD + 1, false),
        ] {
            let mut server = Server::new();
            server.check("k", if has { set_at("v", OLD) } else { set("v") }, &Reply::OK);
            server.check("k", expire(new, condition), &integer(acts.into()));
            let after = match (acts, has) {
                (true, _) => new as i64,
                (false, true) => OLD as i64,
                (false, false) => -1,
            };
            server.check("k", KeyOp::Ttl(TtlUnit::UnixMilliseconds), &integer(after));
        }
        let mut server = Server::new();
        server.check("k", set("v"), &Reply::OK);
        server.check("k", expire(server.now, Always), &integer(1));
        assert_eq!(server.count(ShardRequest::DbSize), 0, "a deadline that is over removes");
    }

    #[test]
    fn ttl_in_every_unit() {
        for (deadline, unit, answer) in [
            (None, TtlUnit::Seconds, -2),
            (Some(NEVER), TtlUnit::Milliseconds, -1),
            (Some(NEVER), TtlUnit::UnixSeconds, -1),
            (Some(11_499), TtlUnit::Seconds, 1),
            (Some(11_500), TtlUnit::Seconds, 2),
            (Some(10_000), TtlUnit::Seconds, 0),
            (Some(11_499), TtlUnit::Milliseconds, 1499),
            (Some(11_499), TtlUnit::UnixSeconds, 11),
            (Some(11_500), TtlUnit::UnixSeconds, 12),
            (Some(11_499), TtlUnit::UnixMilliseconds, 11_499),
            (Some(i64::MAX as u64), TtlUnit::UnixSeconds, 9_223_372_036_854_776),
        ] {
            assert_eq!(ttl(deadline, unit, 10_000), answer, "{deadline:?} {unit:?}");
        }
    }

    #[test]
    fn many_keys() {
        let mut server = Server::new();
        let [a, b, c] = ["a", "b", "c"].map(|name| server.key(name));
        let pairs = vec![(a.clone(), "1".into()), (b.clone(), "2".into()), (a.clone(), "3".into())];
        server.check("a", set_at("0", server.now + 5), &Reply::OK);
        assert_eq!(server.count(ShardRequest::Mset(pairs)), 3);
        server.check("a", KeyOp::Ttl(TtlUnit::Seconds), &integer(-1));
        let mget = ShardRequest::Mget(vec![a.clone(), c.clone(), b.clone(), a.clone()]);
        let values = vec![Some("3".into()), None, Some("2".into()), Some("3".into())];
        assert_eq!(server.shard.apply(mget, server.now), ShardReply::Values(values));
        assert_eq!(server.count(ShardRequest::Exists(vec![a.clone(), a.clone(), c.clone()])), 2);
        assert_eq!(server.count(ShardRequest::Del(vec![a.clone(), a.clone(), c, b])), 2);
        assert_eq!(server.count(ShardRequest::DbSize), 0);
        assert_eq!(server.count(ShardRequest::Mset(vec![(a, "1".into())])), 1);
        assert_eq!(server.count(ShardRequest::Flush), 1);
        assert_eq!(server.count(ShardRequest::DbSize), 0);
    }

    #[test]
    fn a_step_of_a_walk_is_bounded() {
        const KEYS: usize = 5_000;
        let mut server = Server::new();
        let names = (0..KEYS).map(|number| SmallBytes::from(format!("key {number}")));
        let pairs = names.clone().map(|name| (server.hasher.key(name.clone()), name)).collect();
        assert_eq!(server.count(ShardRequest::Mset(pairs)), KEYS);
        let (mut from, mut found, mut steps) = (0, Vec::new(), 0);
        loop {
            match server.shard.apply(ShardRequest::Walk { from, count: 100 }, server.now) {
                ShardReply::Walked { keys, visited, next } => {
                    assert!(
                        visited == keys.len() && visited <= 110,
                        "{visited}: keys with one position are rare"
                    );
                    found.extend(keys);
                    steps += 1;
                    let Some(next) = next else { break };
                    from = next;
                }
                other => panic!("{other:?}"),
            }
        }
        let mut expected: Vec<_> = names.collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert!(found == expected, "each of {KEYS} once, got {}", found.len());
        assert!(steps >= KEYS / 110, "{steps}");
    }

    #[test]
    fn a_timer_can_drive_the_expiry_and_the_numbers_show_it() {
        let mut server = Server::new();
        assert_eq!(server.shard.next_expiry(), None);
        server.check("b", set_at("v", server.now + 20), &Reply::OK);
        server.check("a", set_at("v", server.now + 10), &Reply::OK);
        server.check("c", set("v"), &Reply::OK);
        assert_eq!(server.shard.next_expiry(), Some(server.now + 11));
        assert_eq!(server.shard.expire_due(server.now + 11, 100), 1);
        assert_eq!(server.shard.next_expiry(), Some(server.now + 21));
        server.check("c", KeyOp::Get, &Reply::bulk("v"));
        server.check("a", KeyOp::Get, &Reply::Nil);
        let stats = server.shard.stats();
        assert_eq!((stats.keys, stats.volatile, stats.expired), (2, 1, 1));
        assert_eq!((stats.hits, stats.misses, stats.requests), (1, 1, 5));
        assert_eq!(server.shard.apply(ShardRequest::Stats, server.now), {
            ShardReply::Stats(ShardStats { requests: 6, ..stats })
        });
        let mut sum = stats;
        sum.add(&stats);
        assert_eq!((sum.keys, sum.memory_bytes), (4, 2 * stats.memory_bytes));
    }
}

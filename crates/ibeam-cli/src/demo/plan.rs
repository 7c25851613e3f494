//! From commands to shard requests and back: which shard is asked what, and which answer goes where.
//!
//! A connection puts the commands that arrived together into one [`Plan`], sends each shard its part as one message,
//! and encodes the answers in the order of the commands. So a pipeline of 16 commands costs as many messages as there
//! are shards in it, not 16.
//!
//! # Invariants
//! 1. Answers leave in the order in which commands were put in. A reply that is known at once waits for those before
//!    it.
//! 2. Each shard gets the requests of one connection in the order of its commands, and a plan is finished before the
//!    next one begins: a client reads what it wrote.
//! 3. Nothing is promised between shards: another client may see the effects on two keys of one pipeline in either
//!    order, and half of an MSET. (A cluster of Redis servers promises as much; it refuses such an MSET.)
//! 4. A call that failed fails exactly the commands that needed it.

use smallvec::{IntoIter, SmallVec};

use super::command::KeysOp;
use super::keyspace::{Key, KeyHasher};
use super::resp::{Args, ErrorReply, Output, Reply};
use super::shard::{KeyOp, ShardReply, ShardRequest};
use super::small_bytes::SmallBytes;
use super::walk::SHARDS_MAX;

/// The requests for one shard, in order: the message that its process gets.
pub(crate) type Batch = SmallVec<[ShardRequest; 1]>;

/// A shard's answers to a [`Batch`], in order.
pub(crate) type BatchReply = SmallVec<[ShardReply; 1]>;

/// All that shards are asked at once; one call, as without pipelining, needs no allocation.
pub(crate) type Calls = SmallVec<[ShardCall; 1]>;

/// What one shard is to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShardCall {
    pub(crate) shard: usize,
    pub(crate) batch: Batch,
}

/// Finds the shard of a key. The same for all connections of a server.
#[derive(Debug, Clone)]
pub(crate) struct Router {
    hasher: KeyHasher,
    shards: usize,
}

impl Router {
    /// A router over `shards` shards with a new secret.
    ///
    /// # Panics
    /// If there are no shards, or more than a SCAN's cursor can name.
    pub(crate) fn new(shards: usize) -> Self {
        assert!((1..=SHARDS_MAX).contains(&shards), "expected 1 to {SHARDS_MAX} shards, got {shards}");
        Self { hasher: KeyHasher::default(), shards }
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> usize {
        self.shards
    }

    #[inline]
    fn route(&self, key: SmallBytes) -> (usize, Key) {
        let key = self.hasher.key(key);
        (key.shard(self.shards), key)
    }
}

/// Commands in flight: what the shards were asked, and how the answers are put together.
#[derive(Debug)]
pub(crate) struct Plan {
    calls: Calls,
    /// The index in `calls` of each shard, or [`NO_CALL`].
    call_of: Vec<u32>,
    answers: Vec<Answer>,
    requests: usize,
}

const NO_CALL: u32 = u32::MAX;

/// A plan with so many requests should be run before more commands are put in.
const FULL: usize = 1024;

/// How one command's answer comes to be.
#[derive(Debug)]
enum Answer {
    Ready(Reply),
    /// The next reply of this call.
    One(u32),
    /// The next reply of each of these calls.
    Many(Vec<Part>, Merge),
}

/// A call that a command has a share in.
#[derive(Debug)]
struct Part {
    call: u32,
    /// For [`Merge::Values`]: where each of its values goes.
    positions: Vec<u32>,
}

/// How the shares become one reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// The sum of the counts.
    Sum,
    /// `+OK`, whatever the counts.
    Ok,
    /// The values, each at its position, of so many.
    Values(usize),
}

impl Plan {
    /// An empty plan for connections of `router`.
    pub(crate) fn new(router: &Router) -> Self {
        Self { calls: Calls::new(), call_of: vec![NO_CALL; router.shards], answers: Vec::new(), requests: 0 }
    }

    /// Whether there is nothing to be asked or answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Whether it should be run before more commands are put in.
    pub(crate) fn is_full(&self) -> bool {
        self.requests >= FULL
    }

    /// Puts in a reply that is known: into `output` if nothing is before it.
    #[inline]
    pub(crate) fn ready(&mut self, reply: Reply, output: &mut Output) {
        if self.answers.is_empty() {
            output.reply(reply);
        } else {
            self.requests += 1;
            self.answers.push(Answer::Ready(reply));
        }
    }

    /// Puts in a command about one key.
    #[inline]
    pub(crate) fn key(&mut self, router: &Router, key: SmallBytes, op: KeyOp) {
        let (shard, key) = router.route(key);
        let call = self.ask(shard, ShardRequest::Key(key, op));
        self.answers.push(Answer::One(call));
    }

    /// Puts in a command about several keys.
    pub(crate) fn keys(&mut self, router: &Router, op: KeysOp, keys: Args) {
        let count = keys.len();
        let mut parts: Vec<(usize, Vec<Key>, Vec<u32>)> = Vec::new();
        let mut part_of = vec![usize::MAX; router.shards];
        for (position, key) in keys.into_iter().enumerate() {
            let (shard, key) = router.route(key);
            if part_of[shard] == usize::MAX {
                part_of[shard] = parts.len();
                parts.push((shard, Vec::new(), Vec::new()));
            }
            let (_, keys, positions) = &mut parts[part_of[shard]];
            keys.push(key);
            if op == KeysOp::Mget {
                positions.push(position as u32);
            }
        }
        let parts = parts.into_iter().map(|(shard, keys, positions)| {
            let request = match op {
                KeysOp::Mget => ShardRequest::Mget(keys),
                KeysOp::Del => ShardRequest::Del(keys),
                KeysOp::Exists => ShardRequest::Exists(keys),
            };
            Part { call: self.ask(shard, request), positions }
        });
        let merge = if op == KeysOp::Mget { Merge::Values(count) } else { Merge::Sum };
        let answer = Answer::Many(parts.collect(), merge);
        self.answers.push(answer);
    }

    /// Puts in an MSET: key, value, key, value, …
    pub(crate) fn mset(&mut self, router: &Router, pairs: Args) {
        let mut parts: Vec<(usize, Vec<(Key, SmallBytes)>)> = Vec::new();
        let mut part_of = vec![usize::MAX; router.shards];
        let mut words = pairs.into_iter();
        while let (Some(key), Some(value)) = (words.next(), words.next()) {
            let (shard, key) = router.route(key);
            if part_of[shard] == usize::MAX {
                part_of[shard] = parts.len();
                parts.push((shard, Vec::new()));
            }
            parts[part_of[shard]].1.push((key, value));
        }
        let parts = parts.into_iter().map(|(shard, pairs)| Part {
            call: self.ask(shard, ShardRequest::Mset(pairs)),
            positions: Vec::new(),
        });
        let answer = Answer::Many(parts.collect(), Merge::Ok);
        self.answers.push(answer);
    }

    /// Puts in a command about all shards.
    pub(crate) fn all(&mut self, router: &Router, request: &ShardRequest, merge: Merge) {
        let parts = (0..router.shards)
            .map(|shard| Part { call: self.ask(shard, request.clone()), positions: Vec::new() });
        let answer = Answer::Many(parts.collect(), merge);
        self.answers.push(answer);
    }

    #[inline]
    fn ask(&mut self, shard: usize, request: ShardRequest) -> u32 {
        self.requests += 1;
        let call = self.call_of[shard];
        if call != NO_CALL {
            self.calls[call as usize].batch.push(request);
            return call;
        }
        let call = self.calls.len() as u32;
        self.call_of[shard] = call;
        self.calls.push(ShardCall { shard, batch: Batch::from_iter([request]) });
        call
    }

    /// Takes the calls to make, at most one per shard; all at once, in any order. Then [`Plan::finish`].
    pub(crate) fn take_calls(&mut self) -> Calls {
        for call in &self.calls {
            self.call_of[call.shard] = NO_CALL;
        }
        std::mem::take(&mut self.calls)
    }

    /// Encodes all answers; the plan is empty then. `results` are those of [`Plan::take_calls`], in its order; an error
    /// is what the commands that needed the call are answered with.
    ///
    /// # Panics
    /// If the results are not those of this plan's calls: a shard that answers more or fewer requests than it was
    /// asked.
    pub(crate) fn finish(
        &mut self,
        results: impl IntoIterator<Item = Result<BatchReply, ErrorReply>>,
        output: &mut Output,
    ) {
        let mut results: SmallVec<[CallResult; 4]> = results.into_iter().map(CallResult::new).collect();
        for answer in self.answers.drain(..) {
            output.reply(match answer {
                Answer::Ready(reply) => reply,
                Answer::One(call) => match results[call as usize].next() {
                    Ok(ShardReply::Reply(reply)) => reply,
                    Ok(other) => panic!("expected a reply from a shard, got {other:?}"),
                    Err(error) => error.into(),
                },
                Answer::Many(parts, merge) => merge_parts(parts, merge, &mut results),
            });
        }
        self.requests = 0;
    }
}

/// The replies of a call that were not used yet, or its error.
enum CallResult {
    Replies(IntoIter<[ShardReply; 1]>),
    Failed(ErrorReply),
}

impl CallResult {
    fn new(result: Result<BatchReply, ErrorReply>) -> Self {
        match result {
            Ok(replies) => Self::Replies(replies.into_iter()),
            Err(error) => Self::Failed(error),
        }
    }

    #[inline]
    fn next(&mut self) -> Result<ShardReply, ErrorReply> {
        match self {
            Self::Replies(replies) => Ok(replies.next().expect("a shard answers every request")),
            Self::Failed(error) => Err(error.clone()),
        }
    }
}

fn merge_parts(parts: Vec<Part>, merge: Merge, results: &mut [CallResult]) -> Reply {
    let (mut sum, mut failed) = (0, None);
    let mut values = match merge {
        Merge::Values(count) => vec![Reply::Nil; count],
        _ => Vec::new(),
    };
    // All parts are taken even after an error: the next command's answers stand behind them.
    for part in parts {
        match results[part.call as usize].next() {
            Ok(ShardReply::Count(count)) => sum += count,
            Ok(ShardReply::Values(found)) => {
                for (position, value) in part.positions.into_iter().zip(found) {
                    values[position as usize] = Reply::bulk_or_nil(value);
                }
            }
            Ok(other) => panic!("expected a part of a reply from a shard, got {other:?}"),
            Err(error) => failed = Some(error),
        }
    }
    match (failed, merge) {
        (Some(error), _) => error.into(),
        (None, Merge::Sum) => Reply::Integer(sum as i64),
        (None, Merge::Ok) => Reply::OK,
        (None, Merge::Values(_)) => Reply::Array(values),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::super::shard::{SetCondition, SetExpiry, Shard};
    use super::*;

    struct Server {
        router: Router,
        shards: Vec<Shard>,
        plan: Plan,
        output: Output,
    }

    impl Server {
        fn new(shards: usize) -> Self {
            let router = Router::new(shards);
            Self {
                shards: (0..shards).map(|_| Shard::new(1000)).collect(),
                plan: Plan::new(&router),
                output: Output::default(),
                router,
            }
        }

        fn call(&mut self, call: ShardCall) -> BatchReply {
            let shard = &mut self.shards[call.shard];
            call.batch.into_iter().map(|request| shard.apply(request, 0)).collect()
        }

        /// Runs the plan; calls to the shards in `down` fail.
        fn run(&mut self, down: &[usize]) -> (usize, String) {
            let calls = self.plan.take_calls();
            let count = calls.len();
            let results: Vec<_> = calls
                .into_iter()
                .map(|call| {
                    if down.contains(&call.shard) {
                        Err(ErrorReply::from(format!("ERR shard {} is down", call.shard)))
                    } else {
                        Ok(self.call(call))
                    }
                })
                .collect();
            self.plan.finish(results, &mut self.output);
            assert!(self.plan.is_empty() && !self.plan.is_full());
            let len = self.output.remaining();
            let bytes = self.output.copy_to_bytes(len);
            (count, String::from_utf8(bytes.to_vec()).expect("text"))
        }

        /// A key of this shard.
        fn key_of(&self, shard: usize, number: usize) -> SmallBytes {
            (0..)
                .map(|number: usize| SmallBytes::from(number.to_string()))
                .filter(|name| self.router.route(name.clone()).0 == shard)
                .nth(number)
                .expect("endless")
        }
    }

    fn set(value: SmallBytes) -> KeyOp {
        KeyOp::Set { value, expiry: SetExpiry::Never, condition: SetCondition::Always, get: false }
    }

    fn bulk(text: &SmallBytes) -> String {
        format!("${}\r\n{}\r\n", text.len(), str::from_utf8(text).expect("text"))
    }

    #[test]
    fn a_pipeline_is_one_call_per_shard_and_answers_in_order() {
        let mut server = Server::new(3);
        let mut expected = String::new();
        for number in 0..50 {
            let value = SmallBytes::from(format!("value {number}"));
            let key = server.key_of(number % 3, number / 3);
            server.plan.key(&server.router, key.clone(), set(value.clone()));
            server.plan.ready(Reply::Integer(number as i64), &mut server.output);
            server.plan.key(&server.router, key, KeyOp::Get);
            expected += &format!("+OK\r\n:{number}\r\n{}", bulk(&value));
        }
        assert_eq!(server.run(&[]), (3, expected));
    }

    #[test]
    fn a_known_reply_does_not_wait_for_nothing() {
        let mut server = Server::new(1);
        server.plan.ready(Reply::OK, &mut server.output);
        assert!(server.plan.is_empty());
        assert_eq!(server.output.remaining(), 5);
    }

    #[test]
    fn several_keys_over_several_shards() {
        let mut server = Server::new(4);
        let keys: Vec<_> = (0..20).map(|number| SmallBytes::from(format!("key {number}"))).collect();
        let pairs = keys.iter().flat_map(|key| [key.clone(), key.clone()]).collect();
        server.plan.mset(&server.router, pairs);
        let mut asked: Args = keys.iter().rev().cloned().collect();
        asked.push("missing".into());
        asked.push(keys[3].clone());
        server.plan.keys(&server.router, KeysOp::Mget, asked.clone());
        server.plan.keys(&server.router, KeysOp::Exists, asked.clone());
        server.plan.keys(&server.router, KeysOp::Del, asked.clone());
        server.plan.all(&server.router, &ShardRequest::DbSize, Merge::Sum);
        let values: String =
            asked.iter().map(|key| if **key == *b"missing" { "$-1\r\n".into() } else { bulk(key) }).collect();
        let (calls, text) = server.run(&[]);
        assert_eq!(text, format!("+OK\r\n*22\r\n{values}:21\r\n:20\r\n:0\r\n"));
        assert_eq!(calls, 4);
    }

    #[test]
    fn all_shards_are_counted_and_flushed() {
        let mut server = Server::new(4);
        for number in 0..10 {
            server.plan.key(&server.router, format!("key {number}").into(), set("v".into()));
        }
        server.run(&[]);
        server.plan.all(&server.router, &ShardRequest::DbSize, Merge::Sum);
        assert_eq!(server.run(&[]), (4, ":10\r\n".into()));
        server.plan.all(&server.router, &ShardRequest::Flush, Merge::Ok);
        server.plan.all(&server.router, &ShardRequest::DbSize, Merge::Sum);
        assert_eq!(server.run(&[]), (4, "+OK\r\n:0\r\n".into()));
    }

    #[test]
    fn a_failed_call_fails_only_what_needed_it() {
        let mut server = Server::new(2);
        let [here, there] = [server.key_of(0, 0), server.key_of(1, 0)];
        for key in [&here, &there] {
            server.plan.key(&server.router, key.clone(), set("v".into()));
        }
        server.plan.keys(&server.router, KeysOp::Del, Args::from_iter([here.clone(), there.clone()]));
        server.plan.key(&server.router, here.clone(), KeyOp::Exists);
        server.plan.ready(Reply::OK, &mut server.output);
        let down = "-ERR shard 1 is down\r\n";
        assert_eq!(server.run(&[1]), (2, format!("+OK\r\n{down}{down}:0\r\n+OK\r\n")));
        server.plan.key(&server.router, there, KeyOp::Exists);
        assert_eq!(server.run(&[]), (1, ":0\r\n".into()));
    }

    #[test]
    fn a_plan_says_when_it_is_full() {
        let mut server = Server::new(2);
        while !server.plan.is_full() {
            server.plan.key(&server.router, "k".into(), KeyOp::Get);
        }
        let (_, text) = server.run(&[]);
        assert_eq!(text, "$-1\r\n".repeat(FULL));
    }
}

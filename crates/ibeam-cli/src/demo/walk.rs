//! Walking over all keys: what KEYS and SCAN ask the shards, step by step, and make of the answers.
//!
//! A shard tells the next few keys of its [order](super::keyspace), and serves others before it is asked for more. Which keys match is
//! decided here, in the process that walks: the shard does not wait for a pattern.
//!
//! # Invariants
//! 1. One step visits [`STEP`] keys of a shard, and a few more if they share a position; so that is how long others wait.
//! 2. A key that is there during all of a KEYS, or from the first to the last SCAN of a series, is found, and found once: positions
//!    never change, and each is passed once. One that comes or goes meanwhile is found or not.
//! 3. SCAN visits no more keys than `COUNT`, a few more aside, whether they match or not.

use super::command::ScanOptions;
use super::glob;
use super::plan::Router;
use super::resp::Reply;
use super::shard::{ShardReply, ShardRequest};
use super::small_bytes::SmallBytes;

/// How many keys a shard visits before others get their turn: some 20 µs.
pub(crate) const STEP: usize = 512;

/// A cursor has 16 bits for the shard.
pub(crate) const SHARDS_MAX: usize = 1 << 16;

/// A walk on its way over the shards: ask, absorb, until there is a reply.
///
/// The cursor of SCAN is the shard's index in the lower 16 bits and the position in it (see [`super::keyspace`]) above them; 0
/// is both the beginning and the end. It holds all the state there is, so cursors cost nothing and never expire; a
/// cursor that was made up starts somewhere or ends the scan.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    shards: usize,
    /// Where to go on: shard and position; `None` at the end.
    next: Option<(usize, u32)>,
    pattern: Option<SmallBytes>,
    extent: Extent,
    keys: Vec<SmallBytes>,
}

/// How far a walk goes, and so what its reply is.
#[derive(Debug, Clone, Copy)]
enum Extent {
    /// KEYS: to the end.
    All,
    /// SCAN: over so many more keys.
    Some { left: usize, other_type: bool },
}

impl Walk {
    /// KEYS with this pattern.
    pub(crate) fn keys(router: &Router, pattern: SmallBytes) -> Self {
        Self {
            shards: router.shards(),
            next: Some((0, 0)),
            pattern: Some(pattern),
            extent: Extent::All,
            keys: Vec::new(),
        }
    }

    /// A SCAN with these arguments.
    pub(crate) fn scan(router: &Router, options: ScanOptions) -> Self {
        let shard = (options.cursor % SHARDS_MAX as u64) as usize;
        let position = u32::try_from(options.cursor / SHARDS_MAX as u64).ok();
        Self {
            shards: router.shards(),
            next: position.filter(|_| shard < router.shards()).map(|position| (shard, position)),
            pattern: options.pattern,
            extent: Extent::Some { left: options.count, other_type: options.other_type },
            keys: Vec::new(),
        }
    }

    /// The next shard to ask, and what; `None` when there is enough for a reply.
    ///
    /// Small shards are walked over in one SCAN.
    pub(crate) fn next_step(&self) -> Option<(usize, ShardRequest)> {
        let count = self.count();
        let (shard, from) = self.next.filter(|_| count > 0)?;
        Some((shard, ShardRequest::Walk { from, count }))
    }

    fn count(&self) -> usize {
        match self.extent {
            Extent::All => STEP,
            Extent::Some { left, .. } => left.min(STEP),
        }
    }

    /// Takes the answer to [`Walk::next_step`].
    ///
    /// # Panics
    /// If it is not the answer to that.
    pub(crate) fn absorb(&mut self, reply: ShardReply) {
        let (ShardReply::Walked { keys, visited, next }, Some((shard, _))) = (reply, self.next) else {
            panic!("expected a step of a walk from a shard");
        };
        let wanted =
            |key: &SmallBytes| self.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, key));
        if !matches!(self.extent, Extent::Some { other_type: true, .. }) {
            self.keys.extend(keys.into_iter().filter(wanted));
        }
        let asked = self.count();
        if let Extent::Some { left, .. } = &mut self.extent {
            *left = left.saturating_sub(visited);
            if next.is_some() && visited < asked {
                // The shard walked over many empty segments: the client asks again.
                *left = 0;
            }
        }
        self.next = match next {
            Some(position) => Some((shard, position)),
            None => Some((shard + 1, 0)).filter(|(shard, _)| *shard < self.shards),
        };
    }

    /// The reply: keys, for SCAN behind the cursor.
    pub(crate) fn into_reply(self) -> Reply {
        let keys = Reply::bulks(self.keys);
        if matches!(self.extent, Extent::All) {
            return keys;
        }
        let cursor =
            self.next.map_or(0, |(shard, position)| u64::from(position) * SHARDS_MAX as u64 + shard as u64);
        Reply::Array(vec![Reply::Bulk(cursor.to_string().into()), keys])
    }
}

#[cfg(test)]
mod tests {
    use super::super::keyspace::KeyHasher;
    use super::super::shard::{KeyOp, Shard};
    use super::*;

    struct Server {
        router: Router,
        shards: Vec<Shard>,
        hasher: KeyHasher,
    }

    impl Server {
        /// With this many shards, and keys from `key 0` on.
        fn new(shards: usize, keys: usize) -> Self {
            let mut server = Self {
                router: Router::new(shards),
                shards: (0..shards).map(|_| Shard::new(1000)).collect(),
                hasher: KeyHasher::default(),
            };
            for number in 0..keys {
                server.set(&format!("key {number}"), true);
            }
            server
        }

        fn set(&mut self, name: &str, there: bool) {
            let key = self.hasher.key(SmallBytes::copy_from_slice(name.as_bytes()));
            let shard = &mut self.shards[key.shard(self.router.shards())];
            let op = if there { KeyOp::SetNx("v".into()) } else { KeyOp::Del };
            shard.apply(ShardRequest::Key(key, op), 0);
        }

        /// Walks to the end; `between` is called after each step.
        fn walk(&mut self, mut walk: Walk, mut between: impl FnMut(&mut Self)) -> Reply {
            while let Some((shard, request)) = walk.next_step() {
                assert!(matches!(request, ShardRequest::Walk { count: 1..=STEP, .. }), "{request:?}");
                let reply = self.shards[shard].apply(request, 0);
                walk.absorb(reply);
                between(self);
            }
            walk.into_reply()
        }

        fn scan(&mut self, cursor: u64, count: usize, other_type: bool) -> (u64, Vec<SmallBytes>) {
            let options = ScanOptions { cursor, count, pattern: None, other_type };
            let Reply::Array(mut parts) = self.walk(Walk::scan(&self.router, options), |_| {}) else {
                panic!("not an array");
            };
            let (Some(keys), Some(Reply::Bulk(cursor))) = (parts.pop(), parts.pop()) else {
                panic!("not a scan's reply");
            };
            (str::from_utf8(&cursor).expect("text").parse().expect("a number"), keys_of(keys))
        }
    }

    fn keys_of(reply: Reply) -> Vec<SmallBytes> {
        let Reply::Array(keys) = reply else { panic!("{reply:?}") };
        let key = |reply| match reply {
            Reply::Bulk(key) => key,
            other => panic!("{other:?}"),
        };
        keys.into_iter().map(key).collect()
    }

    #[test]
    fn scans_go_over_all_shards() {
        for (shards, entries, count) in
            [(1, 0, 10), (1, 100, 10), (7, 1000, 10), (7, 1000, 1), (3, 20, 1000), (2, 3000, 1200)]
        {
            let mut server = Server::new(shards, entries);
            let (mut cursor, mut found, mut calls) = (0, Vec::new(), 0);
            loop {
                let (next, keys) = server.scan(cursor, count, false);
                assert!(keys.len() <= count + 10, "{}", keys.len());
                found.extend(keys);
                calls += 1;
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), entries);
            assert!(calls <= entries / count + shards + 1, "{calls}");
        }
    }

    #[test]
    fn a_small_database_is_scanned_in_one_call() {
        let mut server = Server::new(8, 9);
        let (cursor, keys) = server.scan(0, 10, false);
        assert_eq!((cursor, keys.len()), (0, 9));
        assert_eq!(server.scan(0, 10, true), (0, vec![]), "another type");
    }

    #[test]
    fn a_scan_over_emptied_shards_is_cut_short_and_one_for_keys_is_not() {
        let mut server = Server::new(1, 60_000);
        for number in 1..60_000 {
            server.set(&format!("key {number}"), false);
        }
        let (mut cursor, mut found, mut calls) = (0, Vec::new(), 0);
        loop {
            let (next, keys) = server.scan(cursor, 1, false);
            found.extend(keys);
            calls += 1;
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(found, ["key 0".into()]);
        assert!((2..10).contains(&calls), "{calls}");
        let keys = server.walk(Walk::keys(&server.router, "*".into()), |_| {});
        assert_eq!(keys_of(keys), found);
    }

    #[test]
    fn cursors_that_were_made_up_end_the_scan() {
        let mut server = Server::new(2, 1);
        for cursor in [2, 65_535, u64::MAX, 1 << 48] {
            assert_eq!(server.scan(cursor, 10, false), (0, vec![]), "{cursor}");
        }
    }

    #[test]
    fn keys_finds_what_stays_once_while_others_come_and_go() {
        const STAYING: usize = 5_000;
        let mut server = Server::new(3, STAYING);
        let mut steps = 0;
        let walk = Walk::keys(&server.router, "key ?*".into());
        let reply = server.walk(walk, |server| {
            // Enough that segments split while the walk is on its way.
            for number in 0..300 {
                server.set(&format!("key x{steps}:{number}"), true);
                server.set(&format!("other {steps}:{number}"), true);
                server.set(&format!("key x{}:{number}", steps / 2), steps % 3 == 0);
            }
            steps += 1;
        });
        let mut found = keys_of(reply);
        assert!(steps >= STAYING / STEP, "{steps}");
        assert!(found.iter().all(|key| key.starts_with(b"key ")));
        found.retain(|key| !key.starts_with(b"key x"));
        found.sort_unstable();
        let mut expected: Vec<_> =
            (0..STAYING).map(|number| SmallBytes::from(format!("key {number}"))).collect();
        expected.sort_unstable();
        assert!(found == expected, "each of {STAYING} once, got {}", found.len());
    }
}

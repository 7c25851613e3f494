//! Tables as a tokio program has them: a sharded map with ibeam's hasher, and a tree of the standard library behind a lock.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use dashmap::DashMap;

use crate::check::{Wrong, equal};
use crate::workloads::*;

type Table = Arc<DashMap<u64, u64, foldhash::fast::RandomState>>;

/// See [`Workload::Table`].
pub(super) async fn run() -> Result<Vec<f64>, Wrong> {
    let table: Table = Arc::new((0..TABLE_KEYS).map(|key| (key, key)).collect());
    let reading = by_all(|user| look_up(Arc::clone(&table), user), TABLE_LOOKUPS).await?;
    let mixed = by_all(|user| read_and_write(Arc::clone(&table), user), TABLE_LOOKUPS).await?;
    let table = Table::default();
    let inserting = by_all(|user| insert(Arc::clone(&table), user), TABLE_INSERTS).await?;
    equal("inserted", table.len() as u64, TABLE_USERS * TABLE_INSERTS)?;
    Ok(vec![
        millions_per_second(reading, TABLE_USERS * TABLE_LOOKUPS),
        millions_per_second(mixed, TABLE_USERS * TABLE_LOOKUPS),
        millions_per_second(inserting, TABLE_USERS * TABLE_INSERTS),
        ranges()?,
    ])
}

/// All users at the same time, each of whom is to have done so much.
async fn by_all<F>(user: impl Fn(u64) -> F, each: u64) -> Result<Duration, Wrong>
where
    F: Future<Output = u64> + Send + 'static,
{
    let start = Instant::now();
    let users: Vec<_> = (0..TABLE_USERS).map(|number| tokio::spawn(user(number))).collect();
    for user in users {
        let done = user.await.map_err(|error| Wrong::failed("user of the table", error))?;
        equal("done by one user of the table", done, each)?;
    }
    Ok(start.elapsed())
}

async fn look_up(table: Table, mut state: u64) -> u64 {
    let mut found = 0;
    for _ in 0..TABLE_LOOKUPS {
        let key = random_below(&mut state, TABLE_KEYS);
        found += u64::from(table.get(&key).is_some_and(|value| *value == key));
    }
    found
}

async fn read_and_write(table: Table, mut state: u64) -> u64 {
    let mut done = 0;
    for number in 0..TABLE_LOOKUPS {
        let key = random_below(&mut state, TABLE_KEYS);
        let was = if number % TABLE_WRITE_EVERY == 0 {
            table.insert(key, key)
        } else {
            table.get(&key).map(|value| *value)
        };
        done += u64::from(was == Some(key));
    }
    done
}

async fn insert(table: Table, user: u64) -> u64 {
    let keys = (0..TABLE_INSERTS).map(|number| number * TABLE_USERS + user);
    keys.filter(|&key| table.insert(key, key).is_none()).count() as u64
}

/// Nanoseconds for one range.
fn ranges() -> Result<f64, Wrong> {
    let table: RwLock<BTreeMap<u64, u64>> = RwLock::new((0..TABLE_KEYS).map(|key| (key, key)).collect());
    let (mut state, mut sum, mut expected) = (0, 0, 0);
    let start = Instant::now();
    for _ in 0..TABLE_RANGES {
        let first = random_below(&mut state, TABLE_KEYS - TABLE_RANGE);
        let table = table.read().map_err(|error| Wrong::failed("ordered table", error))?;
        sum += table.range(first..first + TABLE_RANGE).map(|(_, value)| value).sum::<u64>();
        expected += first * TABLE_RANGE + sum_below(TABLE_RANGE);
    }
    let elapsed = start.elapsed();
    equal("sum of all ranges", sum, expected)?;
    Ok(ns_each(elapsed, TABLE_RANGES))
}

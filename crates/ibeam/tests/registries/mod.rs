//! Registries of all kinds, with keys and values of any shape, for the tests of Elixir's suite.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod shared;

use std::future::Future;

use ibeam::prelude::*;
use ibeam::registry::{Duplicate, PartitionBy};

use crate::common::{first, on_every_driver};

/// What stands for a term as a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Text(&'static str),
    Int(i64),
    /// The bits of it: 1.0 is another key than 1.
    Float(u64),
    Tuple(Vec<Key>),
    Map(Vec<(Key, Key)>),
}

pub(crate) const HELLO: Key = Key::Text("hello");
pub(crate) const WORLD: Key = Key::Text("world");

/// A number, as a term: 1 and 1.0 differ.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Num {
    Int(i64),
    Float(f64),
}

pub(crate) use Num::{Float, Int};

/// What stands for a term as a value.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) enum Value {
    #[default]
    Nil,
    Text(&'static str),
    Tuple(Num, &'static str, Num),
    Map(Vec<(&'static str, &'static str)>),
}

impl Value {
    pub(crate) fn is_first(&self, n: Num) -> bool {
        matches!(self, Value::Tuple(first, ..) if *first == n)
    }

    pub(crate) fn is_atom(&self) -> bool {
        matches!(self, Value::Tuple(_, "atom", _))
    }

    pub(crate) fn is_first_the_third(&self) -> bool {
        matches!(self, Value::Tuple(first, _, third) if first == third)
    }

    /// `0` for what is no tuple of integers.
    pub(crate) fn third(&self) -> i64 {
        if let Value::Tuple(_, _, Int(third)) = self { *third } else { 0 }
    }

    pub(crate) fn first(&self) -> i64 {
        if let Value::Tuple(Int(first), ..) = self { *first } else { i64::MAX }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(self, Value::Map(entries) if entries.iter().any(|(k, _)| *k == key))
    }
}

pub(crate) fn tuple(first: i64, third: i64) -> Value {
    Value::Tuple(Int(first), "atom", Int(third))
}

pub(crate) fn map() -> Value {
    Value::Map(vec![("a", "a"), ("b", "b")])
}

pub(crate) const VALUE: Value = Value::Text("value");

pub(crate) type OneEach = Registry<Key, Value>;
pub(crate) type Many = Registry<Key, Value, Duplicate>;

pub(crate) const PARTITIONS: [usize; 2] = [1, 8];

/// Runs the body on every driver with a registry of unique keys with one partition, and with one that has eight.
#[track_caller]
pub(crate) fn on_unique<F, B>(body: F)
where
    F: Fn(OneEach) -> B + Copy + Send + Sync + 'static,
    B: Future<Output = ()> + Send + 'static,
{
    on_every_driver(move || async move {
        for partitions in PARTITIONS {
            let registry = Registry::unique(format!("unique {partitions}")).partitions(partitions);
            body(registry.start_link().await.unwrap()).await;
        }
    });
}

/// The same with duplicate keys, with both ways to partition them.
#[track_caller]
pub(crate) fn on_duplicate<F, B>(body: F)
where
    F: Fn(Many) -> B + Copy + Send + Sync + 'static,
    B: Future<Output = ()> + Send + 'static,
{
    on_every_driver(move || async move {
        for partitions in PARTITIONS {
            for by in [PartitionBy::Pid, PartitionBy::Key] {
                let registry = Registry::duplicate(format!("{by:?} {partitions}")).partitions(partitions);
                body(registry.partition_by(by).start_link().await.unwrap()).await;
            }
        }
    });
}

/// A process that has done this, and lives on.
pub(crate) async fn process_that(work: impl FnOnce() + Send + 'static) -> Pid {
    struct Done;
    let me = process::self_pid();
    let pid = process::spawn(async move {
        work();
        me.send(Done);
        std::future::pending::<()>().await;
    });
    first::<Done>().await;
    pid
}

/// A server with nothing to do.
pub(crate) struct Agent;

impl GenServer for Agent {
    type Args = ();

    async fn init((): ()) -> Init<Self> {
        Init::ok(Agent)
    }
}

pub(crate) fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list
}

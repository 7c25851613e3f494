//! From a key to a partition, and from a partition to its process.
//!
//! # Invariants
//! 1. There is one table per running partition supervisor, made and closed by its process: closed before its name is free.
//! 2. `slots` has a place for each partition that there can be; the first `partitions` of them are routed to.
//! 3. A handle takes no lock on its way to a process, but after a restart of the whole supervisor.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::task::{Poll, Waker};

use ibeam_runtime::__private::PidCell;
use ibeam_runtime::{Destination, KeyTaken, NameRegistry, Pid};

use crate::dynamic_supervisor::id_of;
use crate::gen_server::ServerName;

/// What a key is reduced to before it is known how many partitions there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Route(u64);

impl Route {
    /// A number stays what it is, without its sign; anything else is hashed, always in the same way.
    pub(super) fn of(key: impl Hash) -> Self {
        let mut seen = Seen::Nothing;
        key.hash(&mut seen);
        Self(match seen {
            Seen::Number(number) => number,
            Seen::Nothing | Seen::More => foldhash::quality::FixedState::default().hash_one(key),
        })
    }

    pub(super) fn partition(self, partitions: usize) -> Option<usize> {
        // Mostly it is the number of a partition already, and a division takes longer than all the rest of the way.
        let limit = partitions as u64;
        let partition = if self.0 < limit { self.0 } else { self.0.checked_rem(limit)? };
        usize::try_from(partition).ok()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.0)
    }
}

/// Is a key one number? That is how it hashes itself.
enum Seen {
    Nothing,
    Number(u64),
    More,
}

impl Seen {
    fn number(&mut self, number: u64) {
        *self = if matches!(self, Self::Nothing) { Self::Number(number) } else { Self::More };
    }
}

macro_rules! numbers {
    ($($unsigned:ident($u:ty), $signed:ident($i:ty);)*) => { $(
        fn $unsigned(&mut self, number: $u) {
            self.number(number as u64);
        }

        fn $signed(&mut self, number: $i) {
            self.number(number.unsigned_abs() as u64);
        }
    )* };
}

impl Hasher for Seen {
    fn write(&mut self, _: &[u8]) {
        *self = Self::More;
    }

    fn finish(&self) -> u64 {
        0
    }

    numbers! {
        write_u8(u8), write_i8(i8);
        write_u16(u16), write_i16(i16);
        write_u32(u32), write_i32(i32);
        write_u64(u64), write_i64(i64);
        write_u128(u128), write_i128(i128);
        write_usize(usize), write_isize(isize);
    }
}

/// The partitions of a running partition supervisor.
#[derive(Debug)]
pub(super) struct Table {
    slots: Box<[PidCell]>,
    partitions: AtomicUsize,
    closed: AtomicBool,
    /// One at a time changes the number of partitions.
    turn: Mutex<Line>,
}

/// Who changes the number of partitions, and who waits for that.
#[derive(Debug, Default)]
struct Line {
    busy: bool,
    waiting: Vec<Waker>,
}

/// The right to change the number of partitions.
pub(super) struct Turn<'a>(&'a Table);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut line = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        line.busy = false;
        let waiting = std::mem::take(&mut line.waiting);
        drop(line);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// By the pid of the supervisor. Written when one starts or ends, read when a handle is used for the first time after that.
static TABLES: RwLock<Option<HashMap<Pid, Arc<Table>>>> = RwLock::new(None);

/// Closes a table when its supervisor's process is over.
pub(super) struct Open(Pid, Arc<Table>);

impl Drop for Open {
    fn drop(&mut self) {
        self.1.closed.store(true, Release);
        let mut tables = TABLES.write().unwrap_or_else(PoisonError::into_inner);
        tables.as_mut().and_then(|tables| tables.remove(&self.0));
    }
}

impl Table {
    /// The table of the supervisor with this pid.
    pub(super) fn open(supervisor: Pid, partitions: usize) -> (Arc<Self>, Open) {
        let table = Arc::new(Self {
            slots: (0..partitions).map(|_| PidCell::default()).collect(),
            partitions: AtomicUsize::new(partitions),
            closed: AtomicBool::new(false),
            turn: Mutex::default(),
        });
        let mut tables = TABLES.write().unwrap_or_else(PoisonError::into_inner);
        tables.get_or_insert_default().insert(supervisor, Arc::clone(&table));
        let open = Open(supervisor, Arc::clone(&table));
        (table, open)
    }

    /// The partition has this process now.
    pub(super) fn set(&self, partition: usize, pid: Option<Pid>) {
        self.slots[partition].set(pid);
    }

    pub(super) fn get(&self, partition: usize) -> Option<Pid> {
        self.slots.get(partition)?.get()
    }

    pub(super) fn partitions(&self) -> usize {
        self.partitions.load(Acquire)
    }

    pub(super) fn set_partitions(&self, partitions: usize) {
        self.partitions.store(partitions, Release);
    }

    /// Does its supervisor run?
    fn is_open(&self) -> bool {
        !self.closed.load(Acquire)
    }

    /// How many partitions there can be.
    pub(super) fn limit(&self) -> usize {
        self.slots.len()
    }

    /// Waits until nobody else changes the number of partitions.
    pub(super) async fn turn(&self) -> Turn<'_> {
        std::future::poll_fn(|cx| {
            let mut line = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if line.busy {
                line.waiting.push(cx.waker().clone());
                return Poll::Pending;
            }
            line.busy = true;
            Poll::Ready(Turn(self))
        })
        .await
    }
}

/// Finds the processes behind the keys of a named partition supervisor, whichever incarnation of it runs.
#[derive(Clone)]
pub(super) struct Router(Arc<Found>);

struct Found {
    name: ServerName,
    text: String,
    /// The table that was found first. Most supervisors are never restarted, and then no other is needed.
    first: OnceLock<Arc<Table>>,
    /// The table that was found last, after that one was closed.
    later: RwLock<Option<Arc<Table>>>,
}

impl Router {
    pub(super) fn new(name: ServerName) -> Self {
        let text = id_of(&name);
        Self(Arc::new(Found { name, text, first: OnceLock::new(), later: RwLock::new(None) }))
    }

    pub(super) fn supervisor(&self) -> &ServerName {
        &self.0.name
    }

    /// The table of the supervisor that has the name now.
    pub(super) fn table(&self) -> Option<Arc<Table>> {
        self.with_table(Arc::clone)
    }

    #[inline]
    fn with_table<T>(&self, f: impl FnOnce(&Arc<Table>) -> T) -> Option<T> {
        match self.0.first.get().filter(|table| table.is_open()) {
            Some(table) => Some(f(table)),
            None => self.find_table(f),
        }
    }

    #[cold]
    fn find_table<T>(&self, f: impl FnOnce(&Arc<Table>) -> T) -> Option<T> {
        let Found { name, first, later, .. } = &*self.0;
        let last = later.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = last.as_ref().filter(|table| table.is_open()) {
            return Some(f(table));
        }
        drop(last);
        let supervisor = Destination::from(name).resolve()?;
        let tables = TABLES.read().unwrap_or_else(PoisonError::into_inner);
        let table = Arc::clone(tables.as_ref()?.get(&supervisor)?);
        drop(tables);
        let found = f(&table);
        if let Err(table) = first.set(table) {
            *later.write().unwrap_or_else(PoisonError::into_inner) = Some(table);
        }
        Some(found)
    }
}

impl NameRegistry for Router {
    type Key = Route;

    fn name(&self) -> &str {
        &self.0.text
    }

    /// Each key is somebody's already.
    async fn register(&self, key: &Route, pid: Pid) -> Result<(), KeyTaken> {
        Err(KeyTaken { pid: self.whereis(key).unwrap_or(pid) })
    }

    async fn unregister(&self, _: &Route) {}

    fn whereis(&self, key: &Route) -> Option<Pid> {
        self.with_table(|table| table.get(key.partition(table.partitions())?)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_as_they_are_and_the_rest_is_hashed() {
        #[derive(Hash)]
        struct Id(u32);
        let partition = |route: Route| route.partition(8).unwrap();
        assert_eq!(partition(Route::of(13)), 5);
        assert_eq!(partition(Route::of(-13_i64)), 5, "without the sign");
        assert_eq!(partition(Route::of(i64::MIN + 1)), partition(Route::of(i64::MAX)));
        assert_eq!(partition(Route::of(Id(9))), 1, "a number with another name");
        assert_eq!(partition(Route::of(9_u8)), 1);

        assert_eq!(partition(Route::of("some key")), partition(Route::of("some key".to_owned())));
        let spread: std::collections::HashSet<_> =
            (0..100).map(|n| partition(Route::of((n, "tuple")))).collect();
        assert_eq!(spread.len(), 8);
        assert_eq!(Route::of(3).partition(0), None);
        assert_eq!((Route::of(0).partition(0), Route::of(0).partition(1)), (None, Some(0)));
    }
}

//! What both systems do with the same code, so that it favours neither: counting, and the bytes of the echo.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::check::{Wrong, equal};
use crate::scaling::{BLOCK_BYTES, OPERATIONS};
use crate::workloads::{ECHO_BYTES, ns_each, random_below};

/// Waiting for many: counts down to zero and wakes whoever waits for that. For one waiter at a time.
pub(crate) struct Latch {
    left: AtomicU64,
    zero: Notify,
}

impl Latch {
    pub(crate) const fn new() -> Latch {
        Latch { left: AtomicU64::new(0), zero: Notify::const_new() }
    }

    /// Before anything that counts it down is started; again after each [`Latch::wait`].
    pub(crate) fn set(&self, count: u64) {
        self.left.store(count, Ordering::Relaxed);
    }

    pub(crate) fn count_down(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Leaves a permit when nobody waits yet.
            self.zero.notify_one();
        }
    }

    pub(crate) async fn wait(&self) {
        self.zero.notified().await;
    }
}

/// Counted down by each idle process when it runs for the first time.
pub(crate) static STARTED: Latch = Latch::new();
/// Counted down by each idle process when it has stopped.
pub(crate) static STOPPED: Latch = Latch::new();
/// The sum of what the stopped ones held.
pub(crate) static HELD: AtomicU64 = AtomicU64::new(0);

/// What an idle process does last.
pub(crate) fn stopped_with(state: u64) {
    HELD.fetch_add(state, Ordering::Relaxed);
    STOPPED.count_down();
}

/// The server's side of one connection: sends back what comes until the other side closes.
pub(crate) async fn echo_back(mut socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = [0; ECHO_BYTES];
    loop {
        match socket.read(&mut buffer).await? {
            0 => return Ok(()),
            read => socket.write_all(&buffer[..read]).await?,
        }
    }
}

/// The client's side: sends `number` in a block of 64 bytes and checks that it comes back.
pub(crate) async fn round_trip(socket: &mut TcpStream, number: u64) -> Result<(), Wrong> {
    let mut sent = [0; ECHO_BYTES];
    sent[..8].copy_from_slice(&number.to_le_bytes());
    let mut received = [0; ECHO_BYTES];
    socket.write_all(&sent).await.map_err(|error| Wrong::failed("echo", error))?;
    socket.read_exact(&mut received).await.map_err(|error| Wrong::failed("echo", error))?;
    equal("echo", received, sent)
}

/// Reads from one of so many blocks after the other, each of which holds the number of the next: nothing can be fetched
/// before its turn.
pub(crate) fn read_blocks(count: u64) -> Result<Vec<f64>, Wrong> {
    let blocks = one_round(count);
    let start = Instant::now();
    // Whole rounds, so that the last read leads back to where the first was.
    let reads = OPERATIONS.next_multiple_of(count);
    let mut at = 0;
    for _ in 0..reads {
        at = blocks[at][0] as usize;
    }
    let elapsed = start.elapsed();
    equal("the last block's successor", at, 0)?;
    Ok(vec![ns_each(elapsed, reads)])
}

/// Blocks whose first words lead through all of them without a pattern and back, by Sattolo's algorithm.
fn one_round(count: u64) -> Vec<[u64; BLOCK_BYTES / 8]> {
    let mut blocks: Vec<_> = (0..count).map(|number| [number; BLOCK_BYTES / 8]).collect();
    let mut state = 0;
    for last in (1..count).rev() {
        let other = random_below(&mut state, last) as usize;
        let next = blocks[last as usize][0];
        blocks[last as usize][0] = blocks[other][0];
        blocks[other][0] = next;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_leads_through_every_block_and_back() {
        let blocks = one_round(100);
        let (mut at, mut seen) = (0, [false; 100]);
        for _ in 0..100 {
            at = blocks[at][0] as usize;
            assert!(!std::mem::replace(&mut seen[at], true), "block {at} twice");
        }
        assert_eq!(at, 0);
        assert_eq!(read_blocks(1_000).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_last_one_wakes_and_the_latch_can_be_set_again() {
        let latch = Latch::new();
        for count in [1, 3] {
            latch.set(count);
            (0..count).for_each(|_| latch.count_down());
            latch.wait().await;
            assert_eq!(latch.left.load(Ordering::Relaxed), 0);
        }
    }
}

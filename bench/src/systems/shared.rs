//! What both systems do with the same code, so that it favours neither: counting, and the bytes of the echo.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::check::{Wrong, equal};
use crate::workloads::ECHO_BYTES;

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

#[cfg(test)]
mod tests {
    use super::*;

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

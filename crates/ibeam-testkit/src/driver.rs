//! What a test runs on.

use std::fmt;

/// What runs a test's processes.
///
/// | driver | runs on | clock | for |
/// |---|---|---|---|
/// | `Threads` | worker threads | real | everything; sockets and blocking code too |
/// | `Inline` | the test's own thread | real | code that must work without threads |
/// | `Paused` | the test's own thread | tokio's, paused: it jumps as soon as everybody waits | timeouts |
/// | `Sim` | the test's own thread, in the order that a seed chooses | virtual | races; see [`Simulate`](crate::Simulate) for faults |
/// | `Every` | one after the other: `Threads`, `Paused`, `Sim` | | libraries |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Driver {
    /// Worker threads.
    #[default]
    Threads,
    /// The test's own thread.
    Inline,
    /// The test's own thread under a paused clock.
    Paused,
    /// A simulation for each seed.
    Sim,
    /// Each of `Threads`, `Paused` and `Sim`.
    Every,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threads => "threads",
            Self::Inline => "inline",
            Self::Paused => "paused",
            Self::Sim => "sim",
            Self::Every => "every",
        })
    }
}

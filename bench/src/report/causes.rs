//! Why a row misses what is promised, as far as it has been looked into, and what it would take.

use crate::workloads::Workload;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cause {
    /// Where the time goes.
    pub(super) profile: &'static str,
    /// What would be needed.
    pub(super) needed: &'static str,
}

const fn cause(profile: &'static str, needed: &'static str) -> Option<Cause> {
    Some(Cause { profile, needed })
}

/// The cause of one figure of a workload, by its place in [`Workload::figures`].
pub(super) fn of(workload: Workload, figure: usize) -> Option<Cause> {
    match (workload, figure) {
        (Workload::SpawnIdle | Workload::SpawnIdleServer, 0) => cause(
            "pages that nobody has touched: a fault for every 13 to 21 of them, some 2 µs each (see `memory beside it`); huge pages for \
             their blocks alone took a sixth off the spawning of idle processes, but a million children came a sixth later \
             with them",
            "less memory for each, or pages that cost less",
        ),
        (Workload::SpawnIdle | Workload::SpawnIdleServer, 2) | (Workload::ChildrenMillion, 0 | 1) => cause(
            "cold memory: the instructions do not grow with the number of processes, the cost of reading a line does (see \
             Scaling: `memory`, `call`, `children`)",
            "fewer lines for each: now two of the block, two or three of the future, and one each in the supervisor's two \
             tables",
        ),
        (Workload::Children, 0 | 1) => cause(
            "7,550 instructions for a start and a stop together, in six turns of three processes and some forty functions of which \
             none has a tenth; a quarter of a start is the kernel's, for the first touch of pages (callgrind, perf)",
            "less memory for each, or pages that cost less",
        ),
        (Workload::Echo1 | Workload::Echo64, 0) => cause(
            "the system calls are those of plain tokio, one for one (strace); the difference is in user space, where a worker \
             leaves tokio's driver for each event and goes back for the next",
            "turns of processes that are run from within the driver, as long as nothing else waits",
        ),
        (Workload::Fairness, 0..=2) => cause(
            "Rust code cannot be interrupted: a process that computes is seen after 5 to 8 ms, when what waits for its worker is \
             left to others, and then its thread and theirs take turns as the system says: with a clock tick of 4 ms a worker that wakes \
             up waits for one, and neither the shortest slice of time for the workers (p99 4.5 ms) nor the lowest priority for the hogs' \
             threads (4.0) changes that; the BEAM's compiled code counts its calls and gives way after about one",
            "code that gives way by itself (`process::yield_now`), or a system with a shorter tick",
        ),
        (Workload::Registry, 0) => cause(
            "calls below 1 µs take as long in both; the rest is the index, which grows by 64 buckets in one call, on new pages, and calls \
             in which the thread loses its core to the process that starts all others (each call timed)",
            "an index that grows in smaller steps",
        ),
        (Workload::Registry, 2) => cause(
            "as for `register`: two lists to be changed in place of one map, without a page to be touched first",
            "as for `register`",
        ),
        (Workload::Restart, 0) => cause(
            "more than three quarters is the panic itself: the unwinding of eight functions, of which six are Rust's own (callgrind)",
            "a panic that costs less",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_of_figures_that_exist() {
        for workload in Workload::all() {
            let figures = workload.figures().len();
            assert_eq!(of(workload, figures), None, "{}", workload.name());
            for Cause { profile, needed } in (0..figures).filter_map(|figure| of(workload, figure)) {
                assert!(profile.len() > 20 && !needed.is_empty(), "{}", workload.name());
                assert!(!profile.ends_with('.') && !needed.ends_with('.'), "{}", workload.name());
            }
        }
    }
}

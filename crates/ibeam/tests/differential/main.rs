//! The same random programs on real Erlang and on ibeam: what they did has to be the same.
//!
//! | programs of | interpreters | what they do |
//! |---|---|---|
//! | `processes` | `processes/run.rs`, `erlang/processes.erl` | spawn, link, monitor, exit, send, receive, names, aliases, timers |
//! | `servers` | `servers/run.rs`, `erlang/servers.erl` | a GenServer's calls, casts, replies, timeouts, continuations and stops |
//! | `supervisors` | `supervisors/run.rs`, `erlang/supervisors.erl` | children start, fail, end, are started, stopped and asked for |
//!
//! A program is made from its number, run by an interpreter in `erl` and by its twin here, in the simulation, with several
//! seeds. Programs are such that their outcome is determined up to the order of messages from different senders, which is
//! taken out of the traces before they are compared: see the rules in each kind's `program.rs`. So the comparison is exact, and
//! every schedule here has to give what Erlang gave.
//!
//! ```sh
//! IBEAM_PROGRAMS=100000 cargo test --profile long -p ibeam --test differential   # look longer
//! IBEAM_PROGRAM=4711 cargo test -p ibeam --test differential processes      # this one only
//! ```

mod comparison;
mod erlang;
mod processes;
mod random;
mod servers;
mod supervisors;

use comparison::agrees_with_erlang;

#[test]
fn processes_do_what_they_do_in_erlang() {
    agrees_with_erlang::<processes::program::Script>(300);
}

#[test]
fn supervisors_do_what_they_do_in_erlang() {
    agrees_with_erlang::<supervisors::program::Script>(300);
}

#[test]
fn servers_do_what_they_do_in_erlang() {
    agrees_with_erlang::<servers::program::Script>(300);
}

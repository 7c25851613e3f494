//! The built `ibeam` command, from outside: a child process, spoken to over sockets as clients would.
//!
//! Nothing waits by sleeping: each test waits for a reply, for the end of a stream or of the process, or asks again until a
//! deadline ([`harness::until`]).

mod clients;
mod commands;
mod crashes;
mod harness;
mod limits;
mod noise;
mod pubsub;
mod slow_readers;
mod start;
mod stop;
mod tree;

//! Programs over one GenServer: what its callbacks return, and what its callers are told.

pub(crate) mod program;
mod run;

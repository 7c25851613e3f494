//! Programs over processes: what can be done to one, and what it learns of others.

pub(crate) mod program;
mod run;
mod trace;

pub(crate) use run::reason_word;

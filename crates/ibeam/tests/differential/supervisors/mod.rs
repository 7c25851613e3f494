//! Programs over one supervisor: what it does with its children.

pub(crate) mod program;
mod run;

//! What types cannot exclude about specifications, checked before anything is started.

use std::collections::HashSet;
use std::fmt;

use super::child_spec::{ChildId, IntoChildSpec, Restart, Settings};
use super::{AutoShutdown, ChildSpec};

/// What is wrong with a child specification, or with a supervisor's own settings. Names child and field.
///
/// A supervisor that is started with one does not start: the reason of its [`StartError::Init`](crate::StartError::Init) is
/// this error.
///
/// # Erlang/OTP
/// The errors of `supervisor:check_childspecs/2`, and `{start_spec, _}` and `{supervisor_data, _}` at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// Two children have one id.
    DuplicateId {
        /// The id.
        child: ChildId,
    },
    /// The child is significant, and [`Restart::Permanent`].
    SignificantPermanent {
        /// The child.
        child: ChildId,
    },
    /// The child is significant, and the supervisor's [`AutoShutdown`] is `Never`.
    SignificantWithoutAutoShutdown {
        /// The child.
        child: ChildId,
    },
    /// A field of the [`Backoff`](super::Backoff) makes no sense.
    Backoff {
        /// The child; `None`: the supervisor's own.
        child: Option<ChildId>,
        /// What is wrong.
        problem: &'static str,
    },
    /// The supervisor counts its restarts within no time at all.
    ZeroPeriod,
}

impl SpecError {
    /// The child, unless it is about the supervisor itself.
    #[must_use]
    pub fn child(&self) -> Option<&ChildId> {
        match self {
            Self::DuplicateId { child }
            | Self::SignificantPermanent { child }
            | Self::SignificantWithoutAutoShutdown { child } => Some(child),
            Self::Backoff { child, .. } => child.as_ref(),
            Self::ZeroPeriod => None,
        }
    }

    /// The field.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::DuplicateId { .. } => "id",
            Self::SignificantPermanent { .. } | Self::SignificantWithoutAutoShutdown { .. } => "significant",
            Self::Backoff { .. } => "backoff",
            Self::ZeroPeriod => "intensity",
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.child() {
            Some(child) => write!(f, "child `{child}`, field `{}`: ", self.field())?,
            None => write!(f, "supervisor, field `{}`: ", self.field())?,
        }
        match self {
            Self::DuplicateId { .. } => f.write_str("expected an id of its own, another child has it too"),
            Self::SignificantPermanent { .. } => f.write_str(
                "expected `restart` transient or temporary for a significant child, got permanent",
            ),
            Self::SignificantWithoutAutoShutdown { .. } => f.write_str(
                "expected the supervisor's `auto_shutdown` to be any or all significant, got never",
            ),
            Self::Backoff { problem, .. } => f.write_str(problem),
            Self::ZeroPeriod => f.write_str("expected a period longer than 0 s"),
        }
    }
}

impl std::error::Error for SpecError {}

/// Would a supervisor take these children? `auto_shutdown`: the supervisor's, if it is known.
///
/// # Errors
/// The first [`SpecError`].
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam::supervisor::{AutoShutdown, Significant, check_child_specs};
///
/// let worker = || ChildSpec::new("worker", || async { Ok(process::spawn_link(async {})) });
/// assert!(check_child_specs([worker()], None).is_ok());
///
/// let error = check_child_specs([worker(), worker()], None).unwrap_err();
/// assert_eq!(error.to_string(), "child `worker`, field `id`: expected an id of its own, another child has it too");
///
/// let significant = worker().significant(Significant::Transient);
/// assert!(check_child_specs([&significant], None).is_ok());
/// assert!(check_child_specs([&significant], Some(AutoShutdown::Never)).is_err());
/// ```
///
/// # Erlang/OTP
/// `supervisor:check_childspecs/1` and `/2`.
pub fn check_child_specs<C: IntoChildSpec>(
    children: impl IntoIterator<Item = C>,
    auto_shutdown: Option<AutoShutdown>,
) -> Result<(), SpecError> {
    let children: Vec<ChildSpec> = children.into_iter().map(IntoChildSpec::into_child_spec).collect();
    check_all(&children, auto_shutdown)
}

pub(crate) fn check_all(
    children: &[ChildSpec],
    auto_shutdown: Option<AutoShutdown>,
) -> Result<(), SpecError> {
    let mut ids = HashSet::with_capacity(children.len());
    for ChildSpec { settings, .. } in children {
        check(settings, auto_shutdown)?;
        if !ids.insert(&settings.id) {
            return Err(SpecError::DuplicateId { child: settings.id.clone() });
        }
    }
    Ok(())
}

/// One child by itself.
pub(crate) fn check(settings: &Settings, auto_shutdown: Option<AutoShutdown>) -> Result<(), SpecError> {
    let child = || settings.id.clone();
    if settings.significant && settings.restart == Restart::Permanent {
        return Err(SpecError::SignificantPermanent { child: child() });
    }
    if settings.significant && auto_shutdown == Some(AutoShutdown::Never) {
        return Err(SpecError::SignificantWithoutAutoShutdown { child: child() });
    }
    match settings.backoff.as_ref().and_then(|backoff| backoff.problem()) {
        Some(problem) => Err(SpecError::Backoff { child: Some(child()), problem }),
        None => Ok(()),
    }
}

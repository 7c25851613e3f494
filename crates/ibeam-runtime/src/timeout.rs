//! How long to wait.

use std::fmt;
use std::time::Duration;

/// How long an operation may take.
///
/// ```
/// use ibeam_runtime::Timeout;
/// use std::time::Duration;
///
/// assert_eq!(Timeout::from(Duration::from_secs(1)), Timeout::After(Duration::from_secs(1)));
/// assert_eq!(Timeout::from(None), Timeout::Infinity);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// At most this long.
    After(Duration),
    /// As long as it takes.
    #[doc(alias = "infinity")]
    Infinity,
}

impl Timeout {
    /// What calls wait by default, as in OTP: 5 s.
    pub const CALL: Self = Self::After(Duration::from_secs(5));
}

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Self {
        Self::After(duration)
    }
}

impl From<Option<Duration>> for Timeout {
    fn from(duration: Option<Duration>) -> Self {
        duration.map_or(Self::Infinity, Self::After)
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(duration) => write!(f, "{duration:?}"),
            Self::Infinity => f.write_str("infinity"),
        }
    }
}

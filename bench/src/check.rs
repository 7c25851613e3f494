//! Checks of the work done: no figure without one.

use std::fmt;

/// Work that was not done, or not done right.
#[derive(Debug)]
pub(crate) struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Wrong {
    /// Something that should have worked and did not.
    pub(crate) fn failed(what: &str, cause: impl fmt::Display) -> Wrong {
        Wrong(format!("{what}: {cause}"))
    }
}

/// Holds `actual` against `expected`.
///
/// # Errors
/// When they differ; the words say which value was wrong, what was expected and what came.
pub(crate) fn equal<T: PartialEq + fmt::Debug>(what: &str, actual: T, expected: T) -> Result<(), Wrong> {
    if actual == expected {
        return Ok(());
    }
    Err(Wrong(format!("{what}: expected {expected:?}, got {actual:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_result_says_what_was_expected() {
        assert!(equal("sum", 3, 3).is_ok());
        assert_eq!(equal("sum", 3, 4).unwrap_err().to_string(), "sum: expected 4, got 3");
    }
}

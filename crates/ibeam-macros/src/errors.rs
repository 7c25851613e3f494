//! Collecting errors, so that one build shows them all.

use syn::{Error, Result};

/// The errors found so far.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    /// Adds one.
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Adds the result's error, or hands out its value.
    pub(crate) fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// `value`, if there were no errors.
    ///
    /// # Errors
    /// All that were added.
    pub(crate) fn finish<T>(self, value: T) -> Result<T> {
        self.0.map_or(Ok(value), Err)
    }

    /// A value that is missing only if there were errors.
    ///
    /// # Errors
    /// All that were added.
    ///
    /// # Panics
    /// If the value is missing without an error.
    pub(crate) fn require<T>(self, value: Option<T>) -> Result<T> {
        self.finish(())?;
        Ok(value.expect("what is missing is an error"))
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn error(text: &str) -> Error {
        Error::new(Span::call_site(), text)
    }

    fn texts(error: Error) -> Vec<String> {
        error.into_iter().map(|error| error.to_string()).collect()
    }

    #[test]
    fn errors_come_in_the_order_they_were_found() {
        let mut errors = Errors::default();
        assert_eq!(errors.keep(Ok(1)), Some(1));
        assert_eq!(errors.keep::<u8>(Err(error("a"))), None);
        errors.push(error("b"));
        assert_eq!(texts(errors.finish(()).unwrap_err()), ["a", "b"]);
    }

    #[test]
    fn without_errors_the_value_is_handed_out() {
        assert_eq!(Errors::default().finish(1).unwrap(), 1);
        assert_eq!(Errors::default().require(Some(1)).unwrap(), 1);
    }

    #[test]
    fn an_error_excuses_a_missing_value() {
        let mut errors = Errors::default();
        errors.push(error("a"));
        assert_eq!(texts(errors.require::<u8>(None).unwrap_err()), ["a"]);
    }
}

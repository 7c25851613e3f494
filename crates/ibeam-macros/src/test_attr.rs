//! `#[ibeam::test]` and `#[ibeam::simulate]`: tests that are processes.
//!
//! Both leave the user's function as it is, inside of a plain test function of the same name, and hand it to the testkit:
//!
//! ```text
//! #[ibeam::test(paused, timeout = T)]        #[test]
//! async fn restarts() { .. }              →  fn restarts() {
//!                                                async fn restarts() { .. }
//!                                                ::ibeam_testkit::Test::new(concat!(module_path!(), "::", "restarts"), ..)
//!                                                    .driver(::ibeam_testkit::Driver::Paused).timeout(T).run(restarts)
//!                                            }
//! ```
//!
//! # Invariants
//! 1. An option is the builder's method of the same name, called with the option's expression: types and docs are there.
//! 2. Without the crate `ibeam_testkit` rustc's own error says what is missing: the path's span is the attribute.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::{Error, Expr, Ident, ItemFn, Token};

/// Which of the two attributes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Test,
    Simulate,
}

impl Kind {
    fn attribute(self) -> &'static str {
        match self {
            Self::Test => "ibeam::test",
            Self::Simulate => "ibeam::simulate",
        }
    }

    fn builder(self) -> &'static str {
        match self {
            Self::Test => "Test",
            Self::Simulate => "Simulate",
        }
    }

    /// The options with a value: methods of the builder.
    fn valued(self) -> &'static [&'static str] {
        match self {
            Self::Test => &["workers", "timeout", "seeds", "log_level"],
            Self::Simulate => {
                &["seeds", "schedule", "faults", "max_steps", "max_time", "log_level", "trace_len"]
            }
        }
    }

    /// The options that are a word, each a driver.
    fn words(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Test => &[
                ("threads", "Threads"),
                ("inline", "Inline"),
                ("paused", "Paused"),
                ("sim", "Sim"),
                ("every", "Every"),
            ],
            Self::Simulate => &[],
        }
    }

    fn unknown(self, name: &Ident) -> Error {
        let mut known: Vec<String> = self.words().iter().map(|(word, _)| format!("`{word}`")).collect();
        known.extend(self.valued().iter().map(|name| format!("`{name} = ..`")));
        let message = format!("unknown option `{name}`: there are {}", known.join(", "));
        Error::new(name.span(), message)
    }
}

/// The function that stands for `item` with the attribute.
pub(crate) fn expand(kind: Kind, options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let options = syn::parse::Parser::parse2(|input: ParseStream<'_>| parse_options(kind, input), options)?;
    let mut test: ItemFn = syn::parse2(item)?;
    let (attribute, signature) = (kind.attribute(), &test.sig);
    if signature.asyncness.is_none() {
        let message = format!("`#[{attribute}]` runs an `async fn`");
        return Err(Error::new_spanned(signature.fn_token, message));
    }
    if let Some(input) = signature.inputs.first() {
        return Err(Error::new_spanned(input, "a test takes no arguments"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a test is not generic"));
    }
    if let Some(attr) = test.attrs.iter().find(|attr| attr.path().is_ident("test")) {
        let message = format!("`#[{attribute}]` makes this a test already: leave `#[test]` out");
        return Err(Error::new_spanned(attr, message));
    }

    let attrs = std::mem::take(&mut test.attrs);
    let visibility = std::mem::replace(&mut test.vis, syn::Visibility::Inherited);
    let name = &test.sig.ident;
    let builder = Ident::new(kind.builder(), Span::call_site());
    let testkit = quote_spanned!(Span::call_site() => ::ibeam_testkit);
    let calls = options.iter().map(|option| option.call(&testkit));
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #visibility fn #name() {
            #test
            #testkit::#builder::new(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                ::core::env!("CARGO_PKG_NAME"),
            )
            #(#calls)*
            .run(#name)
        }
    })
}

enum TestOption {
    Driver(Ident),
    Value(Ident, Expr),
}

impl TestOption {
    fn call(&self, testkit: &TokenStream) -> TokenStream {
        match self {
            Self::Driver(driver) => quote!(.driver(#testkit::Driver::#driver)),
            Self::Value(name, value) => quote!(.#name(#value)),
        }
    }
}

fn parse_options(kind: Kind, input: ParseStream<'_>) -> syn::Result<Vec<TestOption>> {
    let (mut options, mut seen) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let name: Ident = input.parse()?;
        let word = kind.words().iter().find(|(word, _)| name == word);
        // Two drivers are as wrong as one option given twice.
        let what = if word.is_some() { "a driver".to_owned() } else { format!("`{name}`") };
        if seen.contains(&what) {
            return Err(Error::new(name.span(), format!("{what} is given twice")));
        }
        seen.push(what);
        if let Some((_, driver)) = word {
            options.push(TestOption::Driver(Ident::new(driver, name.span())));
        } else if kind.valued().iter().any(|valued| name == valued) {
            if !input.peek(Token![=]) {
                return Err(Error::new(name.span(), format!("expected a value, as in `{name} = ..`")));
            }
            input.parse::<Token![=]>()?;
            options.push(TestOption::Value(name, input.parse()?));
        } else {
            return Err(kind.unknown(&name));
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, options: &str, expected: TokenStream) {
        let item = quote! {
            /// Docs.
            async fn restarts() -> Result<(), ExitReason> { work().await }
        };
        let expanded = expand(kind, options.parse().unwrap(), item).unwrap();
        let expected = quote! {
            #[::core::prelude::v1::test]
            /// Docs.
            fn restarts() {
                async fn restarts() -> Result<(), ExitReason> { work().await }
                #expected.run(restarts)
            }
        };
        assert_eq!(expanded.to_string(), expected.to_string());
    }

    fn check_error(kind: Kind, options: &str, item: TokenStream, expected: &str) {
        let error = expand(kind, options.parse().unwrap(), item).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_function_is_handed_to_the_testkit() {
        let builder = |name: &str| {
            let name = Ident::new(name, Span::call_site());
            quote! {
                ::ibeam_testkit::#name::new(
                    ::core::concat!(::core::module_path!(), "::", ::core::stringify!(restarts)),
                    ::core::env!("CARGO_PKG_NAME"),
                )
            }
        };
        let (test, simulate) = (builder("Test"), builder("Simulate"));
        check(Kind::Test, "", test.clone());
        check(
            Kind::Test,
            "paused, timeout = SECOND * 5",
            quote!(#test.driver(::ibeam_testkit::Driver::Paused).timeout(SECOND * 5)),
        );
        check(Kind::Simulate, "seeds = 0..1_000,", quote!(#simulate.seeds(0..1_000)));
    }

    #[test]
    fn wrong_functions_are_refused() {
        let cases = [
            (
                quote!(
                    fn a() {}
                ),
                "`#[ibeam::test]` runs an `async fn`",
            ),
            (
                quote!(
                    async fn a(x: u8) {}
                ),
                "a test takes no arguments",
            ),
            (
                quote!(
                    async fn a<T>() {}
                ),
                "a test is not generic",
            ),
            (
                quote!(
                    #[test]
                    async fn a() {}
                ),
                "`#[ibeam::test]` makes this a test already: leave `#[test]` out",
            ),
        ];
        for (item, expected) in cases {
            check_error(Kind::Test, "", item, expected);
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        let item = || {
            quote!(
                async fn a() {}
            )
        };
        check_error(Kind::Test, "paused, sim", item(), "a driver is given twice");
        check_error(Kind::Test, "workers = 1, workers = 2", item(), "`workers` is given twice");
        check_error(Kind::Test, "workers", item(), "expected a value, as in `workers = ..`");
        check_error(
            Kind::Simulate,
            "threads",
            item(),
            "unknown option `threads`: there are `seeds = ..`, `schedule = ..`, `faults = ..`, `max_steps = ..`, \
             `max_time = ..`, `log_level = ..`, `trace_len = ..`",
        );
    }
}

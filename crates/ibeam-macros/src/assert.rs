//! `assert_receive!`, `assert_received!`, `refute_receive!`, `refute_received!`: a `receive!` that fails the test.
//!
//! ```text
//! assert_receive!(PAT if GUARD, within: TIME)        refute_receive!(PAT if GUARD, within: TIME)
//!
//! receive! {                                         receive! {
//!     PAT if GUARD => (bindings),                        PAT if GUARD && note(&fits) => unreachable!(),
//!     after TIME => fail(text, mailbox),                 found if noted(&fits) => fail(text, found),
//! }                                                      after TIME => {},
//!                                                    }
//! ```
//!
//! # Invariants
//! 1. Patterns and guards mean what they mean in `receive!`: they go through its expansion.
//! 2. What is refuted is shown: its arm only notes that the message fits, and the next one takes it whole.
//! 3. A failure panics in the user's function, so it names the macro's line.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote};
use syn::parse::ParseStream;
use syn::visit::{self, Visit};
use syn::{Error, Expr, Pat, Token, Type};

use crate::bindings::{binds, take_bindings};
use crate::receive;

mod keyword {
    syn::custom_keyword!(within);
}

/// Which of the four.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assert {
    Receive,
    Received,
    RefuteReceive,
    RefuteReceived,
}

impl Assert {
    fn name(self) -> &'static str {
        match self {
            Self::Receive => "assert_receive!",
            Self::Received => "assert_received!",
            Self::RefuteReceive => "refute_receive!",
            Self::RefuteReceived => "refute_received!",
        }
    }

    fn waits(self) -> bool {
        matches!(self, Self::Receive | Self::RefuteReceive)
    }

    fn refutes(self) -> bool {
        matches!(self, Self::RefuteReceive | Self::RefuteReceived)
    }
}

struct Input {
    pattern: Pat,
    ty: Option<Type>,
    guard: Option<Expr>,
    within: Option<Expr>,
    message: Option<TokenStream>,
}

impl Input {
    fn parse(assert: Assert, input: ParseStream<'_>) -> syn::Result<Self> {
        if input.is_empty() {
            let message = format!("expected a pattern, as in `{}(Greet(name))`", assert.name());
            return Err(Error::new(Span::call_site(), message));
        }
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        let ty = if input.peek(Token![:]) {
            input.parse::<Token![:]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        let guard = if input.peek(Token![if]) {
            input.parse::<Token![if]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        let mut parsed = Self { pattern, ty, guard, within: None, message: None };
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        if input.peek(keyword::within) && input.peek2(Token![:]) {
            let within: keyword::within = input.parse()?;
            if !assert.waits() {
                let message = format!("`{}` looks at what is there and does not wait", assert.name());
                return Err(Error::new(within.span, message));
            }
            input.parse::<Token![:]>()?;
            parsed.within = Some(input.parse()?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if !input.is_empty() {
            parsed.message = Some(input.parse()?);
        }
        Ok(parsed)
    }

    /// The pattern as it was written.
    fn text(&self) -> String {
        let mut text = self.pattern.to_token_stream().to_string();
        if let Some(ty) = &self.ty {
            text.push_str(&format!(": {}", ty.to_token_stream()));
        }
        if let Some(guard) = &self.guard {
            text.push_str(&format!(" if {}", guard.to_token_stream()));
        }
        tidy(&text)
    }

    /// The surrounding function's variables in the guard, each once.
    fn pinned(&self) -> syn::Result<Vec<Ident>> {
        #[derive(Default)]
        struct Names(Vec<Ident>);
        impl<'a> Visit<'a> for Names {
            fn visit_expr_path(&mut self, path: &'a syn::ExprPath) {
                if let Some(name) = path.path.get_ident()
                    && binds(name)
                    && name != "self"
                    && !self.0.contains(name)
                {
                    self.0.push(name.clone());
                }
            }

            fn visit_expr_call(&mut self, call: &'a syn::ExprCall) {
                // What is called is a function, not a value.
                call.args.iter().for_each(|argument| self.visit_expr(argument));
            }

            fn visit_expr_closure(&mut self, _: &'a syn::ExprClosure) {}
        }
        let mut names = Names::default();
        if let Some(guard) = &self.guard {
            visit::visit_expr(&mut names, guard);
        }
        let bound = take_bindings(&mut self.pattern.clone())?;
        names.0.retain(|name| bound.iter().all(|binding| binding.ident != *name));
        Ok(names.0)
    }
}

/// Tokens are printed with a space between any two; this takes out those that nobody would write.
fn tidy(text: &str) -> String {
    let mut tidy = text.to_owned();
    for (spaced, close) in [
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" ,", ","),
        (" :: ", "::"),
        (" . ", "."),
        ("& ", "&"),
        (" :", ":"),
        ("[ ", "["),
        (" ]", "]"),
    ] {
        tidy = tidy.replace(spaced, close);
    }
    tidy
}

/// The expression that stands for the macro.
pub(crate) fn expand(assert: Assert, input: TokenStream) -> syn::Result<TokenStream> {
    let input = syn::parse::Parser::parse2(|input: ParseStream<'_>| Input::parse(assert, input), input)?;
    let (text, pinned) = (input.text(), input.pinned()?);
    let Input { pattern, ty, guard, within, message } = input;
    let private = quote!(::ibeam_testkit::__private);
    let ty = ty.map(|ty| quote!(: #ty));
    let names = pinned.iter().map(ToString::to_string);
    let name = assert.name();
    let message = match message {
        Some(message) => quote!(::core::option::Option::Some(::std::format!(#message))),
        None => quote!(::core::option::Option::None),
    };
    // In the user's function, so that a panic has its place.
    let failure = quote! {
        #private::Failure {
            what: #name,
            pattern: #text,
            pinned: &[#((#names, {
                #[allow(unused_imports)]
                use #private::{ShowDebug as _, ShowType as _};
                (&#private::Shown(&#pinned)).show()
            })),*],
            message: #message,
        }
    };
    let time = Ident::new("time", Span::mixed_site());
    let within = match (within, assert.waits()) {
        (Some(within), _) => quote!(#private::within(#within)),
        (None, true) => quote!(#private::within(::ibeam_testkit::RECEIVE_TIMEOUT)),
        (None, false) => quote!(#private::within(::core::time::Duration::ZERO)),
    };
    let receive = if assert.refutes() {
        // The guard notes that the message fits and lets the next arm take it whole, to be shown.
        let fits = Ident::new("fits", Span::mixed_site());
        let found = Ident::new("found", Span::mixed_site());
        let names = take_bindings(&mut pattern.clone())?.into_iter().map(|binding| binding.ident);
        let condition = guard.map_or_else(|| quote!(true), |guard| quote!((#guard)));
        let arms = receive::expand(quote! {
            #pattern #ty if #condition && #private::note(&#fits) => { #(let _ = &#names;)* ::core::unreachable!() },
            #found if #private::noted(&#fits) => #private::refuted(&#failure, #time, #found),
            after #time => {},
        })?;
        quote! {
            let #fits = ::core::sync::atomic::AtomicBool::new(false);
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            #arms
        }
    } else {
        let mut bound = pattern.clone();
        let bindings = take_bindings(&mut bound)?;
        let value = match bindings.as_slice() {
            [] => quote!(()),
            [only] => only.ident.to_token_stream(),
            several => {
                let names = several.iter().map(|binding| &binding.ident);
                quote!((#(#names),*))
            }
        };
        let guard = guard.map(|guard| quote!(if #guard));
        let mailbox = Ident::new("mailbox", Span::mixed_site());
        receive::expand(quote! {
            #pattern #ty #guard => #value,
            after #time => {
                let #mailbox = #private::mailbox().await;
                #private::not_received(&#failure, #time, &#mailbox)
            }
        })?
    };
    Ok(quote!({
        let #time = #within;
        #receive
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_error(assert: Assert, input: &str, expected: &str) {
        let error = expand(assert, input.parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{input}");
    }

    fn parsed(input: &str) -> Input {
        let parse = |input: ParseStream<'_>| Input::parse(Assert::Receive, input);
        syn::parse::Parser::parse_str(parse, input).unwrap()
    }

    #[test]
    fn the_pattern_is_shown_as_it_was_written() {
        let cases = [
            "Down { monitor, reason: ExitReason::Normal, .. } if monitor == mine",
            "Some(x): Option<u8>",
            "\"ping\"",
        ];
        for text in cases {
            assert_eq!(parsed(text).text(), text.replace("Option<u8>", "Option < u8 >"));
        }
    }

    #[test]
    fn pinned_variables_are_those_of_the_guard_that_the_pattern_does_not_bind() {
        let pinned = |input| -> Vec<String> {
            parsed(input).pinned().unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(pinned("Pair(a, b) if a == x && b == x"), ["x"]);
        assert_eq!(pinned("Pair(a, b) if a == x && fits(b, y) && a != LIMIT"), ["x", "y"]);
        assert!(pinned("Pair(a, _) if a.is_empty()").is_empty());
    }

    #[test]
    fn wrong_inputs_are_refused() {
        check_error(Assert::Receive, "", "expected a pattern, as in `assert_receive!(Greet(name))`");
        check_error(
            Assert::Received,
            "Tick, within: SECOND",
            "`assert_received!` looks at what is there and does not wait",
        );
        check_error(
            Assert::RefuteReceived,
            "Tick, within: SECOND",
            "`refute_received!` looks at what is there and does not wait",
        );
    }
}

//! The names a pattern binds, as far as its syntax tells.
//!
//! `receive!` matches inside a closure and runs the arm's body outside of it, so what a pattern binds has to travel from
//! the one to the other and must be known by name.
//!
//! # Invariants
//! 1. A name is a binding if it begins with a lower-case letter or `_` (or has no case), as rustc's own naming lints
//!    demand; an upper-case one is a constant, a unit struct or a variant. A macro cannot look up which it is.
//! 2. The names come in the order of their first appearance, each once: the alternatives of `A(x) | B(x)` bind one `x`.
//! 3. The pattern left behind binds by move and without `mut`: the `mut` goes to the body, where it means something.

use proc_macro2::Ident;
use syn::ext::IdentExt as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Error, ExprConst, ExprMacro, Pat, PatGuard, PatIdent, Token};

use crate::errors::Errors;

/// One name that a pattern binds.
pub(crate) struct Binding {
    pub(crate) ident: Ident,
    pub(crate) mutability: Option<Token![mut]>,
}

/// Does this name bind (`name`, `_name`), or does it stand for a constant or a unit struct (`Tick`, `LIMIT`)?
pub(crate) fn binds(ident: &Ident) -> bool {
    !ident.unraw().to_string().starts_with(char::is_uppercase)
}

/// Takes the bindings of `pat` and removes every `mut` from it.
///
/// # Errors
/// What cannot travel to the body: `ref`; and what hides its bindings: macros and guards inside of the pattern.
pub(crate) fn take_bindings(pat: &mut Pat) -> syn::Result<Vec<Binding>> {
    let mut collector = Collector::default();
    collector.visit_pat_mut(pat);
    collector.errors.finish(collector.bindings)
}

#[derive(Default)]
struct Collector {
    bindings: Vec<Binding>,
    errors: Errors,
}

impl VisitMut for Collector {
    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        if let Some(by_ref) = pat.by_ref {
            let name = &pat.ident;
            let message = format!(
                "`ref` is not possible here: the message is handed over to the arm, so bind `{name}` by value and \
                 borrow it in the body"
            );
            self.errors.push(Error::new_spanned(by_ref, message));
        }
        if pat.mutability.is_some() || pat.subpat.is_some() || binds(&pat.ident) {
            let mutability = pat.mutability.take();
            if self.bindings.iter().all(|known| known.ident != pat.ident) {
                self.bindings.push(Binding { ident: pat.ident.clone(), mutability });
            }
        }
        visit_mut::visit_pat_ident_mut(self, pat);
    }

    fn visit_pat_guard_mut(&mut self, pat: &mut PatGuard) {
        self.errors.push(Error::new_spanned(
            pat.if_token,
            "a guard stands behind the whole pattern, not inside of it",
        ));
    }

    fn visit_expr_macro_mut(&mut self, pat: &mut ExprMacro) {
        let message = "a macro in a pattern hides what it binds: write the pattern out";
        self.errors.push(Error::new_spanned(&pat.mac.path, message));
    }

    // Patterns in here belong to the constant's own code.
    fn visit_expr_const_mut(&mut self, _: &mut ExprConst) {}
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;
    use syn::parse::Parser as _;

    use super::*;

    fn pattern(source: &str) -> Pat {
        Pat::parse_multi_with_leading_vert.parse_str(source).unwrap()
    }

    /// The pattern binds `expected`, and what is left of it reads `left`.
    fn check(source: &str, expected: &[&str], left: &str) {
        let mut pat = pattern(source);
        let bindings = take_bindings(&mut pat).unwrap();
        let found: Vec<String> = bindings
            .iter()
            .map(|b| format!("{}{}", if b.mutability.is_some() { "mut " } else { "" }, b.ident))
            .collect();
        assert_eq!(found, expected, "bindings of `{source}`");
        assert_eq!(
            pat.to_token_stream().to_string(),
            pattern(left).to_token_stream().to_string(),
            "`{source}`"
        );
    }

    fn check_error(source: &str, expected: &str) {
        let error = take_bindings(&mut pattern(source)).err().expect("an error");
        assert!(error.to_string().contains(expected), "`{source}` said: {error}");
    }

    #[test]
    fn names_are_told_from_constants_by_their_first_letter() {
        check("name", &["name"], "name");
        check("_name", &["_name"], "_name");
        check("r#type", &["r#type"], "r#type");
        check("Tick", &[], "Tick");
        check("LIMIT", &[], "LIMIT");
        check("Some(None)", &[], "Some(None)");
        check("_", &[], "_");
        check("Whole @ Greet(_)", &["Whole"], "Whole @ Greet(_)");
    }

    #[test]
    fn bindings_are_found_at_any_depth_in_order() {
        check("Greet(name, Some((a, _)))", &["name", "a"], "Greet(name, Some((a, _)))");
        check("Down { reason, pid: who, .. }", &["reason", "who"], "Down { reason, pid: who, .. }");
        check("[first, .., last]", &["first", "last"], "[first, .., last]");
        check("[first, rest @ ..]", &["first", "rest"], "[first, rest @ ..]");
        check("&(x, &y)", &["x", "y"], "&(x, &y)");
        check("n @ 1..=5", &["n"], "n @ 1..=5");
        check("node @ Node { id: 1 | 2, .. }", &["node"], "node @ Node { id: 1 | 2, .. }");
        check("std::option::Option::Some(x)", &["x"], "std::option::Option::Some(x)");
    }

    #[test]
    fn alternatives_bind_each_name_once() {
        check("A(x) | B(x)", &["x"], "A(x) | B(x)");
        check("Pair(A(x) | B(x), y)", &["x", "y"], "Pair(A(x) | B(x), y)");
        check("A(mut x) | B(mut x)", &["mut x"], "A(x) | B(x)");
    }

    #[test]
    fn mut_moves_from_the_pattern_to_the_binding() {
        check("mut name", &["mut name"], "name");
        check("Greet { mut name, age: mut years }", &["mut name", "mut years"], "Greet { name, age: years }");
        check("mut n @ 1..=5", &["mut n"], "n @ 1..=5");
    }

    #[test]
    fn constants_hold_no_bindings() {
        check("-1", &[], "-1");
        check("'a'..='z'", &[], "'a'..='z'");
        check("i32::MAX", &[], "i32::MAX");
    }

    #[test]
    fn what_cannot_travel_is_refused() {
        check_error("Greet(ref name)", "bind `name` by value");
        check_error("Greet { ref mut name }", "bind `name` by value");
        check_error("Some(point!(x, y))", "write the pattern out");
    }

    #[test]
    fn every_refusal_is_reported() {
        let error = take_bindings(&mut pattern("Pair(ref a, ref b)")).err().unwrap();
        assert_eq!(error.into_iter().count(), 2);
    }
}

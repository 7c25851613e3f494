//! `receive!`: a selective receive that reads like a `match`.
//!
//! ```text
//! receive! { PAT if GUARD => BODY, after TIME => LATE }
//!
//! {
//!     enum Arm<A0> { A0(A0) }                            what the arms hand over, one tuple of bindings each
//!     let received = receive_with(|candidate| {          called for each message until one arm takes it
//!         if let Some(bound) = candidate.arm(|m| match m { PAT if GUARD => Ok((bindings,)), m => Err(m) }) {
//!             return Some(Arm::A0(bound));
//!         }
//!         None
//!     }).after(time).await;
//!     match received { Some(Arm::A0((bindings,))) => BODY, None => LATE }
//! }
//! ```
//!
//! # Invariants
//! 1. A pattern and a guard appear in the expansion once, so that rustc reports what is wrong with them once.
//! 2. Bodies stand in the surrounding function, outside of every closure: `.await`, `?`, `return` and `break` mean
//!    what they mean there. By then the closure and all it borrowed is gone.
//! 3. A message is either consumed by exactly one arm or put back unchanged: guards look at the message in place.
//! 4. `since` and the time of `after` are evaluated once, in this order, before the first message is looked at, and
//!    their temporaries end there: a lock guard in them is not held while waiting.
//! 5. The macro's own locals are hygienic; its only item is the enum, whose name begins with `__Ibeam`.
//!
//! # Why no type is derived from the pattern
//! rustc infers the closure's argument from the pattern itself: struct, tuple struct, unit struct, enum variant,
//! constant, literal and range alike, through type aliases and imports, which a macro could not see through. What it
//! cannot infer (slices, tuples of mere names) has to be written as `pattern: Type`, and the macro says so.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Error, Expr, Pat, Token, Type};

use crate::bindings::{Binding, binds, take_bindings};
use crate::errors::Errors;

mod keyword {
    syn::custom_keyword!(since);
    syn::custom_keyword!(after);
}

/// The expression that stands for `receive! { input }`.
pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let receive: Receive = syn::parse2(input)?;
    receive.expand()
}

struct Receive {
    since: Option<Expr>,
    arms: Vec<Arm>,
    after: Option<After>,
}

struct Arm {
    attrs: Vec<Attribute>,
    pattern: Pat,
    ty: Option<Type>,
    guard: Option<Expr>,
    body: Expr,
}

struct After {
    time: Expr,
    body: Expr,
}

impl Parse for Receive {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut receive = Self { since: None, arms: Vec::new(), after: None };
        if starts_since(input) {
            receive.since = Some(parse_since(input)?);
        }
        while !input.is_empty() {
            let attrs = input.call(Attribute::parse_outer)?;
            if starts_since(input) {
                return Err(input.error("`since` comes once, as the first line of `receive!`"));
            }
            if starts_after(input) {
                if let Some(attr) = attrs.first() {
                    return Err(Error::new_spanned(attr, "`after` takes no attributes"));
                }
                let after: keyword::after = input.parse()?;
                receive.after = Some(parse_after(after, input)?);
                if !input.is_empty() {
                    let message = "`after` must be the last arm of `receive!`";
                    return Err(Error::new_spanned(after, message));
                }
            } else {
                receive.arms.push(parse_arm(attrs, input)?);
            }
        }
        if receive.arms.is_empty() && receive.after.is_none() {
            let message = "`receive!` needs an arm, as in `receive! { Greet(name) => .. }`";
            return Err(Error::new(input.span(), message));
        }
        Ok(receive)
    }
}

// `since::Epoch` and `after::Elapsed` are patterns.
fn starts_since(input: ParseStream<'_>) -> bool {
    input.peek(keyword::since) && !input.peek2(Token![::])
}

fn starts_after(input: ParseStream<'_>) -> bool {
    input.peek(keyword::after) && !input.peek2(Token![::])
}

/// Refuses a binding with the name of a clause: the word cannot be told from the clause while reading either.
fn refuse_as_binding(word: &str, span: Span, input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=>]) || input.peek(Token![:]) || input.peek(Token![@]) || input.peek(Token![|]) {
        let message = if word == "after" && input.peek(Token![=>]) {
            "expected how long to wait, as in `after Duration::from_secs(5) => ..`".to_owned()
        } else {
            format!("`{word}` begins a clause of `receive!`: give this binding another name")
        };
        return Err(Error::new(span, message));
    }
    Ok(())
}

fn parse_since(input: ParseStream<'_>) -> syn::Result<Expr> {
    let since: keyword::since = input.parse()?;
    refuse_as_binding("since", since.span(), input)?;
    if input.peek(Token![;]) {
        return Err(Error::new_spanned(since, "expected a reference, as in `since reference;`"));
    }
    let reference = input.parse()?;
    if !input.peek(Token![;]) {
        return Err(input.error("expected `;` to end `since reference;`"));
    }
    input.parse::<Token![;]>()?;
    Ok(reference)
}

fn parse_after(after: keyword::after, input: ParseStream<'_>) -> syn::Result<After> {
    refuse_as_binding("after", after.span(), input)?;
    let time = input.parse()?;
    if input.peek(Token![if]) {
        return Err(input.error("`after` takes no guard"));
    }
    input.parse::<Token![=>]>()?;
    Ok(After { time, body: parse_body(input)? })
}

fn parse_arm(attrs: Vec<Attribute>, input: ParseStream<'_>) -> syn::Result<Arm> {
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
    input.parse::<Token![=>]>()?;
    Ok(Arm { attrs, pattern, ty, guard, body: parse_body(input)? })
}

/// An arm's body and the comma behind it, which only a block-like body may leave out.
fn parse_body(input: ParseStream<'_>) -> syn::Result<Expr> {
    let body = Expr::parse_with_earlier_boundary_rule(input)?;
    let ends_itself = matches!(
        body,
        Expr::Block(_)
            | Expr::Const(_)
            | Expr::ForLoop(_)
            | Expr::If(_)
            | Expr::Loop(_)
            | Expr::Match(_)
            | Expr::TryBlock(_)
            | Expr::Unsafe(_)
            | Expr::While(_)
    );
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
    } else if !ends_itself && !input.is_empty() {
        return Err(input.error("expected `,` to end the arm"));
    }
    Ok(body)
}

impl Receive {
    fn expand(self) -> syn::Result<TokenStream> {
        let Self { since, arms, after } = self;
        refuse_unreachable(&arms)?;
        let local = |name| Ident::new(name, Span::mixed_site());
        let arm_enum = local("__IbeamArm");
        let candidate = local("candidate");
        // With an arm rustc infers the enum's parameters; without one nothing else names the enum.
        let none_type = arms.is_empty().then(|| quote!(::<#arm_enum>));
        let received = local("received");
        let time = local("time");
        let reference = local("reference");

        let mut params = TokenStream::new();
        let mut variants = TokenStream::new();
        let mut offers = TokenStream::new();
        let mut bodies = TokenStream::new();
        let mut errors = Errors::default();
        for (index, arm) in arms.into_iter().enumerate() {
            let parts = arm.expand(index, &arm_enum, &candidate, after.is_some());
            let Some(parts) = errors.keep(parts) else { continue };
            params.extend(parts.param);
            variants.extend(parts.variant);
            offers.extend(parts.offer);
            bodies.extend(parts.body);
        }
        errors.finish(())?;

        let mut before = TokenStream::new();
        let mut chain = TokenStream::new();
        if let Some(since) = since {
            before.extend(quote!(let #reference = #since;));
            let reference = Ident::new("reference", Span::mixed_site().located_at(since.span()));
            chain.extend(quote!(.since(#reference)));
        }
        if let Some(After { time: expr, body }) = after {
            before.extend(quote!(let #time = #expr;));
            let time = Ident::new("time", Span::mixed_site().located_at(expr.span()));
            chain.extend(quote!(.after(#time)));
            bodies.extend(quote!(::core::option::Option::None => #body,));
        }
        Ok(quote! {{
            enum #arm_enum<#params> { #variants }
            #before
            let #received = ::ibeam::__private::receive_with(|#candidate| {
                #offers
                ::core::option::Option::None #none_type
            })
            #chain
            .await;
            match #received { #bodies }
        }})
    }
}

/// What an arm adds to the parts of the expansion.
struct Parts {
    param: TokenStream,
    variant: TokenStream,
    offer: TokenStream,
    body: TokenStream,
}

impl Arm {
    /// Does this arm take messages of every type?
    fn is_any(&self) -> bool {
        self.ty.is_none() && takes_any(&self.pattern)
    }

    fn expand(
        mut self,
        index: usize,
        arm_enum: &Ident,
        candidate: &Ident,
        has_after: bool,
    ) -> syn::Result<Parts> {
        let is_any = self.is_any();
        if !is_any && self.ty.is_none() && !shows_type(&self.pattern) {
            let message = "the type of this message does not show in the pattern: write `pattern: Type`";
            return Err(Error::new_spanned(&self.pattern, message));
        }
        if let Some(guard) = &self.guard {
            check_guard(guard)?;
        }
        let unit = unit_like(&self.pattern, self.ty.as_ref()).map(|name| {
            // Without this a misspelt or forgotten import would make the name a binding, and rustc would only say that
            // it cannot infer a type.
            quote_spanned!(name.span()=> let _ = || #name;)
        });
        let bindings = take_bindings(&mut self.pattern)?;
        let Self { attrs, pattern, ty, guard, body } = self;

        let (cfgs, lints): (Vec<_>, Vec<_>) = attrs.iter().partition(|attr| attr.path().is_ident("cfg"));
        let span = pattern.span();
        let variant = format_ident!("A{index}", span = Span::mixed_site());
        let message = Ident::new("message", Span::mixed_site());
        let bound = Ident::new("bound", Span::mixed_site());
        let method = Ident::new(if is_any { "any" } else { "arm" }, span.resolved_at(Span::mixed_site()));
        let names = bindings.iter().map(|Binding { ident, .. }| ident);
        let places = bindings.iter().map(|Binding { ident, mutability }| quote!(#mutability #ident));
        let (names, places) = (quote!((#(#names,)*)), quote!((#(#places,)*)));
        let unused = bindings.iter().any(|binding| binding.ident.to_string().starts_with('_'));
        let allow = unused.then(|| quote!(#[allow(clippy::used_underscore_binding)]));
        // What only the guard looks at is used, and rustc should not say otherwise of the body's copy.
        let guarded = guard.as_ref().map_or_else(Vec::new, |guard| {
            let tokens = guard.to_token_stream();
            bindings.iter().map(|binding| &binding.ident).filter(|name| mentions(&tokens, name)).collect()
        });
        let body = match guarded.as_slice() {
            [] => quote!(#body),
            names => quote!({ #(let _ = &#names;)* #body }),
        };
        let guard = guard.map(|guard| quote!(if #guard));
        let ty = ty.map(|ty| quote!(: #ty));

        let taken = quote!(#arm_enum::#variant(#places));
        let taken = if has_after { quote!(::core::option::Option::Some(#taken)) } else { taken };
        Ok(Parts {
            param: quote!(#(#cfgs)* #variant,),
            variant: quote!(#(#cfgs)* #variant(#variant),),
            offer: quote! {
                #(#cfgs)*
                if let ::core::option::Option::Some(#bound) = #candidate.#method(|#message #ty| {
                    #unit
                    match #message {
                        #allow
                        #pattern #guard => ::core::result::Result::Ok(#names),
                        #[allow(unreachable_patterns)]
                        #message => ::core::result::Result::Err(#message),
                    }
                }) {
                    return ::core::option::Option::Some(#arm_enum::#variant(#bound));
                }
            },
            body: quote!(#(#cfgs)* #(#lints)* #taken => #body,),
        })
    }
}

/// An arm behind one that takes everything would wait for ever. (`match` only warns; a macro cannot.)
fn refuse_unreachable(arms: &[Arm]) -> syn::Result<()> {
    let all = arms.iter().position(|arm| arm.is_any() && arm.guard.is_none() && arm.attrs.is_empty());
    let Some(all) = all else { return Ok(()) };
    let Some(next) = arms.get(all + 1) else { return Ok(()) };
    let message = format!(
        "this arm is never reached: `{}` above takes every message",
        arms[all].pattern.to_token_stream()
    );
    Err(Error::new_spanned(&next.pattern, message))
}

/// A mere name or `_`: any message.
fn takes_any(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) => true,
        Pat::Ident(name) => match &name.subpat {
            Some((_, inner)) => takes_any(inner),
            None => binds(&name.ident) || name.mutability.is_some() || name.by_ref.is_some(),
        },
        Pat::Paren(inner) => takes_any(&inner.pat),
        Pat::Or(or) => or.cases.iter().all(takes_any),
        _ => false,
    }
}

/// Can rustc tell the whole type from the pattern?
fn shows_type(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) | Pat::Rest(_) | Pat::Slice(_) => false,
        Pat::Ident(name) => match &name.subpat {
            Some((_, inner)) => shows_type(inner),
            None => !takes_any(pattern),
        },
        Pat::Paren(inner) => shows_type(&inner.pat),
        Pat::Reference(inner) => shows_type(&inner.pat),
        Pat::Tuple(tuple) => tuple.elems.iter().all(shows_type),
        Pat::Or(or) => or.cases.iter().any(shows_type),
        _ => true,
    }
}

/// The name of an arm that is only an upper-case name: a unit struct or a constant.
fn unit_like<'a>(pattern: &'a Pat, ty: Option<&Type>) -> Option<&'a Ident> {
    match pattern {
        Pat::Ident(name) if ty.is_none() && name.subpat.is_none() && !takes_any(pattern) => Some(&name.ident),
        _ => None,
    }
}

/// Does the name stand in there, at whatever depth?
fn mentions(tokens: &TokenStream, name: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        _ => false,
    })
}

/// Guards run while the mailbox is scanned, inside of a closure: refuses what only the surrounding function can do.
fn check_guard(guard: &Expr) -> syn::Result<()> {
    #[derive(Default)]
    struct Check(Errors);
    impl Check {
        fn fail(&mut self, tokens: impl quote::ToTokens, message: &str) {
            self.0.push(Error::new_spanned(tokens, message));
        }
    }
    impl<'a> Visit<'a> for Check {
        fn visit_expr_await(&mut self, expr: &'a syn::ExprAwait) {
            self.fail(expr.await_token, "a guard cannot wait: it runs while the mailbox is looked through");
        }
        fn visit_expr_try(&mut self, expr: &'a syn::ExprTry) {
            self.fail(expr.question_token, "a guard cannot return: use `?` in the arm's body");
        }
        fn visit_expr_return(&mut self, expr: &'a syn::ExprReturn) {
            self.fail(expr.return_token, "a guard cannot return: `return` from the arm's body");
        }
        // These are functions of their own.
        fn visit_expr_closure(&mut self, _: &'a syn::ExprClosure) {}
        fn visit_expr_async(&mut self, _: &'a syn::ExprAsync) {}
        fn visit_item(&mut self, _: &'a syn::Item) {}
    }
    fn find_let(expr: &Expr) -> Option<&syn::ExprLet> {
        match expr {
            Expr::Let(found) => Some(found),
            Expr::Binary(both) => find_let(&both.left).or_else(|| find_let(&both.right)),
            _ => None,
        }
    }
    let mut check = Check::default();
    if let Some(found) = find_let(guard) {
        check.fail(found.let_token, "`if let` guards are not supported: match in the pattern or in the body");
    }
    visit::visit_expr(&mut check, guard);
    check.0.finish(())
}

#[cfg(test)]
mod tests;

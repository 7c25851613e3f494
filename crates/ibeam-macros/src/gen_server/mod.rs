//! `#[gen_server]`: a server from an inherent impl block.
//!
//! ```text
//! #[gen_server]                     impl Counter { .. }              the block as it was, without the marks
//! impl Counter {                    impl Counter { start, start_link }
//!     async fn init(..) -> ..       impl GenServer for Counter { Args, init, dispatch, the callbacks that are there }
//!     #[call] async fn add(..)   →  struct __Counter_add(..);        impl HandleCall<__Counter_add> for Counter
//!     #[cast] async fn reset(..)    struct __Counter_reset(..);      impl HandleCast<__Counter_reset> for Counter
//!     #[info] async fn tick(..)                                      impl HandleInfo<Tick> for Counter
//! }                                 trait CounterClient { add, reset }   impl CounterClient for ServerRef<Counter>
//! ```
//!
//! `model.rs` reads the block and refuses what cannot be a message, `types.rs` looks at single types, `expand.rs` writes
//! what is above on the right.
//!
//! # Invariants
//! 1. The user's functions are not changed (but for an `allow`); what is generated calls them. So they work in tests
//!    without a process, and rustc's errors point into them.
//! 2. Each request has a type of its own, so a message belongs to exactly one call or cast. Two infos never have the
//!    same type (as written; an alias would only make the second one unreachable).
//! 3. `dispatch` compares the message with the server's own types in the order of the block and gives what is left to
//!    `dispatch_other`, which knows requests from hand-written impls and `handle_info`.
//! 4. A call that does not ask for its `CallFrom` and returns `R` is answered right there, by value: this is the fast
//!    path. Every other call goes through `handle_call` of the runtime, which can tell "replied" from "will reply".
//! 5. On an error the impl block is still emitted, so that no second error says that its functions are missing.
//!
//! # Why visibility is an option
//! An attribute on `impl Counter` does not see `struct Counter`. The generated items are `pub` unless
//! `client = pub(crate) CounterClient` says otherwise; a `pub` item in a private module is as private as that module.

mod expand;
mod model;
#[cfg(test)]
mod tests;
mod types;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

use model::Server;

/// What stands for `item` with `#[gen_server(options)]`.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    match Server::parse(options, item.clone()) {
        Ok(server) => expand::server(&server),
        Err(error) => {
            let errors = error.into_compile_error();
            let block = match syn::parse2::<syn::ItemImpl>(item.clone()) {
                Ok(mut block) => {
                    model::remove_marks(&mut block);
                    block.into_token_stream()
                }
                Err(_) => item,
            };
            quote!(#block #errors)
        }
    }
}

/// `#[call]`, `#[cast]` or `#[info]` was expanded by itself, so no `#[gen_server]` took it: an error, beside the item.
pub(crate) fn misplaced(mark: &str, item: TokenStream) -> TokenStream {
    let message = format!("`#[{mark}]` marks a function of an impl block with `#[gen_server]`");
    let error = syn::Error::new(proc_macro2::Span::call_site(), message).into_compile_error();
    quote!(#item #error)
}

//! `#[ibeam::main]`: a program whose main function is a process.
//!
//! The user's function stays as it is, inside of a plain `fn main` of the same name that builds a runtime and runs it:
//!
//! ```text
//! #[ibeam::main(workers = 4)]                 fn main() -> ExitCode {
//! async fn main() -> Result<(), E> { .. }  →      async fn main() -> Result<(), E> { .. }
//!                                                 __private::main(Runtime::builder().workers(4), main())
//!                                             }
//! ```

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Ident, ItemFn, Lit, Token};

/// The function that stands for `item` with `#[ibeam::main(options)]`.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let Options { workers } = syn::parse2(options)?;
    let mut main: ItemFn = syn::parse2(item)?;
    let signature = &main.sig;
    if signature.asyncness.is_none() {
        return Err(Error::new_spanned(signature.fn_token, "`#[ibeam::main]` runs an `async fn`"));
    }
    if let Some(input) = signature.inputs.first() {
        return Err(Error::new_spanned(input, "the main function takes no arguments"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "the main function is not generic"));
    }

    let attrs = std::mem::take(&mut main.attrs);
    let visibility = std::mem::replace(&mut main.vis, syn::Visibility::Inherited);
    let name = &main.sig.ident;
    let workers = workers.map(|workers| quote!(.workers(#workers)));
    Ok(quote! {
        #(#attrs)*
        #visibility fn #name() -> ::std::process::ExitCode {
            #main
            ::ibeam::__private::main(::ibeam::Runtime::builder() #workers, #name())
        }
    })
}

#[derive(Default)]
struct Options {
    workers: Option<Expr>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            if name != "workers" {
                let message = format!("unknown option `{name}`: there is `workers = N`");
                return Err(Error::new(name.span(), message));
            }
            if options.workers.is_some() {
                return Err(Error::new(name.span(), "`workers` is given twice"));
            }
            input.parse::<Token![=]>()?;
            let value: Expr = input.parse()?;
            if let Expr::Lit(ExprLit { lit, .. }) = &value {
                let positive = matches!(lit, Lit::Int(number) if number.base10_parse::<usize>()? > 0);
                if !positive {
                    return Err(Error::new_spanned(
                        lit,
                        "`workers` is the number of worker threads, 1 or more",
                    ));
                }
            }
            options.workers = Some(value);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &str, item: TokenStream, expected: TokenStream) {
        let expanded = expand(options.parse().unwrap(), item).unwrap();
        assert_eq!(expanded.to_string(), expected.to_string());
    }

    fn check_error(options: &str, item: TokenStream, expected: &str) {
        let error = expand(options.parse().unwrap(), item).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_function_runs_inside_of_a_plain_main() {
        check(
            "",
            quote! {
                /// Docs.
                async fn main() -> Result<(), ExitReason> { work().await }
            },
            quote! {
                /// Docs.
                fn main() -> ::std::process::ExitCode {
                    async fn main() -> Result<(), ExitReason> { work().await }
                    ::ibeam::__private::main(::ibeam::Runtime::builder(), main())
                }
            },
        );
    }

    #[test]
    fn workers_go_to_the_builder() {
        check(
            "workers = 4",
            quote! { pub(crate) async fn serve() {} },
            quote! {
                pub(crate) fn serve() -> ::std::process::ExitCode {
                    async fn serve() {}
                    ::ibeam::__private::main(::ibeam::Runtime::builder().workers(4), serve())
                }
            },
        );
        let expanded = expand(
            quote!(workers = cores() / 2,),
            quote!(
                async fn main() {}
            ),
        )
        .unwrap();
        assert!(expanded.to_string().contains(&quote!(.workers(cores() / 2)).to_string()));
    }

    #[test]
    fn wrong_functions_are_refused() {
        check_error(
            "",
            quote!(
                fn main() {}
            ),
            "`#[ibeam::main]` runs an `async fn`",
        );
        check_error(
            "",
            quote!(
                async fn main(args: Vec<String>) {}
            ),
            "the main function takes no arguments",
        );
        check_error(
            "",
            quote!(
                async fn main<T>() {}
            ),
            "the main function is not generic",
        );
    }

    #[test]
    fn wrong_options_are_refused() {
        let main = || {
            quote!(
                async fn main() {}
            )
        };
        check_error("threads = 2", main(), "unknown option `threads`: there is `workers = N`");
        check_error("workers = 1, workers = 2", main(), "`workers` is given twice");
        check_error("workers = 0", main(), "`workers` is the number of worker threads, 1 or more");
        check_error("workers = \"4\"", main(), "`workers` is the number of worker threads, 1 or more");
    }
}

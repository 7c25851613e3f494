//! The items that a [`Server`] stands for.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;

use super::model::{Arg, CallReply, Callback, CallbackKind, Handler, Role, Server};

/// For what is generated: users should hear only about what they wrote.
fn no_lints() -> TokenStream {
    quote!(#[allow(
        clippy::all,
        clippy::nursery,
        clippy::pedantic,
        dead_code,
        non_camel_case_types,
        private_bounds,
        private_interfaces,
        unreachable_pub
    )])
}

/// Everything that `#[gen_server]` writes.
pub(super) fn server(server: &Server) -> TokenStream {
    let block = &server.block;
    let start = start(server);
    let gen_server = gen_server(server);
    let requests = server.handlers.iter().map(|handler| request(server, handler));
    let client = client(server);
    quote! {
        #block
        #start
        #gen_server
        #(#requests)*
        #client
    }
}

impl Server {
    /// The name of the type that carries this call's or cast's arguments.
    fn request_name(&self, handler: &Handler) -> Ident {
        let name = handler.name.unraw();
        format_ident!("__{}_{}", self.name.unraw(), name, span = at(&handler.name))
    }

    /// The same with the server's type parameters.
    fn request_type(&self, handler: &Handler) -> TokenStream {
        let name = self.request_name(handler);
        let (_, parameters, _) = self.generics.split_for_impl();
        quote!(#name #parameters)
    }

    /// The last field of a generic server's requests: names the parameters that no argument uses.
    fn has_marker(&self) -> bool {
        !self.generics.params.is_empty()
    }
}

/// The place of the user's name, for errors, with the scope of the macro's call: `self` and the locals of the expansion
/// are the same wherever they are written, also if a `macro_rules!` gave us the name.
fn at(name: &Ident) -> Span {
    Span::call_site().located_at(name.span())
}

/// `().await`, or nothing for a function that is not async.
fn wait(is_async: bool) -> Option<TokenStream> {
    is_async.then(|| quote!(.await))
}

fn names(args: &[Arg]) -> Vec<&Ident> {
    args.iter().map(|arg| &arg.name).collect()
}

fn params(args: &[Arg]) -> TokenStream {
    let list = args.iter().map(|Arg { name, ty }| quote!(#name: #ty));
    quote!(#(#list),*)
}

/// Names for the arguments where the macro's own locals are in scope.
fn locals(args: &[Arg]) -> Vec<Ident> {
    (0..args.len()).map(|index| format_ident!("arg{index}", span = Span::mixed_site())).collect()
}

/// `init`'s arguments as one value: nothing, the argument itself, or a tuple.
fn bundle<T: quote::ToTokens>(items: &[T]) -> TokenStream {
    match items {
        [one] => quote!(#one),
        many => quote!((#(#many),*)),
    }
}

fn start(server: &Server) -> TokenStream {
    let visibility = &server.client.visibility;
    let self_ty = server.self_ty();
    let (generics, _, clause) = server.generics.split_for_impl();
    let no_lints = no_lints();
    let params = params(&server.init.args);
    let args = bundle(&names(&server.init.args));
    let name = &server.name;
    let function = |starter: &str, is_written: bool, doc: String| {
        let starter = Ident::new(starter, at(&server.init.name));
        (!is_written).then(|| {
            quote! {
                #[doc = #doc]
                #visibility fn #starter(#params) -> ::ibeam::Start<Self> {
                    ::ibeam::__private::#starter::<Self>(#args)
                }
            }
        })
    };
    let start = function(
        "start",
        server.own_start,
        format!("Starts a `{name}` with the arguments of its `init`, without a link to the caller."),
    );
    let start_link = function(
        "start_link",
        server.own_start_link,
        format!("Starts a `{name}` with the arguments of its `init`, linked to the calling process."),
    );
    if start.is_none() && start_link.is_none() {
        return TokenStream::new();
    }
    quote! {
        #no_lints
        impl #generics #self_ty #clause {
            #start
            #start_link
        }
    }
}

fn gen_server(server: &Server) -> TokenStream {
    let self_ty = server.self_ty();
    let (generics, _, clause) = server.generics.split_for_impl();
    let no_lints = no_lints();

    let init = &server.init;
    let types: Vec<_> = init.args.iter().map(|arg| &arg.ty).collect();
    let types = bundle(&types);
    let list = locals(&init.args);
    let args = bundle(&list);
    let wait = wait(init.is_async);
    let init = quote_spanned! {at(&init.name)=>
        async fn init(args: Self::Args) -> ::ibeam::Init<Self> {
            let #args = args;
            Self::init(#(#list),*) #wait
        }
    };

    let attempts = server.handlers.iter().map(|handler| attempt(server, handler));
    let callbacks = server.callbacks.iter().map(callback);
    quote! {
        #no_lints
        impl #generics ::ibeam::GenServer for #self_ty #clause {
            type Args = #types;
            #init
            async fn dispatch(&mut self, message: ::ibeam::Message) -> ::ibeam::Next {
                #(#attempts)*
                ::ibeam::__private::dispatch_other(self, message).await
            }
            #(#callbacks)*
        }
    }
}

/// Takes the fields out of `request`.
fn unpack(server: &Server, handler: &Handler, locals: &[Ident]) -> TokenStream {
    let name = server.request_name(handler);
    let rest = server.has_marker().then(|| quote!(..));
    quote!(let #name(#(#locals,)* #rest) = request;)
}

/// The call of a user's function with its `Next`.
fn with_next(call: TokenStream, next: bool) -> TokenStream {
    if next {
        call
    } else {
        quote! {
            #call;
            ::ibeam::Next::go_on()
        }
    }
}

/// The part of `dispatch` that tries one type.
///
/// What the match takes apart goes into variables of their own, and the match is over before anything is awaited: its
/// subject would be kept, and make each such server's process larger.
fn attempt(server: &Server, handler: &Handler) -> TokenStream {
    let Handler { name, is_async, cfgs, role, .. } = handler;
    let wait = wait(*is_async);
    let request = server.request_type(handler);
    let request_name = server.request_name(handler);
    let rest = server.has_marker().then(|| quote!(..));
    // What comes out of the match, and the pattern around it.
    let (take, vars, answer): (_, Vec<Ident>, _) = match role {
        Role::Call { args, reply, from } => {
            let take = quote_spanned!(at(name)=> ::ibeam::__private::take_call::<Self, #request>(message));
            let caller = format_ident!("from", span = Span::mixed_site());
            if from.is_some() {
                // By the trait's function, where types that do not fit are an error already: one is enough.
                let asked = format_ident!("request", span = Span::mixed_site());
                let answer = quote_spanned! {at(name)=>
                    let key = ::ibeam::CallFrom::key(&#caller);
                    let reply = <Self as ::ibeam::HandleCall<#request>>::handle_call(self, #asked, #caller).await;
                    ::ibeam::__private::reply_by_key(key, reply)
                };
                (take, vec![asked, caller], answer)
            } else {
                let mut vars = locals(args);
                let call = quote_spanned!(at(name)=> Self::#name(self, #(#vars),*) #wait);
                let answer = match reply {
                    CallReply::Value(_) => quote_spanned! {at(name)=>
                        let reply = #call;
                        #caller.reply(reply);
                        ::ibeam::Next::go_on()
                    },
                    CallReply::Reply(_) => quote_spanned! {at(name)=>
                        let reply = #call;
                        ::ibeam::__private::reply_to(#caller, reply)
                    },
                };
                vars.push(caller);
                (take, vars, answer)
            }
        }
        Role::Cast { args, next } => {
            let take = quote_spanned!(at(name)=> ::ibeam::__private::take_cast::<Self, #request>(message));
            let vars = locals(args);
            let answer = with_next(quote_spanned!(at(name)=> Self::#name(self, #(#vars),*) #wait), *next);
            (take, vars, answer)
        }
        Role::Info { message, next } => {
            let take = quote_spanned!(at(name)=> ::ibeam::Message::downcast::<#message>(message));
            let vars = vec![format_ident!("info", span = Span::mixed_site())];
            let answer = with_next(quote_spanned!(at(name)=> Self::#name(self, #(#vars),*) #wait), *next);
            (take, vars, answer)
        }
    };
    let found: Vec<_> =
        (0..vars.len()).map(|index| format_ident!("found{index}", span = Span::mixed_site())).collect();
    let pattern = match role {
        Role::Call { from: None, .. } => {
            let (caller, args) = found.split_last().expect("the caller is among them");
            quote!((#request_name(#(#args,)* #rest), #caller))
        }
        Role::Call { .. } => quote!((#(#found),*)),
        Role::Cast { .. } => quote!(#request_name(#(#found,)* #rest)),
        Role::Info { .. } => quote!(#(#found)*),
    };
    quote_spanned! {at(name)=>
        #(#cfgs)*
        let message = 'attempt: {
            #(let #vars;)*
            match #take {
                ::core::result::Result::Ok(#pattern) => { #(#vars = #found;)* }
                ::core::result::Result::Err(message) => break 'attempt message,
            }
            return { #answer };
        };
    }
}

fn callback(callback: &Callback) -> TokenStream {
    let Callback { name, cfgs, is_async, kind, next } = callback;
    let wait = wait(*is_async);
    let (param, arg) = match kind {
        CallbackKind::Terminate => (quote!(, reason: &::ibeam::ExitReason), quote!(, reason)),
        CallbackKind::HandleContinue => (quote!(, step: ::ibeam::Continue), quote!(, step)),
        CallbackKind::HandleTimeout => (quote!(), quote!()),
        CallbackKind::FormatStatus => {
            return quote_spanned! {at(name)=>
                #(#cfgs)*
                fn #name(&self, status: &mut ::ibeam::gen_server::ServerStatus) { Self::#name(self, status); }
            };
        }
        CallbackKind::HandleInfo => (quote!(, message: ::ibeam::Message), quote!(, message)),
    };
    let call = quote_spanned!(at(name)=> Self::#name(self #arg) #wait);
    if *kind == CallbackKind::Terminate {
        return quote_spanned!(at(name)=> #(#cfgs)* async fn #name(&mut self #param) { #call; });
    }
    let body = with_next(call, *next);
    quote_spanned!(at(name)=> #(#cfgs)* async fn #name(&mut self #param) -> ::ibeam::Next { #body })
}

/// The type of a call's or cast's message, and the trait that says the server takes it.
fn request(server: &Server, handler: &Handler) -> TokenStream {
    let Handler { name, is_async, cfgs, role, .. } = handler;
    let self_ty = server.self_ty();
    let (generics, _, clause) = server.generics.split_for_impl();
    let wait = wait(*is_async);
    let request = server.request_type(handler);
    let no_lints = no_lints();
    let implementation = match role {
        Role::Call { args, reply, from } => {
            let list = locals(args);
            let unpack = unpack(server, handler, &list);
            let mut list: Vec<TokenStream> = list.iter().map(|local| quote!(#local)).collect();
            if let Some((index, span)) = from {
                list.insert(*index, quote_spanned!(Span::call_site().located_at(*span)=> from));
            }
            let call = quote_spanned!(at(name)=> Self::#name(self, #(#list),*) #wait);
            let (reply, answer) = match reply {
                CallReply::Value(reply) => (reply, quote!(::ibeam::Reply::now(#call))),
                CallReply::Reply(reply) => (reply, call),
            };
            let from = if from.is_some() { quote!(from) } else { quote!(_from) };
            quote_spanned! {at(name)=>
                impl #generics ::ibeam::HandleCall<#request> for #self_ty #clause {
                    type Reply = #reply;
                    async fn handle_call(
                        &mut self,
                        request: #request,
                        #from: ::ibeam::CallFrom<#reply>,
                    ) -> ::ibeam::Reply<#reply> {
                        #unpack
                        #answer
                    }
                }
            }
        }
        Role::Cast { args, next } => {
            let list = locals(args);
            let unpack = unpack(server, handler, &list);
            let body = with_next(quote_spanned!(at(name)=> Self::#name(self, #(#list),*) #wait), *next);
            quote_spanned! {at(name)=>
                impl #generics ::ibeam::HandleCast<#request> for #self_ty #clause {
                    async fn handle_cast(&mut self, request: #request) -> ::ibeam::Next {
                        #unpack
                        #body
                    }
                }
            }
        }
        Role::Info { message, next } => {
            let body = with_next(quote_spanned!(at(name)=> Self::#name(self, info) #wait), *next);
            quote_spanned! {at(name)=>
                impl #generics ::ibeam::HandleInfo<#message> for #self_ty #clause {
                    async fn handle_info(&mut self, info: #message) -> ::ibeam::Next {
                        #body
                    }
                }
            }
        }
    };
    let message = match role {
        Role::Call { args, .. } | Role::Cast { args, .. } => {
            let visibility = &server.client.visibility;
            let name = server.request_name(handler);
            let fields = args.iter().map(|arg| &arg.ty);
            let marker = server.has_marker().then(|| quote!(::core::marker::PhantomData<fn() -> #self_ty>));
            let generics = &server.generics;
            quote! {
                #(#cfgs)*
                #[doc(hidden)]
                #no_lints
                #visibility struct #name #generics (#(#fields,)* #marker) #clause;
            }
        }
        Role::Info { .. } => TokenStream::new(),
    };
    quote! {
        #message
        #(#cfgs)*
        #no_lints
        #implementation
    }
}

/// The trait that gives a server's reference one method per call and cast.
fn client(server: &Server) -> TokenStream {
    let mut declarations = TokenStream::new();
    let mut definitions = TokenStream::new();
    let self_ty = server.self_ty();
    let marker = server.has_marker().then(|| quote!(::core::marker::PhantomData));
    for handler in &server.handlers {
        let Handler { name, cfgs, client_attrs, role, .. } = handler;
        let request = server.request_type(handler);
        let (args, verb, function, returns, end) = match role {
            Role::Call { args, .. } => {
                (args, "Calls", quote!(call), quote!(-> ::ibeam::Call<#self_ty, #request>), quote!())
            }
            Role::Cast { args, .. } => (args, "Casts to", quote!(cast), quote!(), quote!(;)),
            Role::Info { .. } => continue,
        };
        let documented = client_attrs.iter().any(|attr| attr.path().is_ident("doc"));
        let doc = format!("{verb} `{}::{name}`.", server.name);
        let doc = (!documented).then(|| quote!(#[doc = #doc]));
        let request = server.request_name(handler);
        let (params, names) = (params(args), names(args));
        declarations.extend(quote_spanned! {at(name)=>
            #(#cfgs)*
            #(#client_attrs)*
            #doc
            fn #name(&self, #params) #returns;
        });
        definitions.extend(quote_spanned! {at(name)=>
            #(#cfgs)*
            fn #name(&self, #params) #returns {
                ::ibeam::ServerRef::#function(self, #request(#(#names,)* #marker)) #end
            }
        });
    }
    if declarations.is_empty() && !server.client.named {
        return TokenStream::new();
    }
    let visibility = &server.client.visibility;
    let client = &server.client.name;
    let no_lints = no_lints();
    let generics = &server.generics;
    let (impl_generics, parameters, clause) = server.generics.split_for_impl();
    let doc = format!("The calls and casts of [`{}`], as methods of its `ServerRef`.", server.name);
    quote! {
        #[doc = #doc]
        #no_lints
        #visibility trait #client #generics #clause {
            #declarations
        }
        #no_lints
        impl #impl_generics #client #parameters for ::ibeam::ServerRef<#self_ty> #clause {
            #definitions
        }
    }
}

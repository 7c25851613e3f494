//! The impl block as the server it describes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, format_ident};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{
    Attribute, Error, FnArg, GenericParam, Generics, ImplItem, ImplItemFn, ItemImpl, Meta, Pat, PatType,
    ReceiverKind, Safety, Signature, Token, Type, Visibility,
};

use super::types::{self, Place, check_owned, named, returned};
use crate::errors::Errors;

/// A server: what `expand.rs` needs to know about the block.
pub(super) struct Server {
    /// The user's block, without the marks.
    pub(super) block: ItemImpl,
    /// The type's name, for the names of what is generated.
    pub(super) name: Ident,
    /// The block's generics, with `Self` written out.
    pub(super) generics: Generics,
    pub(super) client: Client,
    pub(super) init: Init,
    pub(super) handlers: Vec<Handler>,
    pub(super) callbacks: Vec<Callback>,
    /// Functions the user wrote, which are then not generated.
    pub(super) own_start: bool,
    pub(super) own_start_link: bool,
}

/// The client trait.
pub(super) struct Client {
    pub(super) visibility: Visibility,
    pub(super) name: Ident,
    /// Was it asked for by name? Then it is there even if it has no methods.
    pub(super) named: bool,
}

/// `init`: its arguments become those of `start`.
pub(super) struct Init {
    pub(super) name: Ident,
    pub(super) is_async: bool,
    pub(super) args: Vec<Arg>,
}

/// One argument that is sent.
pub(super) struct Arg {
    /// The user's name for it, or `arg0` where the user has a pattern.
    pub(super) name: Ident,
    /// Its type, with `Self` written out.
    pub(super) ty: Type,
}

/// A function with `#[call]`, `#[cast]` or `#[info]`.
pub(super) struct Handler {
    pub(super) name: Ident,
    pub(super) is_async: bool,
    /// `#[cfg]`s: everything generated for this handler has them too.
    pub(super) cfgs: Vec<Attribute>,
    /// Docs and `#[deprecated]`: the client's method has them too.
    pub(super) client_attrs: Vec<Attribute>,
    pub(super) role: Role,
}

pub(super) enum Role {
    Call {
        args: Vec<Arg>,
        reply: CallReply,
        /// The `CallFrom`: which of the function's arguments it is (`self` not counted), and where it is written.
        from: Option<(usize, Span)>,
    },
    Cast {
        args: Vec<Arg>,
        next: bool,
    },
    Info {
        message: Type,
        next: bool,
    },
}

/// What a call's function returns.
pub(super) enum CallReply {
    /// `R`
    Value(Type),
    /// `Reply<R>`
    Reply(Type),
}

/// An optional function of `GenServer` that the user has.
pub(super) struct Callback {
    pub(super) name: Ident,
    pub(super) cfgs: Vec<Attribute>,
    pub(super) is_async: bool,
    pub(super) kind: CallbackKind,
    pub(super) next: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CallbackKind {
    Terminate,
    HandleContinue,
    HandleTimeout,
    HandleInfo,
    FormatStatus,
}

impl CallbackKind {
    fn of(name: &Ident) -> Option<Self> {
        [
            ("terminate", Self::Terminate),
            ("handle_continue", Self::HandleContinue),
            ("handle_timeout", Self::HandleTimeout),
            ("handle_info", Self::HandleInfo),
            ("format_status", Self::FormatStatus),
        ]
        .into_iter()
        .find_map(|(known, kind)| (name == known).then_some(kind))
    }

    /// As the user has to write it, without what it returns.
    fn usage(self) -> &'static str {
        match self {
            Self::Terminate => "terminate(&mut self, reason: &ExitReason)",
            Self::FormatStatus => "format_status(&self, status: &mut ServerStatus)",
            Self::HandleContinue => "handle_continue(&mut self, step: Continue)",
            Self::HandleTimeout => "handle_timeout(&mut self)",
            Self::HandleInfo => "handle_info(&mut self, message: Message)",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Call,
    Cast,
    Info,
}

impl Mark {
    /// `#[call]`, or with ibeam's path before it.
    fn of(attr: &Attribute) -> Option<Self> {
        let path = attr.path();
        let last = path.segments.last()?;
        let ours = match path.segments.len() {
            1 => path.leading_colon.is_none(),
            2 => path.segments[0].ident == "ibeam",
            _ => false,
        };
        [("call", Self::Call), ("cast", Self::Cast), ("info", Self::Info)]
            .into_iter()
            .find_map(|(known, mark)| (ours && last.ident == known).then_some(mark))
    }

    fn text(self) -> &'static str {
        match self {
            Self::Call => "#[call]",
            Self::Cast => "#[cast]",
            Self::Info => "#[info]",
        }
    }
}

/// Removes `#[call]`, `#[cast]` and `#[info]` from the block's functions.
pub(super) fn remove_marks(block: &mut ItemImpl) {
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item {
            function.attrs.retain(|attr| Mark::of(attr).is_none());
        }
    }
}

/// The server's shape asks for what clippy's stricter lints would change: `async` without a wait, owned arguments that are
/// only read, `self` that is not used.
fn allow_callback_shapes(block: &mut ItemImpl, handlers: &[Handler]) {
    for item in &mut block.items {
        let ImplItem::Fn(function) = item else { continue };
        let name = &function.sig.ident;
        let is_called = name == "init"
            || CallbackKind::of(name).is_some()
            || handlers.iter().any(|handler| handler.name == *name);
        if is_called {
            let allow = syn::parse_quote! {
                #[allow(
                    clippy::boxed_local,
                    clippy::needless_pass_by_value,
                    clippy::unused_async,
                    clippy::unused_self
                )]
            };
            function.attrs.push(allow);
        }
    }
}

/// `client = pub(crate) Name`
struct Options {
    client: Option<(Visibility, Ident)>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut client = None;
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            if name != "client" {
                let message = format!("unknown option `{name}`: there is `client = Name`");
                return Err(Error::new(name.span(), message));
            }
            if client.is_some() {
                return Err(Error::new(name.span(), "`client` is given twice"));
            }
            input.parse::<Token![=]>()?;
            let visibility = match input.parse()? {
                Visibility::Inherited => default_visibility(),
                given => given,
            };
            client = Some((visibility, input.parse()?));
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self { client })
    }
}

fn default_visibility() -> Visibility {
    Visibility::Public(<Token![pub]>::default())
}

impl Server {
    pub(super) fn parse(options: TokenStream, item: TokenStream) -> syn::Result<Self> {
        let options: Options = syn::parse2(options)?;
        let mut block: ItemImpl = syn::parse2(item).map_err(|error| {
            Error::new(error.span(), format!("`#[gen_server]` stands on an impl block: {error}"))
        })?;
        if let Some((path, _)) = &block.trait_ {
            let message = "`#[gen_server]` stands on the type's own impl block, not on that of a trait";
            return Err(Error::new_spanned(path, message));
        }
        let Some(name) = types::name(&block.self_ty).cloned() else {
            return Err(Error::new_spanned(&block.self_ty, "a server is a struct or an enum of your own"));
        };

        let mut errors = Errors::default();
        for param in &block.generics.params {
            if let GenericParam::Lifetime(lifetime) = param {
                let message = "a server outlives the function that starts it, so it cannot borrow: own the data or \
                               share it with an `Arc`";
                errors.push(Error::new_spanned(lifetime, message));
            }
        }
        let (mut has_init, mut init) = (false, None);
        let mut handlers: Vec<Handler> = Vec::new();
        let mut callbacks = Vec::new();
        let (mut own_start, mut own_start_link) = (false, false);
        for item in &block.items {
            let ImplItem::Fn(function) = item else { continue };
            let name = &function.sig.ident;
            if let Some(mark) = errors.keep(mark_of(function)).flatten() {
                let handler = errors.keep(handler(mark, function, &block.self_ty));
                if let Some(handler) = handler {
                    errors.keep(check_unique(&handler, function, &handlers));
                    handlers.push(handler);
                }
            } else if name == "init" {
                has_init = true;
                init = errors.keep(parse_init(function, &block.self_ty));
            } else if let Some(kind) = CallbackKind::of(name) {
                callbacks.extend(errors.keep(callback(kind, function)));
            } else {
                own_start |= name == "start";
                own_start_link |= name == "start_link";
            }
        }
        if !has_init {
            let message = "a server needs `async fn init(..) -> Init<Self>`, which makes its state";
            errors.push(Error::new_spanned(&block.self_ty, message));
        }
        let init = errors.require(init)?;

        remove_marks(&mut block);
        allow_callback_shapes(&mut block, &handlers);
        let mut generics = block.generics.clone();
        types::ReplaceSelf(&block.self_ty).visit_generics_mut(&mut generics);
        let client = match options.client {
            Some((visibility, name)) => Client { visibility, name, named: true },
            None => {
                let name = format_ident!("{name}Client");
                Client { visibility: default_visibility(), name, named: false }
            }
        };
        Ok(Self { block, name, generics, client, init, handlers, callbacks, own_start, own_start_link })
    }

    pub(super) fn self_ty(&self) -> &Type {
        &self.block.self_ty
    }
}

/// The one mark of a function, if it has any.
fn mark_of(function: &ImplItemFn) -> syn::Result<Option<Mark>> {
    let mut marks = function.attrs.iter().filter_map(|attr| Mark::of(attr).map(|mark| (attr, mark)));
    let Some((attr, mark)) = marks.next() else { return Ok(None) };
    if let Some((second, _)) = marks.next() {
        let message = format!("`{}` is already a `{}`", function.sig.ident, mark.text());
        return Err(Error::new_spanned(second, message));
    }
    if !matches!(attr.meta, Meta::Path(_)) {
        return Err(Error::new_spanned(attr, format!("`{}` takes no options", mark.text())));
    }
    let name = &function.sig.ident;
    if name == "init" || CallbackKind::of(name).is_some() {
        let message = format!("`{name}` is a callback of its own: it takes no `{}`", mark.text());
        return Err(Error::new_spanned(attr, message));
    }
    if name == "start" || name == "start_link" {
        let message = format!("`{name}` starts the server: give this function another name");
        return Err(Error::new_spanned(name, message));
    }
    Ok(Some(mark))
}

/// Neither a name nor an info's type comes twice. (With `cfg`s the two may exclude one another.)
fn check_unique(handler: &Handler, function: &ImplItemFn, before: &[Handler]) -> syn::Result<()> {
    let message_type = |handler: &Handler| match &handler.role {
        Role::Info { message, .. } => Some(message.to_token_stream().to_string()),
        Role::Call { .. } | Role::Cast { .. } => None,
    };
    let taken = message_type(handler);
    for other in before.iter().filter(|other| other.cfgs.is_empty() && handler.cfgs.is_empty()) {
        if other.name == handler.name {
            let message = format!("there is a function `{}` already", other.name);
            return Err(Error::new_spanned(&function.sig.ident, message));
        }
        if taken.is_some() && message_type(other) == taken {
            let message = format!("`{}` takes the messages of this type already", other.name);
            return Err(Error::new_spanned(function.sig.inputs.last(), message));
        }
    }
    Ok(())
}

/// What every function that the server calls must be: plain or async, not generic.
fn check_signature(signature: &Signature) -> syn::Result<()> {
    if let Some(token) = signature.constness {
        return Err(Error::new_spanned(
            token,
            "the server calls this function at run time: it is not `const`",
        ));
    }
    if !matches!(signature.safety, Safety::Default) || signature.abi.is_some() {
        let message = "the server calls this function: it is a plain or an async `fn`";
        return Err(Error::new_spanned(signature.fn_token, message));
    }
    if let Some(param) = signature.generics.params.first() {
        let message = match param {
            GenericParam::Lifetime(_) => "a message cannot borrow, so there is no lifetime to name here",
            _ => "a message has one type: put the parameter on the impl block or write the type",
        };
        return Err(Error::new_spanned(param, message));
    }
    Ok(())
}

/// Checks `&mut self` (or `&self`) and returns the arguments behind it.
fn behind_self<'a>(signature: &'a Signature, what: &str) -> syn::Result<Vec<&'a PatType>> {
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) => {
            if let ReceiverKind::Value | ReceiverKind::Typed(..) = receiver.kind {
                let message = format!("the state stays with the server: {what} takes `&mut self`");
                return Err(Error::new_spanned(receiver, message));
            }
        }
        _ => {
            return Err(Error::new_spanned(&signature.ident, format!("{what} takes `&mut self`")));
        }
    }
    Ok(inputs
        .filter_map(|input| match input {
            FnArg::Typed(arg) => Some(arg),
            FnArg::Receiver(_) => None,
        })
        .collect())
}

fn arg(index: usize, arg: &PatType, self_ty: &Type) -> syn::Result<Arg> {
    check_owned(&arg.ty, Place::Argument)?;
    let name = match &*arg.pat {
        Pat::Ident(name) if name.subpat.is_none() => name.ident.clone(),
        _ => format_ident!("arg{index}"),
    };
    Ok(Arg { name, ty: types::replace_self(&arg.ty, self_ty) })
}

fn args<'a>(list: impl IntoIterator<Item = &'a PatType>, self_ty: &Type) -> syn::Result<Vec<Arg>> {
    let mut errors = Errors::default();
    let args =
        list.into_iter().enumerate().filter_map(|(index, a)| errors.keep(arg(index, a, self_ty))).collect();
    errors.finish(args)
}

/// The function's attributes with these names.
fn attrs(function: &ImplItemFn, names: &[&str]) -> Vec<Attribute> {
    let chosen = function.attrs.iter().filter(|attr| names.iter().any(|name| attr.path().is_ident(name)));
    chosen.cloned().collect()
}

fn parse_init(function: &ImplItemFn, self_ty: &Type) -> syn::Result<Init> {
    let signature = &function.sig;
    if let Some(cfg) = attrs(function, &["cfg"]).first() {
        let message = "`init` is always there: put the `#[cfg]` inside of it or on the whole block";
        return Err(Error::new_spanned(cfg, message));
    }
    check_signature(signature)?;
    if returned(&signature.output).is_none() {
        let message = "`init` returns `Init<Self>`: `Init::ok(state)`, or why the server does not start";
        return Err(Error::new_spanned(&signature.ident, message));
    }
    let mut list = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                let message = "`init` makes the state: there is no `self` yet";
                return Err(Error::new_spanned(receiver, message));
            }
            FnArg::Typed(arg) => list.push(arg),
        }
    }
    let is_async = signature.asyncness.is_some();
    Ok(Init { name: signature.ident.clone(), is_async, args: args(list, self_ty)? })
}

fn callback(kind: CallbackKind, function: &ImplItemFn) -> syn::Result<Callback> {
    let signature = &function.sig;
    check_signature(signature)?;
    let usage = kind.usage();
    let count = behind_self(signature, &format!("`{}`", signature.ident))?.len();
    let expected = if kind == CallbackKind::HandleTimeout { 0 } else { 1 };
    if count != expected {
        return Err(Error::new_spanned(&signature.inputs, format!("expected `fn {usage}`")));
    }
    // What reports on a server must not wait for anything, nor change what it reports on.
    let exclusive = matches!(
        signature.inputs.first(),
        Some(FnArg::Receiver(receiver)) if matches!(receiver.kind, ReceiverKind::Reference(_, _, Some(_)))
    );
    if kind == CallbackKind::FormatStatus && (exclusive || signature.asyncness.is_some()) {
        return Err(Error::new_spanned(signature, format!("expected `fn {usage}`")));
    }
    let says_next = !matches!(kind, CallbackKind::Terminate | CallbackKind::FormatStatus);
    let next = match returned(&signature.output) {
        None => false,
        Some(ty) if says_next && named(ty, "Next").is_some() => true,
        Some(ty) => {
            let returns = if says_next { "nothing or `Next`" } else { "nothing" };
            return Err(Error::new_spanned(ty, format!("`{}` returns {returns}", signature.ident)));
        }
    };
    let is_async = signature.asyncness.is_some();
    Ok(Callback { name: signature.ident.clone(), cfgs: attrs(function, &["cfg"]), is_async, kind, next })
}

fn handler(mark: Mark, function: &ImplItemFn, self_ty: &Type) -> syn::Result<Handler> {
    let signature = &function.sig;
    let mut errors = Errors::default();
    errors.keep(check_signature(signature));
    let article = if mark == Mark::Info { "an" } else { "a" };
    let what = format!("{article} `{}`", mark.text());
    let list = errors.keep(behind_self(signature, &what)).unwrap_or_default();
    let role = match mark {
        Mark::Call => errors.keep(call(signature, list, self_ty)),
        Mark::Cast => {
            let args = errors.keep(args(list, self_ty));
            let next = errors.keep(returns_next(signature, &what));
            args.zip(next).map(|(args, next)| Role::Cast { args, next })
        }
        Mark::Info => {
            let message = errors.keep(info(signature, &list, self_ty));
            let next = errors.keep(returns_next(signature, &what));
            message.zip(next).map(|(message, next)| Role::Info { message, next })
        }
    };
    let role = errors.require(role)?;
    Ok(Handler {
        name: signature.ident.clone(),
        is_async: signature.asyncness.is_some(),
        cfgs: attrs(function, &["cfg"]),
        client_attrs: attrs(function, &["doc", "deprecated"]),
        role,
    })
}

fn call(signature: &Signature, list: Vec<&PatType>, self_ty: &Type) -> syn::Result<Role> {
    let mut errors = Errors::default();
    let is_from = |arg: &&PatType| named(&arg.ty, "CallFrom").is_some();
    let from = list.iter().position(is_from).map(|index| (index, list[index].ty.span()));
    if let Some(second) = list.iter().filter(|arg| is_from(arg)).nth(1) {
        errors.push(Error::new_spanned(second, "a call has one caller: `CallFrom` is there already"));
    }
    let args = errors.keep(args(list.iter().filter(|arg| !is_from(arg)).copied(), self_ty));
    let reply = match returned(&signature.output) {
        None => Some(CallReply::Value(syn::parse_quote!(()))),
        Some(ty) => match named(ty, "Reply") {
            Some(Some(value)) => errors
                .keep(check_owned(value, Place::Reply))
                .map(|()| CallReply::Reply(types::replace_self(value, self_ty))),
            // `Reply` without an argument is a type of the user's own.
            Some(None) | None => errors
                .keep(check_owned(ty, Place::Reply))
                .map(|()| CallReply::Value(types::replace_self(ty, self_ty))),
        },
    };
    let (args, reply) = errors.require(args.zip(reply))?;
    Ok(Role::Call { args, reply, from })
}

fn info(signature: &Signature, list: &[&PatType], self_ty: &Type) -> syn::Result<Type> {
    match list {
        [message] => {
            check_owned(&message.ty, Place::Argument)?;
            Ok(types::replace_self(&message.ty, self_ty))
        }
        [] => Err(Error::new_spanned(
            &signature.ident,
            "an `#[info]` takes the message: its type tells which messages come here",
        )),
        [_, second, ..] => Err(Error::new_spanned(second, "an `#[info]` takes one argument, the message")),
    }
}

/// Does a cast or info return `Next`? (Otherwise nothing.)
fn returns_next(signature: &Signature, what: &str) -> syn::Result<bool> {
    match returned(&signature.output) {
        None => Ok(false),
        Some(ty) if named(ty, "Next").is_some() => Ok(true),
        Some(ty) => {
            let message = format!("nobody waits for {what}: it returns nothing or `Next`");
            Err(Error::new_spanned(ty, message))
        }
    }
}

//! Questions about single types, answered by their syntax.

use proc_macro2::Ident;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Error, GenericArgument, PathArguments, QSelf, ReturnType, Token, Type, TypePath};

use crate::errors::Errors;

/// Is this `name`, by its last path segment, and what is its type argument?
///
/// `None`: it is another type. `Some(None)`: it has no argument, as with an alias.
pub(super) fn named<'a>(ty: &'a Type, name: &str) -> Option<Option<&'a Type>> {
    let last = match ty {
        Type::Path(path) => path.path.segments.last()?,
        Type::Group(group) => return named(&group.elem, name),
        Type::Paren(paren) => return named(&paren.elem, name),
        _ => return None,
    };
    if last.ident != name {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Some(None) };
    Some(arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }))
}

/// The type a function returns, unless that is `()`.
pub(super) fn returned(output: &ReturnType) -> Option<&Type> {
    match output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => match &**ty {
            Type::Tuple(tuple) if tuple.elems.is_empty() => None,
            ty => Some(ty),
        },
    }
}

/// What a message goes through, for the words of an error.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Argument,
    Reply,
}

/// Refuses what cannot be sent to another process: borrowed data, and types without a name.
pub(super) fn check_owned(ty: &Type, place: Place) -> syn::Result<()> {
    let mut check = Owned { place, errors: Errors::default() };
    check.visit_type(ty);
    check.errors.finish(())
}

struct Owned {
    place: Place,
    errors: Errors,
}

impl Owned {
    fn fail(&mut self, tokens: impl quote::ToTokens, message: &str) {
        self.errors.push(Error::new_spanned(tokens, message));
    }

    fn refuse_borrow(&mut self, tokens: impl quote::ToTokens) {
        let message = match self.place {
            Place::Argument => {
                "an argument is sent to the server's process and cannot borrow: take an owned value, such as `String` \
                 for `&str`"
            }
            Place::Reply => {
                "a reply is sent to the caller's process and cannot borrow: return an owned value, such as `String` \
                 for `&str`"
            }
        };
        self.fail(tokens, message);
    }
}

impl<'a> Visit<'a> for Owned {
    fn visit_type_reference(&mut self, ty: &'a syn::TypeReference) {
        match &ty.lifetime {
            Some(lifetime) if lifetime.ident == "static" => visit::visit_type_reference(self, ty),
            _ => self.refuse_borrow(ty),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'a syn::Lifetime) {
        if lifetime.ident != "static" {
            self.refuse_borrow(lifetime);
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'a syn::TypeImplTrait) {
        let message = match self.place {
            Place::Argument => "an argument is a field of the message: name its type instead of `impl Trait`",
            Place::Reply => "a reply's type needs a name: `impl Trait` has none",
        };
        self.fail(ty, message);
    }

    // `fn(&str)` and `dyn Fn(&str)` borrow nothing themselves.
    fn visit_type_fn_ptr(&mut self, _: &'a syn::TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'a syn::ParenthesizedGenericArguments) {}
}

/// Writes `self_ty` for `Self`, for a type that is used outside of the impl block.
pub(super) fn replace_self(ty: &Type, self_ty: &Type) -> Type {
    let mut ty = ty.clone();
    ReplaceSelf(self_ty).visit_type_mut(&mut ty);
    ty
}

pub(super) struct ReplaceSelf<'a>(pub(super) &'a Type);

impl VisitMut for ReplaceSelf<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::Path(TypePath { qself: None, path, .. }) = ty
            && path.is_ident("Self")
        {
            *ty = self.0.clone();
            return;
        }
        visit_mut::visit_type_mut(self, ty);
    }

    // `Self::Item` becomes `<Counter>::Item`.
    fn visit_type_path_mut(&mut self, ty: &mut TypePath) {
        let begins_with_self = ty.path.segments.first().is_some_and(|first| first.ident == "Self");
        if ty.qself.is_none() && begins_with_self {
            let rest = ty.path.segments.iter().skip(1).cloned().collect();
            ty.path = syn::Path { leading_colon: Some(<Token![::]>::default()), segments: rest };
            ty.qself = Some(QSelf {
                lt_token: <Token![<]>::default(),
                ty: Box::new(self.0.clone()),
                position: 0,
                as_token: None,
                gt_token: <Token![>]>::default(),
            });
        }
        visit_mut::visit_type_path_mut(self, ty);
    }
}

/// The name of the type that an impl block is for.
pub(super) fn name(self_ty: &Type) -> Option<&Ident> {
    match self_ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last().map(|last| &last.ident),
        Type::Group(group) => name(&group.elem),
        Type::Paren(paren) => name(&paren.elem),
        _ => None,
    }
}

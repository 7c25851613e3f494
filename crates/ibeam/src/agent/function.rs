//! From a request to the function that it is: how each kind of function is applied to the value.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;

use ibeam_runtime::__private::Meta;
use ibeam_runtime::Message;

use super::Agent;
use crate::gen_server::{Handler, Handling, Next, Sent, other};

/// A kind of functions: how an `F` is applied to a `T`, and gives an `R`.
pub trait Function<T, F, R>: 'static {
    /// Applies the function, and gives on what it gives.
    #[doc(hidden)]
    fn apply<'a>(value: &'a mut T, function: F, reply: impl FnOnce(R) + Send + 'a) -> Handling<'a>;
}

/// An async closure, or function, of an `S`, whose future can be sent.
///
/// Where `AsyncFnOnce` says what comes back, this says that it can be sent, for which it has no words.
#[diagnostic::on_unimplemented(message = "the future of this async function cannot be sent between threads")]
pub trait AsyncFunction<S>: FnOnce(S) -> Self::Future + Send + 'static {
    /// What it returns.
    type Future: Future<Output = Self::Reply> + Send;
    /// What that gives.
    type Reply;
}

impl<S, F, Fut> AsyncFunction<S> for F
where
    F: FnOnce(S) -> Fut + Send + 'static,
    Fut: Future + Send,
{
    type Future = Fut;
    type Reply = Fut::Output;
}

/// Functions that look at the value.
pub enum Get {}
/// Functions that may change it.
pub enum Update {}
/// Async functions that look at the value.
pub enum GetAsync {}
/// Async functions that may change it.
pub enum UpdateAsync {}

impl<T, F: FnOnce(&T) -> R, R> Function<T, F, R> for Get {
    #[inline]
    fn apply<'a>(value: &'a mut T, function: F, reply: impl FnOnce(R) + Send + 'a) -> Handling<'a> {
        reply(function(value));
        Handling::Done
    }
}

impl<T, F: FnOnce(&mut T) -> R, R> Function<T, F, R> for Update {
    #[inline]
    fn apply<'a>(value: &'a mut T, function: F, reply: impl FnOnce(R) + Send + 'a) -> Handling<'a> {
        reply(function(value));
        Handling::Done
    }
}

impl<T: 'static, F: for<'s> AsyncFunction<&'s T, Reply = R>, R> Function<T, F, R> for GetAsync {
    fn apply<'a>(value: &'a mut T, function: F, reply: impl FnOnce(R) + Send + 'a) -> Handling<'a> {
        later(function(value), reply)
    }
}

impl<T: 'static, F: for<'s> AsyncFunction<&'s mut T, Reply = R>, R> Function<T, F, R> for UpdateAsync {
    fn apply<'a>(value: &'a mut T, function: F, reply: impl FnOnce(R) + Send + 'a) -> Handling<'a> {
        later(function(value), reply)
    }
}

fn later<'a, R>(
    applied: impl Future<Output = R> + Send + 'a,
    reply: impl FnOnce(R) + Send + 'a,
) -> Handling<'a> {
    Handling::Waits(Box::pin(async move {
        reply(applied.await);
        Next::go_on()
    }))
}

/// What is attached to a call with a function.
pub struct OfCall<T, K, F, R>(PhantomData<fn(T, K, F, R)>);

impl<T, K, F, R> Meta for OfCall<T, K, F, R>
where
    T: Send + 'static,
    K: Function<T, F, R>,
    F: Send + 'static,
    R: Send + 'static,
{
    const META: Option<&'static (dyn Any + Send + Sync)> = Some(&Handler::<Agent<T>>(
        |agent, message| match message.take_call_as::<F, R, Self>() {
            Ok((function, from)) => K::apply(&mut agent.state, function, |reply| {
                let _ = from.reply(reply);
            }),
            Err(message) => not_a_function(agent, message),
        },
        Sent::Call,
    ));
}

/// What is attached to a cast of a function.
pub struct OfCast<T, K, F>(PhantomData<fn(T, K, F)>);

impl<T, K, F> Meta for OfCast<T, K, F>
where
    T: Send + 'static,
    K: Function<T, F, ()>,
    F: Send + 'static,
{
    const META: Option<&'static (dyn Any + Send + Sync)> = Some(&Handler::<Agent<T>>(
        |agent, message| match message.downcast_as::<F, Self>() {
            Ok(function) => K::apply(&mut agent.state, function, drop),
            Err(message) => not_a_function(agent, message),
        },
        Sent::Cast,
    ));
}

fn not_a_function<T: Send + 'static>(agent: &mut Agent<T>, message: Message) -> Handling<'_> {
    Handling::Waits(Box::pin(other(agent, message)))
}

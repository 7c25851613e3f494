//! What each subscriber of a topic gets.

use ibeam_runtime::Pid;

/// Decides what the subscribers with metadata of type `V` get when an `M` is broadcast.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam::pubsub::Dispatcher;
///
/// /// Subscribers say as their metadata whose messages they want to see no more.
/// struct Unmuted;
///
/// #[derive(Clone)]
/// struct Said(&'static str, &'static str);
///
/// impl Dispatcher<Said, &'static str> for Unmuted {
///     fn dispatch(&self, subscriber: Pid, muted: &&'static str, _: Option<Pid>, said: &Said) {
///         if *muted != said.0 {
///             subscriber.send(said.clone());
///         }
///     }
/// }
///
/// Runtime::new().block_on(async {
///     let chat: PubSub<String, &str> = PubSub::typed("chat").start_link().await.unwrap();
///     chat.subscribe_with("room", "joe").unwrap();
///     chat.through(Unmuted).broadcast("room", Said("joe", "hello")).unwrap();
///     chat.through(Unmuted).broadcast("room", Said("mike", "hello joe")).unwrap();
///     let text = receive! { Said(_, text) => text };
///     assert_eq!(text, "hello joe");
/// });
/// ```
///
/// # Erlang/OTP
/// A module with `dispatch/3`.
pub trait Dispatcher<M, V>: Send + Sync + 'static {
    /// Called for each subscription to the topic, in the process that broadcasts. `from` is the process that is not to get the message,
    /// if it is [`broadcast_from`](super::PubSub::broadcast_from) one: it is up to the dispatcher to leave it out.
    ///
    /// A panic here is one of who broadcasts; the subscribers behind get nothing.
    fn dispatch(&self, subscriber: Pid, metadata: &V, from: Option<Pid>, message: &M);
}

/// Each subscriber gets a clone of the message, but not `from`. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deliver;

impl<M: Clone + Send + 'static, V> Dispatcher<M, V> for Deliver {
    #[inline]
    fn dispatch(&self, subscriber: Pid, _: &V, from: Option<Pid>, message: &M) {
        if from != Some(subscriber) {
            subscriber.send(message.clone());
        }
    }
}

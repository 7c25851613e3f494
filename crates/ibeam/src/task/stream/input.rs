//! Where a stream of tasks has its items from.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

/// An iterator or a stream: what [`Task::stream`](crate::Task::stream) and [`Task::stream_from`](crate::Task::stream_from) were given.
pub trait Input: sealed::Input {}

impl<I: Iterator> Input for Items<I> {}
impl<S: Stream> Input for Streamed<S> {}

/// The items of an iterator.
#[derive(Debug)]
pub struct Items<I>(I);

impl<I: Iterator> Items<I> {
    pub(crate) fn of(items: impl IntoIterator<IntoIter = I>) -> Self {
        Self(items.into_iter())
    }
}

/// The items of a stream.
#[derive(Debug)]
pub struct Streamed<S>(Pin<Box<S>>);

impl<S: Stream> Streamed<S> {
    pub(crate) fn of(items: S) -> Self {
        Self(Box::pin(items))
    }
}

pub(super) mod sealed {
    use super::{Context, Poll};

    pub trait Input {
        type Item;

        fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;
    }
}

impl<I: Iterator> sealed::Input for Items<I> {
    type Item = I::Item;

    #[inline]
    fn poll_item(&mut self, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

impl<S: Stream> sealed::Input for Streamed<S> {
    type Item = S::Item;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

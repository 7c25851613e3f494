//! Futures with their types forgotten: that of a process, and those that behaviours box for each of their processes.

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use crate::exit_reason::ExitReason;
use crate::process::Termination;
use crate::raw::memory;

/// A future on the heap that ends with a `T`: the one of a process with an exit reason. Two words; dropping it drops the future.
/// In memory that is kept for the next one.
pub struct FutureBox<T: 'static = ExitReason> {
    data: NonNull<()>,
    vtable: &'static FutureVtable<T>,
}

struct FutureVtable<T> {
    poll: unsafe fn(NonNull<()>, &mut Context<'_>) -> Poll<T>,
    drop: unsafe fn(NonNull<()>),
    type_name: fn() -> &'static str,
    size: usize,
}

// SAFETY: only `Send` futures come in (see `of_process` and `pin`), and the box is their only owner.
unsafe impl<T: 'static> Send for FutureBox<T> {}

// What is pinned is the future, which stays where it is.
impl<T: 'static> Unpin for FutureBox<T> {}

struct Of<F>(PhantomData<F>);

impl<F> Of<F>
where
    F: Future + Send + 'static,
    F::Output: Termination,
{
    const PROCESS: &'static FutureVtable<ExitReason> = &FutureVtable {
        poll: poll_process::<F>,
        drop: drop_future::<F>,
        type_name: std::any::type_name::<F>,
        size: size_of::<F>(),
    };
}

struct Plain<F>(PhantomData<F>);

impl<F: Future<Output: 'static> + Send + 'static> Plain<F> {
    const VTABLE: &'static FutureVtable<F::Output> = &FutureVtable {
        poll: poll_future::<F>,
        drop: drop_future::<F>,
        type_name: std::any::type_name::<F>,
        size: size_of::<F>(),
    };
}

unsafe fn poll_future<F: Future>(data: NonNull<()>, cx: &mut Context<'_>) -> Poll<F::Output> {
    // SAFETY: `data` is the `F` of a `FutureBox`, borrowed for this call; it never moves out of its box.
    unsafe { Pin::new_unchecked(&mut *data.cast::<F>().as_ptr()) }.poll(cx)
}

unsafe fn poll_process<F>(data: NonNull<()>, cx: &mut Context<'_>) -> Poll<ExitReason>
where
    F: Future,
    F::Output: Termination,
{
    // SAFETY: by the caller's word.
    unsafe { poll_future::<F>(data, cx) }.map(Termination::into_exit_reason)
}

unsafe fn drop_future<F>(data: NonNull<()>) {
    /// Frees the memory, also if the future's destructor panics.
    struct Emptied<F>(NonNull<F>);
    impl<F> Drop for Emptied<F> {
        #[inline(always)]
        fn drop(&mut self) {
            // SAFETY: it came from `memory::new`, and the future in it is dropped.
            unsafe { memory::free(self.0.cast(), const { &memory::Place::of::<F>() }) };
        }
    }
    let emptied = Emptied::<F>(data.cast());
    // SAFETY: `data` is the `F` of a `FutureBox` that is being dropped.
    unsafe { emptied.0.drop_in_place() };
}

impl<T: 'static> FutureBox<T> {
    /// As `Box::pin`.
    pub fn pin<F: Future<Output = T> + Send + 'static>(future: F) -> Self {
        Self { data: memory::new(future).cast(), vtable: Plain::<F>::VTABLE }
    }
}

impl<T: 'static> Future for FutureBox<T> {
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: the future is ours, and the table is its type's.
        unsafe { (self.vtable.poll)(self.data, cx) }
    }
}

impl FutureBox {
    pub(crate) fn of_process<F>(future: F) -> Self
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        Self { data: memory::new(future).cast(), vtable: Of::<F>::PROCESS }
    }

    /// Polls the future in `cell`, where it stays.
    ///
    /// # Safety
    /// The cell is not empty, and until this returns nobody takes the future out of it.
    #[inline(always)]
    pub(super) unsafe fn poll_in(cell: &Cell<Option<Self>>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        // SAFETY: by the caller's word. Only the two words are copied: no reference into the cell lasts while the future runs,
        // which may look at the cell.
        unsafe {
            let (data, vtable) = match &*cell.as_ptr() {
                Some(future) => (future.data, future.vtable),
                None => std::hint::unreachable_unchecked(),
            };
            (vtable.poll)(data, cx)
        }
    }

    /// The future's type: the nearest thing to the name of what was spawned.
    pub(crate) fn type_name(&self) -> &'static str {
        (self.vtable.type_name)()
    }

    /// Bytes of the future itself.
    pub(crate) fn size(&self) -> usize {
        self.vtable.size
    }
}

impl<T: 'static> Drop for FutureBox<T> {
    fn drop(&mut self) {
        // SAFETY: the future is ours, and the table is its type's.
        unsafe { (self.vtable.drop)(self.data) }
    }
}

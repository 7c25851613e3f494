//! The future of a process, with its type forgotten, and futures in boxes that are made for each process.

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use crate::exit_reason::ExitReason;
use crate::process::Termination;
use crate::raw::memory;

/// A future on the heap that ends with an exit reason. Two words; dropping it drops the future.
pub(crate) struct FutureBox {
    data: NonNull<()>,
    vtable: &'static FutureVtable,
}

struct FutureVtable {
    poll: unsafe fn(NonNull<()>, &mut Context<'_>) -> Poll<ExitReason>,
    drop: unsafe fn(NonNull<()>),
    type_name: fn() -> &'static str,
    size: usize,
}

// SAFETY: only `Send` futures come in (see `new`), and the box is their only owner.
unsafe impl Send for FutureBox {}

struct Of<F>(PhantomData<F>);

impl<F> Of<F>
where
    F: Future + Send + 'static,
    F::Output: Termination,
{
    const VTABLE: &'static FutureVtable = &FutureVtable {
        poll: poll_future::<F>,
        drop: drop_future::<F>,
        type_name: std::any::type_name::<F>,
        size: size_of::<F>(),
    };
}

unsafe fn poll_future<F>(data: NonNull<()>, cx: &mut Context<'_>) -> Poll<ExitReason>
where
    F: Future,
    F::Output: Termination,
{
    // SAFETY: `data` is the `F` of a `FutureBox`, borrowed for this call; it never moves out of its box.
    unsafe { Pin::new_unchecked(&mut *data.cast::<F>().as_ptr()) }.poll(cx).map(Termination::into_exit_reason)
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
    // SAFETY: `data` is the `F` of a box that is being dropped.
    unsafe { emptied.0.drop_in_place() };
}

/// As `Pin<Box<F>>`, in memory that is kept for the next one. One word; what polls it has no part of the future's code.
#[must_use = "nothing runs until it is awaited"]
pub struct Boxed<F>(NonNull<F>);

// SAFETY: it is the future's only owner.
unsafe impl<F: Send> Send for Boxed<F> {}

// What is pinned is the future, which stays where it is.
impl<F> Unpin for Boxed<F> {}

impl<F> Boxed<F> {
    /// As `Box::pin`.
    pub fn pin(future: F) -> Self {
        Self(memory::new(future))
    }
}

impl<F: Future> Future for Boxed<F> {
    type Output = F::Output;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is ours, and never moves out of its box.
        unsafe { Pin::new_unchecked(self.0.as_mut()) }.poll(cx)
    }
}

impl<F> Drop for Boxed<F> {
    fn drop(&mut self) {
        // SAFETY: the future is ours, and came from `memory::new`.
        unsafe { drop_future::<F>(self.0.cast()) }
    }
}

impl FutureBox {
    pub(crate) fn new<F>(future: F) -> Self
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        Self { data: memory::new(future).cast(), vtable: Of::<F>::VTABLE }
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

impl Drop for FutureBox {
    fn drop(&mut self) {
        // SAFETY: the future is ours, and the table is its type's.
        unsafe { (self.vtable.drop)(self.data) }
    }
}

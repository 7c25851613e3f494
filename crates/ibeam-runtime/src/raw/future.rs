//! The future of a process, with its type forgotten.

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
            // SAFETY: it came from `memory::new` in `FutureBox::new`, and the future in it is dropped.
            unsafe { memory::free(self.0.cast(), const { &memory::Place::of::<F>() }) };
        }
    }
    let emptied = Emptied::<F>(data.cast());
    // SAFETY: `data` is the `F` of a `FutureBox` that is being dropped.
    unsafe { emptied.0.drop_in_place() };
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

//! A value that belongs to one thread, and is dropped when a key dies, even if nobody polls it.
//!
//! `WhileLive` drops its value on the thread that ends the key. Actix's bodies belong to their own thread, so a task of
//! that thread drops them here.

use std::{
    cell::RefCell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_web::rt::{self, System, task::JoinHandle};
use apikey_core::{Revoked, adapter::Keep};

pub(crate) struct Kept<T> {
    slot: Rc<RefCell<Slot<T>>>,
    revoked: Revoked,
    /// The task that empties the slot when the key dies. `None` if no task can be spawned.
    watch: Option<JoinHandle<()>>,
}

struct Slot<T> {
    /// Taken out during a poll, which may do anything, even end the key.
    value: Option<T>,
    is_over: bool,
    reader: Option<Waker>,
}

impl<T: 'static> Keep<T> for Kept<T> {
    fn keep(value: T, revoked: Revoked) -> Self {
        let slot = Rc::new(RefCell::new(Slot { value: Some(value), is_over: false, reader: None }));
        let watch = watch(revoked.key().revoked(), Rc::clone(&slot));
        Kept { slot, revoked, watch }
    }

    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Option<R>> {
        if !self.revoked.key().is_live() {
            end(&self.slot);
        }
        let value = {
            let mut slot = self.slot.borrow_mut();
            slot.reader = Some(cx.waker().clone());
            slot.value.take()
        };
        let Some(mut value) = value else { return Poll::Ready(None) };
        let polled = poll(&mut value, cx);
        let gone = {
            let mut slot = self.slot.borrow_mut();
            match slot.is_over {
                true => Some(value),
                false => {
                    slot.value = Some(value);
                    None
                }
            }
        };
        let is_over = gone.is_some();
        drop(gone);
        match polled {
            Poll::Ready(ready) => Poll::Ready(Some(ready)),
            Poll::Pending if is_over => Poll::Ready(None),
            // Without the task that wakes the reader, the reader watches the key itself.
            Poll::Pending if self.watch.is_none() && Pin::new(&mut self.revoked).poll(cx).is_ready() => {
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// Spawns a task that drops the value on its own thread, even if its reader never polls again.
fn watch<T: 'static>(revoked: Revoked, slot: Rc<RefCell<Slot<T>>>) -> Option<JoinHandle<()>> {
    let task = async move {
        revoked.await;
        end(&slot);
    };
    if System::is_registered() {
        return Some(rt::spawn(task));
    }
    // Actix's servers can spawn thread-local tasks on any runtime. A test that calls a service on another runtime may
    // be unable to, and only a panic says so.
    catch_unwind(AssertUnwindSafe(|| rt::spawn(task))).ok()
}

fn end<T>(slot: &RefCell<Slot<T>>) {
    let (value, reader) = {
        let mut slot = slot.borrow_mut();
        slot.is_over = true;
        (slot.value.take(), slot.reader.take())
    };
    reader.into_iter().for_each(Waker::wake);
    drop(value);
}

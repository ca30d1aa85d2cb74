//! A value of one thread that is dropped when a key dies, whether anybody polls it or not.
//!
//! `WhileLive` drops its value on the thread that ends the key. Actix's bodies belong to their own thread, so here a task of
//! that thread does so.

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
    /// Empties the slot when the key dies, though nobody polls the value. `None` where no task can be started.
    watch: Option<JoinHandle<()>>,
}

struct Slot<T> {
    /// Taken out while it is polled: it may do anything then, ending the key included.
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
            // Without a task that wakes the reader, the reader waits for itself.
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

/// Drops the value where its reader may never come by again: on its own thread.
fn watch<T: 'static>(revoked: Revoked, slot: Rc<RefCell<Slot<T>>>) -> Option<JoinHandle<()>> {
    let task = async move {
        revoked.await;
        end(&slot);
    };
    if System::is_registered() {
        return Some(rt::spawn(task));
    }
    // Actix's servers have room for tasks of a thread on any runtime. A test that calls a service by itself, on a runtime
    // that is not actix's, may not have it, and nothing tells but a panic.
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

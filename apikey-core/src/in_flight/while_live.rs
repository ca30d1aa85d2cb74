//! A value that is dropped when its key dies, even while nobody uses it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use tokio::runtime::Handle;

use crate::{cache::sync::Mutex, caller::Revoked};

/// Keeps a value while a key is live.
///
/// When the key is revoked or expires, the value is dropped immediately, even if nobody polls it, and whoever polled it
/// last is woken. The thread that ends the key drops it, in the context of the tokio runtime in which the value was
/// created, if any. A value that is being polled is dropped when that poll returns.
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use apikey_core::{AuthenticatedKey, Claims, KeyId, adapter::WhileLive};
///
/// let key = AuthenticatedKey::fake(Claims::new(KeyId::new("k-1")?));
/// let mut kept = WhileLive::new(vec![7], key.revoked());
/// let polled = kept.poll(&mut Context::from_waker(Waker::noop()), |value, _| Poll::Ready(value.pop()));
/// assert_eq!(polled, Poll::Ready(Some(Some(7)))); // `Ready(None)` once the key is dead
/// # Ok::<(), apikey_core::IdError>(())
/// ```
pub struct WhileLive<T> {
    slot: Arc<Slot<T>>,
    /// A waker for this slot, which the key's end wakes.
    waker: Waker,
    revoked: Revoked,
}

struct Slot<T> {
    kept: Mutex<Kept<T>>,
    /// The runtime in which the value was created. The value's destructor may spawn a task there, as database
    /// connections do, and the thread that ends the key may have no runtime.
    runtime: Option<Handle>,
}

struct Kept<T> {
    /// Taken out during a poll, which may do anything, even end the key.
    value: Option<T>,
    is_over: bool,
    reader: Option<Waker>,
}

impl<T: Send + 'static> WhileLive<T> {
    /// Keeps `value` until `revoked` completes. If it already has, drops the value.
    pub fn new(value: T, revoked: Revoked) -> Self {
        let kept = Mutex::new(Kept { value: Some(value), is_over: false, reader: None });
        let slot = Arc::new(Slot { kept, runtime: Handle::try_current().ok() });
        let waker = Waker::from(Arc::clone(&slot));
        let mut kept = WhileLive { slot, waker, revoked };
        kept.look();
        kept
    }

    /// Returns `true` if the key is dead and the value dropped.
    pub fn is_over(&self) -> bool {
        self.slot.kept.lock().is_over
    }

    /// Polls the value with `poll`. Returns `None` if it was dropped. If the key dies during the poll, `Pending`
    /// becomes `None`, and a ready result is returned.
    pub fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Option<R>> {
        self.look();
        // Wakers are cloned and dropped outside the lock.
        let reader = cx.waker().clone();
        let (value, _replaced) = {
            let mut kept = self.slot.kept.lock();
            (kept.value.take(), kept.reader.replace(reader))
        };
        let Some(mut value) = value else { return Poll::Ready(None) };
        let polled = poll(&mut value, cx);
        let gone = self.slot.put_back(value);
        let is_over = gone.is_some();
        drop(gone);
        match polled {
            Poll::Ready(ready) => Poll::Ready(Some(ready)),
            Poll::Pending if is_over => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Checks the key, and registers for its end.
    fn look(&mut self) {
        if Pin::new(&mut self.revoked).poll(&mut Context::from_waker(&self.waker)).is_ready() {
            self.slot.end();
        }
    }
}

impl<T> Slot<T> {
    /// Puts the value back after a poll. Returns it if the key has died.
    fn put_back(&self, value: T) -> Option<T> {
        let mut kept = self.kept.lock();
        if kept.is_over {
            return Some(value);
        }
        kept.value = Some(value);
        None
    }

    fn end(&self) {
        let (value, reader) = {
            let mut kept = self.kept.lock();
            kept.is_over = true;
            (kept.value.take(), kept.reader.take())
        };
        // Woken first, because the value's destructor is foreign code and may panic.
        reader.into_iter().for_each(Waker::wake);
        let _entered = self.runtime.as_ref().map(Handle::enter);
        drop(value);
    }
}

/// Only the key's end wakes it.
impl<T: Send + 'static> Wake for Slot<T> {
    fn wake(self: Arc<Self>) {
        self.end();
    }
}

impl<T> fmt::Debug for WhileLive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhileLive").field("revoked", &self.revoked).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{
        cache::entry::tests::{entry_of, shared},
        caller::AuthenticatedKey,
        key::KeyId,
    };

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Counts its drops.
    struct Kept(Arc<Count>);

    impl Drop for Kept {
        fn drop(&mut self) {
            self.0.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn key() -> AuthenticatedKey {
        let shared = shared();
        let entry = entry_of(&shared, "k", b"s");
        assert!(shared.registry.begin_load().fill(&entry, || ()).is_ok());
        AuthenticatedKey::new(entry)
    }

    fn revoke(key: &AuthenticatedKey) {
        let ended = key.shared().registry.revoke(&KeyId::new("k").unwrap(), None, |_| None);
        ended.iter().for_each(|entry| entry.wake_waiters());
    }

    #[test]
    fn given_a_value_that_nobody_polls_when_the_key_dies_then_it_is_dropped_and_its_last_reader_woken() {
        let (key, dropped, woken) = (key(), Arc::new(Count::default()), Arc::new(Count::default()));
        let mut kept = WhileLive::new(Kept(Arc::clone(&dropped)), key.revoked());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert!(kept.poll(&mut cx, |_, _| Poll::<()>::Pending).is_pending());
        assert!(!kept.is_over());
        revoke(&key);
        let counts = (dropped.0.load(Ordering::SeqCst), woken.0.load(Ordering::SeqCst));
        assert_eq!((counts, kept.is_over()), ((1, 1), true));
        assert_eq!(kept.poll(&mut cx, |_, _| Poll::Ready(())), Poll::Ready(None));
    }

    #[test]
    fn given_a_key_that_is_dead_when_something_is_kept_for_it_then_it_is_dropped() {
        let (key, dropped) = (key(), Arc::new(Count::default()));
        revoke(&key);
        let kept = WhileLive::new(Kept(Arc::clone(&dropped)), key.revoked());
        assert!(kept.is_over() && dropped.0.load(Ordering::SeqCst) == 1);
    }

    #[test]
    fn given_a_key_that_dies_during_a_poll_then_what_is_ready_is_handed_out_and_the_value_dropped_after_it() {
        for is_ready in [true, false] {
            let (key, dropped) = (key(), Arc::new(Count::default()));
            let mut kept = WhileLive::new(Kept(Arc::clone(&dropped)), key.revoked());
            let polled = kept.poll(&mut Context::from_waker(Waker::noop()), |value, _| {
                revoke(&key);
                assert_eq!(value.0.0.load(Ordering::SeqCst), 0, "it is being used");
                if is_ready { Poll::Ready(7) } else { Poll::Pending }
            });
            assert_eq!(polled, Poll::Ready(is_ready.then_some(7)));
            assert_eq!(dropped.0.load(Ordering::SeqCst), 1);
        }
    }

    #[test]
    fn given_a_destructor_that_needs_its_runtime_when_the_key_is_ended_elsewhere_then_it_finds_it() {
        struct Connection(Arc<Count>);
        impl Drop for Connection {
            fn drop(&mut self) {
                let count = Arc::clone(&self.0);
                // Panics where there is no runtime.
                drop(tokio::spawn(async move { count.0.fetch_add(1, Ordering::SeqCst) }));
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (key, closed) = (key(), Arc::new(Count::default()));
        let kept = runtime.block_on(async { WhileLive::new(Connection(Arc::clone(&closed)), key.revoked()) });
        std::thread::spawn(move || revoke(&key)).join().unwrap();
        runtime.block_on(tokio::task::yield_now());
        assert!(kept.is_over() && closed.0.load(Ordering::SeqCst) == 1);
    }

    #[test]
    fn given_a_living_key_when_let_go_of_then_the_value_is_dropped_and_nothing_stays_behind() {
        let (key, dropped) = (key(), Arc::new(Count::default()));
        let mut kept = WhileLive::new(Kept(Arc::clone(&dropped)), key.revoked());
        assert!(kept.poll(&mut Context::from_waker(Waker::noop()), |_, _| Poll::<()>::Pending).is_pending());
        let slot = Arc::downgrade(&kept.slot);
        drop(kept);
        assert!(dropped.0.load(Ordering::SeqCst) == 1 && slot.strong_count() == 0);
    }
}

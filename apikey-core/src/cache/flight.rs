//! One load per key at a time, shared by all of its waiters.
//!
//! The load is a future that any waiter can drive. If the request that began it hangs up, another waiter goes on. When
//! the last waiter hangs up, the load is dropped.

use std::{
    collections::HashMap,
    future::{Future, ready},
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::{FutureExt, Shared, WeakShared};

use super::{
    cache_key::CacheKey,
    sync::{Arc, Mutex},
};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A waiter's handle of a load.
pub(crate) enum Flight<T: Clone> {
    /// A load with one waiter, which needs no list of wakers.
    Alone(Boxed<T>),
    Shared(Shared<Boxed<T>>),
}

impl<T: Clone> Future for Flight<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut *self {
            Flight::Alone(load) => load.as_mut().poll(cx),
            Flight::Shared(load) => Pin::new(load).poll(cx),
        }
    }
}

/// The running loads, by key.
pub(crate) struct Flights<T: Clone> {
    under_way: Arc<Mutex<UnderWay<T>>>,
}

struct UnderWay<T: Clone> {
    flights: HashMap<CacheKey, Listed<T>>,
    next_number: u64,
    /// The number of flights that have left the list.
    landed: u64,
}

struct Listed<T: Clone> {
    number: u64,
    flight: WeakShared<Boxed<T>>,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(crate) fn new() -> Self {
        Flights { under_way: Arc::new(Mutex::new(UnderWay { flights: HashMap::new(), next_number: 0, landed: 0 })) }
    }

    /// Joins the running load of `key`, or starts one with `load`. Nothing runs before the first poll.
    ///
    /// A load may have ended since the caller looked at the cache. Its answer is cached by now, because answers are
    /// cached before flights leave the list. `look_again` is therefore called before a load starts: without the lock,
    /// because caches may run foreign destructors, and once more if a flight has landed meanwhile.
    pub(crate) fn join(
        &self,
        key: CacheKey,
        look_again: impl Fn() -> Option<T>,
        load: impl Future<Output = T> + Send + 'static,
    ) -> Flight<T> {
        let mut looked_at = None;
        loop {
            let mut under_way = self.under_way.lock();
            if let Some(flight) = under_way.flights.get(&key).and_then(|listed| listed.flight.upgrade()) {
                drop(under_way);
                return Flight::Shared(flight);
            }
            if looked_at == Some(under_way.landed) {
                let (flight, replaced) = under_way.begin(&self.under_way, key, load);
                drop(under_way);
                drop(replaced);
                return flight;
            }
            looked_at = Some(under_way.landed);
            drop(under_way);
            if let Some(answer) = look_again() {
                return Flights::alone(ready(answer));
            }
        }
    }

    /// Starts a load that is not shared, for callers that may not use an earlier one's answer.
    pub(crate) fn alone(load: impl Future<Output = T> + Send + 'static) -> Flight<T> {
        Flight::Alone(Box::pin(load))
    }
}

impl<T: Clone + Send + Sync + 'static> UnderWay<T> {
    /// Puts a new flight on the list. Returns the abandoned one that it replaces, to be dropped outside the lock.
    fn begin(
        &mut self,
        list: &Arc<Mutex<UnderWay<T>>>,
        key: CacheKey,
        load: impl Future<Output = T> + Send + 'static,
    ) -> (Flight<T>, Option<Listed<T>>) {
        let number = self.next_number;
        self.next_number += 1;
        let landing = Landing { under_way: Arc::clone(list), key, number };
        let flight = FutureExt::shared(Box::pin(async move {
            let loaded = load.await;
            drop(landing);
            loaded
        }) as Boxed<T>);
        let replaced = flight.downgrade().and_then(|weak| self.flights.insert(key, Listed { number, flight: weak }));
        (Flight::Shared(flight), replaced)
    }
}

/// Takes a flight off the list when it is answered, or dropped by all waiters.
struct Landing<T: Clone> {
    under_way: Arc<Mutex<UnderWay<T>>>,
    key: CacheKey,
    number: u64,
}

impl<T: Clone> Drop for Landing<T> {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock();
        under_way.landed += 1;
        // A later flight of the same key may have replaced an abandoned one.
        let own = under_way.flights.get(&self.key).is_some_and(|listed| listed.number == self.number);
        let over = own.then(|| under_way.flights.remove(&self.key));
        drop(under_way);
        drop(over);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, future::pending};

    use super::*;

    fn join<T: Clone + Send + Sync + 'static>(
        flights: &Flights<T>,
        key: CacheKey,
        load: impl Future<Output = T> + Send + 'static,
    ) -> Flight<T> {
        flights.join(key, || None, load)
    }

    fn under_way<T: Clone>(flights: &Flights<T>) -> usize {
        flights.under_way.lock().flights.len()
    }

    #[test]
    fn given_two_waiters_when_the_first_leaves_then_the_second_carries_the_load_on() {
        let flights = Flights::new();
        let key = CacheKey::of(b"k");
        let (send, receive) = tokio::sync::oneshot::channel();
        let loads = Arc::new(AtomicUsize::new(0));
        let load = || {
            let loads = Arc::clone(&loads);
            async move { loads.fetch_add(1, Ordering::SeqCst) }
        };
        let mut first = join(&flights, key, async move { receive.await.unwrap() });
        assert!((&mut first).now_or_never().is_none());
        let mut second = join(&flights, key, load());
        drop(first);
        assert!((&mut second).now_or_never().is_none());
        send.send(7).unwrap();
        assert_eq!(second.now_or_never(), Some(7));
        assert_eq!(loads.load(Ordering::SeqCst), 0, "the second load never ran");
        assert_eq!(under_way(&flights), 0);
    }

    #[test]
    fn given_a_load_that_all_have_left_when_joined_again_then_a_new_one_begins() {
        let flights = Flights::new();
        let key = CacheKey::of(b"k");
        let mut left = join(&flights, key, pending::<u8>());
        assert!((&mut left).now_or_never().is_none());
        assert_eq!(under_way(&flights), 1);
        drop(left);
        assert_eq!(under_way(&flights), 0);
        assert_eq!(join(&flights, key, async { 1 }).now_or_never(), Some(1));
    }

    #[test]
    fn given_a_load_that_is_over_when_joined_then_a_new_one_begins() {
        let flights = Flights::new();
        let key = CacheKey::of(b"k");
        let mut first = join(&flights, key, async { 1 });
        let other = join(&flights, key, async { 2 });
        assert_eq!((&mut first).now_or_never(), Some(1));
        assert_eq!(join(&flights, key, async { 3 }).now_or_never(), Some(3));
        assert_eq!(other.now_or_never(), Some(1), "who joined before has the answer of then");
    }

    #[test]
    fn given_an_answer_that_was_cached_meanwhile_when_joined_then_no_load_begins() {
        let flights = Flights::new();
        let joined = flights.join(CacheKey::of(b"k"), || Some(3), async { 4 });
        assert_eq!(joined.now_or_never(), Some(3));
        assert_eq!(under_way(&flights), 0);
    }

    #[test]
    fn given_a_load_under_way_when_joined_then_the_cache_is_not_asked_again() {
        let flights = Flights::new();
        let key = CacheKey::of(b"k");
        let _first = join(&flights, key, pending::<u8>());
        assert_eq!(flights.join(key, || Some(3), async { 4 }).now_or_never(), None);
    }
}

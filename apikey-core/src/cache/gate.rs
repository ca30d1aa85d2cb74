//! Whether cached answers may be used, where other processes change keys, too.

use std::{future::Future, pin::Pin};

/// Says whether cached answers may be used now. It is asked for every request that the cache could answer.
///
/// A process on its own may always use its cache, because it hears of every revocation. In a fleet, where another node
/// may revoke, it may use the cache only while it holds a lease from the store.
///
/// ```
/// use std::{future::ready, pin::Pin};
/// use apikey_core::TrustGate;
///
/// /// A gate of a process that only ever reads its own configuration.
/// struct Open;
///
/// impl TrustGate for Open {
///     fn trusts_cache(&self) -> bool {
///         true
///     }
///
///     fn regain(&self) -> Pin<Box<dyn Future<Output = bool> + Send>> {
///         Box::pin(ready(true))
///     }
/// }
/// ```
pub trait TrustGate: Send + Sync + 'static {
    /// Returns `true` if a request that came before this call may use the cache. A gate that judges by the time reads
    /// its clock first.
    fn trusts_cache(&self) -> bool;

    /// Waits until a request that came before this call may use the cache or a lookup, because this process has learned
    /// since then what other processes have changed. Returns `false` if it can't learn it: the request is rejected with
    /// a 503.
    ///
    /// All requests that come while the gate is closed wait here. None is looked up without the gate's consent, because
    /// a server that has been deposed answers lookups, too. The authenticator gives up after the resolver's timeout.
    fn regain(&self) -> Pin<Box<dyn Future<Output = bool> + Send>>;
}

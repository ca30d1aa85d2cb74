//! Where keys come from: the resolver trait, and keys from a file or the environment.

mod resolver;
mod static_keys;

pub(crate) use self::resolver::{ErasedResolver, Proof};
pub use self::{
    resolver::{
        BoxError, KeyStatus, PresentedKey, Resolution, Resolver, ResolverFn, ResolverWith, resolver_fn, resolver_with,
    },
    static_keys::{GenerateStaticKeyError, NewStaticKey, StaticKeys, StaticKeysError},
};

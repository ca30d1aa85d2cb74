//! What a key is: its text and formats, its digests, its id and its claims.

mod claims;
mod digest;
mod format;
mod hasher;
mod id;
mod json_object;
mod no_randomness;
mod output;
mod pepper;
mod plaintext;

pub(crate) use self::plaintext::is_token68;
pub use self::{
    claims::Claims,
    digest::{DigestAlgorithm, KeyDigest, ParseDigestError, PepperVersion},
    format::{
        Alphabet, Checksum, GenerateKeyError, KeyFormat, KeyFormatBuilder, KeyFormatError, KeyedChecksum,
        ParseKeyError, ParsedKey,
    },
    hasher::KeyHasher,
    id::{ActorId, IdError, KeyId, OrganizationId, ServiceAccountId},
    json_object::{JsonError, JsonObject},
    no_randomness::NoRandomness,
    output::{KeyOutput, ParseKeyOutputError},
    pepper::{Pepper, PepperError},
    plaintext::{NotToken68, PlaintextKey},
};

//! Signatures: lists as JSON Web Signatures (RFC 7515) with Ed25519 (RFC 8037), which JOSE libraries of any language
//! read.

use anyhow::Context;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{SIGNATURE_LENGTH, SigningKey, ed25519::signature::Signer as _};
use serde_json::{Value, json};

pub(crate) struct Signer(SigningKey);

impl Signer {
    /// Returns the text of a new key.
    pub(crate) fn generate() -> anyhow::Result<String> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(BASE64.encode(seed))
    }

    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let bytes = BASE64.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let bytes = bytes.context("SIGNING_KEY: must be 32 bytes as base64url without padding")?;
        Ok(Signer(SigningKey::from_bytes(&bytes)))
    }

    /// `header.payload.signature`.
    pub(crate) fn sign(&self, payload: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.id(), "typ": "revocation-list"});
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(payload.to_string()));
        let signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature.to_bytes()))
    }

    /// Returns `true` if this key signed the text.
    pub(crate) fn has_signed(&self, text: &str) -> bool {
        let Some((signed, signature)) = text.rsplit_once('.') else { return false };
        let signature = BASE64.decode(signature).ok().and_then(|bytes| <[u8; SIGNATURE_LENGTH]>::try_from(bytes).ok());
        signature.is_some_and(|bytes| self.0.verify(signed.as_bytes(), &bytes.into()).is_ok())
    }

    /// Returns the public key as a JSON Web Key Set (RFC 7517).
    pub(crate) fn key_set(&self) -> Value {
        let key = json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.id(), "x": self.public(),
        });
        json!({"keys": [key]})
    }

    /// Returns the key's id, the beginning of its public half.
    fn id(&self) -> String {
        self.public()[..11].to_owned()
    }

    fn public(&self) -> String {
        BASE64.encode(self.0.verifying_key())
    }
}

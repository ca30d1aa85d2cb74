//! Signatures: lists as JSON Web Signatures (RFC 7515) with Ed25519 (RFC 8037), which JOSE libraries of any language read.

use actix_apikey::BoxError;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{SIGNATURE_LENGTH, SigningKey, ed25519::signature::Signer as _};
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) struct Signer {
    key: SigningKey,
    /// The public half, as base64url. Its beginning names the key.
    public: String,
}

impl Signer {
    /// The text of a new key.
    pub(crate) fn generate() -> Result<String, BoxError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(BASE64.encode(seed))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, BoxError> {
        let bytes = BASE64.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = SigningKey::from_bytes(&bytes.ok_or("SIGNING_KEY: must be 32 bytes as base64url without padding")?);
        Ok(Signer { public: BASE64.encode(key.verifying_key()), key })
    }

    /// `header.payload.signature`.
    pub(crate) fn sign(&self, payload: &impl Serialize) -> serde_json::Result<String> {
        let header = json!({"alg": "EdDSA", "kid": self.id(), "typ": "revocation-list"});
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(serde_json::to_vec(payload)?));
        let signature = self.key.sign(signed.as_bytes());
        Ok(format!("{signed}.{}", BASE64.encode(signature.to_bytes())))
    }

    /// Is this text signed by this key?
    pub(crate) fn has_signed(&self, text: &str) -> bool {
        let Some((signed, signature)) = text.rsplit_once('.') else { return false };
        let signature = BASE64.decode(signature).ok().and_then(|bytes| <[u8; SIGNATURE_LENGTH]>::try_from(bytes).ok());
        signature.is_some_and(|bytes| self.key.verify(signed.as_bytes(), &bytes.into()).is_ok())
    }

    /// What others need to verify: a JSON Web Key Set (RFC 7517).
    pub(crate) fn key_set(&self) -> Value {
        let key = json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.id(), "x": self.public,
        });
        json!({"keys": [key]})
    }

    fn id(&self) -> &str {
        &self.public[..11]
    }
}

//! What a handler may know of its caller. Nothing here is secret, and nothing here decides: see `authenticated_key`.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::Arc,
};

use serde::{
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
    ser::SerializeMap,
};

use crate::{
    clock::Timestamp,
    key::{
        id::{KeyId, OrganizationId, ServiceAccountId},
        json_object::JsonObject,
    },
    scope::ScopeSet,
};

/// What is known of a caller: which key, whose, for what, until when.
///
/// A [`Resolver`](crate::Resolver) makes one for each key it finds; a handler reads it through
/// [`AuthenticatedKey`](crate::AuthenticatedKey), which derefs to it. With `serde` it is a JSON object with the fields
/// that are set; times are RFC 3339 in UTC. Typed extras are left out, and fields that are not known are skipped.
///
/// ```
/// use apikey_core::{Claims, KeyId, OrganizationId, ScopeSet};
///
/// let claims = Claims::new(KeyId::new("k-1")?)
///     .with_name("CI pipeline")
///     .with_organization(OrganizationId::new("acme")?)
///     .with_scopes(ScopeSet::parse("files:read")?);
/// assert_eq!(claims.organization().map(OrganizationId::as_str), Some("acme"));
/// assert_eq!(
///     serde_json::to_value(&claims)?,
///     serde_json::json!({
///         "key_id": "k-1", "name": "CI pipeline", "organization": "acme", "scopes": ["files:read"],
///     }),
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Claims {
    key_id: KeyId,
    name: Box<str>,
    scopes: ScopeSet,
    environment: Option<Arc<str>>,
    expires_at: Option<Timestamp>,
    // Boxed: a cached key without any of these should not pay for their room.
    more: Option<Box<More>>,
}

#[derive(Clone, Default)]
struct More {
    // Shared with the key's usage.
    organization: Option<OrganizationId>,
    service_account: Option<ServiceAccountId>,
    metadata: JsonObject,
    extras: Vec<(TypeId, Arc<dyn Any + Send + Sync>)>,
}

impl Claims {
    /// Claims of the key `key_id`, which so far may do nothing.
    #[must_use]
    pub fn new(key_id: KeyId) -> Self {
        Claims { key_id, name: "".into(), scopes: ScopeSet::empty(), environment: None, expires_at: None, more: None }
    }

    /// Sets the name people gave the key.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the granted scopes; the authenticator's catalog expands roles among them.
    #[must_use]
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// Sets the environment the key belongs to, such as `live`.
    #[must_use]
    pub fn with_environment(mut self, environment: impl Into<Arc<str>>) -> Self {
        self.environment = Some(environment.into());
        self
    }

    pub(crate) fn with_shared_environment(mut self, environment: Option<Arc<str>>) -> Self {
        self.environment = environment;
        self
    }

    /// Sets the moment from which on the key is refused.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: impl Into<Timestamp>) -> Self {
        self.expires_at = Some(expires_at.into());
        self
    }

    /// Sets the organization (tenant, workspace) that owns the key.
    #[must_use]
    pub fn with_organization(mut self, organization: OrganizationId) -> Self {
        self.more().organization = Some(organization);
        self
    }

    /// Sets the service account the key acts for.
    #[must_use]
    pub fn with_service_account(mut self, service_account: ServiceAccountId) -> Self {
        self.more().service_account = Some(service_account);
        self
    }

    /// Sets the key's metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<JsonObject>) -> Self {
        self.more().metadata = metadata.into();
        self
    }

    /// Attaches a value of the host's own type, such as a row it loaded along with the key; one for each type.
    ///
    /// ```
    /// # use apikey_core::{Claims, KeyId};
    /// #[derive(Debug, PartialEq)]
    /// struct Plan(&'static str);
    ///
    /// let claims = Claims::new(KeyId::new("k-1")?).with_extra(Plan("pro"));
    /// assert_eq!(claims.extra::<Plan>(), Some(&Plan("pro")));
    /// assert_eq!(claims.extra::<String>(), None);
    /// # Ok::<(), apikey_core::IdError>(())
    /// ```
    #[must_use]
    pub fn with_extra<T: Any + Send + Sync>(mut self, extra: T) -> Self {
        let extras = &mut self.more().extras;
        extras.retain(|(type_id, _)| *type_id != TypeId::of::<T>());
        extras.push((TypeId::of::<T>(), Arc::new(extra)));
        self
    }

    /// The id of the key's record; safe to log.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The name people gave the key; empty if none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key may do, roles expanded.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// The environment the key belongs to.
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// The moment from which on the key is refused.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The organization that owns the key.
    #[must_use]
    pub fn organization(&self) -> Option<&OrganizationId> {
        self.more.as_ref()?.organization.as_ref()
    }

    /// The service account the key acts for.
    #[must_use]
    pub fn service_account(&self) -> Option<&ServiceAccountId> {
        self.more.as_ref()?.service_account.as_ref()
    }

    /// The key's metadata; empty unless set.
    ///
    /// ```
    /// # use apikey_core::{Claims, JsonObject, KeyId};
    /// let metadata: JsonObject = r#"{"team": 7}"#.parse()?;
    /// let claims = Claims::new(KeyId::new("k-1")?).with_metadata(metadata);
    /// assert_eq!(claims.metadata().get("team"), Some(7.into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Security
    ///
    /// Whoever may change the key may write it: with `apikey-manager` that is every holder of `keys:write`, of the key
    /// itself, too. What decides about rights or plans belongs into scopes, or beside the key.
    #[must_use]
    pub fn metadata(&self) -> &JsonObject {
        const NONE: &JsonObject = &JsonObject::new();
        self.more.as_ref().map_or(NONE, |more| &more.metadata)
    }

    /// The value of type `T` that the resolver attached.
    #[must_use]
    pub fn extra<T: Any + Send + Sync>(&self) -> Option<&T> {
        let (_, extra) = self.more.as_ref()?.extras.iter().find(|(type_id, _)| *type_id == TypeId::of::<T>())?;
        extra.downcast_ref()
    }

    /// Bytes that these claims have on the heap, but for what clones share with others and for extras.
    pub(crate) fn heap_bytes(&self) -> usize {
        let texts = self.key_id.as_str().len() + self.name.len() + self.scopes.as_str().len();
        let more = self.more.as_ref().map_or(0, |more| {
            let organization = more.organization.as_ref().map_or(0, |id| id.as_str().len());
            let account = more.service_account.as_ref().map_or(0, |id| id.as_str().len());
            size_of::<More>() + organization + account + more.metadata.heap_bytes()
        });
        texts + more
    }

    pub(crate) fn shared_environment(&self) -> Option<Arc<str>> {
        self.environment.clone()
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut claims = f.debug_struct("Claims");
        claims
            .field("key_id", &self.key_id.as_str())
            .field("name", &self.name)
            .field("organization", &self.organization().map(OrganizationId::as_str))
            .field("service_account", &self.service_account().map(ServiceAccountId::as_str))
            .field("environment", &self.environment)
            .field("scopes", &self.scopes)
            .field("expires_at", &self.expires_at);
        claims.finish_non_exhaustive()
    }
}

impl serde::Serialize for Claims {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("key_id", &self.key_id)?;
        object.serialize_entry("name", &self.name)?;
        if let Some(organization) = self.organization() {
            object.serialize_entry("organization", organization)?;
        }
        if let Some(account) = self.service_account() {
            object.serialize_entry("service_account", account)?;
        }
        if let Some(environment) = self.environment() {
            object.serialize_entry("environment", environment)?;
        }
        object.serialize_entry("scopes", &self.scopes)?;
        if let Some(expires_at) = self.expires_at {
            object.serialize_entry("expires_at", &expires_at)?;
        }
        if !self.metadata().is_empty() {
            object.serialize_entry("metadata", self.metadata())?;
        }
        object.end()
    }
}

impl<'de> serde::Deserialize<'de> for Claims {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims of a key")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<Claims, M::Error> {
        let (mut key_id, mut name, mut scopes) = (None, String::new(), ScopeSet::empty());
        let (mut environment, mut expires_at, mut more) = (None, None, None::<Box<More>>);
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "key_id" => key_id = Some(fields.next_value()?),
                "name" => name = fields.next_value()?,
                "scopes" => scopes = fields.next_value()?,
                "environment" => environment = fields.next_value::<Option<String>>()?,
                "expires_at" => expires_at = fields.next_value()?,
                "organization" => more.get_or_insert_default().organization = fields.next_value()?,
                "service_account" => more.get_or_insert_default().service_account = fields.next_value()?,
                "metadata" => {
                    let metadata: serde_json::Map<String, serde_json::Value> = fields.next_value()?;
                    more.get_or_insert_default().metadata = metadata.into();
                }
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        let key_id = key_id.ok_or_else(|| M::Error::missing_field("key_id"))?;
        Ok(Claims { key_id, name: name.into(), scopes, environment: environment.map(Into::into), expires_at, more })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn given_every_field_when_serialized_then_each_appears_once_and_extras_do_not() {
        let claims = Claims::new(KeyId::new("k").unwrap())
            .with_name("n")
            .with_organization(OrganizationId::new("o").unwrap())
            .with_service_account(ServiceAccountId::new("s").unwrap())
            .with_environment("live")
            .with_scopes(ScopeSet::parse("b a").unwrap())
            .with_expiry(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400))
            .with_metadata(r#"{"tier":2}"#.parse::<JsonObject>().unwrap())
            .with_extra(7u8);
        let json = serde_json::json!({
            "key_id": "k", "name": "n", "organization": "o", "service_account": "s", "environment": "live",
            "scopes": ["a", "b"], "expires_at": "1970-01-02T00:00:00.000Z", "metadata": {"tier": 2},
        });
        assert_eq!(serde_json::to_value(&claims).unwrap(), json);
        let read: Claims = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
        assert_eq!(claims.metadata().get("tier"), Some(2.into()));
        assert_eq!(claims.metadata().get("none"), None);
    }

    #[test]
    fn given_an_expiry_that_rfc_3339_can_t_say_when_serialized_then_the_nearest_it_can_is_given() {
        let year_10000 = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_800);
        let before_unix = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        for (expiry, said) in [(year_10000, "9999-12-31T23:59:59.999Z"), (before_unix, "1970-01-01T00:00:00.000Z")] {
            let claims = Claims::new(KeyId::new("k").unwrap()).with_expiry(expiry);
            assert_eq!(serde_json::to_value(&claims).unwrap()["expires_at"], said);
            assert!(format!("{claims:?}").contains(said));
        }
    }

    #[test]
    fn given_two_extras_of_one_type_when_attached_then_the_later_stays() {
        let claims = Claims::new(KeyId::new("k").unwrap()).with_extra(1u8).with_extra(2u8).with_extra("x");
        assert_eq!(claims.extra::<u8>(), Some(&2));
        assert_eq!(claims.extra::<&str>(), Some(&"x"));
    }
}

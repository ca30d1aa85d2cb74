//! The forms that texts have, for the OpenAPI document.

use apikey_manager::Action;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident = $pattern:literal,)+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let description = concat!($($doc),+).trim();
                ObjectBuilder::new().schema_type(Type::String).description(Some(description)).pattern(Some($pattern)).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

texts! {
    /// The id of a key or a service account.
    Id = "^[A-Za-z0-9._:-]{1,64}$",
    /// A scope such as `files:read`, a wildcard such as `files:*` or `*`, or a role.
    Grant = r"^(\*|[A-Za-z0-9._:-]{1,120}|[A-Za-z0-9._:-]{1,118}:\*)$",
    /// Somebody, as the audit trail names them: `key:…` for a key.
    ActorName = r"^[^\u0000-\u001f\u007f-\u009f]{1,128}$",
}

/// What was done, such as `key.issued`.
pub(crate) struct ActionName;

impl PartialSchema for ActionName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("What was done."))
            .enum_values(Some(Action::ALL.iter().map(|action| action.as_str())))
            .into()
    }
}

impl ToSchema for ActionName {}

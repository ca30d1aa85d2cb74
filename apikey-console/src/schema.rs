//! The formats of texts in the OpenAPI document.

use apikey_manager::{Action, Event, text_pattern};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

/// A search text: any text without control characters.
const WANTED: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident = $pattern:expr, $least:literal to $most:literal;)+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let description = concat!($($doc, "\n"),+).trim().replace("\n ", "\n");
                let text = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
                let text = text.pattern(Some($pattern)).max_length(Some($most));
                text.min_length(($least > 0).then_some($least)).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

texts! {
    /// The id of a resource.
    Id = "^[A-Za-z0-9._:-]{1,64}$", 1 to 64;
    /// A scope such as `files:read`, a wildcard such as `files:*` or `*`, or a role.
    Grant = r"^(\*|[A-Za-z0-9._:-]{1,120}|[A-Za-z0-9._:-]{1,118}:\*)$", 1 to 120;
    /// An actor's name, `key:…` for a key. It has the characters of a name.
    ActorName = text_pattern(), 1 to 128;
    /// A name, with at least one visible character. Invisible characters and those that change how others are displayed
    /// are not allowed: control characters, directional controls, zero-width characters, line separators. U+200C,
    /// U+200D, U+FE0E and U+FE0F are allowed where a script or an emoji needs them.
    Name = text_pattern(), 1 to 100;
    /// A remark. It has the characters of a name and may be empty.
    Remark = text_pattern(), 0 to 500;
    /// A search text.
    Wanted = WANTED, 0 to 100;
    /// An id to search for.
    WantedId = WANTED, 0 to 128;
}

/// An action, such as `key.issued`.
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

/// The name of an event, such as `key.expiring`.
pub(crate) struct EventName;

impl PartialSchema for EventName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("What an alert tells of."))
            .enum_values(Some(Event::NAMES))
            .into()
    }
}

impl ToSchema for EventName {}

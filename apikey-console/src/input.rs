//! Parses bodies and queries with serde, and collects every mistake instead of stopping at the first one.
//!
//! serde passes a type's field names to the deserializer. [`Members`] therefore visits each field, sent or not, records
//! its mistakes, and continues with a placeholder. Members that remain afterwards are unknown.

use std::{fmt, marker::PhantomData, str::FromStr, time::Duration};

use apikey_manager::{
    Action, Bucket, Cursor, DeliveryState, Event, KeySort, MAX_PAGE, Overlap, PageRequest, Patch, Status,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Unexpected, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};

use crate::problem::{Failure, FieldProblem, Problem};

/// The longest part of an unknown name that an answer quotes, in characters.
const LONGEST_NAME: usize = 64;

/// The fields of a body or the parameters of a query.
pub(crate) trait Input: DeserializeOwned {
    /// Returns the schema of the resource that the input creates or changes. Its other fields are read-only.
    fn resource() -> Option<RefOr<Schema>> {
        None
    }

    /// Records mistakes in fields that are valid by themselves.
    fn check(&self, _mistakes: &mut Vec<FieldProblem>) {}
}

/// No fields, or no parameters.
#[derive(Deserialize)]
pub(crate) struct Nothing {}

impl Input for Nothing {}

/// Reads the members of a JSON object.
pub(crate) fn from_object<I: Input>(members: Map<String, Value>) -> Result<I, Failure> {
    read(members, "field", Vec::new())
}

/// Reads the parameters of a query.
pub(crate) fn from_query<I: Input>(query: &str) -> Result<I, Failure> {
    let mut parameters = Map::new();
    let mut mistakes = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if parameters.insert(name.clone().into_owned(), value.into_owned().into()).is_some() {
            mistakes.push(Mistake::new("repeated", "must be given once").of(&shortened(&name)));
        }
    }
    read(parameters, "parameter", mistakes)
}

fn read<I: Input>(members: Map<String, Value>, kind: &str, mistakes: Vec<FieldProblem>) -> Result<I, Failure> {
    let mut members = Members { names: [].iter(), next: "", members, mistakes };
    let input = I::deserialize(&mut members);
    let Members { members, mut mistakes, .. } = members;
    let resource = if members.is_empty() { None } else { I::resource() };
    let resource = resource.and_then(|schema| serde_json::to_value(schema).ok()).unwrap_or_default();
    mistakes.extend(members.keys().map(|name| match resource["properties"].get(name) {
        Some(_) => Mistake::new("read_only", "is read-only").of(name),
        None => Mistake::new("unknown", format!("is not a known {kind}")).of(&shortened(name)),
    }));
    let input = input.map_err(|mistake| mistakes.push(mistake.of(""))).ok();
    if let Some(input) = &input {
        input.check(&mut mistakes);
    }
    input.filter(|_| mistakes.is_empty()).ok_or_else(|| Problem::invalid(mistakes).into())
}

/// A client's name, shortened for an answer.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// A mistake in a value.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// The place in the value, such as `[2]`.
    at: String,
    code: &'static str,
    message: String,
}

impl Mistake {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Mistake { at: String::new(), code, message: message.into() }
    }

    fn malformed(expected: impl fmt::Display) -> Self {
        Mistake::new("malformed", format!("must be {expected}"))
    }

    fn of(self, field: &str) -> FieldProblem {
        FieldProblem { field: format!("{field}{}", self.at), code: self.code, message: self.message }
    }
}

impl std::error::Error for Mistake {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Mistake::new("malformed", message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Mistake::malformed(expected)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        match unexpected {
            Unexpected::Str(_) => Mistake::new("unknown", format!("must be {expected}")),
            _ => Mistake::new("out_of_range", format!("must be {expected}")),
        }
    }

    fn missing_field(_: &'static str) -> Self {
        Mistake::new("required", "is required")
    }
}

/// A client's input, and the members that have not been read yet.
struct Members {
    names: std::slice::Iter<'static, &'static str>,
    next: &'static str,
    members: Map<String, Value>,
    mistakes: Vec<FieldProblem>,
}

impl<'de> Deserializer<'de> for &mut Members {
    type Error = Mistake;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.names = names.iter();
        visitor.visit_map(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Mistake> {
        Err(Mistake::malformed("an object"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for &mut Members {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let Some(name) = self.names.next() else { return Ok(None) };
        self.next = name;
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Mistake> {
        seed.deserialize(Member(self.members.remove(self.next)))
    }

    fn next_value<T: Deserialize<'de>>(&mut self) -> Result<T, Mistake> {
        T::deserialize(Member(self.members.remove(self.next))).or_else(|mistake| {
            self.mistakes.push(mistake.of(self.next));
            let empty = || T::deserialize(Member(Some(Value::String(String::new()))));
            T::deserialize(Member(Some(Value::Null))).or_else(|_| empty())
        })
    }
}

/// A member's value; `None` if the member is absent.
struct Member(Option<Value>);

impl Member {
    /// Returns the value, converted by `wanted`.
    fn get<T>(self, expected: &str, wanted: impl FnOnce(Value) -> Option<T>) -> Result<T, Mistake> {
        let value = self.0.ok_or_else(|| de::Error::missing_field(""))?;
        wanted(value).ok_or_else(|| Mistake::malformed(expected))
    }
}

/// Accepts 60.0 as an integer, as JSON Schema does, for clients without integers.
fn whole(value: &Value) -> Option<u64> {
    let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within a double's range")]
    let whole = value.as_f64().filter(is_whole).map(|number| number as u64);
    value.as_u64().or(whole)
}

impl<'de> Deserializer<'de> for Member {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.get("", Some)?.deserialize_any(visitor).map_err(de::Error::custom)
    }

    /// An absent member becomes `none`, and `null` becomes `unit`: see [`Given`].
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            None => visitor.visit_none(),
            Some(Value::Null) => visitor.visit_unit(),
            Some(value) => visitor.visit_some(Member(Some(value))),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_bool(self.get("true or false", |value| value.as_bool())?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_u64(self.get("a whole number of at least 0", |value| whole(&value))?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_string(self.get("a string", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_string(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let items = self.get("an array", |value| match value {
            Value::Array(items) => Some(items),
            _ => None,
        })?;
        visitor.visit_seq(Items(items.into_iter().enumerate()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let object = self.get("an object", |value| value.is_object().then_some(value))?;
        object.deserialize_map(visitor).map_err(de::Error::custom)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct struct enum identifier ignored_any
    }
}

struct Items(std::iter::Enumerate<std::vec::IntoIter<Value>>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some((at, item)) = self.0.next() else { return Ok(None) };
        let read = seed.deserialize(Member(Some(item)));
        read.map(Some).map_err(|mistake| Mistake { at: format!("[{at}]{}", mistake.at), ..mistake })
    }
}

/// A field for which absence and null differ.
#[derive(Clone, Debug)]
pub(crate) enum Given<T> {
    Absent,
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Given<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or null")
            }

            fn visit_none<E>(self) -> Result<Given<T>, E> {
                Ok(Given::Absent)
            }

            fn visit_unit<E>(self) -> Result<Given<T>, E> {
                Ok(Given::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given<T>, D::Error> {
                T::deserialize(deserializer).map(Given::Value)
            }
        }

        deserializer.deserialize_option(Any(PhantomData))
    }
}

impl<T> From<Given<T>> for Patch<T> {
    fn from(given: Given<T>) -> Self {
        match given {
            Given::Absent => Patch::Keep,
            Given::Null => Patch::Clear,
            Given::Value(value) => Patch::To(value),
        }
    }
}

/// The overlap of a rotation: seconds, or null. It has no default, because any default would surprise someone.
pub(crate) fn overlap<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Overlap, D::Error> {
    match Given::deserialize(deserializer)? {
        Given::Absent => Err(de::Error::missing_field("")),
        Given::Null => Ok(Overlap::UntilEnded),
        Given::Value(0) => Ok(Overlap::None),
        Given::Value(seconds) => Ok(Overlap::For(Duration::from_secs(seconds))),
    }
}

/// Parses a value that is written as a string.
pub(crate) fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}

/// Parses one of the names in `all`.
fn one_of<'de, D, T>(deserializer: D, all: impl IntoIterator<Item = (T, &'static str)>) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
{
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let mut names = Vec::new();
    for (value, name) in all {
        if name == text {
            return Ok(Some(value));
        }
        names.push(name);
    }
    let expected = format!("one of: {}", names.join(", "));
    Err(de::Error::invalid_value(Unexpected::Str(&text), &expected.as_str()))
}

pub(crate) fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    one_of(deserializer, Status::ALL.into_iter().map(|status| (status, status.as_str())))
}

pub(crate) fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Action>, D::Error> {
    one_of(deserializer, Action::ALL.iter().map(|action| (*action, action.as_str())))
}

pub(crate) fn bucket<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bucket>, D::Error> {
    one_of(deserializer, [(Bucket::Hour, "hour"), (Bucket::Day, "day")])
}

pub(crate) fn sort<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeySort>, D::Error> {
    let all = [(KeySort::Created, "created_at"), (KeySort::Expiry, "expires_at"), (KeySort::LastUse, "last_used_at")];
    one_of(deserializer, all)
}

/// Parses the name of an event.
pub(crate) fn event<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    one_of(deserializer, Event::NAMES.into_iter().map(|name| (name.to_owned(), name)))
}

pub(crate) fn delivery_state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DeliveryState>, D::Error> {
    one_of(deserializer, DeliveryState::ALL.into_iter().map(|state| (state, state.as_str())))
}

/// Parses a boolean in a query.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    one_of(deserializer, [(true, "true"), (false, "false")])
}

/// Parses a number of days in a query.
pub(crate) fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    Ok(Some(Duration::from_secs(86_400 * number(&text, 3_650)? as u64)))
}

/// Parses a whole number from 1 to `most`, in digits.
fn number<E: de::Error>(text: &str, most: usize) -> Result<usize, E> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=most).contains(number));
    let expected = format!("a whole number from 1 to {most}");
    number.ok_or_else(|| de::Error::invalid_value(Unexpected::Other("a number"), &expected.as_str()))
}

/// The page size of a query.
#[derive(Debug)]
pub(crate) struct Limit(usize);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number(&String::deserialize(deserializer)?, MAX_PAGE).map(Limit)
    }
}

/// Returns the page that a query requests.
pub(crate) fn page(limit: Option<Limit>, cursor: Option<Cursor>) -> PageRequest {
    let request = cursor.map_or_else(PageRequest::first, PageRequest::after);
    match limit {
        Some(Limit(limit)) => request.limit(limit),
        None => request,
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, response::IntoResponse};
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sent {
        name: String,
        count: Option<u64>,
        tags: Option<Vec<String>>,
        flag: Option<bool>,
        notes: Option<Map<String, Value>>,
        end: Given<u64>,
        #[serde(deserialize_with = "overlap")]
        overlap: Overlap,
    }

    impl Input for Sent {
        fn check(&self, mistakes: &mut Vec<FieldProblem>) {
            if self.count == Some(13) {
                mistakes.push(FieldProblem::new("count", "unlucky", "must be another number"));
            }
        }
    }

    async fn mistakes<I: fmt::Debug>(read: Result<I, Failure>) -> Vec<String> {
        let body = to_bytes(read.unwrap_err().into_response().into_body(), 64 * 1024).await.unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        let told =
            |error: &Value| format!("{}: {}", error["field"].as_str().unwrap(), error["message"].as_str().unwrap());
        problem["errors"].as_array().unwrap().iter().map(told).collect()
    }

    fn read(value: Value) -> Result<Sent, Failure> {
        let Value::Object(members) = value else { unreachable!() };
        from_object(members)
    }

    #[tokio::test]
    async fn every_field_at_fault_is_told_at_once() {
        let sent = json!({
            "tags": ["a", 1, 2], "count": 1.5, "flag": "yes", "notes": [], "end": -1, "overlap": "60", "colour": 1,
        });
        let expected = [
            "name: is required",
            "count: must be a whole number of at least 0",
            "tags[1]: must be a string",
            "flag: must be true or false",
            "notes: must be an object",
            "end: must be a whole number of at least 0",
            "overlap: must be a whole number of at least 0",
            "colour: is not a known field",
        ];
        assert_eq!(mistakes(read(sent)).await, expected);
        assert_eq!(mistakes(read(json!({}))).await, ["name: is required", "overlap: is required"]);
        let sent = json!({"name": "x", "overlap": 1, "count": 13, "x": 1});
        assert_eq!(mistakes(read(sent)).await, ["x: is not a known field", "count: must be another number"]);
    }

    #[test]
    fn good_fields_are_read_and_null_is_not_absence() {
        let sent = json!({"name": "x", "count": 60.0, "tags": null, "notes": {"a": [1, null]}, "overlap": null});
        let sent = read(sent).unwrap();
        assert_eq!((sent.name.as_str(), sent.count, sent.tags, sent.flag), ("x", Some(60), None, None));
        assert_eq!(Value::Object(sent.notes.unwrap()), json!({"a": [1, null]}));
        assert!(matches!((sent.end, sent.overlap), (Given::Absent, Overlap::UntilEnded)));
        let sent = read(json!({"name": "x", "end": null, "overlap": 0})).unwrap();
        assert!(matches!((sent.end, sent.overlap), (Given::Null, Overlap::None)));
    }

    #[tokio::test]
    async fn parameters_are_read_and_refused_like_fields() {
        #[derive(Debug, Deserialize)]
        struct Sought {
            limit: Option<Limit>,
            #[serde(deserialize_with = "status")]
            status: Option<Status>,
        }

        impl Input for Sought {}

        let sought = from_query::<Sought>("status=active&limit=5").unwrap();
        assert!(matches!(sought, Sought { limit: Some(Limit(5)), status: Some(Status::Active) }));
        let names = "must be one of: active, rotating, not_yet_valid, disabled, expired, revoked";
        let expected = [
            "limit: must be given once",
            "limit: must be a whole number from 1 to 200",
            &format!("status: {names}"),
            "page: is not a known parameter",
        ];
        assert_eq!(mistakes(from_query::<Sought>("limit=1&page=2&limit=0&status=x")).await, expected);
    }
}

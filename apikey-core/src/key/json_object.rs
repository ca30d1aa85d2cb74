//! JSON objects as text, which stores and the cache keep and which is parsed on demand.
//!
//! Text is parsed by a visitor of this module. `serde_json::Value` treats some member names specially if any crate of
//! the build enables `raw_value` or `arbitrary_precision`: a stranger's object would then be read as embedded JSON or
//! as a number.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// The longest part of a member's name that an error quotes, in bytes.
const SHOWN: usize = 64;

/// A JSON object, kept as compact text and parsed on demand. Clones share the text.
///
/// An object is read back unchanged, whichever features of `serde_json` other crates of the build enable.
///
/// ```
/// use apikey_core::JsonObject;
///
/// let object: JsonObject = r#"{ "team": {"id": 7}, "tier": 2 }"#.parse()?;
/// assert_eq!(object.as_str(), r#"{"team":{"id":7},"tier":2}"#);
/// assert_eq!(object.get("tier"), Some(2.into()));
/// assert_eq!(object.get("plan"), None);
/// # Ok::<(), apikey_core::JsonError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct JsonObject(
    /// `None` for `{}`, which most objects are.
    Option<Arc<str>>,
);

/// The error for a text that is not a JSON object with unique member names.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct JsonError(serde_json::Error);

impl JsonObject {
    /// Creates an object without members.
    #[must_use]
    pub const fn new() -> Self {
        JsonObject(None)
    }

    /// Returns the compact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("{}")
    }

    /// Returns `true` if the object has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Creates an object from text that a store has kept from [`as_str`](JsonObject::as_str).
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not an object. Duplicate names are not checked again.
    pub fn from_stored(text: &str) -> Result<Self, JsonError> {
        if text == "{}" {
            return Ok(JsonObject(None));
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let checked = deserializer.deserialize_map(MemberVisitor(None)).and_then(|_| deserializer.end());
        checked.map(|()| JsonObject(Some(text.into()))).map_err(JsonError)
    }

    /// Returns one member's value. Parses the text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        let text = self.0.as_deref()?;
        serde_json::Deserializer::from_str(text).deserialize_map(MemberVisitor(Some(name))).ok().flatten()
    }

    /// Returns all members. Parses the text.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        self.0.as_deref().and_then(|text| JsonObject::read(text.as_bytes()).ok()).unwrap_or_default()
    }

    /// Parses an object in which no object repeats a member's name (RFC 8259 §4 doesn't define what a repeated name
    /// means).
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not such an object, or nests deeper than 128 levels.
    pub fn read(json: &[u8]) -> Result<Map<String, Value>, JsonError> {
        let read = |json: &[u8]| {
            let mut deserializer = serde_json::Deserializer::from_slice(json);
            let object = deserializer.deserialize_map(ObjectVisitor)?;
            deserializer.end().map(|()| object)
        };
        read(json).map_err(JsonError)
    }

    /// Returns the bytes on the heap, which clones share.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.as_deref().map_or(0, str::len)
    }
}

impl From<Map<String, Value>> for JsonObject {
    fn from(object: Map<String, Value>) -> Self {
        JsonObject((!object.is_empty()).then(|| Value::Object(object).to_string().into()))
    }
}

impl FromStr for JsonObject {
    type Err = JsonError;

    fn from_str(text: &str) -> Result<Self, JsonError> {
        JsonObject::read(text.as_bytes()).map(JsonObject::from)
    }
}

impl fmt::Display for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Shows the length of the text alone, because its content may be confidential.
impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonObject({} bytes)", self.as_str().len())
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_map().serialize(serializer)
    }
}

/// Reads the value of one member, if one is wanted, and skips the others.
struct MemberVisitor<'n>(Option<&'n str>);

impl<'de> Visitor<'de> for MemberVisitor<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(Name(name)) = map.next_key()? {
            match self.0 == Some(&*name) {
                true => found = Some(map.next_value::<Plain>()?.0),
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// A member's name, read as bytes. A real name differs thereby from the one that `serde_json` makes up around a number
/// of arbitrary precision.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Key::deserialize(deserializer)? {
            Key::Member(name) => Ok(Name(name)),
            Key::Number => Err(D::Error::custom("expected an object")),
        }
    }
}

/// The beginning of an object, for a visitor that receives numbers as objects, too.
enum Key {
    Member(String),
    Number,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_bytes<E: serde::de::Error>(self, name: &[u8]) -> Result<Key, E> {
        match std::str::from_utf8(name) {
            Ok(name) => Ok(Key::Member(name.to_owned())),
            Err(_) => Err(E::custom("a member's name is not Unicode text")),
        }
    }

    /// Names from JSON come as bytes, because they were requested as bytes.
    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Key, E> {
        Ok(Key::Number)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Map<String, Value>, A::Error> {
        match map.next_key()? {
            None => Ok(Map::new()),
            Some(Name(first)) => members(first, map),
        }
    }
}

/// A value in which names have no meaning.
struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PlainVisitor.deserialize(deserializer).map(Plain)
    }
}

struct PlainVisitor;

impl<'de> DeserializeSeed<'de> for PlainVisitor {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(PlainVisitor)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        match map.next_key()? {
            None => Ok(Map::new().into()),
            Some(Key::Member(first)) => members(first, map).map(Value::Object),
            Some(Key::Number) => {
                let digits: String = map.next_value()?;
                serde_json::from_str::<Number>(&digits).map(Value::Number).map_err(A::Error::custom)
            }
        }
    }
}

/// The members of an object whose first name has been read.
fn members<'de, A: MapAccess<'de>>(first: String, mut map: A) -> Result<Map<String, Value>, A::Error> {
    let mut members = Map::new();
    let mut next = Some(first);
    while let Some(name) = next {
        if members.contains_key(&name) {
            return Err(A::Error::custom(format_args!("the member {} comes twice", shown(&name))));
        }
        let value = map.next_value_seed(PlainVisitor)?;
        members.insert(name, value);
        next = map.next_key()?.map(|Name(name)| name);
    }
    Ok(members)
}

/// A stranger's name, shortened for an error message.
fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(SHOWN).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_objects_when_read_then_they_are_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,3.5,"x",null,true,{"b":{}}],"c":18446744073709551615,"é\n":"\ud83d\ude00"}"#;
        let Value::Object(expected) = serde_json::from_str(text).unwrap() else { unreachable!() };
        let object: JsonObject = text.parse().unwrap();
        assert_eq!(object.to_map(), expected);
        assert_eq!(serde_json::to_value(&object).unwrap(), Value::Object(expected));
        assert_eq!(object.get("c"), Some(u64::MAX.into()));
        assert_eq!(object.get("b"), None);
        assert_eq!(JsonObject::from_stored(object.as_str()).unwrap(), object);
        assert!(JsonObject::from_stored("{}").unwrap().is_empty());
        for broken in ["", "[]", "1", "{\"a\":}", "{} \""] {
            assert!(JsonObject::from_stored(broken).is_err(), "{broken}");
        }
    }

    /// Some crates of this build switch `raw_value` on; the names are members' names all the same.
    #[test]
    fn given_names_that_serde_json_reserves_when_read_then_they_are_names_like_others() {
        for name in ["RawValue", "Number"] {
            for value in [r#""!""#, r#""1""#, r#""{\"a\":\u0000}""#, "1", r#"{"b":2}"#] {
                let member = format!(r#"{{"$serde_json::private::{name}":{value}}}"#);
                let escaped = member.replacen('$', "\\u0024", 1);
                for inner in [&member, &escaped] {
                    for text in [format!(r#"{{"x":{inner}}}"#), format!(r#"{{"x":[[{inner}],{{"y":{inner}}}]}}"#)] {
                        let object: JsonObject = text.parse().unwrap();
                        assert_eq!(object.as_str(), text.replace("\\u0024", "$"), "{text}");
                        assert_eq!(JsonObject::from(object.to_map()), object);
                        assert_eq!(serde_json::to_string(&object).unwrap(), object.as_str());
                        let member: JsonObject = member.parse().unwrap();
                        if let Some(Value::Object(found)) = object.get("x") {
                            assert_eq!(JsonObject::from(found), member);
                        }
                    }
                }
            }
        }
    }

    /// With `arbitrary_precision`, `serde_json` shows numbers as objects whose only name does not come as bytes.
    #[test]
    fn given_a_number_shown_as_an_object_when_read_then_it_is_a_number() {
        let shown = |name, digits| serde::de::value::MapDeserializer::new([(name, digits)].into_iter());
        let number: Result<_, serde::de::value::Error> =
            PlainVisitor.visit_map(shown("$serde_json::private::Number", "1.5"));
        assert_eq!(number.unwrap(), Value::from(1.5));
    }

    #[test]
    fn given_numbers_when_written_and_read_then_not_a_digit_is_lost() {
        let text = r#"{"a":0.1,"b":1.7976931348623157e308,"c":-9223372036854775808,"d":2.2250738585072014e-308}"#;
        let object: JsonObject = text.parse().unwrap();
        let again: JsonObject = object.as_str().parse().unwrap();
        assert_eq!(again, object);
        assert_eq!(again.get("b"), Some(f64::MAX.into()));
    }

    #[test]
    fn given_a_member_twice_or_broken_json_when_read_then_it_is_refused() {
        let deep = format!(r#"{{"a":{}"#, "[".repeat(1_000));
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":1} {}"#,
            r#"{"\ud800":1}"#,
            r#"{"a":"\ud800"}"#,
            "[]",
            "1",
            "{",
            "",
            &deep,
        ] {
            assert!(text.parse::<JsonObject>().is_err(), "{text}");
        }
        let long = format!("{{\"{0}\":1,\"{0}\":2}}", "x".repeat(10_000));
        assert!(long.parse::<JsonObject>().unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn given_an_empty_object_when_made_in_any_way_then_it_takes_no_room() {
        let made = [JsonObject::new(), JsonObject::default(), Map::new().into(), " { } ".parse().unwrap()];
        for empty in made {
            assert!(empty.is_empty() && empty.heap_bytes() == 0);
            assert_eq!((empty.as_str(), empty.to_map()), ("{}", Map::new()));
        }
    }
}

//! What callers send: the fields of a body and the parameters of a query, each read by name. Whatever is wrong is told at
//! once, and what nobody asked for is refused.

use std::{collections::BTreeMap, time::Duration};

use apikey_core::KeyId;
use apikey_manager::{Action, ActorId, Bucket, Cursor, MAX_PAGE, Overlap, PageRequest, ServiceAccountId, Set, Status};
use http::Uri;
use serde_json::{Map, Value};

use crate::{
    json::shown,
    moment::Moment,
    problem::{Failure, FieldProblem, Problem},
};

/// A body's fields, as a type that reads itself.
pub(crate) trait Input: Sized {
    /// Fields that a resource has and nobody may set.
    const READ_ONLY: &'static [&'static str] = &[];

    fn read(fields: &mut Fields) -> Self;
}

/// A query's parameters.
pub(crate) trait Params: Sized {
    fn read(query: &mut Query) -> Self;
}

/// A mistake in a value: where within it, which, and in words.
pub(crate) struct Mistake {
    at: String,
    code: &'static str,
    message: String,
}

impl Mistake {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Mistake { at: String::new(), code, message: message.into() }
    }

    fn malformed(expected: &str) -> Self {
        Mistake::new("malformed", format!("must be {expected}"))
    }

    fn of_field(self, field: &str) -> FieldProblem {
        FieldProblem { field: format!("{field}{}", self.at), code: self.code, message: self.message }
    }
}

/// The members of a JSON object, taken out one by one.
#[derive(Default)]
pub(crate) struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldProblem>,
    #[cfg(test)]
    pub(crate) asked: Vec<&'static str>,
}

impl Fields {
    /// Reads an `I` out of a JSON object.
    pub(crate) fn read<I: Input>(object: Map<String, Value>) -> Result<I, Failure> {
        let mut fields = Fields { object, ..Fields::default() };
        let input = I::read(&mut fields);
        let Fields { object, mut errors, .. } = fields;
        errors.extend(object.keys().map(|name| match I::READ_ONLY.contains(&name.as_str()) {
            true => Mistake::new("read_only", "can't be set").of_field(name),
            false => Mistake::new("unknown", "there is no such field").of_field(&shown(name)),
        }));
        match errors.is_empty() {
            true => Ok(input),
            false => Err(Problem::invalid(errors).into()),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        #[cfg(test)]
        self.asked.push(name);
        self.object.remove(name)
    }

    /// A field that must be there; what is returned without it is never used.
    pub(crate) fn required<T: FromJson + Default>(&mut self, name: &'static str) -> T {
        match self.take(name) {
            Some(value) => self.convert(name, value).unwrap_or_default(),
            None => {
                self.refuse(name, Mistake::new("required", "is required"));
                T::default()
            }
        }
    }

    /// A field that may be left out, or be null.
    pub(crate) fn optional<T: FromJson>(&mut self, name: &'static str) -> Option<T> {
        match self.take(name)? {
            Value::Null => None,
            value => self.convert(name, value),
        }
    }

    /// A field where leaving it out and null say different things.
    pub(crate) fn set<T: FromJson>(&mut self, name: &'static str) -> Set<T> {
        match self.take(name) {
            None => Set::Keep,
            Some(Value::Null) => Set::Clear,
            Some(value) => self.convert(name, value).map_or(Set::Keep, Set::To),
        }
    }

    /// How long a replaced secret lives on: seconds, or null until it is ended.
    pub(crate) fn overlap(&mut self, name: &'static str) -> Overlap {
        match self.set::<u64>(name) {
            Set::To(0) => Overlap::None,
            Set::To(seconds) => Overlap::For(Duration::from_secs(seconds)),
            Set::Clear => Overlap::UntilEnded,
            Set::Keep => {
                // Both are surprises to somebody, so neither is the default.
                if !self.errors.iter().any(|error| error.field == name) {
                    self.mistake(name, "required", "is required: seconds, or null");
                }
                Overlap::None
            }
        }
    }

    /// Something that fields say together is wrong.
    pub(crate) fn mistake(&mut self, name: &'static str, code: &'static str, message: &str) {
        self.refuse(name, Mistake::new(code, message));
    }

    fn convert<T: FromJson>(&mut self, name: &'static str, value: Value) -> Option<T> {
        T::from_json(value).map_err(|mistake| self.refuse(name, mistake)).ok()
    }

    fn refuse(&mut self, name: &'static str, mistake: Mistake) {
        self.errors.push(mistake.of_field(name));
    }
}

/// What a field's value becomes.
pub(crate) trait FromJson: Sized {
    fn from_json(value: Value) -> Result<Self, Mistake>;
}

impl FromJson for String {
    fn from_json(value: Value) -> Result<Self, Mistake> {
        match value {
            Value::String(text) => Ok(text),
            _ => Err(Mistake::malformed("a string")),
        }
    }
}

impl FromJson for bool {
    fn from_json(value: Value) -> Result<Self, Mistake> {
        value.as_bool().ok_or_else(|| Mistake::malformed("true or false"))
    }
}

impl FromJson for u64 {
    fn from_json(value: Value) -> Result<Self, Mistake> {
        // 60.0 is an integer to JSON Schema, and to clients that know no other numbers.
        let whole =
            value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(number));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, and within a double's range"
        )]
        let number = value.as_u64().or(whole.map(|number| number as u64));
        number.ok_or_else(|| Mistake::malformed("a whole number of at least 0"))
    }
}

impl FromJson for Map<String, Value> {
    fn from_json(value: Value) -> Result<Self, Mistake> {
        match value {
            Value::Object(members) => Ok(members),
            _ => Err(Mistake::malformed("an object")),
        }
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: Value) -> Result<Self, Mistake> {
        let Value::Array(items) = value else { return Err(Mistake::malformed("an array")) };
        let item = |(at, item)| {
            T::from_json(item).map_err(|mistake| Mistake { at: format!("[{at}]{}", mistake.at), ..mistake })
        };
        items.into_iter().enumerate().map(item).collect()
    }
}

/// Whatever is written as a string.
macro_rules! from_text {
    ($($type:ty),+ $(,)?) => {$(
        impl FromJson for $type {
            fn from_json(value: Value) -> Result<Self, Mistake> {
                FromText::from_text(&String::from_json(value)?)
            }
        }
    )+};
}

from_text!(ActorId, KeyId, Moment, ServiceAccountId);

/// What a parameter's text becomes.
pub(crate) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, Mistake>;
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        Ok(text.to_owned())
    }
}

impl FromText for Moment {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        Moment::parse(text).ok_or_else(|| Mistake::malformed("a date and time as in RFC 3339, from 1970 on"))
    }
}

impl FromText for ActorId {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        ActorId::new(text).map_err(|error| Mistake::new("malformed", error.to_string()))
    }
}

impl FromText for ServiceAccountId {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        ServiceAccountId::new(text).map_err(|_| Mistake::malformed("the id of a service account"))
    }
}

impl FromText for KeyId {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        KeyId::new(text).map_err(|_| Mistake::malformed("the id of a key"))
    }
}

impl FromText for Cursor {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        text.parse().map_err(|_| Mistake::malformed("the next_cursor of a page"))
    }
}

impl FromText for Status {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        Status::named(text).ok_or_else(|| one_of(Status::ALL.iter().map(|status| status.as_str())))
    }
}

impl FromText for Action {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        Action::named(text).ok_or_else(|| one_of(Action::ALL.iter().map(|action| action.as_str())))
    }
}

impl FromText for Bucket {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        match text {
            "hour" => Ok(Bucket::Hour),
            "day" => Ok(Bucket::Day),
            _ => Err(one_of(["hour", "day"])),
        }
    }
}

/// How long a page may be.
pub(crate) struct Limit(usize);

impl FromText for Limit {
    fn from_text(text: &str) -> Result<Self, Mistake> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| digits && (1..=MAX_PAGE).contains(limit));
        limit.map(Limit).ok_or_else(|| Mistake::new("out_of_range", "must be a whole number from 1 to 200"))
    }
}

fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Mistake {
    let names: Vec<_> = names.into_iter().collect();
    Mistake::new("unknown", format!("must be one of: {}", names.join(", ")))
}

/// The parameters of a query, taken out one by one.
#[derive(Default)]
pub(crate) struct Query {
    values: BTreeMap<String, String>,
    errors: Vec<FieldProblem>,
    #[cfg(test)]
    pub(crate) asked: Vec<&'static str>,
}

impl Query {
    /// Reads a `P` out of the query of `uri`.
    pub(crate) fn read<P: Params>(uri: &Uri) -> Result<P, Failure> {
        let mut query = Query::default();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let name = name.into_owned();
            if query.values.insert(name.clone(), value.into_owned()).is_some() {
                query.errors.push(Mistake::new("repeated", "comes twice").of_field(&shown(&name)));
            }
        }
        let params = P::read(&mut query);
        let Query { values, mut errors, .. } = query;
        errors.extend(
            values.keys().map(|name| Mistake::new("unknown", "there is no such parameter").of_field(&shown(name))),
        );
        match errors.is_empty() {
            true => Ok(params),
            false => Err(Problem::invalid(errors).into()),
        }
    }

    pub(crate) fn optional<T: FromText>(&mut self, name: &'static str) -> Option<T> {
        #[cfg(test)]
        self.asked.push(name);
        let text = self.values.remove(name)?;
        T::from_text(&text).map_err(|mistake| self.errors.push(mistake.of_field(name))).ok()
    }

    pub(crate) fn mistake(&mut self, name: &'static str, code: &'static str, message: &str) {
        self.errors.push(Mistake::new(code, message).of_field(name));
    }
}

/// The page that a query asks for.
pub(crate) fn page(limit: Option<Limit>, cursor: Option<Cursor>) -> PageRequest {
    let request = cursor.map_or_else(PageRequest::first, PageRequest::after);
    match limit {
        Some(Limit(limit)) => request.limit(limit),
        None => request,
    }
}

/// No parameters.
pub(crate) struct NoParams;

impl Params for NoParams {
    fn read(_: &mut Query) -> Self {
        NoParams
    }
}

/// No fields.
pub(crate) struct NoFields;

impl Input for NoFields {
    fn read(_: &mut Fields) -> Self {
        NoFields
    }
}

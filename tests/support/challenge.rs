//! Parses a `WWW-Authenticate` value as strictly as a sender must write it (RFC 9110 §11.6.1): one challenge, commas
//! between parameters, no repeated parameters, and nothing left over.

/// A challenge: `Bearer realm="api", error="invalid_token"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme, as written.
    pub scheme: String,
    /// Names, as written, and values without quotes and escapes.
    pub params: Vec<(String, String)>,
}

impl Challenge {
    /// Parses a whole field value.
    ///
    /// # Errors
    ///
    /// Returns the mistake and its place.
    pub fn parse(value: &str) -> Result<Self, String> {
        let mut rest = Rest { text: value, at: 0 };
        let scheme = rest.token()?.to_owned();
        let mut challenge = Challenge { scheme, params: Vec::new() };
        if rest.is_empty() {
            return Ok(challenge);
        }
        rest.expect(' ')?;
        loop {
            let name = rest.token()?.to_owned();
            rest.expect('=')?;
            let value = if rest.peek() == Some('"') { rest.quoted_string()? } else { rest.token()?.to_owned() };
            if challenge.params.iter().any(|(before, _)| before.eq_ignore_ascii_case(&name)) {
                return Err(format!("{name} is given twice"));
            }
            challenge.params.push((name, value));
            if rest.is_empty() {
                return Ok(challenge);
            }
            rest.expect(',')?;
            while rest.peek() == Some(' ') {
                rest.expect(' ')?;
            }
        }
    }
}

struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn is_empty(&self) -> bool {
        self.at == self.text.len()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn expect(&mut self, expected: char) -> Result<(), String> {
        match self.peek() {
            Some(found) if found == expected => {
                self.at += 1;
                Ok(())
            }
            found => Err(format!("{found:?} at {} instead of {expected:?} in {:?}", self.at, self.text)),
        }
    }

    fn token(&mut self) -> Result<&'a str, String> {
        let rest = &self.text[self.at..];
        let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let length = rest.find(|c| !is_tchar(c)).unwrap_or(rest.len());
        if length == 0 {
            return Err(format!("no token at {} in {:?}", self.at, self.text));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn quoted_string(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut value = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(value),
                Some('\\') => match self.next() {
                    Some(escaped @ ('\t' | ' '..='~')) => value.push(escaped),
                    escaped => return Err(format!("{escaped:?} escaped in {:?}", self.text)),
                },
                Some(plain @ ('\t' | ' '..='~')) => value.push(plain),
                Some(odd) => return Err(format!("{odd:?} in {:?}", self.text)),
                None => return Err(format!("a quoted string without end in {:?}", self.text)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_well_formed_challenge_when_parsed_then_its_parts_are_read() {
        let cases: [(_, _, &[(&str, &str)]); 6] = [
            ("Bearer", "Bearer", &[]),
            ("Bearer realm=\"api\"", "Bearer", &[("realm", "api")]),
            ("bearer realm=api", "bearer", &[("realm", "api")]),
            ("Bearer a=\"1\", b=\"2\",c=3", "Bearer", &[("a", "1"), ("b", "2"), ("c", "3")]),
            (r#"Bearer realm="a \"b\" \\""#, "Bearer", &[("realm", r#"a "b" \"#)]),
            ("Bearer realm=\"\", scope=\"a, b=c\"", "Bearer", &[("realm", ""), ("scope", "a, b=c")]),
        ];
        for (text, scheme, params) in cases {
            let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(Challenge::parse(text), Ok(Challenge { scheme: scheme.to_owned(), params }), "{text}");
        }
    }

    #[test]
    fn given_what_no_sender_may_write_when_parsed_then_it_is_refused() {
        let malformed = [
            "",
            " Bearer",
            "Bearer ",
            "Bearer,",
            "Bearer  realm=\"api\"",
            "Bearer\trealm=\"api\"",
            // Parameters without commas between them.
            "Bearer realm=\"api\" error=\"invalid_token\"",
            "Bearer realm=\"api\"error=\"invalid_token\"",
            "Bearer realm=\"api\", ",
            "Bearer realm=\"api\",, error=\"x\"",
            "Bearer , realm=\"api\"",
            "Bearer realm=\"api\", realm=\"api\"",
            "Bearer realm=\"api\", Realm=\"other\"",
            "Bearer realm",
            "Bearer realm=",
            "Bearer =api",
            "Bearer realm = \"api\"",
            "Bearer realm=\"api",
            "Bearer realm=\"api\\",
            "Bearer realm='a b'",
            "Bearer realm=\"a\u{e9}\"",
            "Bearer realm=\"a\nb\"",
            "Bearer realm=\"api\" trailing",
            "Bearer realm=\"api\", Basic realm=\"api\"",
            "Bearer YWJj==",
        ];
        for text in malformed {
            assert!(Challenge::parse(text).is_err(), "{text:?}");
        }
    }
}

//! Parses a `curl` command line, so that the tests run the READMEs' own commands.

use super::http::Request;

/// Returns the request of a command line. The caller replaces names such as `$KEY` first.
pub(crate) fn request(command: &str) -> Request {
    let mut words = words(command).into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"), "{command}");
    let mut request = Request::default();
    let mut method = None;
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} without its value: {command}"));
        match word.as_str() {
            "-i" | "-s" => {}
            "-X" => method = Some(value()),
            "-d" => request.body = value(),
            "-H" => {
                let header = value();
                let (name, value) = header.split_once(": ").unwrap_or_else(|| panic!("{header} is no header"));
                request = request.header(name, value);
            }
            url => {
                let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{url}: not understood: {command}"));
                request.path = rest[rest.find('/').unwrap_or_else(|| panic!("{url} has no path"))..].to_owned();
            }
        }
    }
    let default = if request.body.is_empty() { "GET" } else { "POST" };
    request.method = method.unwrap_or_else(|| default.to_owned());
    request
}

/// Splits like a shell, as far as these pages need.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ' ') => words.push(String::new()),
            (_, c) => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

//! Runs rows. No answer may echo a credential.

use std::time::Duration;

use apikey_core::KeyStatus;
use futures_util::stream::{self, StreamExt};

use super::{Act, Row, Step};
use crate::{
    servers::Server,
    stand::{Stand, key_id},
    wire::{self, Answer},
};

const AT_ONCE: usize = 16;

/// The outcome of one request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The response.
    pub answer: Answer,
    /// The number of the store's calls.
    pub resolver: usize,
    /// The number of handler calls.
    pub handler: usize,
    /// The layer's name in the server's framework.
    pub layer: &'static str,
}

/// Sends the row's requests to a new server.
async fn run(row: &Row, server: Server) -> Vec<Outcome> {
    let stand = Stand::new(row.setting);
    let running = server.start(&stand).await;
    let mut outcomes = Vec::new();
    for step in row.steps() {
        step.before.iter().for_each(|act| happen(act, &stand));
        let (resolver, handler) = (stand.store.calls(), stand.handler_calls());
        let answer = wire::exchange(running.address, &bytes(step, &stand)).await;
        for secret in secrets(step, &stand) {
            let raw = answer.raw.escape_ascii().to_string();
            assert!(!raw.contains(&secret), "{}: {secret} is echoed by {server:?}: {raw}", row.name);
        }
        outcomes.push(Outcome {
            answer,
            resolver: stand.store.calls() - resolver,
            handler: stand.handler_calls() - handler,
            layer: server.layer_name(),
        });
    }
    running.stop().await;
    outcomes
}

/// Runs all of `rows`, several at a time. The outcomes are in the same order.
///
/// # Panics
///
/// Panics if an answer echoes a credential, or is not HTTP.
pub async fn run_all(rows: impl Iterator<Item = &'static Row>, server: Server) -> Vec<(&'static Row, Vec<Outcome>)> {
    stream::iter(rows).map(|row| async move { (row, run(row, server).await) }).buffered(AT_ONCE).collect().await
}

fn happen(act: &Act, stand: &Stand) {
    match act {
        Act::Store(behaviour) => stand.store.behave(*behaviour),
        Act::Wait(seconds) => stand.clock.advance(Duration::from_secs(*seconds)),
        Act::Revoke(name) => {
            stand.change(name, |claims| claims, |record| record.with_status(KeyStatus::Revoked));
            stand.authenticator.revoke(&key_id(name));
        }
    }
}

fn bytes(step: &Step, stand: &Stand) -> Vec<u8> {
    let mut bytes = expand(step.line.as_bytes(), stand);
    bytes.extend(b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let body = expand(step.body.as_bytes(), stand);
    if !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    for line in step.headers {
        bytes.extend(expand(line, stand));
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// Replaces names with keys.
fn expand(text: &[u8], stand: &Stand) -> Vec<u8> {
    let mut expanded = Vec::new();
    let mut rest = text;
    while let Some(begins) = rest.iter().position(|byte| *byte == b'{') {
        let ends = rest.iter().position(|byte| *byte == b'}').unwrap();
        expanded.extend(&rest[..begins]);
        let name = std::str::from_utf8(&rest[begins + 1..ends]).unwrap();
        match name.split_once('*') {
            Some((text, times)) => expanded.extend(text.repeat(times.parse().unwrap()).bytes()),
            None => expanded.extend(stand.token(name).bytes()),
        }
        rest = &rest[ends + 1..];
    }
    expanded.extend(rest);
    expanded
}

/// Returns the parts of a request that must not be echoed: every key, and every word of a line with credentials.
fn secrets(step: &Step, stand: &Stand) -> Vec<String> {
    let holds_credentials = |line: &&&[u8]| {
        [&b"auth"[..], b"x-", b"cook", b"prox"].iter().any(|start| line.to_ascii_lowercase().starts_with(start))
    };
    let lines =
        step.headers.iter().filter(holds_credentials).map(|line| expand(line, stand).escape_ascii().to_string());
    let words: Vec<_> = lines
        .flat_map(|line| line.split_once(':').map(|(_, value)| value.to_owned()))
        .flat_map(|value| value.split([' ', ',', '"', '=']).map(ToOwned::to_owned).collect::<Vec<_>>())
        .filter(|word| word.len() > "Bearer".len())
        .collect();
    stand.names().map(|name| stand.token(name).to_owned()).chain(words).collect()
}

//! Requests that no table lists: every combination of some parts, and every byte in some places. All servers must give
//! the same answers, and ask the store equally often.

use std::net::SocketAddr;

use futures_util::future::join_all;
use support::{
    servers::Server,
    stand::{Setting, Stand},
    wire::{self, Comparable},
};

const AUTHORIZATIONS: &[&[&str]] = &[
    &[],
    &[""],
    &["Bearer"],
    &["bearer {reader}"],
    &["Bearer {writer}"],
    &["Bearer {unknown}"],
    &["Bearer {mistyped}"],
    &["Bearer {of-test}"],
    &["Bearer {disabled}"],
    &["Bearer {reader},"],
    &["Bearer eyJhbGciOi.eyJzdWIi.c2lnbmF0"],
    &["Basic dXNlcjpwYXNzd29yZA=="],
    &["Bearer {reader}", "Bearer {reader}"],
    &["Basic dXNlcjpwYXNzd29yZA==", "Bearer {reader}"],
];
const API_KEYS: &[&[&str]] = &[&[], &[""], &["{reader}"], &["{mistyped}"], &["{reader}", "{writer}"]];
const TARGETS: &[&str] = &[
    "GET /whoami",
    "GET /maybe",
    "GET /both",
    "GET /guarded",
    "GET /nested/maybe",
    "GET /unlayered",
    "HEAD /headers",
    "OPTIONS /whoami",
    "PUT /whoami",
    "GET /nowhere",
    "GET /globex",
    "GET /cacheable",
];
const SETTINGS: &[Setting] =
    &[Setting::ExtraHeaders, Setting::Optional, Setting::PassThrough, Setting::Responder, Setting::Strip];

/// Replaces names with keys.
fn expand(text: &str, stand: &Stand) -> String {
    stand.names().fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), stand.token(name)))
}

fn requests(stand: &Stand) -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    for target in TARGETS {
        for authorizations in AUTHORIZATIONS {
            for api_keys in API_KEYS {
                let mut text = format!("{target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
                for value in *authorizations {
                    text += &format!("Authorization: {value}\r\n");
                }
                for value in *api_keys {
                    text += &format!("x-api-key: {value}\r\n");
                }
                requests.push(expand(&(text + "\r\n"), stand).into_bytes());
            }
        }
    }
    requests
}

/// Sends the requests in order, and returns the number of the store's calls after each.
async fn send(server: Server, stand: &Stand, requests: &[Vec<u8>], address: SocketAddr) -> Vec<(Comparable, usize)> {
    let mut answers = Vec::new();
    for request in requests {
        let answer = wire::exchange(address, request).await;
        answers.push((answer.comparable(server.layer_name()), stand.store.calls()));
    }
    answers
}

#[tokio::test]
async fn given_every_combination_of_credentials_when_sent_to_every_server_then_they_agree() {
    for setting in SETTINGS {
        let all = join_all(Server::ALL.iter().map(|server| async move {
            let stand = Stand::new(*setting);
            let running = server.start(&stand).await;
            let answers = send(*server, &stand, &requests(&stand), running.address).await;
            running.stop().await;
            answers
        }));
        let all = all.await;
        let sent = requests(&Stand::new(*setting));
        for (server, answers) in Server::ALL.iter().zip(&all).skip(1) {
            assert_eq!(answers.len(), sent.len());
            for ((one, other), sent) in all[0].iter().zip(answers).zip(&sent) {
                let sent = sent.escape_ascii();
                assert_eq!(one, other, "{setting:?}: {:?} and {server:?} differ about {sent}", Server::ALL[0]);
            }
        }
    }
}

/// Returns a credential with `byte` in each place of it.
fn with_byte(byte: u8, stand: &Stand) -> Vec<Vec<u8>> {
    let key = stand.token("reader").as_bytes();
    let one = &[byte];
    let (half, rest) = key.split_at(key.len() / 2);
    let lines: [Vec<&[u8]>; 5] = [
        vec![one, b"Bearer ", key],
        vec![b"Bearer", one, key],
        vec![b"Bearer ", one, key],
        vec![b"Bearer ", half, one, rest],
        vec![b"Bearer ", key, one],
    ];
    let request = |line: Vec<&[u8]>| {
        let head = b"GET /whoami HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: ".as_slice();
        [head, &line.concat(), b"\r\n\r\n"].concat()
    };
    lines.into_iter().map(request).collect()
}

#[tokio::test]
async fn given_every_byte_in_every_part_of_a_credential_when_sent_then_only_the_key_itself_is_let_in() {
    let all = join_all(Server::ALL.iter().map(|server| async move {
        let stand = Stand::new(Setting::Plain);
        let running = server.start(&stand).await;
        let mut statuses = Vec::new();
        for byte in 0..=u8::MAX {
            for (place, request) in with_byte(byte, &stand).into_iter().enumerate() {
                let answer = wire::exchange(running.address, &request).await;
                // White space at either end is not part of the value, and several spaces count as one.
                let is_the_key = match place {
                    0 | 4 => matches!(byte, b' ' | b'\t'),
                    1 | 2 => byte == b' ',
                    _ => false,
                };
                // For some parsers, a line feed ends the line, so that only the part before it remains.
                if byte != b'\n' {
                    assert_eq!(
                        answer.status == 200,
                        is_the_key,
                        "{server:?}: {byte:#04x} in place {place}: {answer:?}"
                    );
                }
                statuses.push((byte, place, answer.status));
            }
        }
        running.stop().await;
        statuses
    }));
    let all = all.await;
    for statuses in &all[1..] {
        for (one, other) in all[0].iter().zip(statuses) {
            assert_eq!(one, other);
        }
    }
}

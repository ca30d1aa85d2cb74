//! A running service and its key management.

use serde_json::{Value, json};

use crate::contract::{
    http::{self, Answer, Request},
    service::{Folder, Service},
};

/// A key, as the key management shows it.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// The whole answer without the secret.
    pub(crate) record: Value,
}

/// A service with its first key. Requests through this use that key by default.
pub(crate) struct Stand {
    pub(crate) folder: Folder,
    pub(crate) service: Service,
    pub(crate) admin: String,
}

impl Stand {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let service = folder.start();
        let admin = service.key.clone().unwrap();
        Stand { folder, service, admin }
    }

    pub(crate) fn get(&self, key: &str, path: &str) -> Answer {
        self.service.send(&Request::new("GET", path).bearer(key))
    }

    pub(crate) fn status(&self, key: &str, path: &str) -> u16 {
        self.get(key, path).status
    }

    pub(crate) fn send(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::new(method, path).bearer(key);
        self.service.send(&if body.is_empty() { request } else { request.json(body) })
    }

    /// Creates an environment with a file.
    pub(crate) fn upload(&self, environment: &str, name: &str, content: &str) {
        let path = format!("/v1/environments/{environment}");
        let made = self.send(&self.admin, "PUT", &path, r#"{"description":"for a test"}"#);
        assert!((200..300).contains(&made.status), "{made:?}");
        let put = Request::new("PUT", &format!("{path}/files/{name}/content")).bearer(&self.admin);
        let put = self.service.send(&Request { body: content.to_owned(), ..put });
        assert_eq!(put.status, 201, "{put:?}");
    }

    /// Reads from the key management.
    pub(crate) fn read(&self, path: &str) -> Value {
        let answer = self.get(&self.admin, &format!("/keys/v1/{path}"));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        http::json(&answer.body)
    }

    pub(crate) fn issue(&self, name: &str, scopes: &[&str]) -> Key {
        self.made("api-keys", &json!({ "name": name, "scopes": scopes }).to_string())
    }

    pub(crate) fn duplicate(&self, key: &Key) -> Key {
        self.made(&format!("api-keys/{}/duplicate", key.id), "")
    }

    fn made(&self, path: &str, body: &str) -> Key {
        let answer = self.send(&self.admin, "POST", &format!("/keys/v1/{path}"), body);
        assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")), "{answer:?}");
        let mut made = http::json(&answer.body);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Key { id: text(&made["key"]["id"]), secret: text(&made["secret"]), record: made["key"].take() }
    }

    pub(crate) fn revoke(&self, key: &Key) {
        let path = format!("/keys/v1/api-keys/{}/revoke", key.id);
        let answer = self.send(&self.admin, "POST", &path, r#"{"reason":"a test"}"#);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(http::json(&answer.body)["status"], "revoked");
    }
}

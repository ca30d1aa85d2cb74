//! A service with its first key, and requests for the tests.

use serde_json::Value;

use crate::contract::{
    http::{Answer, Request, json},
    service::{Folder, Service},
};

/// The path of the management of keys.
const KEYS: &str = "/keys/v1";

pub(crate) struct Stand {
    pub(crate) folder: Folder,
    pub(crate) service: Service,
    /// The first key, with all scopes.
    pub(crate) admin: String,
}

/// An issued key: its id and its secret.
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Stand {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let service = folder.start();
        let admin = service.key.clone().unwrap();
        Stand { folder, service, admin }
    }

    /// Stops the service gracefully, and starts another in the same folder.
    pub(crate) fn restart(self) -> Self {
        let Stand { folder, service, admin } = self;
        service.stop();
        let service = folder.start();
        Stand { folder, service, admin }
    }

    pub(crate) fn ask(&self, key: &str, method: &str, path: &str) -> Answer {
        self.service.send(&Request::new(method, path).bearer(key))
    }

    pub(crate) fn tell(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.service.send(&Request::new(method, path).bearer(key).json(body.to_string()))
    }

    pub(crate) fn status(&self, key: &str, path: &str) -> u16 {
        self.ask(key, "GET", path).status
    }

    /// Returns the answer to an administrator's GET.
    pub(crate) fn get(&self, path: &str) -> Value {
        expect(200, &self.ask(&self.admin, "GET", path))
    }

    /// Returns the answer to an administrator's GET from the key management.
    pub(crate) fn get_key(&self, path: &str) -> Value {
        self.get(&format!("{KEYS}{path}"))
    }

    /// Returns the answer to an administrator's POST to the key management.
    pub(crate) fn post_key(&self, status: u16, path: &str, body: &Value) -> Value {
        expect(status, &self.tell(&self.admin, "POST", &format!("{KEYS}{path}"), body))
    }

    /// Returns the answer to an administrator's POST without a body to the key management.
    pub(crate) fn do_key(&self, status: u16, method: &str, path: &str) -> Value {
        expect(status, &self.ask(&self.admin, method, &format!("{KEYS}{path}")))
    }

    pub(crate) fn issue(&self, body: &Value) -> Issued {
        let issued = self.post_key(201, "/api-keys", body);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Issued { id: text(&issued["key"]["id"]), secret: text(&issued["secret"]) }
    }

    pub(crate) fn issue_role(&self, role: &str) -> Issued {
        self.issue(&serde_json::json!({"name": role, "scopes": [role]}))
    }
}

/// Returns the body of an answer, which must have this status.
pub(crate) fn expect(status: u16, answer: &Answer) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    json(&answer.body)
}

//! A service with its first key, and the questions that tests ask it.

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
    /// The first key, which may do everything.
    pub(crate) admin: String,
}

/// A key as it was issued: its id, and itself.
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

    /// Stops the service in an orderly way, and starts another in the same folder.
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

    /// What the administrator reads.
    pub(crate) fn get(&self, path: &str) -> Value {
        expect(200, &self.ask(&self.admin, "GET", path))
    }

    /// What the administrator reads in the management of keys.
    pub(crate) fn get_key(&self, path: &str) -> Value {
        self.get(&format!("{KEYS}{path}"))
    }

    /// What the administrator is told when posting to the management of keys.
    pub(crate) fn post_key(&self, status: u16, path: &str, body: &Value) -> Value {
        expect(status, &self.tell(&self.admin, "POST", &format!("{KEYS}{path}"), body))
    }

    /// What the administrator is told when asking the management of keys for something that needs no body.
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

/// The body of an answer that must have this status.
pub(crate) fn expect(status: u16, answer: &Answer) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    json(&answer.body)
}

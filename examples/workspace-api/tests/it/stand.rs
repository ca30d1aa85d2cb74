//! A service with its first key, people who have signed in, and their requests.

use serde_json::{Value, json};

use crate::contract::{
    http::{Answer, Request, json as parsed},
    service::{Folder, Launch, Service},
};

pub(crate) struct Stand {
    pub(crate) folder: Folder,
    /// The database of the service and of its commands, unless it is the usual one.
    database: Option<String>,
    pub(crate) service: Service,
    /// The first key of the workspace `main`.
    pub(crate) key: String,
}

/// Somebody who has signed in, by their cookie.
pub(crate) struct Visitor(String);

/// An issued key: its id and its secret.
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Stand {
    pub(crate) fn new() -> Self {
        Stand::on(None)
    }

    pub(crate) fn on(database: Option<String>) -> Self {
        let folder = Folder::new();
        let service = folder.launch_with(&[], &settings(database.as_deref())).ready();
        let key = service.key.clone().unwrap();
        Stand { folder, database, service, key }
    }

    /// Adds a person as the operator does, and returns their password.
    pub(crate) fn person(&self, email: &str, role: &str, workspace: &str) -> String {
        let command = ["add-person", email, role, "--workspace", workspace];
        added(self.folder.launch_with(&command, &settings(self.database.as_deref())))
    }

    /// Adds a person to `main`, and signs them in.
    pub(crate) fn visitor(&self, role: &str) -> Visitor {
        let email = format!("{role}@example.com");
        let password = self.person(&email, role, "main");
        self.sign_in(&email, &password)
    }

    pub(crate) fn sign_in(&self, email: &str, password: &str) -> Visitor {
        let answer = self.try_sign_in(&json!({"email": email, "password": password}));
        assert_eq!(answer.status, 204, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap();
        Visitor(cookie.split(';').next().unwrap().to_owned())
    }

    pub(crate) fn try_sign_in(&self, body: &Value) -> Answer {
        self.service.send(&Request::new("POST", "/session").json(body.to_string()))
    }

    /// Sends what a browser sends for a page of the service itself.
    pub(crate) fn visit(&self, visitor: &Visitor, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = visitor.request(method, path).header("Sec-Fetch-Site", "same-origin");
        self.service.send(&match body {
            Some(body) => request.json(body.to_string()),
            None => request,
        })
    }

    /// Sends a request to the management of keys, which must be answered with this status.
    pub(crate) fn manage(&self, by: &Visitor, status: u16, method: &str, path: &str, body: Option<Value>) -> Value {
        expect(status, &self.visit(by, method, &format!("/keys/v1{path}"), body))
    }

    pub(crate) fn issue(&self, by: &Visitor, name: &str, environment: &str) -> Issued {
        let issued = self.manage(by, 201, "POST", "/api-keys", Some(json!({"name": name, "environment": environment})));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Issued { id: text(&issued["key"]["id"]), secret: text(&issued["secret"]) }
    }

    pub(crate) fn call(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = Request::new(method, path).bearer(key);
        self.service.send(&match body {
            Some(body) => request.json(body.to_string()),
            None => request,
        })
    }

    pub(crate) fn status(&self, key: &str) -> u16 {
        self.call(key, "GET", "/v1/records", None).status
    }

    /// Returns every row of the records of `main`, with all columns.
    pub(crate) fn rows(&self, key: &str) -> Value {
        expect(200, &self.call(key, "GET", "/v1/records", None))["items"].clone()
    }
}

fn settings(database: Option<&str>) -> Vec<(&'static str, &str)> {
    [("ADDR", "127.0.0.1:0")].into_iter().chain(database.map(|url| ("DATABASE_URL", url))).collect()
}

/// Returns the password that a command has shown.
pub(crate) fn added(launch: Launch) -> String {
    let (status, out, err) = launch.end();
    assert!(status.success(), "{err:?}");
    assert_eq!(out.len(), 1, "{out:?}");
    out[0].clone()
}

/// Returns the body of an answer, which must have this status.
pub(crate) fn expect(status: u16, answer: &Answer) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    parsed(&answer.body)
}

/// Returns the status and the code of a refusal.
pub(crate) fn refused(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let body = parsed(&answer.body);
    assert_eq!(body["status"], answer.status);
    (answer.status, body["code"].as_str().unwrap().to_owned())
}

impl Visitor {
    /// Somebody who has not signed in.
    pub(crate) fn none() -> Self {
        Visitor("theme=dark".to_owned())
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, path).header("Cookie", &self.0)
    }

    pub(crate) fn cookie(&self) -> &str {
        &self.0
    }

    pub(crate) fn token(&self) -> &str {
        self.0.split_once('=').unwrap().1
    }
}

//! A running service with customers and their members.

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
    sync::LazyLock,
};

use serde_json::{Value, json};

use crate::contract::{
    http::{Answer, Request, json as parsed},
    service::{Folder, Service},
};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A key, as the console shows it when it is made.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// A service with the customer `acme`, whose members are Dana and Eli, and the customer `birch` with Fay.
pub(crate) struct Stand {
    pub(crate) folder: Folder,
    pub(crate) service: Service,
}

/// A member who is signed in.
pub(crate) struct Member<'s> {
    stand: &'s Stand,
    pub(crate) cookie: String,
}

/// Runs a sub-command, with a line of standard input.
pub(crate) fn command(folder: &Folder, arguments: &[&str], input: &str) -> Output {
    command_in(folder, &[], arguments, input)
}

pub(crate) fn command_in(folder: &Folder, settings: &[(&str, &str)], arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(crate::BINARY);
    command.current_dir(folder.path()).env_clear().envs(settings.iter().copied());
    command.args(arguments).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that fails before it reads has closed the pipe.
    let _ = writeln!(child.stdin.take().unwrap(), "{input}");
    child.wait_with_output().unwrap()
}

/// Runs a sub-command that must succeed.
pub(crate) fn run(folder: &Folder, arguments: &[&str], input: &str) {
    let done = command(folder, arguments, input);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The database of every stand, made once: its file, and SQLite's log.
static SEEDED: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = Folder::new();
    for customer in ["acme", "birch"] {
        run(&folder, &["set-plan", customer, "free"], "");
    }
    for (customer, email) in
        [("acme", "dana@acme.example"), ("acme", "eli@acme.example"), ("birch", "fay@birch.example")]
    {
        run(&folder, &["add-member", customer, email], PASSWORD);
    }
    let files = folder.names().into_iter().filter(|name| !name.ends_with("-shm"));
    files.map(|name| (name.clone(), fs::read(folder.path().join(name)).unwrap())).collect()
});

impl Stand {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        for (name, content) in &*SEEDED {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let service = folder.start();
        Stand { folder, service }
    }

    pub(crate) fn dana(&self) -> Member<'_> {
        self.member("dana@acme.example")
    }

    pub(crate) fn member(&self, email: &str) -> Member<'_> {
        let answer = self.sign_in(email, PASSWORD);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Member { stand: self, cookie }
    }

    pub(crate) fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.service.send(&sign_in(email, password))
    }

    /// Uses a key, and returns the status.
    pub(crate) fn status(&self, key: &str) -> u16 {
        self.get(key, "/v1/account").status
    }

    pub(crate) fn get(&self, key: &str, path: &str) -> Answer {
        self.service.send(&Request::new("GET", path).bearer(key))
    }

    pub(crate) fn set_plan(&self, customer: &str, plan: &str) {
        run(&self.folder, &["set-plan", customer, plan], "");
    }
}

pub(crate) fn sign_in(email: &str, password: &str) -> Request {
    form("/sign-in", &format!("email={}&password={}", email.replace('@', "%40"), password.replace(' ', "+")))
}

/// A form, as a page of the product sends it.
fn form(path: &str, body: &str) -> Request {
    let request = Request::new("POST", path).header("Sec-Fetch-Site", "same-origin");
    Request { body: body.to_owned(), ..request }.header("Content-Type", "application/x-www-form-urlencoded")
}

impl Member<'_> {
    pub(crate) fn send(&self, request: Request) -> Answer {
        self.stand.service.send(&request.header("Cookie", &*self.cookie))
    }

    pub(crate) fn open(&self, path: &str) -> Answer {
        self.send(Request::new("GET", path))
    }

    pub(crate) fn submit(&self, path: &str, body: &str) -> Answer {
        // The client sends a length with a body only, and a form without fields has an empty one.
        self.send(form(path, if body.is_empty() { "_=" } else { body }))
    }

    /// Calls the console's API as its element does.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = Request::new(method, &format!("/keys/v1/{path}")).header("Sec-Fetch-Site", "same-origin");
        self.send(if body.is_null() { request } else { request.json(body.to_string()) })
    }

    /// Reads from the console's API.
    pub(crate) fn read(&self, path: &str) -> Value {
        let answer = self.call("GET", path, &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        parsed(&answer.body)
    }

    pub(crate) fn issue(&self, name: &str) -> Key {
        self.issue_with(&json!({ "name": name }))
    }

    pub(crate) fn issue_with(&self, wanted: &Value) -> Key {
        let answer = self.call("POST", "api-keys", wanted);
        assert_eq!(answer.status, 201, "{answer:?}");
        let made = parsed(&answer.body);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Key { id: text(&made["key"]["id"]), secret: text(&made["secret"]) }
    }

    pub(crate) fn revoke(&self, key: &Key) {
        let path = format!("api-keys/{}/revoke", key.id);
        let answer = self.call("POST", &path, &json!({ "reason": "a test" }));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

//! The table of requests: bytes in, answer out, and the number of calls of the store and the handler. There is one file
//! for each chapter of the rules; `answers` has the common answers, and `run` the only runner.

mod answers;
mod choices;
mod elsewhere;
mod expect;
mod grammar;
mod keys;
mod nested;
mod outages;
mod routes;
mod run;
mod scopes;
mod several;

pub use self::{
    expect::{Body, Expect},
    run::{Outcome, run_all},
};
use crate::{servers::Server, stand::Setting, store::Behaviour};

/// Every row.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    let chapters = [
        grammar::ROWS,
        several::ROWS,
        elsewhere::ROWS,
        keys::ROWS,
        scopes::ROWS,
        outages::ROWS,
        routes::ROWS,
        choices::ROWS,
        nested::ROWS,
    ];
    chapters.into_iter().flatten()
}

/// One case: a new server, and requests in sequence.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The description of the case.
    pub name: &'static str,
    /// The settings of the authenticator and the layer.
    pub setting: Setting,
    /// The first request.
    pub step: Step,
    /// The following requests.
    pub then: &'static [Step],
    /// Servers that answer before the layer sees the request.
    pub own: &'static [Own],
}

/// One request, with the events before it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The events before it.
    pub before: &'static [Act],
    /// Method and target.
    pub line: &'static str,
    /// Header lines, besides `Host` and `Connection: close`. `{name}` stands for a key, and `{x*300}` for 300 times
    /// `x`.
    pub headers: &'static [&'static [u8]],
    /// The body.
    pub body: &'static str,
    /// The expected outcome.
    pub expect: Expect,
}

/// An event before a request.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// The store's behaviour changes.
    Store(Behaviour),
    /// This many seconds pass.
    Wait(u64),
    /// The key with this name is revoked.
    Revoke(&'static str),
}

/// A server's own answer, which no layer can change.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// The server.
    pub server: Server,
    /// Its answer.
    pub status: u16,
    /// The reason.
    pub reason: &'static str,
}

impl Row {
    const fn new(
        name: &'static str,
        setting: Setting,
        line: &'static str,
        headers: &'static [&'static [u8]],
        expect: Expect,
    ) -> Self {
        Row { name, setting, step: Step::new(line, headers, expect), then: &[], own: &[] }
    }

    const fn after(mut self, acts: &'static [Act]) -> Self {
        self.step.before = acts;
        self
    }

    const fn body(mut self, body: &'static str) -> Self {
        self.step.body = body;
        self
    }

    const fn then(mut self, steps: &'static [Step]) -> Self {
        self.then = steps;
        self
    }

    const fn own(mut self, own: &'static [Own]) -> Self {
        self.own = own;
        self
    }

    /// Returns the steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        std::iter::once(&self.step).chain(self.then)
    }
}

impl Step {
    const fn new(line: &'static str, headers: &'static [&'static [u8]], expect: Expect) -> Self {
        Step { before: &[], line, headers, body: "", expect }
    }

    const fn after(mut self, acts: &'static [Act]) -> Self {
        self.before = acts;
        self
    }
}

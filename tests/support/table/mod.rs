//! The table of requests: what goes in on the wire, what must come out, and how often the store and the handler are
//! asked. One file for each chapter of the rules; `answers` has what recurs, `run` the only runner.

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

/// One case: a fresh server, and requests to it one after another.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What is sent.
    pub name: &'static str,
    /// How the authenticator and the layer are configured.
    pub setting: Setting,
    /// The first request.
    pub step: Step,
    /// Those that follow.
    pub then: &'static [Step],
    /// Servers that answer by themselves, before the layer sees the request.
    pub own: &'static [Own],
}

/// One request, and what led to it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What happens before it.
    pub before: &'static [Act],
    /// Method and target.
    pub line: &'static str,
    /// Header lines, besides `Host` and `Connection: close`. `{name}` stands for a key, `{x*300}` for 300 times `x`.
    pub headers: &'static [&'static [u8]],
    /// The content.
    pub body: &'static str,
    /// What must come of it.
    pub expect: Expect,
}

/// Something that happens before a request.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// The store behaves in another way.
    Store(Behaviour),
    /// These many seconds pass.
    Wait(u64),
    /// The key of this name is revoked.
    Revoke(&'static str),
}

/// A server's own answer: a difference between the frameworks that no layer can lift.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Which.
    pub server: Server,
    /// What it answers with.
    pub status: u16,
    /// Why.
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

    /// The steps, in order.
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

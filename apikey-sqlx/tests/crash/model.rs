//! The expected contents, by the worker's complete lines.

use std::collections::BTreeMap;

use apikey_manager::{Action, OrganizationId};

/// The state that one worker's lines describe.
#[derive(Default)]
pub(crate) struct Expected {
    keys: BTreeMap<String, Known>,
    /// Organizations in which a key was being issued.
    issuing: Vec<String>,
    /// Operations that returned.
    pub(crate) answered: usize,
    /// The number of operations that didn't return, and how many of them were applied.
    pub(crate) cut_off: usize,
    pub(crate) made_it: usize,
}

/// A key in the worker's lines.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) id: String,
    organization: String,
    pub(crate) name: String,
    /// The secrets, newest last.
    pub(crate) secrets: Vec<Secret>,
    pub(crate) is_disabled: bool,
    pub(crate) is_revoked: bool,
    pub(crate) is_deleted: bool,
    /// The expected audit events.
    pub(crate) events: Vec<Action>,
    /// The operation in progress when the worker was killed.
    pending: Option<Operation>,
}

#[derive(Clone)]
pub(crate) struct Secret {
    /// `None` if the answer was lost.
    pub(crate) text: Option<String>,
    has_ended: bool,
}

#[derive(Clone)]
struct Operation {
    verb: String,
    detail: String,
    secret: Option<String>,
}

impl Expected {
    pub(crate) fn read(lines: &[String]) -> Self {
        let mut expected = Expected::default();
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["doing", "issue", organization] => expected.issuing.push(organization.to_owned()),
                ["done", "issue", organization, id, secret] => {
                    expected.issuing.retain(|issuing| issuing != organization);
                    expected.answered += 1;
                    expected.keys.insert(id.to_owned(), Known::issued(organization, id, secret));
                }
                ["doing", verb, _, id, ref rest @ ..] => {
                    expected.keys.get_mut(id).unwrap().pending = Some(Operation::new(verb, rest));
                }
                ["done", verb, _, id, ref rest @ ..] => {
                    let known = expected.keys.get_mut(id).unwrap();
                    known.pending = None;
                    known.apply(Operation::new(verb, rest));
                    expected.answered += 1;
                }
                // Lines of the test harness.
                _ => {}
            }
        }
        let pending = expected.keys.values().filter(|known| known.pending.is_some());
        expected.cut_off = pending.count() + expected.issuing.len();
        expected
    }

    pub(crate) fn of(&mut self, organization: &OrganizationId) -> impl Iterator<Item = &mut Known> {
        self.keys.values_mut().filter(move |known| known.organization == organization.as_str())
    }

    pub(crate) fn was_issuing(&self, organization: &OrganizationId) -> bool {
        self.issuing.iter().any(|issuing| issuing == organization.as_str())
    }
}

impl Known {
    fn issued(organization: &str, id: &str, secret: &str) -> Self {
        Known {
            id: id.to_owned(),
            organization: organization.to_owned(),
            name: "new".to_owned(),
            secrets: vec![Secret { text: Some(secret.to_owned()), has_ended: false }],
            is_disabled: false,
            is_revoked: false,
            is_deleted: false,
            events: vec![Action::KeyIssued],
            pending: None,
        }
    }

    pub(crate) fn lets_in(&self, secret: &Secret) -> bool {
        !(self.is_disabled || self.is_revoked || self.is_deleted || secret.has_ended)
    }

    /// Returns `true` if the pending operation was applied. The number of audit `events` decides; then all of it must
    /// have been.
    pub(crate) fn settle(&mut self, events: usize, moment: &str) -> bool {
        match self.pending.take() {
            Some(pending) if events != self.events.len() => {
                self.apply(pending);
                assert_eq!(events, self.events.len(), "{moment}: {}, cut off", self.id);
                true
            }
            _ => false,
        }
    }

    fn apply(&mut self, operation: Operation) {
        let Operation { verb, detail, secret } = operation;
        match verb.as_str() {
            "rotate" => {
                let kept = if detail == "none" { 0 } else { 1 };
                self.end_all_but(kept);
                self.secrets.push(Secret { text: secret, has_ended: false });
                self.events.push(Action::KeyRotated);
            }
            "end_overlap" => {
                if self.end_all_but(1) {
                    self.events.push(Action::KeyOverlapEnded);
                }
            }
            "disable" => {
                self.is_disabled = true;
                self.events.push(Action::KeyDisabled);
            }
            "enable" => {
                self.is_disabled = false;
                self.events.push(Action::KeyEnabled);
            }
            "rename" => {
                self.name = detail;
                self.events.push(Action::KeyUpdated);
            }
            "revoke" => {
                self.is_revoked = true;
                self.events.push(Action::KeyRevoked);
            }
            "delete" => {
                if !self.is_revoked {
                    self.events.push(Action::KeyRevoked);
                }
                self.is_deleted = true;
                self.events.push(Action::KeyDeleted);
            }
            other => panic!("{other}"),
        }
    }

    /// Ends all secrets except the newest `kept`. Returns `true` if one of them was live.
    fn end_all_but(&mut self, kept: usize) -> bool {
        let mut any = false;
        for secret in self.secrets.iter_mut().rev().skip(kept).filter(|secret| !secret.has_ended) {
            secret.has_ended = true;
            any = true;
        }
        any
    }
}

impl Operation {
    fn new(verb: &str, rest: &[&str]) -> Self {
        let word = |at: usize| rest.get(at).map(|word| (*word).to_owned());
        Operation { verb: verb.to_owned(), detail: word(0).unwrap_or_default(), secret: word(1) }
    }
}

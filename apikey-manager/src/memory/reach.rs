//! The extent of a bulk revocation: the selected keys and, on request, their descendants.

use std::collections::{BTreeMap, BTreeSet};

use apikey_core::{ActorId, KeyDigest, KeyId, ScopeSet, Timestamp};

use super::state::State;
use crate::{
    query::{KeyFilter, MAX_PAGE, Reach, ReachQuery, Selection, Target},
    record::KeyRecord,
    store::{Lineage, Made},
};

/// The keys that are reached, as a whole or by those of their secrets that a reached actor obtained.
#[derive(Default)]
struct Reached {
    /// The keys that are left out.
    kept: BTreeSet<KeyId>,
    keys: BTreeMap<KeyId, Held>,
    /// The keys that are still to be followed.
    open: Vec<(KeyId, Held)>,
}

#[derive(Clone, PartialEq)]
enum Held {
    Whole,
    Secrets(Vec<KeyDigest>),
}

impl Held {
    fn has(&self, secret: Option<&KeyDigest>) -> bool {
        match self {
            Held::Whole => true,
            Held::Secrets(held) => secret.is_some_and(|secret| held.contains(secret)),
        }
    }
}

impl Reached {
    fn add(&mut self, key: KeyId, held: Held) {
        if self.kept.contains(&key) {
            return;
        }
        let is_new = match (self.keys.get_mut(&key), &held) {
            (Some(Held::Whole), _) => false,
            (Some(Held::Secrets(known)), Held::Secrets(more)) => {
                let new: Vec<_> = more.iter().filter(|digest| !known.contains(digest)).cloned().collect();
                known.extend(new.iter().cloned());
                !new.is_empty()
            }
            _ => {
                self.keys.insert(key.clone(), held.clone());
                true
            }
        };
        if is_new {
            self.open.push((key, held));
        }
    }

    fn add_made(&mut self, lineage: &Lineage) {
        match &lineage.made {
            Made::Key => self.add(lineage.key.clone(), Held::Whole),
            Made::Secret(digest) => self.add(lineage.key.clone(), Held::Secrets(vec![digest.clone()])),
            Made::Widening => {}
        }
    }
}

impl State {
    pub(super) fn reach(&self, query: &ReachQuery) -> Reach {
        let Some(owned) = self.organizations.get(&query.organization) else { return Reach::default() };
        let is_kept = |key: &&KeyRecord| query.keep_accounts && key.service_account.is_some();
        let kept = self.keys_of(&query.organization).filter(is_kept).map(|key| key.id.clone()).collect();
        let mut reached = Reached { kept, ..Reached::default() };
        let is_selected = filter_of(&query.selection);
        for key in self.keys_of(&query.organization).filter(|key| is_selected(key)) {
            reached.add(key.id.clone(), Held::Whole);
        }
        let creator = match &query.selection {
            Selection::CreatedBy(actor) => Some(actor),
            _ => None,
        };
        let own = |lineage: &&Lineage| creator == Some(&lineage.actor);
        let is_known = !reached.keys.is_empty() || owned.lineage.iter().any(|lineage| own(&lineage));
        let mut widened = BTreeSet::new();
        if query.descendants {
            owned.lineage.iter().filter(own).for_each(|lineage| reached.add_made(lineage));
            let mut widening: Vec<&Lineage> = owned.lineage.iter().filter(own).collect();
            while let Some((key, held)) = reached.open.pop() {
                let actor = ActorId::of_key(&key);
                for lineage in &owned.lineage {
                    if lineage.actor == actor && held.has(lineage.presented.as_ref()) {
                        reached.add_made(lineage);
                        widening.push(lineage);
                    }
                }
            }
            let is_listed = |lineage: &&&Lineage| {
                lineage.made == Made::Widening
                    && reached.keys.get(&lineage.key) != Some(&Held::Whole)
                    && self.key(&query.organization, &lineage.key).is_some_and(|key| key.revoked.is_none())
            };
            widened.extend(widening.iter().filter(is_listed).map(|lineage| lineage.key.clone()));
        }
        let mut scopes: BTreeMap<&str, (ScopeSet, u64)> = BTreeMap::new();
        let mut targets = Vec::new();
        for (id, held) in &reached.keys {
            let Some(key) = self.key(&query.organization, id).filter(|key| key.revoked.is_none()) else { continue };
            let is_last = query.last.as_ref() == Some(id);
            if query.after.as_ref().is_some_and(|after| id <= after && !is_last) {
                continue;
            }
            let ended = targets_of(key, held, query);
            if !ended.is_empty() {
                scopes.entry(key.scopes.as_str()).or_insert_with(|| (key.scopes.clone(), 0)).1 += 1;
                targets.extend(ended.into_iter().map(|target| (is_last, target)));
            }
        }
        targets.sort_by_key(|(is_last, _)| *is_last);
        Reach {
            is_known,
            scopes: scopes.into_values().collect(),
            targets: targets.into_iter().map(|(_, target)| target).take(query.limit).collect(),
            widened: widened.into_iter().take(MAX_PAGE).collect(),
        }
    }
}

fn filter_of(selection: &Selection) -> impl Fn(&KeyRecord) -> bool {
    let mut filter = KeyFilter::default();
    let mut only = None;
    match selection.clone() {
        Selection::Key(key) => only = Some(key),
        Selection::CreatedBy(actor) => filter.created_by = Some(actor),
        Selection::ServiceAccount(account) => filter.service_account = Some(account),
        Selection::Environment(environment) => filter.environment = Some(environment),
        Selection::Everything => {}
    }
    move |key| only.as_ref().is_none_or(|only| key.id == *only) && filter.matches(key, Timestamp::UNIX_EPOCH)
}

fn targets_of(key: &KeyRecord, held: &Held, query: &ReachQuery) -> Vec<Target> {
    match held {
        Held::Whole => vec![Target { key: key.id.clone(), secret: None }],
        Held::Secrets(held) => {
            let live = key.secrets.iter().filter(|secret| secret.is_live(query.now) && held.contains(&secret.digest));
            let mut live: Vec<_> = live.map(|secret| secret.digest.clone()).collect();
            live.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
            live.into_iter().map(|secret| Target { key: key.id.clone(), secret: Some(secret) }).collect()
        }
    }
}

//! The extent of a bulk revocation, and its effect on keys.

use std::sync::Arc;

use apikey_core::{KeyDigest, KeyId, ScopeSet};
use apikey_manager::{
    ActorId, Change, KeyRecord, KeyState, Lineage, Made, OrganizationId, Reach, ReachQuery, Revocation, SecretRecord,
    Selection, Target,
};

use crate::bed::{Bed, actor, assert_conflict, switched, update};

fn state(key: &KeyRecord) -> KeyState {
    let KeyRecord { id, version, disabled, revoked, .. } = key.clone();
    KeyState { id, version, disabled, revoked }
}

fn set_state(key: &KeyRecord) -> Change {
    Change::SetState(Box::new(state(key)))
}

/// Disabling and revoking change a key's state and version, and nothing else in its record.
pub(crate) async fn setting_the_state_changes_nothing_else(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (mut key, other) = (bed.key(&ours), bed.key(&ours));
    key.description = "what for".to_owned();
    key.expires_at = Some(bed.at(500));
    key.metadata = r#"{"team":7}"#.parse().unwrap();
    bed.insert([&key, &other]).await;
    let revocation = Revocation { at: bed.at(2), by: actor("carol"), reason: "lost".to_owned() };
    let states = [
        (Some(switched(bed.at(1))), None),
        (None, None),
        (Some(switched(bed.at(3))), Some(revocation.clone())),
        (None, Some(revocation)),
    ];
    for (disabled, revoked) in states {
        (key.disabled, key.revoked) = (disabled, revoked);
        key.version += 1;
        bed.commit(&ours, [set_state(&key)]).await.unwrap();
        assert_eq!(bed.stored(&key).await, key, "the key in its new state");
        assert_eq!(
            bed.found(&key.secrets[0].digest).await.is_revoked,
            key.revoked.is_some(),
            "as the read path sees it"
        );
    }
    assert_eq!(bed.stored(&other).await, other, "a key that was not changed");
    let before = bed.dump(&[&ours]).await;
    assert_conflict(bed.commit(&ours, [set_state(&key)]).await, "a state for a version that is there already");
    let mut unknown = bed.key(&ours);
    unknown.version = 2;
    assert_conflict(bed.commit(&ours, [set_state(&unknown)]).await, "a state of an unknown key");
    let theirs = bed.organization("theirs");
    key.version += 1;
    assert_conflict(bed.commit(&theirs, [set_state(&key)]).await, "a state of another organization's key");
    assert_eq!(bed.dump(&[&ours]).await, before, "what is kept after the refusals");
    // Several in one transaction, and one of them twice.
    let mut second = other.clone();
    second.version = 2;
    let mut third = second.clone();
    (third.disabled, third.version) = (Some(switched(bed.at(4))), 3);
    bed.commit(&ours, [set_state(&key), set_state(&second), set_state(&third)]).await.unwrap();
    assert_eq!(bed.stored(&key).await, key, "the first of several");
    assert_eq!(bed.stored(&third).await, third, "a key whose state was set twice");
}

/// An ended secret is marked, and no update removes the mark.
pub(crate) async fn an_ended_secret_is_marked_for_good(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut key = bed.key(&ours);
    for (superseded_at, ends_at) in [(None, None), (Some(bed.at(-9)), Some(bed.at(-5))), (None, Some(bed.at(900)))] {
        let mut older = SecretRecord::new(bed.digest(), bed.at(-10));
        (older.superseded_at, older.ends_at) = (superseded_at, ends_at);
        key.secrets.push(older);
    }
    bed.insert([&key]).await;
    let ended: Vec<KeyDigest> = key.secrets[1..].iter().map(|secret| secret.digest.clone()).collect();
    key.version = 2;
    for secret in &mut key.secrets[1..] {
        secret.ended_at = Some(bed.at(7));
        secret.ends_at = Some(secret.ends_at.map_or(bed.at(7), |earlier| earlier.min(bed.at(7))));
        secret.superseded_at.get_or_insert(bed.at(7));
    }
    let change = || Change::EndSecrets(key.id.clone(), 2, ended.clone(), bed.at(7));
    bed.commit(&ours, [change()]).await.unwrap();
    assert_eq!(bed.stored(&key).await, key, "the key after some of its secrets were ended");
    for (n, secret) in key.secrets.iter().enumerate() {
        assert_eq!(
            bed.found(&secret.digest).await.is_secret_ended,
            n > 0,
            "is a secret ended, as the read path sees it"
        );
    }
    let before = bed.dump(&[&ours]).await;
    assert_conflict(bed.commit(&ours, [change()]).await, "an end for a version that is there already");
    let unknown = Change::EndSecrets(key.id.clone(), 3, vec![bed.digest()], bed.at(8));
    assert_conflict(bed.commit(&ours, [unknown]).await, "the end of a secret that the key has not");
    assert_eq!(bed.dump(&[&ours]).await, before, "what is kept after the refusals");
    // A writer that doesn't know of it.
    let mut revived = key.clone();
    for secret in &mut revived.secrets {
        (secret.ended_at, secret.ends_at) = (None, None);
    }
    bed.commit(&ours, [update(revived)]).await.unwrap();
    let marks = |key: &KeyRecord| key.secrets.iter().map(|secret| secret.ended_at).collect::<Vec<_>>();
    assert_eq!(marks(&bed.stored(&key).await), marks(&key), "the marks after an update without them");
}

/// Keys, and their lineage.
struct Line<'b> {
    bed: &'b Bed,
    ours: OrganizationId,
    changes: Vec<Change>,
}

impl Line<'_> {
    /// Inserts a key that `by` has issued.
    fn issue(&mut self, by: &(ActorId, Option<KeyDigest>), scopes: &str) -> KeyRecord {
        let mut key = self.bed.key(&self.ours);
        key.created_by = by.0.clone();
        key.scopes = ScopeSet::parse(scopes).unwrap();
        self.changes.push(Change::InsertKey(Box::new(key.clone())));
        self.made(by, &key.id, Made::Key);
        key
    }

    /// Adds a secret that `by` has made for a key.
    fn rotate(&mut self, by: &(ActorId, Option<KeyDigest>), key: &mut KeyRecord) {
        let digest = self.bed.digest();
        key.secrets.insert(0, SecretRecord::new(digest.clone(), self.bed.now()));
        key.version += 1;
        self.changes.push(Change::UpdateKey(Box::new(key.clone())));
        self.made(by, &key.id, Made::Secret(digest));
    }

    fn made(&mut self, by: &(ActorId, Option<KeyDigest>), key: &KeyId, made: Made) {
        let (actor, presented) = by.clone();
        self.changes.push(Change::Lineage(Lineage { actor, presented, key: key.clone(), made }));
    }
}

/// Returns a key as an actor that presents one of its secrets.
fn by(key: &KeyRecord, secret: usize) -> (ActorId, Option<KeyDigest>) {
    (ActorId::of_key(&key.id), Some(key.secrets[secret].digest.clone()))
}

pub(super) fn query(bed: &Bed, ours: &OrganizationId, selection: Selection, descendants: bool) -> ReachQuery {
    let organization = ours.clone();
    let (keep_accounts, now) = (false, bed.now());
    ReachQuery { organization, selection, descendants, keep_accounts, now, last: None, after: None, limit: 1_000 }
}

fn whole(key: &KeyRecord) -> Target {
    Target { key: key.id.clone(), secret: None }
}

fn newest(key: &KeyRecord) -> Target {
    Target { key: key.id.clone(), secret: Some(key.secrets[0].digest.clone()) }
}

fn sorted(mut targets: Vec<Target>) -> Vec<Target> {
    targets.sort_by(|a, b| a.key.cmp(&b.key));
    targets
}

/// Lineage leads to every key and secret that was made with a key, also across deleted ones.
pub(crate) async fn lineage_reaches_everything_that_was_made(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let host = (actor("host"), None);
    let mut line = Line { bed: &bed, ours: ours.clone(), changes: Vec::new() };
    let thief = line.issue(&host, "*");
    let child = line.issue(&by(&thief, 0), "*");
    let grandchild = line.issue(&by(&child, 0), "*");
    let mut victim = line.issue(&host, "*");
    let owners = line.issue(&by(&victim, 0), "*");
    line.rotate(&by(&grandchild, 0), &mut victim);
    let of_victim = line.issue(&by(&victim, 0), "*");
    let mut deleted = line.issue(&by(&of_victim, 0), "*");
    let of_deleted = line.issue(&by(&deleted, 0), "*");
    let wider = line.issue(&host, "*");
    line.made(&by(&of_deleted, 0), &wider.id, Made::Widening);
    let apart = line.issue(&host, "*");
    bed.commit(&ours, line.changes).await.unwrap();
    deleted.version += 1;
    bed.commit(&ours, [Change::DeleteKey(deleted.id.clone())]).await.unwrap();

    let reach = async |selection, descendants| bed.store.reach(&query(&bed, &ours, selection, descendants)).await;
    let of_thief = reach(Selection::Key(thief.id.clone()), true).await.unwrap();
    let all = [&thief, &child, &grandchild, &of_victim, &of_deleted].map(whole);
    let expected = sorted(all.into_iter().chain([newest(&victim)]).collect());
    assert_eq!(of_thief.targets, expected, "what the line of a key comes to");
    assert_eq!(of_thief.widened, std::slice::from_ref(&wider.id), "the keys that its line has let do more");
    assert_eq!(of_thief.scopes, [(ScopeSet::parse("*").unwrap(), 6)], "the scopes of its line");
    let alone = reach(Selection::Key(thief.id.clone()), false).await.unwrap();
    assert_eq!((alone.targets, alone.widened), (vec![whole(&thief)], vec![]), "a key without its line");
    let of_victim_alone = reach(Selection::Key(victim.id.clone()), true).await.unwrap().targets;
    let expected = sorted([&victim, &owners, &of_victim, &of_deleted].map(whole).to_vec());
    assert_eq!(of_victim_alone, expected, "a key with its line, whichever secret made it");
    // By the actor: the keys that it issued, and the secrets that it obtained.
    let by_child = reach(Selection::CreatedBy(ActorId::of_key(&grandchild.id)), true).await.unwrap().targets;
    assert_eq!(by_child, sorted(vec![newest(&victim), whole(&of_victim), whole(&of_deleted)]), "the line of an actor");
    // Without the keys of service accounts, and what only those made.
    let account = bed.account(&ours);
    let mut line = Line { bed: &bed, ours: ours.clone(), changes: vec![Change::InsertAccount(account.clone())] };
    let mut export = bed.key(&ours);
    (export.created_by, export.service_account) = (ActorId::of_key(&victim.id), Some(account.id));
    line.changes.push(Change::InsertKey(Box::new(export.clone())));
    line.made(&by(&victim, 1), &export.id, Made::Key);
    let of_export = line.issue(&by(&export, 0), "*");
    bed.commit(&ours, line.changes).await.unwrap();
    for (descendants, keep_accounts, expected) in [
        (false, false, vec![&owners, &of_victim, &export]),
        (false, true, vec![&owners, &of_victim]),
        (true, false, vec![&owners, &of_victim, &of_deleted, &export, &of_export]),
        (true, true, vec![&owners, &of_victim, &of_deleted]),
    ] {
        let by_victim = query(&bed, &ours, Selection::CreatedBy(ActorId::of_key(&victim.id)), descendants);
        let targets = bed.store.reach(&ReachQuery { keep_accounts, ..by_victim }).await.unwrap().targets;
        let expected = sorted(expected.into_iter().map(whole).collect());
        assert_eq!(
            targets, expected,
            "the keys of an actor: descendants {descendants}, without accounts' {keep_accounts}"
        );
    }
    // The lineage of a revoked key is followed, and an ended secret is no longer a target.
    let revocation = Revocation { at: bed.now(), by: actor("carol"), reason: String::new() };
    let revoked = KeyState { version: 2, revoked: Some(revocation), ..state(&child) };
    let end = Change::EndSecrets(victim.id.clone(), 3, vec![victim.secrets[0].digest.clone()], bed.now());
    bed.commit(&ours, [Change::SetState(Box::new(revoked)), end]).await.unwrap();
    let rest = reach(Selection::Key(thief.id.clone()), true).await.unwrap().targets;
    let expected = sorted([&thief, &grandchild, &of_victim, &of_deleted].map(whole).to_vec());
    assert_eq!(rest, expected, "what is left of the line");
    assert!(!expected.contains(&whole(&apart)), "a key of another line is not reached");
    assert_eq!(reach(Selection::Key(bed.id()), true).await.unwrap(), Reach::default(), "the line of an unknown key");
    let theirs = query(&bed, &bed.organization("theirs"), Selection::Key(thief.id), true);
    assert_eq!(bed.store.reach(&theirs).await.unwrap(), Reach::default(), "the line of another organization's key");
}

/// A transaction tells which secret made a secret, and distinguishes the presented secret and the organization.
pub(crate) async fn lineage_tells_which_secret_made_a_secret(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut line = Line { bed: &bed, ours: ours.clone(), changes: Vec::new() };
    let mut key = line.issue(&(actor("host"), None), "*");
    let other = line.issue(&(actor("host"), None), "*");
    let itself = by(&key, 0);
    line.rotate(&itself, &mut key);
    line.rotate(&(actor("host"), None), &mut key);
    bed.commit(&ours, line.changes).await.unwrap();
    let [newest, second, first] = [0, 1, 2].map(|at| key.secrets[at].digest.clone());
    let mut transaction = bed.store.begin(&ours).await.unwrap();
    assert!(transaction.has_made(&itself.0, &first, &second).await.unwrap(), "what it made");
    for (who, presented, secret) in [
        (&itself.0, &second, &newest),
        (&itself.0, &first, &newest),
        (&itself.0, &second, &second),
        (&by(&other, 0).0, &first, &second),
    ] {
        assert!(!transaction.has_made(who, presented, secret).await.unwrap(), "{who} did not make it");
    }
    drop(transaction);
    let mut theirs = bed.store.begin(&bed.organization("theirs")).await.unwrap();
    assert!(!theirs.has_made(&itself.0, &first, &second).await.unwrap(), "another organization's line");
}

/// A selection is reached in steps by id, without revoked keys, with the last key at the end.
pub(crate) async fn steps_reach_each_selected_key_once(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut keys: Vec<_> = (0..40).map(|_| bed.key(&ours)).collect();
    for (n, key) in keys.iter_mut().enumerate() {
        key.environment = Some(if n % 4 == 0 { "test" } else { "live" }.to_owned());
        key.scopes = ScopeSet::parse(if n % 3 == 0 { "a:b" } else { "a:b c:d" }).unwrap();
        if n % 5 == 0 {
            key.revoked = Some(Revocation { at: bed.now(), by: actor("carol"), reason: String::new() });
        }
    }
    bed.insert(&keys).await;
    bed.insert([&bed.key(&bed.organization("theirs"))]).await;
    let is_left = |key: &&KeyRecord| key.revoked.is_none() && key.environment.as_deref() == Some("live");
    let mut left: Vec<_> = keys.iter().filter(is_left).map(|key| key.id.clone()).collect();
    left.sort();
    let last = left[3].clone();
    let selection = Selection::Environment("live".to_owned());
    let mut asked = ReachQuery { last: Some(last.clone()), limit: 7, ..query(&bed, &ours, selection, false) };
    let mut reached: Vec<KeyId> = Vec::new();
    while reached.len() < left.len() {
        let step = bed.store.reach(&asked).await.unwrap();
        assert!(step.is_known, "a selection that names keys is known");
        let count: u64 = step.scopes.iter().map(|(_, keys)| keys).sum();
        assert_eq!(count, (left.len() - reached.len()) as u64, "how many are left");
        let Some(end) = step.targets.last() else { panic!("a step without a target, and {count} left") };
        assert!(step.targets.len() <= 7, "a step of at most 7 has {}", step.targets.len());
        asked.after = Some(end.key.clone());
        reached.extend(step.targets.into_iter().map(|target| target.key));
    }
    let mut expected = left.clone();
    expected.retain(|id| *id != last);
    expected.push(last);
    assert_eq!(reached, expected, "the keys in the order in which they end");
    let scopes: Vec<_> = bed.store.reach(&query(&bed, &ours, Selection::Everything, false)).await.unwrap().scopes;
    let mut counts: Vec<_> = scopes.iter().map(|(scopes, keys)| (scopes.as_str(), *keys)).collect();
    counts.sort_unstable();
    let of =
        |thirds: bool| keys.iter().enumerate().filter(move |(n, key)| (n % 3 == 0) == thirds && key.revoked.is_none());
    let expected = [("a:b", of(true).count() as u64), ("a:b c:d", of(false).count() as u64)];
    assert_eq!(counts, expected, "the scopes of all keys, and how many keys have each");
    let nothing = query(&bed, &ours, Selection::Environment("stage".to_owned()), true);
    assert_eq!(bed.store.reach(&nothing).await.unwrap(), Reach::default(), "an environment without keys");
    let revoked = keys[0].id.clone();
    let over = bed.store.reach(&query(&bed, &ours, Selection::Key(revoked), true)).await.unwrap();
    assert_eq!(over, Reach { is_known: true, ..Reach::default() }, "a key that is revoked");
}

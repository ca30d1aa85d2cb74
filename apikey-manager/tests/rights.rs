//! Judges 100,000 random operations that yield a secret or raise a key's rights a second time, by a plain reading of
//! the rules: refused operations must be forbidden, and completed ones allowed.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::time::Duration;

use apikey_core::{KeyDigest, KeyFormat, KeyId, ManualClock, ScopeSet, Timestamp};
use apikey_manager::{
    Actor, Expiry, Forbidden, ImportKey, KeyManager, KeyRecord, KeyUpdate, ManageError, MemoryStore, NewAccount,
    NewKey, OrganizationId, Overlap, Patch, Rights, ServiceAccountId,
};

const CASES: usize = 100_000;
/// A world is small, and replaced often.
const CASES_A_WORLD: usize = 250;

/// The scopes that a handler might require.
const WANTED: [&str; 7] =
    ["files:read", "files:write", "files:old:read", "members:read", "keys:read", "keys:write", "keys:admin"];
/// The grants of keys.
const GRANTS: [&str; 12] = [
    "*",
    "files:*",
    "files:read",
    "files:write",
    "files:old:read",
    "members:read",
    "members:*",
    "keys:*",
    "keys:read",
    "keys:write",
    "keys:admin",
    "uploader",
];

/// A reproducible sequence of choices (SplitMix64).
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn grants(&mut self) -> Vec<String> {
        let count = 1 + self.below(3);
        (0..count).map(|_| (*self.of(&GRANTS)).to_owned()).collect()
    }
}

/// Returns `true` if a key with these grants reaches `wanted`. Roles and implications are implemented a second time.
fn reaches(grants: &[String], wanted: &str) -> bool {
    grants.iter().any(|grant| match (grant.as_str(), wanted) {
        ("*", _) => true,
        ("uploader", "files:read" | "files:write") => true,
        ("keys:admin" | "keys:*", "keys:read" | "keys:write" | "keys:admin") => true,
        ("keys:write", "keys:read" | "keys:write") => true,
        (grant, wanted) => match grant.strip_suffix('*') {
            Some(stem) => wanted.starts_with(stem),
            None => grant == wanted,
        },
    })
}

/// Returns `true` if `mine` reaches everything that `theirs` may ever reach. Wildcards cover more than today's names.
fn covers(mine: &[String], theirs: &[String]) -> bool {
    let reaches_whole = |grant: &String| match grant.as_str() {
        "*" => mine.iter().any(|own| own == "*"),
        "uploader" => mine.iter().any(|own| own == "*" || own == "uploader"),
        "files:*" => mine.iter().any(|own| own == "*" || own == "files:*"),
        "members:*" => mine.iter().any(|own| own == "*" || own == "members:*"),
        "keys:*" => mine.iter().any(|own| own == "*" || own == "keys:*"),
        name => reaches(mine, name),
    };
    theirs.iter().all(reaches_whole) && WANTED.iter().all(|wanted| !reaches(theirs, wanted) || reaches(mine, wanted))
}

struct Holder {
    actor: Actor,
    grants: Vec<String>,
    expires_at: Option<Timestamp>,
}

impl Holder {
    fn may_hand_out(&self, grants: &[String], expires_at: Option<Timestamp>, to_account: bool) -> bool {
        let is_admin = reaches(&self.grants, "keys:admin");
        let manages = grants.iter().any(|grant| grant == "*" || grant.starts_with("keys:"));
        reaches(&self.grants, "keys:write")
            && (is_admin || !(manages || to_account))
            && covers(&self.grants, grants)
            && self.expires_at.is_none_or(|own| expires_at.is_some_and(|expires_at| expires_at <= own))
    }

    fn may_touch(&self, key: &KeyRecord) -> bool {
        reaches(&self.grants, "keys:admin")
            || (reaches(&self.grants, "keys:write") && covers(&self.grants, &grants_of(key)))
    }
}

fn grants_of(key: &KeyRecord) -> Vec<String> {
    key.scopes.iter().map(str::to_owned).collect()
}

struct World {
    keys: KeyManager,
    clock: ManualClock,
    host: Actor,
    account: ServiceAccountId,
    ids: Vec<KeyId>,
}

impl World {
    async fn new(choices: &mut Choices) -> Self {
        let clock = ManualClock::new();
        let catalog = apikey_core::ScopeCatalog::new().role("uploader", ["files:read", "files:write"]).unwrap();
        let catalog = WANTED
            .iter()
            .filter(|name| !name.starts_with("keys:"))
            .fold(catalog, |catalog, name| catalog.scope(apikey_core::Scope::new(*name).unwrap(), ""));
        let keys = KeyManager::builder(MemoryStore::new())
            .format(KeyFormat::builder("t").build().unwrap())
            .catalog(catalog)
            .clock(clock.clone())
            .authenticator(|builder| builder.cache_capacity(64).refused_capacity(64))
            .build()
            .unwrap();
        let host = Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap();
        let account = keys.create_account(&host, NewAccount::new("robot")).await.unwrap().id;
        let mut world = World { keys, clock, host, account, ids: Vec::new() };
        for _ in 0..12 {
            let mut key = NewKey::new("k").scopes(choices.grants());
            if choices.one_in(2) {
                key = key.expires_in(Duration::from_secs(60 * (1 + choices.below(5)) as u64));
            }
            if choices.one_in(4) {
                key = key.service_account(world.account.clone());
            }
            let id = world.keys.issue(&world.host, key).await.unwrap().id().clone();
            if choices.one_in(4) {
                world.keys.disable(&world.host, &id).await.unwrap();
            }
            world.ids.push(id);
        }
        world
    }

    fn holder(&self, choices: &mut Choices, stranger: bool) -> Holder {
        let grants = choices.grants();
        let lifetime = Duration::from_secs(60 * (1 + choices.below(5)) as u64);
        let expires_at = choices.one_in(2).then(|| self.clock.wall() + lifetime);
        let mut rights = Rights::scopes(ScopeSet::from_grants(&grants).unwrap());
        if let Some(expires_at) = expires_at {
            rights = rights.until(expires_at);
        }
        let organization = OrganizationId::new(if stranger { "other" } else { "acme" }).unwrap();
        Holder { actor: Actor::user("somebody", organization, rights).unwrap(), grants, expires_at }
    }

    fn expiry(&self, choices: &mut Choices) -> Option<Timestamp> {
        let lifetime = Duration::from_secs(60 * (1 + choices.below(6)) as u64);
        choices.one_in(2).then(|| self.clock.wall() + lifetime)
    }

    /// Performs one operation, and returns whether it should be allowed; `None` if something else prevented it.
    async fn request(&mut self, choices: &mut Choices) -> Option<(String, bool, bool)> {
        let stranger = choices.one_in(10);
        let holder = self.holder(choices, stranger);
        let id = choices.of(&self.ids).clone();
        let before = self.keys.get(&self.host, &id).await.unwrap();
        let is_over = !before.status(self.clock.wall()).is_counted();
        let keys = &self.keys;
        let holds = |expires_at, grants: &[String], account| holder.may_hand_out(grants, expires_at, account);
        let own = grants_of(&before);
        let bound = before.service_account.is_some();
        let (operation, allowed, result) = match choices.below(8) {
            0 => {
                let (grants, expires_at) = (choices.grants(), self.expiry(choices));
                let to_account = choices.one_in(4);
                let mut key = NewKey::new("n").scopes(grants.clone());
                key = key.expiry(expires_at.map_or(Expiry::Never, Expiry::At));
                if to_account {
                    key = key.service_account(self.account.clone());
                }
                if stranger && to_account {
                    return None;
                }
                let result = keys.issue(&holder.actor, key).await.map(|issued| issued.record().clone());
                if let (Ok(key), false) = (&result, stranger) {
                    self.ids.push(key.id.clone());
                }
                return Some(judged("issue", holds(expires_at, &grants, to_account), &result, &holder));
            }
            1 if !is_over => (
                "duplicate",
                holds(before.expires_at, &own, bound),
                keys.duplicate(&holder.actor, &id).await.map(|issued| issued.record().clone()),
            ),
            2 if !is_over => {
                let overlap = *choices.of(&[Overlap::None, Overlap::UntilEnded, Overlap::For(Duration::from_secs(60))]);
                let result = keys.rotate(&holder.actor, &id, overlap).await.map(|issued| issued.record().clone());
                ("rotate", holds(before.expires_at, &own, bound), result)
            }
            3 if before.revoked.is_none() => {
                let result = keys.enable(&holder.actor, &id).await;
                ("enable", holds(before.expires_at, &own, bound), result)
            }
            4 if before.revoked.is_none() => {
                let expires_at = self.expiry(choices);
                let set = expires_at.map_or(Patch::Clear, Patch::To);
                let result = keys.update(&holder.actor, &id, KeyUpdate::new().expires_at(set)).await;
                let extends = before.expires_at.is_some_and(|old| expires_at.is_none_or(|new| new > old));
                let allowed = holder.may_touch(&before) && (!extends || holds(expires_at, &own, bound));
                ("extend", allowed, result)
            }
            5 if !is_over => {
                let grants = choices.grants();
                let result = keys.update(&holder.actor, &id, KeyUpdate::new().scopes(Patch::To(grants.clone()))).await;
                let widens = !covers(&own, &grants);
                let allowed = holder.may_touch(&before) && (!widens || holds(before.expires_at, &grants, bound));
                ("grant", allowed, result)
            }
            6 => {
                let result = keys.end_overlap(&holder.actor, &id).await;
                ("end overlap", holds(before.expires_at, &own, bound), result)
            }
            7 => {
                let result = keys.revoke(&holder.actor, &id, "").await;
                ("revoke", holder.may_touch(&before), result)
            }
            _ => return None,
        };
        if stranger {
            // In their own organization, the attempt is allowed, but there is no such key.
            assert!(
                matches!(result, Err(ManageError::NotFound(_) | ManageError::Forbidden(_))),
                "{operation}: a stranger's key was touched: {result:?}"
            );
            return None;
        }
        Some(judged(operation, allowed, &result, &holder))
    }
}

fn judged(
    operation: &str,
    allowed: bool,
    result: &Result<KeyRecord, ManageError>,
    holder: &Holder,
) -> (String, bool, bool) {
    let was_allowed = match result {
        Ok(_) => true,
        Err(ManageError::Forbidden(_)) => false,
        Err(other) => panic!("{operation}: {other:?}"),
    };
    let described = format!("{operation} by {:?} until {:?}: {result:?}", holder.grants, holder.expires_at);
    (described, allowed, was_allowed)
}

#[tokio::test]
async fn given_random_actors_when_they_ask_for_more_then_nobody_hands_out_what_they_do_not_have() {
    let seed = std::env::var("RIGHTS_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut choices = Choices(seed);
    let (mut judged, mut allowed) = (0, 0);
    while judged < CASES {
        let mut world = World::new(&mut choices).await;
        for _ in 0..CASES_A_WORLD {
            if let Some((request, may, did)) = world.request(&mut choices).await {
                assert_eq!(may, did, "seed {seed}: {request}");
                judged += 1;
                allowed += usize::from(did);
            }
        }
    }
    // Both outcomes must be frequent, or the test would show little.
    assert!((CASES / 20..CASES * 19 / 20).contains(&allowed), "{allowed} of {judged} were allowed");
}

#[tokio::test]
async fn given_a_service_account_when_someone_who_could_not_issue_its_keys_brings_them_back_then_it_is_refused() {
    let world = World::new(&mut Choices(1)).await;
    let World { keys, host, .. } = &world;
    let account = keys.create_account(host, NewAccount::new("robot")).await.unwrap().id;
    keys.issue(host, NewKey::new("k").scopes(["files:read"]).service_account(account.clone())).await.unwrap();
    let actor = |grants: &str| {
        let rights = Rights::scopes(ScopeSet::parse(grants).unwrap());
        Actor::user("somebody", OrganizationId::new("acme").unwrap(), rights).unwrap()
    };
    let (manager, equal) = (actor("keys:admin"), actor("keys:admin files:read"));
    let refused = |result: Result<(), ManageError>| assert!(matches!(result, Err(ManageError::Forbidden(_))));
    refused(keys.rotate_account(&manager, &account, Overlap::None).await.map(drop));
    // Disabling grants nothing, so the scopes of the keys are not required.
    keys.disable_account(&manager, &account).await.unwrap();
    refused(keys.enable_account(&manager, &account).await.map(drop));
    refused(keys.enable_account(&actor("keys:write files:read"), &account).await.map(drop));
    assert!(keys.account(host, &account).await.unwrap().disabled.is_some());
    keys.enable_account(&equal, &account).await.unwrap();
    keys.rotate_account(&equal, &account, Overlap::None).await.unwrap();
    keys.delete_account(&manager, &account).await.unwrap();
}

#[tokio::test]
async fn given_what_is_the_hosts_alone_when_someone_with_every_scope_asks_then_it_is_refused() {
    let world = World::new(&mut Choices(2)).await;
    let rights = Rights::scopes(ScopeSet::parse("*").unwrap());
    let owner = Actor::user("owner", OrganizationId::new("acme").unwrap(), rights).unwrap();
    let keys = &world.keys;
    let results = [
        keys.suspend_organization(&owner).await.map(drop),
        keys.resume_organization(&owner).await.map(drop),
        keys.bootstrap(&owner, NewKey::new("first")).await.map(drop),
        keys.import(&owner, "move", [ImportKey::hashed("k", KeyDigest::sha256_from_bytes([1; 32]))], 1, |_| ())
            .await
            .map(drop),
    ];
    for (at, result) in results.into_iter().enumerate() {
        let is_host_only = matches!(result, Err(ManageError::Forbidden(Forbidden::HostOnly)));
        assert!(is_host_only, "{at}: {result:?}");
    }
}

//! Changes by the manager take effect in its authenticator before the operation returns, whatever was cached.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use apikey_core::{
    AuthenticatedKey, Authenticator, KeyDigest, KeyFormat, ManualClock, PlaintextKey, Rejection,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};
use apikey_manager::{
    Action, Actor, AuditFilter, BulkRevocation, Forbidden, ImportKey, IssuedKey, KeyFilter, KeyManager, KeyUpdate,
    ManageError, MemoryStore, NewAccount, NewKey, OrganizationId, Overlap, PageRequest, Patch, Selection,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Creates a request with a key.
struct Request(String);

impl RequestView for Request {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.0.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}

async fn present(authenticator: &Authenticator, secret: &PlaintextKey) -> Result<AuthenticatedKey, Rejection> {
    let decision = match authenticator.authenticate(&Request(format!("Bearer {}", secret.expose_secret()))) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    };
    decision.map(|key| key.expect("the authenticator is not optional"))
}

struct Service {
    keys: KeyManager,
    store: MemoryStore,
    host: Actor,
    clock: ManualClock,
}

impl Service {
    fn new() -> Self {
        let (clock, store) = (ManualClock::new(), MemoryStore::new());
        let keys = KeyManager::builder(store.clone())
            .format(KeyFormat::builder("t").build().unwrap())
            .clock(clock.clone())
            .build()
            .unwrap();
        let host = Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap();
        Service { keys, store, host, clock }
    }

    async fn issue(&self, key: NewKey) -> IssuedKey {
        self.keys.issue(&self.host, key).await.unwrap()
    }

    async fn issued(&self) -> IssuedKey {
        let issued = self.issue(NewKey::new("k").scopes(["files:read"])).await;
        // The key is cached from here on.
        assert!(self.lets_in(issued.secret()).await);
        issued
    }

    async fn present(&self, secret: &PlaintextKey) -> Result<AuthenticatedKey, Rejection> {
        present(&self.keys.authenticator(), secret).await
    }

    async fn lets_in(&self, secret: &PlaintextKey) -> bool {
        match self.present(secret).await {
            Ok(_) => true,
            Err(rejection) => {
                assert_eq!(rejection.code(), "invalid_token");
                false
            }
        }
    }
}

#[tokio::test]
async fn given_an_issued_key_when_presented_then_its_claims_are_those_of_its_record() {
    let service = Service::new();
    let metadata = serde_json::Map::from_iter([("tier".to_owned(), 2.into())]);
    let account = service.keys.create_account(&service.host, NewAccount::new("robot")).await.unwrap();
    let key = NewKey::new("k").scopes(["files:read"]).metadata(metadata).service_account(account.id.clone());
    let issued = service.issue(key.expires_in(MINUTE)).await;
    let caller = service.present(issued.secret()).await.unwrap();
    assert_eq!(caller.key_id(), issued.id());
    assert_eq!(caller.name(), "k");
    assert_eq!(caller.organization().map(|id| id.as_str()), Some("acme"));
    assert_eq!(caller.service_account(), Some(&account.id));
    assert_eq!(caller.scopes().as_str(), "files:read");
    assert_eq!(caller.expires_at(), issued.record().expires_at);
    assert_eq!(caller.metadata().get("tier"), Some(2.into()));
    service.clock.advance(MINUTE);
    assert!(!service.lets_in(issued.secret()).await, "it has expired");
}

#[tokio::test]
async fn given_a_cached_key_when_it_is_ended_then_the_next_request_is_refused_and_handles_die() {
    for how in ["revoke", "disable", "delete", "suspend", "selected", "self"] {
        let service = Service::new();
        let Service { keys, host, .. } = &service;
        let issued = service.issued().await;
        let caller = service.present(issued.secret()).await.unwrap();
        match how {
            "revoke" => drop(keys.revoke(host, issued.id(), "").await.unwrap()),
            "disable" => drop(keys.disable(host, issued.id()).await.unwrap()),
            "delete" => keys.delete(host, issued.id()).await.unwrap(),
            "suspend" => drop(keys.suspend_organization(host).await.unwrap()),
            "selected" => {
                let revoked = keys.revoke_selected(host, BulkRevocation::new(Selection::Everything)).await.unwrap();
                assert_eq!(revoked.keys.len(), 1);
            }
            _ => drop(keys.revoke_self(&Actor::key(&caller).unwrap(), "leaked").await.unwrap()),
        }
        assert!(!service.lets_in(issued.secret()).await, "{how}");
        assert!(!caller.is_live(), "{how}");
    }
}

#[tokio::test]
async fn given_a_refused_key_when_it_comes_back_then_the_next_request_is_let_in() {
    let service = Service::new();
    let Service { keys, host, .. } = &service;
    let issued = service.issued().await;
    keys.disable(host, issued.id()).await.unwrap();
    assert!(!service.lets_in(issued.secret()).await);
    keys.enable(host, issued.id()).await.unwrap();
    assert!(service.lets_in(issued.secret()).await);
    keys.suspend_organization(host).await.unwrap();
    assert!(!service.lets_in(issued.secret()).await);
    keys.resume_organization(host).await.unwrap();
    assert!(service.lets_in(issued.secret()).await);
    let soon = service.clock.wall() + MINUTE;
    keys.update(host, issued.id(), KeyUpdate::new().expires_at(Patch::To(soon))).await.unwrap();
    service.clock.advance(MINUTE);
    assert!(!service.lets_in(issued.secret()).await);
    keys.update(host, issued.id(), KeyUpdate::new().expires_at(Patch::Clear)).await.unwrap();
    assert!(service.lets_in(issued.secret()).await);
}

#[tokio::test]
async fn given_an_unknown_key_when_it_is_imported_then_the_next_request_is_let_in() {
    let service = Service::new();
    let secret = KeyFormat::builder("t").build().unwrap().generate().unwrap();
    assert!(!service.lets_in(&secret).await);
    let row = ImportKey::raw("old", secret.expose_secret().parse().unwrap()).scopes(["files:read"]);
    service.keys.import(&service.host, "move", [row], 10, |_| ()).await.unwrap();
    assert_eq!(service.present(&secret).await.unwrap().name(), "old");
}

#[tokio::test]
async fn given_a_cached_key_when_its_scopes_are_cut_then_the_next_request_lacks_them_and_the_last_one_lives() {
    let service = Service::new();
    let issued = service.issued().await;
    let caller = service.present(issued.secret()).await.unwrap();
    let cut = KeyUpdate::new().scopes(Patch::To(vec!["files:list".to_owned()]));
    service.keys.update(&service.host, issued.id(), cut).await.unwrap();
    assert_eq!(service.present(issued.secret()).await.unwrap().scopes().as_str(), "files:list");
    assert!(caller.is_live());
}

#[tokio::test]
async fn given_a_rotation_when_its_overlap_ends_then_the_old_secret_ends_and_the_new_one_stays() {
    let service = Service::new();
    let Service { keys, host, clock, .. } = &service;
    let first = service.issued().await;
    let second = keys.rotate(host, first.id(), Overlap::None).await.unwrap();
    assert!(!service.lets_in(first.secret()).await && service.lets_in(second.secret()).await);

    let third = keys.rotate(host, first.id(), Overlap::For(MINUTE)).await.unwrap();
    assert!(service.lets_in(second.secret()).await && service.lets_in(third.secret()).await);
    clock.advance(MINUTE);
    assert!(!service.lets_in(second.secret()).await && service.lets_in(third.secret()).await);

    let fourth = keys.rotate(host, first.id(), Overlap::UntilEnded).await.unwrap();
    clock.advance(100 * MINUTE);
    let (old, new) = (service.present(third.secret()).await.unwrap(), service.present(fourth.secret()).await.unwrap());
    keys.end_overlap(host, first.id()).await.unwrap();
    assert!(!service.lets_in(third.secret()).await && service.lets_in(fourth.secret()).await);
    assert!(!old.is_live() && new.is_live(), "only the old secret's requests end");
}

/// Each answer except the last is lost, so the first secret rotates again and again.
#[tokio::test]
async fn a_key_rotates_itself_until_an_answer_arrives() {
    let service = Service::new();
    let Service { keys, clock, .. } = &service;
    let first = service.issue(NewKey::new("k").scopes(["files:read"]).expires_in(100 * MINUTE)).await;
    let actor = Actor::key(&service.present(first.secret()).await.unwrap()).unwrap();
    let mut lost = keys.rotate_self(&actor, 5 * MINUTE).await.unwrap();
    for _ in 0..20 {
        let next = keys.rotate_self(&actor, 100 * MINUTE).await.unwrap();
        assert!(!service.lets_in(lost.secret()).await, "the secret that was lost has ended");
        assert!(service.lets_in(first.secret()).await && service.lets_in(next.secret()).await);
        lost = next;
    }
    let second = lost;
    assert_eq!(second.id(), first.id());
    assert_eq!(
        (&second.record().scopes, second.record().expires_at),
        (&first.record().scopes, first.record().expires_at)
    );
    clock.advance(5 * MINUTE);
    assert!(!service.lets_in(first.secret()).await, "no rotation lengthens its life");
    assert!(service.lets_in(second.secret()).await);
    let refused = keys.rotate_self(&actor, 5 * MINUTE).await;
    assert!(matches!(refused, Err(ManageError::Forbidden(Forbidden::NotLive))), "{refused:?}");
}

#[tokio::test]
async fn a_secret_that_somebody_else_replaced_does_not_rotate() {
    let service = Service::new();
    let Service { keys, host, .. } = &service;
    let old = service.issued().await;
    let actor = Actor::key(&service.present(old.secret()).await.unwrap()).unwrap();
    let short = keys.rotate_self(&actor, 5 * MINUTE - Duration::from_millis(1)).await;
    assert!(matches!(short, Err(ManageError::Invalid(_))), "{short:?}");
    let new = keys.rotate(host, old.id(), Overlap::For(60 * MINUTE)).await.unwrap();
    let refused = keys.rotate_self(&actor, 5 * MINUTE).await;
    assert!(matches!(refused, Err(ManageError::Forbidden(Forbidden::BeyondExpiry))), "{refused:?}");
    assert!(service.lets_in(new.secret()).await);
    let refused = keys.rotate_self(host, 5 * MINUTE).await;
    assert!(matches!(refused, Err(ManageError::Forbidden(_))), "the host is no key: {refused:?}");
}

#[tokio::test]
async fn given_three_rotations_with_overlap_when_presented_then_the_two_newest_secrets_live() {
    let service = Service::new();
    let first = service.issued().await;
    let mut secrets = vec![first.secret().expose_secret().to_owned()];
    for _ in 0..3 {
        let rotated = service.keys.rotate(&service.host, first.id(), Overlap::UntilEnded).await.unwrap();
        secrets.push(rotated.secret().expose_secret().to_owned());
    }
    let mut live = Vec::new();
    for secret in &secrets {
        live.push(service.lets_in(&secret.parse().unwrap()).await);
    }
    assert_eq!(live, [false, false, true, true]);
}

#[tokio::test]
async fn given_a_service_account_when_it_is_switched_then_its_keys_follow() {
    let service = Service::new();
    let Service { keys, host, .. } = &service;
    let account = keys.create_account(host, NewAccount::new("robot")).await.unwrap();
    let issued = service.issue(NewKey::new("k").service_account(account.id.clone())).await;
    let caller = service.present(issued.secret()).await.unwrap();
    keys.disable_account(host, &account.id).await.unwrap();
    assert!(!service.lets_in(issued.secret()).await && !caller.is_live());
    keys.enable_account(host, &account.id).await.unwrap();
    assert!(service.lets_in(issued.secret()).await);
    let rotated = keys.rotate_account(host, &account.id, Overlap::None).await.unwrap();
    assert_eq!(rotated.len(), 1);
    assert!(!service.lets_in(issued.secret()).await && service.lets_in(rotated[0].secret()).await);
    keys.delete_account(host, &account.id).await.unwrap();
    assert!(!service.lets_in(rotated[0].secret()).await);
}

#[tokio::test]
async fn given_a_key_that_issued_keys_when_revoked_with_descendants_then_all_end() {
    let service = Service::new();
    let Service { keys, host, .. } = &service;
    let parent = service.issue(NewKey::new("parent").scopes(["*"])).await;
    let parent_actor = Actor::key(&service.present(parent.secret()).await.unwrap()).unwrap();
    let child = keys.issue(&parent_actor, NewKey::new("child").scopes(["*"])).await.unwrap();
    let child_actor = Actor::key(&service.present(child.secret()).await.unwrap()).unwrap();
    let grandchild = keys.issue(&child_actor, NewKey::new("grandchild")).await.unwrap();
    let other = service.issued().await;
    assert!(service.lets_in(grandchild.secret()).await);
    let (_, made) = keys.revoke_with_descendants(host, parent.id(), "left").await.unwrap();
    assert_eq!(made.keys.len(), 2);
    for secret in [parent.secret(), child.secret(), grandchild.secret()] {
        assert!(!service.lets_in(secret).await);
    }
    assert!(service.lets_in(other.secret()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_keys_that_are_revoked_while_they_are_looked_up_then_none_is_let_in_afterwards() {
    let service = Service::new();
    let authenticator = service.keys.authenticator();
    for _ in 0..200 {
        let issued = service.issue(NewKey::new("k")).await;
        let secret = issued.secret().expose_secret().to_owned();
        let callers = (0..4).map(|_| {
            let (authenticator, secret) = (authenticator.clone(), secret.clone());
            tokio::spawn(async move {
                let secret: PlaintextKey = secret.parse().unwrap();
                let _ = present(&authenticator, &secret).await;
            })
        });
        let callers: Vec<_> = callers.collect();
        service.keys.revoke(&service.host, issued.id(), "").await.unwrap();
        assert!(!service.lets_in(issued.secret()).await);
        for caller in callers {
            caller.await.unwrap();
        }
        assert!(!service.lets_in(issued.secret()).await);
    }
}

#[tokio::test]
async fn given_a_key_that_was_let_in_when_it_ends_before_its_change_begins_then_it_changes_nothing() {
    for how in ["revoke", "disable", "cut", "suspend", "account", "delete"] {
        let service = Service::new();
        let Service { keys, host, .. } = &service;
        let account = keys.create_account(host, NewAccount::new("robot")).await.unwrap().id;
        let manager = service.issue(NewKey::new("manager").scopes(["*"]).service_account(account.clone())).await;
        // The request is accepted, and then waits.
        let actor = Actor::key(&service.present(manager.secret()).await.unwrap()).unwrap();
        match how {
            "revoke" => drop(keys.revoke(host, manager.id(), "").await.unwrap()),
            "disable" => drop(keys.disable(host, manager.id()).await.unwrap()),
            "cut" => {
                let cut = KeyUpdate::new().scopes(Patch::To(vec!["keys:read".to_owned()]));
                keys.update(host, manager.id(), cut).await.unwrap();
            }
            "suspend" => drop(keys.suspend_organization(host).await.unwrap()),
            "account" => drop(keys.disable_account(host, &account).await.unwrap()),
            _ => keys.delete(host, manager.id()).await.unwrap(),
        }
        let issued = keys.issue(&actor, NewKey::new("child")).await;
        assert!(matches!(issued, Err(ManageError::Forbidden(_))), "{how}: {issued:?}");
        let page = keys.list(host, KeyFilter::default(), PageRequest::first()).await.unwrap();
        assert!(page.items.iter().all(|key| key.name != "child"), "{how}");
    }
}

#[tokio::test]
async fn given_an_operation_of_several_events_when_they_are_listed_then_they_stand_in_their_order() {
    let service = Service::new();
    for _ in 0..20 {
        let issued = service.issued().await;
        service.clock.advance(MINUTE);
        service.keys.delete(&service.host, issued.id()).await.unwrap();
        let page = PageRequest::first().limit(2);
        let events = service.keys.audit(&service.host, AuditFilter::default(), page).await.unwrap().items;
        let actions = events.iter().map(|event| event.action).collect::<Vec<_>>();
        assert_eq!(actions, [Action::KeyDeleted, Action::KeyRevoked]);
        service.clock.advance(MINUTE);
    }
}

#[tokio::test]
async fn given_more_keys_than_are_searched_for_a_page_when_searched_then_every_match_is_found_page_by_page() {
    let service = Service::new();
    let name = |n: usize| if n % 2_000 == 7 { format!("rare {n}") } else { format!("common {n}") };
    let digest = |n: usize| KeyDigest::sha256_from_bytes(std::array::from_fn(|at| (n >> (8 * (at % 4))) as u8));
    let rows = (0..6_000).map(|n| ImportKey::hashed(name(n), digest(n)));
    service.keys.import(&service.host, "move", rows, 6_000, |_| ()).await.unwrap();
    let filter = KeyFilter::containing("rare");
    let (mut found, mut request, mut pages) = (Vec::new(), PageRequest::first().limit(2), 0);
    loop {
        let page = service.keys.list(&service.host, filter.clone(), request).await.unwrap();
        found.extend(page.items.into_iter().map(|key| key.name));
        pages += 1;
        let Some(next) = page.next else { break };
        request = PageRequest::after(next).limit(2);
    }
    found.sort();
    assert_eq!(found, ["rare 2007", "rare 4007", "rare 7"]);
    assert!((3..10).contains(&pages), "{pages}");
}

#[tokio::test]
async fn given_an_old_secret_when_it_asks_for_changes_then_it_hands_out_nothing_that_outlives_it_and_nothing_once_ended()
 {
    let service = Service::new();
    let Service { keys, host, .. } = &service;
    let old = service.issue(NewKey::new("manager").scopes(["*"])).await;
    let actor = Actor::key(&service.present(old.secret()).await.unwrap()).unwrap();
    let new = keys.rotate(host, old.id(), Overlap::For(60 * MINUTE)).await.unwrap();
    let lasting = keys.issue(&actor, NewKey::new("lasting")).await;
    assert!(matches!(lasting, Err(ManageError::Forbidden(_))), "it would outlive the secret: {lasting:?}");
    keys.issue(&actor, NewKey::new("short").expires_in(30 * MINUTE)).await.unwrap();
    keys.end_overlap(host, old.id()).await.unwrap();
    let late = keys.issue(&actor, NewKey::new("late").expires_in(MINUTE)).await;
    assert!(matches!(late, Err(ManageError::Forbidden(_))), "its secret has ended: {late:?}");
    let refused = keys.revoke_self(&actor, "").await;
    assert!(matches!(refused, Err(ManageError::Forbidden(_))), "nor may it end the key: {refused:?}");
    let actor = Actor::key(&service.present(new.secret()).await.unwrap()).unwrap();
    keys.issue(&actor, NewKey::new("child")).await.unwrap();
}

#[tokio::test]
async fn given_requests_under_way_when_their_window_is_brought_forward_then_they_end_with_it() {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    for how in ["expiry", "overlap"] {
        let service = Service::new();
        let Service { keys, host, clock, .. } = &service;
        let issued = service.issued().await;
        let caller = service.present(issued.secret()).await.unwrap();
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut revoked = pin!(caller.revoked());
        assert!(revoked.as_mut().poll(&mut cx).is_pending());
        match how {
            "expiry" => {
                let update = KeyUpdate::new().expires_at(Patch::To(clock.wall() + MINUTE));
                keys.update(host, issued.id(), update).await.unwrap();
            }
            _ => drop(keys.rotate(host, issued.id(), Overlap::For(MINUTE)).await.unwrap()),
        }
        clock.advance(MINUTE - Duration::from_millis(1));
        assert!(caller.is_live() && revoked.as_mut().poll(&mut cx).is_pending(), "{how}");
        woken.0.store(false, Ordering::SeqCst);
        // The manual clock ends it, and no other key.
        clock.advance(Duration::from_millis(1));
        assert!(woken.0.load(Ordering::SeqCst) && revoked.as_mut().poll(&mut cx).is_ready(), "{how}");
        assert!(!caller.is_live(), "{how}");
        assert!(!service.lets_in(issued.secret()).await, "{how}");
    }
}

#[tokio::test]
async fn given_a_change_that_was_made_elsewhere_when_made_again_then_it_is_heard_here_all_the_same() {
    for how in ["disable", "end overlap", "selected"] {
        let service = Service::new();
        let Service { keys, host, .. } = &service;
        let old = service.issued().await;
        // Another process on the same store.
        let elsewhere = KeyManager::builder(service.store.clone())
            .format(KeyFormat::builder("t").build().unwrap())
            .clock(service.clock.clone())
            .build()
            .unwrap();
        if how == "end overlap" {
            keys.rotate(host, old.id(), Overlap::UntilEnded).await.unwrap();
            assert!(service.lets_in(old.secret()).await);
        }
        for manager in [&elsewhere, keys] {
            match how {
                "disable" => drop(manager.disable(host, old.id()).await.unwrap()),
                "end overlap" => drop(manager.end_overlap(host, old.id()).await.unwrap()),
                _ => drop(manager.revoke_selected(host, BulkRevocation::new(Selection::Everything)).await.unwrap()),
            }
        }
        assert!(!service.lets_in(old.secret()).await, "{how}");
    }
}

/// Two processes on one store. The second one's clock is ten minutes slow.
#[tokio::test]
async fn given_a_clock_that_lags_when_secrets_are_ended_elsewhere_then_they_are_ended_here() {
    type End = fn(KeyManager, Actor, apikey_core::KeyId) -> futures_util::future::BoxFuture<'static, ()>;
    let ways: [(&str, End); 3] = [
        ("rotated without overlap", |keys, host, id| {
            Box::pin(async move { drop(keys.rotate(&host, &id, Overlap::None).await.unwrap()) })
        }),
        ("overlap ended", |keys, host, id| {
            Box::pin(async move {
                keys.rotate(&host, &id, Overlap::UntilEnded).await.unwrap();
                keys.end_overlap(&host, &id).await.unwrap();
            })
        }),
        ("rotated twice", |keys, host, id| {
            Box::pin(async move {
                for _ in 0..2 {
                    keys.rotate(&host, &id, Overlap::For(MINUTE)).await.unwrap();
                }
            })
        }),
    ];
    for (way, end) in ways {
        let here = Service::new();
        let lagging = ManualClock::new();
        lagging.set_wall(here.keys.now() - 10 * MINUTE);
        let there = KeyManager::builder(here.store.clone())
            .format(KeyFormat::builder("t").build().unwrap())
            .clock(lagging.clone())
            .build()
            .unwrap();
        let issued = here.issue(NewKey::new("k").scopes(["keys:write"])).await;
        end(here.keys.clone(), here.host.clone(), issued.id().clone()).await;
        // It is rejected with either clock.
        for back in [0, 60] {
            lagging.set_wall(here.keys.now() - back * MINUTE);
            there.authenticator().refresh(issued.id());
            let refused = present(&there.authenticator(), issued.secret()).await;
            assert_eq!(refused.unwrap_err().code(), "invalid_token", "{way}, {back} minutes behind");
            let record = there.get(&here.host, issued.id()).await.unwrap();
            let live = record.live_secrets(there.now()).count();
            assert_eq!(live, record.secrets.len() - 1, "{way}, {back} minutes behind");
        }
        here.clock.set_wall(here.keys.now() - 60 * MINUTE);
        here.keys.authenticator().refresh(issued.id());
        assert!(!here.lets_in(issued.secret()).await, "{way}: a clock that was set back");
    }
}

#[tokio::test]
async fn given_a_clock_that_lags_when_an_ended_secret_asks_for_a_change_then_nothing_is_changed() {
    let here = Service::new();
    let lagging = ManualClock::new();
    lagging.set_wall(here.keys.now() - 10 * MINUTE);
    let there = KeyManager::builder(here.store.clone())
        .format(KeyFormat::builder("t").build().unwrap())
        .clock(lagging.clone())
        .build()
        .unwrap();
    let issued = here.issue(NewKey::new("k").scopes(["keys:write"])).await;
    // It was accepted there before it ended here.
    let caller = present(&there.authenticator(), issued.secret()).await.unwrap();
    let actor = Actor::key(&caller).unwrap();
    here.keys.rotate(&here.host, issued.id(), Overlap::None).await.unwrap();
    let refused = there.issue(&actor, NewKey::new("made by a secret that has ended")).await;
    assert!(matches!(refused, Err(ManageError::Forbidden(_))), "{refused:?}");
}

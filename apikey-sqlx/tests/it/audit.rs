//! The audit trail is append-only, as far as the database can enforce it.

use apikey_manager::{Action, AuditEvent, AuditFilter, AuditQuery, Change, KeyStore, Prune};

use crate::support::{Place, acme, at, commit, someone};

fn event(n: i64) -> Change {
    Change::Audit(AuditEvent::new(format!("evt_{n}"), at(n), acme(), someone(), Action::KeyIssued, "key"))
}

async fn count(store: &dyn KeyStore) -> usize {
    let query = AuditQuery { organization: acme(), filter: AuditFilter::default(), after: None, limit: 100 };
    store.audit(&query).await.unwrap().len()
}

#[tokio::test]
async fn given_an_audit_trail_when_rows_are_changed_by_hand_then_the_database_refuses() {
    for place in Place::all() {
        let store = place.open().await;
        commit(&store, (1..=5).map(event)).await.unwrap();
        for statement in [
            "UPDATE apikey_audit SET actor = 'nobody'",
            "UPDATE apikey_audit SET at = 0",
            "DELETE FROM apikey_audit",
            "DELETE FROM apikey_audit WHERE at < 2",
        ] {
            let error = place.run(statement).await.unwrap_err().to_string();
            assert!(error.contains("append-only"), "{}: {statement}: {error}", place.name);
        }
        let rewrite = match place.name {
            "sqlite" => {
                "INSERT OR REPLACE INTO apikey_audit (id, at, organization, actor, action, target) \
                 VALUES ('evt_1', 1, 'acme', 'nobody', 'key.issued', 'key')"
            }
            _ => "TRUNCATE apikey_audit",
        };
        let error = place.run(rewrite).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
        assert_eq!(count(&store).await, 5);
    }
}

#[tokio::test]
async fn given_an_audit_trail_when_pruned_then_what_is_old_goes_and_the_rest_is_guarded_as_before() {
    for place in Place::all() {
        let store = place.open().await;
        commit(&store, (1..=5).map(event)).await.unwrap();
        let mut prune = Prune::default();
        prune.audit_before = Some(at(3));
        assert_eq!(store.prune(&prune, at(10)).await.unwrap().audit, 2);
        assert_eq!(count(&store).await, 3);
        place.run("DELETE FROM apikey_audit WHERE at < 4").await.unwrap_err();
        commit(&store, [event(1)]).await.unwrap();
        place.run("DELETE FROM apikey_audit WHERE at < 3").await.unwrap_err();
    }
}

#[tokio::test]
async fn given_an_event_when_another_has_its_id_then_the_change_is_a_conflict() {
    for place in Place::all() {
        let store = place.open().await;
        commit(&store, [event(1)]).await.unwrap();
        assert!(commit(&store, [event(1)]).await.unwrap_err().is_conflict());
        assert_eq!(store.revision().await.unwrap(), 1);
    }
}

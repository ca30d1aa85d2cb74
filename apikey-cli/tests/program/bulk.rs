//! Revocations of many keys, in several steps.

use std::fmt::Write;
use std::fs;

use apikey_manager::{KeyFilter, NewAccount, NewKey, PageRequest, Status};
use serde_json::{Value, json};

use crate::stand::Stand;

/// More than two steps of a bulk revocation.
const MANY: usize = 1_100;

#[tokio::test(flavor = "multi_thread")]
async fn given_more_keys_than_a_step_when_revoked_then_all_end_and_others_stay() {
    for stand in Stand::all().await {
        let mut csv = "name,digest,environment\n".to_owned();
        for number in 0..MANY {
            writeln!(csv, "old {number},sha256:{number:064x},test").unwrap();
        }
        fs::write(stand.path().join("old.csv"), csv).unwrap();
        assert_eq!(stand.run(&["import", "old.csv", "--json"]).json(), json!({"done": MANY, "skipped": 0}));
        let (_, live) = stand.issue(&["live"]);

        let preview = stand.run(&["bulk-revoke", "--environment", "test", "--dry-run", "--json"]).json();
        assert_eq!((preview["done"].as_u64(), preview["remaining"].as_u64()), (Some(500), Some(600)));
        let revoked = stand.run(&["bulk-revoke", "--environment", "test", "--yes", "--json"]).json();
        assert_eq!(
            (&revoked["done"], &revoked["remaining"], &revoked["next"]),
            (&json!(MANY), &json!(0), &json!(null))
        );

        let mut filter = KeyFilter::default();
        filter.status = Some(Status::Active);
        let left = stand.service.list(&stand.host, filter, PageRequest::first()).await.unwrap();
        assert_eq!(left.items.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["live"]);
        assert!(stand.lets_in(&live).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_keys_of_service_accounts_when_whoever_made_them_left_then_they_stay_if_asked() {
    for stand in Stand::all().await {
        let account = stand.service.create_account(&stand.host, NewAccount::new("ci")).await.unwrap();
        for new in [NewKey::new("own"), NewKey::new("of a machine").service_account(account.id)] {
            stand.service.issue(&stand.host, new).await.unwrap();
        }
        let actor = stand.host.id().to_string();
        let ended = |more: &[&str]| -> Value {
            let arguments = [&["bulk-revoke", "--created-by", &actor, "--yes", "--json"], more].concat();
            stand.run(&arguments).json()["done"].clone()
        };
        assert_eq!(ended(&["--keep-accounts"]), json!(1));
        assert_eq!(ended(&[]), json!(1));
    }
}

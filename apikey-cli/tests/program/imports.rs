//! Imports: raw and hashed keys of CSV and JSON files, and better-auth's table.

use std::fs;

use apikey_core::{KeyFormat, PlaintextKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::stand::Stand;

fn new_key() -> PlaintextKey {
    KeyFormat::builder("acme").environment("live").build().unwrap().generate().unwrap()
}

fn hex(key: &PlaintextKey) -> String {
    Sha256::digest(key.expose_secret()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_csv_file_when_imported_then_raw_and_hashed_keys_are_let_in() {
    for stand in Stand::all().await {
        let (raw, hashed, off) = (new_key(), new_key(), new_key());
        let csv = format!(
            "name,key,digest,scopes,metadata,disabled\n\
             raw,{},,files:read files:write,\"{{\"\"team\"\":\"\"a\"\"}}\",\n\
             hashed,,sha256:{},,,false\n\
             off,,sha256:{},,,true\n",
            raw.expose_secret(),
            hex(&hashed),
            hex(&off)
        );
        fs::write(stand.path().join("keys.csv"), csv).unwrap();
        assert_eq!(stand.run(&["import", "keys.csv", "--dry-run", "--json"]).json(), json!({"checked": 3}));
        assert!(stand.keys().await.is_empty());

        assert_eq!(stand.run(&["import", "keys.csv", "--json"]).json(), json!({"done": 3, "skipped": 0}));
        let lets_in = async |key: &PlaintextKey| stand.lets_in(key.expose_secret()).await;
        assert_eq!((lets_in(&raw).await, lets_in(&hashed).await, lets_in(&off).await), (true, true, false));
        let keys = stand.keys().await;
        let raw = keys.iter().find(|key| key.name == "raw").unwrap();
        assert_eq!(
            (raw.scopes.to_string(), raw.metadata.as_str()),
            ("files:read files:write".to_owned(), r#"{"team":"a"}"#)
        );

        // The same file continues, and imports nothing twice.
        assert_eq!(stand.run(&["import", "keys.csv", "--json"]).json(), json!({"done": 3, "skipped": 3}));
        assert_eq!(stand.keys().await.len(), 3);
        let id = stand.keys().await.iter().find(|key| key.name == "off").unwrap().id.to_string();
        assert_eq!(stand.run(&["enable", &id]).code, 0);
        assert!(lets_in(&off).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_rows_with_mistakes_when_imported_then_each_is_named_and_nothing_is_imported() {
    let stand = Stand::on_sqlite().await;
    let key = new_key();
    let good = json!({"name": "good", "digest": format!("sha256:{}", hex(&key)), "expires_at": null});
    let cases = [
        (
            json!([good, {"name": "both", "key": "acme_live_x", "digest": format!("sha256:{}", hex(&key))}]),
            "row 2: exactly one",
        ),
        (json!([good, {"name": "neither"}]), "row 2: exactly one"),
        (json!([good, {"name": "typo", "digset": "sha256:00"}]), "row 2: unknown field `digset`"),
        (
            json!([good, {"name": "foreign", "key": "other_live_sssssssssss"}]),
            "row 2: key: the key matches no accepted format",
        ),
        (json!([good, good]), "row 2: key: this key exists already"),
        (json!([good, {"name": "", "digest": format!("sha256:{:064x}", 1)}]), "row 2: name: "),
    ];
    for (rows, mistake) in cases {
        fs::write(stand.path().join("keys.json"), rows.to_string()).unwrap();
        for arguments in [&["import", "keys.json", "--dry-run"][..], &["import", "keys.json"]] {
            let ended = stand.run(arguments);
            assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{mistake}: {}", ended.err);
            assert!(ended.err.contains(mistake), "{mistake}: {}", ended.err);
            assert!(!ended.err.contains("sssss"), "{}", ended.err);
        }
    }
    assert!(stand.keys().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_better_auths_table_when_imported_then_its_keys_are_let_in_as_before() {
    for stand in Stand::all().await {
        let (live, off, ended, limited) = (new_key(), new_key(), new_key(), new_key());
        let hash = |key: &PlaintextKey| URL_SAFE_NO_PAD.encode(Sha256::digest(key.expose_secret()));
        // As `\copy apikey to … csv header` writes it.
        let head = "id,name,start,prefix,key,userId,refillInterval,refillAmount,lastRefillAt,enabled,rateLimitEnabled,\
                    rateLimitTimeWindow,rateLimitMax,requestCount,remaining,lastRequest,expiresAt,createdAt,updatedAt,\
                    permissions,metadata\n";
        let row = |id: &str, key: &PlaintextKey, enabled: &str, remaining: &str, expires: &str| {
            let permissions = r#""{""files"":[""read"",""write""]}""#;
            format!(
                "{id},{id},acme_l,acme_live_,{},user-1,,,,{enabled},t,86400000,10,3,{remaining},,{expires},\
                 2025-01-31 12:00:00.123+00,2025-01-31 12:00:00+00,{permissions},\"{{\"\"team\"\":\"\"a\"\"}}\"\n",
                hash(key)
            )
        };
        let rows = [
            row("live", &live, "t", "", "2100-01-01 00:00:00+00"),
            row("off", &off, "f", "", ""),
            row("ended", &ended, "t", "", "2025-02-01 00:00:00+00"),
        ];
        fs::write(stand.path().join("apikey.csv"), head.to_owned() + &rows.concat()).unwrap();
        let import = ["import", "apikey.csv", "--better-auth", "--json"];
        assert_eq!(stand.run(&[&import[..], &["--dry-run"]].concat()).json(), json!({"checked": 2}));
        assert!(stand.keys().await.is_empty());
        let imported = stand.run(&import);
        assert_eq!(imported.json(), json!({"done": 2, "skipped": 0}));
        assert!(imported.err.contains("left out: 1 expired keys\n"), "{}", imported.err);
        let lets_in = async |key: &PlaintextKey| stand.lets_in(key.expose_secret()).await;
        assert_eq!((lets_in(&live).await, lets_in(&off).await, lets_in(&ended).await), (true, false, false));
        let shown = stand.run(&["show", "live", "--json"]).json();
        assert_eq!(shown["scopes"], json!(["files:read", "files:write"]));
        assert_eq!(shown["metadata"], json!({"team": "a", "better_auth_reference_id": "user-1"}));
        assert_eq!(
            (&shown["created_at"], &shown["expires_at"]),
            (&json!("2025-01-31T12:00:00.123Z"), &json!("2100-01-01T00:00:00.000Z"))
        );

        // A key whose requests are counted down would live on without its limit.
        fs::write(stand.path().join("apikey.csv"), head.to_owned() + &row("limited", &limited, "t", "5", "")).unwrap();
        let refused = stand.run(&import);
        assert_eq!(refused.code, 2);
        assert!(refused.err.contains("row 1: remaining: "), "{}", refused.err);
        assert_eq!(stand.run(&[&import[..], &["--drop-quotas"]].concat()).json(), json!({"done": 1, "skipped": 0}));
        assert!(lets_in(&limited).await);
    }
}

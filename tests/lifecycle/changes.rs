//! Each kind of change, reported to the authenticator while an answer is cached, takes effect immediately.

use apikey_core::KeyStatus;
use support::stand::{Setting, Stand, key_id};

fn set_status(stand: &Stand, status: KeyStatus) {
    stand.change("reader", |claims| claims, |record| record.with_status(status));
}

fn cut_scopes(stand: &Stand) {
    stand.change("reader", |claims| claims.with_scopes(apikey_core::ScopeSet::empty()), |record| record);
}

#[tokio::test]
async fn given_a_cached_key_when_nobody_tells_of_a_change_then_it_holds_until_it_is_no_longer_fresh() {
    let stand = Stand::new(Setting::Plain);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
    set_status(&stand, KeyStatus::Revoked);
    assert_eq!(stand.ask_counted("reader").await, (200, 0));
    stand.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(stand.ask_counted("reader").await, (401, 1));
}

#[tokio::test]
async fn given_a_cached_key_when_it_is_revoked_then_all_its_secrets_are_refused_and_no_other_key() {
    let stand = Stand::new(Setting::Plain);
    for secret in ["reader", "reader-too", "admin"] {
        assert_eq!(stand.ask_counted(secret).await, (200, 1));
    }
    for secret in ["reader", "reader-too"] {
        stand.change(secret, |claims| claims, |record| record.with_status(KeyStatus::Revoked));
    }
    stand.authenticator.revoke(&key_id("reader"));
    for secret in ["reader", "reader-too"] {
        assert_eq!(stand.ask_counted(secret).await, (401, 1));
        assert_eq!(stand.ask_counted(secret).await, (401, 0));
    }
    assert_eq!(stand.ask_counted("admin").await, (200, 0));
}

#[tokio::test]
async fn given_two_cached_secrets_when_one_is_revoked_then_the_other_stays_cached() {
    let stand = Stand::new(Setting::Plain);
    for secret in ["reader", "reader-too"] {
        assert_eq!(stand.ask_counted(secret).await, (200, 1));
    }
    let end = stand.clock.wall();
    stand.change("reader-too", |claims| claims, |record| record.with_secret_end(end));
    stand.authenticator.revoke_secret(&key_id("reader"), &stand.digest("reader-too"));
    assert_eq!(stand.ask_counted("reader-too").await, (401, 1));
    assert_eq!(stand.ask_counted("reader").await, (200, 0));
}

#[tokio::test]
async fn given_a_cached_key_when_its_scopes_are_cut_and_it_is_refreshed_then_it_may_no_more() {
    let stand = Stand::new(Setting::Plain);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
    cut_scopes(&stand);
    stand.authenticator.refresh(&key_id("reader"));
    assert_eq!(stand.ask_counted("reader").await, (403, 1));
    assert_eq!(stand.ask_counted("reader").await, (403, 0));
}

#[tokio::test]
async fn given_a_cached_key_when_it_is_disabled_and_enabled_again_then_each_holds_at_once() {
    let stand = Stand::new(Setting::Plain);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
    for (status, expected) in [(KeyStatus::Disabled, 401), (KeyStatus::Active, 200), (KeyStatus::Disabled, 401)] {
        set_status(&stand, status);
        stand.authenticator.refresh(&key_id("reader"));
        assert_eq!(stand.ask_counted("reader").await, (expected, 1));
        assert_eq!(stand.ask_counted("reader").await, (expected, 0));
    }
}

#[tokio::test]
async fn given_a_cached_key_when_its_expiry_is_moved_and_it_is_refreshed_then_the_new_one_counts() {
    let stand = Stand::new(Setting::Plain);
    let wall = stand.clock.wall();
    let second = std::time::Duration::from_secs(1);
    let expires = |after| stand.change("reader", |claims| claims.with_expiry(wall + after * second), |record| record);
    expires(30);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
    expires(50);
    stand.authenticator.refresh(&key_id("reader"));
    stand.clock.advance(40 * second);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
    expires(20);
    stand.authenticator.refresh(&key_id("reader"));
    assert_eq!(stand.ask_counted("reader").await, (401, 1));
}

#[tokio::test]
async fn given_cached_keys_and_refusals_when_all_is_refreshed_then_each_is_loaded_again() {
    let stand = Stand::new(Setting::Plain);
    for (name, status) in [("reader", 200), ("admin", 200), ("disabled", 401), ("unknown", 401)] {
        assert_eq!(stand.ask_counted(name).await, (status, 1));
    }
    cut_scopes(&stand);
    stand.change("disabled", |claims| claims, |record| record);
    stand.authenticator.refresh_all();
    for (name, status) in [("reader", 403), ("admin", 200), ("disabled", 200), ("unknown", 401)] {
        assert_eq!(stand.ask_counted(name).await, (status, 1), "{name}");
        assert_eq!(stand.ask_counted(name).await, (status, 0), "{name}");
    }
}

#[tokio::test]
async fn given_a_cached_refusal_when_the_key_is_imported_then_it_is_let_in_once_unknown_keys_are_forgotten() {
    let stand = Stand::new(Setting::Plain);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
    assert_eq!(stand.ask_counted("unknown").await, (401, 1));
    stand.change("unknown", |claims| claims, |record| record);
    assert_eq!(stand.ask_counted("unknown").await, (401, 0));
    stand.authenticator.forget_refused();
    assert_eq!(stand.ask_counted("unknown").await, (200, 1));
    assert_eq!(stand.ask_counted("reader").await, (200, 0));
}

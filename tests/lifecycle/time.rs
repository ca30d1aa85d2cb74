//! Validity that begins and ends while an answer is cached, and a wall clock that jumps.

use std::time::Duration;

use support::stand::{Setting, Stand};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn given_a_cached_key_when_its_expiry_comes_then_it_is_refused_from_that_moment_on() {
    let stand = Stand::new(Setting::Plain);
    let expiry = stand.clock.wall() + 30 * SECOND;
    stand.change("reader", |claims| claims.with_expiry(expiry), |record| record);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
    stand.clock.advance(30 * SECOND - MOMENT);
    assert_eq!(stand.ask_counted("reader").await, (200, 0));
    stand.clock.advance(MOMENT);
    assert_eq!(stand.ask("reader").await, 401);
}

#[tokio::test]
async fn given_a_cached_secret_when_its_window_ends_then_it_is_refused_and_the_other_secret_is_not() {
    let stand = Stand::new(Setting::Plain);
    let end = stand.clock.wall() + 30 * SECOND;
    stand.change("reader-too", |claims| claims, |record| record.with_secret_end(end));
    for secret in ["reader", "reader-too"] {
        assert_eq!(stand.ask_counted(secret).await, (200, 1));
    }
    stand.clock.advance(30 * SECOND - MOMENT);
    assert_eq!(stand.ask_counted("reader-too").await, (200, 0));
    stand.clock.advance(MOMENT);
    assert_eq!(stand.ask("reader-too").await, 401);
    assert_eq!(stand.ask_counted("reader").await, (200, 0));
}

#[tokio::test]
async fn given_a_key_with_two_ends_when_the_earlier_comes_then_it_is_refused() {
    for (expiry, end) in [(20, 40), (40, 20)] {
        let stand = Stand::new(Setting::Plain);
        let wall = stand.clock.wall();
        let expiry = wall + expiry * SECOND;
        stand.change(
            "reader",
            |claims| claims.with_expiry(expiry),
            |record| record.with_secret_end(wall + end * SECOND),
        );
        assert_eq!(stand.ask("reader").await, 200);
        stand.clock.advance(20 * SECOND);
        assert_eq!(stand.ask("reader").await, 401);
    }
}

#[tokio::test]
async fn given_a_refusal_of_a_key_not_yet_valid_when_its_time_comes_then_it_is_let_in_at_once() {
    let stand = Stand::new(Setting::Plain);
    let start = stand.clock.wall() + 5 * SECOND;
    stand.change("reader", |claims| claims, |record| record.with_not_before(start));
    assert_eq!(stand.ask_counted("reader").await, (401, 1));
    stand.clock.advance(5 * SECOND - MOMENT);
    assert_eq!(stand.ask_counted("reader").await, (401, 0));
    stand.clock.advance(MOMENT);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
}

#[tokio::test]
async fn given_a_cached_key_when_it_is_no_longer_fresh_then_the_store_is_asked_again() {
    let stand = Stand::new(Setting::Plain);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
    stand.clock.advance(60 * SECOND - MOMENT);
    assert_eq!(stand.ask_counted("reader").await, (200, 0));
    stand.clock.advance(MOMENT);
    assert_eq!(stand.ask_counted("reader").await, (200, 1));
}

#[tokio::test]
async fn given_a_cached_refusal_when_it_is_no_longer_fresh_then_the_store_is_asked_again() {
    let stand = Stand::new(Setting::Plain);
    assert_eq!(stand.ask_counted("unknown").await, (401, 1));
    stand.clock.advance(10 * SECOND - MOMENT);
    assert_eq!(stand.ask_counted("unknown").await, (401, 0));
    stand.clock.advance(MOMENT);
    assert_eq!(stand.ask_counted("unknown").await, (401, 1));
}

#[tokio::test]
async fn given_a_cached_key_when_the_wall_clock_is_set_then_its_cached_life_is_as_long_as_before() {
    for forward in [true, false] {
        let stand = Stand::new(Setting::Plain);
        let wall = stand.clock.wall();
        stand.change("reader", |claims| claims.with_expiry(wall + 30 * SECOND), |record| record);
        assert_eq!(stand.ask_counted("reader").await, (200, 1));
        stand.clock.set_wall(if forward { wall + HOUR } else { wall - HOUR });
        assert_eq!(stand.ask_counted("reader").await, (200, 0), "forward: {forward}");
        stand.clock.advance(30 * SECOND - MOMENT);
        assert_eq!(stand.ask_counted("reader").await, (200, 0), "forward: {forward}");
        stand.clock.advance(MOMENT);
        // The wall clock is read only when the key is loaded again.
        let expected = if forward { 401 } else { 200 };
        assert_eq!(stand.ask_counted("reader").await, (expected, 1));
    }
}

#[tokio::test]
async fn given_a_cached_refusal_when_the_wall_clock_is_set_then_it_stands_as_long_as_before() {
    for forward in [true, false] {
        let stand = Stand::new(Setting::Plain);
        let wall = stand.clock.wall();
        stand.change("reader", |claims| claims, |record| record.with_not_before(wall + 5 * SECOND));
        assert_eq!(stand.ask_counted("reader").await, (401, 1));
        stand.clock.set_wall(if forward { wall + HOUR } else { wall - HOUR });
        assert_eq!(stand.ask_counted("reader").await, (401, 0));
        stand.clock.advance(5 * SECOND);
        let expected = if forward { 200 } else { 401 };
        assert_eq!(stand.ask_counted("reader").await, (expected, 1));
    }
}

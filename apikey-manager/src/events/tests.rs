use apikey_core::{ActorId, KeyDigest, KeyId, ManualClock, Timestamp};

use super::*;
use crate::{
    organization::Switched,
    query::UsageBucket,
    record::{KeyRecord, Revocation, SecretRecord},
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn start() -> Timestamp {
    ManualClock::new().wall()
}

fn key(id: &str, created_at: Timestamp) -> KeyRecord {
    let acme = OrganizationId::new("acme").unwrap();
    let mut digest = [0; 32];
    digest[..id.len()].copy_from_slice(id.as_bytes());
    let digest = KeyDigest::sha256_from_bytes(digest);
    KeyRecord::new(KeyId::new(id).unwrap(), acme, digest, created_at, ActorId::new("host").unwrap())
}

#[test]
fn given_records_of_every_kind_when_asked_what_is_due_then_what_the_thresholds_say() {
    let now = start();
    let old = now - 100 * DAY;
    let host = ActorId::new("host").unwrap();
    type Change = Box<dyn Fn(&mut KeyRecord)>;
    let revoked = Revocation { at: now, by: host.clone(), reason: String::new() };
    let disabled = Switched { at: now, by: host };
    let expires = |at: Timestamp| move |key: &mut KeyRecord| key.expires_at = Some(at);
    let cases: Vec<(&str, Timestamp, Change, &[&str])> = vec![
        ("new", now, Box::new(|_| {}), &[]),
        ("old and never used", old, Box::new(|_| {}), &["unused", "rotation"]),
        ("old and used", old, Box::new(move |key| key.last_used_at = Some(now - DAY)), &["rotation"]),
        ("not used since", old, Box::new(move |key| key.last_used_at = Some(now - 90 * DAY)), &["unused", "rotation"]),
        ("valid only lately", old, Box::new(move |key| key.not_before = Some(now - DAY)), &["rotation"]),
        (
            "rotated",
            old,
            Box::new(move |key| key.secrets.insert(0, SecretRecord::new(key.secrets[0].digest.clone(), now - DAY))),
            &["unused"],
        ),
        ("expiring within 8 days", now - DAY, Box::new(expires(now + 8 * DAY)), &[]),
        ("expiring within 7 days", now - DAY, Box::new(expires(now + 7 * DAY)), &["expiring 7"]),
        ("expiring within a day", now - 9 * DAY, Box::new(expires(now + DAY)), &["expiring 1"]),
        ("issued for 6 days", now, Box::new(expires(now + 6 * DAY)), &[]),
        ("expired", old, Box::new(expires(now)), &["expired"]),
        (
            "disabled and expiring",
            old,
            Box::new(move |key| {
                key.disabled = Some(disabled.clone());
                key.expires_at = Some(now + DAY);
            }),
            &["expiring 1"],
        ),
        (
            "revoked and expired",
            old,
            Box::new(move |key| {
                key.revoked = Some(revoked.clone());
                key.expires_at = Some(now);
            }),
            &[],
        ),
    ];
    for (name, created_at, change, expected) in cases {
        let mut record = key("k", created_at);
        change(&mut record);
        let due = due(&record, now, &Thresholds::new());
        assert!(due.iter().all(|due| due.moment() <= now), "{name}");
        let named = due.iter().map(|due| match due {
            Due::Expiring { within, .. } => format!("expiring {}", within.as_secs() / DAY.as_secs()),
            Due::Expired { .. } => "expired".to_owned(),
            Due::Unused { .. } => "unused".to_owned(),
            Due::RotationDue { .. } => "rotation".to_owned(),
        });
        assert_eq!(named.collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn given_hours_of_use_when_compared_with_what_is_usual_then_a_spike_is_what_the_documentation_says() {
    let hour = start();
    let before = |hours: u32| hour - HOUR * hours;
    let used = |hours_ago: u32, ok| UsageBucket { start: before(hours_ago), ok, refused: 0 };
    let threshold = SpikeThreshold::new().factor(10).minimum(100);
    let steady = |each: u64| (1..=168).map(|ago| used(ago, each)).collect::<Vec<_>>();
    let cases = [
        ("nothing before", vec![], 100, 200, Some(0)),
        ("too few", vec![], 99, 200, None),
        ("usual", steady(50), 499, 200, None),
        ("ten times the usual", steady(50), 500, 200, Some(50)),
        ("half of the hours", steady(50).split_off(84), 500, 200, Some(50)),
        ("less than half of the hours", steady(50).split_off(85), 100, 200, Some(0)),
        ("use of more than 7 days ago", (169..400).map(|ago| used(ago, 1_000)).collect(), 100, 500, Some(0)),
        ("of the age of a day", vec![], 100, 24, Some(0)),
        ("younger", vec![], 1_000_000, 23, None),
        ("young and busy", (1..=13).map(|ago| used(ago, 50)).collect(), 499, 24, None),
    ];
    for (name, mut usage, requests, age, median) in cases {
        usage.push(UsageBucket { start: hour, ok: requests - 30, refused: 30 });
        let spike = threshold.spike(hour, before(age), &usage);
        assert_eq!(
            spike.map(|spike| (spike.requests, spike.median)),
            median.map(|median| (requests, median)),
            "{name}"
        );
    }
}

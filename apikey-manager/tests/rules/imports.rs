//! Imports are complete by batch, and import each key once.

use apikey_manager::{Actor, AuditFilter, ImportKey, KeyFilter, ManageError, NewKey, PageRequest};

use crate::{bed::Bed, stage::Stage};

/// Known keys are reported by row, without their owner, and nothing is imported.
#[tokio::test]
async fn known_keys_are_told_by_row_and_without_owner() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, bed) = (&stage.keys, &stage.bed);
    let theirs = Actor::host("tests", bed.organization("theirs")).unwrap();
    let other = keys.issue(&theirs, NewKey::new("their secret project")).await.unwrap();
    let own = stage.issue().await.unwrap();
    let (twice, id) = (bed.digest(), bed.id());
    let new = || ImportKey::hashed("imported", bed.digest());
    let rows = [
        new(),
        ImportKey::raw("theirs", other.secret().expose_secret().parse().unwrap()),
        ImportKey::hashed("ours", own.record().secrets[0].digest.clone()),
        ImportKey::hashed("twice", twice.clone()),
        ImportKey::hashed("twice", twice),
        new().id(other.id().clone()),
        new().id(id.clone()),
        new().id(id),
        new().scopes(["files:delete"]),
        new(),
        new().created_at(bed.at(1)),
    ];
    let expected = [
        (1, "key", "duplicate"),
        (2, "key", "duplicate"),
        (4, "key", "duplicate"),
        (5, "id", "duplicate"),
        (7, "id", "duplicate"),
        (8, "scopes[0]", "unknown"),
        (10, "created_at", "future"),
    ];
    let both = [&stage.ours, theirs.organization()];
    let before = bed.dump(&both).await;
    let errors = match keys.import(&stage.host, "import", rows, 100, |_| {}).await {
        Err(ManageError::Import(errors)) => errors,
        other => panic!("an import of known keys must be refused by row, but: {other:?}"),
    };
    let mut told: Vec<_> =
        errors.iter().map(|error| (error.row, error.error.field.as_str(), error.error.code)).collect();
    // A row with its own mistake may hide a duplicate.
    told.sort_unstable();
    assert_eq!(told, expected, "the rows at fault");
    let text = format!("{errors:?} {}", errors.iter().map(ToString::to_string).collect::<String>());
    for secret in [theirs.organization().as_str(), "their secret project", "made-"] {
        assert!(!text.contains(secret), "the errors tell of the owner: {text}");
    }
    assert_eq!(bed.dump(&both).await, before, "what is kept after an import was refused");
}

/// An import is complete by batch, and continues where it was interrupted.
#[tokio::test]
async fn an_interrupted_import_goes_on() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let digests: Vec<_> = (0..25).map(|_| bed.digest()).collect();
    let rows = |count: usize| {
        let digests = digests.clone();
        digests.into_iter().take(count).enumerate().map(|(n, digest)| ImportKey::hashed(format!("key {n}"), digest))
    };
    // The first run ends after two batches of ten.
    let mut seen = Vec::new();
    keys.import(host, "import", rows(20), 10, |progress| seen.push((progress.done, progress.skipped))).await.unwrap();
    assert_eq!(seen, [(10, 0), (20, 0)], "the progress of the first run");
    let mut seen = Vec::new();
    keys.import(host, "import", rows(25), 10, |progress| seen.push((progress.done, progress.skipped))).await.unwrap();
    assert_eq!(seen, [(10, 10), (20, 20), (25, 20)], "the progress of the second run");
    assert_eq!(bed.store.counts(&stage.ours, bed.now()).await.unwrap().keys, 25, "the keys that there are");
    let before = stage.dump().await;
    let done = keys.import(host, "import", rows(25), 10, |_| {}).await.unwrap();
    assert_eq!((done.done, done.skipped), (25, 25), "the progress of a third run");
    assert_eq!(stage.dump().await, before, "what is kept after a third run");
    let changed = keys.import(host, "import", rows(24), 12, |_| {});
    stage.refuses("the same import in other batches", changed, "batch", "changed").await;
    // Batches before a failed one stay.
    let more: Vec<_> = (0..15).map(|_| bed.digest()).collect();
    let mut rows: Vec<_> = more.iter().map(|digest| ImportKey::hashed("more", digest.clone())).collect();
    rows.push(ImportKey::hashed("known", digests[0].clone()));
    match keys.import(host, "more", rows, 10, |_| {}).await {
        Err(ManageError::Import(errors)) => assert_eq!(errors[0].row, 15, "the row at fault, of the whole import"),
        other => panic!("a known key must be refused, but: {other:?}"),
    }
    assert_eq!(
        bed.store.counts(&stage.ours, bed.now()).await.unwrap().keys,
        35,
        "the keys after a second batch was refused"
    );
    assert!(bed.found_by(&more[10..]).await.is_empty(), "a key of a batch that was refused is found");
    let listed = keys.list(host, KeyFilter::default(), PageRequest::first().limit(200)).await.unwrap().items;
    assert_eq!(listed.len(), 35, "the keys in a list");
    let told = keys.audit(host, AuditFilter::default(), PageRequest::first().limit(200)).await.unwrap().items;
    assert_eq!(told.len(), 35, "the events of an import, one for each key");
}

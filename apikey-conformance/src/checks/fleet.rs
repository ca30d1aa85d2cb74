//! The history of changes, and the rows of the processes that follow it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use apikey_fleet::{Beat, Change as Recorded, Mark, NodeId, NodeRow, Nonce, OwnRow, Revision, Sweep};
use apikey_manager::{Changes, FleetStore, Invalidation, OrganizationId, SeenNode};

use crate::bed::Bed;

/// Longer than any store takes.
const HINTED_WITHIN: Duration = Duration::from_secs(10);
/// Longer than a clock's tick.
const SILENCE: Duration = Duration::from_millis(20);
const LEASE: Duration = Duration::from_millis(10_000);

impl Bed {
    fn fleet(&self) -> &dyn FleetStore {
        self.store.fleet()
    }

    fn node(&self) -> NodeId {
        let bytes = self.digest_bytes();
        NodeId::new(bytes[8..24].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
    }

    /// Commits a change of access with these targets. Returns its revision.
    async fn announce(&self, organization: &OrganizationId, targets: Vec<Invalidation>) -> Revision {
        let changes = Changes { affects_callers: true, invalidations: targets, ..Changes::default() };
        let committed = self.store.begin(organization).await.unwrap().commit(changes).await.unwrap();
        Revision::new(committed.expect("a revision"))
    }

    /// Returns the changes from `since` on, as `node` reads them.
    async fn history(&self, node: NodeId, since: Revision) -> Vec<Recorded<Vec<Invalidation>>> {
        self.fleet().snapshot(node, Some(since)).await.unwrap().snapshot.changes
    }

    async fn row(&self, node: NodeId) -> Option<NodeRow> {
        self.fleet().nodes().await.unwrap().1.into_iter().find(|row| row.id == node)
    }

    async fn seen(&self, nodes: [NodeId; 2]) -> [SeenNode; 2] {
        let (head, all) = self.fleet().roster().await.unwrap();
        let (least, _) = self.fleet().nodes().await.unwrap();
        assert!(head <= least, "the head, beside the roster");
        nodes.map(|node| *all.iter().find(|seen| seen.row.id == node).expect("the node, in the roster"))
    }

    /// Waits until the latest beat of each node is a while ago, by the store's clock.
    async fn silence(&self, nodes: [NodeId; 2]) {
        while self.seen(nodes).await.iter().any(|seen| seen.silent < SILENCE) {
            tokio::time::sleep(SILENCE).await;
        }
    }

    async fn beat(&self, node: NodeId, beat: i64) {
        self.fleet().beat(node, LEASE, Beat::new(beat), None).await.unwrap();
    }
}

/// Each change of access is in the history, with its targets, in order, and with a nonce of its own.
pub(crate) async fn the_history_tells_every_change(bed: Arc<Bed>) {
    let (ours, node) = (bed.organization("ours"), bed.node());
    let (key, digest) = (bed.id(), bed.digest());
    let told = [
        vec![Invalidation::Key(key.clone())],
        Vec::new(),
        vec![
            Invalidation::Secret(key.clone(), digest.clone()),
            Invalidation::End(key.clone(), digest.clone(), Some(bed.at(7))),
            Invalidation::End(key.clone(), digest, None),
            Invalidation::Changed(key),
            Invalidation::Organization(ours.clone()),
            Invalidation::Refused,
        ],
        (0..1_000).map(|_| Invalidation::Key(bed.id())).collect(),
        vec![Invalidation::Refused],
    ];
    let mut revisions = Vec::new();
    for targets in &told {
        revisions.push(bed.announce(&ours, targets.clone()).await);
    }
    let history = bed.history(node, revisions[0]).await;
    assert!(history.is_sorted_by_key(|change| change.mark.revision), "the order of the history");
    for (revision, targets) in revisions.iter().zip(&told) {
        let change = history.iter().find(|change| change.mark.revision == *revision).expect("each change");
        assert_eq!(&change.targets, targets, "the targets of a change");
        assert_eq!(change.awaited, !targets.is_empty(), "somebody waits for what ends something");
    }
    let nonces: HashSet<Nonce> = history.iter().map(|change| change.mark.nonce).collect();
    assert_eq!(nonces.len(), history.len(), "the nonces of the changes");
    let later = bed.history(node, revisions[4]).await;
    assert_eq!(later.first().map(|change| change.mark.revision), Some(revisions[4]), "the history from a change on");
    let none = bed.fleet().snapshot(node, None).await.unwrap().snapshot;
    assert_eq!(none.changes, [], "a history that nobody asked for");
}

/// The head is the last change, as of the moment of the whole answer.
pub(crate) async fn the_head_is_the_last_change(bed: Arc<Bed>) {
    let (ours, node) = (bed.organization("ours"), bed.node());
    let first = bed.announce(&ours, vec![Invalidation::Refused]).await;
    let state = bed.fleet().snapshot(node, Some(first)).await.unwrap();
    assert!(state.snapshot.writable, "a store that takes changes");
    assert_eq!(state.snapshot.changes.last().map(|change| change.mark), Some(state.snapshot.head), "the head");
    let (head, _) = bed.fleet().nodes().await.unwrap();
    assert!(head >= state.snapshot.head.revision, "the head, beside the nodes");
    let quiet = bed.store.begin(&ours).await.unwrap().commit(Changes::default()).await.unwrap();
    assert_eq!(quiet, None, "a change that affects nobody");
    let found = bed.key(&ours);
    bed.insert([&found]).await;
    for digest in [found.secrets[0].digest.clone(), bed.digest()] {
        let (revision, _) = bed.look_up(&[digest]).await;
        assert!(revision > first.get(), "a lookup's revision counts in the same history, whatever it finds");
    }
}

/// Whoever waits for a change hears of it, also of one that was made before.
pub(crate) async fn a_change_is_hinted_at(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (known, _) = bed.fleet().nodes().await.unwrap();
    let waiting = tokio::spawn({
        let bed = Arc::clone(&bed);
        async move { bed.store.fleet().detached().changed(known).await }
    });
    bed.announce(&ours, vec![Invalidation::Refused]).await;
    let heard = async {
        waiting.await.unwrap();
        bed.fleet().changed(known).await;
    };
    assert!(tokio::time::timeout(HINTED_WITHIN, heard).await.is_ok(), "a change that nobody hears of");
}

/// A node's row is written, raised and deleted, and its beat and what it has applied never fall.
pub(crate) async fn a_nodes_row_never_falls_back(bed: Arc<Bed>) {
    let (ours, node, other) = (bed.organization("ours"), bed.node(), bed.node());
    let first = bed.announce(&ours, vec![Invalidation::Refused]).await;
    let second = bed.announce(&ours, vec![Invalidation::Refused]).await;
    let history = bed.history(node, first).await;
    let mark = |revision| history.iter().find(|change| change.mark.revision == revision).expect("the change").mark;
    assert_eq!(bed.row(node).await, None, "a node that has not joined");
    bed.beat(node, 5).await;
    bed.beat(other, 1).await;
    let row = NodeRow { id: node, lease: LEASE, applied: Revision::ZERO, beat: Beat::new(5) };
    assert_eq!(bed.row(node).await, Some(row), "a new row");
    bed.fleet().acknowledge(node, mark(second)).await.unwrap();
    bed.fleet().acknowledge(node, mark(first)).await.unwrap();
    bed.fleet().beat(node, LEASE * 2, Beat::new(4), None).await.unwrap();
    let row = NodeRow { applied: second, ..row };
    assert_eq!(bed.row(node).await, Some(row), "a row after an old beat and an old acknowledgement");
    bed.beat(node, 6).await;
    let own = bed.fleet().snapshot(node, None).await.unwrap().snapshot.own;
    assert_eq!(own, Some(OwnRow { beat: Beat::new(6), applied: second }), "what a node reads of its own row");
    assert_eq!(bed.row(other).await.map(|row| row.applied), Some(Revision::ZERO), "another node's row");
    bed.fleet().leave(node).await.unwrap();
    bed.fleet().leave(node).await.unwrap();
    assert_eq!(bed.row(node).await, None, "a node that has left");
    assert_eq!(bed.fleet().snapshot(node, None).await.unwrap().snapshot.own, None, "its own row after that");
    bed.fleet().acknowledge(node, mark(second)).await.unwrap();
    assert_eq!(bed.row(node).await, None, "a late acknowledgement makes no row");
    assert!(bed.row(other).await.is_some(), "the other node's row");
    bed.fleet().leave(other).await.unwrap();
}

/// What was applied in another history counts for nothing.
pub(crate) async fn marks_of_another_history_are_not_acknowledged(bed: Arc<Bed>) {
    let (ours, node) = (bed.organization("ours"), bed.node());
    let revision = bed.announce(&ours, vec![Invalidation::Refused]).await;
    bed.beat(node, 1).await;
    for (what, mark) in [
        ("another nonce", Mark { revision, nonce: Nonce::new(0) }),
        (
            "a change that is not there",
            Mark { revision: Revision::new(revision.get() + 1_000_000), nonce: Nonce::new(0) },
        ),
    ] {
        bed.fleet().acknowledge(node, mark).await.unwrap();
        assert_eq!(bed.row(node).await.map(|row| row.applied), Some(Revision::ZERO), "{what}");
    }
    bed.fleet().leave(node).await.unwrap();
}

/// A row is swept if it looks as it was seen. A node that takes another id takes its row with it.
pub(crate) async fn rows_are_swept_and_replaced(bed: Arc<Bed>) {
    let [node, new] = [bed.node(), bed.node()];
    bed.beat(node, 3).await;
    for (beat, is_swept) in [(2, false), (4, false), (3, true), (3, false)] {
        let swept = bed.fleet().sweep(Sweep { id: node, beat: Beat::new(beat) }).await.unwrap();
        assert_eq!(swept, is_swept, "a row of beat 3, seen with beat {beat}");
        assert_eq!(bed.row(node).await.is_some(), beat != 3, "the row");
    }
    bed.beat(node, 1).await;
    bed.fleet().beat(new, LEASE, Beat::new(2), Some(node)).await.unwrap();
    assert_eq!(bed.row(node).await, None, "the row of the id before");
    assert_eq!(bed.row(new).await.map(|row| row.beat), Some(Beat::new(2)), "the row of the new id");
    bed.fleet().leave(new).await.unwrap();
}

/// The part that has connections of its own is the same store.
pub(crate) async fn detached_connections_see_the_same_store(bed: Arc<Bed>) {
    let (ours, node) = (bed.organization("ours"), bed.node());
    let detached = bed.fleet().detached();
    detached.beat(node, LEASE, Beat::new(1), None).await.unwrap();
    assert_eq!(bed.row(node).await.map(|row| row.beat), Some(Beat::new(1)), "a row that was written apart");
    let revision = bed.announce(&ours, vec![Invalidation::Refused]).await;
    let apart = detached.snapshot(node, Some(revision)).await.unwrap().snapshot;
    assert_eq!(apart.own.map(|own| own.beat), Some(Beat::new(1)), "the row, read apart");
    assert!(apart.changes.iter().any(|change| change.mark.revision == revision), "a change, read apart");
    detached.leave(node).await.unwrap();
    assert_eq!(bed.row(node).await, None, "a row that was deleted apart");
}

/// An operator sees each node's row, how long it has been silent, and how many changes it owes.
pub(crate) async fn the_roster_tells_of_each_node(bed: Arc<Bed>) {
    let (ours, node, other) = (bed.organization("ours"), bed.node(), bed.node());
    let first = bed.announce(&ours, vec![Invalidation::Refused]).await;
    bed.announce(&ours, Vec::new()).await;
    let second = bed.announce(&ours, vec![Invalidation::Refused]).await;
    let history = bed.history(node, first).await;
    let mark = |revision| history.iter().find(|change| change.mark.revision == revision).expect("the change").mark;
    let between = |at: Revision| at > first && at <= second;
    let owed = history.iter().filter(|change| change.awaited && between(change.mark.revision)).count() as u64;
    let nodes = [node, other];
    bed.beat(node, 5).await;
    bed.beat(other, 1).await;
    bed.silence(nodes).await;
    bed.fleet().acknowledge(node, mark(first)).await.unwrap();
    bed.fleet().acknowledge(other, mark(second)).await.unwrap();
    bed.beat(other, 2).await;
    let [one, another] = bed.seen(nodes).await;
    assert_eq!(Some(one.row), bed.row(node).await, "the row of a node");
    assert_eq!(Some(another.row), bed.row(other).await, "the row of the other");
    assert!(one.silent > another.silent, "a node that is silent, and one that is not");
    assert!(another.silent < HINTED_WITHIN, "the time since a beat");
    assert_eq!(one.behind, another.behind + owed, "the changes that a node owes, of those that somebody waits for");
    bed.beat(node, 4).await;
    let [one, another] = bed.seen(nodes).await;
    assert!(one.silent > another.silent, "a beat that is late");
    bed.silence(nodes).await;
    bed.beat(node, 6).await;
    let [one, another] = bed.seen(nodes).await;
    assert!(one.silent < another.silent, "a node that is heard of again");
    for node in nodes {
        bed.fleet().leave(node).await.unwrap();
    }
}

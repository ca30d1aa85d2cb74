//! The process that is killed. It prints a line before each operation and a line with the result after it: `doing issue
//! ORG`, `done issue ORG ID SECRET`, `doing rotate ORG ID none`, `done rotate ORG ID none SECRET`.

use std::{
    io::{Write, stdout},
    time::Duration,
};

use apikey_core::KeyId;
use apikey_manager::{Actor, KeyManager, KeyUpdate, NewKey, OrganizationId, Overlap, Patch};
use apikey_sqlx::SqlStore;

use crate::format;

pub(crate) const FILE: &str = "APIKEY_CRASH_FILE";
pub(crate) const SEED: &str = "APIKEY_CRASH_SEED";

/// The number of concurrent tasks. Each changes keys of its own organization.
pub(crate) const TASKS: u64 = 3;
/// More operations than any process completes.
const OPERATIONS: usize = 1_000;

pub(crate) fn organization(seed: u64, task: u64) -> OrganizationId {
    OrganizationId::new(format!("{seed}-{task}")).unwrap()
}

/// Random numbers (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started, and killed, by the test of kills"]
async fn the_process_that_is_killed() {
    let (Ok(file), Ok(seed)) = (std::env::var(FILE), std::env::var(SEED)) else { return };
    let seed = seed.parse().unwrap();
    let store = SqlStore::connect(&format!("sqlite:{file}")).await.unwrap();
    let keys = KeyManager::builder(store).format(format()).alone().build().unwrap();
    let tasks = (0..TASKS).map(|task| tokio::spawn(work(keys.clone(), seed, task)));
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    // The process is killed before this matters.
    std::future::pending().await
}

/// A key of the worker.
struct Own {
    id: KeyId,
    is_disabled: bool,
    is_revoked: bool,
}

async fn work(keys: KeyManager, seed: u64, task: u64) {
    let organization = organization(seed, task);
    let host = Actor::host("worker", organization.clone()).unwrap();
    let mut dice = Dice::new(seed ^ task);
    let mut own: Vec<Own> = Vec::new();
    for _ in 0..OPERATIONS {
        if own.is_empty() || dice.below(3) == 0 {
            say(&format!("doing issue {organization}"));
            let issued = keys.issue(&host, NewKey::new("new").scopes(["files:read"])).await.unwrap();
            say(&format!("done issue {organization} {} {}", issued.id(), issued.secret().expose_secret()));
            own.push(Own { id: issued.id().clone(), is_disabled: false, is_revoked: false });
            continue;
        }
        let at = dice.below(own.len() as u64) as usize;
        let key = &mut own[at];
        let operation = match dice.below(10) {
            _ if key.is_revoked => "delete",
            0 | 1 => "rotate none",
            2 | 3 => "rotate overlap",
            4 => "end_overlap",
            5 if key.is_disabled => "enable",
            5 => "disable",
            6 => "rename",
            7 | 8 => "revoke",
            _ => "delete",
        };
        let (verb, detail) = operation.split_once(' ').unwrap_or((operation, ""));
        let detail = if verb == "rename" { format!("name-{}", dice.next()) } else { detail.to_owned() };
        let line = format!("{verb} {organization} {} {detail}", key.id);
        say(&format!("doing {line}"));
        let mut secret = String::new();
        match verb {
            "rotate" => {
                let overlap = match (detail.as_str(), dice.below(2)) {
                    ("none", _) => Overlap::None,
                    (_, 0) => Overlap::UntilEnded,
                    _ => Overlap::For(Duration::from_secs(24 * 3_600)),
                };
                secret = keys.rotate(&host, &key.id, overlap).await.unwrap().secret().expose_secret().to_owned();
            }
            "end_overlap" => drop(keys.end_overlap(&host, &key.id).await.unwrap()),
            "disable" => drop(keys.disable(&host, &key.id).await.unwrap()),
            "enable" => drop(keys.enable(&host, &key.id).await.unwrap()),
            "rename" => drop(keys.update(&host, &key.id, KeyUpdate::new().name(Patch::To(detail))).await.unwrap()),
            "revoke" => drop(keys.revoke(&host, &key.id, "test").await.unwrap()),
            _ => keys.delete(&host, &key.id).await.unwrap(),
        }
        say(format!("done {line} {secret}").trim_end());
        match verb {
            "disable" => key.is_disabled = true,
            "enable" => key.is_disabled = false,
            "revoke" => key.is_revoked = true,
            "delete" => drop(own.swap_remove(at)),
            _ => {}
        }
    }
}

/// Writes a line at once, so that it is complete or absent.
fn say(line: &str) {
    let mut stdout = stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

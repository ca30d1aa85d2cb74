//! The store in memory keeps every rule, and each check finds the store that doesn't.

use apikey_manager::{MemoryStore, conformance::Fixture};

async fn memory() -> Fixture {
    Fixture::new(MemoryStore::new())
}

apikey_manager::conformance_tests!(memory);

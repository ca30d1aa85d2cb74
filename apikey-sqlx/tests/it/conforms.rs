//! Both stores pass the conformance checks, PostgreSQL also behind a pooler of transactions.

mod sqlite {
    apikey_conformance::test_store!(crate::support::sqlite_fixture);
}

mod postgres {
    apikey_conformance::test_store!(crate::support::postgres_fixture);
}

mod pooler {
    apikey_conformance::test_store!(crate::support::pooler_fixture);
}

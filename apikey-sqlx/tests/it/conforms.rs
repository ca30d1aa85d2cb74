//! Both stores pass the conformance checks.

mod sqlite {
    apikey_conformance::test_store!(crate::support::sqlite_fixture);
}

mod postgres {
    apikey_conformance::test_store!(crate::support::postgres_fixture);
}

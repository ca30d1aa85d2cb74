//! Both stores do what a store must.

mod sqlite {
    apikey_conformance::test_store!(crate::support::sqlite_fixture);
}

mod postgres {
    apikey_conformance::test_store!(crate::support::postgres_fixture);
}

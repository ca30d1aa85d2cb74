//! What every store has to do, asked of both.

mod sqlite {
    use apikey_manager::conformance::Fixture;

    use crate::support::Place;

    apikey_manager::conformance_tests!(async || {
        let place = Place::sqlite();
        Fixture::new(place.open().await).keeping(place)
    });
}

mod postgres {
    use apikey_manager::conformance::Fixture;

    use crate::support::Place;

    apikey_manager::conformance_tests!(async || {
        let place = Place::postgres()?;
        Some(Fixture::new(place.open().await).keeping(place))
    });
}

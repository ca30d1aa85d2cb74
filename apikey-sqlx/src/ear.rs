//! Whether notifications of PostgreSQL arrive.

use sqlx::postgres::PgListener;

#[derive(Default)]
pub(crate) enum Ear {
    #[default]
    Untested,
    Hears(PgListener),
    Deaf,
}

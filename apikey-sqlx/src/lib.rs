//! API keys in SQLite and PostgreSQL.

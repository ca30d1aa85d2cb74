//! The key never appears: not in the log at the lowest level, not in `Debug`, not in errors, in no encoding.

mod disguise;
mod log;
mod logged;
mod printed;

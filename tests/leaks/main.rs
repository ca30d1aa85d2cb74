//! The key appears nowhere: not in what is logged at the lowest level, not in `Debug`, not in errors, in no encoding.

mod disguise;
mod log;
mod logged;
mod printed;

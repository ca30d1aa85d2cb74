//! Several managers on one database: what is ended through one is ended in all when the operation returns.

mod bed;
mod ends;
mod parts;
mod places;

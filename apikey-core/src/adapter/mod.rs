//! What adapters of frameworks share.

mod anonymous;
mod background;

pub use self::{anonymous::Anonymous, background::Background};

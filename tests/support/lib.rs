//! What the workspace's tests share: a cast of keys, three servers with the same routes, a client that sends bytes as
//! they are, and the table of requests.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

pub mod calls;
mod cast;
pub mod challenge;
mod ready;
pub mod sender;
pub mod servers;
pub mod stand;
pub mod store;
pub mod table;
pub mod wire;

pub use self::ready::{patiently, ready};

//! The fleet's protocol, explored and simulated: the very machine of `apikey-fleet`, in a modelled world.
//!
//! [`explore`] visits every state of a small fleet: one key, one revocation, and faults of the network, of processes, of clocks and
//! of the store at every point. Time is in whole seconds. Any process may be passed over while time goes on, which is how
//! stopped processes and stalled threads are modelled.

#![expect(missing_docs, reason = "used only by these tests")]

mod key;
mod revoker;
mod scope;
mod search;
pub mod simulation;
mod site;
mod steps;
mod store;
pub mod suite;
mod world;

pub use crate::{
    scope::{Fault, Mutant, Scope},
    search::{Outcome, Violation, explore},
};

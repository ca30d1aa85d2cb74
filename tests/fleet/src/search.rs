//! Breadth first through every state that can be reached: exact states, shortest counterexamples.

use std::{
    hash::{DefaultHasher, Hasher},
    time::{Duration, Instant},
};

use apikey_fleet::Effect;

use crate::{key::Key, revoker::Revoker, scope::Scope, steps::Steps, world::World};

/// What an exploration found.
#[derive(Debug)]
pub struct Outcome {
    pub states: usize,
    pub edges: usize,
    /// The length of the longest of the shortest ways to a state.
    pub depth: usize,
    /// Whether every state was visited, none of them being wrong.
    pub is_complete: bool,
    /// In how many states it was checked that a receipt needs no time.
    pub live_checks: usize,
    pub violation: Option<Violation>,
    /// For people: how long it took.
    pub took: Duration,
    /// The memory for visited states, in bytes.
    pub bytes: usize,
}

/// A way to a state that must not be.
#[derive(Debug)]
pub struct Violation {
    pub what: &'static str,
    pub trace: Vec<String>,
}

/// Explores `scope`.
///
/// # Panics
///
/// Panics if there are to be no nodes, or more than three.
#[must_use]
pub fn explore(scope: &Scope) -> Outcome {
    match scope.nodes {
        1 => explore_nodes::<1>(scope),
        2 => explore_nodes::<2>(scope),
        3 => explore_nodes::<3>(scope),
        nodes => panic!("{nodes} nodes are too many or too few"),
    }
}

fn explore_nodes<const N: usize>(scope: &Scope) -> Outcome {
    let started = Instant::now();
    let mut visited = Visited::default();
    let (mut key, mut next) = (Key::default(), Vec::new());
    let first = World::<N>::new(scope);
    first.key(&mut key);
    visited.insert(&key.bytes, (0, 0));
    let mut layer = vec![(0, first)];
    let (mut edges, mut depth, mut live_checks, mut is_complete) = (0, 0, 0, true);
    let mut violation = None;
    'search: while !layer.is_empty() {
        let mut following = Vec::new();
        for (index, world) in layer {
            let let_in = Steps::of(scope, &world, &mut next);
            let what = if let_in.is_some() {
                Some(("a request that came after the receipt is let in", let_in.map(|label| label.to_string())))
            } else if scope.live {
                let (waits, refuses) = (world.revoker.waits(), refuses_answers(&world));
                live_checks += usize::from(waits) + usize::from(refuses);
                if refuses && !recovers(scope, world.clone()) {
                    Some(("a node renews its lease, and can look no key up", None))
                } else {
                    let needs_time = waits && !comes_at_once(scope, world);
                    needs_time.then_some(("the receipt needs time, though all nodes are healthy", None))
                }
            } else {
                None
            };
            if let Some((what, last)) = what {
                let trace = visited.trace::<N>(scope, index).into_iter().chain(last).collect();
                (violation, is_complete) = (Some(Violation { what, trace }), false);
                break 'search;
            }
            edges += next.len();
            for (ordinal, (_, world)) in next.drain(..).enumerate() {
                world.key(&mut key);
                if let Some(index) = visited.insert(&key.bytes, (index, ordinal as u16)) {
                    following.push((index, world));
                }
            }
            if visited.len() > scope.limit {
                is_complete = false;
                break 'search;
            }
        }
        layer = following;
        depth += 1;
    }
    let (states, bytes) = (visited.len(), visited.bytes());
    Outcome { states, edges, depth, is_complete, live_checks, violation, took: started.elapsed(), bytes }
}

/// Whether a node that has joined takes the primary's answers for stale ones.
fn refuses_answers<const N: usize>(world: &World<N>) -> bool {
    let joined = world.sites.iter().filter(|site| site.frontier.begin_load().is_some());
    joined.into_iter().any(|site| !site.may_load_at(world.primary.log.head))
}

/// Whether every node that lives can look keys up after a few renewals, if from here on nothing fails and nothing changes.
fn recovers<const N: usize>(scope: &Scope, mut world: World<N>) -> bool {
    for _ in 0..32 {
        (0..N).for_each(|index| advance(scope, &mut world, index));
    }
    world.sites.iter().all(|site| site.node.is_none() || site.may_load_at(world.primary.log.head))
}

/// Whether a receipt comes without time passing, if from here on nothing fails and every node does its part.
fn comes_at_once<const N: usize>(scope: &Scope, mut world: World<N>) -> bool {
    for _ in 0..64 {
        match world.revoker {
            Revoker::Done => return true,
            Revoker::Committed { .. } => world.know(scope),
            _ => world.look(scope),
        }
        (0..N).for_each(|index| advance(scope, &mut world, index));
    }
    false
}

/// A node does its next step, which succeeds.
fn advance<const N: usize>(scope: &Scope, world: &mut World<N>, index: usize) {
    let now = world.clock(index);
    let site = &mut world.sites[index];
    match (site.effects.front(), site.asked) {
        (Some(Effect::Ask(statement)), _) => {
            world.primary.write(scope, *statement);
            site.effects.pop_front();
        }
        (Some(_), _) => site.perform(scope),
        (None, Some(statement @ apikey_fleet::Statement::Beat { .. })) => world.beat(scope, index, statement),
        (None, Some(_)) => world.read(scope, index, false),
        (None, None) => site.begin(scope, now),
    }
    world.sites[index].skip();
}

/// The states seen, as bytes, each with the step that led to it.
#[derive(Default)]
struct Visited {
    arena: Vec<u8>,
    /// Where each state's bytes end.
    ends: Vec<u32>,
    parents: Vec<(u32, u16)>,
    /// Open addressing: indices, one too high; 0 is empty.
    slots: Vec<u32>,
}

impl Visited {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn bytes(&self) -> usize {
        self.arena.capacity() + self.ends.capacity() * 4 + self.parents.capacity() * 8 + self.slots.capacity() * 4
    }

    fn state(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.arena[start..self.ends[index] as usize]
    }

    /// Returns the state's index, or `None` if it was there.
    fn insert(&mut self, state: &[u8], parent: (u32, u16)) -> Option<u32> {
        if self.len() * 4 >= self.slots.len() * 3 {
            self.slots = vec![0; (self.slots.len() * 2).max(1 << 12)];
            for index in 0..self.len() {
                let slot = self.find(self.state(index)).expect_err("no state is there twice");
                self.slots[slot] = index as u32 + 1;
            }
        }
        let slot = self.find(state).err()?;
        let index = self.len() as u32;
        self.slots[slot] = index + 1;
        self.arena.extend_from_slice(state);
        self.ends.push(u32::try_from(self.arena.len()).expect("less than 4 GiB of states"));
        self.parents.push(parent);
        Some(index)
    }

    /// Returns where the state is, or else the slot where it belongs.
    fn find(&self, state: &[u8]) -> Result<usize, usize> {
        let mut hasher = DefaultHasher::new();
        hasher.write(state);
        let mask = self.slots.len() - 1;
        let mut slot = hasher.finish() as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                index if self.state(index as usize - 1) == state => return Ok(slot),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// The steps that lead to a state.
    fn trace<const N: usize>(&self, scope: &Scope, mut index: u32) -> Vec<String> {
        let mut ordinals = Vec::new();
        while index != 0 {
            let (parent, ordinal) = self.parents[index as usize];
            ordinals.push(ordinal);
            index = parent;
        }
        let (mut world, mut next) = (World::<N>::new(scope), Vec::new());
        let steps = ordinals.into_iter().rev().map(|ordinal| {
            Steps::of(scope, &world, &mut next);
            let (label, following) = next.swap_remove(ordinal as usize);
            world = following;
            label.to_string()
        });
        steps.collect()
    }
}

//! A fleet, its store, whoever revokes, and time.

use std::hash::Hash;

use apikey_fleet::{Lease, Moment, NodeId, Sighting, Statement, Sweep};

use crate::{
    key::Key,
    revoker::Revoker,
    scope::{Fault, Scope},
    site::{Held, Request, Site, index_of, second},
    store::Server,
};

#[derive(Clone, Debug)]
pub(crate) struct World<const N: usize> {
    /// The fastest clock, in seconds. It is that of whoever revokes.
    pub(crate) now: u8,
    pub(crate) primary: Server,
    /// A deposed primary.
    pub(crate) old: Option<Server>,
    pub(crate) other: Other,
    /// For a mutant: the last number that a sequence gave.
    pub(crate) sequence: u8,
    pub(crate) revoker: Revoker,
    pub(crate) attempts: u8,
    pub(crate) has_receipt: bool,
    pub(crate) sightings: Vec<(NodeId, Sighting)>,
    pub(crate) sweep: Option<Sweep>,
    pub(crate) sites: [Site; N],
}

/// The change for which nobody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Other {
    ToCome,
    /// For a mutant: it has its number.
    Numbered(u8),
    Done,
}

impl<const N: usize> World<N> {
    pub(crate) fn new(scope: &Scope) -> Self {
        World {
            now: 0,
            primary: Server::new(scope.may(Fault::Undone)),
            old: None,
            other: Other::ToCome,
            sequence: 0,
            revoker: Revoker::Idle,
            attempts: 0,
            has_receipt: false,
            sightings: Vec::new(),
            sweep: None,
            sites: std::array::from_fn(|index| Site::new(scope, index)),
        }
    }

    /// The reading of a site's clock.
    pub(crate) fn clock(&self, index: usize) -> Moment {
        second(self.now.saturating_sub(self.sites[index].missed))
    }

    pub(crate) fn key(&self, key: &mut Key) {
        let World { now, primary, old, other, sequence, revoker, attempts, has_receipt, sightings, sweep, sites } =
            self;
        key.clear();
        (now, other, sequence, attempts, has_receipt).hash(key);
        for (index, site) in sites.iter().enumerate() {
            key.rank(self.beats(index));
            site.hash(key);
            let of_site = |id: NodeId| index_of(id) == index;
            for server in [Some(primary), old.as_ref()].into_iter().flatten() {
                let rows = || server.rows.iter().filter(|row| of_site(row.id));
                rows().count().hash(key);
                rows().for_each(|row| row.hash(key));
            }
            let seen = || sightings.iter().filter(|(id, _)| of_site(*id));
            seen().count().hash(key);
            seen().for_each(|seen| seen.hash(key));
            sweep.filter(|sweep| of_site(sweep.id)).hash(key);
        }
        key.rank(revoker.taken_rows().iter().map(|row| row.beat.get()));
        (primary.log, old.as_ref().map(|old| old.log), revoker).hash(key);
    }

    /// Removes what makes no difference.
    pub(crate) fn normalize(&mut self) {
        for index in 0..N {
            let now = self.clock(index);
            let site = &mut self.sites[index];
            // A lease that is over is as good as none, unless a request has read the clock before.
            let has_read = matches!(site.request, Request::Read(_) | Request::Looked { .. });
            if !has_read && !site.lease.covers(now) {
                site.lease = Lease::NONE;
            }
            site.skip();
        }
    }

    /// Every beat that a site or the store's rows of it mention.
    fn beats(&self, index: usize) -> impl Iterator<Item = i64> {
        let site = &self.sites[index];
        let nodes = site.node.iter().chain(site.before.as_deref()).map(|node| node.beat());
        let statements =
            site.asked.iter().chain(&site.late).chain(&site.farewell).filter_map(|statement| match statement {
                Statement::Beat { beat, .. } => Some(*beat),
                _ => None,
            });
        let held = match &site.held {
            Held::Snapshot(snapshot) | Held::Joining(_, snapshot) => snapshot.own.map(|own| own.beat),
            Held::Nothing | Held::Beaten => None,
        };
        let servers = [Some(&self.primary), self.old.as_ref()].into_iter().flatten();
        let rows =
            servers.flat_map(|server| &server.rows).filter(move |row| index_of(row.id) == index).map(|row| row.beat);
        let seen =
            self.sightings.iter().filter(move |(id, _)| index_of(*id) == index).map(|(_, sighting)| sighting.beat());
        let swept = self.sweep.filter(move |sweep| index_of(sweep.id) == index).map(|sweep| sweep.beat);
        nodes.chain(statements).chain(held).chain(rows).chain(seen).chain(swept).map(|beat| beat.get())
    }
}

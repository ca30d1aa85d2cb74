//! The queue of requests to write, and the sampling that depends on its length.

use std::collections::VecDeque;

use crate::query::Activity;

#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Activity>,
    capacity: usize,
    offered: u64,
    left_out: u64,
    /// How many of them the log has reported.
    told: u64,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Queue { waiting: VecDeque::new(), capacity, offered: 0, left_out: 0, told: 0 }
    }

    /// Returns `true` if the next request is sampled. The rate depends on how full the queue is.
    pub(super) fn admits(&mut self) -> bool {
        let eighths = self.waiting.len() * 8 / self.capacity;
        let one_of = match eighths {
            0..4 => 1,
            4..6 => 2,
            6 => 4,
            7 => 16,
            _ => u64::MAX,
        };
        self.offered += 1;
        let is_admitted = one_of != u64::MAX && self.offered.is_multiple_of(one_of);
        self.left_out += u64::from(!is_admitted);
        is_admitted
    }

    /// Adds an admitted request, and returns the length. Returns `None` if others have filled the queue since.
    pub(super) fn push(&mut self, activity: Activity) -> Option<usize> {
        if self.waiting.len() >= self.capacity {
            self.left_out += 1;
            return None;
        }
        self.waiting.push_back(activity);
        Some(self.waiting.len())
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Returns how many requests were omitted since the last call.
    pub(super) fn newly_left_out(&mut self) -> u64 {
        let before = std::mem::replace(&mut self.told, self.left_out);
        self.left_out - before
    }

    pub(super) fn first(&self, count: usize) -> Vec<Activity> {
        self.waiting.iter().take(count).cloned().collect()
    }

    pub(super) fn remove_first(&mut self, count: usize) -> Vec<Activity> {
        self.waiting.drain(..count.min(self.waiting.len())).collect()
    }
}

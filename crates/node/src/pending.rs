//! Changes of the cluster state that this node has asked for and that are not made yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use ringwall_api::cluster::PendingTask;

/// Those of a node. Cheap to clone.
#[derive(Clone, Default)]
pub struct Pending(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    last: u64,
    changes: BTreeMap<u64, (String, Instant)>,
}

/// A change that waits, until this is dropped.
pub struct Waits {
    pending: Pending,
    number: u64,
}

impl Pending {
    /// Notes a change.
    pub fn add(&self, source: String) -> Waits {
        let mut waiting = self.0.lock();
        waiting.last += 1;
        let number = waiting.last;
        waiting.changes.insert(number, (source, Instant::now()));
        Waits {
            pending: self.clone(),
            number,
        }
    }

    /// Returns those that wait, the oldest first.
    pub fn list(&self) -> Vec<PendingTask> {
        let waiting = self.0.lock();
        let changes = waiting.changes.iter();
        changes
            .map(|(number, (source, since))| PendingTask {
                insert_order: *number,
                source: source.clone(),
                in_queue_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
            .collect()
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.pending.0.lock().changes.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_listed_until_it_is_made() {
        let pending = Pending::default();
        let first = pending.add("create-index [a]".to_owned());
        let second = pending.add("create-index [b]".to_owned());
        let sources = |pending: &Pending| -> Vec<(u64, String)> {
            let list = pending.list().into_iter();
            list.map(|task| (task.insert_order, task.source)).collect()
        };
        assert_eq!(
            sources(&pending),
            [
                (1, "create-index [a]".to_owned()),
                (2, "create-index [b]".to_owned())
            ]
        );
        drop(first);
        assert_eq!(sources(&pending), [(2, "create-index [b]".to_owned())]);
        drop(second);
        assert!(pending.list().is_empty());
    }
}

//! Which connections carry requests and which wait for their client, so that waiting ones give way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The connections of a server that carry no request, by the address of the client and since when.
///
/// Also those still in their handshake: they wait since they were accepted.
#[derive(Default)]
pub(super) struct Waiting {
    connections: Mutex<HashMap<IpAddr, Places>>,
    counts: Arc<ConnectionCounts>,
}

/// Of one address, the longest first.
type Places = BTreeMap<(Instant, u64), CancellationToken>;

/// How many clients are connected, for statistics. Shared with whoever shows them.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    opened: AtomicU64,
    closed: AtomicU64,
    shed: AtomicU64,
}

impl ConnectionCounts {
    /// Returns the number of connections open now.
    pub fn open(&self) -> u64 {
        // In this order: a connection that ends between the two counts as open.
        let closed = self.closed.load(Ordering::Acquire);
        self.opened().saturating_sub(closed)
    }

    /// Returns the number of connections accepted since the start.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Acquire)
    }

    /// Returns the number of connections that gave their place to another.
    pub fn shed(&self) -> u64 {
        self.shed.load(Ordering::Acquire)
    }
}

impl Waiting {
    /// Returns a registry that counts there.
    pub(super) fn new(counts: Arc<ConnectionCounts>) -> Self {
        Self {
            counts,
            ..Self::default()
        }
    }

    /// Takes note of a new connection.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Arc<Activity> {
        let activity = Activity {
            waiting: Arc::clone(self),
            peer,
            id: self.counts.opened.fetch_add(1, Ordering::AcqRel),
            shed: CancellationToken::new(),
            state: Mutex::new(State {
                running: 0,
                is_writing: false,
                since: Instant::now(),
            }),
            heads: AtomicU64::new(0),
            left_unread: AtomicBool::new(false),
        };
        self.insert(&activity, activity.state.lock().since);
        Arc::new(activity)
    }

    /// Ends the connection that has waited longest of the address with most that wait. Returns whether there was
    /// one.
    pub(super) fn shed_longest(&self) -> bool {
        let mut connections = self.connections.lock();
        let most = connections
            .iter()
            .max_by_key(|(_, places)| (places.len(), Reverse(places.keys().next().copied())))
            .map(|(peer, _)| *peer);
        let Some(peer) = most else {
            return false;
        };
        let Some(places) = connections.get_mut(&peer) else {
            return false;
        };
        let longest = places.pop_first();
        if places.is_empty() {
            connections.remove(&peer);
        }
        let Some((_, shed)) = longest else {
            return false;
        };
        shed.cancel();
        self.counts.shed.fetch_add(1, Ordering::AcqRel);
        true
    }

    fn insert(&self, activity: &Activity, since: Instant) {
        let mut connections = self.connections.lock();
        let places = connections.entry(activity.peer).or_default();
        places.insert((since, activity.id), activity.shed.clone());
    }

    fn remove(&self, activity: &Activity, since: Instant) {
        let mut connections = self.connections.lock();
        if let Some(places) = connections.get_mut(&activity.peer) {
            places.remove(&(since, activity.id));
            if places.is_empty() {
                connections.remove(&activity.peer);
            }
        }
    }
}

/// What one connection is doing.
pub(super) struct Activity {
    waiting: Arc<Waiting>,
    peer: IpAddr,
    id: u64,
    shed: CancellationToken,
    state: Mutex<State>,
    /// Requests whose head has arrived.
    heads: AtomicU64,
    /// A request was answered that the client has not sent whole.
    left_unread: AtomicBool,
}

struct State {
    /// Requests being answered.
    running: u32,
    /// The client has yet to take what was written.
    is_writing: bool,
    /// When the last of both ended.
    since: Instant,
}

impl State {
    fn is_waiting(&self) -> bool {
        self.running == 0 && !self.is_writing
    }
}

impl Activity {
    /// Takes note that the whole head of a request has arrived; its answer is ready when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Answering {
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.change(|state| state.running += 1);
        Answering(Arc::clone(self))
    }

    fn end(&self) {
        self.change(|state| state.running -= 1);
    }

    /// Takes note of whether the client has yet to take what was written.
    pub(super) fn writing(&self, is_writing: bool) {
        self.change(|state| state.is_writing = is_writing);
    }

    /// Takes note that the client has taken something: it does not wait, even if all was written at once.
    pub(super) fn progress(&self) {
        let is_old = |state: &State| state.is_waiting() && state.since.elapsed() > PROGRESS;
        if is_old(&self.state.lock()) {
            self.change(|state| state.is_writing = true);
            self.change(|state| state.is_writing = false);
        }
    }

    /// Changes the state, and the place among those that wait with it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let (was_waiting, since) = (state.is_waiting(), state.since);
        change(&mut state);
        match (was_waiting, state.is_waiting()) {
            (true, false) => self.waiting.remove(self, since),
            (false, true) => {
                state.since = Instant::now();
                self.waiting.insert(self, state.since);
            }
            _ => {}
        }
    }

    /// Returns the number of requests whose head has arrived.
    pub(super) fn heads(&self) -> u64 {
        self.heads.load(Ordering::Relaxed)
    }

    /// Takes note that a request is answered of which the client has not sent all.
    pub(super) fn leave_unread(&self) {
        self.left_unread.store(true, Ordering::Relaxed);
    }

    /// Returns whether such a request was answered.
    pub(super) fn has_left_unread(&self) -> bool {
        self.left_unread.load(Ordering::Relaxed)
    }

    /// Returns whether a request is being answered.
    pub(super) fn is_answering(&self) -> bool {
        self.state.lock().running > 0
    }

    /// Completes when the connection must give its place to another.
    pub(super) async fn shed(&self) {
        self.shed.cancelled().await;
    }

    /// Completes when the connection has carried no request for so long.
    pub(super) async fn idle_for(&self, idle: Duration) {
        loop {
            let due = {
                let state = self.state.lock();
                let begin = match state.is_waiting() {
                    true => state.since,
                    false => Instant::now(),
                };
                // Too far away to be a time: never.
                begin.checked_add(idle)
            };
            match due {
                Some(due) if due <= Instant::now() => return,
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        let since = self.state.lock().since;
        self.waiting.remove(self, since);
        self.waiting.counts.closed.fetch_add(1, Ordering::AcqRel);
    }
}

/// A request that is being answered.
pub(super) struct Answering(Arc<Activity>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Progress within this time is not noted again.
const PROGRESS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_gives_way_and_who_is_answered_does_not() {
        let waiting = Arc::new(Waiting::default());
        let busy = waiting.enter(HERE);
        tokio::time::advance(Duration::from_secs(1)).await;
        let first = waiting.enter(HERE);
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = waiting.enter(HERE);
        let request = busy.begin();
        let other = busy.begin();
        assert!(waiting.shed_longest());
        assert!(first.shed.is_cancelled() && !second.shed.is_cancelled());
        drop(request);
        drop(second);
        assert!(!waiting.shed_longest(), "one has gone, the other is busy");
        drop(other);
        assert!(waiting.shed_longest());
        busy.shed().await;
        let counts = Arc::clone(&waiting.counts);
        assert_eq!((counts.open(), counts.opened(), counts.shed()), (2, 3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_begins_with_the_end_of_the_last_request() {
        let activity = Arc::new(Waiting::default()).enter(HERE);
        let minute = Duration::from_secs(60);
        let begun = Instant::now();
        activity.idle_for(minute).await;
        assert_eq!(begun.elapsed(), minute);
        let request = activity.begin();
        let busy = tokio::time::timeout(10 * minute, activity.idle_for(minute));
        assert!(busy.await.is_err());
        drop(request);
        let ended = Instant::now();
        activity.idle_for(minute).await;
        assert_eq!(ended.elapsed(), minute);
        let forever = tokio::time::timeout(minute, activity.idle_for(Duration::MAX));
        assert!(forever.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_with_most_gives_way_and_a_download_does_not() {
        let waiting = Arc::new(Waiting::default());
        let node = IpAddr::from([192, 0, 2, 1]);
        let (lone, download) = (waiting.enter(node), waiting.enter(node));
        download.writing(true);
        tokio::time::advance(Duration::from_secs(5)).await;
        let crowd = [waiting.enter(HERE), waiting.enter(HERE)];
        assert!(waiting.shed_longest());
        assert!(crowd[0].shed.is_cancelled() && !lone.shed.is_cancelled());
        let idle = tokio::time::timeout(
            Duration::from_secs(60),
            download.idle_for(Duration::from_secs(3)),
        );
        assert!(idle.await.is_err(), "it is being read");
        download.writing(false);
        let begun = Instant::now();
        let idle = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            download.progress();
            download.idle_for(Duration::from_secs(3)).await;
        };
        idle.await;
        assert_eq!(begun.elapsed().as_secs(), 5);
        drop((lone, crowd, download));
        assert!(waiting.connections.lock().is_empty());
    }
}

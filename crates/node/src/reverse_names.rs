//! The names of addresses, for rules about hosts. Source: Elasticsearch reference, "Restricting connections with IP
//! filtering".
//!
//! The system's resolver blocks and cannot be interrupted: lookups run on few threads of their own, an answer
//! that comes too late serves the next who asks, and what does not answer in time has no name.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringwall_base::host_pattern::normalized;
use ringwall_base::{NameFuture, ReverseNames};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

type Lookup = dyn Fn(IpAddr) -> Option<String> + Send + Sync;
/// `None` until the lookup has ended; then the name, if there is one.
type Answer = Option<Option<String>>;

/// Asks the resolver of the system, and remembers for a while.
pub struct SystemNames {
    lookup: Arc<Lookup>,
    turns: Arc<Semaphore>,
    known: Mutex<HashMap<IpAddr, Known>>,
}

struct Known {
    answer: watch::Receiver<Answer>,
    asked: Instant,
}

impl Default for SystemNames {
    fn default() -> Self {
        Self::new(|address| confirmed(address, reverse, forward))
    }
}

impl SystemNames {
    fn new(lookup: impl Fn(IpAddr) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            lookup: Arc::new(lookup),
            turns: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            known: Mutex::default(),
        }
    }

    async fn name(&self, address: IpAddr) -> Option<String> {
        let deadline = Instant::now() + DEADLINE;
        let mut answer = match self.remembered(address) {
            Some(answer) => answer,
            None => self.ask(address).await?,
        };
        let answered = timeout_at(deadline, answer.wait_for(Option::is_some)).await;
        answered.ok()?.ok()?.clone().flatten()
    }

    fn remembered(&self, address: IpAddr) -> Option<watch::Receiver<Answer>> {
        let known = self.known.lock();
        let known = known.get(&address)?;
        known.is_good().then(|| known.answer.clone())
    }

    /// Begins a lookup once there is a thread for it; of several who wait for one, the first begins it.
    async fn ask(&self, address: IpAddr) -> Option<watch::Receiver<Answer>> {
        let turn = timeout(DEADLINE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.ok()?.ok()?;
        let mut known = self.known.lock();
        if let Some(known) = known.get(&address).filter(|known| known.is_good()) {
            return Some(known.answer.clone());
        }
        if known.len() >= MAX_KNOWN {
            known.retain(|_, known| known.is_good());
        }
        if known.len() >= MAX_KNOWN {
            let oldest = known.iter().min_by_key(|(_, known)| known.asked);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                known.remove(&oldest);
            }
        }
        let (sender, answer) = watch::channel(None);
        self.spawn(address, turn, sender);
        let asked = Instant::now();
        let entry = Known {
            answer: answer.clone(),
            asked,
        };
        known.insert(address, entry);
        Some(answer)
    }

    /// A thread of its own: one of the runtime would hold up the end of the process.
    fn spawn(&self, address: IpAddr, turn: OwnedSemaphorePermit, sender: watch::Sender<Answer>) {
        let lookup = Arc::clone(&self.lookup);
        let body = move || {
            sender.send_replace(Some(lookup(address)));
            drop(turn);
        };
        let thread = std::thread::Builder::new().name("reverse-lookup".to_owned());
        if let Err(error) = thread.spawn(body) {
            tracing::warn!(%error, %address, "cannot look up the name of an address");
        }
    }
}

impl Known {
    /// Returns whether there is no need to ask again.
    fn is_good(&self) -> bool {
        // Without a sender and without an answer, the lookup ended badly.
        let lasts = match &*self.answer.borrow() {
            Some(Some(_)) => NAME_LASTS,
            Some(None) => NO_NAME_LASTS,
            None if self.answer.has_changed().is_err() => return false,
            None => return true,
        };
        self.asked.elapsed() < lasts
    }
}

impl ReverseNames for SystemNames {
    fn confirmed_name(&self, address: IpAddr) -> NameFuture<'_> {
        Box::pin(self.name(address))
    }
}

impl fmt::Debug for SystemNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemNames").finish_non_exhaustive()
    }
}

/// Returns the name of an address that has the address in turn: who is in charge of the addresses may give them
/// any name, and who is in charge of the name says which addresses it has.
fn confirmed(
    address: IpAddr,
    reverse: impl Fn(IpAddr) -> Option<String>,
    forward: impl Fn(&str) -> Vec<IpAddr>,
) -> Option<String> {
    let name = normalized(&reverse(address)?)?;
    let addresses = forward(&name);
    let is_confirmed = addresses.iter().any(|ip| ip.to_canonical() == address);
    if !is_confirmed {
        tracing::debug!(%address, name, ?addresses, "the name of an address does not resolve to it");
    }
    is_confirmed.then_some(name)
}

fn reverse(address: IpAddr) -> Option<String> {
    let found = dns_lookup::lookup_addr(&address);
    found
        .inspect_err(|error| tracing::debug!(%address, %error, "an address has no name"))
        .ok()
}

fn forward(name: &str) -> Vec<IpAddr> {
    let found = (name, 0).to_socket_addrs();
    found.map_or_else(|_| Vec::new(), |found| found.map(|at| at.ip()).collect())
}

/// How long a connection waits for the name of its peer.
const DEADLINE: Duration = Duration::from_secs(3);
/// At once.
const MAX_LOOKUPS: usize = 8;
const MAX_KNOWN: usize = 1024;
const NAME_LASTS: Duration = Duration::from_secs(60);
const NO_NAME_LASTS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_name_counts_only_where_it_leads_back() {
        let named = |name: &'static str, addresses: &'static [IpAddr]| {
            confirmed(ip(1), |_| Some(name.to_owned()), |_| addresses.to_vec())
        };
        const HERE: &[IpAddr] = &[
            IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)),
            IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        ];
        assert_eq!(
            named("ES01.example.com.", HERE).as_deref(),
            Some("es01.example.com")
        );
        assert_eq!(named("es01.example.com", &HERE[..1]), None);
        assert_eq!(named("es01.example.com", &[]), None);
        assert_eq!(named("192.0.2.1", HERE), None, "a number is no name");
        assert_eq!(confirmed(ip(1), |_| None, |_| HERE.to_vec()), None);
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let name = SystemNames::default()
            .name(IpAddr::from([127, 0, 0, 1]))
            .await;
        let name = name.expect("127.0.0.1 is in /etc/hosts");
        assert!(
            forward(&name).contains(&IpAddr::from([127, 0, 0, 1])),
            "{name}"
        );
    }

    #[tokio::test]
    async fn an_address_is_looked_up_once_for_a_while() {
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lookups);
        let names = SystemNames::new(move |address| {
            counted.fetch_add(1, Ordering::SeqCst);
            (address == ip(1)).then(|| "es01.example.com".to_owned())
        });
        let asked = futures::future::join_all((0..20).map(|_| names.name(ip(1)))).await;
        assert!(
            asked
                .iter()
                .all(|name| name.as_deref() == Some("es01.example.com"))
        );
        assert_eq!(names.name(ip(2)).await, None);
        assert_eq!(names.name(ip(2)).await, None);
        assert_eq!(lookups.load(Ordering::SeqCst), 2);
        tokio::time::pause();
        tokio::time::advance(NO_NAME_LASTS).await;
        tokio::time::resume();
        assert!(names.name(ip(1)).await.is_some());
        assert_eq!(names.name(ip(2)).await, None);
        assert_eq!(lookups.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn the_cache_is_bounded() {
        let names = SystemNames::new(|_| Some("es01.example.com".to_owned()));
        for number in 0..MAX_KNOWN as u32 + 10 {
            assert!(names.name(IpAddr::V4(number.into())).await.is_some());
        }
        assert_eq!(names.known.lock().len(), MAX_KNOWN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_costs_few_threads_and_no_patience() {
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let (begun, lookups) = mpsc::channel();
        let names = SystemNames::new(move |address| {
            let _ = begun.send(address);
            let _ = released.lock().recv();
            Some("es01.example.com".to_owned())
        });
        let many = (0..3 * MAX_LOOKUPS as u8).map(|number| names.name(ip(number)));
        let before = Instant::now();
        assert!(
            futures::future::join_all(many)
                .await
                .iter()
                .all(Option::is_none)
        );
        assert!(before.elapsed() <= DEADLINE + Duration::from_millis(10));
        let asked: Vec<IpAddr> = (0..MAX_LOOKUPS).map(|_| lookups.recv().unwrap()).collect();
        assert!(lookups.try_recv().is_err(), "no thread more");
        // What came too late serves the next who asks.
        drop(release);
        tokio::time::resume();
        for address in asked {
            assert!(names.name(address).await.is_some());
        }
    }
}

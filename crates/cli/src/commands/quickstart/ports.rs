//! Choosing ports on loopback, and waiting for chosen ones.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use ringwall_base::ids::random_bytes;
use tokio::time::Instant;

use super::site::NodeHome;
use crate::error::CommandError;

/// Ports that are free now: each is held until this is dropped, so that none is chosen twice.
#[derive(Default)]
pub(super) struct Reserved {
    listeners: Vec<TcpListener>,
}

impl Reserved {
    /// Returns `count` ports: those from `first` on if it is given, and then all of them must be free;
    /// any for 0; without it the free ones from 9200 on.
    pub(super) fn http(
        &mut self,
        first: Option<u16>,
        count: usize,
    ) -> Result<Vec<u16>, CommandError> {
        match first {
            Some(0) => self.any(count),
            Some(first) => self.exactly(first, count),
            None => {
                let free: Vec<u16> = DEFAULT_HTTP_PORTS
                    .filter(|port| self.take(*port).is_ok())
                    .take(count)
                    .collect();
                let missing = count - free.len();
                Ok([free, self.any(missing)?].concat())
            }
        }
    }

    /// Returns the port of the console: any where the nodes were given any, else the first free one from 5601 on.
    pub(super) fn console(&mut self, first_of_nodes: Option<u16>) -> Result<u16, CommandError> {
        let mut usual = CONSOLE_PORTS.filter(|_| first_of_nodes != Some(0));
        match usual.find(|port| self.take(*port).is_ok()) {
            Some(port) => Ok(port),
            None => Ok(self.any(1)?[0]),
        }
    }

    /// Returns free ports outside of the range that systems give to outgoing connections, so that
    /// none of those is on them when the cluster starts again.
    pub(super) fn any(&mut self, count: usize) -> Result<Vec<u16>, CommandError> {
        let mut free = Vec::with_capacity(count);
        for _ in 0..ATTEMPTS {
            if free.len() == count {
                break;
            }
            let port = FIRST_PORT + u16::from_be_bytes(random_bytes()) % PORTS;
            if self.take(port).is_ok() {
                free.push(port);
            }
        }
        match free.len() == count {
            true => Ok(free),
            false => Err(CommandError::unavailable(
                "cannot find free ports on 127.0.0.1",
            )),
        }
    }

    fn exactly(&mut self, first: u16, count: usize) -> Result<Vec<u16>, CommandError> {
        let ports: Option<Vec<u16>> = (0..count)
            .map(|offset| first.checked_add(u16::try_from(offset).ok()?))
            .collect();
        let ports = ports.ok_or_else(|| {
            CommandError::usage(format!("there are no {count} ports from [{first}] on"))
        })?;
        for port in &ports {
            self.take(*port).map_err(|error| {
                let message = format!("cannot use port [{port}] of 127.0.0.1: {error}");
                CommandError::unavailable(message)
                    .with_hint("name another --http-port, or none to have free ones chosen")
            })?;
        }
        Ok(ports)
    }

    fn take(&mut self, port: u16) -> io::Result<()> {
        self.listeners
            .push(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?);
        Ok(())
    }
}

/// Waits a moment for the ports of the nodes: those of a command that was killed stop by themselves.
pub(super) async fn wait_until_free(nodes: &[NodeHome]) -> Result<(), CommandError> {
    let deadline = Instant::now() + FREE_WITHIN;
    loop {
        let Some((node, address, error)) = first_taken(nodes) else {
            return Ok(());
        };
        if Instant::now() >= deadline {
            let message = format!(
                "cannot use the address [{address}] of {}: {error}",
                node.name
            );
            return Err(CommandError::unavailable(message).with_hint(format!(
                "stop what uses it, or change the port in {}",
                node.home.join("config/elasticsearch.yml").display()
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn first_taken(nodes: &[NodeHome]) -> Option<(&NodeHome, SocketAddr, io::Error)> {
    nodes.iter().find_map(|node| {
        [node.http, node.transport].into_iter().find_map(|address| {
            let error = TcpListener::bind(address).err()?;
            Some((node, address, error))
        })
    })
}

const DEFAULT_HTTP_PORTS: std::ops::RangeInclusive<u16> = 9200..=9299;
const CONSOLE_PORTS: std::ops::RangeInclusive<u16> = 5601..=5699;
/// Below 32768, where Linux begins to number outgoing connections.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;
const ATTEMPTS: usize = 2_000;
/// As long as a node may take to stop.
const FREE_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_distinct_and_not_the_systems_own() {
        let mut reserved = Reserved::default();
        let mut ports = reserved.any(8).unwrap();
        ports.extend(reserved.http(Some(0), 8).unwrap());
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 16);
        assert!(ports.iter().all(|port| (20_000..32_000).contains(port)));
    }

    #[test]
    fn a_named_port_must_be_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Reserved::default().http(Some(port), 1).unwrap_err();
        assert!(error.message.contains(&format!("[{port}]")), "{error}");
        assert!(error.hint.is_some());
        assert!(Reserved::default().http(Some(65535), 2).is_err());
    }

    #[test]
    fn without_a_name_taken_ports_are_left_out() {
        let mut first = Reserved::default();
        let mut ports = first.http(None, 3).unwrap();
        ports.extend(Reserved::default().http(None, 3).unwrap());
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 6);
    }
}

//! Listening sockets of both layers: one port on several addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use tokio::net::TcpListener;

/// Why no socket is listening.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address is not of this machine, or a port is not for this user.
    #[error("Failed to bind to [{address}]: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    /// Every port of the range is taken on one of the addresses.
    #[error("Failed to bind to {}: all of them are taken", ports_of(.addresses, .ports))]
    PortsTaken {
        ports: RangeInclusive<u16>,
        addresses: Vec<IpAddr>,
    },
}

fn ports_of(addresses: &[IpAddr], ports: &RangeInclusive<u16>) -> String {
    let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    format!(
        "[{}], ports [{}-{}]",
        addresses.join(", "),
        ports.start(),
        ports.end()
    )
}

/// Listens on the first port of the range that is free on every address; `0..=0` leaves it to the system.
pub async fn bind(
    addresses: &[IpAddr],
    ports: &RangeInclusive<u16>,
) -> Result<Vec<TcpListener>, BindError> {
    let addresses = without_covered(addresses);
    let any_port = *ports.start() == 0 && *ports.end() == 0;
    let tries = if any_port { ANY_PORT_TRIES } else { 1 };
    for port in ports.clone() {
        for _ in 0..tries {
            match bind_all(&addresses, port).await {
                Ok(listeners) => return Ok(listeners),
                Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err((address, source)) => return Err(BindError::Bind { address, source }),
            }
        }
    }
    Err(BindError::PortsTaken {
        ports: ports.clone(),
        addresses,
    })
}

async fn bind_all(
    addresses: &[IpAddr],
    mut port: u16,
) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners = Vec::new();
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        let failed = |error| (address, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        port = listener.local_addr().map_err(failed)?.port();
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Drops repetitions, and `0.0.0.0` where `::` accepts IPv4 too.
fn without_covered(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let all_v6 = addresses.contains(&IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let mut kept: Vec<IpAddr> = Vec::new();
    for address in addresses {
        let covered = all_v6 && *address == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        if !covered && !kept.contains(address) {
            kept.push(*address);
        }
    }
    kept
}

/// A port the system picks for one address may be taken on the next.
const ANY_PORT_TRIES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_addresses_get_one_port_and_a_taken_one_is_passed_over() {
        let local = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
        let bound = bind(&local, &(0..=0)).await.unwrap();
        let ports: Vec<u16> = bound
            .iter()
            .map(|l| l.local_addr().unwrap().port())
            .collect();
        assert_eq!(ports[0], ports[1]);
        let taken = ports[0]..=ports[0];
        let error = bind(&local[1..], &taken).await.unwrap_err().to_string();
        assert!(error.contains("[127.0.0.2], ports ["), "{error}");
        let foreign = [IpAddr::from([192, 0, 2, 1])];
        let error = bind(&foreign, &(0..=0)).await.unwrap_err();
        assert!(matches!(error, BindError::Bind { .. }), "{error}");
    }

    #[test]
    fn addresses_that_others_cover_are_bound_once() {
        let all: Vec<IpAddr> = ["0.0.0.0", "::", "10.0.0.1", "10.0.0.1"]
            .iter()
            .map(|ip| ip.parse().unwrap())
            .collect();
        let kept: Vec<String> = without_covered(&all)
            .iter()
            .map(IpAddr::to_string)
            .collect();
        assert_eq!(kept, ["::", "10.0.0.1"]);
    }
}

//! Whom an address stands for, where peers are counted.

use std::net::{IpAddr, Ipv6Addr};

/// Returns the address that all addresses of one owner share: of IPv6 the first 64 bits, since whoever has one of them
/// has the others too (RFC 6177). IPv4 within IPv6 is IPv4.
pub fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & (u128::MAX << HOST_BITS);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

const HOST_BITS: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_is_one_origin() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:3:3:4:5:6", "2001:db8:1:3::"),
        ] {
            let found = origin(address.parse().unwrap());
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{address}");
        }
    }
}

//! Networks of addresses.

use std::net::IpAddr;

/// Returns an address as a number, version 4 within version 6, in the order of [`crate::schema::encode_ip`].
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// Returns the address of [`number`], version 4 where it was.
pub fn address(number: u128) -> IpAddr {
    let v6 = std::net::Ipv6Addr::from(number);
    v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
}

/// Reads an address.
///
/// # Errors
/// What is wrong with it, in Elasticsearch's words.
pub fn parse(text: &str) -> Result<u128, String> {
    let parsed = text.parse().map(number);
    parsed.map_err(|_| format!("'{text}' is not an IP string literal."))
}

/// Reads a network such as `10.0.0.0/8` to its first and last address.
///
/// # Errors
/// As [`parse`].
pub fn parse_network(text: &str) -> Result<(u128, u128), String> {
    let Some((start, bits)) = text.split_once('/') else {
        return Err(format!("Expected [ip/prefix] but was [{text}]"));
    };
    let within = parse(start)?;
    let before = match start.contains(':') {
        true => 0,
        false => 96,
    };
    let bits: Option<u32> = bits.parse().ok().filter(|bits| *bits <= 128 - before);
    let bits = bits.ok_or_else(|| {
        format!(
            "Illegal prefix length [{bits}] in [{text}]. Must be 0-32 for IPv4 ranges, 0-128 for IPv6 \
             ranges",
            bits = text.rsplit('/').next().unwrap_or_default()
        )
    })?;
    let host = u128::MAX.checked_shr(bits + before).unwrap_or(0);
    Ok((within & !host, within | host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_ends() {
        let ends = |text: &str| {
            let (first, last) = parse_network(text).unwrap();
            (address(first).to_string(), address(last).to_string())
        };
        let pair = |first: &str, last: &str| (first.to_owned(), last.to_owned());
        assert_eq!(ends("10.1.2.3/8"), pair("10.0.0.0", "10.255.255.255"));
        assert_eq!(ends("10.1.2.3/32"), pair("10.1.2.3", "10.1.2.3"));
        assert_eq!(ends("0.0.0.0/0"), pair("0.0.0.0", "255.255.255.255"));
        assert_eq!(
            ends("2001:db8::1/112"),
            pair("2001:db8::", "2001:db8::ffff")
        );
        assert_eq!(parse_network("::/0").unwrap(), (0, u128::MAX));
        for bad in ["10.0.0.0", "10.0.0.0/33", "::1/129", "x/8", "10.0.0.0/x"] {
            assert!(parse_network(bad).is_err(), "{bad}");
        }
    }
}

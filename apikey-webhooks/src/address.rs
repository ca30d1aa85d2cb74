//! Which IP addresses a webhook may be sent to: those of the public internet, and those that the host allows.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(first: u16, second: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), length)
}

/// Networks that are not public, mostly from IANA's IPv4 Special-Purpose Address Registry.
const NOT_PUBLIC_V4: [Ipv4Net; 17] = [
    v4(0, 0, 0, 0, 8),          // this network, and the unspecified address: RFC 791 §3.2
    v4(10, 0, 0, 0, 8),         // private: RFC 1918
    v4(100, 64, 0, 0, 10),      // shared by carriers, and metadata of a cloud: RFC 6598
    v4(127, 0, 0, 0, 8),        // loopback: RFC 1122 §3.2.1.3
    v4(168, 63, 129, 16, 32),   // Azure's platform, in every virtual machine there
    v4(169, 254, 0, 0, 16),     // link-local, and metadata of most clouds: RFC 3927
    v4(172, 16, 0, 0, 12),      // private: RFC 1918
    v4(192, 0, 0, 0, 24),       // protocol assignments, and metadata of a cloud: RFC 6890 §2.1
    v4(192, 0, 2, 0, 24),       // documentation: RFC 5737
    v4(192, 88, 99, 0, 24),     // relays of 6to4, deprecated: RFC 7526
    v4(192, 168, 0, 0, 16),     // private: RFC 1918
    v4(198, 18, 0, 0, 15),      // benchmarks: RFC 2544
    v4(198, 51, 100, 0, 24),    // documentation: RFC 5737
    v4(203, 0, 113, 0, 24),     // documentation: RFC 5737
    v4(224, 0, 0, 0, 4),        // multicast: RFC 5771
    v4(240, 0, 0, 0, 4),        // reserved: RFC 1112 §4
    v4(255, 255, 255, 255, 32), // broadcast: RFC 8190
];

/// The only part of IPv6 that IANA has given out as global unicast (RFC 4291 §2.4). Outside are the unspecified address and
/// loopback, IPv4-mapped and IPv4-compatible addresses, NAT64 (RFC 6052 and RFC 8215), discard-only addresses (RFC 6666),
/// unique-local (RFC 4193), link-local, site-local and multicast ones.
const GLOBAL_UNICAST_V6: Ipv6Net = v6(0x2000, 0, 3);

/// Networks within it that are not public, from IANA's IPv6 Special-Purpose Address Registry.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23), // protocol assignments: Teredo (RFC 4380), benchmarks (RFC 5180), ORCHID (RFC 7343) and others
    v6(0x2001, 0xdb8, 32), // documentation: RFC 3849
    v6(0x2002, 0, 16), // 6to4, which leads to an IPv4 address: RFC 3056
    v6(0x3fff, 0, 20), // documentation: RFC 9637
];

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST_V6.contains(&address) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&address))
        }
    }
}

/// The addresses that webhooks may be sent to.
#[derive(Clone)]
pub(crate) struct Addresses {
    /// Asked about each address that is not public.
    allowed: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl Addresses {
    pub(crate) fn public() -> Self {
        Self::public_and(|_| false)
    }

    pub(crate) fn public_and(allowed: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Addresses { allowed: Arc::new(allowed) }
    }

    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        is_public(address) || (self.allowed)(address)
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").finish_non_exhaustive()
    }
}

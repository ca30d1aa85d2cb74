//! Every network that is not public: its first and last address, and their neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use apikey_manager::WebhookSender;
use apikey_webhooks::Webhooks;

/// The first and the last address of each network, and whether the addresses before and after it are public.
const NETWORKS: [(&str, &str, &str, bool, bool); 46] = [
    ("this network", "0.0.0.0", "0.255.255.255", false, true),
    ("private", "10.0.0.0", "10.255.255.255", true, true),
    ("carriers", "100.64.0.0", "100.127.255.255", true, true),
    ("loopback", "127.0.0.0", "127.255.255.255", true, true),
    ("Azure's platform", "168.63.129.16", "168.63.129.16", true, true),
    ("link-local", "169.254.0.0", "169.254.255.255", true, true),
    ("metadata", "169.254.169.254", "169.254.169.254", false, false),
    ("private", "172.16.0.0", "172.31.255.255", true, true),
    ("protocol assignments", "192.0.0.0", "192.0.0.255", true, true),
    ("documentation", "192.0.2.0", "192.0.2.255", true, true),
    ("6to4 relays", "192.88.99.0", "192.88.99.255", true, true),
    ("private", "192.168.0.0", "192.168.255.255", true, true),
    ("benchmarks", "198.18.0.0", "198.19.255.255", true, true),
    ("documentation", "198.51.100.0", "198.51.100.255", true, true),
    ("documentation", "203.0.113.0", "203.0.113.255", true, true),
    ("multicast", "224.0.0.0", "239.255.255.255", true, false),
    ("reserved", "240.0.0.0", "255.255.255.255", false, false),
    ("broadcast", "255.255.255.255", "255.255.255.255", false, false),
    ("unspecified", "::", "::", false, false),
    ("loopback", "::1", "::1", false, false),
    ("IPv4-compatible", "::", "::255.255.255.255", false, false),
    ("IPv4-mapped", "::ffff:0.0.0.0", "::ffff:255.255.255.255", false, false),
    ("IPv4-translated", "::ffff:0:0.0.0.0", "::ffff:0:255.255.255.255", false, false),
    ("NAT64", "64:ff9b::", "64:ff9b::ffff:ffff", false, false),
    ("local NAT64", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", false, false),
    ("discard", "100::", "100::ffff:ffff:ffff:ffff", false, false),
    ("below global unicast", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, true),
    ("protocol assignments", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("Teredo", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", true, false),
    ("benchmarks", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", false, false),
    ("ORCHID", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("ORCHID", "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("documentation", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("6to4", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("documentation", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("above global unicast", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, false),
    ("segment routing", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("unique-local", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("metadata", "fd00:ec2::254", "fd00:ec2::254", false, false),
    ("link-local", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("site-local", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("multicast", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("metadata behind NAT64", "64:ff9b::169.254.169.254", "64:ff9b::169.254.169.254", false, false),
    ("loopback behind 6to4", "2002:7f00:1::", "2002:7f00:1::", false, false),
    ("metadata of a cloud", "100.100.100.200", "100.100.100.200", false, false),
    ("metadata of a cloud", "192.0.0.192", "192.0.0.192", false, false),
];

fn is_allowed(webhooks: &Webhooks, address: IpAddr) -> bool {
    let host = if address.is_ipv4() { address.to_string() } else { format!("[{address}]") };
    match webhooks.check(&format!("https://{host}/")) {
        Ok(()) => true,
        Err(reason) => {
            assert_eq!(reason, "must lead to a public address", "{address}");
            false
        }
    }
}

/// Returns the address `by` after this one, if there is one.
fn neighbour(address: IpAddr, by: i8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add_signed(by.into()).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(v6) => v6.to_bits().checked_add_signed(by.into()).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

#[test]
fn given_each_network_when_it_is_not_public_then_its_ends_are_refused_and_no_neighbour() {
    let webhooks = Webhooks::new().unwrap();
    for (network, first, last, before, after) in NETWORKS {
        let (first, last): (IpAddr, IpAddr) = (first.parse().unwrap(), last.parse().unwrap());
        assert!(!is_allowed(&webhooks, first), "{network}: {first}");
        assert!(!is_allowed(&webhooks, last), "{network}: {last}");
        let neighbours = [(neighbour(first, -1), before), (neighbour(last, 1), after)];
        for (neighbour, public) in neighbours {
            let is_public = neighbour.is_some_and(|neighbour| is_allowed(&webhooks, neighbour));
            assert_eq!(is_public, public, "{network}: {neighbour:?}");
        }
    }
}

#[test]
fn given_addresses_of_the_internet_when_they_are_checked_then_they_are_allowed() {
    let webhooks = Webhooks::new().unwrap();
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "100.128.0.1",
        "172.32.0.1",
        "223.255.255.255",
        "2001:4860:4860::8888",
        "2606:4700::1111",
    ] {
        assert!(is_allowed(&webhooks, address.parse().unwrap()), "{address}");
    }
}

//! Ports and addresses that no other lab on this machine uses at the same time.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

/// First port of the first lab. Below those that the system gives out by itself (from 32768), so
/// that no connection of another program takes the port of a daemon that is down for a while.
const FIRST_PORT: u16 = 20000;

/// Ports of one lab: its controller's, then one for each node.
const PORTS: u16 = 64;

/// Number of labs that fit below 32768, and into the third byte of an address.
const PLACES: u8 = 190;

/// A number among the labs of this machine, and the ports and addresses that follow from it.
#[derive(Debug)]
pub(super) struct Place {
    number: u8,
    /// Whether the nodes have addresses of their own.
    is_networked: bool,
    /// A name that only one process can hold, and that goes with it.
    _held: UnixListener,
}

impl Place {
    /// Takes a place whose ports and addresses are free.
    pub(super) fn take(nodes: usize, is_networked: bool) -> Option<Self> {
        (0..PLACES).find_map(|number| {
            let name = SocketAddr::from_abstract_name(format!("skein-slurm-{number}")).ok()?;
            let held = UnixListener::bind_addr(&name).ok()?;
            let place = Self { number, is_networked, _held: held };
            let ports = (0..=nodes).map(|node| place.port(node)).chain([place.rest_port()]);
            let free = !place.has_left_addresses() && ports.into_iter().all(is_free);
            free.then_some(place)
        })
    }

    /// Port of the controller.
    pub(super) fn controller_port(&self) -> u16 {
        self.port(0)
    }

    /// Port of the REST interface.
    pub(super) fn rest_port(&self) -> u16 {
        self.port(usize::from(PORTS) - 1)
    }

    /// Port of a node, counted from 1.
    pub(super) fn node_port(&self, node: usize) -> u16 {
        self.port(node)
    }

    /// Address of the controller.
    pub(super) fn controller(&self) -> Ipv4Addr {
        if self.is_networked { self.address(254) } else { Ipv4Addr::LOCALHOST }
    }

    /// Address of a node, counted from 1.
    pub(super) fn node(&self, node: usize) -> Ipv4Addr {
        let last = u8::try_from(node).expect("fewer nodes");
        if self.is_networked { self.address(last) } else { Ipv4Addr::LOCALHOST }
    }

    /// A word for names of interfaces, which may have 15 characters.
    pub(super) fn word(&self) -> String {
        format!("skein{}", self.number)
    }

    fn port(&self, offset: usize) -> u16 {
        let offset = u16::try_from(offset).expect("a port");
        assert!(offset < PORTS, "a lab has fewer than {} nodes", PORTS - 1);
        FIRST_PORT + u16::from(self.number) * PORTS + offset
    }

    /// An address of the range that RFC 2544 sets aside for tests.
    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, last)
    }

    /// Whether a lab whose test was killed has left its network here.
    fn has_left_addresses(&self) -> bool {
        UdpSocket::bind((self.address(254), 0)).is_ok()
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

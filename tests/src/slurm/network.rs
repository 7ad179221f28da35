//! A network of its own for each node, behind a bridge, so that links can be cut.

use std::process::Command;

use super::place::Place;
use super::{find, node_name};

/// A bridge and the networks behind it; goes with this value.
#[derive(Debug)]
pub(super) struct Network {
    word: String,
    nodes: usize,
}

impl Network {
    /// Makes the networks of a lab.
    ///
    /// # Errors
    /// What `ip` says where this process may not make them.
    pub(super) fn make(place: &Place, nodes: usize) -> Result<Self, String> {
        let network = Self { word: place.word(), nodes };
        network.remove();
        let bridge = network.name("br");
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("addr add {}/24 dev {bridge}", place.controller()))?;
        ip(&format!("link set {bridge} up"))?;
        for number in 1..=nodes {
            let own = network.name(&node_name(number));
            ip(&format!("netns add {own}"))?;
            ip(&format!("link add {own} type veth peer name eth0 netns {own}"))?;
            ip(&format!("link set {own} master {bridge} up"))?;
            ip(&format!("-netns {own} addr add {}/24 dev eth0", place.node(number)))?;
            ip(&format!("-netns {own} link set lo up"))?;
            ip(&format!("-netns {own} link set eth0 up"))?;
        }
        Ok(network)
    }

    /// A command that runs in the network of a node. Not `ip netns exec`, which mounts `/sys`
    /// anew: without `/sys/fs/cgroup` a node does not start.
    pub(super) fn inside(&self, name: &str, command: &Command) -> Command {
        let mut inside = Command::new(find("nsenter").unwrap_or_default());
        inside.arg(format!("--net=/run/netns/{}", self.name(name)));
        inside.arg(command.get_program()).args(command.get_args());
        inside
    }

    /// Sets the link of a node `up` or `down`.
    ///
    /// # Errors
    /// What `ip` says.
    pub(super) fn set_link(&self, name: &str, state: &str) -> Result<(), String> {
        ip(&format!("link set {} {state}", self.name(name)))
    }

    /// Name of an interface and of a node's network.
    fn name(&self, end: &str) -> String {
        format!("{}{end}", self.word)
    }

    /// Removes what is there of the networks.
    fn remove(&self) {
        for number in 1..=self.nodes {
            let own = self.name(&node_name(number));
            let _ = ip(&format!("link del {own}"));
            let _ = ip(&format!("netns del {own}"));
        }
        let _ = ip(&format!("link del {}", self.name("br")));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.remove();
    }
}

fn ip(words: &str) -> Result<(), String> {
    let output = Command::new(find("ip").unwrap_or_default()).args(words.split(' ')).output();
    let output = output.map_err(|error| format!("ip {words}: {error}"))?;
    let err = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {words}: {}", err.trim())) }
}

//! What a machine was found to compute: the record of `skein certify`.

use serde::{Deserialize, Serialize};

use crate::number::Num;

/// The version of the record that is written.
pub const CERTIFICATE_VERSION: u32 = 1;

/// `certificate.json` in the data folder: the last proofs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// [`CERTIFICATE_VERSION`].
    pub version: u32,
    /// When they began, UTC, RFC 3339.
    pub at: String,
    /// Version of the worker.
    pub worker: String,
    /// Device that computed, for example `cpu` or `cuda:0`.
    pub device: String,
    /// The only space that was proven, if not all were.
    pub space: Option<String>,
    /// Whether it had to be quick.
    pub quick: bool,
    /// In the order in which they were made.
    pub proofs: Vec<Proof>,
}

/// What was compared, and what came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// What must hold.
    pub name: String,
    /// What was measured.
    pub figure: Num,
    /// The most that it may be.
    pub bound: Num,
    /// Whether it is no more.
    pub held: bool,
}

impl Proof {
    /// A proof that holds if the figure is within the bound; what is no number holds nothing.
    #[must_use]
    pub fn new(name: impl Into<String>, figure: f64, bound: f64) -> Self {
        Self { name: name.into(), figure: Num(figure), bound: Num(bound), held: figure <= bound }
    }
}

impl Certificate {
    /// How many proofs did not hold.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.proofs.iter().filter(|proof| !proof.held).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_its_bound_or_no_number_does_not_hold() {
        assert!(Proof::new("equal", 0.0, 0.0).held);
        assert!(!Proof::new("above", 1.1, 1.0).held);
        assert!(!Proof::new("nothing", f64::NAN, 1.0).held);
    }
}

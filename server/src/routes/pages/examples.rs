//! Runs to begin with.

use serde_json::{Value, json};

/// A card that starts a real run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Example {
    /// Id in an address.
    pub(super) id: &'static str,
    /// Name for people.
    pub(super) title: &'static str,
    /// One sentence.
    pub(super) summary: &'static str,
    /// What it is made of.
    pub(super) facts: &'static [(&'static str, &'static str)],
    spec: fn() -> Value,
}

impl Example {
    /// The specification.
    pub(super) fn spec(&self) -> Value {
        (self.spec)()
    }

    /// The specification as text.
    pub(super) fn json(&self) -> String {
        self.spec().to_string()
    }
}

/// All examples, in the order of a page.
pub(super) const EXAMPLES: &[Example] = &[
    Example {
        id: "quick",
        title: "2-minute look",
        summary: "A small search on part of FashionMNIST, then a short training of what it found.",
        facts: &[
            ("Data", "FashionMNIST, 4,096 images"),
            ("Space", "Toy cell, 8 channels"),
            ("Optimizer", "DrNAS, 6 epochs"),
            ("Takes", "about two minutes on two cores"),
        ],
        spec: || {
            json!({
                "name": "2-minute look",
                "dataset": {"id": "fashion-mnist", "limit": 4096},
                "space": {"preset": "toy-cell", "channels": 8},
                "search": {"optimizer": {"kind": "drnas"}, "epochs": 6},
                "after": {"from_scratch": {"epochs": 2}, "limit": 8192},
            })
        },
    },
    Example {
        id: "hour",
        title: "An hour",
        summary: "The search that our studies found best on this space, then a training of what it found.",
        facts: &[
            ("Data", "FashionMNIST, 60,000 images"),
            ("Space", "Toy cell, 32 channels"),
            ("Optimizer", "SPOS, 14 epochs, then effects of options"),
            ("Takes", "up to an hour on two cores"),
        ],
        spec: || {
            json!({
                "name": "An hour",
                "dataset": {"id": "fashion-mnist"},
                "space": {"preset": "toy-cell"},
                "search": {
                    "optimizer": {"kind": "spos"},
                    "epochs": 14,
                    "second_stage": {"kind": "effects", "candidates": 96, "images": 4096},
                },
                "after": {"recalibrate_images": 1024, "from_scratch": {"epochs": 20}},
            })
        },
    },
    Example {
        id: "paper",
        title: "Paper's toy cell",
        summary: "The search of the paper with its own settings, on all of FashionMNIST.",
        facts: &[
            ("Data", "FashionMNIST, 60,000 images"),
            ("Space", "Toy cell, 32 channels"),
            ("Optimizer", "DrNAS, 100 epochs"),
            ("Takes", "two to five hours on two cores"),
        ],
        spec: || {
            json!({
                "name": "Paper's toy cell",
                "dataset": {"id": "fashion-mnist"},
                "space": {"preset": "toy-cell"},
                "search": {"optimizer": {"kind": "drnas"}},
            })
        },
    },
];

/// Finds an example by its id.
pub(super) fn find(id: &str) -> Option<&'static Example> {
    EXAMPLES.iter().find(|example| example.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_core::spec::RunSpec;

    #[test]
    fn every_example_is_a_valid_run() {
        for example in EXAMPLES {
            assert!(RunSpec::parse(&example.spec()).is_ok(), "{}", example.id);
        }
    }
}

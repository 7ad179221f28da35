//! Values of the fields that say how a space is searched, each with its name for people.

pub(super) const OPTIMIZERS: &[(&str, &str)] = &[
    ("drnas", "DrNAS"),
    ("darts", "DARTS"),
    ("gdas", "GDAS"),
    ("spos", "SPOS (uniform sampling)"),
];
pub(super) const SHARINGS: &[(&str, &str)] = &[
    ("entangled", "Entangled, weights mixed"),
    ("entangled_outputs", "Entangled, outputs mixed"),
    ("shared", "Separate weights per candidate"),
];
pub(super) const FIDELITIES: &[(&str, &str)] =
    &[("corrected", "Corrected"), ("reference", "Reference")];
pub(super) const PROJECTIONS: &[(&str, &str)] =
    &[("softmax", "Softmax"), ("sparsemax", "Sparsemax")];
pub(super) const SECOND_STAGES: &[(&str, &str)] = &[
    ("none", "None"),
    ("random", "Random search"),
    ("evolution", "Evolution"),
    ("pareto", "Front of accuracy against cost"),
];
pub(super) const MEASURES: &[(&str, &str)] =
    &[("params", "Parameters"), ("macs", "Multiply-adds per image")];

//! The search: supernet, two-level steps, schedules, derivation.

pub mod bilevel;
pub mod sampler;
pub mod supernet;

//! The search: supernet, two-level steps, schedules, derivation.

pub mod bilevel;
pub mod breed;
pub mod candidates;
pub mod effects;
pub mod evolve;
pub mod health;
pub mod pareto;
pub mod penalty;
pub mod pending;
pub mod progressive;
pub mod run;
pub mod sampler;
pub mod shrink;
pub mod supernet;

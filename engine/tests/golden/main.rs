//! Numbers of the published code, in double precision, to 1e-9.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod agreement;
mod bilevel;
mod edges;
mod formula;
mod layers;
mod networks;
mod precision;
mod recompute;
mod samplers;
mod supernet;
mod transformer;
mod vectors;

//! Numbers of the published code, in double precision, to 1e-9.

mod bilevel;
mod edges;
mod networks;
mod samplers;
mod vectors;

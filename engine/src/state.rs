//! Randomness that can be counted, checkpoints, and the wish to stop.

pub mod checkpoint;
pub mod seed;
pub mod stop;

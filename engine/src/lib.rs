//! Executes weight-entangled architecture searches with libtorch.
//!
//! This crate knows no HTTP, no HTML and no database; it reads a run folder and writes events.
//! Reading order:
//!
//! 1. [`store`]: weights and running statistics, each in one flat buffer;
//! 2. [`entangle`]: how several kernel sizes become one kernel;
//! 3. [`nodes`]: one file a node kind; [`exec`]: the walk over the graph that calls them, for
//!    superposed, path and standalone execution;
//! 4. [`rows`]: from architecture parameters to the weights of the candidates;
//! 5. [`optim`], [`search`]: the two-level loop; [`train`]: what happens to a derived network;
//! 6. [`data`], [`state`]: batches, counted randomness, checkpoints;
//! 7. [`worker`]: one run folder in, events out; [`predict`]: a package in, its network's
//!    answer out; [`samples`]: images beside what a search makes of them; [`mod@bench`]: timings and memory; [`certify`]: proofs for the machine at hand.
//!
//! Layers call downwards only: nodes know no space, rows no node, `search` and `train` no file.

pub mod arithmetic;
pub mod bench;
pub mod certify;
pub mod data;
pub mod device;
pub mod entangle;
pub mod error;
pub mod exec;
pub mod kernels;
pub mod latency;
pub mod nodes;
pub mod optim;
pub mod predict;
pub mod rows;
pub mod samples;
pub mod search;
pub mod state;
pub mod store;
pub mod train;
pub mod worker;

pub use error::EngineError;

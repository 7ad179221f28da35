//! Data sets that people bring: read safely, looked over, decoded once.
//!
//! No async, no HTTP, no libtorch. Server and engine both use this crate: the server starts a process
//! that prepares what was uploaded, the engine reads what was prepared.

pub mod limits;
pub mod npy;
pub mod pixels;

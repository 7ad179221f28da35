//! What happens to a network once it is chosen: recalibrated, trained, measured.

pub mod evaluate;
pub mod fit;
pub mod network;

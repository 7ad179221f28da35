//! What happens to a network once it is chosen: recalibrated, trained, measured.

pub mod ema;
pub mod evaluate;
pub mod fit;
pub mod mixing;
pub mod network;
pub mod stage;
pub mod tournament;
pub mod trainee;

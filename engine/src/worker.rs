//! One run folder in, events out.
//!
//! The worker claims an attempt, writes only below it, and ends the run by creating `final.json`
//! once. Asked to stop, it leaves a checkpoint and no final record.

pub mod attempt;
pub mod events;
pub mod front;
pub mod load;
pub mod meter;
pub mod package;
pub mod record;
pub mod session;

//! The worker as a process: results, interruptions, bad input; and the search as a whole.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod again;
mod bench;
mod comparing;
mod finals;
mod given;
mod halves;
mod harness;
mod health;
mod input;
mod interruption;
mod language;
mod latency;
mod learning;
mod package;
mod predicting;
mod recipes;
mod result;
mod samples;
mod shrinking;
mod splits;

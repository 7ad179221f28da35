//! Tests that drive the built programs over HTTP.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod again;
mod api_reading;
mod api_runs;
mod api_shapes;
mod architectures;
mod artifacts;
mod auth;
mod client;
mod container;
mod datasets;
mod doctor;
mod events;
mod front;
mod listeners;
mod predict;
mod proxied;
mod proxies;
mod queue;
mod real_worker;
mod shutdown;
mod slurm;
mod slurm_commands;
mod slurm_lab;
mod storage;
mod studies;
mod tidy;
mod train;

//! What people bring, from the archive to the arrays.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bring;
mod disk;
mod findings;
mod foreign;
mod hostile;
mod known;
mod many;
mod pictures;
mod replay;
mod sets;
mod unlike;

//! What people bring, from the archive to the arrays.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bring;
mod sets;

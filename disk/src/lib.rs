//! What worker and server do to shared files in the same way, on file systems of every kind: local
//! disks, network mounts without hard links, and mounts whose locks hold on one machine only or
//! are missing.
//!
//! Knows paths and bytes, and nothing of runs. Entry points: [`once::create_once`],
//! [`lock::Lock::take`], [`lock::sign`].

pub mod kind;
pub mod lock;
pub mod name;
pub mod once;

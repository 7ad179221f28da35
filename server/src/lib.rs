//! Skein web server.

pub mod views;

//! Skein's web server: HTTP API, pages, queue, and the command line that talks to it.
//!
//! Reading order: [`settings`], [`serve`] (start and stop), [`app`] (router and layers),
//! [`routes`], [`service`] (the rules), [`executor`] (workers), [`storage`] (index), [`domain`].
//! Routes call services, services call storage and executors; all may use the domain; nothing
//! calls upwards. Services know no HTTP type, and only storage knows sled.

pub mod app;
pub mod client;
pub mod domain;
pub mod executor;
pub mod extract;
pub mod figures;
pub mod frame;
pub mod guard;
pub mod log;
pub mod problem;
pub mod routes;
pub mod serve;
pub mod service;
pub mod settings;
pub mod storage;
pub mod views;

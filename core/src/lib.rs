//! What a Skein run is, in data.
//!
//! This crate does no input or output, knows no async and no libtorch. Reading order:
//!
//! 1. [`choice`]: a decision, its options, an architecture and its text form; [`notation`]: the
//!    forms in which others write one;
//! 2. [`graph`]: the elastic graph, in which a search space is written once, and its walks
//!    (shapes, cost, specialise, validate);
//! 3. [`spaces`]: the built-in spaces, each one builder of such a graph;
//! 4. [`draw`]: pictures of a space, of the rows' state, of an architecture;
//!    [`export`]: a network as a PyTorch module and as an ONNX model;
//! 5. [`spec`]: what a user asks for, with every default filled in;
//! 6. [`limits`], [`solve`]: the best architecture that costs no more than is allowed;
//!    [`shrink`]: which sizes are trained when;
//! 7. [`benchmark`]: tables of what architectures really reach; [`study`]: methods compared with
//!    each other and with chance by such a table;
//! 8. [`event`], [`curve`], [`record`], [`folder`]: what a worker says, how attempts make one
//!    curve, and where it is written; [`certificate`]: what a machine was found to compute;
//!    [`predict`]: what a finished network is asked and answers; [`samples`]: what images are shown;
//! 9. [`encoding`]: bytes of others as text.

pub mod benchmark;
pub mod certificate;
pub mod choice;
pub mod curve;
pub mod dataset;
pub mod draw;
pub mod encoding;
pub mod event;
pub mod export;
pub mod folder;
pub mod graph;
pub mod limits;
pub mod manifest;
pub mod notation;
pub mod number;
pub mod package;
pub mod predict;
pub mod record;
pub mod samples;
pub mod shrink;
pub mod solve;
pub mod spaces;
pub mod spec;
pub mod study;

//! Data sets that people bring: read safely, looked over, decoded once.
//!
//! No async, no HTTP, no libtorch. Server and engine both use this crate: the server starts a process
//! that prepares what was uploaded, the engine reads what was prepared.
//!
//! Reading order: [`prepare()`] is the way in. `source` gives the files of an archive or a folder,
//! `gather` puts them into the `spool`, `layout` tells what they are, `look` and `decode` make
//! pixels of them by the rule of [`pixels`], `divide` splits them, `doctor` reports, `images` and
//! `arrays` write.

mod arrays;
mod decode;
mod divide;
mod doctor;
mod gather;
mod images;
pub mod known;
mod layout;
pub mod limits;
mod look;
pub mod name;
pub mod npy;
pub mod pixels;
pub mod prepare;
pub mod refusal;
mod report;
pub mod samples;
mod source;
mod spool;
mod suggest;
mod texts;
mod workers;

pub use limits::Limits;
pub use prepare::{Options, Prepared, Progress, Stage, prepare};
pub use refusal::Refusal;

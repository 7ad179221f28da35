//! What the server talks about: ids, states, times. No input or output.

pub mod clock;
pub mod ids;
pub mod run;

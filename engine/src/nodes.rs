//! What a node computes, one file a kind, and what kinds share (`leading`). Nodes know no space and no optimizer.

pub mod attention;
pub mod conv;
pub mod dropout;
pub mod leading;
pub mod norm;
pub mod pool;

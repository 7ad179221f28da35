//! What a node computes, one file a kind. Nodes know no space and no optimizer.

pub mod conv;
pub mod dropout;
pub mod norm;
pub mod pool;

//! How several candidate sizes share one tensor: gates and masks instead of padded copies.

pub mod mask;

//! Type and range of a field.

/// Type and range of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A whole number.
    Integer {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// A number.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// Text of at most so many characters.
    Text {
        /// Most characters.
        max_chars: usize,
    },
    /// One of these values, each with its name for people.
    OneOf(&'static [(&'static str, &'static str)]),
    /// One of these data sets, or the id of one of a person's own.
    Dataset(&'static [(&'static str, &'static str)]),
    /// An architecture of the space; see [`crate::notation`].
    Architecture,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    Device,
    /// True or false.
    Flag,
    /// A list of at least one of these.
    List(&'static Item),
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item {
    /// Different whole numbers, smallest first.
    Integers {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// A list of such numbers each.
    Lists {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// Different numbers, smallest first.
    Numbers {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// Whole numbers in any order; the list may be empty.
    Sizes {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// Different names out of these.
    Names(&'static [&'static str]),
}

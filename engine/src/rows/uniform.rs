//! Uniform single paths: every architecture is equally likely (SPOS, arXiv:1904.00420).

use rand_xoshiro::Xoshiro256PlusPlus;
use skein_core::choice::{Architecture, Choice};

use crate::state::seed::below;

/// Draws one architecture.
pub fn draw(choices: &[Choice], generator: &mut Xoshiro256PlusPlus) -> Architecture {
    Architecture(choices.iter().map(|choice| below(generator, choice.options.len())).collect())
}

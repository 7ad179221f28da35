//! The architectures that the rows prefer.

use skein_core::choice::Architecture;

use super::Search;
use crate::EngineError;

impl Search {
    /// At most so many different architectures within the limits, the likeliest first; the first is
    /// the one that would be derived.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the copy of the rows fails.
    pub fn likeliest(&self, epoch: u64, count: usize) -> Result<Vec<Architecture>, EngineError> {
        Ok(self.likeliest_by(&self.parsimonious(epoch)?, count))
    }

    /// The same by other rows.
    #[must_use]
    pub fn likeliest_by(&self, rows: &[Vec<f64>], count: usize) -> Vec<Architecture> {
        let limits = self.limits.as_ref();
        let first = limits.map(|limits| limits.likeliest(rows).architecture);
        let within = |one: &Architecture| limits.is_none_or(|limits| limits.allow(one));
        let others = self.net.graph().likeliest(rows, count, within);
        let others = others.into_iter().filter(|one| first.as_ref() != Some(one));
        first.iter().cloned().chain(others).take(count).collect()
    }

    /// The rows by which an architecture is derived: with parsimony, cheap options lead in them.
    pub(super) fn parsimonious(&self, epoch: u64) -> Result<Vec<Vec<f64>>, EngineError> {
        let constraints = &self.spec.constraints;
        let (rows, parsimony) = (self.probabilities(epoch)?, constraints.parsimony.unwrap_or(0.0));
        Ok(self.net.graph().parsimonious(&rows, parsimony, constraints.penalty_on)?)
    }
}

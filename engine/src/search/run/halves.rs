//! A search of partial channels goes from its first half to the second.

use super::Search;
use crate::EngineError;
use crate::optim::weights::WeightOptimizer;
use crate::search::bilevel::Bilevel;
use crate::search::progressive::Widening;
use crate::store::Store;

impl Search {
    /// Begins the second half with this epoch, if it is due: drops operations, and widens the
    /// others.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub(super) fn widen(&mut self, epoch: u64) -> Result<(), EngineError> {
        let Some(halves) = self.net.progressive().filter(|halves| halves.is_due(epoch)) else {
            return Ok(());
        };
        let raw = self.net.alphas.map(tch::Tensor::shallow_clone);
        let kept = halves.strongest(&self.net.alphas.to_host(&raw)?);
        let Some((before, optimizer)) = self.go_over(Some(kept))? else { return Ok(()) };
        let widening = Widening::new(self.net.exec.graph(), self.spec.seed);
        let store = &self.net.store;
        widening.fill(store, &before)?;
        let now = (&mut self.bilevel.weight, &store.weights);
        widening.take_over(now, (&optimizer, &before.weights))?;
        if let Some((first, _)) = &mut self.bilevel.arch.means {
            self.net.alphas.drop_from(first);
        }
        Ok(())
    }

    /// Goes to the second half with these operations, or back to the first, with weights of zero;
    /// gives the weights and their optimizer so far, unless it is there already.
    ///
    /// # Errors
    /// - [`EngineError::Graph`] if the graph cannot be built.
    pub fn go_over(
        &mut self,
        kept: Option<Vec<Vec<usize>>>,
    ) -> Result<Option<(Store, WeightOptimizer)>, EngineError> {
        let halves = self.net.progressive().filter(|halves| halves.kept() != kept.as_ref());
        let Some(halves) = halves.cloned() else { return Ok(None) };
        let store = self.net.go_over(halves.with(kept), &self.spec)?;
        let optimizer = Bilevel::of_weights(&self.spec.search, &self.net.store.weights);
        let optimizer = std::mem::replace(&mut self.bilevel.weight, optimizer);
        Ok(Some((store, optimizer)))
    }
}

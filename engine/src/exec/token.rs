//! Tokens: patches of an image, ids of a text, and the scores at their end.

use skein_core::graph::{NodeId, PatchEmbed};
use skein_core::spec::Fidelity;
use tch::{Kind, Tensor};

use super::walk::Walk;
use super::{Executor, Plan, Statistics};
use crate::EngineError;

impl Executor {
    pub(super) fn patch_embed(
        &self,
        id: NodeId,
        spec: &PatchEmbed,
        x: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let mut get = |name: &str| self.weights.get(id, name, walk, None);
        let (weight, bias) = (get("proj.weight")?, get("proj.bias")?);
        let (class, positions) = (get("cls_token")?, get("pos_embed")?);
        let patches = x.conv2d(&weight, Some(&bias), spec.patch, 0, 1, 1);
        let patches = patches.flatten(2, 3).transpose(1, 2);
        let class = class.expand_as(&patches.narrow(1, 0, 1));
        Ok(Tensor::cat(&[class, patches], 1) + positions)
    }

    /// Rows of the table are gathered first and weighed afterwards, so that the cost does not grow
    /// with the vocabulary.
    pub(super) fn embedding(
        &self,
        id: NodeId,
        tokens: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let table = self.table(id, walk)?;
        let rows = Tensor::embedding(&table, tokens, -1, false, false);
        self.weighed(id, rows, walk)
    }

    pub(super) fn positions(
        &self,
        id: NodeId,
        x: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let table = self.table(id, walk)?;
        let rows = match walk.pass.statistics {
            // Counted by tensors, so that a trace reads texts of other lengths too.
            Statistics::Running => table.index_select(0, &counted(x)),
            _ => table.narrow(0, 0, x.size()[1]),
        };
        Ok(x + self.weighed(id, rows, walk)?)
    }

    /// A node's whole table, cut to a path's width.
    fn table(&self, id: NodeId, walk: &Walk<'_>) -> Result<Tensor, EngineError> {
        let table = walk.store.get(&format!("{}.weight", self.graph.nodes[id].name))?;
        let width = self.weights.size(id, 0, walk.plan)?;
        Ok(table.narrow(1, 0, width))
    }

    /// The published code does not weigh embeddings along a path.
    fn weighed(
        &self,
        id: NodeId,
        rows: Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        match (walk.plan, self.fidelity) {
            (Plan::Path(..), Fidelity::Reference) => Ok(rows),
            _ => self.weights.gated(id, 0, rows, walk),
        }
    }

    pub(super) fn token_mean(
        &self,
        id: NodeId,
        x: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let tokens = x.size()[1];
        let mean = x.narrow(1, 1, tokens - 1).mean_dim([1_i64].as_slice(), false, x.kind());
        self.weights.gated(id, 0, mean, walk)
    }

    /// `(x ⊙ g)·Eᵀ`: the gate stands on the tokens, not on the table.
    pub(super) fn tied_linear(
        &self,
        id: NodeId,
        embedding: NodeId,
        x: Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let table = self.table(embedding, walk)?;
        let x = self.weights.gated(id, 0, x, walk)?;
        Ok(x.linear(&table, None::<Tensor>))
    }
}

/// 0, 1, 2 … as far as a text of vectors goes.
fn counted(x: &Tensor) -> Tensor {
    x.select(0, 0).select(-1, 0).ones_like().cumsum(0, Kind::Int64) - 1
}

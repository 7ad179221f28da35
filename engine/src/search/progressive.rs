//! DrNAS on a supernet of partial channels, in two halves (arXiv:2006.10355, section 3.3).
//!
//! In the first half of the epochs an edge's operations see a small part of its channels. Then each
//! edge keeps the operations with the largest parameters, and they see more channels; new channels
//! start as copies of random ones of before, and so do their statistics and the optimizer's state.

use std::collections::BTreeMap;

use skein_core::dataset::DataShape;
use skein_core::graph::{Graph, Op};
use skein_core::spaces::darts::partial::{self, Partial};
use skein_core::spec::{DartsOptions, OptimizerSpec, RunSpec, Sharing, SpaceSpec};
use tch::Tensor;

use crate::EngineError;
use crate::optim::weights::WeightOptimizer;
use crate::state::seed::{Stream, below, generator};
use crate::store::{Flat, Store};

/// Where a search of partial channels stands.
#[derive(Debug, Clone)]
pub struct Progressive {
    /// The space, which has all channels.
    pub space: Graph,
    options: DartsOptions,
    shape: DataShape,
    sharing: Sharing,
    /// One channel in so many, in each half.
    parts: [i64; 2],
    /// Operations that an edge keeps for the second half.
    operations: usize,
    /// First epoch of the second half.
    second: u64,
    /// In the second half the operations that are left, one list per choice.
    kept: Option<Vec<Vec<usize>>>,
}

impl Progressive {
    /// The halves that a search of this space asks for, if it does.
    #[must_use]
    pub fn of(spec: &RunSpec, shape: DataShape, space: &Graph) -> Option<Self> {
        let search = &spec.search;
        let OptimizerSpec::DrnasProgressive { part_start, part_end, operations, .. } =
            search.optimizer
        else {
            return None;
        };
        let SpaceSpec::Darts(options) = &spec.space else { return None };
        Some(Self {
            space: space.clone(),
            options: options.clone(),
            shape,
            sharing: search.weights,
            parts: [part_start, part_end].map(|part| i64::try_from(part).unwrap_or(i64::MAX)),
            operations: usize::try_from(operations).unwrap_or(usize::MAX),
            second: search.epochs / 2,
            kept: None,
        })
    }

    /// Whether the second half begins with this epoch, or should have.
    #[must_use]
    pub fn is_due(&self, epoch: u64) -> bool {
        self.kept.is_none() && epoch >= self.second
    }

    /// In the second half the operations that are left, one list per choice.
    #[must_use]
    pub fn kept(&self) -> Option<&Vec<Vec<usize>>> {
        self.kept.as_ref()
    }

    /// The second half with these operations, or the first.
    #[must_use]
    pub fn with(self, kept: Option<Vec<Vec<usize>>>) -> Self {
        Self { kept, ..self }
    }

    /// What an epoch begins with, for people.
    #[must_use]
    pub fn told(&self, epoch: u64) -> Option<String> {
        let [first, second] = self.parts;
        let text = match epoch {
            0 => format!("operations see one channel in {first}"),
            _ if epoch == self.second => format!(
                "each edge keeps {} operations, which see one channel in {second}",
                self.operations
            ),
            _ => return None,
        };
        Some(format!("from epoch {} on {text}", epoch + 1))
    }

    /// The graph of the supernet now.
    ///
    /// # Errors
    /// - [`EngineError::Graph`] if the channels cannot be cut so.
    pub fn graph(&self) -> Result<Graph, EngineError> {
        let part = self.parts[usize::from(self.kept.is_some())];
        let partial = Partial { part, kept: self.kept.as_deref() };
        Ok(partial::build(&self.options, self.shape, self.sharing, &partial)?)
    }

    /// The options of each row with the largest parameters, in their order.
    #[must_use]
    pub fn strongest(&self, rows: &[Vec<f64>]) -> Vec<Vec<usize>> {
        let strongest = rows.iter().map(|row| {
            let mut options: Vec<usize> = (0..row.len()).collect();
            options.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
            options.truncate(self.operations);
            options.sort_unstable();
            options
        });
        strongest.collect()
    }
}

/// Where the channels of a wider supernet come from.
#[derive(Debug)]
pub struct Widening {
    /// Names of the edges.
    edges: Vec<String>,
    seed: u64,
}

impl Widening {
    /// The draws of a run for a graph's edges.
    #[must_use]
    pub fn new(graph: &Graph, seed: u64) -> Self {
        let mixes = graph.nodes.iter().filter(|node| matches!(node.op, Op::Mix(_)));
        Self { edges: mixes.map(|node| format!("{}.", node.name)).collect(), seed }
    }

    /// Fills a wider supernet's weights and statistics from those before.
    ///
    /// # Errors
    /// - [`EngineError::Missing`] or [`EngineError::Shape`] if it does not stem from them.
    pub fn fill(&self, store: &Store, before: &Store) -> Result<(), EngineError> {
        for (flat, before) in [(&store.weights, &before.weights), (&store.stats, &before.stats)] {
            self.carry_over((flat, flat.buffer()), (before, before.buffer()))?;
        }
        Ok(())
    }

    /// Gives the state of the weights' optimizer before to another.
    ///
    /// # Errors
    /// - as [`Widening::fill`].
    pub fn take_over(
        &self,
        (optimizer, flat): (&mut WeightOptimizer, &Flat),
        (before, old): (&WeightOptimizer, &Flat),
    ) -> Result<(), EngineError> {
        let mut state = BTreeMap::new();
        for (name, tensor) in before.save() {
            // Of two kinds: one number for each weight, and a count of steps.
            let tensor = if tensor.size() == old.buffer().size() {
                let wide = Tensor::zeros(flat.buffer().size(), (tensor.kind(), tensor.device()));
                self.carry_over((flat, &wide), (old, &tensor))?;
                wide
            } else {
                tensor
            };
            state.insert(name, tensor);
        }
        optimizer.load(|name| state.get(name).map(Tensor::shallow_clone));
        Ok(())
    }

    fn carry_over(
        &self,
        (flat, target): (&Flat, &Tensor),
        (before, source): (&Flat, &Tensor),
    ) -> Result<(), EngineError> {
        let _guard = tch::no_grad_guard();
        for param in flat.params() {
            let old = before.part_of(source, &param.name)?;
            let wide = self.widened(&param.name, &old.detach(), &param.shape)?;
            flat.part_of(target, &param.name)?.detach().f_copy_(&wide)?;
        }
        Ok(())
    }

    /// A tensor in another shape: more channels are copies, of a smaller kernel the centre is left.
    fn widened(&self, name: &str, old: &Tensor, shape: &[i64]) -> Result<Tensor, EngineError> {
        let mut wide = old.shallow_clone();
        for ((dim, before), size) in (0..).zip(old.size()).zip(shape) {
            if *size > before {
                let from = self.copied(name, before, *size)?.to_device(old.device());
                wide = wide.f_index_select(dim, &from)?;
            } else if *size < before {
                wide = wide.f_narrow(dim, (before - size) / 2, *size)?;
            }
        }
        Ok(wide)
    }

    /// Which channel each of a wider tensor's starts as: itself, or a random one. All tensors of an
    /// edge with as many channels agree.
    fn copied(&self, name: &str, before: i64, size: i64) -> Result<Tensor, EngineError> {
        let edge = self.edges.iter().position(|edge| name.starts_with(edge)).ok_or_else(|| {
            EngineError::Bug(format!("`{name}` has more channels and is on no edge"))
        })?;
        let step = (edge as u64) << 32 | before.unsigned_abs();
        let mut generator = generator(self.seed, Stream::Widen, step);
        let old = usize::try_from(before).unwrap_or(0);
        let mut from: Vec<i64> = (0..before).collect();
        from.extend((before..size).map(|_| below(&mut generator, old) as i64));
        Ok(Tensor::from_slice(&from))
    }
}

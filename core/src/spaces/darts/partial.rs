//! The supernet with partial channels: an edge's operations see only some of its channels, the
//! others pass by (PC-DARTS, arXiv:1907.05737), as DrNAS searches it in two halves
//! (arXiv:2006.10355, section 3.3).
//!
//! Only the search trains it. Choices and architectures are those of the space, and so are the
//! networks that are derived: their operations see all channels.

use super::super::cell::{Catalogue, Edge};
use super::build_of;
use crate::dataset::DataShape;
use crate::graph::{Builder, Concat, Graph, GraphError, Narrow, NodeId, Op, Pool, Shuffle};
use crate::spec::{DartsOptions, Sharing};

/// Which part of the space a supernet has.
#[derive(Debug, Clone, Copy)]
pub struct Partial<'a> {
    /// An operation sees one channel in so many.
    pub part: i64,
    /// For every choice the options that are left, if not all; the others give zeros.
    pub kept: Option<&'a [Vec<usize>]>,
}

/// Builds the supernet of which an edge's operations see a part of the channels.
///
/// # Errors
/// - [`GraphError`] if the channels cannot be cut into so many equal parts, or the image is too
///   small.
pub fn build(
    options: &DartsOptions,
    shape: DataShape,
    sharing: Sharing,
    partial: &Partial<'_>,
) -> Result<Graph, GraphError> {
    build_of(options, shape, sharing, Some(partial))
}

impl Partial<'_> {
    /// An edge: the first channels through the operations, the others past them, and both mixed
    /// up, so that the next edge's operations see others.
    pub(super) fn edge(
        &self,
        b: &mut Builder,
        catalogue: &Catalogue,
        edge: Edge,
        x: NodeId,
    ) -> NodeId {
        let (name, channels) = (edge.name.clone(), edge.channels);
        let seen = channels / self.part;
        let part = |first, channels| Op::Narrow(Narrow { first, channels });
        let first = b.add(format!("{name}.seen"), part(0, seen), &[x]);
        let (stride, choice) = (edge.stride, edge.choice);
        let edge = Edge { channels: seen, ..edge };
        let mixed = match self.kept.and_then(|kept| kept.get(choice)) {
            Some(kept) => catalogue.edge_of(b, &edge, kept, first),
            None => catalogue.edge(b, &edge, first),
        };
        if seen == channels {
            return mixed;
        }
        let mut rest = b.add(format!("{name}.rest"), part(seen, channels - seen), &[x]);
        if stride > 1 {
            let pool = Op::MaxPool(Pool::window(stride));
            rest = b.add(format!("{name}.rest_pool"), pool, &[rest]);
        }
        let both = b.add(format!("{name}.both"), Op::Concat(Concat), &[mixed, rest]);
        b.add(format!("{name}.shuffle"), Op::Shuffle(Shuffle { groups: self.part }), &[both])
    }
}

#[cfg(test)]
mod tests {
    use super::super::PRESET;
    use super::*;
    use crate::graph::Mix;
    use crate::spec::SpaceSpec;

    fn options(channels: i64) -> DartsOptions {
        let SpaceSpec::Darts(mut options) = (PRESET.defaults)() else { panic!("another space") };
        options.channels = channels;
        options
    }

    fn supernet(channels: i64, part: i64, kept: Option<&[Vec<usize>]>) -> Graph {
        let partial = Partial { part, kept };
        build(&options(channels), PRESET.shape, Sharing::Entangled, &partial).unwrap()
    }

    fn space(channels: i64) -> Graph {
        super::super::build(&options(channels), PRESET.shape, Sharing::Entangled).unwrap()
    }

    #[test]
    fn it_has_the_choices_of_the_space() {
        let (space, partial) = (space(36), supernet(36, 6, None));
        assert_eq!((&partial.choices, &partial.prunings), (&space.choices, &space.prunings));
        assert_eq!(partial.shapes().unwrap().last(), space.shapes().unwrap().last());
        // Point-wise convolutions have 1/36 of the weights, depth-wise ones 1/6; stem, inputs of
        // cells and head are whole.
        assert!(partial.stored_params() * 2 < space.stored_params());
        let one = supernet(36, 1, None);
        assert_eq!(one.stored_params(), space.stored_params());
    }

    #[test]
    fn dropped_operations_have_no_weights_and_give_zeros() {
        let kept: Vec<Vec<usize>> = (0..28).map(|row| vec![row % 4, 3, 4, 6]).collect();
        let graph = supernet(36, 4, Some(&kept));
        graph.validate().unwrap();
        let names: Vec<String> = graph.params().into_iter().map(|param| param.name).collect();
        let mixes = graph.nodes.iter().filter_map(|node| match &node.op {
            Op::Mix(mix) => Some((node, mix)),
            _ => None,
        });
        for (node, Mix { choice, branches }) in mixes {
            let zeros = branches.iter().zip(&node.inputs);
            let zeros = zeros.filter(|(_, input)| matches!(graph.nodes[**input].op, Op::Zero(_)));
            let zeros: Vec<usize> = zeros.flat_map(|(options, _)| options.clone()).collect();
            let dropped = (0..8).filter(|at| *at == 0 || !kept[*choice].contains(at));
            assert_eq!(zeros, dropped.collect::<Vec<_>>());
            let sep = names.iter().filter(|name| name.starts_with(&format!("{}.sep", node.name)));
            assert!(sep.count() > 0);
        }
        // Of the separable and dilated convolutions only the 3×3 ones are left.
        let params = graph.params();
        let kernels = params.iter().filter(|param| param.name.contains(".dw"));
        assert!(kernels.into_iter().all(|param| param.shape[2] == 3));
    }

    #[test]
    fn channels_that_cannot_be_cut_evenly_are_refused() {
        let partial = Partial { part: 6, kept: None };
        let error = build(&options(16), PRESET.shape, Sharing::Entangled, &partial).unwrap_err();
        assert!(error.to_string().contains("6 equal groups"), "{error}");
    }
}

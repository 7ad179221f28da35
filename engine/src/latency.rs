//! What the nodes of a space take on a device, each measured alone.

use std::time::{Duration, Instant};

use skein_core::choice::Architecture;
use skein_core::graph::{Embedding, Graph, Input, Node, Op, TimedPart, Timings};
use tch::{Kind, Tensor};

use crate::EngineError;
use crate::device::{Compute, synchronise};
use crate::exec::{Executor, Pass, Plan};
use crate::state::seed::Stream;
use crate::store::Store;

/// Passes of which the fastest counts: whatever else the machine does only ever slows one down.
const PASSES: usize = 15;
/// For how long a slow node is measured at most, once it was measured three times.
const SPAN: Duration = Duration::from_millis(200);

/// Measures every different node of a space over one example, in evaluation.
///
/// # Errors
/// - [`EngineError`] if the graph cannot be walked, or libtorch refuses.
pub fn measure(graph: &Graph, compute: Compute) -> Result<Timings, EngineError> {
    let mut timings = Timings::default();
    for part in graph.parts()? {
        timings.note(&part, of_network(&alone(&part), compute)?);
    }
    Ok(timings)
}

/// A network of this node only.
fn alone(part: &TimedPart) -> Graph {
    let node = |name: &str, op: Op, inputs: Vec<usize>| Node { name: name.to_owned(), op, inputs };
    let input = |shape: &[i64]| node("input", Op::Input(Input(shape.to_vec())), vec![]);
    let first = part.inputs.first().map_or(&[][..], |shape| shape);
    let nodes = match &part.node.op {
        // Its weight is that of an embedding, whose rows are then its input too.
        Op::TiedLinear(tied) => {
            let table = Embedding { vocabulary: tied.vocabulary, width: tied.width.clone() };
            let table = node("table", Op::Embedding(table), vec![0]);
            vec![input(&first[..1]), table, node("node", part.node.op.clone(), vec![1, 1])]
        }
        op => vec![input(first), node("node", op.clone(), vec![0; part.inputs.len()])],
    };
    let output = nodes.len() - 1;
    Graph { nodes, choices: vec![], prunings: vec![], output, timings: Timings::default() }
}

/// Nanoseconds of the fastest pass of a fixed network over one example, in evaluation.
///
/// # Errors
/// - [`EngineError`] if libtorch refuses.
pub fn of_network(graph: &Graph, compute: Compute) -> Result<u64, EngineError> {
    let store = Store::initialised(graph, compute, 0, Stream::Weights)?;
    let x = example(graph, compute)?;
    let exec = Executor::fixed(graph.clone(), compute)?;
    let path = Architecture(vec![]);
    let (mut fastest, begin) = (Duration::MAX, Instant::now());
    // The first pass warms up, and is hardly ever the fastest.
    for pass in 0..=PASSES {
        let start = Instant::now();
        let plan = Plan::Path(&path, None);
        let _ = tch::no_grad(|| exec.forward(&store, &x, plan, Pass::EVALUATE))?;
        synchronise(compute.device);
        fastest = fastest.min(start.elapsed());
        if pass >= 3 && begin.elapsed() > SPAN {
            break;
        }
    }
    Ok(u64::try_from(fastest.as_nanos()).unwrap_or(u64::MAX))
}

/// An example that the network can read: tokens, if that is what it begins with.
fn example(graph: &Graph, compute: Compute) -> Result<Tensor, EngineError> {
    let shape = graph.input_shape().unwrap_or_default();
    let size = [&[1][..], &shape].concat();
    let reads_tokens =
        graph.nodes.iter().any(|node| matches!(node.op, Op::Embedding(_)) && node.inputs == [0]);
    let kind = if reads_tokens { Kind::Int64 } else { compute.kind };
    Ok(Tensor::f_ones(&size, (kind, compute.device))?)
}

#[cfg(test)]
mod tests {
    use skein_core::dataset::DataKind;
    use skein_core::spaces::{PRESETS, build};
    use skein_core::spec::{Sharing, SpaceSpec};

    use super::*;

    #[test]
    fn every_node_of_every_space_can_be_measured() {
        for preset in PRESETS {
            let mut space = (preset.defaults)();
            if let SpaceSpec::AutoformerB(_) | SpaceSpec::AutoformerS(_) = space {
                continue;
            }
            if let SpaceSpec::Language(options) = &mut space {
                (options.context, options.widths) = (32, vec![48, 96]);
            }
            let mut shape = preset.shape;
            if space.data() == DataKind::Text {
                shape.classes = shape.classes.min(300);
            }
            let graph = build(&space, shape, Sharing::Entangled).unwrap();
            let compute = Compute::PLAIN;
            for part in graph.parts().unwrap() {
                let time = of_network(&alone(&part), compute);
                assert!(time.is_ok_and(|time| time > 0), "{}: {part:?}", preset.preset);
            }
        }
    }
}

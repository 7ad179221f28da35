//! The walk that puts drop path on the edges of a fixed network's cells.

use super::{Dropout, FixedNetwork, Graph, GraphError, Node, NodeId, Op};

impl FixedNetwork {
    /// The network as it is trained: behind each operation on an edge stands a drop path whose
    /// probability rises to `p`, as in the final training of DARTS (arXiv:1806.09055). Identities
    /// stay as they are; a skip that halves the map has weights and counts as an operation. At 0
    /// this is the network itself.
    ///
    /// Drop path stores nothing and does nothing outside training, so the tensors and the results
    /// are those of the network.
    ///
    /// # Errors
    /// - [`GraphError::Structure`] if `p` is no probability below 1.
    pub fn with_drop_path(&self, p: f64) -> Result<Graph, GraphError> {
        if p == 0.0 {
            return Ok(self.graph.clone());
        }
        let mut place: Vec<NodeId> = Vec::with_capacity(self.graph.nodes.len());
        let mut nodes = Vec::new();
        for (id, node) in self.graph.nodes.iter().enumerate() {
            let inputs = node.inputs.iter().map(|input| place[*input]).collect();
            place.push(nodes.len());
            nodes.push(Node { inputs, ..node.clone() });
            if self.edges.contains(&id) {
                let name = format!("{}.drop_path", node.name);
                let op = Op::Dropout(Dropout::rising_path(p));
                nodes.push(Node { name, op, inputs: vec![place[id]] });
                place[id] += 1;
            }
        }
        let graph = Graph { nodes, output: place[self.graph.output], ..self.graph.clone() };
        graph.validate()?;
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;
    use crate::spaces::{self, darts, nas_bench_201};
    use crate::spec::{Sharing, SpaceSpec};

    /// Names of what reads a node, and of what it reads.
    fn readers<'a>(graph: &'a Graph, name: &str) -> Vec<&'a str> {
        let id = graph.nodes.iter().position(|node| node.name == name).unwrap();
        let reads = graph.nodes.iter().filter(|node| node.inputs.contains(&id));
        reads.map(|node| node.name.as_str()).collect()
    }

    fn fixed(space: &SpaceSpec, options: &[&str]) -> FixedNetwork {
        let shape = darts::PRESET.shape;
        let graph = spaces::build(space, shape, Sharing::Entangled).unwrap();
        let picked = graph.choices.iter().zip(options);
        let picked = picked
            .map(|(choice, name)| choice.options.iter().position(|known| known == name).unwrap());
        graph.specialise(&Architecture(picked.collect())).unwrap()
    }

    /// One cell a stage: 0→1 conv3, 0→2 skip, 1→2 avgpool, 0→3 none, 1→3 conv1, 2→3 skip.
    #[test]
    fn operations_are_dropped_and_identities_are_not() {
        let SpaceSpec::NasBench201(mut options) = (nas_bench_201::PRESET.defaults)() else {
            panic!("another space")
        };
        options.cells = 1;
        let space = SpaceSpec::NasBench201(options);
        let fixed = fixed(&space, &["conv3", "skip", "avgpool", "none", "conv1", "skip"]);
        let dressed = fixed.with_drop_path(0.2).unwrap();
        let drops: Vec<_> =
            dressed.nodes.iter().filter(|node| node.name.ends_with(".drop_path")).collect();
        assert_eq!(drops.len(), 9, "three operations in each of three cells");
        for drop in drops {
            assert_eq!(drop.op, Op::Dropout(Dropout::rising_path(0.2)));
            let [read] = drop.inputs[..] else { panic!("{drop:?}") };
            assert_eq!(readers(&dressed, &dressed.nodes[read].name), [drop.name.as_str()]);
        }
        // Node 1 is the dropped convolution for all that read it; node 2 goes on undropped.
        let node1 = "block0.edge0_1.conv.bn.drop_path";
        let expected = ["block0.edge1_2.avgpool.pool", "block0.edge1_3.conv.relu"];
        assert_eq!(readers(&dressed, node1), expected);
        assert_eq!(readers(&dressed, "block0.node2"), ["block0.node3"]);
        assert_eq!(dressed.params(), fixed.graph.params());
        let nothing = Architecture(vec![]);
        assert_eq!(
            dressed.cost(&nothing).unwrap().params,
            fixed.graph.cost(&nothing).unwrap().params
        );
        assert_eq!(fixed.with_drop_path(0.0).unwrap(), fixed.graph);
    }

    #[test]
    fn a_skip_that_halves_the_map_is_an_operation() {
        let SpaceSpec::Darts(mut options) = (darts::PRESET.defaults)() else {
            panic!("another space")
        };
        (options.cells, options.nodes) = (3, 1);
        // Cell 0 is normal, cells 1 and 2 halve the map; both edges of each are skips.
        let fixed = fixed(&SpaceSpec::Darts(options), &["skip"; 4]);
        let names: Vec<&str> =
            fixed.edges.iter().map(|edge| fixed.graph.nodes[*edge].name.as_str()).collect();
        let expected =
            ["cell1.edgein0_n0", "cell1.edgein1_n0", "cell2.edgein0_n0", "cell2.edgein1_n0"];
        assert_eq!(names, expected.map(|edge| format!("{edge}.skip.bn")));
    }
}

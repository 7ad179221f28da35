//! Operations on the edges of a space's cells.

use super::literal::Fault;
use crate::choice::{Architecture, Choice, ChoiceId, Site};
use crate::graph::Graph;

/// Operations by the names of the DARTS and NAS-Bench-201 code, with ours.
const FOREIGN: [(&str, &str); 12] = [
    ("none", "none"),
    ("skip_connect", "skip"),
    ("max_pool_3x3", "maxpool"),
    ("avg_pool_3x3", "avgpool"),
    ("sep_conv_3x3", "sep3"),
    ("sep_conv_5x5", "sep5"),
    ("sep_conv_7x7", "sep7"),
    ("dil_conv_3x3", "dil3"),
    ("dil_conv_5x5", "dil5"),
    ("nor_conv_1x1", "conv1"),
    ("nor_conv_3x3", "conv3"),
    ("nor_conv_5x5", "conv5"),
];

/// The option of a choice by our name or by a published one.
pub(crate) fn option(choice: &Choice, name: &str) -> Option<usize> {
    let ours = FOREIGN.iter().find(|(foreign, _)| *foreign == name).map_or(name, |(_, ours)| ours);
    choice.options.iter().position(|known| known == ours)
}

/// An operation on what enters a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) at: usize,
    pub(super) operation: String,
    pub(super) from: usize,
}

/// What enters one node, and where that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) at: usize,
    pub(super) inputs: Vec<Input>,
}

/// A cell of a space.
#[derive(Debug)]
pub(super) struct Cell<'a> {
    pub(super) name: &'a str,
    pub(super) nodes: Vec<Joint<'a>>,
}

/// A node of a cell that edges enter.
#[derive(Debug)]
pub(super) struct Joint<'a> {
    pub(super) to: usize,
    /// Edges that have an operation in the end.
    pub(super) wants: usize,
    edges: Vec<(usize, ChoiceId, &'a Choice)>,
}

impl Joint<'_> {
    /// The node's name, as the labels of its edges have it.
    fn name(&self) -> &str {
        let label = self.edges.first().map_or("", |(_, _, choice)| choice.label.as_str());
        label.rsplit('→').next().unwrap_or(label)
    }
}

/// The cells of a space; none if it is not made of cells with operations on edges.
pub(super) fn of(graph: &Graph) -> Vec<Cell<'_>> {
    let mut cells: Vec<Cell<'_>> = vec![];
    for (id, choice) in graph.choices.iter().enumerate() {
        let Site::Edge { cell, from, to } = &choice.site else { return vec![] };
        let at = cells.iter().position(|known| known.name == cell).unwrap_or(cells.len());
        if at == cells.len() {
            cells.push(Cell { name: cell, nodes: vec![] });
        }
        let nodes = &mut cells[at].nodes;
        let at = nodes.iter().position(|known| known.to == *to).unwrap_or(nodes.len());
        if at == nodes.len() {
            nodes.push(Joint { to: *to, wants: 0, edges: vec![] });
        }
        nodes[at].edges.push((*from, id, choice));
        let kept = graph.prunings.iter().find(|pruning| pruning.choices.contains(&id));
        let edges = nodes[at].edges.len();
        nodes[at].wants = kept.map_or(edges, |pruning| pruning.keep.min(edges));
    }
    cells
}

/// An architecture without an operation on any edge that may go without.
pub(super) fn nothing(graph: &Graph) -> Architecture {
    let mut options = vec![0; graph.choices.len()];
    for pruning in &graph.prunings {
        pruning.choices.iter().for_each(|id| options[*id] = pruning.none);
    }
    Architecture(options)
}

impl Cell<'_> {
    /// Writes what enters each node into an architecture. `end` is where the cell's text ends.
    pub(super) fn fill(
        &self,
        groups: &[Group],
        end: usize,
        architecture: &mut Architecture,
    ) -> Result<(), Fault> {
        for (at, node) in self.nodes.iter().enumerate() {
            let found = groups.get(at);
            let inputs = found.map_or(&[][..], |group| &group.inputs);
            if inputs.len() != node.wants {
                let place = found.map_or(end, |group| group.at);
                return Err(Fault::new(place, self.count(node, inputs.len())));
            }
            let mut taken = vec![];
            for input in inputs {
                let (id, option) = self.edge(node, input)?;
                if taken.contains(&id) {
                    let reason = format!("{} enters {} twice", input.from, self.describe(node));
                    return Err(Fault::new(input.at, reason));
                }
                taken.push(id);
                architecture.0[id] = option;
            }
        }
        match groups.get(self.nodes.len()) {
            None => Ok(()),
            Some(more) => {
                let (name, nodes) = (self.name, self.nodes.len());
                let reason = format!("cell `{name}` has {nodes} nodes, and this would be one more");
                Err(Fault::new(more.at, reason))
            }
        }
    }

    fn count(&self, node: &Joint<'_>, found: usize) -> String {
        let inputs = if found == 1 { "input" } else { "inputs" };
        format!("{} has {found} {inputs}, and the space wants {}", self.describe(node), node.wants)
    }

    fn describe(&self, node: &Joint<'_>) -> String {
        format!("node `{}` of cell `{}`", node.name(), self.name)
    }

    /// The choice and the option that an input stands for.
    fn edge(&self, node: &Joint<'_>, input: &Input) -> Result<(ChoiceId, usize), Fault> {
        let edge = node.edges.iter().find(|(from, ..)| *from == input.from);
        let Some((_, id, choice)) = edge else {
            let there: Vec<String> = node.edges.iter().map(|(from, ..)| from.to_string()).collect();
            let (from, there) = (input.from, there.join(", "));
            let reason = format!("{} has no input {from}; it has {there}", self.describe(node));
            return Err(Fault::new(input.at, reason));
        };
        match option(choice, &input.operation) {
            Some(option) => Ok((*id, option)),
            None => Err(Fault::new(input.at, choice.lacks(&input.operation).to_string())),
        }
    }

    /// Inputs in one row, as many for each node as the space wants.
    pub(super) fn split(&self, inputs: Vec<Input>, end: usize) -> Result<Vec<Group>, Fault> {
        let given = inputs.len();
        let wanted: usize = self.nodes.iter().map(|node| node.wants).sum();
        let excess = inputs.get(wanted).map(|input| input.at);
        let mut inputs = inputs.into_iter();
        let groups = self.nodes.iter().map(|node| {
            let inputs: Vec<Input> = inputs.by_ref().take(node.wants).collect();
            Group { at: inputs.first().map_or(end, |input| input.at), inputs }
        });
        let groups = groups.collect();
        match excess {
            None => Ok(groups),
            Some(at) => Err(Fault::new(
                at,
                format!("cell `{}` has {given} inputs, and the space wants {wanted}", self.name),
            )),
        }
    }
}

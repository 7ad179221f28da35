//! The builder that spaces are written with.

use super::shape::output_shape;
use super::{Graph, GraphError, Input, Node, NodeId, Op, Pruning, Shape};
use crate::choice::{Choice, ChoiceId};

/// Grows a graph node by node and knows every node's shape meanwhile.
///
/// The first error is kept and returned by [`Builder::finish`], so that a space reads straight
/// through.
#[derive(Debug)]
pub struct Builder {
    nodes: Vec<Node>,
    shapes: Vec<Shape>,
    choices: Vec<Choice>,
    prunings: Vec<Pruning>,
    error: Option<GraphError>,
}

impl Builder {
    /// A graph with its input node; `shape` is `[channels, height, width]`.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let input =
            Node { name: "input".to_owned(), op: Op::Input(Input(shape.clone())), inputs: vec![] };
        Self {
            nodes: vec![input],
            shapes: vec![shape],
            choices: vec![],
            prunings: vec![],
            error: None,
        }
    }

    /// Goes on where a graph ends.
    ///
    /// # Errors
    /// - [`GraphError::Shape`] if the graph is none.
    pub fn onto(graph: Graph) -> Result<Self, GraphError> {
        let shapes = graph.shapes()?;
        let Graph { nodes, choices, prunings, .. } = graph;
        Ok(Self { nodes, shapes, choices, prunings, error: None })
    }

    /// The input node.
    #[must_use]
    pub fn input(&self) -> NodeId {
        0
    }

    /// Opens a decision.
    pub fn choice(&mut self, choice: Choice) -> ChoiceId {
        self.choices.push(choice);
        self.choices.len() - 1
    }

    /// Keeps only some of these choices' operations in an architecture.
    pub fn prune(&mut self, pruning: Pruning) {
        self.prunings.push(pruning);
    }

    /// Adds a node and returns its index.
    pub fn add(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId]) -> NodeId {
        let node = Node { name: name.into(), op, inputs: inputs.to_vec() };
        let read: Vec<&Shape> = inputs.iter().map(|input| &self.shapes[*input]).collect();
        let shape = output_shape(&node, &read).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            self.shapes[*inputs.first().unwrap_or(&0)].clone()
        });
        self.nodes.push(node);
        self.shapes.push(shape);
        self.nodes.len() - 1
    }

    /// Output shape of a node added before.
    #[must_use]
    pub fn shape(&self, node: NodeId) -> &Shape {
        &self.shapes[node]
    }

    /// The finished, validated graph.
    ///
    /// # Errors
    /// - [`GraphError`] if a node's input did not fit, or the structure is wrong.
    pub fn finish(self, output: NodeId) -> Result<Graph, GraphError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let Self { nodes, choices, prunings, .. } = self;
        let graph = Graph { nodes, choices, prunings, output, timings: super::Timings::default() };
        graph.validate()?;
        Ok(graph)
    }
}

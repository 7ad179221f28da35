//! What the variables of a `forward` are called.
//!
//! A value that only the next layer reads keeps its variable: `x = self.conv(x)`. A branch is `y`,
//! and what is read later is called after its node.

use std::collections::HashMap;

use super::scope::{Item, Scope};
use crate::graph::{Graph, NodeId};

/// Words that no variable may be.
const TAKEN: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "self", "torch",
    "try", "while",
];

/// Names of a `forward`'s values as it is written line by line.
pub(super) struct Names<'a> {
    graph: &'a Graph,
    scope: &'a Scope,
    /// Name of every value so far.
    known: HashMap<NodeId, String>,
    /// For every value, the items that read it; the end of the scope counts as one.
    readers: HashMap<NodeId, Vec<usize>>,
}

impl<'a> Names<'a> {
    /// The names of a scope's arguments.
    pub(super) fn new(graph: &'a Graph, scope: &'a Scope, arguments: &[String]) -> Self {
        let mut readers: HashMap<NodeId, Vec<usize>> = HashMap::new();
        for (at, item) in scope.items.iter().enumerate() {
            for value in item.reads(graph) {
                readers.entry(*value).or_default().push(at);
            }
        }
        readers.entry(scope.output).or_default().push(scope.items.len());
        let known = scope.inputs.iter().copied().zip(arguments.iter().cloned()).collect();
        Self { graph, scope, known, readers }
    }

    /// The variable that holds a value.
    pub(super) fn of(&self, value: NodeId) -> String {
        self.known.get(&value).cloned().unwrap_or_default()
    }

    /// Names the result of an item, whose first name after the scope's is `own`.
    pub(super) fn name(&mut self, at: usize, own: &str) -> String {
        let item = &self.scope.items[at];
        let name = self.kept(at, item).unwrap_or_else(|| self.fresh(at, item, own));
        self.known.insert(item.gives(), name.clone());
        name
    }

    /// The variable of an input that nobody else reads, or `x` in a sum that is the last to read it.
    fn kept(&self, at: usize, item: &Item) -> Option<String> {
        let inputs = item.reads(self.graph);
        let done = |value: &NodeId| !self.readers[value].iter().any(|reader| *reader > at);
        if let [only] = inputs {
            let name = self.of(*only);
            let network = ["images", "tokens"].contains(&name.as_str());
            return (self.readers[only].len() == 1 && !network).then_some(name);
        }
        let mut own = inputs.iter().filter(|value| done(value)).map(|value| self.of(*value));
        own.find(|name| name == "x")
    }

    fn fresh(&self, at: usize, item: &Item, own: &str) -> String {
        // What is still read at the next item, or only just now.
        let live = |name: &str| {
            self.known.iter().any(|(value, known)| {
                known == name
                    && self.readers.get(value).is_some_and(|all| all.iter().any(|r| *r > at))
            })
        };
        let free = |name: &str| !live(name) && !TAKEN.contains(&name);
        let readers = &self.readers[&item.gives()];
        let goes_on = match readers[..] {
            [next] => {
                self.scope.items.get(next).is_none_or(|next| next.reads(self.graph).len() == 1)
            }
            _ => false,
        };
        let from_input = item.reads(self.graph).iter().all(|value| *value == 0);
        let short = ["x", "y", "z"].into_iter().filter(|_| goes_on || from_input);
        let own: String = own.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        let long = (1..).map(|count| match count {
            1 => own.clone(),
            count => format!("{own}_{count}"),
        });
        short.map(str::to_owned).chain(long).find(|name| free(name)).unwrap_or_default()
    }
}

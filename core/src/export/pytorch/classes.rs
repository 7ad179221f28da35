//! From scopes to classes, the lowest first, so that what a class is called with is known where it
//! is used.

use std::collections::HashMap;

use super::attributes::Attributes;
use super::class::{Body, Class, Line};
use super::code::Code;
use super::forward::Names;
use super::scope::{Item, Scope};
use super::{At, Walk, nodes};
use crate::export::input_name;
use crate::graph::{Node, Shape};

/// Names that no class of a network's part may have: the whole, imports, classes of single nodes.
const TAKEN: [&str; 12] = [
    "CausalAttention",
    "DropPath",
    "F",
    "False",
    "InterleavedLinear",
    "Network",
    "None",
    "PatchEmbed",
    "RelativeAttention",
    "RelativePositions",
    "SqueezeExcite",
    "True",
];

/// All classes of a network, those that others use first.
pub(super) struct Classes {
    classes: Vec<Class>,
    /// Classes of single nodes that they need, as texts.
    pub(super) helpers: Vec<&'static str>,
}

impl Classes {
    pub(super) fn of(walk: &Walk<'_>, root: &Scope) -> Self {
        let mut all = Self { classes: vec![], helpers: vec![] };
        let mut calls: HashMap<String, Code> = HashMap::new();
        for height in 0..=root.height() {
            let mut scopes = Vec::new();
            at_height(root, height, &mut scopes);
            let first = all.classes.len();
            let mut places = Vec::new();
            for scope in &scopes {
                let body = all.body(walk, scope, &calls);
                places.push(all.sort_in(first, base_name(scope), body));
            }
            all.tell_apart(first);
            for (scope, (class, using)) in scopes.iter().zip(places) {
                let call = all.classes[class].call(using);
                calls.insert(scope.prefix.clone(), call);
            }
        }
        all
    }

    /// Texts of all classes.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        self.classes.iter().map(Class::text)
    }

    /// Puts a body to others of its kind; gives the class and which of its uses it is.
    fn sort_in(&mut self, first: usize, name: String, body: Body) -> (usize, usize) {
        let alike = |class: &Class| class.name == name && class.is_like(&body);
        let found = self.classes[first..].iter().position(alike).map(|at| first + at);
        let at = found.unwrap_or_else(|| {
            self.classes.push(Class { name, bodies: vec![] });
            self.classes.len() - 1
        });
        self.classes[at].bodies.push(body);
        (at, self.classes[at].bodies.len() - 1)
    }

    /// Gives classes of one name names of their own: the network's parts that of their first use,
    /// others a number.
    fn tell_apart(&mut self, first: usize) {
        let bases: Vec<String> =
            self.classes[first..].iter().map(|class| class.name.clone()).collect();
        for at in first..self.classes.len() {
            let mut base = self.classes[at].name.clone();
            let used_as = &self.classes[at].bodies[0].used_as;
            if bases.iter().filter(|name| **name == base).count() > 1 && !used_as.contains('.') {
                base = capitals(used_as);
            }
            let taken = |name: &str| self.classes[..at].iter().any(|class| class.name == name);
            let mut names = (1..).map(|count| match count {
                1 => base.clone(),
                count => format!("{base}{count}"),
            });
            if let Some(name) = names.find(|name| !taken(name)) {
                self.classes[at].name = name;
            }
        }
    }

    fn body(&mut self, walk: &Walk<'_>, scope: &Scope, calls: &HashMap<String, Code>) -> Body {
        let inputs = arguments(walk, scope);
        let mut names = Names::new(walk.graph, scope, &inputs);
        let (mut attributes, mut lines) = (Attributes::default(), Vec::new());
        for (at, item) in scope.items.iter().enumerate() {
            let read: Vec<String> =
                item.reads(walk.graph).iter().map(|value| names.of(*value)).collect();
            let shape = &walk.shapes[item.gives()];
            let (path, value) = match item {
                Item::Scope(below) => {
                    let path = &below.prefix[scope.prefix.len()..below.prefix.len() - 1];
                    let call = calls.get(&below.prefix);
                    attributes.add(path, call.cloned().unwrap_or_else(|| Code::text("")));
                    (path, Code::text(format!("{}({})", attribute(path), read.join(", "))))
                }
                Item::Node(id) => {
                    let node = &walk.graph.nodes[*id];
                    let tied = tied(walk, node, &scope.prefix);
                    let path = &node.name[scope.prefix.len()..];
                    // Only names of what is stored are given from outside.
                    let stored = !node.params().is_empty();
                    let own = if stored { path.to_owned() } else { path.replace('.', "_") };
                    let at = At { me: attribute(&own), inputs: read, tied, shape };
                    (path, self.node(node, &at, &own, &mut attributes))
                }
            };
            let own = path.split('.').next().unwrap_or(path);
            let name = names.name(at, own);
            let (shape, says) = (comment(walk, shape), changed(walk, item));
            lines.push(Line { name, value, shape, says });
        }
        let output = names.of(scope.output);
        let used_as = scope.prefix.trim_end_matches('.').to_owned();
        Body { used_as, inputs, attributes: attributes.finish(), lines, output }
    }

    /// The value of a node, whose module joins the attributes.
    fn node(&mut self, node: &Node, at: &At<'_>, own: &str, attributes: &mut Attributes) -> Code {
        let Some(kind) = nodes::kind(&node.op) else { return Code::text(at.x()) };
        let layer = kind.pytorch(at);
        if let Some(module) = layer.module {
            attributes.add(own, module);
        }
        if let Some(helper) = layer.helper
            && !self.helpers.contains(&helper)
        {
            self.helpers.push(helper);
        }
        layer.value
    }
}

/// Scopes of one height, in the order in which they are used.
fn at_height<'a>(scope: &'a Scope, height: usize, found: &mut Vec<&'a Scope>) {
    for item in &scope.items {
        if let Item::Scope(below) = item {
            at_height(below, height, found);
        }
    }
    if scope.height() == height {
        found.push(scope);
    }
}

/// `Block` for `stage1.block0.`, `ResA` for `block5.res_a.`, `Edge` for `cell0.edge0_1.`.
fn base_name(scope: &Scope) -> String {
    let last = scope.prefix.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if last.is_empty() {
        return "Network".to_owned();
    }
    let name = capitals(last);
    let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if name.is_empty() || TAKEN.contains(&name) { format!("{name}Part") } else { name.to_owned() }
}

/// `res_a` as `ResA`.
fn capitals(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_alphanumeric());
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    words.map(capital).collect()
}

/// Arguments of a scope's `forward`.
fn arguments(walk: &Walk<'_>, scope: &Scope) -> Vec<String> {
    match scope.inputs.len() {
        _ if scope.prefix.is_empty() => vec![input_name(walk.graph).to_owned()],
        1 => vec!["x".to_owned()],
        count => (0..count).map(|at| format!("x{at}")).collect(),
    }
}

/// `self.a` for `a`; names behind dots are keys: `self.a["b"]`.
fn attribute(path: &str) -> String {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let keys: String = parts.map(|key| format!("[\"{key}\"]")).collect();
    format!("self.{first}{keys}")
}

/// The embedding whose table a node shares.
fn tied(walk: &Walk<'_>, node: &Node, prefix: &str) -> String {
    let table = node.table().map(|table| &walk.graph.nodes[table].name);
    table.and_then(|name| name.strip_prefix(prefix)).map(attribute).unwrap_or_default()
}

/// Whether a line's shape is worth saying: it differs from what is read, or a class gives it.
fn changed(walk: &Walk<'_>, item: &Item) -> bool {
    let shape = &walk.shapes[item.gives()];
    let same = item.reads(walk.graph).iter().all(|value| walk.shapes[*value] == *shape);
    !same || matches!(item, Item::Scope(_))
}

/// A shape whose sizes may be arguments.
fn comment(walk: &Walk<'_>, shape: &Shape) -> Code {
    if let ("tokens", [_, features]) = (input_name(walk.graph), &shape[..]) {
        let features = Code::number("features", features);
        return Code::text("[N, T, ").then(features).then(Code::text("]"));
    }
    let labels: &[&str] = match shape.len() {
        3 => &["channels", "height", "width"],
        2 => &["tokens", "features"],
        _ => &["features"],
    };
    let sizes = labels.iter().zip(shape);
    let sizes = sizes.map(|(label, size)| Code::text(", ").then(Code::number(label, size)));
    sizes.fold(Code::text("[N"), Code::then).then(Code::text("]"))
}

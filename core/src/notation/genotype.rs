//! Genotypes of DARTS, and cells written as lists of operations and inputs.

use super::Space;
use super::cells::{self, Cell, Group, Input};
use super::literal::{Argument, Fault, Node, Value};
use crate::choice::Architecture;

/// The parts of a genotype, in the order in which it has them without names.
const FIELDS: [&str; 4] = ["normal", "normal_concat", "reduce", "reduce_concat"];
/// Longest range of nodes.
const NODES: usize = 1000;

/// The entries of an object, as arguments of a call.
pub(super) fn arguments<'a>(entries: &[(Node<'a>, Node<'a>)]) -> Result<Vec<Argument<'a>>, Fault> {
    let argument = |(key, value): &(Node<'a>, Node<'a>)| {
        let name = key.text().ok_or_else(|| key.fault("expected a name in quotes"))?;
        Ok(Argument { name: Some(name.to_owned()), value: value.clone() })
    };
    entries.iter().map(argument).collect()
}

impl Space<'_> {
    /// `Genotype(normal=[(op, input), …], normal_concat=…, reduce=…, reduce_concat=…)`.
    pub(super) fn genotype(
        &self,
        at: usize,
        arguments: &[Argument<'_>],
    ) -> Result<Architecture, Fault> {
        let cells = self.cells(at)?;
        let parts = parts(at, arguments)?;
        let mut architecture = cells::nothing(self.graph);
        for (name, list, concat) in [("normal", parts[0], parts[1]), ("reduce", parts[2], parts[3])]
        {
            let Some(cell) = cells.iter().find(|cell| cell.name == name) else {
                let there: Vec<&str> = cells.iter().map(|cell| cell.name).collect();
                let there = there.join("`, `");
                return Err(Fault::new(at, format!("the space's cell is `{there}`, not `{name}`")));
            };
            let list = list.ok_or_else(|| Fault::new(at, format!("it has no `{name}=[…]`")))?;
            fill(cell, list, &mut architecture)?;
            concat.map_or(Ok(()), |concat| whole_cell(cell, concat))?;
        }
        Ok(architecture)
    }

    /// Lists of operations and inputs: the only cell of the space, or the parts of a genotype.
    pub(super) fn groups(
        &self,
        node: &Node<'_>,
        items: &[Node<'_>],
    ) -> Result<Architecture, Fault> {
        let cells = self.cells(node.at)?;
        let [only] = &cells[..] else {
            let part = |item: &Node<'_>| matches!(item.value, Value::List(_) | Value::Call { .. });
            if items.len() != FIELDS.len() || !items.iter().all(part) {
                return Err(
                    node.fault("expected one option a choice, or `Genotype(normal=[…], …)`")
                );
            }
            let arguments = items.iter().map(|item| Argument { name: None, value: item.clone() });
            let arguments: Vec<Argument<'_>> = arguments.collect();
            return self.genotype(node.at, &arguments);
        };
        let mut architecture = cells::nothing(self.graph);
        fill(only, node, &mut architecture)?;
        Ok(architecture)
    }

    /// The cells of the space, if it is made of cells.
    pub(super) fn cells(&self, at: usize) -> Result<Vec<Cell<'_>>, Fault> {
        let cells = cells::of(self.graph);
        if cells.is_empty() {
            let reason = "the space is not made of cells with operations on edges";
            return Err(Fault::new(at, reason));
        }
        Ok(cells)
    }
}

/// The parts of a genotype, in the order of [`FIELDS`].
fn parts<'n, 'a>(
    at: usize,
    arguments: &'n [Argument<'a>],
) -> Result<[Option<&'n Node<'a>>; 4], Fault> {
    let mut parts = [None; 4];
    for (place, argument) in arguments.iter().enumerate() {
        let index = match &argument.name {
            None => Some(place).filter(|place| *place < FIELDS.len()),
            Some(name) => FIELDS.iter().position(|field| field == name),
        };
        let fields = FIELDS.join(", ");
        let index = index.ok_or_else(|| {
            let name = argument.name.as_deref().unwrap_or("one more");
            argument.value.fault(format!("a genotype has {fields}, and not `{name}`"))
        })?;
        if parts[index].replace(&argument.value).is_some() {
            return Err(argument.value.fault(format!("`{}` is there twice", FIELDS[index])));
        }
    }
    if arguments.is_empty() {
        return Err(Fault::new(at, "the genotype is empty"));
    }
    Ok(parts)
}

/// Reads one cell: a list of inputs, or of such lists, one a node.
fn fill(cell: &Cell<'_>, node: &Node<'_>, architecture: &mut Architecture) -> Result<(), Fault> {
    let expected = "expected a list of operations and inputs, `[('op', 0), …]`";
    let items = node.list().ok_or_else(|| node.fault(expected))?;
    let grouped = |item: &Node<'_>| {
        let inner = item.list().and_then(<[_]>::first);
        inner.is_none_or(|inner| inner.list().is_some()) && item.list().is_some()
    };
    let groups = if items.iter().any(grouped) {
        items.iter().map(group).collect::<Result<Vec<_>, _>>()?
    } else {
        let inputs = items.iter().map(input).collect::<Result<Vec<_>, _>>()?;
        cell.split(inputs, node.at)?
    };
    cell.fill(&groups, node.at, architecture)
}

/// What enters one node.
fn group(node: &Node<'_>) -> Result<Group, Fault> {
    let expected = "expected a list of one node's operations and inputs, `[('op', 0), …]`";
    let items = node.list().ok_or_else(|| node.fault(expected))?;
    Ok(Group { at: node.at, inputs: items.iter().map(input).collect::<Result<_, _>>()? })
}

/// `('op', 0)`, or `('op', 0, 0.25)` with a weight, which is not needed.
fn input(node: &Node<'_>) -> Result<Input, Fault> {
    let fault = || node.fault("expected an operation and an input, `('op', 0)`");
    let (operation, from) = match node.list() {
        Some([operation, from]) => (operation, from),
        Some([operation, from, weight]) => match weight.value {
            Value::Number(_) => (operation, from),
            _ => return Err(weight.fault("expected a weight, which is a number")),
        },
        _ => return Err(fault()),
    };
    let operation = operation.text().ok_or_else(fault)?.trim().to_owned();
    Ok(Input { at: node.at, operation, from: from.whole().ok_or_else(fault)? })
}

/// A cell's output is all of its nodes here; a genotype that says another thing is another network.
fn whole_cell(cell: &Cell<'_>, concat: &Node<'_>) -> Result<(), Fault> {
    let all: Vec<usize> = cell.nodes.iter().map(|node| node.to).collect();
    let fault = || {
        let name = cell.name;
        concat.fault(format!("`{name}_concat` must be all nodes of the cell, {all:?}"))
    };
    let nodes = numbers(concat).ok_or_else(fault)?;
    if nodes == all { Ok(()) } else { Err(fault()) }
}

/// `[2, 3]`, `range(2, 4)` or `list(range(2, 4))` as numbers.
fn numbers(node: &Node<'_>) -> Option<Vec<usize>> {
    let Value::Call { name, arguments } = &node.value else {
        return node.list()?.iter().map(Node::whole).collect();
    };
    if arguments.iter().any(|argument| argument.name.is_some()) {
        return None;
    }
    match (*name, &arguments[..]) {
        ("list" | "tuple", [only]) => numbers(&only.value),
        ("range", ends) => {
            let ends: Vec<usize> =
                ends.iter().map(|end| end.value.whole()).collect::<Option<_>>()?;
            let (first, end, step) = match ends[..] {
                [end] => (0, end, 1),
                [first, end] => (first, end, 1),
                [first, end, step] => (first, end, step),
                _ => return None,
            };
            (step > 0).then(|| (first..end.min(NODES)).step_by(step).collect())
        }
        _ => None,
    }
}

//! Genotypes printed in every way, and read back.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::read;
use super::space;
use crate::graph::Graph;

/// A genotype by the names of the published code: a list of operations and inputs for each cell.
type Cell = Vec<(String, usize)>;

/// The space of DARTS, which takes a while to build.
static DARTS: LazyLock<Graph> = LazyLock::new(|| space("darts"));

/// How a genotype is printed.
#[derive(Debug, Clone)]
struct Style {
    before: &'static str,
    module: &'static str,
    quote: &'static str,
    inner: (&'static str, &'static str),
    outer: (&'static str, &'static str),
    grouped: bool,
    weights: bool,
    comma: &'static str,
    end: &'static str,
    equals: &'static str,
    concat: &'static str,
    named: bool,
    object: bool,
}

impl Style {
    fn list(&self, items: &[String], (open, close): (&str, &str)) -> String {
        let end = if items.len() == 1 && open.starts_with('(') { "," } else { self.end };
        format!("{open}{}{end}{close}", items.join(self.comma))
    }

    fn cell(&self, cell: &Cell) -> String {
        let quote = self.quote;
        let inputs = cell.iter().map(|(operation, from)| {
            let mut parts = vec![format!("{quote}{operation}{quote}"), from.to_string()];
            parts.extend(self.weights.then(|| "0.1428".to_owned()));
            self.list(&parts, self.inner)
        });
        let inputs: Vec<String> = inputs.collect();
        if !self.grouped {
            return self.list(&inputs, self.outer);
        }
        let nodes = inputs.chunks(2).map(|node| self.list(node, self.outer));
        self.list(&nodes.collect::<Vec<_>>(), self.outer)
    }

    fn print(&self, normal: &Cell, reduce: &Cell) -> String {
        let Self { before, module, equals, concat, .. } = self;
        let fields = [
            ("normal", self.cell(normal)),
            ("normal_concat", (*concat).to_owned()),
            ("reduce", self.cell(reduce)),
            ("reduce_concat", (*concat).to_owned()),
        ];
        if self.object {
            let entries = fields.map(|(name, value)| format!("\"{name}\": {value}"));
            return format!("{{{}}}", entries.join(self.comma));
        }
        let arguments = fields.map(|(name, value)| match self.named {
            true => format!("{name}{equals}{value}"),
            false => value,
        });
        format!("{before}{module}Genotype({}{})", arguments.join(self.comma), self.end)
    }
}

const OPERATIONS: [&str; 8] = [
    "none",
    "skip_connect",
    "max_pool_3x3",
    "avg_pool_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
];

fn cell() -> impl Strategy<Value = Cell> {
    let node = |inputs: usize| {
        let from = proptest::sample::subsequence((0..inputs).collect::<Vec<_>>(), 2).prop_shuffle();
        let operation = || proptest::sample::select(&OPERATIONS[..]);
        (from, operation(), operation()).prop_map(|(from, first, second)| {
            vec![(first.to_owned(), from[0]), (second.to_owned(), from[1])]
        })
    };
    (node(2), node(3), node(4), node(5)).prop_map(|(a, b, c, d)| [a, b, c, d].concat())
}

fn style() -> impl Strategy<Value = Style> {
    let of = |words: &'static [&'static str]| proptest::sample::select(words);
    let brackets =
        || proptest::sample::select(&[("[", "]"), ("(", ")"), ("[ ", "\n]"), ("(\n", " )")][..]);
    let before = of(&[
        "",
        "PC = ",
        "PC_DARTS_cifar=\n  ",
        "# the second-order cell\nDARTS_V2 =",
        "2024-05-01 12:00:01,123 genotype = ",
        "05/01 12:00:01 PM genotype = ",
        "[2024-05-01 12:00] INFO: genotype: ",
        "INFO:root:",
    ]);
    let words = (before, of(&["", "genotypes.", "cnn.genotypes."]), of(&["'", "\""]));
    let signs =
        (of(&[",", ", ", " ,\n\t", ", # kept\n"]), of(&["", ",", " , "]), of(&["=", " = "]));
    let concat = of(&[
        "[2, 3, 4, 5]",
        "(2,3,4,5,)",
        "range(2, 6)",
        "list(range(2, 6))",
        "range(2,6,1)",
        "tuple( range(2, 6) )",
    ]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (words, signs, concat, (brackets(), brackets()), flags).prop_map(
        |((before, module, quote), (comma, end, equals), concat, (inner, outer), flags)| {
            let (grouped, weights, named, object) = flags;
            Style {
                before,
                module,
                quote,
                inner,
                outer,
                grouped,
                weights,
                comma,
                end,
                equals,
                concat,
                named,
                object,
            }
        },
    )
}

/// The architecture that a genotype means, written down without the reader.
fn meant(normal: &Cell, reduce: &Cell) -> Vec<Option<&'static str>> {
    let ours = |name: &str| match name {
        "skip_connect" => "skip",
        "max_pool_3x3" => "maxpool",
        "avg_pool_3x3" => "avgpool",
        "sep_conv_3x3" => "sep3",
        "sep_conv_5x5" => "sep5",
        "dil_conv_3x3" => "dil3",
        "dil_conv_5x5" => "dil5",
        _ => "none",
    };
    let mut options = vec![Some("none"); 28];
    for (cell, first) in [(normal, 0), (reduce, 14)] {
        for (at, (operation, from)) in cell.iter().enumerate() {
            let row = first + [0, 2, 5, 9][at / 2] + from;
            options[row] = Some(ours(operation));
        }
    }
    options
}

proptest! {
    #[test]
    fn a_genotype_is_read_in_any_of_its_forms(
        normal in cell(), reduce in cell(), style in style(),
    ) {
        let graph = &*DARTS;
        let printed = style.print(&normal, &reduce);
        let found = read(&printed, "darts", graph);
        let found = found.map_err(|error| TestCaseError::fail(format!("{error}\n{printed}")))?;
        let names = found.architecture.0.iter().zip(&graph.choices);
        let names: Vec<_> = names.map(|(at, choice)| choice.options.get(*at).map(String::as_str)).collect();
        prop_assert_eq!(names, meant(&normal, &reduce), "{}", printed);
        prop_assert_eq!(found.warning, None);
    }

    /// A genotype that lacks an input of some node, or has one more, is another network.
    #[test]
    fn no_input_is_dropped_and_none_made_up(
        normal in cell(), reduce in cell(), style in style(), at in 0_usize..8, more: bool,
    ) {
        let mut changed = normal;
        if more { changed.insert(at, changed[at].clone()); } else { changed.remove(at); }
        let graph = &*DARTS;
        let printed = style.print(&changed, &reduce);
        let refused = read(&printed, "darts", graph).unwrap_err().to_string();
        prop_assert!(refused.contains("cell `normal`"), "{refused}\n{printed}");
        prop_assert!(refused.starts_with("line "), "{refused}");
    }
}

//! Architectures as people and other programs write them.

use serde_json::Value;

use crate::choice::{Architecture, ArchitectureError, Choice, Site};

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
/// Signs of a text that a message repeats.
const REPEATED: usize = 80;

/// Reads an architecture of a space, in any of these forms:
///
/// - our text form, as in `toy-cell|normal=sep3,…`;
/// - `architecture.json` of a result package, or a list of options by name or number;
/// - a genotype of DARTS (arXiv:1806.09055), `Genotype(normal=[('sep_conv_3x3', 0), …], …)`;
/// - a cell of NAS-Bench-201 (arXiv:2001.00326), `|nor_conv_3x3~0|+|…|`.
///
/// # Errors
/// - [`ArchitectureError`] says what cannot be read or does not belong to the space.
pub fn read(
    given: &str,
    preset: &str,
    choices: &[Choice],
) -> Result<Architecture, ArchitectureError> {
    let given = given.trim();
    match given.chars().next() {
        Some('{' | '[') => {
            let value = serde_json::from_str(given)
                .map_err(|error| unread(given, &format!("it is no JSON: {error}")))?;
            from_json(&value, preset, choices)
        }
        Some('|') => nas_bench_201(given, choices),
        _ if given.starts_with("Genotype") => genotype(given, choices),
        _ => Architecture::parse(given, preset, choices),
    }
}

fn unread(text: &str, reason: &str) -> ArchitectureError {
    let mut short: String = text.chars().take(REPEATED).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    ArchitectureError::Text { text: short, reason: reason.to_owned() }
}

fn from_json(
    value: &Value,
    preset: &str,
    choices: &[Choice],
) -> Result<Architecture, ArchitectureError> {
    let whole = value.to_string();
    let unread = |reason: &str| unread(&whole, reason);
    let options: &[Value] = match (value, value.get("choices"), value.get("text")) {
        (_, _, Some(Value::String(text))) => return Architecture::parse(text, preset, choices),
        (Value::Array(options), ..) | (_, Some(Value::Array(options)), _) => options,
        _ => return Err(unread("expected `text`, or `choices` with an option each")),
    };
    let picked = options.iter().enumerate().map(|(at, option)| {
        let choice = choices.get(at);
        let choice = choice.ok_or_else(|| unread("more options than the space has choices"))?;
        let name = option.get("option").unwrap_or(option);
        let known = match name {
            Value::String(name) => choice.options.iter().position(|known| known == name),
            other => other.as_u64().and_then(|index| usize::try_from(index).ok()),
        };
        known.ok_or_else(|| choice.lacks(name.as_str().unwrap_or(&name.to_string())))
    });
    let architecture = Architecture(picked.collect::<Result<_, _>>()?);
    architecture.check(choices)?;
    Ok(architecture)
}

/// An operation on an edge of a cell.
struct Placed<'a> {
    cell: &'a str,
    from: usize,
    to: usize,
    operation: &'a str,
}

/// The architecture with these operations on its edges; edges that are not named have `none`.
fn placed(
    given: &str,
    operations: &[Placed<'_>],
    choices: &[Choice],
) -> Result<Architecture, ArchitectureError> {
    let mut left: Vec<&Placed<'_>> = operations.iter().collect();
    let mut picked = Vec::with_capacity(choices.len());
    for choice in choices {
        let Site::Edge { cell, from, to } = &choice.site else {
            return Err(unread(given, "the space is not made of cells with operations on edges"));
        };
        let here = left.iter().position(|one| {
            (one.from, one.to) == (*from, *to) && (one.cell.is_empty() || one.cell == cell)
        });
        let operation = here.map_or("none", |at| left.remove(at).operation);
        let ours = FOREIGN.iter().find(|(foreign, _)| *foreign == operation);
        let ours = ours.map(|(_, ours)| *ours);
        let known = ours.and_then(|ours| choice.options.iter().position(|known| known == ours));
        picked.push(known.ok_or_else(|| choice.lacks(operation))?);
    }
    match left.first() {
        None => Ok(Architecture(picked)),
        Some(Placed { cell, from, to, operation }) => {
            let place = format!("{cell} {from}→{to}");
            let reason = format!("`{operation}` is on an edge that is not there or taken: {place}");
            Err(unread(given, reason.trim_end()))
        }
    }
}

/// `|op~0|+|op~0|op~1|+…`: the operations into each node in turn, each with the node it reads.
fn nas_bench_201(given: &str, choices: &[Choice]) -> Result<Architecture, ArchitectureError> {
    let mut operations = Vec::new();
    for (node, into) in given.split('+').enumerate() {
        for item in into.trim().split('|').filter(|item| !item.trim().is_empty()) {
            let read = item.trim().split_once('~');
            let read = read.and_then(|(name, from)| Some((name, from.parse::<usize>().ok()?)));
            let (operation, from) =
                read.ok_or_else(|| unread(item, "expected an operation and a node, `op~0`"))?;
            operations.push(Placed { cell: "", from, to: node + 1, operation });
        }
    }
    if operations.len() != choices.len() {
        let (expected, got) = (choices.len(), operations.len());
        return Err(ArchitectureError::Length { expected, got });
    }
    placed(given, &operations, choices)
}

/// `Genotype(normal=[(op, input), …], normal_concat=…, reduce=…, reduce_concat=…)`: two
/// operations for each node.
fn genotype(given: &str, choices: &[Choice]) -> Result<Architecture, ArchitectureError> {
    let mut operations = Vec::new();
    for cell in ["normal", "reduce"] {
        let list = after(given, &format!("{cell}="))
            .and_then(|rest| rest.strip_prefix('['))
            .and_then(|rest| rest.split_once(']'))
            .map(|(list, _)| list);
        let list = list.ok_or_else(|| unread(given, &format!("it has no list `{cell}=[…]`")))?;
        let pairs = list.split(')').filter(|pair| pair.contains('('));
        for (at, pair) in pairs.enumerate() {
            let read = pair.split_once('(').and_then(|(_, pair)| pair.split_once(','));
            let read = read.and_then(|(name, from)| {
                let name = name.trim().trim_matches(['\'', '"']);
                Some((name, from.trim().parse::<usize>().ok()?))
            });
            let (operation, from) = read
                .ok_or_else(|| unread(pair, "expected an operation and an input, `('op', 0)`"))?;
            operations.push(Placed { cell, from, to: at / 2 + 2, operation });
        }
    }
    let found = placed(given, &operations, choices)?;
    whole_cell(given, "normal", choices)?;
    whole_cell(given, "reduce", choices)?;
    Ok(found)
}

/// A cell's output is all of its nodes here; a genotype that says another thing is another network.
fn whole_cell(given: &str, cell: &str, choices: &[Choice]) -> Result<(), ArchitectureError> {
    let Some(list) = after(given, &format!("{cell}_concat=")) else { return Ok(()) };
    let until = list.find([']', ')']).unwrap_or(list.len());
    let numbers = list.get(..until).unwrap_or("").split(|sign: char| !sign.is_ascii_digit());
    let numbers: Vec<usize> = numbers.filter_map(|number| number.parse().ok()).collect();
    let nodes: Vec<usize> = match numbers[..] {
        [first, end] if list.starts_with("range") => (first..end).collect(),
        _ => numbers,
    };
    let last = choices.iter().filter_map(|choice| match &choice.site {
        Site::Edge { to, .. } => Some(*to),
        Site::Layer { .. } => None,
    });
    let all: Vec<usize> = (2..=last.max().unwrap_or(0)).collect();
    if nodes == all {
        return Ok(());
    }
    Err(unread(given, &format!("`{cell}_concat` must be all nodes of the cell, {all:?}")))
}

/// What follows a mark that no letter precedes.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let mut found = text.match_indices(mark).filter(|(at, _)| {
        !text[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    });
    found.next().and_then(|(at, _)| text.get(at + mark.len()..)).map(str::trim_start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::spaces;
    use crate::spec::Sharing;

    fn space(preset: &str) -> Vec<Choice> {
        let preset = spaces::find(preset).unwrap();
        let graph = spaces::build(&(preset.defaults)(), preset.shape, Sharing::Entangled);
        graph.unwrap().choices
    }

    fn text(given: &str, preset: &str) -> Result<String, String> {
        let choices = space(preset);
        let found = read(given, preset, &choices).map_err(|error| error.to_string())?;
        Ok(found.to_text(preset, &choices))
    }

    /// The cell that the DARTS paper found on CIFAR-10 with second-order gradients.
    const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";

    #[test]
    fn the_cell_of_the_darts_paper_has_two_operations_a_node() {
        insta::assert_snapshot!(
            text(DARTS_V2, "darts").unwrap(),
            @"darts|normal=sep3,sep3,sep3,sep3,none,skip,sep3,none,none,skip,none,dil3,none,none|reduce=maxpool,maxpool,none,maxpool,skip,maxpool,none,skip,none,none,maxpool,skip,none,none"
        );
    }

    #[test]
    fn a_cell_of_nas_bench_201_names_every_edge() {
        let given = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|";
        insta::assert_snapshot!(
            text(given, "nas-bench-201").unwrap(),
            @"nas-bench-201|cell=avgpool,conv1,skip,none,conv3,conv3"
        );
    }

    #[rstest]
    #[case::list(r#"["sep3", 1, "dil3", 3, 0, "sep5"]"#)]
    #[case::package(
        r#"{"version": 1, "choices": [{"tensor": "n", "label": "x", "option": "sep3"}, {"option": "sep5"}, {"option": "dil3"}, {"option": "dil5"}, {"option": "sep3"}, {"option": "sep5"}]}"#
    )]
    #[case::text(r#"{"text": "toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5"}"#)]
    #[case::plain(" toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5\n")]
    fn json_and_text_say_the_same(#[case] given: &str) {
        let expected = "toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5";
        assert_eq!(text(given, "toy-cell").as_deref(), Ok(expected));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let of = |given: &str, preset: &str| text(given, preset).unwrap_err();
        let cut = DARTS_V2.replace("[2, 3, 4, 5]", "[3, 4, 5]");
        let twice = DARTS_V2.replacen("('sep_conv_3x3', 1)", "('sep_conv_3x3', 0)", 1);
        insta::assert_debug_snapshot!([
            of("{", "toy-cell"),
            of("{}", "toy-cell"),
            of("[1, 2]", "toy-cell"),
            of(r#"[1, 2, 0, 0, 0, "conv3"]"#, "toy-cell"),
            of("|nor_conv_3x3~0|", "nas-bench-201"),
            of("|nor_conv_3x3|", "nas-bench-201"),
            of(DARTS_V2, "toy-cell"),
            of(DARTS_V2, "conv-macro"),
            of(&cut, "darts"),
            of(&twice, "darts"),
            of("Genotype(normal=[])", "darts"),
        ]);
    }

    proptest! {
        /// Whatever is given, the answer is an architecture of the space or a reason.
        #[test]
        fn any_text_is_read_or_refused(given in "(Genotype\\(normal=\\[|\\||\\{|\\[)?[ -~é→]{0,60}") {
            for preset in ["darts", "nas-bench-201", "conv-macro"] {
                let choices = space(preset);
                if let Ok(found) = read(&given, preset, &choices) {
                    prop_assert!(found.check(&choices).is_ok());
                }
            }
        }
    }
}

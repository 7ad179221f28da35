//! Architectures in every form that people and programs write.

mod printed;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::spaces;
use crate::spec::Sharing;

fn space(preset: &str) -> Graph {
    let preset = spaces::find(preset).unwrap();
    spaces::build(&(preset.defaults)(), preset.shape, Sharing::Entangled).unwrap()
}

fn reading(given: &str, preset: &str) -> Result<(String, Option<String>), String> {
    let graph = space(preset);
    let found = read(given, preset, &graph).map_err(|error| error.to_string())?;
    Ok((found.architecture.to_text(preset, &graph.choices), found.warning))
}

fn text(given: &str, preset: &str) -> Result<String, String> {
    Ok(reading(given, preset)?.0)
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
    let given =
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|";
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
            let graph = space(preset);
            if let Ok(found) = read(&given, preset, &graph) {
                prop_assert!(found.architecture.check(&graph.choices).is_ok());
            }
        }
    }
}

const NB201: &str = "nas-bench-201|cell=none,conv3,none,skip,conv3,avgpool";

#[rstest]
#[case::plain("|none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|")]
#[case::spaces(
    "| none~0 | + | nor_conv_3x3~0 | none~1 | +\n| skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2 |\n"
)]
#[case::any_order(
    "|none~0|+|none~1|nor_conv_3x3~0|+|avg_pool_3x3~2|skip_connect~0|nor_conv_3x3~1|"
)]
#[case::quoted("'|none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|'")]
#[case::named(
    "arch = '|none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|'"
)]
#[case::logged(
    "[2024-05-01 12:00] best: |none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
)]
#[case::list("['|none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|']")]
#[case::list_of_nodes(
    "[\"|none~0|\", \"|nor_conv_3x3~0|none~1|\", \"|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|\"]"
)]
#[case::printed(
    "Structure(4 nodes with |none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|)"
)]
#[case::printed_now(
    "models.CellStructure(4 nodes with |none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|)"
)]
#[case::tuples(
    "[(('none', 0),), (('nor_conv_3x3', 0), ('none', 1)), (('skip_connect', 0), ('nor_conv_3x3', 1), ('avg_pool_3x3', 2))]"
)]
#[case::flat(
    "[('none', 0), ('nor_conv_3x3', 0), ('none', 1), ('skip_connect', 0), ('nor_conv_3x3', 1), ('avg_pool_3x3', 2)]"
)]
#[case::names("('none', 'nor_conv_3x3', 'none', 'skip_connect', 'nor_conv_3x3', 'avg_pool_3x3')")]
#[case::ours_named("best = nas-bench-201|cell=none,conv3,none,\n  skip,conv3,avgpool")]
#[case::ours_quoted("\"nas-bench-201|cell=none,conv3,none,skip,conv3,avgpool\"")]
fn a_cell_of_nas_bench_201_is_read_in_any_of_its_forms(#[case] given: &str) {
    assert_eq!(reading(given, "nas-bench-201"), Ok((NB201.to_owned(), None)));
}

#[test]
fn a_cell_of_nas_bench_201_with_a_fault_is_refused() {
    let of = |given| (given, reading(given, "nas-bench-201").unwrap_err());
    insta::assert_debug_snapshot!(
        [
            "none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
            "|none~0+|none~0|none~1|+|none~0|none~1|none~2|",
            "|none~0||none~0|none~1|+|none~0|none~1|none~2|",
            "|none~0|+|none~0|none|+|none~0|none~1|none~2|",
            "|none~0|+|none~0|+|none~0|none~1|none~2|",
            "|none~0|+|none~0|none~1|",
            "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|",
            "|none~0|+|none~0|none~0|+|none~0|none~1|none~2|",
            "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|",
            "|zero~0|+|none~0|none~1|+|none~0|none~1|none~2|",
            "|none~0|+|none~0|none~1|+|none~0|none~1|none~2| 93.2",
            "['|none~0|+|none~0|none~1|+|none~0|none~1|none~2|', 3]",
        ]
        .map(of)
    );
}

/// Another program's numbers mean other operations on other edges.
#[test]
fn bare_numbers_are_said_to_be_ours() {
    let (text, warning) = reading("(4, 0, 3, 1, 4, 3)", "nas-bench-201").unwrap();
    assert_eq!(text, "nas-bench-201|cell=none,avgpool,skip,conv3,none,skip");
    insta::assert_snapshot!(warning.unwrap());
    let (_, mixed) = reading(r#"["sep3", 1, "dil3", 3, 0, "sep5"]"#, "toy-cell").unwrap();
    assert!(mixed.unwrap().contains(": normal 0→2 sep5, reduce 0→1 dil5, reduce 0→2 sep3. "));
}

#[test]
fn a_genotype_with_a_fault_is_refused() {
    let of = |given| (given, reading(given, "darts").unwrap_err());
    insta::assert_debug_snapshot!(
        [
            "Genotype(normal=[('sep_conv_3x3', 0), ('sep",
            "Genotype()",
            "Genotype(normal=[], reduce=[])",
            "Genotype(normal=[[('sep_conv_3x3', 0), ('skip_connect', 1)]], reduce=[])",
            "Genotype(normal=[], middle=[], reduce=[])",
            "Genotype(normal=[], normal=[], reduce=[])",
            "Genotype(normal=['sep_conv_3x3', 0], reduce=[])",
            "Genotype(normal=[('sep_conv_3x3', 0, 'x')], reduce=[])",
            "Cell(normal=[], reduce=[])",
            "normal = [('sep_conv_3x3', 0)]\nreduce = []",
            "import genotypes\nPC = Genotype(normal=[], reduce=[])",
            "[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]",
            "Genotype = namedtuple('Genotype', 'normal normal_concat reduce reduce_concat')",
        ]
        .map(of)
    );
}

#[test]
fn nothing_that_follows_a_genotype_is_dropped() {
    let refused = text(&format!("{DARTS_V2}, valid_acc 97.24"), "darts").unwrap_err();
    assert!(refused.starts_with("line 1, column "), "{refused}");
    assert!(
        refused.ends_with("expected nothing after the architecture; found `, valid_acc 97.24`")
    );
    let twice = format!("{DARTS_V2}\n{DARTS_V2}");
    assert!(text(&twice, "darts").unwrap_err().starts_with("line 2, column 1: "));
}

#[test]
fn a_package_whose_parts_differ_is_refused() {
    let given = r#"{"text": "toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5", "choices": ["sep5", "sep5", "dil3", "dil5", "sep3", "sep5"]}"#;
    let refused = text(given, "toy-cell").unwrap_err();
    assert!(refused.contains("`text` and `choices` are different architectures"), "{refused}");
}

#[test]
fn lists_of_options_know_published_names_too() {
    let given = "['sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5', 'sep_conv_3x3', 'sep_conv_5x5']";
    assert_eq!(
        text(given, "toy-cell").as_deref(),
        Ok("toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5")
    );
}

//! A table of true accuracies of all architectures of the toy cell, by a formula.

use std::fmt::Write as _;

use skein_core::choice::Choice;
use skein_core::spaces;
use skein_core::spec::RunSpec;

use crate::{TestServer, spec};

/// Name of the table's file.
pub const TABLE: &str = "toy.csv";
/// Architectures in it.
pub const ARCHITECTURES: u32 = 4096;

/// Accuracy of the architecture at a place, whose digits to base 4 are its options, the first
/// choice's the lowest.
#[must_use]
pub fn truth(place: u32) -> f64 {
    0.5 + 0.4 * f64::from(place) / f64::from(ARCHITECTURES - 1)
}

/// Writes the table into a server's data folder; a second column turns the order round.
pub fn write_table(server: &TestServer) {
    let spec = RunSpec::parse(&spec("")).expect("a specification");
    let graph = spaces::build(&spec.space, spec.shape(), spec.search.weights).expect("a space");
    let names: Vec<String> = graph.choices.iter().map(Choice::name).collect();
    let mut text = format!("{},test_acc,reversed_acc\n", names.join(","));
    for place in 0..ARCHITECTURES {
        let mut rest = place as usize;
        for choice in &graph.choices {
            let _ = write!(text, "{},", choice.options[rest % choice.options.len()]);
            rest /= choice.options.len();
        }
        let _ = writeln!(text, "{},{}", truth(place), truth(ARCHITECTURES - 1 - place));
    }
    let folder = server.data().join("benchmarks");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(TABLE), text).expect("a table");
}

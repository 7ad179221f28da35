//! A tiny space, its table and pieces of run folders, for tests.

use std::path::Path;

use serde_json::{Value, json};
use skein_core::benchmark::Table;
use skein_core::choice::{Choice, Site};
use skein_core::spec::BenchmarkSpec;

/// Two choices of two options.
pub(super) fn choices() -> Vec<Choice> {
    let edge = |to, options: [&str; 2]| Choice {
        tensor: "n".to_owned(),
        label: format!("0→{to}"),
        options: options.map(str::to_owned).to_vec(),
        site: Site::Edge { cell: "n".to_owned(), from: 0, to },
        when: None,
    };
    vec![edge(1, ["a", "b"]), edge(2, ["c", "d"])]
}

/// How the table is read.
pub(super) fn benchmark() -> BenchmarkSpec {
    let columns = Some("x,y".to_owned());
    BenchmarkSpec { table: Some("t.csv".to_owned()), columns, accuracy: None }
}

/// All four architectures.
pub(super) const TABLE: &str =
    "x,y,acc,other_acc,params\na,c,0.4,40,900\na,d,0.3,10,800\nb,c,0.2,20,700\nb,d,0.1,30,600\n";

pub(super) fn table() -> Table {
    Table::read(TABLE, &choices(), &benchmark()).unwrap()
}

/// Lines of an attempt's events: kinds and payloads.
pub(super) fn event(attempt: u32, events: &[(&str, Value)]) -> String {
    let lines = events.iter().enumerate().map(|(place, (kind, payload))| {
        let event = json!({
            "seq": place + 1, "attempt": attempt, "at": "2026-01-01T00:00:00Z",
            "kind": kind, "payload": payload
        });
        event.to_string() + "\n"
    });
    lines.collect()
}

/// Writes a file below a run's folder.
pub(super) fn write(run: &Path, name: &str, text: &str) {
    let path = run.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

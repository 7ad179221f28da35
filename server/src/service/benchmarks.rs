//! Tabular benchmarks: CSV files in the data folder, checked and copied when a run is created.
//!
//! A run keeps a copy, so that its folder stays self-contained and a table that is changed later
//! does not change what it found.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use skein_core::benchmark::Table;
use skein_core::encoding;
use skein_core::graph::Graph;
use skein_core::spec::{BenchmarkSpec, Violation};

/// Most bytes of a table.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The text of the table that a specification names, once it is known to fit the space.
///
/// # Errors
/// - the field that is wrong, and why.
pub fn attached(
    folder: &Path,
    spec: &BenchmarkSpec,
    graph: &Graph,
) -> Result<Option<String>, Violation> {
    let Some(name) = &spec.table else { return Ok(None) };
    let wrong = |detail: String| Violation { field: "benchmark.table".to_owned(), detail };
    let text = read(&folder.join(name)).map_err(|error| {
        let known = known(folder);
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        wrong(format!(
            "`{name}` cannot be read from `{}` ({error}); there are: {known}",
            folder.display()
        ))
    })?;
    Table::read(&text, &graph.choices, spec).map(|_| Some(text))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    if file.take(MOST_BYTES + 1).read_to_end(&mut bytes)? as u64 > MOST_BYTES {
        return Err(std::io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
    }
    // Whoever reads the table passes the mark over; a copy of so much would be a waste.
    encoding::decode(&bytes).map_err(std::io::Error::other)?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

/// Names of the tables that there are.
fn known(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".csv")).collect();
    names.sort();
    names
}

/// Folder of the tables below the data folder.
#[must_use]
pub fn folder(data: &Path) -> PathBuf {
    data.join("benchmarks")
}

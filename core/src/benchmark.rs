//! Tabular benchmarks: what architectures really reach, looked up instead of trained.
//!
//! A table is comma-separated text with a header. One column for each choice holds the option's
//! name or its index; one more holds an accuracy, as a share or in per cent.

use std::collections::HashMap;

use crate::choice::{Architecture, Choice};
use crate::encoding;
use crate::notation;
use crate::spec::{BenchmarkSpec, Violation};

/// A table by architecture.
#[derive(Debug, Clone)]
pub struct Table {
    accuracies: HashMap<Architecture, f64>,
    /// All accuracies, the best first.
    sorted: Vec<f64>,
}

/// What a table says of an architecture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Its accuracy, `0..=1`.
    pub accuracy: f64,
    /// One more than the number of better architectures.
    pub rank: u64,
}

impl Table {
    /// Reads a table for a space.
    ///
    /// # Errors
    /// - the field of the specification that is wrong, and why.
    pub fn read(text: &str, choices: &[Choice], spec: &BenchmarkSpec) -> Result<Self, Violation> {
        let text = text.strip_prefix(encoding::MARK).unwrap_or(text);
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let header = cells(lines.next().unwrap_or_default());
        let columns = choice_columns(&header, choices, spec)?;
        let accuracy = accuracy_column(&header, spec)?;
        let rows: Vec<Vec<String>> = lines.map(cells).collect();
        if let Some(line) = rows.iter().position(|row| row.len() != header.len()) {
            let (got, expected) = (rows[line].len(), header.len());
            return Err(table(format!("row {} has {got} cells, not {expected}", line + 1)));
        }
        if rows.is_empty() {
            return Err(table("holds no rows".to_owned()));
        }
        let options = columns.iter().zip(choices);
        let options = options.map(|(column, choice)| options_of(&rows, *column, choice));
        let options: Vec<Vec<usize>> = options.collect::<Result<_, _>>()?;
        let numbers = accuracies(&rows, accuracy)?;
        let mut accuracies = HashMap::with_capacity(rows.len());
        for (row, number) in numbers.iter().enumerate() {
            let architecture = Architecture(options.iter().map(|column| column[row]).collect());
            if accuracies.insert(architecture, *number).is_some() {
                return Err(table(format!("row {} repeats an architecture", row + 1)));
            }
        }
        let mut sorted = numbers;
        sorted.sort_by(|a, b| b.total_cmp(a));
        Ok(Self { accuracies, sorted })
    }

    /// What the table says of an architecture, if it knows it.
    #[must_use]
    pub fn look_up(&self, architecture: &Architecture) -> Option<Truth> {
        let accuracy = *self.accuracies.get(architecture)?;
        let better = self.sorted.partition_point(|other| *other > accuracy);
        Some(Truth { accuracy, rank: better as u64 + 1 })
    }

    /// Number of architectures.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// Every architecture with its accuracy, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Architecture, f64)> {
        self.accuracies.iter().map(|(architecture, accuracy)| (architecture, *accuracy))
    }

    /// All accuracies, the best first.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }
}

/// Names of a table's columns that may hold an accuracy, which they say by their name; the one that
/// a specification names is among them.
#[must_use]
pub fn accuracy_columns(text: &str, spec: &BenchmarkSpec) -> Vec<String> {
    let text = text.strip_prefix(encoding::MARK).unwrap_or(text);
    let header = cells(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default());
    let named = |name: &String| spec.accuracy.as_ref() == Some(name) || says_accuracy(name);
    header.into_iter().filter(named).collect()
}

fn says_accuracy(name: &str) -> bool {
    name.to_lowercase().contains("acc")
}

fn wrong(field: &str, detail: String) -> Violation {
    Violation { field: field.to_owned(), detail }
}

fn table(detail: String) -> Violation {
    wrong("benchmark.table", detail)
}

/// The cells of a line of comma-separated text; quotes may hold commas, two of them stand for one.
#[must_use]
pub fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut signs = line.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => {
                signs.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            other => cell.push(other),
        }
    }
    cells.push(cell.trim().to_owned());
    cells
}

/// Position of each choice's column: as the specification lists them, or by the choices' names.
fn choice_columns(
    header: &[String],
    choices: &[Choice],
    spec: &BenchmarkSpec,
) -> Result<Vec<usize>, Violation> {
    let field = "benchmark.columns";
    let names: Vec<String> = match &spec.columns {
        Some(names) => names.split(',').map(|name| name.trim().to_owned()).collect(),
        None => choices.iter().map(Choice::name).collect(),
    };
    if names.len() != choices.len() {
        let detail =
            format!("lists {} columns, but the space has {} choices", names.len(), choices.len());
        return Err(wrong(field, detail));
    }
    let place = |name: &String| {
        header.iter().position(|known| known == name).ok_or_else(|| {
            wrong(field, format!("`{name}` is no column; there are {}", header.join(", ")))
        })
    };
    names.iter().map(place).collect()
}

fn accuracy_column(header: &[String], spec: &BenchmarkSpec) -> Result<usize, Violation> {
    let found = match &spec.accuracy {
        Some(name) => header.iter().position(|known| known == name),
        None => header.iter().position(|known| says_accuracy(known)),
    };
    found.ok_or_else(|| {
        let asked = spec.accuracy.as_deref().unwrap_or("acc…");
        wrong(
            "benchmark.accuracy",
            format!("`{asked}` is no column; there are {}", header.join(", ")),
        )
    })
}

/// The options in a column: names, ours or published ones, if all cells are names, else indices.
fn options_of(
    rows: &[Vec<String>],
    column: usize,
    choice: &Choice,
) -> Result<Vec<usize>, Violation> {
    let named: Option<Vec<usize>> =
        rows.iter().map(|row| notation::option(choice, &row[column])).collect();
    if let Some(named) = named {
        return Ok(named);
    }
    let index = |(row, cells): (usize, &Vec<String>)| {
        let cell = &cells[column];
        let index = cell.parse().ok().filter(|index| *index < choice.options.len());
        index.ok_or_else(|| {
            table(format!(
                "row {}: `{cell}` is no option of `{}`, which has {}",
                row + 1,
                choice.name(),
                choice.options.join(", ")
            ))
        })
    };
    rows.iter().enumerate().map(index).collect()
}

/// The accuracies as shares.
fn accuracies(rows: &[Vec<String>], column: usize) -> Result<Vec<f64>, Violation> {
    let number = |(row, cells): (usize, &Vec<String>)| {
        let found = cells[column].parse::<f64>().ok();
        found
            .filter(|value| (0.0..=100.0).contains(value))
            .ok_or_else(|| table(format!("row {}: `{}` is no accuracy", row + 1, cells[column])))
    };
    let numbers: Vec<f64> = rows.iter().enumerate().map(number).collect::<Result<_, _>>()?;
    let per_cent = numbers.iter().any(|number| *number > 1.0);
    Ok(numbers.into_iter().map(|number| if per_cent { number / 100.0 } else { number }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Site;
    use rstest::rstest;

    fn choices() -> Vec<Choice> {
        let edge = |to| Choice {
            tensor: "normal".to_owned(),
            label: format!("0→{to}"),
            options: ["sep3", "sep5", "1"].map(str::to_owned).to_vec(),
            site: Site::Edge { cell: "normal".to_owned(), from: 0, to },
            when: None,
        };
        vec![edge(1), edge(2)]
    }

    fn spec(columns: Option<&str>, accuracy: Option<&str>) -> BenchmarkSpec {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        BenchmarkSpec { table: None, columns: owned(columns), accuracy: owned(accuracy) }
    }

    const TABLE: &str = "id,a,b,test_acc,\"train, acc\"\n0,sep3,0,91.5,99\n1,sep5,1,90,98\n\n2,1,1,91.5,97\n3,sep3,2,10,100\n";

    #[test]
    fn architectures_are_looked_up_by_name_or_index() {
        let table = Table::read(TABLE, &choices(), &spec(Some("a, b"), None)).unwrap();
        let truth = |choices: [usize; 2]| table.look_up(&Architecture(choices.into()));
        assert_eq!(table.count(), 4);
        assert_eq!(truth([0, 0]), Some(Truth { accuracy: 0.915, rank: 1 }));
        assert_eq!(truth([2, 1]), Some(Truth { accuracy: 0.915, rank: 1 }), "equals share a rank");
        assert_eq!(truth([1, 1]), Some(Truth { accuracy: 0.9, rank: 3 }));
        assert_eq!(truth([1, 0]), None);
        // As a spreadsheet may save one.
        let marked = "\u{FEFF}a,b,test_acc\r\nsep3,0,91.5\r\n";
        let marked = Table::read(marked, &choices(), &spec(Some("a,b"), None)).unwrap();
        assert_eq!(marked.look_up(&Architecture(vec![0, 0])), truth([0, 0]));
        let mut all: Vec<f64> = table.iter().map(|(_, accuracy)| accuracy).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        assert_eq!((table.sorted(), &all[..]), (&[0.915, 0.915, 0.9, 0.1][..], table.sorted()));
        assert_eq!(accuracy_columns(TABLE, &spec(None, None)), ["test_acc", "train, acc"]);
        assert_eq!(accuracy_columns("a,top1,x", &spec(None, Some("top1"))), ["top1"]);
        let other = Table::read(TABLE, &choices(), &spec(Some("a,b"), Some("train, acc"))).unwrap();
        let best = other.look_up(&Architecture(vec![0, 2]));
        assert_eq!(best, Some(Truth { accuracy: 1.0, rank: 1 }));
    }

    #[test]
    fn columns_called_after_the_choices_need_no_list() {
        let text = "acc,normal 0→2,normal 0→1\n0.5,sep3,sep5\n";
        let table = Table::read(text, &choices(), &spec(None, None)).unwrap();
        assert_eq!(table.look_up(&Architecture(vec![1, 0])).unwrap().accuracy, 0.5);
    }

    /// The tables of NAS-Bench-201 and DARTS name operations as their code does.
    #[test]
    fn published_names_of_operations_are_known() {
        let text = "a,b,acc\nsep_conv_3x3,sep_conv_5x5,0.5\nsep5,sep3,0.7\n";
        let table = Table::read(text, &choices(), &spec(Some("a,b"), None)).unwrap();
        assert_eq!(table.look_up(&Architecture(vec![0, 1])).unwrap().accuracy, 0.5);
        assert_eq!(table.look_up(&Architecture(vec![1, 0])).unwrap().accuracy, 0.7);
    }

    #[rstest]
    #[case::no_columns(
        TABLE,
        spec(None, None),
        "benchmark.columns `normal 0→1` is no column; there are id, a, b, test_acc, train, acc"
    )]
    #[case::too_few(
        TABLE,
        spec(Some("a"), None),
        "benchmark.columns lists 1 columns, but the space has 2 choices"
    )]
    #[case::accuracy(
        TABLE,
        spec(Some("a,b"), Some("top1")),
        "benchmark.accuracy `top1` is no column; there are id, a, b, test_acc, train, acc"
    )]
    #[case::option(
        "a,b,acc\n0,3,1",
        spec(Some("a,b"), None),
        "benchmark.table row 1: `3` is no option of `normal 0→2`, which has sep3, sep5, 1"
    )]
    #[case::number(
        "a,b,acc\n0,0,NaN",
        spec(Some("a,b"), None),
        "benchmark.table row 1: `NaN` is no accuracy"
    )]
    #[case::ragged(
        "a,b,acc\n0,0",
        spec(Some("a,b"), None),
        "benchmark.table row 1 has 2 cells, not 3"
    )]
    #[case::twice(
        "a,b,acc\n0,0,1\n0,0,1",
        spec(Some("a,b"), None),
        "benchmark.table row 2 repeats an architecture"
    )]
    #[case::empty("a,b,acc\n", spec(Some("a,b"), None), "benchmark.table holds no rows")]
    fn a_wrong_table_is_refused(
        #[case] text: &str,
        #[case] spec: BenchmarkSpec,
        #[case] message: &str,
    ) {
        let violation = Table::read(text, &choices(), &spec).unwrap_err();
        assert_eq!(format!("{} {}", violation.field, violation.detail), message);
    }
}

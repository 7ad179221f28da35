//! Cells of NAS-Bench-201: `|op~0|+|op~0|op~1|+…`, the operations into each node in turn, each with
//! the node it reads.

use super::Space;
use super::cells::{self, Group, Input};
use super::literal::{Fault, Reader};
use crate::choice::Architecture;

/// Names of the published code's class, as it prints itself: `Structure(4 nodes with |op~0|+…|)`.
const STRUCTURES: [&str; 2] = ["Structure", "CellStructure"];

/// Whether a text begins with the published code's class.
pub(super) fn is_structure(text: &str) -> bool {
    let name = text.split('(').next().unwrap_or_default().trim();
    STRUCTURES.contains(&super::heading::last_part(name))
}

impl Space<'_> {
    /// The cell alone.
    pub(super) fn strings(&self, reader: &mut Reader<'_>) -> Result<Architecture, Fault> {
        let architecture = self.cell(reader)?;
        reader.end()?;
        Ok(architecture)
    }

    /// The cell as the published code prints it.
    pub(super) fn structure(&self, reader: &mut Reader<'_>) -> Result<Architecture, Fault> {
        reader.run(|sign| sign != '(');
        reader.expect('(')?;
        let words = |sign: char| sign.is_alphanumeric() || sign == ' ';
        let said = reader.run(words);
        if !said.trim().ends_with("nodes with") {
            return Err(reader.fault("expected `Structure(4 nodes with |op~0|+…|)`"));
        }
        let architecture = self.cell(reader)?;
        reader.expect(')')?;
        reader.end()?;
        Ok(architecture)
    }

    fn cell(&self, reader: &mut Reader<'_>) -> Result<Architecture, Fault> {
        let start = reader.blank();
        let cells = self.cells(start)?;
        let [only] = &cells[..] else {
            let cells: Vec<&str> = cells.iter().map(|cell| cell.name).collect();
            let cells = cells.join("` and `");
            let reason = format!("this is one cell, and the space has `{cells}`");
            return Err(Fault::new(start, reason));
        };
        let mut groups = vec![node(reader)?];
        while reader.take('+') {
            groups.push(node(reader)?);
        }
        let mut architecture = cells::nothing(self.graph);
        only.fill(&groups, reader.blank(), &mut architecture)?;
        Ok(architecture)
    }
}

/// `|op~0|op~1|`.
fn node(reader: &mut Reader<'_>) -> Result<Group, Fault> {
    let at = reader.blank();
    reader.expect('|')?;
    let mut inputs = vec![];
    while inputs.is_empty() || !matches!(reader.peek(), None | Some('+' | ')')) {
        let at = reader.blank();
        let operation = reader.run(|sign| sign.is_alphanumeric() || sign == '_').to_owned();
        let wanted = "expected an operation and a node, `op~0`";
        if operation.is_empty() || !reader.take('~') {
            return Err(Fault::new(at, wanted));
        }
        let from = reader.run(|sign| sign.is_ascii_digit()).parse();
        let from = from.map_err(|_| Fault::new(at, wanted))?;
        reader.expect('|')?;
        inputs.push(Input { at, operation, from });
    }
    Ok(Group { at, inputs })
}

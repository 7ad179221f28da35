//! Whether networks for some data can have weights that were trained on others.

use super::build;
use crate::dataset::DataShape;
use crate::graph::{Graph, GraphError};
use crate::spec::{Sharing, SpaceSpec};

/// Names of the tensors whose shapes hang on the number of classes: what tells the classes.
///
/// # Errors
/// - [`GraphError`] if the space does not fit the data.
pub fn head(
    space: &SpaceSpec,
    shape: DataShape,
    sharing: Sharing,
) -> Result<Vec<String>, GraphError> {
    unequal(space, shape, DataShape { classes: shape.classes + 1, ..shape }, sharing)
}

/// Names of the tensors that differ in shape for other data with as many classes.
///
/// # Errors
/// - [`GraphError`] if the space does not fit one of them.
pub fn foreign(
    space: &SpaceSpec,
    shape: DataShape,
    other: DataShape,
    sharing: Sharing,
) -> Result<Vec<String>, GraphError> {
    unequal(space, shape, DataShape { classes: shape.classes, ..other }, sharing)
}

fn unequal(
    space: &SpaceSpec,
    shape: DataShape,
    other: DataShape,
    sharing: Sharing,
) -> Result<Vec<String>, GraphError> {
    let shapes = |graph: Graph| {
        graph.params().into_iter().map(|param| (param.name, param.shape)).collect::<Vec<_>>()
    };
    let (own, other) = (build(space, shape, sharing)?, build(space, other, sharing)?);
    let other = shapes(other);
    let unequal = shapes(own).into_iter().filter(|param| !other.contains(param));
    Ok(unequal.map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spaces::PRESETS;

    #[test]
    fn what_tells_the_classes_is_the_last_layer_or_what_tells_a_token() {
        let heads: Vec<String> = PRESETS
            .iter()
            .map(|preset| {
                let names = head(&(preset.defaults)(), preset.shape, Sharing::Entangled).unwrap();
                format!("{}: {}", preset.preset, names.join(", "))
            })
            .collect();
        insta::assert_debug_snapshot!(heads);
    }

    #[test]
    fn images_of_other_channels_need_another_stem() {
        let preset = super::super::find("toy-cell").unwrap();
        let colour = DataShape { channels: 3, height: 32, width: 32, classes: 100 };
        let found = foreign(&(preset.defaults)(), preset.shape, colour, Sharing::Entangled);
        assert_eq!(found.unwrap(), ["cell0.pre.conv.weight", "fc1.weight"]);
        let larger = DataShape { channels: 1, ..colour };
        let found = foreign(&(preset.defaults)(), preset.shape, larger, Sharing::Entangled);
        assert_eq!(found.unwrap(), ["fc1.weight"]);
        let preset = super::super::find("darts").unwrap();
        let larger = DataShape { height: 64, width: 64, ..preset.shape };
        let found = foreign(&(preset.defaults)(), preset.shape, larger, Sharing::Entangled);
        assert_eq!(found.unwrap(), [""; 0]);
    }
}

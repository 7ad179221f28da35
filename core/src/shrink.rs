//! Progressive shrinking (Once-for-all, arXiv:1908.09791): which options of which choices are
//! trained when.
//!
//! Options are ordered sizes, smallest first, so what is admitted of a choice is an end of its
//! list. First the largest network is trained alone; then kernels become elastic, then depths,
//! then everything else that is a width.

use crate::choice::{Architecture, Choice, Site};

/// What becomes elastic in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elasticity {
    /// Nothing: the largest network alone.
    Nothing,
    /// Sides of kernels, all at once.
    Kernels,
    /// Depths, one more option in each stage.
    Depths,
    /// Expansions, widths, ratios and heads, one more option in each stage.
    Widths,
}

/// A part of the training.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What has just become elastic.
    pub elasticity: Elasticity,
    /// For every choice the smallest option that is admitted; all larger ones are too.
    pub smallest: Vec<usize>,
    /// The epoch that it begins with, from 0.
    pub first: u64,
    /// Its epochs.
    pub epochs: u64,
    /// What the learning rate is multiplied with.
    pub rate: f64,
    /// Whether the learning rate begins with its warm-up.
    pub warms: bool,
}

/// All stages of a training, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages(Vec<Stage>);

/// A published stage.
struct Published {
    epochs: u64,
    rate: f64,
    warms: bool,
}

/// The published stages: the largest network, kernels, and of depths and widths those that end
/// with the smallest option and those before them.
const LARGEST: &Published = &Published { epochs: 180, rate: 1.0, warms: true };
const KERNELS: &Published = &Published { epochs: 120, rate: 1.0, warms: true };
const NEXT: &Published = &Published { epochs: 25, rate: 1.0 / 12.0, warms: false };
const LAST: &Published = &Published { epochs: 120, rate: 1.0 / 4.0, warms: true };

/// The kind of a choice; `None` if its options are operations, which have no order.
fn kind(choice: &Choice) -> Option<Elasticity> {
    match &choice.site {
        Site::Edge { .. } => None,
        Site::Layer { property, .. } => Some(match property.as_str() {
            "kernel" => Elasticity::Kernels,
            "depth" | "layers" => Elasticity::Depths,
            _ => Elasticity::Widths,
        }),
    }
}

/// What is elastic, what is admitted, and the published stage.
type Planned = (Elasticity, Vec<usize>, &'static Published);

/// The stages of some choices; none where an option is an operation.
fn planned(choices: &[Choice]) -> Option<Vec<Planned>> {
    let kinds: Vec<Elasticity> = choices.iter().map(kind).collect::<Option<_>>()?;
    let last = |choice: &Choice| choice.options.len().saturating_sub(1);
    let mut smallest: Vec<usize> = choices.iter().map(last).collect();
    let mut stages = vec![(Elasticity::Nothing, smallest.clone(), LARGEST)];
    for elasticity in [Elasticity::Kernels, Elasticity::Depths, Elasticity::Widths] {
        let own = |id: &usize| kinds[*id] == elasticity;
        let ids: Vec<usize> = (0..choices.len()).filter(own).collect();
        let most = ids.iter().map(|id| last(&choices[*id])).max().unwrap_or(0);
        let steps = if elasticity == Elasticity::Kernels { most.min(1) } else { most };
        for step in 1..=steps {
            let admitted = if steps == 1 { most } else { step };
            for id in &ids {
                smallest[*id] = last(&choices[*id]).saturating_sub(admitted);
            }
            let published = match elasticity {
                Elasticity::Kernels => KERNELS,
                _ if step == steps => LAST,
                _ => NEXT,
            };
            stages.push((elasticity, smallest.clone(), published));
        }
    }
    Some(stages)
}

impl Stages {
    /// How many stages some choices need, and so how many epochs at least; `None` if an option is
    /// an operation.
    #[must_use]
    pub fn count(choices: &[Choice]) -> Option<u64> {
        planned(choices).map(|stages| stages.len() as u64)
    }

    /// Stages that share these epochs as the published ones do, at least one each; `None` if an
    /// option is an operation, or there are fewer epochs than stages.
    #[must_use]
    pub fn over(choices: &[Choice], epochs: u64) -> Option<Self> {
        let planned = planned(choices)?;
        let count = planned.len() as u64;
        let whole: u64 = planned.iter().map(|(.., published)| published.epochs).sum();
        if epochs < count {
            return None;
        }
        let (mut first, mut shares) = (0, 0);
        let stages = (1..).zip(planned).map(|(at, (elasticity, smallest, published))| {
            shares += published.epochs;
            let end = (epochs * shares + whole / 2) / whole;
            let end = end.clamp(first + 1, epochs - (count - at));
            let Published { rate, warms, .. } = *published;
            let stage = Stage { elasticity, smallest, first, epochs: end - first, rate, warms };
            first = end;
            stage
        });
        Some(Self(stages.collect()))
    }

    /// All stages.
    #[must_use]
    pub fn all(&self) -> &[Stage] {
        &self.0
    }

    /// Position and description of the stage that an epoch belongs to.
    #[must_use]
    pub fn at(&self, epoch: u64) -> (usize, &Stage) {
        let begun = self.0.partition_point(|stage| stage.first <= epoch);
        let at = begun.saturating_sub(1);
        (at, &self.0[at])
    }

    /// The largest network.
    #[must_use]
    pub fn largest(&self) -> Architecture {
        Architecture(self.0[0].smallest.clone())
    }
}

impl Stage {
    /// Whether an option of a choice is admitted.
    #[must_use]
    pub fn admits(&self, choice: usize, option: usize) -> bool {
        self.smallest.get(choice).is_some_and(|smallest| option >= *smallest)
    }

    /// Sub-nets whose gradients make one step, at most `most`: one until depths shrink, then two,
    /// and `most` once widths do.
    #[must_use]
    pub fn sub_nets(&self, most: u64) -> u64 {
        match self.elasticity {
            Elasticity::Nothing | Elasticity::Kernels => 1,
            Elasticity::Depths => most.min(2),
            Elasticity::Widths => most,
        }
    }

    /// Text of what has become elastic.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self.elasticity {
            Elasticity::Nothing => "the largest network alone",
            Elasticity::Kernels => "elastic kernels",
            Elasticity::Depths => "elastic depths",
            Elasticity::Widths => "elastic widths",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spaces;
    use crate::spec::Sharing;

    fn choices(preset: &str) -> Vec<Choice> {
        let preset = spaces::find(preset).unwrap();
        let built = spaces::build(&(preset.defaults)(), preset.shape, Sharing::Entangled);
        built.unwrap().choices
    }

    /// What is admitted of the first choice of each tensor, by name.
    fn admitted(stage: &Stage, choices: &[Choice]) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        let mut tensors = Vec::new();
        for (id, choice) in choices.iter().enumerate() {
            let options: Vec<&str> = (0..choice.options.len())
                .filter(|option| stage.admits(id, *option))
                .map(|option| choice.options[option].as_str())
                .collect();
            let text = format!("{} {}", choice.tensor, options.join(","));
            match tensors.iter().position(|known| *known == choice.tensor) {
                None => {
                    tensors.push(choice.tensor.clone());
                    told.push(text);
                }
                Some(at) => assert_eq!(told[at], text, "all choices of a tensor alike"),
            }
        }
        told
    }

    /// The table of the published stages, after the largest network's own.
    #[test]
    fn mobilenet_v3_shrinks_in_the_published_order_and_epochs() {
        let choices = choices("mobilenet-v3");
        let stages = Stages::over(&choices, 590).unwrap();
        let told: Vec<_> = stages
            .all()
            .iter()
            .map(|stage| {
                (stage.first, stage.epochs, stage.sub_nets(4), admitted(stage, &choices).join(" "))
            })
            .collect();
        let expected = [
            (0, 180, 1, "depth 4 expand 6 kernel 7"),
            (180, 120, 1, "depth 4 expand 6 kernel 3,5,7"),
            (300, 25, 2, "depth 3,4 expand 6 kernel 3,5,7"),
            (325, 120, 2, "depth 2,3,4 expand 6 kernel 3,5,7"),
            (445, 25, 4, "depth 2,3,4 expand 4,6 kernel 3,5,7"),
            (470, 120, 4, "depth 2,3,4 expand 3,4,6 kernel 3,5,7"),
        ];
        assert_eq!(told, expected.map(|(a, b, c, text)| (a, b, c, text.to_owned())));
        let starts = [0, 180, 300, 325, 445, 470, 590];
        for epoch in 0..590 {
            let expected = starts.iter().filter(|start| **start <= epoch).count() - 1;
            assert_eq!(stages.at(epoch).0, expected, "epoch {epoch}");
        }
        assert_eq!(stages.at(600).0, 5, "beyond the end is the end");
        assert_eq!(stages.largest().0, vec![2; 5 + 20 + 20]);
    }

    #[test]
    fn few_epochs_leave_each_stage_one() {
        let choices = choices("mobilenet-v3");
        let starts = |epochs| {
            let stages = Stages::over(&choices, epochs)?;
            assert_eq!(stages.all().iter().map(|stage| stage.epochs).sum::<u64>(), epochs);
            Some(stages.all().iter().map(|stage| stage.first).collect::<Vec<u64>>())
        };
        assert_eq!(Stages::count(&choices), Some(6));
        assert_eq!(starts(5), None);
        assert_eq!(starts(6).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(starts(10).unwrap(), [0, 3, 5, 6, 8, 9]);
        assert_eq!(starts(59).unwrap(), [0, 18, 30, 33, 45, 47]);
    }

    #[test]
    fn kinds_with_fewer_options_are_complete_earlier() {
        let choices = choices("autoformer-t");
        let stages = Stages::over(&choices, 100).unwrap();
        let told: Vec<String> =
            stages.all().iter().map(|stage| admitted(stage, &choices).join(" ")).collect();
        assert_eq!(
            told,
            [
                "embed 240 ratio 4 heads 4 depth 14",
                "embed 240 ratio 4 heads 4 depth 13,14",
                "embed 240 ratio 4 heads 4 depth 12,13,14",
                "embed 216,240 ratio 3.5,4 heads 3,4 depth 12,13,14",
                "embed 192,216,240 ratio 3.5,4 heads 3,4 depth 12,13,14",
            ]
        );
    }

    #[test]
    fn every_space_of_sizes_ends_with_everything_and_operations_have_no_order() {
        for preset in spaces::PRESETS {
            let choices = choices(preset.preset);
            let cells = ["toy-cell", "nas-bench-201", "darts"].contains(&preset.preset);
            let stages = Stages::over(&choices, 250);
            assert_eq!(stages.is_none(), cells, "{}", preset.preset);
            let Some(stages) = stages else { continue };
            let last = stages.all().last().unwrap();
            assert!(last.smallest.iter().all(|smallest| *smallest == 0), "{}", preset.preset);
        }
    }
}

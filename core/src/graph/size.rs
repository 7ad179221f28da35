//! Sizes that are fixed or bound to choices.

use crate::choice::{Architecture, ChoiceId};

/// A size that is fixed or bound to choices.
#[derive(Debug, Clone, PartialEq)]
pub enum Size {
    /// Always this.
    Fixed(i64),
    /// The choice's selected option decides.
    Elastic(Elastic),
    /// Another elastic size times a ratio that a second choice decides, rounded down.
    Scaled(Scaled),
}

/// A size bound to (some of) the options of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elastic {
    /// The deciding choice.
    pub choice: ChoiceId,
    /// `(option, size)`, only the options under which the node is used.
    pub sizes: Vec<(usize, i64)>,
}

/// `floor(base · ratio)`, as the hidden width of a transformer's MLP.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaled {
    /// What is scaled.
    pub base: Elastic,
    /// The choice that decides the ratio.
    pub choice: ChoiceId,
    /// `(option, ratio)`.
    pub ratios: Vec<(usize, f64)>,
}

impl Elastic {
    /// One size per option of a choice, in their order.
    #[must_use]
    pub fn all(choice: ChoiceId, sizes: &[i64]) -> Self {
        Self { choice, sizes: sizes.iter().copied().enumerate().collect() }
    }

    /// The size under an option; `None` if the option does not use the node.
    #[must_use]
    pub fn under(&self, option: usize) -> Option<i64> {
        self.sizes.iter().find(|(known, _)| *known == option).map(|(_, size)| *size)
    }

    /// The largest size.
    #[must_use]
    pub fn largest(&self) -> i64 {
        self.sizes.iter().map(|(_, size)| *size).max().unwrap_or(0)
    }

    /// The same with every size multiplied.
    #[must_use]
    pub fn times(&self, factor: i64) -> Self {
        let sizes = self.sizes.iter().map(|(option, size)| (*option, size * factor)).collect();
        Self { choice: self.choice, sizes }
    }
}

impl Scaled {
    /// `floor(base · ratio)`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "widths")]
    pub fn product(base: i64, ratio: f64) -> i64 {
        // A ratio such as 2.7 has no exact double; 20 · 2.7 must not become 53.
        (base as f64 * ratio + 1e-9).floor() as i64
    }
}

impl Size {
    /// A size per option of a choice, in their order; a single one is fixed.
    #[must_use]
    pub fn elastic(choice: ChoiceId, sizes: &[i64]) -> Self {
        Self::Elastic(Elastic::all(choice, sizes))
    }

    /// The largest value: what is stored.
    #[must_use]
    pub fn largest(&self) -> i64 {
        match self {
            Self::Fixed(size) => *size,
            Self::Elastic(elastic) => elastic.largest(),
            Self::Scaled(scaled) => {
                let ratio = scaled.ratios.iter().map(|(_, ratio)| *ratio).fold(0.0, f64::max);
                Scaled::product(scaled.base.largest(), ratio)
            }
        }
    }

    /// The value under an architecture; `None` if the selected option does not use the node.
    #[must_use]
    pub fn at(&self, architecture: &Architecture) -> Option<i64> {
        let option = |choice: ChoiceId| architecture.0.get(choice).copied();
        match self {
            Self::Fixed(size) => Some(*size),
            Self::Elastic(elastic) => elastic.under(option(elastic.choice)?),
            Self::Scaled(scaled) => {
                let base = scaled.base.under(option(scaled.base.choice)?)?;
                let picked = option(scaled.choice)?;
                let ratio = scaled.ratios.iter().find(|(known, _)| *known == picked)?.1;
                Some(Scaled::product(base, ratio))
            }
        }
    }

    /// The choices that decide it.
    #[must_use]
    pub fn choices(&self) -> Vec<ChoiceId> {
        match self {
            Self::Fixed(_) => vec![],
            Self::Elastic(elastic) => vec![elastic.choice],
            Self::Scaled(scaled) => vec![scaled.base.choice, scaled.choice],
        }
    }

    /// The same with every value multiplied; a scaled size cannot be.
    #[must_use]
    pub fn times(&self, factor: i64) -> Option<Self> {
        match self {
            Self::Fixed(size) => Some(Self::Fixed(size * factor)),
            Self::Elastic(elastic) => Some(Self::Elastic(elastic.times(factor))),
            Self::Scaled(_) => None,
        }
    }

    /// Every value it can take with the options behind it: pairs of choice and option.
    #[must_use]
    pub fn values(&self) -> Vec<(Vec<(ChoiceId, usize)>, i64)> {
        match self {
            Self::Fixed(size) => vec![(vec![], *size)],
            Self::Elastic(Elastic { choice, sizes }) => {
                sizes.iter().map(|(option, size)| (vec![(*choice, *option)], *size)).collect()
            }
            Self::Scaled(Scaled { base, choice, ratios }) => {
                let pairs =
                    base.sizes.iter().flat_map(|size| ratios.iter().map(move |r| (size, r)));
                pairs
                    .map(|((option, size), (second, ratio))| {
                        let options = vec![(base.choice, *option), (*choice, *second)];
                        (options, Scaled::product(*size, *ratio))
                    })
                    .collect()
            }
        }
    }
}

impl From<i64> for Size {
    fn from(size: i64) -> Self {
        Self::Fixed(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_size_rounds_down_and_knows_its_largest() {
        let base = Elastic::all(0, &[16, 20, 24]);
        let size = Size::Scaled(Scaled { base, choice: 1, ratios: vec![(0, 2.0), (1, 2.7)] });
        assert_eq!(size.largest(), 64);
        assert_eq!(size.at(&Architecture(vec![1, 1])), Some(54));
        assert_eq!(size.at(&Architecture(vec![0, 1])), Some(43));
        assert_eq!(size.at(&Architecture(vec![3, 1])), None);
        assert_eq!(size.values().len(), 6);
    }

    #[test]
    fn an_option_that_does_not_use_the_node_has_no_size() {
        let size = Size::Elastic(Elastic { choice: 0, sizes: vec![(2, 3), (3, 5)] });
        assert_eq!(size.at(&Architecture(vec![1])), None);
        assert_eq!(size.at(&Architecture(vec![3])), Some(5));
        assert_eq!(size.times(2).map(|size| size.largest()), Some(10));
    }
}

//! A price on what the rows are expected to cost, in the loss of the rows.
//!
//! Cost is a sum of tables over few choices each ([`skein_core::graph::CostTable`]). With rows in
//! place of options every table becomes a multilinear form, and the sum the expected cost of an
//! architecture that is drawn row by row. It is evaluated in double precision, on the device, and
//! differentiable. Tables of equal sizes are contracted together, so that a step has few kernels.

use std::collections::BTreeMap;

use skein_core::choice::ChoiceId;
use skein_core::graph::Graph;
use skein_core::spec::{ConstraintsSpec, Measure};
use tch::{Device, Kind, Tensor};

use super::sampler::Sampler;
use crate::EngineError;
use crate::rows::Alphas;

/// What expected cost adds to the loss of the rows.
#[derive(Debug)]
pub struct Penalty {
    /// How rows are read as probabilities; changes with the epoch.
    pub sampler: Sampler,
    measure: Measure,
    weight: f64,
    /// What may be spent without a price.
    target: Option<f64>,
    /// What every architecture costs.
    fixed: f64,
    forms: Vec<Form>,
}

/// The choices of a table and its entries.
type Table = (Vec<ChoiceId>, Vec<f64>);

/// Tables of equal sizes.
#[derive(Debug)]
struct Form {
    /// `[tables, entries]`.
    values: Tensor,
    /// Number of options at each position.
    sizes: Vec<i64>,
    /// For each position the choice of every table.
    choices: Vec<Vec<ChoiceId>>,
}

impl Penalty {
    /// The penalty that a specification asks for; none at weight 0.
    ///
    /// # Errors
    /// - [`EngineError::Graph`] if the cost cannot be told as tables.
    pub fn of(
        graph: &Graph,
        spec: &ConstraintsSpec,
        device: Device,
    ) -> Result<Option<Self>, EngineError> {
        if spec.penalty <= 0.0 {
            return Ok(None);
        }
        let measure = spec.penalty_on;
        #[expect(clippy::cast_precision_loss, reason = "costs are far below 2^53")]
        let number = |cost: u64| cost as f64;
        let mut fixed = 0.0;
        let mut groups: BTreeMap<Vec<usize>, Vec<Table>> = BTreeMap::new();
        for table in graph.cost_tables()? {
            let values: Vec<f64> = table.costs(measure).iter().copied().map(number).collect();
            if table.choices.is_empty() {
                fixed += values.iter().sum::<f64>();
            } else {
                groups.entry(table.sizes).or_default().push((table.choices, values));
            }
        }
        let form = |(sizes, tables): (Vec<usize>, Vec<Table>)| {
            let position = |at: usize| tables.iter().map(|(choices, _)| choices[at]).collect();
            let choices = (0..sizes.len()).map(position).collect();
            let values: Vec<Tensor> =
                tables.iter().map(|(_, values)| Tensor::from_slice(values)).collect();
            let sizes = sizes.iter().map(|size| i64::try_from(*size).unwrap_or(0)).collect();
            Form { values: Tensor::stack(&values, 0).to_device(device), sizes, choices }
        };
        Ok(Some(Self {
            sampler: Sampler::Uniform,
            measure,
            weight: spec.penalty,
            target: spec.limit(measure).map(number),
            fixed,
            forms: groups.into_iter().map(form).collect(),
        }))
    }

    /// The expected cost of architectures drawn from these rows.
    ///
    /// # Shapes
    /// - `rows`: `[options]` per choice, double precision; returned: `[]`.
    pub fn expected(&self, rows: &[Tensor]) -> Tensor {
        let sums = self.forms.iter().map(|form| form.contract(rows).sum(Kind::Double));
        sums.fold(Tensor::from(self.fixed).to_device(self.device()), |sum, form| sum + form)
    }

    /// What is added to the loss: the weight times the logarithm of the expected cost, or, if that
    /// is limited, of its ratio to the limit as long as it exceeds it.
    pub fn loss(&self, alphas: &Alphas) -> Tensor {
        let rows = alphas.split(&self.sampler.means(alphas), Kind::Double);
        let cost = self.expected(&rows);
        let price = match self.target {
            Some(target) => (cost / target).log().relu(),
            None => cost.log(),
        };
        price * self.weight
    }

    /// The expected cost of the rows on the host, with its name in curves.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the copy fails.
    pub fn reading(&self, alphas: &Alphas) -> Result<(String, f64), EngineError> {
        let rows = alphas.split(&self.sampler.probabilities(alphas), Kind::Double);
        let expected = self.expected(&rows).f_double_value(&[])?;
        let (name, expected) = match self.measure {
            Measure::Params => ("expected_params", expected),
            Measure::Macs => ("expected_macs", expected),
            Measure::Latency => ("expected_latency_ms", expected / 1e6),
        };
        Ok((name.to_owned(), expected))
    }

    fn device(&self) -> Device {
        self.forms.first().map_or(Device::Cpu, |form| form.values.device())
    }
}

impl Form {
    /// Every table's expectation, `[tables]`.
    fn contract(&self, rows: &[Tensor]) -> Tensor {
        let tables = self.values.size()[0];
        let last_first = self.choices.iter().zip(&self.sizes).rev();
        last_first
            .fold(self.values.shallow_clone(), |values, (choices, size)| {
                let rows: Vec<&Tensor> = choices.iter().map(|choice| &rows[*choice]).collect();
                let rows = Tensor::stack(&rows, 0).unsqueeze(-1); // [tables, size, 1]
                values.view([tables, -1, *size]).matmul(&rows).squeeze_dim(-1)
            })
            .squeeze_dim(-1)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use skein_core::choice::Architecture;
    use skein_core::spaces::{self, autoformer, toy_cell};
    use skein_core::spec::{Projection, Sharing, SpaceSpec};

    use super::*;

    fn toy() -> Graph {
        let SpaceSpec::ToyCell(mut options) = (toy_cell::PRESET.defaults)() else {
            panic!("the preset is another space")
        };
        options.channels = 2;
        let space = SpaceSpec::ToyCell(options);
        let mut graph = spaces::build(&space, toy_cell::PRESET.shape, Sharing::Entangled).unwrap();
        for (at, part) in graph.parts().unwrap().iter().enumerate() {
            graph.timings.note(part, 1 + 7 * at as u64);
        }
        graph
    }

    fn penalty(graph: &Graph, measure: Measure, max: Option<u64>) -> Penalty {
        let limit = |of| max.filter(|_| measure == of);
        let spec = ConstraintsSpec {
            max_params: limit(Measure::Params),
            max_macs: limit(Measure::Macs),
            max_latency_ms: limit(Measure::Latency).map(skein_core::spec::milliseconds),
            penalty: 0.7,
            parsimony: None,
            penalty_on: measure,
        };
        Penalty::of(graph, &spec, Device::Cpu).unwrap().unwrap()
    }

    #[expect(clippy::cast_precision_loss, reason = "costs are small here")]
    fn number(cost: u64) -> f64 {
        cost as f64
    }

    #[rstest]
    #[case::params(Measure::Params)]
    #[case::macs(Measure::Macs)]
    #[case::latency(Measure::Latency)]
    fn the_expectation_is_the_mean_over_all_architectures(#[case] measure: Measure) {
        let graph = toy();
        let penalty = penalty(&graph, measure, None);
        let weight =
            |row: usize, at: usize| f64::from(u8::try_from((row * 5 + at * 3) % 7).unwrap());
        let row = |row: usize| {
            let all: Vec<f64> = (0..4).map(|at| 0.5 + weight(row, at)).collect();
            let sum: f64 = all.iter().sum();
            all.into_iter().map(|p| p / sum).collect::<Vec<f64>>()
        };
        let rows: Vec<Vec<f64>> = (0..6).map(row).collect();
        let (mut uniform, mut weighted) = (0, 0.0);
        for at in 0..4096_usize {
            let picked: Vec<usize> = (0..6).map(|row| at >> (2 * row) & 3).collect();
            let cost = graph.cost(&Architecture(picked.clone())).unwrap();
            let cost = cost.of(measure);
            uniform += cost;
            let probability: f64 = rows.iter().zip(&picked).map(|(row, at)| row[*at]).product();
            weighted += probability * number(cost);
        }
        let even: Vec<Tensor> = (0..6).map(|_| Tensor::from_slice(&[0.25_f64; 4])).collect();
        // Quarters are exact in binary.
        assert_eq!(penalty.expected(&even).double_value(&[]), number(uniform) / 4096.0);
        let rows: Vec<Tensor> = rows.iter().map(|row| Tensor::from_slice(row)).collect();
        let expected = penalty.expected(&rows).double_value(&[]);
        assert!((expected / weighted - 1.0).abs() < 1e-12, "{expected} against {weighted}");
    }

    #[rstest]
    #[case::drnas(Sampler::Drnas)]
    #[case::darts(Sampler::Darts(Projection::Softmax))]
    #[case::sparsemax(Sampler::Darts(Projection::Sparsemax))]
    #[case::gdas(Sampler::Gdas { tau: 1.0 })]
    fn its_gradient_is_that_of_finite_differences(#[case] sampler: Sampler) {
        let SpaceSpec::AutoformerT(mut options) = (autoformer::TINY.defaults)() else {
            panic!("the preset is another space")
        };
        options.depths = vec![1, 2, 3];
        let space = SpaceSpec::AutoformerT(options);
        let graph = spaces::build(&space, autoformer::TINY.shape, Sharing::Entangled).unwrap();
        for max in [None, Some(1_000_000)] {
            let mut penalty = penalty(&graph, Measure::Macs, max);
            penalty.sampler = sampler;
            let alphas = Alphas::initialised(&graph.choices, Device::Cpu, 3);
            let spread = alphas.buffer() * 200.0;
            let mut alphas = alphas;
            alphas.load(&spread).unwrap();
            let gradient: Vec<f64> =
                Vec::try_from(&alphas.gradient(&penalty.loss(&alphas)).unwrap()).unwrap();
            assert!(gradient.iter().any(|value| value.abs() > 1e-3));
            for (at, expected) in gradient.iter().enumerate() {
                let at = i64::try_from(at).unwrap();
                let side = |step: f64| {
                    let mut one = alphas.buffer().narrow(0, at, 1);
                    let old = one.double_value(&[0]);
                    let _ = tch::no_grad(|| one.fill_(old + step));
                    let loss = penalty.loss(&alphas).double_value(&[]);
                    let _ = tch::no_grad(|| one.fill_(old));
                    loss
                };
                let slope = (side(1e-6) - side(-1e-6)) / 2e-6;
                assert!((slope - expected).abs() < 1e-6, "{at}: {slope} against {expected}");
            }
        }
    }

    #[test]
    fn within_the_limit_nothing_is_paid() {
        let graph = toy();
        let most = graph.cost_range().unwrap().max.params;
        let mut within = penalty(&graph, Measure::Params, Some(most));
        within.sampler = Sampler::Drnas;
        let alphas = Alphas::initialised(&graph.choices, Device::Cpu, 3);
        assert_eq!(within.loss(&alphas).double_value(&[]), 0.0);
        let mut beyond = penalty(&graph, Measure::Params, Some(1));
        beyond.sampler = Sampler::Drnas;
        let (name, cost) = beyond.reading(&alphas).unwrap();
        assert_eq!(name, "expected_params");
        let loss = beyond.loss(&alphas).double_value(&[]);
        assert!((loss - 0.7 * cost.ln()).abs() < 1e-12);
    }
}

//! A pass that computes parts of itself again gives what a whole one gives.

use rstest::rstest;
use serde_json::json;
use skein_core::choice::Architecture;
use skein_core::graph::Graph;
use skein_core::spaces::{self, PRESETS};
use skein_core::spec::{Fidelity, RunSpec, Sharing, SpaceSpec};
use skein_engine::certify::small;
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Pass, Plan};
use skein_engine::rows::Alphas;
use skein_engine::search::bilevel::{Batch, Bilevel, cross_entropy};
use skein_engine::search::sampler::{At, Sampler};
use skein_engine::search::supernet::Supernet;
use skein_engine::state::seed::{Stream, seeded};
use skein_engine::store::Store;
use tch::{Device, Kind, Tensor};

/// Sums over what several segments read may be added up in another order.
const TOLERANCE: f64 = 1e-12;

/// As little as possible, and about half.
const KEPT: [f64; 2] = [0.0, 0.5];

fn near(what: &str, got: &Tensor, expected: &Tensor) {
    assert_eq!(got.size(), expected.size(), "{what}");
    let scale = expected.abs().max().double_value(&[]).max(1.0);
    let error = (got - expected).abs().max().double_value(&[]) / scale;
    assert!(error <= TOLERANCE, "{what}: {error:e}");
}

/// A small space with dropout where it has any.
fn space(preset: &str) -> (SpaceSpec, skein_core::dataset::DataShape) {
    let (mut space, shape) = small::space(preset).unwrap();
    match &mut space {
        SpaceSpec::ToyCell(options) => options.dropout = 0.3,
        SpaceSpec::ConvMacro(options) => options.dropout = 0.3,
        SpaceSpec::MobilenetV3(options) => options.dropout = 0.3,
        SpaceSpec::Language(options) | SpaceSpec::LanguageChar(options) => options.dropout = 0.3,
        _ => {}
    }
    (space, shape)
}

/// Everything that a training pass gives.
struct Numbers {
    segments: usize,
    loss: Tensor,
    weights: Tensor,
    used: Option<Tensor>,
    rows: Tensor,
    statistics: Tensor,
}

/// How a pass is planned.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// All candidates, rows learned.
    Superposed,
    /// One path with straight-through rows.
    StraightThrough,
}

struct Case {
    graph: Graph,
    classes: i64,
    sharing: Sharing,
    fidelity: Fidelity,
    way: Way,
}

impl Case {
    fn numbers(&self, keep: f64) -> Numbers {
        let compute = Compute::exact();
        let graph = self.graph.clone();
        let store = Store::initialised(&graph, compute, 3, Stream::Weights).unwrap();
        let alphas = Alphas::initialised(&graph.choices, compute.device, 5);
        let x = small::noise(&graph, self.classes, 4, compute).unwrap();
        let mut exec = Executor::new(graph, self.sharing, self.fidelity, compute).unwrap();
        exec.recompute(keep).unwrap();
        let (path, _) = self.draw(&alphas);
        let run = |rows| {
            let plan = match self.way {
                Way::Superposed => Plan::Superposed(rows),
                Way::StraightThrough => Plan::Path(&path, Some(rows)),
            };
            let ends = [exec.graph().output];
            let (values, tape) = exec.record(&store, &x, (plan, Pass::train(11)), &ends).unwrap();
            let mut labels = values[0].size();
            labels.pop();
            let y = seeded(9, Device::Cpu, || {
                Tensor::randint(self.classes, &labels, (Kind::Int64, Device::Cpu))
            });
            (cross_entropy(&values[0], &y), tape)
        };
        // A draw is differentiated once.
        let (_, first) = self.draw(&alphas);
        let (loss, tape) = run(&first);
        let segments = tape.segments();
        let gradient = tape.weights(&loss).unwrap();
        let statistics = store.stats.buffer().copy();
        let (again, tape) = run(&first);
        let of_rows = alphas.gradient(&tape.rows(&again).unwrap()).unwrap();
        let (_, second) = self.draw(&alphas);
        let (again, tape) = run(&second);
        let (both, number) = tape.both(&again).unwrap();
        near("weights, both", &both.flat, &gradient.flat);
        near("rows, both", &alphas.gradient(&number).unwrap(), &of_rows);
        Numbers {
            segments,
            loss,
            weights: gradient.flat,
            used: gradient.used,
            rows: of_rows,
            statistics,
        }
    }

    /// Rows with gradients to the parameters, and the likeliest options.
    fn draw(&self, alphas: &Alphas) -> (Architecture, Vec<Tensor>) {
        let soft = alphas.map(|alpha| (alpha * 700.0).softmax(-1, Kind::Double));
        let path = Architecture::argmax(&alphas.to_host(&soft).unwrap());
        let rows = alphas.split(&soft, Kind::Double);
        if self.way == Way::Superposed {
            return (path, rows);
        }
        let straight = rows.into_iter().zip(&path.0).map(|(row, option)| {
            let mut one = vec![0.0; usize::try_from(row.size()[0]).unwrap()];
            one[*option] = 1.0;
            Tensor::from_slice(&one) - row.detach() + row
        });
        let rows = straight.collect();
        (path, rows)
    }

    fn check(&self) {
        let whole = self.numbers(1.0);
        assert_eq!(whole.segments, 1);
        assert!(whole.rows.abs().max().double_value(&[]) > 1e-6, "the rows have no gradient");
        for keep in KEPT {
            let cut = self.numbers(keep);
            assert!(cut.segments > 1, "nothing is computed again");
            assert_eq!(cut.loss, whole.loss, "the same numbers forward");
            assert_eq!(cut.statistics, whole.statistics, "statistics move once");
            near("weights", &cut.weights, &whole.weights);
            near("rows", &cut.rows, &whole.rows);
            assert_eq!(cut.used, whole.used);
        }
    }
}

fn check(preset: &str, sharing: Sharing, fidelity: Fidelity, way: Way) {
    let (space, shape) = space(preset);
    let graph = spaces::build(&space, shape, sharing).unwrap();
    Case { graph, classes: shape.classes, sharing, fidelity, way }.check();
}

#[rstest]
fn every_space_gives_the_same(
    #[values(
        "toy-cell",
        "nas-bench-201",
        "darts",
        "conv-macro",
        "autoformer-t",
        "mobilenet-v3",
        "language",
        "language-char"
    )]
    preset: &str,
    #[values(Fidelity::Corrected, Fidelity::Reference)] fidelity: Fidelity,
    #[values(Way::Superposed, Way::StraightThrough)] way: Way,
) {
    check(preset, Sharing::Entangled, fidelity, way);
}

#[rstest]
fn every_sharing_gives_the_same(
    #[values("toy-cell", "darts")] preset: &str,
    #[values(Sharing::EntangledOutputs, Sharing::Shared)] sharing: Sharing,
    #[values(Way::Superposed, Way::StraightThrough)] way: Way,
) {
    check(preset, sharing, Fidelity::Corrected, way);
}

/// At the sizes that people search.
#[test]
fn every_preset_is_cut_into_several_segments() {
    for preset in PRESETS {
        let graph = spaces::build(&(preset.defaults)(), preset.shape, Sharing::Entangled).unwrap();
        let compute = Compute::PLAIN;
        let mut exec =
            Executor::new(graph, Sharing::Entangled, Fidelity::Corrected, compute).unwrap();
        let count = |exec: &Executor| exec.segments();
        assert_eq!(count(&exec), 1, "{}", preset.preset);
        exec.recompute(0.5).unwrap();
        let half = count(&exec);
        exec.recompute(0.0).unwrap();
        assert!(1 < half && half <= count(&exec), "{}: {half}", preset.preset);
    }
}

fn search(preset: &str, optimizer: &str, keep: f64) -> (RunSpec, Supernet) {
    let spec = RunSpec::parse(&json!({
        "dataset": {"id": "cifar-10"},
        "space": {"preset": preset, "channels": 4, "cells": 3},
        "search": {"optimizer": {"kind": optimizer, "order": 2}, "batch_size": 4},
        "resources": {"keep_activations": keep, "precision": "float64"},
    }));
    let spec = spec.unwrap_or_else(|faults| panic!("{faults:?}"));
    let net = Supernet::initialised(&spec, spec.shape(), Compute::exact()).unwrap();
    (spec, net)
}

/// Three iterations of second-order DARTS, which differentiates for weights and rows at once.
#[test]
fn whole_iterations_give_the_same() {
    let run = |keep: f64| {
        let (spec, mut net) = search("darts", "darts", keep);
        let mut bilevel = Bilevel::new(&spec.search, &net.store.weights);
        let sampler = Sampler::of(&spec.search.optimizer, 0, 1);
        let batch = seeded(4, Device::Cpu, || Batch {
            x: Tensor::randn([4, 3, 32, 32], (Kind::Double, Device::Cpu)),
            y: Tensor::randint(10, [4], (Kind::Int64, Device::Cpu)),
        });
        for step in 0..3 {
            let at = |stream| At { seed: 1, stream, step };
            let draw = |net: &Supernet| sampler.draw(net, at(Stream::ArchDraw), false);
            let pass = Pass::train(step);
            bilevel.unrolled_step(&mut net, (&batch, &batch), draw, pass, 0.01).unwrap();
            let held = sampler.draw(&net, at(Stream::WeightDraw), true).unwrap();
            let _ = bilevel.weight_step(&net, &batch, &held, pass, 0.01).unwrap();
        }
        let statistics = net.store.stats.buffer().copy();
        (net.alphas.buffer().copy(), net.store.weights.buffer().copy(), statistics)
    };
    let (whole, cut) = (run(1.0), run(0.0));
    // Adam divides rows' gradients by their size, and three steps follow one another.
    for (one, other) in [(whole.0, cut.0), (whole.1, cut.1), (whole.2, cut.2)] {
        let error = (&one - &other).abs().max().double_value(&[]);
        assert!(error < 1e-9, "{error:e}");
    }
}

//! Complete search iterations with the recipe's optimizers.

use rstest::rstest;
use skein_core::choice::Architecture;
use skein_core::spec::{Fidelity, Projection};
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Pass};
use skein_engine::nodes::norm::Statistics;
use skein_engine::optim::weights::{Decay, WeightOptimizer};
use skein_engine::optim::{Adam, Sgd};
use skein_engine::rows::{Alphas, Draw, darts, drnas, gdas};
use skein_engine::search::bilevel::{Batch, Bilevel};
use skein_engine::search::supernet::Supernet;
use skein_engine::store::Store;
use tch::{Kind, Tensor};

use super::networks::{sharing, toy};
use super::vectors::{TOLERANCE, Vectors};

const TRAIN: Pass = Pass { statistics: Statistics::Train, ..Pass::EVALUATE };

/// A supernet as a file describes it, with the optimizers of its `hyper` tensors.
fn set_up(v: &Vectors, channels: i64, mode: &str) -> (Supernet, Bilevel) {
    let compute = Compute::exact();
    let graph = toy(channels, sharing(mode));
    let store = Store::zeroed(&graph, compute);
    v.fill(&store, ["before.w.", "before.buf."], str::to_owned);
    let mut alphas = Alphas::zeroed(&graph.choices, compute.device);
    let raw =
        ["normal", "reduce"].map(|name| v.get(&format!("before.w.alpha.{name}")).reshape([-1]));
    alphas.load(&Tensor::cat(&raw, 0)).unwrap();
    let exec = Executor::new(graph, sharing(mode), Fidelity::Reference, compute).unwrap();
    let hyper = |name: &str| Vec::<f64>::try_from(&v.get(name)).unwrap();
    let (weight, arch) = (hyper("hyper.weight"), hyper("hyper.arch"));
    let bilevel = Bilevel {
        weight: WeightOptimizer::Sgd(Sgd {
            momentum: weight[1],
            nesterov: weight[3] != 0.0,
            decay: Decay::all(weight[2]),
            velocity: None,
        }),
        arch: Adam {
            betas: (arch[1], arch[2]),
            decay: Decay::all(arch[4]),
            decoupled: false,
            steps: 0,
            means: None,
            counts: None,
        },
        arch_lr: arch[0],
        clip: weight[4],
        kl_scale: 0.0,
        penalty: None,
    };
    (Supernet::new(exec, store, alphas, compute), bilevel)
}

/// The draw that the file recorded, or the projection of the rows.
fn draw(net: &Supernet, v: &Vectors, level: &str, sampler: &str, tau: f64) -> Draw {
    let given =
        |kind: &str| ["normal", "reduce"].map(|name| v.get(&format!("{level}.{kind}.{name}")));
    let tensors: Vec<Tensor> = match sampler {
        "drnas" => {
            let pairs = net.alphas.tensors().iter().zip(given("a"));
            pairs.map(|((_, alpha), a)| drnas::pathwise(alpha, &a)).collect()
        }
        "gdas" => {
            let pairs = net.alphas.tensors().iter().zip(given("noise"));
            pairs.map(|((_, alpha), noise)| gdas::straight_through(alpha, &noise, tau)).collect()
        }
        _ => net.alphas.map(|alpha| darts::weights(alpha, Projection::Sparsemax)),
    };
    let path =
        (sampler == "gdas").then(|| Architecture::argmax(&net.alphas.to_host(&tensors).unwrap()));
    Draw { rows: net.alphas.split(&tensors, Kind::Double), path }
}

fn batch(v: &Vectors, level: &str) -> Batch {
    Batch { x: v.get(&format!("x_{level}")), y: v.raw(&format!("y_{level}")) }
}

fn check(
    v: &Vectors,
    channels: i64,
    mode: &str,
    sampler: &str,
    steps: usize,
    weight_tolerance: f64,
) {
    let (mut net, mut bilevel) = set_up(v, channels, mode);
    let lr = v.get("hyper.weight").double_value(&[0]);
    let tau = if v.has("tau") { v.number("tau") } else { 0.0 };
    for step in 1..=steps {
        let s = v.under(&format!("step{step}."));
        let (train, arch) = (batch(&s, "train"), batch(&s, "arch"));
        let before = net.alphas.buffer().copy();
        let drawn = draw(&net, &s, "arch", sampler, tau);
        let outcome = if sampler == "darts2" {
            let eta = v.number("hyper.eta");
            let again = |net: &Supernet| Ok(draw(net, &s, "arch", sampler, tau));
            bilevel.unrolled_step(&mut net, (&train, &arch), again, TRAIN, eta).unwrap()
        } else {
            bilevel.arch_step(&net, &arch, &drawn, TRAIN).unwrap()
        };
        s.check("loss_arch", &outcome.loss);
        if step == 1 {
            check_arch_gradient(&s, &bilevel, &before);
        }
        let drawn = draw(&net, &s, "weight", sampler, tau);
        let (outcome, norm) = bilevel.weight_step(&net, &train, &drawn, TRAIN, lr).unwrap();
        s.check("loss_weight", &outcome.loss);
        s.check("grad_norm_before_clip", &norm);
        assert_ne!(&before, net.alphas.buffer());
        for (name, alpha) in net.alphas.tensors() {
            s.check(&format!("after.alpha.{name}"), alpha);
        }
    }
    let s = v.under(&format!("step{steps}."));
    let mut compared = 0;
    for (flat, kind) in [(&net.store.weights, "w"), (&net.store.stats, "buf")] {
        for param in flat.params() {
            let name = format!("after.{kind}.{}", param.name);
            let value = flat.get(&param.name).unwrap();
            for source in [&s, v] {
                if source.has(&name) {
                    source.check_to(&name, value, weight_tolerance);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 50, "only {compared} tensors were compared");
}

/// After its first step Adam's first mean is `(1 − β₁)` times what it received, decay included.
fn check_arch_gradient(s: &Vectors, bilevel: &Bilevel, before: &Tensor) {
    let (first, _) = bilevel.arch.means.as_ref().unwrap();
    let gradient = first / (1.0 - bilevel.arch.betas.0) - before * bilevel.arch.decay.rate;
    let rows = before.numel() as i64 / 2;
    for (at, name) in ["normal", "reduce"].iter().enumerate() {
        s.check(&format!("grad.alpha.{name}"), &gradient.narrow(0, at as i64 * rows, rows));
    }
}

#[rstest]
#[case::drnas("we2.drnas", "drnas", 3)]
#[case::drnas_clipped("we2.drnas_clip", "drnas", 1)]
#[case::drnas_unclipped("we2.drnas_noclip", "drnas", 1)]
#[case::separate("ws.drnas", "drnas", 2)]
#[case::gdas("we2.gdas", "gdas", 2)]
#[case::darts("we2.darts", "darts", 2)]
#[case::darts_second_order("we2.darts2", "darts2", 2)]
fn small_iterations(#[case] case: &str, #[case] sampler: &str, #[case] steps: usize) {
    let v = Vectors::read("toy_bilevel_c4").under(&format!("{case}."));
    check(&v, 4, case.split_once('.').unwrap().0, sampler, steps, TOLERANCE);
}

#[test]
fn an_iteration_of_the_paper() {
    if let Some(v) = Vectors::read_beside("toy_bilevel_c32") {
        // Weights of this file are rounded to single precision.
        check(&v, 32, "we2", "drnas", 1, 1e-7);
    }
}

//! The search learns, in every combination; and its gradients are right.

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::spaces;
use skein_engine::exec::{Pass, Plan};
use skein_engine::rows::{Draw, darts};
use skein_engine::search::bilevel::cross_entropy;
use skein_engine::search::run::Search;
use skein_engine::search::supernet::Supernet;
use tch::{Kind, Tensor};

use crate::harness::search;

fn snapshot(search: &Search) -> (Vec<f64>, Vec<f64>) {
    let values = |tensor: &Tensor| Vec::<f64>::try_from(&tensor.to_kind(Kind::Double)).unwrap();
    (values(search.net.store.weights.buffer()), values(search.net.alphas.buffer()))
}

/// Two steps of everything: entangled or not, either fidelity, every optimizer.
#[rstest]
fn every_combination_moves_weights_and_rows(
    #[values(json!({"kind": "drnas"}), json!({"kind": "drnas", "kl_scale": 0.01}), json!({"kind": "darts"}), json!({"kind": "darts", "projection": "sparsemax"}), json!({"kind": "darts", "order": 2}), json!({"kind": "gdas"}), json!({"kind": "spos"}))]
    optimizer: Value,
    #[values("entangled", "entangled_outputs", "shared")] weights: &str,
    #[values("corrected", "reference")] fidelity: &str,
) {
    let spec =
        json!({"search": {"optimizer": optimizer, "weights": weights, "fidelity": fidelity}});
    let (mut search, data, _home) = search(&spec);
    let before = snapshot(&search);
    for _ in 0..2 {
        search.iterate(&data.train).unwrap();
    }
    let after = snapshot(&search);
    assert!(after.0.iter().chain(&after.1).all(|value| value.is_finite()));
    assert_ne!(before.0, after.0, "weights");
    let uniform = optimizer["kind"] == "spos";
    assert_eq!(before.1 == after.1, uniform, "rows");
    let numbers = search.pending.take().unwrap();
    assert!(numbers["weight_loss"].0.is_finite());
    assert_eq!(numbers.contains_key("arch_loss"), !uniform, "no step of the rows, no loss of it");
    assert!(search.validate(&data, 0).unwrap().loss.is_finite());
    assert_eq!(search.derive(&data, 0).unwrap().0.len(), 6);
}

/// Rows rest in the frozen epochs, while the weights learn; then they move.
#[rstest]
fn frozen_epochs_train_weights_only(
    #[values(json!({"kind": "drnas"}), json!({"kind": "darts", "order": 2}), json!({"kind": "gdas"}))]
    mut optimizer: Value,
) {
    optimizer["frozen_epochs"] = json!(1);
    let (mut search, data, _home) =
        search(&json!({"search": {"optimizer": optimizer, "epochs": 3}}));
    let began = snapshot(&search);
    while search.epoch() == 0 {
        search.iterate(&data.train).unwrap();
        assert!(!search.pending.take().unwrap().contains_key("arch_loss"));
    }
    let rested = snapshot(&search);
    assert_ne!(began.0, rested.0, "weights");
    assert_eq!(began.1, rested.1, "rows");
    search.iterate(&data.train).unwrap();
    assert!(search.pending.take().unwrap().contains_key("arch_loss"));
    assert_ne!(rested.1, snapshot(&search).1, "rows");
}

#[test]
fn a_search_lowers_the_loss_and_equal_seeds_give_equal_losses() {
    let run = || {
        let (mut search, data, _home) =
            search(&json!({"space": {"channels": 4}, "search": {"epochs": 30, "weight_lr": 0.05}}));
        let mut losses = Vec::new();
        for _ in 0..6 {
            for _ in 0..10 {
                search.iterate(&data.train).unwrap();
            }
            losses.push(search.pending.take().unwrap()["weight_loss"].0);
        }
        losses
    };
    let losses = run();
    assert!(losses[5] < 0.8 * losses[0], "{losses:?}");
    assert_eq!(losses, run());
}

/// Every row entry and every shared weight gets a gradient, equal to finite differences.
#[rstest]
fn gradients_equal_finite_differences(#[values("entangled", "shared")] weights: &str) {
    let spec = json!({"space": {"channels": 2, "dropout": 0.0}, "resources": {"precision": "float64"}, "search": {"weights": weights, "optimizer": {"kind": "darts"}}});
    let (search, data, _home) = search(&spec);
    let net = search.net;
    let batch = data.train.batch(&(0..16).collect::<Vec<_>>()).unwrap();
    let pass = Pass::BATCH;
    let loss = |net: &Supernet| {
        let rows =
            net.alphas.map(|alpha| darts::weights(alpha, skein_core::spec::Projection::Softmax));
        let draw = Draw { rows: net.alphas.split(&rows, Kind::Double), path: None };
        assert!(matches!(draw.plan(), Plan::Superposed(_)));
        let logits = net.exec.forward(&net.store, &batch.x, draw.plan(), pass).unwrap();
        cross_entropy(&logits, &batch.y)
    };
    let of_rows = net.alphas.gradient(&loss(&net)).unwrap();
    let of_weights = net.store.weights.gradient(&loss(&net)).unwrap();
    assert!(of_weights.used.is_none(), "every weight is used");
    let zeros = of_rows.eq(0.0).sum(Kind::Int64).int64_value(&[]);
    assert_eq!(zeros, 0, "every row entry has a gradient");
    check_differences(&net, net.alphas.buffer(), &of_rows, 1, &loss);
    check_differences(&net, net.store.weights.buffer(), &of_weights.flat, 97, &loss);
}

/// Central differences of every `stride`-th entry.
fn check_differences(
    net: &Supernet,
    buffer: &Tensor,
    gradient: &Tensor,
    stride: usize,
    loss: &dyn Fn(&Supernet) -> Tensor,
) {
    // Small enough that hardly a ReLU or pooling switches, large enough for double precision.
    let step = 1e-7;
    let scale = gradient.abs().max().double_value(&[]);
    for at in (0..buffer.numel()).step_by(stride) {
        let at = i64::try_from(at).unwrap();
        let moved = |by: f64| {
            tch::no_grad(|| {
                let mut entry = buffer.narrow(0, at, 1);
                entry += by;
                let value = loss(net).double_value(&[]);
                entry -= by;
                value
            })
        };
        let difference = (moved(step) - moved(-step)) / (2.0 * step);
        let error = (difference - gradient.double_value(&[at])).abs();
        assert!(
            error < 1e-5 * scale.max(1e-3),
            "entry {at}: {difference} against {}",
            gradient.double_value(&[at])
        );
    }
}

#[test]
fn a_group_that_is_switched_off_stays_finite() {
    let (mut search, data, _home) =
        search(&json!({"search": {"optimizer": {"kind": "darts", "projection": "sparsemax"}}}));
    let far: Vec<f64> = (0..24).map(|at| if at % 4 == 0 { 5.0 } else { 0.0 }).collect();
    search.net.alphas.load(&Tensor::from_slice(&far)).unwrap();
    search.iterate(&data.train).unwrap();
    let (weights, rows) = snapshot(&search);
    assert!(weights.iter().chain(&rows).all(|value| value.is_finite()));
}

#[test]
fn the_preset_of_the_paper_fits_its_data() {
    for preset in spaces::PRESETS {
        assert!(spaces::describe(&(preset.defaults)(), preset.shape).is_ok(), "{}", preset.preset);
    }
}

//! DrNAS on partial channels: what the halves train, and how one becomes the other.

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::event::EventBody;
use skein_core::spec::RunSpec;
use skein_engine::optim::weights::WeightOptimizer;
use skein_engine::search::bilevel::Bilevel;
use skein_engine::search::progressive::Widening;
use skein_engine::search::run::Search;
use skein_engine::search::sampler::At;
use skein_engine::state::seed::Stream;
use skein_engine::store::Store;
use skein_engine::worker::session::hand_over;
use tch::{Kind, Tensor};

use crate::harness::{Run, merge, search, small};
use crate::shrinking::{advance, state};

/// Two cells of four edges each; an epoch is frozen, two halves of two epochs.
pub(crate) fn halves(patch: &Value) -> Value {
    let mut spec = json!({
        "space": {"preset": "darts", "channels": 8, "cells": 3, "nodes": 1, "keep": 2},
        "search": {
            "optimizer": {"kind": "drnas-progressive", "part_start": 4, "part_end": 2, "operations": 3, "frozen_epochs": 1},
            "epochs": 4, "batch_size": 32,
        },
        "after": {"auxiliary": 0.0},
    });
    merge(&mut spec, patch);
    spec
}

/// From the first step to the package: the rows rest while they are frozen, then learn; in the
/// second half those of dropped operations are zero; only a training from scratch is measured.
#[rstest]
fn a_search_in_halves_is_trained_derived_and_packed(
    #[values("entangled", "entangled_outputs", "shared")] weights: &str,
    #[values("corrected", "reference")] fidelity: &str,
) {
    let parsimony = if fidelity == "reference" { 0.5 } else { 0.0 };
    let run = Run::new(&halves(&json!({
        "search": {"weights": weights, "fidelity": fidelity}, "constraints": {"parsimony": parsimony},
    })));
    assert!(run.finish(1).success());
    let record = run.record().unwrap();
    let outcome = &record["outcome"];
    assert_eq!(outcome["status"], "succeeded", "{record}");
    let ladder = outcome["summary"]["ladder"].as_array().unwrap();
    let rungs: Vec<&str> = ladder.iter().map(|rung| rung["weights"].as_str().unwrap()).collect();
    assert_eq!(rungs, ["from_scratch"]);
    let (mut told, mut rows) = (vec![], vec![]);
    for event in run.events(1) {
        match event.body {
            EventBody::Log(log) if log.message.contains("see one channel") => {
                told.push(log.message);
            }
            EventBody::Rows(now) => rows.push(now),
            EventBody::Metrics(now) if now.values.contains_key("weight_loss") => {
                assert_eq!(now.values.contains_key("arch_loss"), now.epoch > 0);
            }
            _ => {}
        }
    }
    let expected = [
        "from epoch 1 on operations see one channel in 4",
        "from epoch 3 on each edge keeps 3 operations, which see one channel in 2",
    ];
    assert_eq!(told, expected);
    for now in &rows {
        for row in &now.rows {
            let left = row.iter().filter(|p| p.0 > 0.0).count();
            assert_eq!(left, if now.epoch < 2 || now.step == 0 { 8 } else { 3 });
            assert!((row.iter().map(|p| p.0).sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
    let of = |epoch: u64| rows.iter().rfind(|now| now.epoch == epoch).unwrap();
    assert_eq!(rows[0].rows, of(0).rows, "frozen");
    assert_ne!(rows[0].rows, of(1).rows);
    assert_ne!(of(2).rows, of(3).rows);
    // What is found is a network of the space: with all channels, of operations that were left.
    let found = outcome["summary"]["choices"].as_array().unwrap();
    for (option, row) in found.iter().zip(&of(3).rows) {
        let option = usize::try_from(option.as_u64().unwrap()).unwrap();
        // The first is no connection, which a dropped edge has.
        assert!(option == 0 || row[option].0 > 0.0);
    }
    let model = Tensor::read_safetensors(run.attempt(1).join("artifacts/model.safetensors"));
    let channels = model.unwrap().into_iter().find(|(name, _)| name == "cell0.pre1.conv.weight");
    assert_eq!(channels.unwrap().1.size(), [8, 24, 1, 1]);
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.detach().to_kind(Kind::Double).reshape([-1])).unwrap()
}

/// Which old channel each new one starts as, after its kernel is cut; it holds old inputs, the
/// first of them in their places.
fn copied(name: &str, old: &Tensor, new: &Tensor) -> Vec<i64> {
    let (size, before) = (new.size(), old.size());
    let from = |channel: i64| {
        let got = new.get(channel);
        if size.len() == 1 {
            return (0..before[0]).find(|at| values(&old.get(*at)) == values(&got));
        }
        let inputs = size[1].min(before[1]);
        let kept = values(&got.narrow(0, 0, inputs));
        let from = (0..before[0]).find(|at| values(&old.get(*at).narrow(0, 0, inputs)) == kept)?;
        let old = old.get(from);
        let is_old = |input| (0..inputs).any(|at| values(&old.get(at)) == values(&got.get(input)));
        (inputs..size[1]).all(is_old).then_some(from)
    };
    let named = |channel| from(channel).unwrap_or_else(|| panic!("{name} {channel} is new"));
    (0..size[0]).map(named).collect()
}

/// Channels stay where they are, new ones are copies of them: of every weight and statistic, and of
/// the optimizer's state as of its weight; of a kernel whose largest size was dropped the centre is
/// left.
#[test]
fn channels_are_copied_when_the_operations_widen() {
    // Without rates a step changes no weight, but momentum and statistics.
    let still = json!({"weight_lr": 0.0, "weight_lr_min": 0.0, "arch_lr": 0.0});
    let patch = halves(&json!({"search": still}));
    let (mut before, data, _home) = search(&patch);
    while before.step < 2 * before.steps_per_epoch() {
        advance(&mut before, &data);
    }
    let run = tempfile::tempdir().unwrap();
    let (mut after, ..) = search(&patch);
    hand_over(&before, &mut after, run.path()).unwrap();
    after.iterate(&data.train).unwrap();
    // The wider supernet before that step.
    let spec = RunSpec::parse(&small(&patch)).unwrap();
    let graph = after.net.exec.graph();
    let store = Store::zeroed(graph, before.net.compute);
    let widening = Widening::new(graph, spec.seed);
    widening.fill(&store, &before.net.store).unwrap();
    let mut optimizer = Bilevel::of_weights(&spec.search, &store.weights);
    let old = (&before.bilevel.weight, &before.net.store.weights);
    widening.take_over((&mut optimizer, &store.weights), old).unwrap();
    let momentum = |optimizer: &WeightOptimizer| optimizer.save().remove("velocity").unwrap();
    let momenta = (momentum(&before.bilevel.weight), momentum(&optimizer));
    let (mut widened, mut cropped) = (0, 0);
    for (new, old) in
        [(&store.weights, &before.net.store.weights), (&store.stats, &before.net.store.stats)]
    {
        for param in new.params() {
            let name = &param.name;
            let (mut was, is) = (old.get(name).unwrap().detach(), new.get(name).unwrap());
            let is_cut = param.shape.len() == 4 && was.size()[2] > param.shape[2];
            if is_cut {
                assert_eq!((was.size()[2], param.shape[2]), (5, 3));
                was = was.narrow(2, 1, 3).narrow(3, 1, 3);
                cropped += 1;
            }
            let momentum = (param.role.is_trained() && !is_cut).then(|| {
                [(old, &momenta.0), (new, &momenta.1)]
                    .map(|(of, all)| of.part_of(all, name).unwrap())
            });
            if was.size() == param.shape {
                assert_eq!(values(&was), values(is), "{name}");
                let same = momentum.is_none_or(|[old, new]| values(&old) == values(&new));
                assert!(same, "momentum of {name}");
                continue;
            }
            widened += 1;
            let from = copied(name, &was, is);
            let own = was.size()[0].min(param.shape[0]);
            assert_eq!(from[..usize::try_from(own).unwrap()], (0..own).collect::<Vec<i64>>());
            if let Some([old, new]) = momentum {
                assert_eq!(copied(name, &old, &new), from, "momentum of {name}");
            }
        }
    }
    assert!(widened > 10 && cropped > 0, "{widened} {cropped}");
    assert!(store.weights.params().len() < before.net.store.weights.params().len(), "dropped");
    // And this is what the search did.
    assert_eq!(values(store.weights.buffer()), values(after.net.store.weights.buffer()));
}

/// Handed over just before, at and just after the border, and later.
#[rstest]
#[case::sgd(json!({"kind": "sgd"}))]
#[case::adam(json!({"kind": "adam"}))]
fn a_search_handed_over_at_the_border_is_the_same_search(#[case] optimizer: Value) {
    let spec = halves(&json!({"search": {"weight_optimizer": optimizer}}));
    let (mut whole, data, _home) = search(&spec);
    let (border, total) = (2 * whole.steps_per_epoch(), whole.total_steps());
    let mut resumed = Vec::new();
    while whole.step < total {
        if whole.step + 1 >= border {
            let run = tempfile::tempdir().unwrap();
            let (mut next, ..) = search(&spec);
            hand_over(&whole, &mut next, run.path()).unwrap();
            resumed.push(next);
        }
        advance(&mut whole, &data);
    }
    assert!(resumed.len() >= 4);
    let rows = |search: &Search| values(search.net.alphas.buffer());
    for mut search in resumed {
        let from = search.step;
        while search.step < total {
            advance(&mut search, &data);
        }
        assert!(state(&search) == state(&whole), "handed over at step {from}");
        assert_eq!(rows(&search), rows(&whole), "handed over at step {from}");
    }
}

/// Draws are points of the simplex over what is left, with a gradient for it alone.
#[test]
fn rows_share_out_the_weight_of_dropped_operations() {
    let (mut search, data, _home) = search(&halves(&json!({})));
    while search.step <= 2 * search.steps_per_epoch() {
        search.iterate(&data.train).unwrap();
    }
    let net = &search.net;
    let kept = net.progressive().unwrap().kept().unwrap().clone();
    let at = At { seed: 3, stream: Stream::ArchDraw, step: 1 };
    let draw = search.sampler(2).draw(net, at, false).unwrap();
    let mut loss = Tensor::zeros([], (Kind::Double, tch::Device::Cpu));
    for (row, kept) in draw.rows.iter().zip(&kept) {
        let entries = values(row);
        for (option, entry) in entries.iter().enumerate() {
            assert_eq!(*entry > 0.0, kept.contains(&option));
        }
        assert!((entries.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        loss += (row * Tensor::arange(8, (Kind::Float, tch::Device::Cpu))).sum(Kind::Double);
    }
    let gradient = values(&net.alphas.gradient(&loss).unwrap());
    let moved = |(row, kept): (&[f64], &Vec<usize>)| {
        row.iter().enumerate().all(|(at, g)| (*g != 0.0) == kept.contains(&at))
    };
    assert!(gradient.chunks(8).zip(&kept).all(moved), "{gradient:?}");
    // Nothing moves a dropped parameter, not even what Adam remembers.
    let alphas = values(net.alphas.buffer());
    let dropped = alphas.chunks(8).zip(&kept).flat_map(|(row, kept)| {
        row.iter().enumerate().filter(|(at, _)| !kept.contains(at)).map(|(_, alpha)| *alpha)
    });
    assert!(dropped.into_iter().all(|alpha| alpha == 0.0));
}

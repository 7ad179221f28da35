//! Progressive shrinking: what is trained when, by whom it is taught, and what comes of it.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::event::EventBody;
use skein_core::shrink::Stages;
use skein_engine::data::Data;
use skein_engine::data::feed::Feed;
use skein_engine::exec::{Pass, Plan};
use skein_engine::search::run::Search;
use skein_engine::search::shrink::teacher;
use skein_engine::state::seed::{Stream, generator};
use skein_engine::worker::session::hand_over;
use tch::{Kind, Tensor};

use crate::harness::{Run, merge, search};

/// Two convolutions: the largest network, kernels, widths, widths.
pub(crate) fn convolutions(patch: &Value) -> Value {
    let mut spec = json!({
        "space": {"preset": "conv-macro", "channels": null, "widths": [[2, 3, 5], [3, 4, 6]], "kernels": [1, 3], "pools": [1, 2], "last_width": 4, "head": []},
        "search": {"optimizer": {"kind": "ofa"}, "epochs": 4, "second_stage": {"candidates": 6}}
    });
    merge(&mut spec, patch);
    spec
}

/// Ten bottlenecks: the largest network, kernels, depths, expansions.
fn bottlenecks() -> Value {
    json!({
        "space": {"preset": "mobilenet-v3", "channels": null, "width": 0.1, "image_size": 32, "depths": [1, 2], "expansions": [2, 3]},
        "search": {"optimizer": {"kind": "ofa"}, "epochs": 4, "second_stage": {"candidates": 6}}
    })
}

fn weights(search: &Search) -> Vec<f64> {
    Vec::try_from(&search.net.store.weights.buffer().to_kind(Kind::Double)).unwrap()
}

pub(crate) fn state(search: &Search) -> Vec<f64> {
    let statistics = search.net.store.stats.buffer().to_kind(Kind::Double);
    let optimizer = search.bilevel.weight.save().into_values();
    let mut all = weights(search);
    for tensor in optimizer.chain([statistics]) {
        all.extend(Vec::<f64>::try_from(&tensor.to_kind(Kind::Double).reshape([-1])).unwrap());
    }
    all
}

/// A step; numbers are reported at the end of each epoch, as a worker does.
pub(crate) fn advance(search: &mut Search, data: &Data) {
    search.iterate(&data.train).unwrap();
    if search.step.is_multiple_of(search.steps_per_epoch()) {
        search.pending.take().unwrap();
    }
}

/// Trains, compares and packs; what is told on the way follows the plan.
#[rstest]
#[case::convolutions(convolutions(&json!({})), 4)]
#[case::bottlenecks(bottlenecks(), 4)]
fn a_shrunk_supernet_is_trained_compared_and_packed(#[case] spec: Value, #[case] stages: usize) {
    let run = Run::new(&spec);
    assert!(run.finish(1).success());
    let record = run.record().unwrap();
    assert_eq!(record["outcome"]["status"], "succeeded", "{record}");
    let mut told = Vec::new();
    let mut rows = Vec::new();
    let mut distilled = BTreeSet::new();
    for event in run.events(1) {
        match event.body {
            EventBody::Log(log) if log.message.starts_with("stage ") => told.push(log.message),
            EventBody::Rows(now) => rows.push((now.epoch, now.rows)),
            EventBody::Metrics(now) if now.values.contains_key("distill_loss") => {
                distilled.insert(now.epoch);
            }
            _ => {}
        }
    }
    assert_eq!(told.len(), stages, "{told:?}");
    assert!(told[0].ends_with("the largest network alone"), "{told:?}");
    assert_eq!(distilled, (1..4).collect(), "all stages but the first are taught");
    let open = |epoch: u64| {
        let (_, rows) = rows.iter().rev().find(|(at, _)| *at == epoch).unwrap();
        rows.iter().flatten().filter(|p| p.0 > 0.0).count()
    };
    let counts: Vec<usize> = (0..4).map(open).collect();
    assert!(counts.is_sorted_by(|a, b| a < b), "more is admitted in every stage: {counts:?}");
    let candidates = String::from_utf8(run.artifact(1, "candidates.csv")).unwrap();
    assert_eq!(candidates.lines().count(), 7);
    assert!(!run.artifact(1, "model.safetensors").is_empty());
}

/// A step by hand: the same sub-nets, each with its own gradient, all of them added up.
#[test]
fn a_step_adds_up_the_gradients_of_its_sub_nets() {
    let patch = convolutions(&json!({
        "space": {"dropout": 0.0},
        "search": {"optimizer": {"sub_nets": 3, "kd_ratio": 0.5}, "clip": 1e9, "weight_decay": 0.0,
            "weight_optimizer": {"kind": "sgd", "momentum": 0.0, "nesterov": false}},
        "resources": {"precision": "float64"}
    }));
    let (mut search, data, _home) = search(&patch);
    let per_epoch = search.steps_per_epoch();
    // The second step of the last stage: the channels are sorted by then.
    while search.step < 3 * per_epoch + 1 {
        search.iterate(&data.train).unwrap();
    }
    let (step, epoch, lr) = (search.step, search.epoch(), search.weight_lr(search.step));
    let source = search.source(&data.train);
    let batch = Feed::start(source, step, search.total_steps()).unwrap().take().unwrap().remove(0);
    let shrink = search.shrink.as_ref().unwrap();
    let net = &search.net;
    let largest = Stages::over(&net.graph().choices, 4).unwrap().largest();
    let soft = teacher::predictions(net, shrink.teacher().unwrap(), &largest, &batch).unwrap();
    let mut drawn = generator(5, Stream::WeightDraw, step);
    let mut sum = net.store.weights.buffer().zeros_like();
    for _ in 0..3 {
        let path = shrink.path(epoch, &mut drawn);
        let plan = Plan::Path(&path, None);
        let logits = net.exec.forward(&net.store, &batch.x, plan, Pass::BATCH).unwrap();
        let log = logits.log_softmax(-1, Kind::Double);
        let hard = -log.gather(1, &batch.y.view([-1, 1]), false).mean(Kind::Double);
        let taught = -(&soft * &log).sum(Kind::Double) / batch.y.size()[0];
        sum += net.store.weights.gradient(&(hard + taught * 0.5)).unwrap().flat;
    }
    let expected = net.store.weights.buffer() - sum * lr;
    search.iterate(&data.train).unwrap();
    let error = (expected - search.net.store.weights.buffer()).abs().max().double_value(&[]);
    assert!(error < 1e-14, "{error}");
}

/// The teacher is the largest network of the first stage, and stays it.
#[test]
fn the_teacher_is_taken_once_and_never_changes() {
    let (mut search, data, _home) = search(&convolutions(&json!({})));
    let per_epoch = search.steps_per_epoch();
    while search.step < per_epoch {
        search.iterate(&data.train).unwrap();
        assert!(search.shrink.as_ref().unwrap().teacher().is_none());
    }
    let taught = weights(&search);
    while search.step < search.total_steps() {
        search.iterate(&data.train).unwrap();
        let teacher = search.shrink.as_ref().unwrap().teacher().unwrap();
        let held = Vec::<f64>::try_from(&teacher.weights.buffer().to_kind(Kind::Double)).unwrap();
        assert_eq!(held, taught, "step {}", search.step);
    }
    assert_ne!(weights(&search), taught);
    let (mut alone, data, _home) =
        self::search(&convolutions(&json!({"search": {"optimizer": {"kd_ratio": 0}}})));
    while alone.step < alone.total_steps() {
        alone.iterate(&data.train).unwrap();
    }
    assert!(alone.shrink.as_ref().unwrap().teacher().is_none(), "nobody teaches");
}

/// Handed over just before, at and just after every boundary of stages, with everything that an
/// optimizer keeps.
#[rstest]
#[case::sgd(json!({"kind": "sgd"}))]
#[case::adam(json!({"kind": "adam"}))]
fn a_search_handed_over_at_a_boundary_is_the_same_search(#[case] optimizer: Value) {
    let spec = convolutions(&json!({"search": {"weight_optimizer": optimizer}}));
    let (mut whole, data, _home) = search(&spec);
    let (per_epoch, total) = (whole.steps_per_epoch(), whole.total_steps());
    let mut resumed: Vec<Search> = Vec::new();
    while whole.step < total {
        let near = (whole.step + 1) % per_epoch <= 2;
        if near && whole.step > 1 {
            let run = tempfile::tempdir().unwrap();
            let (mut next, ..) = search(&spec);
            hand_over(&whole, &mut next, run.path()).unwrap();
            let teacher = |search: &Search| -> Option<Vec<f64>> {
                let teacher = search.shrink.as_ref()?.teacher()?;
                let all = [teacher.weights.buffer(), teacher.stats.buffer()];
                let all = Tensor::cat(&all, 0).to_kind(Kind::Double);
                Some(Vec::try_from(&all).unwrap())
            };
            assert_eq!(teacher(&next), teacher(&whole), "teacher at step {}", whole.step);
            resumed.push(next);
        }
        advance(&mut whole, &data);
    }
    assert!(resumed.len() >= 9, "{} points", resumed.len());
    let expected = state(&whole);
    for mut search in resumed {
        let from = search.step;
        while search.step < total {
            advance(&mut search, &data);
        }
        assert!(state(&search) == expected, "handed over at step {from}");
    }
}

/// Sub-nets of all sizes learn: in the end a random one is better than the largest was at first.
#[test]
fn a_shrinking_lowers_the_loss() {
    let (mut search, data, _home) = search(&convolutions(
        &json!({"space": {"widths": [[4, 8], [8, 16]], "dropout": 0.0}, "search": {"epochs": 60, "batch_size": 8}}),
    ));
    let mut losses = Vec::new();
    while search.step < search.total_steps() {
        search.iterate(&data.train).unwrap();
        if search.step.is_multiple_of(search.steps_per_epoch()) {
            losses.push(search.pending.take().unwrap()["weight_loss"].0);
        }
    }
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.7 * first, "{losses:?}");
}

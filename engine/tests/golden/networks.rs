//! Discrete networks, and the agreement of all three kinds of execution.

use rstest::rstest;
use skein_core::choice::Architecture;
use skein_core::graph::Graph;
use skein_core::spaces::build;
use skein_core::spaces::toy_cell::PRESET;
use skein_core::spec::{Sharing, SpaceSpec, ToyCellOptions};
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Pass, Plan};
use skein_engine::search::bilevel::cross_entropy;
use skein_engine::store::Store;
use tch::Tensor;

use super::supernet::TRAIN;
use super::vectors::Vectors;

fn small(channels: i64) -> SpaceSpec {
    let SpaceSpec::ToyCell(defaults) = (PRESET.defaults)() else { panic!() };
    SpaceSpec::ToyCell(ToyCellOptions { channels, dropout: 0.0, ..defaults })
}

pub(crate) fn toy(channels: i64, sharing: Sharing) -> Graph {
    build(&small(channels), PRESET.shape, sharing).unwrap()
}

pub(crate) fn sharing(mode: &str) -> Sharing {
    match mode {
        "we2" => Sharing::Entangled,
        "we1" => Sharing::EntangledOutputs,
        _ => Sharing::Shared,
    }
}

#[rstest]
fn discrete_networks(#[values("arch2", "arch3", "arch5")] case: &str) {
    let v = Vectors::read("toy_discrete").under(&format!("{case}."));
    let compute = Compute::exact();
    let choices: Vec<i64> = Vec::try_from(&v.raw("choices")).unwrap();
    let architecture =
        Architecture(choices.iter().map(|choice| usize::try_from(*choice).unwrap()).collect());
    let fixed = toy(4, Sharing::Entangled).specialise(&architecture).unwrap();
    let store = Store::zeroed(&fixed.graph, compute);
    // The file names operations by their size; ours are called after their group.
    let rename = |name: &str| {
        ["sep", "dil"].iter().fold(name.to_owned(), |name, group| {
            name.replace(&format!("{group}3"), group).replace(&format!("{group}5"), group)
        })
    };
    v.fill(&store, ["w.", "buf."], rename);
    let exec = Executor::fixed(fixed.graph, compute).unwrap();
    let nothing = Architecture(vec![]);
    let plan = Plan::Path(&nothing, None);
    v.check("logits_eval", &exec.forward(&store, &v.get("x"), plan, Pass::EVALUATE).unwrap());
    let logits = exec.forward(&store, &v.get("x"), plan, TRAIN).unwrap();
    let loss = cross_entropy(&logits, &v.raw("labels"));
    v.check("logits_train", &logits);
    v.check("loss_train", &loss);
    let gradients = Tensor::run_backward(&[loss], store.weights.views(), false, false);
    let mut compared = 0;
    for (param, gradient) in store.weights.params().iter().zip(&gradients) {
        let name = format!("grad.{}", param.name);
        if v.has(&name) {
            v.check(&name, gradient);
            compared += 1;
        }
    }
    assert_eq!(compared, 2);
}

#[test]
fn counts_of_discrete_networks() {
    let counts: Vec<Vec<i64>> =
        Vec::try_from(&Vectors::read("toy_discrete").raw("counts")).unwrap();
    let graph = toy(32, Sharing::Entangled);
    for row in counts {
        let architecture =
            Architecture(row[..6].iter().map(|option| usize::try_from(*option).unwrap()).collect());
        assert_eq!(graph.cost(&architecture).unwrap().params, u64::try_from(row[6]).unwrap());
    }
}

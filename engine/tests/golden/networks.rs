//! Whole toy-cell networks: supernets in every mode, discrete networks.

use rstest::rstest;
use skein_core::choice::Architecture;
use skein_core::dataset::DataShape;
use skein_core::graph::Graph;
use skein_core::spaces::toy_cell::{PRESET, build};
use skein_core::spec::{Fidelity, Projection, Sharing, ToyCellOptions};
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Pass, Plan};
use skein_engine::nodes::norm::Statistics;
use skein_engine::rows::{Alphas, darts, drnas, gdas};
use skein_engine::search::bilevel::cross_entropy;
use skein_engine::store::Store;
use tch::{Kind, Tensor};

use super::vectors::Vectors;

const TRAIN: Pass = Pass { statistics: Statistics::Train, dropout: None };

pub(crate) fn toy(channels: i64, sharing: Sharing) -> Graph {
    build(&ToyCellOptions { channels, dropout: 0.0 }, PRESET.shape, sharing).unwrap()
}

pub(crate) fn sharing(mode: &str) -> Sharing {
    match mode {
        "we2" => Sharing::Entangled,
        "we1" => Sharing::EntangledOutputs,
        _ => Sharing::Shared,
    }
}

fn check(v: &Vectors, channels: i64, mode: &str, sampler: &str, tau: f64) {
    let (compute, sharing) = (Compute::exact(), sharing(mode));
    let graph = toy(channels, sharing);
    let store = Store::zeroed(&graph, compute);
    v.fill(&store, ["w.", "buf."], str::to_owned);
    let mut alphas = Alphas::zeroed(&graph.choices, compute.device);
    let raw = ["normal", "reduce"].map(|name| v.get(&format!("w.alpha.{name}")).reshape([-1]));
    alphas.load(&Tensor::cat(&raw, 0)).unwrap();
    let parts = |prefix: &str| ["normal", "reduce"].map(|name| v.get(&format!("{prefix}.{name}")));
    let drawn: Vec<Tensor> = match sampler {
        "drnas" => alphas
            .tensors()
            .iter()
            .zip(parts("a"))
            .map(|((_, alpha), a)| drnas::pathwise(alpha, &a))
            .collect(),
        "gdas" => {
            let pairs = alphas.tensors().iter().zip(parts("noise"));
            pairs.map(|((_, alpha), noise)| gdas::straight_through(alpha, &noise, tau)).collect()
        }
        _ if sharing == Sharing::Entangled => {
            alphas.map(|alpha| darts::weights(alpha, Projection::Sparsemax))
        }
        _ => alphas.map(|alpha| darts::weights(alpha, Projection::Softmax)),
    };
    let rows = alphas.split(&drawn, Kind::Double);
    let path = Architecture::argmax(&alphas.to_host(&drawn).unwrap());
    let exec = Executor::new(graph, sharing, Fidelity::Reference, compute).unwrap();
    let plan =
        if sampler == "gdas" { Plan::Path(&path, Some(&rows)) } else { Plan::Superposed(&rows) };
    let logits = exec.forward(&store, &v.get("x"), plan, TRAIN).unwrap();
    let loss = cross_entropy(&logits, &v.raw("labels"));
    v.check("logits", &logits);
    v.check("loss", &loss);
    let mut inputs: Vec<&Tensor> = alphas.tensors().iter().map(|(_, alpha)| alpha).collect();
    let first_weight = inputs.len();
    inputs.extend(drawn.iter());
    let drawn_at = first_weight;
    let first_weight = inputs.len();
    inputs.extend(store.weights.views());
    let gradients = Tensor::run_backward(&[loss], &inputs, false, false);
    for (at, name) in ["normal", "reduce"].iter().enumerate() {
        v.check(&format!("grad.alpha.{name}"), &gradients[at]);
        if v.has(&format!("grad.a.{name}")) && sampler != "darts" {
            v.check(&format!("grad.a.{name}"), &gradients[drawn_at + at]);
        }
    }
    for (param, gradient) in store.weights.params().iter().zip(&gradients[first_weight..]) {
        let name = format!("grad.{}", param.name);
        if v.has(&name) && gradient.defined() {
            v.check(&name, gradient);
        }
    }
    for param in store.stats.params() {
        let name = format!("after.{}", param.name);
        if v.has(&name) {
            v.check(&name, store.stats.get(&param.name).unwrap());
        }
    }
    let logits = tch::no_grad(|| exec.forward(&store, &v.get("x"), plan, Pass::EVALUATE)).unwrap();
    v.check("logits_eval_after", &logits);
}

#[rstest]
#[case::entangled_drnas("we2", "drnas", 0.0)]
#[case::separate_drnas("ws", "drnas", 0.0)]
#[case::outputs_drnas("we1", "drnas", 0.0)]
#[case::entangled_gdas("we2", "gdas", 10.0)]
#[case::separate_gdas("ws", "gdas", 5.0)]
#[case::entangled_darts("we2", "darts", 0.0)]
#[case::separate_darts("ws", "darts", 0.0)]
fn small_supernets(#[case] mode: &str, #[case] sampler: &str, #[case] tau: f64) {
    let v = Vectors::read("toy_supernet_c4").under(&format!("{mode}.{sampler}."));
    check(&v, 4, mode, sampler, tau);
}

#[test]
fn a_small_supernet_at_a_low_temperature() {
    check(&Vectors::read("toy_supernet_c4").under("we2.gdas_low."), 4, "we2", "gdas", 0.5);
}

#[test]
fn the_supernet_of_the_paper() {
    if let Some(v) = Vectors::read_beside("toy_supernet_c32") {
        check(&v, 32, "we2", "drnas", 0.0);
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

/// With one-hot rows, superposed, path and standalone execution are one network.
#[rstest]
fn the_three_executions_agree(
    #[values(Sharing::Entangled, Sharing::EntangledOutputs, Sharing::Shared)] sharing: Sharing,
) {
    use rand::SeedableRng;
    let compute = Compute::exact();
    let shape = DataShape { height: 17, width: 15, ..PRESET.shape };
    let graph = build(&ToyCellOptions { channels: 3, dropout: 0.0 }, shape, sharing).unwrap();
    let store =
        Store::initialised(&graph, compute, 5, skein_engine::state::seed::Stream::Weights).unwrap();
    let exec = Executor::new(graph.clone(), sharing, Fidelity::Corrected, compute).unwrap();
    let options = (Kind::Double, compute.device);
    let x = skein_engine::state::seed::seeded(7, compute.device, || {
        Tensor::randn([3, 1, 17, 15], options)
    });
    let mut generator = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(8);
    for _ in 0..100 {
        let architecture = skein_engine::rows::uniform::draw(&graph.choices, &mut generator);
        let onehot: Vec<Tensor> = architecture
            .0
            .iter()
            .map(|option| {
                let mut row = [0.0; 4];
                row[*option] = 1.0;
                Tensor::from_slice(&row)
            })
            .collect();
        let path = exec.forward(&store, &x, Plan::Path(&architecture, None), Pass::BATCH).unwrap();
        let mixed = exec.forward(&store, &x, Plan::Superposed(&onehot), Pass::BATCH).unwrap();
        let fixed = graph.specialise(&architecture).unwrap();
        let inherited = store.inherit(&fixed, compute).unwrap();
        let nothing = Architecture(vec![]);
        let alone = Executor::fixed(fixed.graph, compute).unwrap();
        let alone = alone.forward(&inherited, &x, Plan::Path(&nothing, None), Pass::BATCH).unwrap();
        for other in [mixed, alone] {
            assert!((&path - other).abs().max().double_value(&[]) < 1e-10, "{architecture:?}");
        }
    }
}

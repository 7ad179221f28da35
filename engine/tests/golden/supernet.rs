//! Whole supernets: logits, loss, every stored gradient, statistics.

use rstest::rstest;
use skein_core::choice::Architecture;
use skein_core::dataset::DataShape;
use skein_core::graph::Graph;
use skein_core::spaces::{
    autoformer, build, conv_macro, darts as darts_space, language, mobilenet_v3, nas_bench_201,
};
use skein_core::spec::{
    AutoformerOptions, ConvMacroOptions, DartsOptions, Fidelity, LanguageOptions,
    MobilenetV3Options, NasBench201Options, Projection, Sharing, SpaceSpec,
};
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Pass, Plan};
use skein_engine::nodes::norm::Statistics;
use skein_engine::rows::{Alphas, darts, drnas, gdas};
use skein_engine::search::bilevel::cross_entropy;
use skein_engine::store::Store;
use tch::{Kind, Tensor};

use super::formula::by_formula;
use super::networks::{sharing, toy};
use super::vectors::{TOLERANCE, Vectors};

pub(crate) const TRAIN: Pass = Pass { statistics: Statistics::Train, ..Pass::EVALUATE };

/// One supernet of a file.
pub(crate) struct Case<'a> {
    pub(crate) v: &'a Vectors,
    pub(crate) sharing: Sharing,
    pub(crate) sampler: &'a str,
    pub(crate) tau: f64,
    /// What stands before the name of a parameter tensor, for example `w.alpha`.
    pub(crate) raw: &'a str,
    /// The file's name of one of our tensors.
    pub(crate) named: fn(&str) -> String,
    /// A parameter tensor that the published code does not project (DARTS).
    pub(crate) unprojected: Option<&'a str>,
    /// Of the gradients.
    pub(crate) tolerance: f64,
}

impl<'a> Case<'a> {
    /// A network of images with entangled weights.
    fn of(v: &'a Vectors) -> Self {
        Self {
            v,
            sharing: Sharing::Entangled,
            sampler: "drnas",
            tau: 0.0,
            raw: "alpha",
            named: str::to_owned,
            unprojected: None,
            tolerance: TOLERANCE,
        }
    }

    /// `a` and the tensor's name, or `a` alone where a file has one tensor only.
    fn key(&self, prefix: &str, tensor: &str) -> String {
        let named = format!("{prefix}.{tensor}");
        if self.v.has(&named) { named } else { prefix.to_owned() }
    }

    fn draw(&self, alphas: &Alphas) -> Vec<Tensor> {
        let stored = |prefix: &'static str| {
            alphas.tensors().iter().map(move |(name, alpha)| (alpha, self.key(prefix, name)))
        };
        match self.sampler {
            "drnas" => stored("a")
                .map(|(alpha, key)| {
                    drnas::pathwise(alpha, &self.v.get(&key).view(alpha.size().as_slice()))
                })
                .collect(),
            "gdas" => stored("noise")
                .map(|(alpha, key)| gdas::straight_through(alpha, &self.v.get(&key), self.tau))
                .collect(),
            _ if self.sharing == Sharing::Entangled => alphas
                .tensors()
                .iter()
                .map(|(name, alpha)| match self.unprojected == Some(name) {
                    true => alpha * 1.0,
                    false => darts::weights(alpha, Projection::Sparsemax),
                })
                .collect(),
            _ => alphas.map(|alpha| darts::weights(alpha, Projection::Softmax)),
        }
    }

    /// Runs one training pass and compares everything that the file holds.
    pub(crate) fn check(&self, graph: Graph, store: &Store) {
        let (v, compute) = (self.v, Compute::exact());
        let mut alphas = Alphas::zeroed(&graph.choices, compute.device);
        let raw =
            alphas.tensors().iter().map(|(name, _)| v.get(&self.key(self.raw, name)).reshape([-1]));
        let raw = Tensor::cat(&raw.collect::<Vec<_>>(), 0);
        alphas.load(&raw).unwrap();
        let drawn = self.draw(&alphas);
        let rows = alphas.split(&drawn, Kind::Double);
        let path = Architecture::argmax(&alphas.to_host(&drawn).unwrap());
        let exec = Executor::new(graph, self.sharing, Fidelity::Reference, compute).unwrap();
        let plan = match self.sampler {
            "gdas" => Plan::Path(&path, Some(&rows)),
            _ => Plan::Superposed(&rows),
        };
        let text = v.has("tokens");
        let x = if text { v.raw("tokens") } else { v.get("x") };
        let logits = exec.forward(store, &x, plan, TRAIN).unwrap();
        let loss = cross_entropy(&logits, &v.raw(if text { "targets" } else { "labels" }));
        v.check("logits", &logits);
        v.check("loss", &loss);
        let mut inputs: Vec<&Tensor> = alphas.tensors().iter().map(|(_, alpha)| alpha).collect();
        inputs.extend(drawn.iter());
        inputs.extend(store.weights.views());
        let gradients = Tensor::run_backward(&[loss], &inputs, false, false);
        let tensors = alphas.tensors().len();
        for (at, (name, _)) in alphas.tensors().iter().enumerate() {
            v.check_to(&self.key("grad.alpha", name), &gradients[at], self.tolerance);
            let key = self.key("grad.a", name);
            if v.has(&key) && self.sampler != "darts" {
                v.check_to(&key, &gradients[tensors + at], self.tolerance);
            }
        }
        self.check_weights(store, &gradients[2 * tensors..]);
        for param in store.stats.params() {
            let name = format!("after.{}", param.name);
            if v.has(&name) {
                v.check(&name, store.stats.get(&param.name).unwrap());
            }
        }
        if v.has("logits_eval_after") {
            // MobileNetV3 evaluates with the softmax of the parameters.
            let soft = alphas.map(|alpha| alpha.softmax(-1, Kind::Double));
            let soft = alphas.split(&soft, Kind::Double);
            let soft = Plan::Superposed(&soft);
            let plan = if self.tolerance > TOLERANCE { soft } else { plan };
            let logits = tch::no_grad(|| exec.forward(store, &x, plan, Pass::EVALUATE)).unwrap();
            v.check("logits_eval_after", &logits);
        }
    }

    fn check_weights(&self, store: &Store, gradients: &[Tensor]) {
        for (param, gradient) in store.weights.params().iter().zip(gradients) {
            let name = format!("grad.{}", (self.named)(&param.name));
            if param.name.contains(".edge")
                && param.name.ends_with(".conv.bias")
                && self.v.has(&name)
            {
                // A bias in front of a batch norm: its gradient is rounding noise.
                let size =
                    if gradient.defined() { gradient.abs().max().double_value(&[]) } else { 0.0 };
                assert!(size < 1e-12, "{name}: {size:e}");
            } else if self.v.has(&name) && gradient.defined() {
                self.v.check_to(&name, gradient, self.tolerance);
            } else if self.v.has(&name) {
                let size = self.v.get(&name).abs().max().double_value(&[]);
                assert!(size == 0.0, "{name} has a gradient in the file, and none here");
            }
        }
    }
}

fn filled(v: &Vectors, graph: &Graph, rename: impl Fn(&str) -> String) -> Store {
    let store = Store::zeroed(graph, Compute::exact());
    v.fill(&store, ["w.", "buf."], rename);
    store
}

fn check_toy(v: &Vectors, channels: i64, mode: &str, sampler: &str, tau: f64) {
    let graph = toy(channels, sharing(mode));
    let store = filled(v, &graph, str::to_owned);
    Case {
        v,
        sharing: sharing(mode),
        sampler,
        tau,
        raw: "w.alpha",
        named: str::to_owned,
        ..Case::of(v)
    }
    .check(graph, &store);
}

#[rstest]
#[case::entangled_drnas("we2", "drnas", 0.0)]
#[case::separate_drnas("ws", "drnas", 0.0)]
#[case::outputs_drnas("we1", "drnas", 0.0)]
#[case::entangled_gdas("we2", "gdas", 10.0)]
#[case::separate_gdas("ws", "gdas", 5.0)]
#[case::entangled_darts("we2", "darts", 0.0)]
#[case::separate_darts("ws", "darts", 0.0)]
fn toy_cells(#[case] mode: &str, #[case] sampler: &str, #[case] tau: f64) {
    let v = Vectors::read("toy_supernet_c4").under(&format!("{mode}.{sampler}."));
    check_toy(&v, 4, mode, sampler, tau);
}

#[test]
fn a_toy_cell_at_a_low_temperature() {
    check_toy(&Vectors::read("toy_supernet_c4").under("we2.gdas_low."), 4, "we2", "gdas", 0.5);
}

#[test]
fn the_toy_cell_of_the_paper() {
    if let Some(v) = Vectors::read_beside("toy_supernet_c32") {
        check_toy(&v, 32, "we2", "drnas", 0.0);
    }
}

/// Image of a file's input, ten classes.
fn shape(v: &Vectors) -> DataShape {
    let size = v.get("x").size();
    DataShape { channels: size[1], height: size[2], width: size[3], classes: 10 }
}

#[rstest]
#[case::entangled_drnas("we2.drnas.", 1, 0.0)]
#[case::separate_drnas("ws.drnas.", 1, 0.0)]
#[case::outputs_drnas("we1.drnas.", 1, 0.0)]
#[case::entangled_gdas("we2.gdas.", 1, 3.0)]
#[case::entangled_darts("we2.darts.", 1, 0.0)]
#[case::two_cells_a_stage("we2.drnas.n2.", 2, 0.0)]
fn nas_bench_201_networks(#[case] prefix: &str, #[case] cells: i64, #[case] tau: f64) {
    let v = Vectors::read("nb201_supernet").under(prefix);
    let mut parts = prefix.split('.');
    let (mode, sampler) = (parts.next().unwrap(), parts.next().unwrap());
    let SpaceSpec::NasBench201(defaults) = (nas_bench_201::PRESET.defaults)() else { panic!() };
    let space = SpaceSpec::NasBench201(NasBench201Options { channels: 4, cells, ..defaults });
    let graph = build(&space, shape(&v), sharing(mode)).unwrap();
    let store = filled(&v, &graph, str::to_owned);
    Case {
        v: &v,
        sharing: sharing(mode),
        sampler,
        tau,
        raw: "alpha",
        named: str::to_owned,
        ..Case::of(&v)
    }
    .check(graph, &store);
}

#[rstest]
#[case::entangled_drnas("we2.drnas.l3.", 3, 0.0)]
#[case::separate_drnas("ws.drnas.l3.", 3, 0.0)]
#[case::entangled_gdas("we2.gdas.l3.", 3, 3.0)]
#[case::entangled_darts("we2.darts.l3.", 3, 0.0)]
#[case::eight_cells("we2.drnas.l8.", 8, 0.0)]
fn darts_networks(#[case] prefix: &str, #[case] cells: i64, #[case] tau: f64) {
    let v = Vectors::read("darts_supernet").under(prefix);
    let mut parts = prefix.split('.');
    let (mode, sampler) = (parts.next().unwrap(), parts.next().unwrap());
    let SpaceSpec::Darts(defaults) = (darts_space::PRESET.defaults)() else { panic!() };
    let space = SpaceSpec::Darts(DartsOptions { channels: 2, cells, ..defaults });
    let graph = build(&space, shape(&v), sharing(mode)).unwrap();
    let store = filled(&v, &graph, str::to_owned);
    Case {
        v: &v,
        sharing: sharing(mode),
        sampler,
        tau,
        raw: "alpha",
        named: str::to_owned,
        ..Case::of(&v)
    }
    .check(graph, &store);
}

#[rstest]
#[case::drnas("drnas", 0.0)]
#[case::gdas("gdas", 2.0)]
#[case::darts("darts", 0.0)]
fn conv_macro_networks(#[case] sampler: &str, #[case] tau: f64) {
    let all = Vectors::read("conv_macro_supernet");
    let v = all.under(&format!("{sampler}."));
    let SpaceSpec::ConvMacro(defaults) = (conv_macro::PRESET.defaults)() else { panic!() };
    let space = SpaceSpec::ConvMacro(ConvMacroOptions { dropout: 0.0, ..defaults });
    let graph = build(&space, shape(&v), Sharing::Entangled).unwrap();
    let store = Store::zeroed(&graph, Compute::exact());
    by_formula(&store);
    for layer in ["conv1", "conv4", "conv5", "fc1", "fc4"] {
        let weight = store.weights.get(&format!("{layer}.weight")).unwrap().detach();
        let (flat, bias) =
            (weight.contiguous().view([-1]), store.weights.get(&format!("{layer}.bias")).unwrap());
        let sums = [
            flat.sum(Kind::Double),
            flat.norm(),
            flat.get(0),
            flat.get(-1),
            bias.detach().sum(Kind::Double),
        ];
        all.check(&format!("checksum.{layer}"), &Tensor::stack(&sums, 0));
    }
    Case {
        v: &v,
        sharing: Sharing::Entangled,
        sampler,
        tau,
        raw: "alpha",
        named: str::to_owned,
        ..Case::of(&v)
    }
    .check(graph, &store);
}

#[rstest]
#[case::drnas("we2.drnas.", 0.0)]
#[case::gdas("we2.gdas.", 2.0)]
fn autoformer_networks(#[case] prefix: &str, #[case] tau: f64) {
    let v = Vectors::read("autoformer_supernet").under(prefix);
    let sampler = prefix.split('.').nth(1).unwrap();
    let options = AutoformerOptions {
        widths: vec![16, 20, 24],
        depths: vec![1, 2],
        heads: vec![1, 2],
        ratios: vec![1.7, 2.0],
        image_size: 32,
        patch: 8,
        drop_path: 0.0,
    };
    let graph = autoformer::build_with(&options, shape(&v), Sharing::Entangled, 3).unwrap();
    let store = filled(&v, &graph, |name| name.replace(".rel_", ".attention.rel_"));
    let named = |name: &str| name.replace(".attention", "");
    Case {
        v: &v,
        sharing: Sharing::Entangled,
        sampler,
        tau,
        raw: "w.alpha",
        named,
        ..Case::of(&v)
    }
    .check(graph, &store);
}

#[rstest]
#[case::drnas("we2.drnas.", 0.0)]
#[case::gdas("we2.gdas.", 2.0)]
#[case::darts("we2.darts.", 0.0)]
fn language_networks(#[case] prefix: &str, #[case] tau: f64) {
    let v = Vectors::read("lm_supernet").under(prefix);
    let options = LanguageOptions {
        layers: vec![1, 2, 3],
        widths: vec![12, 18, 24],
        heads: vec![1, 2, 3],
        ratios: vec![1.0, 2.0, 4.0],
        context: 7,
        dropout: 0.0,
    };
    let shape = DataShape { channels: 1, height: 1, width: 1, classes: 31 };
    let graph = language::build(&options, shape, Sharing::Entangled).unwrap();
    let store = filled(&v, &graph, str::to_owned);
    let sampler = prefix.split('.').nth(1).unwrap();
    Case { sampler, tau, raw: "w.alpha", ..Case::of(&v) }.check(graph, &store);
}

/// Gradients are less exact here: a norm stands right behind a gated convolution.
#[rstest]
#[case::drnas("drnas")]
#[case::darts("darts")]
fn mobilenet_networks(#[case] sampler: &str) {
    let all = Vectors::read("mobilenetv3_supernet");
    let mut v = all.under(&format!("{sampler}."));
    let options = MobilenetV3Options {
        depths: vec![1, 2],
        expansions: vec![3, 4, 6],
        kernels: vec![3, 5, 7],
        width: 0.25,
        image_size: 64,
        dropout: 0.0,
    };
    let graph = mobilenet_v3::build(&options, shape(&v), Sharing::Entangled).unwrap();
    let first = all.under("drnas.");
    v.adopt(&first, "w.");
    v.adopt(&first, "buf.");
    let store = filled(&v, &graph, str::to_owned);
    let unprojected = Some("depth");
    Case { sampler, raw: "w.alpha", unprojected, tolerance: 1e-7, ..Case::of(&v) }
        .check(graph, &store);
}

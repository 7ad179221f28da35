//! With one-hot rows, superposed, path and standalone execution are one network.

use rand::SeedableRng;
use rstest::rstest;
use skein_core::choice::Architecture;
use skein_core::dataset::DataShape;
use skein_core::graph::Graph;
use skein_core::spaces::{PRESETS, build, language};
use skein_core::spec::{Fidelity, Sharing, SpaceSpec};
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Pass, Plan};
use skein_engine::rows::uniform;
use skein_engine::state::seed::{Stream, seeded};
use skein_engine::store::Store;
use tch::{Kind, Tensor};

/// A preset in a size that a test can afford.
fn small(preset: &str) -> (SpaceSpec, DataShape) {
    let all = PRESETS.iter().chain([&language::TINY_STORIES]);
    let preset = all.into_iter().find(|known| known.preset == preset).unwrap();
    let mut shape = DataShape { height: 17, width: 15, ..preset.shape };
    let mut space = (preset.defaults)();
    match &mut space {
        SpaceSpec::ToyCell(options) => (options.channels, options.dropout) = (3, 0.0),
        SpaceSpec::NasBench201(options) => {
            (options.channels, options.cells) = (4, 1);
            (shape.height, shape.width) = (16, 12);
        }
        SpaceSpec::Darts(options) => {
            (options.channels, options.cells) = (2, 3);
            (shape.height, shape.width) = (16, 12);
        }
        SpaceSpec::ConvMacro(options) => {
            options.widths = vec![vec![2, 3, 5], vec![3, 4, 6], vec![2, 4, 8]];
            (options.last_width, options.head, options.dropout) = (4, vec![6], 0.0);
            (shape.height, shape.width) = (16, 16);
        }
        SpaceSpec::AutoformerT(options)
        | SpaceSpec::AutoformerS(options)
        | SpaceSpec::AutoformerB(options) => {
            options.widths = vec![8, 12, 16];
            options.depths = vec![1, 2, 3];
            (options.image_size, options.patch) = (24, 6);
        }
        SpaceSpec::MobilenetV3(options) => {
            options.depths = vec![1, 2];
            (options.width, options.image_size, options.dropout) = (0.1, 32, 0.0);
            shape.classes = 10;
        }
        SpaceSpec::Language(options) | SpaceSpec::LanguageChar(options) => {
            (options.layers, options.widths) = (vec![1, 2, 3], vec![12, 24, 48]);
            (options.heads, options.dropout) = (vec![2, 3, 4], 0.0);
            shape = DataShape { height: 1, width: 9, classes: 17, ..shape };
        }
    }
    (space, shape)
}

fn one_hot(graph: &Graph, architecture: &Architecture) -> Vec<Tensor> {
    let rows = graph.choices.iter().zip(&architecture.0);
    rows.map(|(choice, option)| {
        let mut row = vec![0.0; choice.options.len()];
        row[*option] = 1.0;
        Tensor::from_slice(&row)
    })
    .collect()
}

#[rstest]
#[case::toy_cell("toy-cell", Sharing::Entangled)]
#[case::toy_cell_outputs("toy-cell", Sharing::EntangledOutputs)]
#[case::toy_cell_separate("toy-cell", Sharing::Shared)]
#[case::nas_bench_201("nas-bench-201", Sharing::Entangled)]
#[case::nas_bench_201_separate("nas-bench-201", Sharing::Shared)]
#[case::darts("darts", Sharing::Entangled)]
#[case::conv_macro("conv-macro", Sharing::Entangled)]
#[case::autoformer_t("autoformer-t", Sharing::Entangled)]
#[case::autoformer_s("autoformer-s", Sharing::Entangled)]
#[case::mobilenet_v3("mobilenet-v3", Sharing::Entangled)]
#[case::language("language", Sharing::Entangled)]
fn the_three_executions_agree(#[case] preset: &str, #[case] sharing: Sharing) {
    let (compute, (space, shape)) = (Compute::exact(), small(preset));
    let graph = build(&space, shape, sharing).unwrap();
    let store = Store::initialised(&graph, compute, 5, Stream::Weights).unwrap();
    let exec = Executor::new(graph.clone(), sharing, Fidelity::Corrected, compute).unwrap();
    let x = seeded(7, compute.device, || match graph.input_shape().unwrap()[..] {
        [tokens] => Tensor::randint(shape.classes, [3, tokens], (Kind::Int64, compute.device)),
        _ => {
            let size = [3, shape.channels, shape.height, shape.width];
            Tensor::randn(size, (Kind::Double, compute.device))
        }
    });
    held_and_learned_rows_agree(&exec, &store, &x);
    let mut generator = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(8);
    for _ in 0..100 {
        let architecture = uniform::draw(&graph.choices, &mut generator);
        let rows = one_hot(&graph, &architecture);
        let path = exec.forward(&store, &x, Plan::Path(&architecture, None), Pass::BATCH).unwrap();
        let mixed = exec.forward(&store, &x, Plan::Superposed(&rows), Pass::BATCH).unwrap();
        let fixed = graph.specialise(&architecture).unwrap();
        let inherited = store.inherit(&fixed, compute).unwrap();
        let nothing = Architecture(vec![]);
        let alone = Executor::fixed(fixed.graph, compute).unwrap();
        let alone = alone.forward(&inherited, &x, Plan::Path(&nothing, None), Pass::BATCH).unwrap();
        for other in [mixed, alone] {
            let error = (&path - other).abs().max().double_value(&[]);
            assert!(error < 1e-10, "{architecture:?}: {error:e}");
        }
    }
}

/// Rows that are learned are applied as gates, held ones as masks; both are the same mixture.
fn held_and_learned_rows_agree(exec: &Executor, store: &Store, x: &Tensor) {
    let rows: Vec<Tensor> = exec
        .graph()
        .choices
        .iter()
        .zip(0..)
        .map(|(choice, seed)| {
            let size = [i64::try_from(choice.options.len()).unwrap()];
            let options = (Kind::Double, tch::Device::Cpu);
            seeded(seed, options.1, || Tensor::randn(size, options)).softmax(-1, Kind::Double)
        })
        .collect();
    let run = |rows: &[Tensor]| {
        exec.forward(store, x, Plan::Superposed(rows), Pass::BATCH).unwrap().detach()
    };
    let held = run(&rows);
    let learned: Vec<Tensor> =
        rows.iter().map(|row| row.detach().set_requires_grad(true)).collect();
    let error = (held - run(&learned)).abs().max().double_value(&[]);
    assert!(error < 1e-10, "{error:e}");
}

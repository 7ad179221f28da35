//! Single precision, in which a CPU takes loops of its own, gives what double precision gives.

use rstest::rstest;
use skein_core::spaces;
use skein_core::spec::{Fidelity, Sharing, SpaceSpec};
use skein_engine::certify::small;
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Pass, Plan};
use skein_engine::search::bilevel::cross_entropy;
use skein_engine::state::seed::{Stream, seeded};
use skein_engine::store::Store;
use tch::{Device, Kind, Tensor};

/// Of a gradient's length; single precision has 6·10⁻⁸, and norms divide by what may be small.
const TOLERANCE: f64 = 1e-4;

/// Loss, gradient of the weights and gradient of the rows of one superposed pass.
fn numbers(exec: &Executor, store: &Store, x: &Tensor, y: &Tensor, kind: Kind) -> [Tensor; 3] {
    let graph = exec.graph();
    let rows: Vec<Tensor> = graph
        .choices
        .iter()
        .zip(1..)
        .map(|(choice, seed)| {
            let count = i64::try_from(choice.options.len()).unwrap();
            let place = (Kind::Double, Device::Cpu);
            let drawn = seeded(seed, Device::Cpu, || Tensor::randn([count], place));
            drawn.softmax(0, Kind::Double).to_kind(kind).set_requires_grad(true)
        })
        .collect();
    let pass = |rows: &[Tensor]| {
        let logits = exec.forward(store, x, Plan::Superposed(rows), Pass::BATCH).unwrap();
        cross_entropy(&logits, y)
    };
    let loss = pass(&rows);
    let weights = store.weights.gradient(&loss).unwrap().flat;
    let of_rows = Tensor::run_backward(&[pass(&rows)], &rows, false, false);
    let of_rows: Vec<Tensor> = of_rows.iter().map(|row| row.to_kind(Kind::Double)).collect();
    [loss.detach().view([1]), weights, Tensor::cat(&of_rows, 0)]
        .map(|all| all.to_kind(Kind::Double))
}

#[rstest]
fn single_precision_is_double_precision_rounded(
    #[values("toy-cell", "darts", "mobilenet-v3", "nas-bench-201", "conv-macro")] preset: &str,
    #[values(Fidelity::Corrected, Fidelity::Reference)] fidelity: Fidelity,
) {
    let (mut space, shape) = small::space(preset).unwrap();
    match &mut space {
        SpaceSpec::ToyCell(options) => options.channels = 16,
        SpaceSpec::Darts(options) => options.channels = 8,
        SpaceSpec::MobilenetV3(options) => options.width = 0.5,
        _ => {}
    }
    let graph = spaces::build(&space, shape, Sharing::Entangled).unwrap();
    let stored = Store::initialised(&graph, Compute::PLAIN, 3, Stream::Weights).unwrap();
    let x = small::noise(&graph, shape.classes, 6, Compute::PLAIN).unwrap();
    let y =
        seeded(9, Device::Cpu, || Tensor::randint(shape.classes, [6], (Kind::Int64, Device::Cpu)));
    let run = |compute: Compute| {
        let store = Store::zeroed(&graph, compute);
        store.take_over(&stored, &[]).unwrap();
        let exec = Executor::new(graph.clone(), Sharing::Entangled, fidelity, compute).unwrap();
        numbers(&exec, &store, &x.to_kind(compute.kind), &y, compute.kind)
    };
    let (single, double) = (run(Compute::PLAIN), run(Compute::exact()));
    for (what, (single, double)) in
        ["loss", "weights", "rows"].iter().zip(single.iter().zip(&double))
    {
        let length = double.norm().double_value(&[]);
        assert!(length > 0.0, "{what} has no gradient");
        let error = (single - double).norm().double_value(&[]) / length;
        assert!(error < TOLERANCE, "{what}: {error:e}");
    }
}

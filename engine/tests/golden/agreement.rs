//! With one-hot rows, superposed, path and standalone execution are one network.

use rstest::rstest;
use skein_core::spec::Sharing;
use skein_engine::certify::{agreement, masks, small};
use skein_engine::device::Compute;

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
    let error = agreement::largest_error(preset, sharing, 100, Compute::exact()).unwrap();
    assert!(error < 1e-10, "{error:e}");
}

/// The supernets of partial channels, before and after operations are dropped.
#[rstest]
#[case::first_half(Sharing::Entangled, false)]
#[case::second_half(Sharing::Entangled, true)]
#[case::outputs(Sharing::EntangledOutputs, true)]
#[case::separate(Sharing::Shared, true)]
fn they_agree_on_partial_channels(#[case] sharing: Sharing, #[case] dropped: bool) {
    let (graph, classes) = small::partial(sharing, dropped).unwrap();
    let (of, compute) = ((sharing, 20), Compute::exact());
    let error = agreement::largest_error_in(&graph, classes, of, compute).unwrap();
    assert!(error < 1e-10, "{error:e}");
}

#[test]
fn masks_equal_the_padded_sum_in_every_space() {
    let mut elastic = 0;
    for preset in small::presets() {
        let error = masks::largest_error(preset, Compute::exact()).unwrap();
        assert!(error.is_none_or(|error| error < 1e-13), "{preset}: {error:?}");
        elastic += u32::from(error.is_some());
    }
    assert!(elastic >= 7, "{elastic} spaces with elastic tensors");
}

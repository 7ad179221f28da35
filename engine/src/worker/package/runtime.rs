//! ONNX models in a runtime that is not libtorch, to check them: `tract`.

use std::path::Path;

use tch::{Kind, Tensor};
use tract_onnx::prelude::{
    Datum, Framework, InferenceFact, InferenceModelExt, IntoRunnable, Tensor as Value, TractError,
    TractResult, tvec,
};

use crate::EngineError;

/// The output of a model for one input, images or tokens of any batch size.
///
/// # Errors
/// - [`EngineError::Bug`] if the model cannot be read or run.
pub(super) fn run(path: &Path, x: &Tensor) -> Result<Tensor, EngineError> {
    let sizes = x.size();
    let shape: Vec<usize> = sizes.iter().filter_map(|size| usize::try_from(*size).ok()).collect();
    let flat = x.contiguous().view([-1]);
    let input = if x.kind() == Kind::Int64 {
        Value::from_shape(&shape, &Vec::<i64>::try_from(&flat)?)
    } else {
        Value::from_shape(&shape, &Vec::<f32>::try_from(&flat)?)
    };
    let output = input.and_then(|input| output(path, input));
    let (shape, numbers) =
        output.map_err(|error| EngineError::Bug(format!("tract cannot run it: {error:#}")))?;
    let shape: Vec<i64> = shape.into_iter().filter_map(|size| i64::try_from(size).ok()).collect();
    Ok(Tensor::from_slice(&numbers).view(shape.as_slice()))
}

fn output(path: &Path, input: Value) -> TractResult<(Vec<usize>, Vec<f32>)> {
    let fact = InferenceFact::dt_shape(input.datum_type(), input.shape());
    let mut model = tract_onnx::onnx().model_for_path(path)?;
    model.set_input_fact(0, fact)?;
    let outputs = model.into_optimized()?.into_runnable()?.run(tvec!(input.into()))?;
    let first = outputs.first().ok_or_else(|| TractError::msg("no output"))?;
    let numbers = first.cast_to_dt(f32::datum_type())?;
    Ok((first.shape().to_vec(), numbers.try_as_plain_ram()?.as_slice::<f32>()?.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use rstest::rstest;
    use skein_core::export::{About, onnx};
    use skein_core::graph::{Builder, Op, Resize};

    use super::*;

    /// The rounding of a resized image runs through the whole network, which may enlarge it.
    #[rstest]
    #[case::larger(28, 30, 64)]
    #[case::smaller(33, 32, 24)]
    fn images_are_resized_as_exactly_as_single_precision_allows(
        #[case] height: i64,
        #[case] width: i64,
        #[case] side: i64,
    ) {
        let mut builder = Builder::new(vec![3, height, width]);
        let resized = builder.add("resize", Op::Resize(Resize { side }), &[0]);
        let about = About { title: "Resize", architecture: "none" };
        let model =
            onnx::model(&builder.finish(resized).unwrap(), &about, &BTreeMap::new()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        fs::write(&path, model).unwrap();
        tch::manual_seed(1);
        let x = Tensor::randn([2, 3, height, width], (Kind::Float, tch::Device::Cpu));
        let exact = x.to_kind(Kind::Double).upsample_bicubic2d([side, side], false, None, None);
        let off = (run(&path, &x).unwrap() - &exact).abs().max() / exact.abs().max();
        assert!(off.double_value(&[]) < 2e-7, "{off}");
    }
}

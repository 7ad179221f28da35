//! The network itself in the forms that other programs read, each checked before it is offered.
//!
//! Whatever device and precision trained it, it is written in single precision for a CPU: weights,
//! TorchScript (traced), ONNX, and an example with the output that all of them must give.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use skein_core::export::{About, onnx, pytorch};
use skein_core::graph::Graph;
use skein_core::package::{ONNX, SCRIPT, SOURCE, WEIGHTS, loaders};
use tch::{CModule, Kind, Tensor};

use super::runtime;
use crate::EngineError;
use crate::device::Compute;
use crate::error::IoContext;
use crate::exec::Pass;
use crate::store::Store;
use crate::train::network::Network;

/// Largest difference between the network in memory and a written form, relative to the largest
/// output where that exceeds 1.
const TOLERANCE: f64 = 1e-5;
/// Examples in [`loaders::EXAMPLE`].
const EXAMPLES: i64 = 8;
/// How the names of batch norm's variances end.
const VARIANCE: &str = "running_var";
/// How those of its counters do, which PyTorch saves beside them.
const COUNTER: &str = "num_batches_tracked";

/// A written network that equals the one in memory.
#[derive(Debug)]
pub(super) struct Written<'a> {
    folder: &'a Path,
    /// Read back from [`WEIGHTS`].
    copy: Network,
    /// Some examples.
    probe: Tensor,
    /// What the network in memory makes of them, computed in double precision: however a run
    /// computes, and wherever, a written form is held against the same numbers.
    expected: Tensor,
}

/// A network with the weights of a file, which holds exactly the network's tensors, and batch
/// norm's counters.
///
/// # Errors
/// - [`EngineError::Missing`], [`EngineError::Shape`] or [`EngineError::Content`] if it holds others;
///   [`EngineError::Tensor`] if it is no safetensors file.
pub(crate) fn read(graph: Graph, path: &Path, compute: Compute) -> Result<Network, EngineError> {
    let store = Store::zeroed(&graph, compute);
    let mut saved: BTreeMap<String, Tensor> = Tensor::read_safetensors(path)?.into_iter().collect();
    for param in graph.params() {
        let tensor =
            saved.remove(&param.name).ok_or_else(|| EngineError::Missing(param.name.clone()))?;
        store.set(&param.name, &tensor)?;
        if let Some(norm) = param.name.strip_suffix(VARIANCE) {
            saved.remove(&format!("{norm}{COUNTER}"));
        }
    }
    if let Some(name) = saved.keys().next() {
        let reason = format!("tensor `{name}` is none of the network's");
        return Err(EngineError::Content { path: path.to_owned(), reason });
    }
    Network::with(graph, store, compute)
}

/// Writes the weights, reads them back and compares.
///
/// # Errors
/// - [`EngineError::Io`] if a file cannot be written, [`EngineError::Bug`] if the copy differs.
pub(super) fn write<'a>(
    network: &Network,
    folder: &'a Path,
    probe: &Tensor,
) -> Result<Written<'a>, EngineError> {
    let path = folder.join(WEIGHTS);
    save(&network.store, &path)?;
    let copy = read(network.graph().clone(), &path, Compute::PLAIN)?.held();
    let probe = in_kind(probe, Compute::PLAIN);
    let exact = network.exactly()?;
    let expected =
        tch::no_grad(|| exact.forward(&in_kind(&probe, Compute::exact()), Pass::EVALUATE))?;
    let written = Written { folder, copy, probe, expected };
    let own = tch::no_grad(|| written.copy.forward(&written.probe, Pass::EVALUATE))?;
    match fault(&written.expected, &own) {
        None => Ok(written),
        Some(fault) => Err(EngineError::Bug(format!("the saved weights: {fault}"))),
    }
}

impl Written<'_> {
    /// Writes the source and an example with its output.
    pub(super) fn source(&self, about: &About<'_>) -> Result<(), EngineError> {
        let text = pytorch::module(self.copy.graph(), about)
            .map_err(|error| EngineError::Bug(error.to_string()))?;
        let path = self.folder.join(SOURCE);
        fs::write(&path, text).at(&path)
    }

    /// Writes some examples with their outputs, as NumPy reads them.
    pub(super) fn example(&self, input: &str) -> Result<(), EngineError> {
        let count = EXAMPLES.min(self.probe.size()[0]);
        let first =
            |tensor: &Tensor| in_kind(tensor, Compute::PLAIN).narrow(0, 0, count).contiguous();
        let tensors = [(input, first(&self.probe)), (onnx::OUTPUT, first(&self.expected))];
        Ok(Tensor::write_npz(&tensors, self.folder.join(loaders::EXAMPLE))?)
    }

    /// Writes the network as TorchScript, reads it back and compares; gives what is wrong with it,
    /// and then leaves no file.
    pub(super) fn script(&self) -> Result<Option<String>, EngineError> {
        let path = self.folder.join(SCRIPT);
        let mut failed = None;
        // Traced with none of the sizes that are compared, so that none is baked in unseen.
        let x = self.probe.narrow(0, 0, 2.min(self.probe.size()[0]));
        let x = if is_text(&x) { x.narrow(1, 0, (2 * x.size()[1] + 2) / 3) } else { x };
        let traced = tch::no_grad(|| {
            CModule::create_by_tracing("Network", "forward", &[x], &mut |x: &[Tensor]| match self
                .copy
                .forward(&x[0], Pass::EVALUATE)
            {
                Ok(y) => vec![y],
                Err(error) => {
                    failed = Some(error);
                    vec![x[0].shallow_clone()]
                }
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        traced?.save(&path)?;
        let module = CModule::load_on_device(&path, Compute::PLAIN.device)?;
        self.kept_if(&path, |x| Ok(module.forward_ts(&[x])?))
    }

    /// Writes the network as ONNX, runs it in another runtime and compares likewise.
    pub(super) fn onnx(&self, about: &About<'_>) -> Result<Option<String>, EngineError> {
        let path = self.folder.join(ONNX);
        let bytes = bytes_of(&self.copy.store)?;
        let weights = bytes.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())).collect();
        let model = onnx::model(self.copy.graph(), about, &weights)
            .map_err(|error| EngineError::Bug(error.to_string()))?;
        fs::write(&path, model).at(&path)?;
        self.kept_if(&path, |x| runtime::run(&path, x))
    }

    /// Compares a written form with the network, one example alone, all at once, and texts cut in
    /// half; a form that differs or cannot be run is deleted.
    fn kept_if(
        &self,
        path: &Path,
        run: impl Fn(&Tensor) -> Result<Tensor, EngineError>,
    ) -> Result<Option<String>, EngineError> {
        let Self { probe, expected, .. } = self;
        let mut cases = vec![(0, 1), (0, probe.size()[0])];
        if is_text(probe) {
            // No token sees a later one.
            cases.push((1, (probe.size()[1] + 1) / 2));
        }
        let faults = cases.into_iter().map(|(dim, size)| {
            let first = |tensor: &Tensor| tensor.narrow(dim, 0, size);
            match tch::no_grad(|| run(&first(probe))) {
                Ok(got) => fault(&first(expected), &got),
                Err(error) => Some(error.to_string()),
            }
        });
        let found = faults.flatten().next();
        if found.is_some() {
            fs::remove_file(path).at(path)?;
        }
        Ok(found)
    }
}

/// Whether a network reads numbers of tokens, `[batch, tokens]`.
fn is_text(x: &Tensor) -> bool {
    !x.is_floating_point()
}

/// Numbers where and as wide as something computes; tokens stay whole.
fn in_kind(tensor: &Tensor, compute: Compute) -> Tensor {
    let there = tensor.to_device(compute.device);
    if there.is_floating_point() { there.to_kind(compute.kind) } else { there }
}

/// What tells an output from the expected one, if anything.
fn fault(expected: &Tensor, got: &Tensor) -> Option<String> {
    if got.size() != expected.size() {
        return Some(format!("its output has shape {:?}, not {:?}", got.size(), expected.size()));
    }
    let largest = |tensor: Tensor| tensor.abs().max().to_kind(Kind::Double).double_value(&[]);
    let difference = largest(expected - got);
    let scale = largest(expected.shallow_clone()).max(1.0);
    // A difference that is no number is one too.
    let equal = difference <= TOLERANCE * scale;
    (!equal).then(|| format!("its output differs from the trained network's by {difference:e}"))
}

/// A network's tensors as they are written, by PyTorch's names.
fn tensors(store: &Store) -> impl Iterator<Item = (&str, Tensor)> {
    let flats = [&store.weights, &store.stats].into_iter();
    flats.flat_map(|flat| flat.params().iter().zip(flat.views())).map(|(param, view)| {
        (param.name.as_str(), in_kind(&view.detach(), Compute::PLAIN).contiguous())
    })
}

/// Saves them, batch norm's counters included.
fn save(store: &Store, path: &Path) -> Result<(), EngineError> {
    let mut saved: Vec<(String, Tensor)> = Vec::new();
    for (name, tensor) in tensors(store) {
        saved.push((name.to_owned(), tensor));
        if let Some(norm) = name.strip_suffix(VARIANCE) {
            saved.push((format!("{norm}{COUNTER}"), Tensor::from(0_i64)));
        }
    }
    Tensor::write_safetensors(&saved, path)?;
    Ok(())
}

/// Every tensor as ONNX stores it.
fn bytes_of(store: &Store) -> Result<BTreeMap<String, Vec<u8>>, EngineError> {
    let bytes = |(name, tensor): (&str, Tensor)| {
        let numbers = Vec::<f32>::try_from(&tensor.view([-1]))?;
        Ok((name.to_owned(), numbers.into_iter().flat_map(f32::to_le_bytes).collect()))
    };
    tensors(store).map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};
    use skein_core::choice::Architecture;
    use skein_core::dataset::DataShape;
    use skein_core::spaces;
    use skein_core::spec::{Sharing, SpaceSpec};

    use super::*;

    const NB201: &str = "nas-bench-201";

    fn small(preset: &str, options: &Value, picked: &[usize]) -> Graph {
        let known = spaces::find(preset).unwrap();
        let mut space = serde_json::to_value((known.defaults)()).unwrap();
        for (name, value) in options.as_object().unwrap() {
            space[name] = value.clone();
        }
        let space: SpaceSpec = serde_json::from_value(space).unwrap();
        let shape = DataShape { channels: 3, height: 16, width: 16, classes: 10 };
        let graph = spaces::build(&space, shape, Sharing::Entangled).unwrap();
        let options = (0..graph.choices.len()).map(|at| picked[at % picked.len()]);
        graph.specialise(&Architecture(options.collect())).unwrap().graph
    }

    /// Nodes that only zeros reach, and cells of one operation throughout, where searches that
    /// collapse end. Options of NAS-Bench-201: pooling, 3×3, 1×1, skip, none; its edges are 0→1,
    /// 0→2, 1→2, 0→3, 1→3, 2→3. Those of DARTS: none, two poolings, skip, two separable, two dilated.
    #[rstest]
    #[case::first_node_of_zeros(NB201, json!({"cells": 1}), &[4, 1, 4, 3, 1, 0])]
    #[case::second_node_of_zeros(NB201, json!({"cells": 1}), &[1, 4, 4, 3, 2, 1])]
    #[case::both_nodes_of_zeros(NB201, json!({"cells": 1}), &[4, 4, 4, 3, 1, 2])]
    #[case::output_of_zeros(NB201, json!({"cells": 1}), &[1, 2, 3, 4, 4, 4])]
    #[case::all_none(NB201, json!({"cells": 1}), &[4])]
    #[case::all_skip(NB201, json!({"cells": 1}), &[3])]
    #[case::all_pool(NB201, json!({"cells": 1}), &[0])]
    #[case::darts_all_none("darts", json!({"cells": 3, "nodes": 2}), &[0])]
    #[case::darts_all_max("darts", json!({"cells": 3, "nodes": 2}), &[1])]
    #[case::darts_all_average("darts", json!({"cells": 3, "nodes": 2}), &[2])]
    #[case::darts_all_skip("darts", json!({"cells": 3, "nodes": 2}), &[3])]
    #[case::darts_node_of_zeros("darts", json!({"cells": 3, "nodes": 2}), &[0, 0, 4, 3, 6])]
    #[case::toy_all_none("toy-cell", json!({"operations": ["sep3", "none", "skip"]}), &[1])]
    #[case::toy_node_of_zeros("toy-cell", json!({"operations": ["sep3", "none", "skip"]}), &[1, 2, 0])]
    fn every_cell_is_written_in_every_form(
        #[case] preset: &str,
        #[case] options: Value,
        #[case] picked: &[usize],
    ) {
        let mut options = options;
        options["channels"] = json!(4);
        tch::manual_seed(1);
        let probe = Tensor::randn([3, 3, 16, 16], (Kind::Float, tch::Device::Cpu));
        for compute in [Compute::PLAIN, Compute::exact()] {
            let network = Network::fresh(small(preset, &options, picked), compute, 1).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let written = write(&network, folder.path(), &probe).unwrap();
            let about = About { title: "A cell", architecture: "small" };
            assert_eq!(written.onnx(&about).unwrap(), None);
            assert_eq!(written.script().unwrap(), None);
        }
    }
}

//! Proofs that a person can run on a machine of their own; none needs a file.
//!
//! Each proof compares what Skein computes with what it must equal, and gives one figure with a
//! bound: [`agreement`] of the three executions, [`masks`] against the padded sum, [`gradients`]
//! against finite differences, a [`resume`]d search against an uninterrupted one, channels that
//! were sorted for [`shrinking`] against those before, and the [`speed`] of superposition. [`run`]
//! is the way in. The tests of the engine call the same functions with more architectures.

pub mod agreement;
pub mod gradients;
pub mod masks;
pub mod resume;
pub mod shrinking;
pub mod small;
pub mod speed;

use skein_core::certificate::{CERTIFICATE_VERSION, Certificate, Proof};
use skein_core::spaces::darts;
use skein_core::spec::{OptimizerSpec, Precision, Projection, Sharing};

use crate::EngineError;
use crate::device::{self, Compute};
use crate::worker::events::now;

/// Architectures of a space that are compared.
const ARCHITECTURES: usize = 20;
/// The same where it must be quick.
const QUICK_ARCHITECTURES: usize = 4;
/// Largest difference of outputs in double precision.
const AGREEMENT: f64 = 1e-10;
/// Largest difference of a mask from the padded sum in double precision, in parts of a weight.
const MASK: f64 = 1e-12;
/// Largest difference of outputs after channels are sorted, relative above 1.
const SORTED: f64 = 1e-11;
/// Largest difference of a gradient from finite differences, relative above 1.
const GRADIENT: f64 = 1e-6;
/// Largest difference of weights or rows after a resumption on a GPU, where sums have no order;
/// on a CPU there must be none.
const GPU_RESUME: f64 = 1e-3;
/// Largest ratio of a superposed pass to the largest network's. The engine is built for 1.1; the
/// rest is room for what else a machine does meanwhile.
const RATIO: f64 = 1.25;

/// Which proofs to run, and where.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Only what concerns this space.
    pub space: Option<&'a str>,
    /// Fewer architectures and one measurement of speed.
    pub quick: bool,
    /// The device, as in a specification.
    pub device: &'a str,
}

/// Runs the proofs one by one; `say` is told of each as it ends.
///
/// # Errors
/// - [`EngineError::Missing`] if there is no such space, or as the parts that are proven.
pub fn run(
    settings: Settings<'_>,
    mut say: impl FnMut(&Proof),
) -> Result<Certificate, EngineError> {
    let (at, mut proofs) = (now(), Vec::new());
    prove(settings, |proof| {
        say(&proof);
        proofs.push(proof);
    })?;
    let compute = Compute::choose(settings.device, Precision::Float32)?;
    Ok(Certificate {
        version: CERTIFICATE_VERSION,
        at,
        worker: env!("CARGO_PKG_VERSION").to_owned(),
        device: device::name(compute.device),
        space: settings.space.map(str::to_owned),
        quick: settings.quick,
        proofs,
    })
}

fn prove(settings: Settings<'_>, mut say: impl FnMut(Proof)) -> Result<(), EngineError> {
    let exact = Compute::choose(settings.device, Precision::Float64)?;
    let single = Compute::choose(settings.device, Precision::Float32)?;
    let wanted = |preset: &str| settings.space.is_none_or(|space| space == preset);
    let presets: Vec<&str> = small::presets().into_iter().filter(|one| wanted(one)).collect();
    if let (Some(space), true) = (settings.space, presets.is_empty()) {
        return Err(EngineError::Missing(format!("space {space}")));
    }
    let count = if settings.quick { QUICK_ARCHITECTURES } else { ARCHITECTURES };
    for preset in &presets {
        one_network(preset, count, exact, &mut say)?;
    }
    if wanted(gradients::SPACE) {
        for (name, optimizer) in optimizers().into_iter().filter(|(_, one)| has_rows(one)) {
            let error = gradients::largest_error(&optimizer, exact)?;
            let name = format!("{name}: gradients of the rows are finite differences");
            say(Proof::new(name, error, GRADIENT));
        }
    }
    if wanted(shrinking::SPACE) {
        let error = shrinking::largest_error(shrinking::SPACE, exact)?;
        let name = "OFA: sorted channels leave every trained network what it was";
        say(Proof::new(name, error, SORTED));
    }
    for (name, optimizer) in optimizers() {
        if wanted(resume::preset(&optimizer)) {
            let error = resume::largest_error(&optimizer, single)?;
            let bound = if single.device.is_cuda() { GPU_RESUME } else { 0.0 };
            say(Proof::new(format!("{name}: a resumed search is the same search"), error, bound));
        }
    }
    let measured = speed::SPACES.iter().filter(|preset| wanted(preset));
    for preset in measured.take(if settings.quick { 1 } else { usize::MAX }) {
        let ratio = speed::ratio(preset, settings.quick, single)?;
        let name = format!("{preset}: superposed pass over the largest network's");
        say(Proof::new(name, ratio, RATIO));
    }
    Ok(())
}

/// All executions of a space agree, and its masks are those of the method.
fn one_network(
    preset: &str,
    count: usize,
    exact: Compute,
    say: &mut impl FnMut(Proof),
) -> Result<(), EngineError> {
    let sharing = Sharing::Entangled;
    let error = agreement::largest_error(preset, sharing, count, exact)?;
    let name = format!("{preset}: superposed, path and standalone agree");
    say(Proof::new(name, error, AGREEMENT));
    if let Some(error) = masks::largest_error(preset, exact)? {
        say(Proof::new(format!("{preset}: masks equal the padded sum"), error, MASK));
    }
    if preset == darts::PRESET.preset {
        for (dropped, what) in [(false, "all operations"), (true, "some operations dropped")] {
            let (graph, classes) = small::partial(sharing, dropped)?;
            let error = agreement::largest_error_in(&graph, classes, (sharing, count), exact)?;
            let name = format!("{preset}, partial channels, {what}: the three agree");
            say(Proof::new(name, error, AGREEMENT));
        }
    }
    Ok(())
}

/// Whether an optimizer draws rows in a way of its own; partial channels have the rows of DrNAS.
fn has_rows(optimizer: &OptimizerSpec) -> bool {
    optimizer.learns_rows() && !matches!(optimizer, OptimizerSpec::DrnasProgressive { .. })
}

/// Every optimizer, with its name.
fn optimizers() -> [(&'static str, OptimizerSpec); 8] {
    let darts = |projection, order| OptimizerSpec::Darts { projection, order, frozen_epochs: 0 };
    let progressive = OptimizerSpec::DrnasProgressive {
        part_start: 4,
        part_end: 2,
        operations: 3,
        frozen_epochs: 1,
    };
    [
        ("DrNAS", OptimizerSpec::Drnas { kl_scale: 0.0, frozen_epochs: 0 }),
        ("DARTS", darts(Projection::Softmax, 1)),
        ("DARTS, sparsemax", darts(Projection::Sparsemax, 1)),
        ("DARTS, second order", darts(Projection::Softmax, 2)),
        ("GDAS", OptimizerSpec::Gdas { tau_start: 10.0, tau_end: 0.1, frozen_epochs: 0 }),
        ("SPOS", OptimizerSpec::Spos),
        ("DrNAS, partial channels", progressive),
        ("OFA", OptimizerSpec::Ofa { sub_nets: 4, kd_ratio: 1.0 }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_of_one_space_holds() {
        let mut told = Vec::new();
        let settings = Settings { space: Some("toy-cell"), quick: true, device: "cpu" };
        let found = run(settings, |proof| told.push(proof.clone())).unwrap();
        assert_eq!(found.failed(), 0, "{:?}", found.proofs);
        // Agreement and masks, five gradients, six resumptions.
        assert_eq!(found.proofs.len(), 2 + 5 + 6, "{:?}", found.proofs);
        assert_eq!((&found.proofs, found.device.as_str()), (&told, "cpu"));
        let settings = Settings { space: Some("nowhere"), ..settings };
        assert!(matches!(run(settings, |_| ()), Err(EngineError::Missing(_))));
    }

    #[test]
    fn every_optimizer_resumes_as_if_never_interrupted() {
        for (name, optimizer) in optimizers() {
            let error = resume::largest_error(&optimizer, Compute::PLAIN).unwrap();
            assert!(error == 0.0, "{name}: {error:e}");
        }
    }

    #[test]
    fn sorting_is_proven_where_it_moves_channels() {
        let error = shrinking::largest_error(shrinking::SPACE, Compute::exact()).unwrap();
        assert!(error > 0.0, "sums in another order are other sums");
        assert!(error < SORTED, "{error:e}");
    }
}

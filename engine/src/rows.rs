//! From architecture parameters to the weights of the candidates.
//!
//! Rows are kept and drawn in double precision, whatever the weights are kept in: they are a few
//! dozen numbers.

pub mod darts;
pub mod drnas;
pub mod gdas;
pub mod uniform;

use skein_core::choice::{Architecture, Choice};
use tch::{Device, Kind, Tensor};

use crate::EngineError;
use crate::state::seed::{Stream, derive, seeded};
use crate::store::replace;

/// How far from zero the parameters start (standard deviation).
const START: f64 = 1e-3;

/// The architecture parameters: one tensor per kind of choice, one row per choice.
#[derive(Debug)]
pub struct Alphas {
    buffer: Tensor,
    tensors: Vec<(String, Tensor)>,
    /// For every choice its tensor and row.
    rows: Vec<(usize, i64)>,
    /// One for every option that takes part, zero for the others, in the order of the buffer; none
    /// if all do.
    mask: Option<Tensor>,
}

/// The rows of one pass.
#[derive(Debug)]
pub struct Draw {
    /// One tensor `[options]` per choice, in the kind of the weights.
    pub rows: Vec<Tensor>,
    /// The selected options, where a draw selects.
    pub path: Option<Architecture>,
}

impl Alphas {
    /// Zeroed parameters for some choices.
    #[must_use]
    pub fn zeroed(choices: &[Choice], device: Device) -> Self {
        let mut shapes: Vec<(String, i64, i64)> = Vec::new();
        let mut rows = Vec::with_capacity(choices.len());
        for choice in choices {
            let options = i64::try_from(choice.options.len()).unwrap_or(0);
            let at =
                shapes.iter().position(|(name, ..)| *name == choice.tensor).unwrap_or_else(|| {
                    shapes.push((choice.tensor.clone(), 0, options));
                    shapes.len() - 1
                });
            rows.push((at, shapes[at].1));
            shapes[at].1 += 1;
        }
        let total: i64 = shapes.iter().map(|(_, rows, options)| rows * options).sum();
        let buffer = Tensor::zeros([total], (Kind::Double, device));
        let mut offset = 0;
        let tensors = shapes.into_iter().map(|(name, rows, options)| {
            let view = buffer.narrow(0, offset, rows * options).view([rows, options]);
            offset += rows * options;
            (name, view.detach().set_requires_grad(true))
        });
        let tensors = tensors.collect();
        Self { buffer, tensors, rows, mask: None }
    }

    /// Parameters as a search starts with them: `1e-3 · N(0, 1)`.
    #[must_use]
    pub fn initialised(choices: &[Choice], device: Device, seed: u64) -> Self {
        let mut alphas = Self::zeroed(choices, device);
        // On the CPU, so that a GPU starts from the same rows.
        let normal = seeded(derive(seed, Stream::Rows, 0), Device::Cpu, || {
            Tensor::randn(alphas.buffer.size(), (Kind::Double, Device::Cpu))
        });
        let start = normal * START;
        tch::no_grad(|| alphas.buffer.copy_(&start));
        alphas
    }

    /// From now on only these options of each choice take part: the others' parameters are zero,
    /// and rows share out their weights.
    pub fn keep(&mut self, kept: &[Vec<usize>]) {
        let mask = self.buffer.zeros_like();
        let parts = self.parts(&mask);
        for ((at, row), options) in self.rows.iter().zip(kept) {
            for option in options {
                let option = i64::try_from(*option).unwrap_or(-1);
                let _ = parts[*at].get(*row).get(option).fill_(1.0);
            }
        }
        self.mask = Some(mask);
        self.drop_from(&mut self.buffer.shallow_clone());
    }

    /// From now on all options take part.
    pub fn keep_all(&mut self) {
        self.mask = None;
    }

    /// Zeroes what a flat tensor like the parameters holds of options that take no part.
    pub fn drop_from(&self, flat: &mut Tensor) {
        if let Some(mask) = &self.mask {
            let _ = tch::no_grad(|| flat.g_mul_(mask));
        }
    }

    /// Rows of one tensor per parameter tensor without the options that take no part.
    #[must_use]
    pub fn masked(&self, tensors: Vec<Tensor>) -> Vec<Tensor> {
        let Some(mask) = &self.mask else { return tensors };
        let masked = tensors.into_iter().zip(self.parts(mask)).map(|(tensor, mask)| {
            let kept = tensor * mask;
            &kept / kept.sum_dim_intlist(-1, true, Kind::Double)
        });
        masked.collect()
    }

    /// Views of a flat tensor like the parameters, one per parameter tensor.
    fn parts(&self, flat: &Tensor) -> Vec<Tensor> {
        let lengths: Vec<i64> =
            self.tensors.iter().map(|(_, tensor)| tensor.size().iter().product()).collect();
        let parts = flat.split_with_sizes(lengths.as_slice(), 0);
        let views = parts.iter().zip(&self.tensors);
        views.map(|(part, (_, tensor))| part.view_as(tensor)).collect()
    }

    /// All parameters in one flat tensor; changing it changes every row.
    pub fn buffer(&self) -> &Tensor {
        &self.buffer
    }

    /// Replaces all parameters.
    ///
    /// # Errors
    /// - [`EngineError`] if the length differs.
    pub fn load(&mut self, content: &Tensor) -> Result<(), EngineError> {
        replace(&self.buffer, content, "alpha")
    }

    /// The tensors by name, each `[rows, options]`.
    pub fn tensors(&self) -> &[(String, Tensor)] {
        &self.tensors
    }

    /// Gradients of a loss for all parameters, as one flat tensor.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the loss does not depend on them.
    pub fn gradient(&self, loss: &Tensor) -> Result<Tensor, EngineError> {
        let leaves: Vec<&Tensor> = self.tensors.iter().map(|(_, tensor)| tensor).collect();
        let gradients = Tensor::f_run_backward(&[loss], &leaves, false, false)?;
        let flat = gradients.iter().zip(&leaves).map(|(gradient, leaf)| {
            if gradient.defined() {
                gradient.reshape([-1])
            } else {
                leaf.zeros_like().reshape([-1])
            }
        });
        let mut flat = Tensor::cat(&flat.collect::<Vec<_>>(), 0);
        // What takes no part has no gradient but rounding errors, which Adam would enlarge.
        self.drop_from(&mut flat);
        Ok(flat)
    }

    /// One tensor per choice out of one per parameter tensor, in another kind.
    #[must_use]
    pub fn split(&self, tensors: &[Tensor], kind: Kind) -> Vec<Tensor> {
        let rows: Vec<Vec<Tensor>> =
            tensors.iter().map(|tensor| tensor.to_kind(kind).unbind(0)).collect();
        let of = |at: usize, row: i64| rows[at][usize::try_from(row).unwrap_or(0)].shallow_clone();
        self.rows.iter().map(|(at, row)| of(*at, *row)).collect()
    }

    /// Applies a function to every parameter tensor.
    #[must_use]
    pub fn map(&self, function: impl Fn(&Tensor) -> Tensor) -> Vec<Tensor> {
        self.tensors.iter().map(|(_, tensor)| function(tensor)).collect()
    }

    /// Numbers on the host, one vector per choice; `tensors` as for [`Alphas::split`].
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the copy fails.
    pub fn to_host(&self, tensors: &[Tensor]) -> Result<Vec<Vec<f64>>, EngineError> {
        let mut host = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            host.push(Vec::<Vec<f64>>::try_from(
                &tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double),
            )?);
        }
        let row = |row: i64| usize::try_from(row).unwrap_or(0);
        Ok(self.rows.iter().map(|(at, index)| host[*at][row(*index)].clone()).collect())
    }
}

//! Weights and running statistics, each in one flat buffer.
//!
//! Every tensor of a network is a view of a buffer, so that clipping, momentum and decay are a
//! handful of kernels, and a checkpoint is one tensor.

mod gradient;

use std::collections::HashMap;

use skein_core::graph::{FixedNetwork, Graph, Inherited, Param, Role};
use tch::{Kind, Tensor};

pub use gradient::Gradient;
pub(crate) use gradient::GradientSum;

use crate::EngineError;
use crate::device::Compute;
use crate::nodes::conv;
use crate::state::seed::{Stream, derive, seeded};

/// The stored tensors of one network.
#[derive(Debug)]
pub struct Store {
    /// Trained tensors; their leaves require gradients.
    pub weights: Flat,
    /// Running statistics.
    pub stats: Flat,
}

/// Named views of one flat buffer.
#[derive(Debug)]
pub struct Flat {
    buffer: Tensor,
    params: Vec<Param>,
    views: Vec<Tensor>,
    index: HashMap<String, usize>,
}

impl Flat {
    fn new(params: Vec<Param>, compute: Compute, trained: bool) -> Self {
        let total: i64 = params.iter().map(room).sum();
        let buffer = Tensor::zeros([total], (compute.kind, compute.device));
        let mut offset = 0;
        let mut views = Vec::with_capacity(params.len());
        for param in &params {
            let part = buffer.narrow(0, offset, length(param));
            views.push(laid_out(&part, param).detach().set_requires_grad(trained));
            offset += room(param);
        }
        let index = params.iter().enumerate().map(|(at, param)| (param.name.clone(), at)).collect();
        Self { buffer, params, views, index }
    }

    /// The buffer; changing it changes every view.
    pub fn buffer(&self) -> &Tensor {
        &self.buffer
    }

    /// All views, in the order of the buffer.
    pub fn views(&self) -> &[Tensor] {
        &self.views
    }

    /// The tensors that are stored, in the order of the buffer.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// A tensor by its name.
    ///
    /// # Errors
    /// - [`EngineError::Missing`].
    pub fn get(&self, name: &str) -> Result<&Tensor, EngineError> {
        let at = self.index.get(name).ok_or_else(|| EngineError::Missing(name.to_owned()))?;
        Ok(&self.views[*at])
    }

    /// A tensor's part of another flat tensor in the order of this buffer; changing it changes
    /// that tensor.
    ///
    /// # Errors
    /// - [`EngineError::Missing`].
    pub fn part_of(&self, flat: &Tensor, name: &str) -> Result<Tensor, EngineError> {
        let at = self.index.get(name).ok_or_else(|| EngineError::Missing(name.to_owned()))?;
        let param = &self.params[*at];
        let offset = self.params[..*at].iter().map(room).sum();
        Ok(laid_out(&flat.f_narrow(0, offset, length(param))?, param))
    }

    /// One entry per number of the buffer: whether it belongs to a tensor of this kind.
    pub fn marks(&self, is_such: impl Fn(&Param) -> bool) -> Tensor {
        let device = self.buffer.device();
        let of =
            |param| Tensor::full([room(param)], i64::from(is_such(param)), (Kind::Bool, device));
        Tensor::cat(&self.params.iter().map(of).collect::<Vec<_>>(), 0)
    }

    /// Copies a value into a tensor.
    ///
    /// # Errors
    /// - [`EngineError::Missing`] or [`EngineError::Shape`].
    pub fn set(&self, name: &str, value: &Tensor) -> Result<(), EngineError> {
        replace(self.get(name)?, value, name)
    }

    /// Replaces the whole buffer's content by that of another, or of a former one
    /// ([`Flat::spread`]).
    ///
    /// # Errors
    /// - [`EngineError::Shape`] if the length differs.
    pub fn load(&mut self, content: &Tensor) -> Result<(), EngineError> {
        replace(&self.buffer, &self.spread(content), "flat buffer")
    }

    /// A flat tensor in the order of this buffer out of one in which nothing lies between the
    /// tensors, as in checkpoints of version 1; any other stays as it is.
    pub fn spread(&self, content: &Tensor) -> Tensor {
        let lengths: Vec<i64> = self.params.iter().map(length).collect();
        let packed = [lengths.iter().sum::<i64>()];
        if content.size() == self.buffer.size() || content.size() != packed {
            return content.shallow_clone();
        }
        let parts = content.split_with_sizes(lengths, 0);
        let parts = parts.iter().zip(&self.params);
        let wide =
            parts.map(|(part, param)| part.constant_pad_nd([0, room(param) - length(param)]));
        Tensor::cat(&wide.collect::<Vec<_>>(), 0)
    }

    /// Gradients of a loss for all views.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the loss does not depend on the views' graph.
    pub fn gradient(&self, loss: &Tensor) -> Result<Gradient, EngineError> {
        let mut sum = self.sum();
        sum.add(Tensor::f_run_backward(&[loss], &self.views, false, false)?)?;
        Ok(sum.finish())
    }

    /// Place for gradients of all views that come one after the other.
    pub(crate) fn sum(&self) -> GradientSum<'_> {
        GradientSum::new(self)
    }
}

/// Every tensor begins at a multiple of so many numbers: kernels of GPUs read several at once, and
/// refuse, or fail at, addresses that are multiples of a single number's.
const ALIGNED: i64 = 16;

fn length(param: &Param) -> i64 {
    param.shape.iter().product()
}

/// Numbers that a tensor takes of a buffer; those behind its own are zero and stay so.
fn room(param: &Param) -> i64 {
    (length(param) + ALIGNED - 1) / ALIGNED * ALIGNED
}

/// A part of a buffer as the tensor that it holds. Kernels lie as output, height, width, input:
/// libtorch's channels-last order.
fn laid_out(part: &Tensor, param: &Param) -> Tensor {
    match param.shape[..] {
        [out, inner, height, width] => part.view([out, height, width, inner]).permute([0, 3, 1, 2]),
        _ => part.view(param.shape.as_slice()),
    }
}

/// Replaces a tensor's content, and with it that of every view.
///
/// # Errors
/// - [`EngineError::Shape`] if the shapes differ; `name` says of what.
pub(crate) fn replace(tensor: &Tensor, content: &Tensor, name: &str) -> Result<(), EngineError> {
    if content.size() != tensor.size() {
        let (got, expected) = (content.size(), tensor.size());
        return Err(EngineError::Shape { name: name.to_owned(), got, expected });
    }
    let mut plain = tensor.detach();
    tch::no_grad(|| plain.f_copy_(content))?;
    Ok(())
}

/// The parts of a tensor that are kept, side by side where a dimension keeps several.
///
/// # Errors
/// - [`EngineError::Tensor`] if a part lies outside.
pub(crate) fn narrow(whole: &Tensor, kept: &[Vec<(i64, i64)>]) -> Result<Tensor, EngineError> {
    let mut part = whole.shallow_clone();
    for (dim, ranges) in (0..).zip(kept) {
        part = match ranges[..] {
            [(0, length)] if length == part.size()[usize::try_from(dim).unwrap_or(0)] => part,
            [(first, length)] => part.f_narrow(dim, first, length)?,
            _ => {
                let parts = ranges.iter().map(|(first, n)| part.f_narrow(dim, *first, *n));
                Tensor::f_cat(&parts.collect::<Result<Vec<_>, _>>()?, dim)?
            }
        };
    }
    Ok(part)
}

impl Store {
    /// Zeroed tensors for a graph.
    #[must_use]
    pub fn zeroed(graph: &Graph, compute: Compute) -> Self {
        let (weights, stats) =
            graph.params().into_iter().partition(|param| param.role.is_trained());
        Self { weights: Flat::new(weights, compute, true), stats: Flat::new(stats, compute, false) }
    }

    /// The same tensors, through which no gradients flow.
    #[must_use]
    pub fn held(mut self) -> Self {
        for view in &mut self.weights.views {
            *view = view.detach();
        }
        self
    }

    /// Start values drawn for a run: PyTorch's defaults (uniform in `±1/√fan_in`).
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn initialised(
        graph: &Graph,
        compute: Compute,
        seed: u64,
        stream: Stream,
    ) -> Result<Self, EngineError> {
        let store = Self::zeroed(graph, compute);
        for (at, param) in graph.params().iter().enumerate() {
            let seed = derive(seed, stream, at as u64);
            store.set(&param.name, &start(param, seed))?;
        }
        Ok(store)
    }

    /// The weights that a fixed network inherits from this supernet.
    ///
    /// # Errors
    /// - [`EngineError`] if the network does not stem from this supernet's graph.
    pub fn inherit(&self, network: &FixedNetwork, compute: Compute) -> Result<Self, EngineError> {
        let store = Self::zeroed(&network.graph, compute);
        for inherited in &network.inherited {
            let part = self.get(&inherited.name)?.shallow_clone();
            let part = self.transformed(inherited, part)?;
            store.set(&inherited.name, &narrow(&part, &inherited.kept)?)?;
        }
        Ok(store)
    }

    /// A kernel after the matrices that lead from the largest to the size that is kept.
    fn transformed(&self, inherited: &Inherited, whole: Tensor) -> Result<Tensor, EngineError> {
        let mut kernel = whole;
        for (name, side) in &inherited.transforms {
            kernel = conv::shrink(&kernel, self.get(name)?, *side);
        }
        Ok(kernel)
    }

    /// Copies every tensor that another store holds too, but for some names.
    ///
    /// # Errors
    /// - [`EngineError::Shape`] if two of one name differ.
    pub fn take_over(&self, other: &Self, but: &[String]) -> Result<(), EngineError> {
        for (flat, others) in [(&self.weights, &other.weights), (&self.stats, &other.stats)] {
            for (param, view) in others.params.iter().zip(&others.views) {
                if flat.index.contains_key(&param.name) && !but.contains(&param.name) {
                    flat.set(&param.name, view)?;
                }
            }
        }
        Ok(())
    }

    /// A tensor by its name, trained or not.
    ///
    /// # Errors
    /// - [`EngineError::Missing`].
    pub fn get(&self, name: &str) -> Result<&Tensor, EngineError> {
        self.weights.get(name).or_else(|_| self.stats.get(name))
    }

    /// Copies a value into a tensor, trained or not.
    ///
    /// # Errors
    /// - [`EngineError::Missing`] or [`EngineError::Shape`].
    pub fn set(&self, name: &str, value: &Tensor) -> Result<(), EngineError> {
        self.weights.set(name, value).or_else(|_| self.stats.set(name, value))
    }
}

/// What a tensor starts with, drawn on the CPU, so that a GPU starts from the same weights.
fn start(param: &Param, seed: u64) -> Tensor {
    let (size, options) = (param.shape.as_slice(), (Kind::Double, tch::Device::Cpu));
    match param.role {
        Role::Weight { fan_in } | Role::Bias { fan_in } => {
            #[expect(clippy::cast_precision_loss, reason = "fans are small")]
            let bound = 1.0 / (fan_in as f64).sqrt();
            let unit = seeded(seed, options.1, || Tensor::rand(size, options));
            (unit * 2.0 - 1.0) * bound
        }
        Role::Table { std } => {
            let normal = seeded(seed, options.1, || Tensor::randn(size, options));
            normal.clamp(-2.0, 2.0) * std
        }
        Role::Identity => Tensor::eye(param.shape[0], options),
        Role::Scale | Role::RunningVar => Tensor::ones(size, options),
        Role::Shift | Role::RunningMean => Tensor::zeros(size, options),
    }
}

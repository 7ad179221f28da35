//! Gradients of all tensors in one flat buffer.

use tch::{Kind, Tensor};

use super::Flat;
use crate::EngineError;

/// The gradient for a flat buffer.
#[derive(Debug)]
pub struct Gradient {
    /// One entry per number of the buffer; zero where it was not used.
    pub flat: Tensor,
    /// Which numbers were used, unless all were. As in PyTorch, an optimizer leaves the others be.
    pub used: Option<Tensor>,
}

impl Gradient {
    /// The sum of two gradients, which uses what either uses.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        tch::no_grad(|| Self {
            flat: self.flat + &other.flat,
            used: match (self.used, &other.used) {
                (Some(one), Some(two)) => Some(one.logical_or(two)),
                _ => None,
            },
        })
    }
}

/// A gradient for a flat buffer that is added up from parts.
#[derive(Debug)]
pub(crate) struct GradientSum<'a> {
    of: &'a Flat,
    flat: Tensor,
    /// Which views have a part already.
    seen: Vec<bool>,
}

impl<'a> GradientSum<'a> {
    pub(super) fn new(of: &'a Flat) -> Self {
        // Its pages are taken as parts are written.
        Self { of, flat: of.buffer.empty_like(), seen: vec![false; of.views.len()] }
    }

    /// What the gradients are for.
    pub(crate) fn views(&self) -> &'a [Tensor] {
        &self.of.views
    }

    /// Adds one gradient per view, not defined where there is none.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if libtorch refuses.
    pub(crate) fn add(&mut self, parts: Vec<Tensor>) -> Result<(), EngineError> {
        let _guard = tch::no_grad_guard();
        // Parts that come first and lie side by side are copied together.
        let mut run: Vec<Tensor> = Vec::new();
        let (mut offset, mut start) = (0, 0);
        for (at, part) in parts.into_iter().enumerate() {
            let length = i64::try_from(self.of.views[at].numel()).unwrap_or(0);
            let first = part.defined() && !self.seen[at];
            if !first {
                self.write(&mut run, start)?;
                start = offset + length;
            }
            if first {
                run.push(flattened(&part));
                self.seen[at] = true;
            } else if part.defined() {
                let _ = self.flat.f_narrow(0, offset, length)?.f_add_(&flattened(&part))?;
            }
            offset += length;
        }
        self.write(&mut run, start)
    }

    fn write(&self, run: &mut Vec<Tensor>, start: i64) -> Result<(), EngineError> {
        let length = run.iter().map(|part| part.size()[0]).sum();
        if length > 0 {
            let place = self.flat.f_narrow(0, start, length)?;
            let _ = Tensor::f_cat_out(&place, run, 0)?;
        }
        run.clear();
        Ok(())
    }

    /// The sum, zero where there was no part.
    pub(crate) fn finish(self) -> Gradient {
        let _guard = tch::no_grad_guard();
        let used = (!self.seen.iter().all(|seen| *seen)).then(|| {
            let used = Tensor::ones(self.flat.size(), (Kind::Bool, self.flat.device()));
            let mut offset = 0;
            for (view, seen) in self.of.views.iter().zip(&self.seen) {
                let length = i64::try_from(view.numel()).unwrap_or(0);
                if !seen {
                    let _ = self.flat.narrow(0, offset, length).zero_();
                    let _ = used.narrow(0, offset, length).zero_();
                }
                offset += length;
            }
            used
        });
        Gradient { flat: self.flat, used }
    }
}

/// A gradient in the buffer's order: kernels lie channels-last.
fn flattened(part: &Tensor) -> Tensor {
    match part.dim() {
        4 => part.permute([0, 2, 3, 1]).reshape([-1]),
        _ => part.reshape([-1]),
    }
}

#[cfg(test)]
mod tests {
    use skein_core::graph::{Dim, Param, Role, Size};
    use tch::Device;

    use super::*;
    use crate::device::Compute;

    #[test]
    fn parts_that_come_one_after_the_other_are_added_in_their_places() {
        let of = |name: &str, sizes: &[i64]| {
            let dims = sizes.iter().map(|size| Dim::first(&Size::Fixed(*size))).collect();
            Param::new(name, dims, Role::Scale)
        };
        let params = vec![of("a", &[2]), of("b", &[1, 2, 1, 2]), of("c", &[1]), of("d", &[2])];
        let flat = Flat::new(params, Compute::exact(), true);
        let part = |numbers: &[f64], sizes: &[i64]| Tensor::from_slice(numbers).view(sizes);
        let none = Tensor::new;
        let mut sum = flat.sum();
        sum.add(vec![
            none(),
            part(&[1.0, 2.0, 3.0, 4.0], &[1, 2, 1, 2]),
            part(&[5.0], &[1]),
            none(),
        ])
        .unwrap();
        sum.add(vec![part(&[6.0, 7.0], &[2]), none(), part(&[0.5], &[1]), none()]).unwrap();
        let gradient = sum.finish();
        // A kernel lies as output, height, width, input.
        let expected = [6.0, 7.0, 1.0, 3.0, 2.0, 4.0, 5.5, 0.0, 0.0];
        assert_eq!(gradient.flat, Tensor::from_slice(&expected));
        let used = gradient.used.unwrap().to_kind(Kind::Int64);
        assert_eq!(used, Tensor::from_slice(&[1_i64, 1, 1, 1, 1, 1, 1, 0, 0]));
        assert_eq!(used.device(), Device::Cpu);
    }
}

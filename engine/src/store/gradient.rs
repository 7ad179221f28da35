//! Gradients of all tensors in one flat buffer.

use tch::{Kind, Tensor};

use super::{ALIGNED, Flat, length, room};
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
    /// Zeros that lie behind a view.
    between: Tensor,
}

impl<'a> GradientSum<'a> {
    pub(super) fn new(of: &'a Flat) -> Self {
        // Its pages are taken as parts are written.
        let (flat, seen) = (of.buffer.empty_like(), vec![false; of.views.len()]);
        let between = Tensor::zeros([ALIGNED], (flat.kind(), flat.device()));
        Self { of, flat, seen, between }
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
            let (length, room) = (length(&self.of.params[at]), room(&self.of.params[at]));
            let first = part.defined() && !self.seen[at];
            if !first {
                self.write(&mut run, start)?;
                start = offset + room;
            }
            if first {
                run.push(flattened(&part));
                if room > length {
                    run.push(self.between.narrow(0, 0, room - length));
                }
                self.seen[at] = true;
            } else if part.defined() {
                let _ = self.flat.f_narrow(0, offset, length)?.f_add_(&flattened(&part))?;
            }
            offset += room;
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
            for (room, seen) in self.of.params.iter().map(room).zip(&self.seen) {
                if !seen {
                    let _ = self.flat.narrow(0, offset, room).zero_();
                    let _ = used.narrow(0, offset, room).zero_();
                }
                offset += room;
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

    fn of(name: &str, sizes: &[i64]) -> Param {
        let dims = sizes.iter().map(|size| Dim::first(&Size::Fixed(*size))).collect();
        Param::new(name, dims, Role::Scale)
    }

    #[test]
    fn tensors_begin_where_several_numbers_can_be_read_at_once() {
        let params =
            vec![of("a", &[25, 25]), of("b", &[3, 1, 7, 7]), of("c", &[16]), of("d", &[1])];
        let flat = Flat::new(params, Compute::PLAIN, true);
        let first = flat.views()[0].data_ptr() as usize;
        let places: Vec<usize> =
            flat.views().iter().map(|view| (view.data_ptr() as usize - first) / 4).collect();
        assert_eq!(places, [0, 640, 800, 816]);
        let whole = Tensor::arange(832, (Kind::Float, Device::Cpu));
        assert_eq!(flat.part_of(&whole, "d").unwrap(), Tensor::from_slice(&[816.0_f32]));
        let marks = flat.marks(|param| param.name == "c").to_kind(Kind::Int64);
        assert_eq!(marks.size(), flat.buffer().size());
        assert_eq!(marks.argmax(0, false).int64_value(&[]), 800);
        assert_eq!(marks.sum(Kind::Int64).int64_value(&[]), 16);
    }

    #[test]
    fn what_lay_side_by_side_finds_its_places() {
        let params = || vec![of("a", &[3]), of("b", &[2, 1, 2, 2]), of("c", &[16])];
        let mut flat = Flat::new(params(), Compute::exact(), true);
        let former = Tensor::arange(3 + 8 + 16, (Kind::Double, Device::Cpu)) + 1.0;
        flat.load(&former).unwrap();
        assert_eq!(*flat.get("a").unwrap(), Tensor::from_slice(&[1.0, 2.0, 3.0]));
        let kernel = flat.get("b").unwrap().permute([0, 2, 3, 1]).reshape([-1]);
        assert_eq!(kernel, former.narrow(0, 3, 8));
        assert_eq!(*flat.get("c").unwrap(), former.narrow(0, 11, 16));
        assert_eq!(flat.buffer().sum(Kind::Double), former.sum(Kind::Double), "zero between");
        let mut other = Flat::new(params(), Compute::exact(), true);
        other.load(flat.buffer()).unwrap();
        assert_eq!(other.buffer(), flat.buffer());
        let steps = Tensor::from(5_i64);
        assert_eq!(flat.spread(&steps), steps);
        assert!(other.load(&former.narrow(0, 1, 20)).is_err());
        let mut empty = Flat::new(vec![], Compute::exact(), false);
        empty.load(&former.narrow(0, 0, 0)).unwrap();
    }

    #[test]
    fn parts_that_come_one_after_the_other_are_added_in_their_places() {
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
        let expected: [&[f64]; 4] = [&[6.0, 7.0], &[1.0, 3.0, 2.0, 4.0], &[5.5], &[0.0, 0.0]];
        let used = gradient.used.unwrap();
        assert_eq!((gradient.flat.size1().unwrap(), used.device()), (4 * ALIGNED, Device::Cpu));
        for ((numbers, at), taken) in expected.iter().zip(0..).zip([true, true, true, false]) {
            let own = gradient.flat.narrow(0, at * ALIGNED, ALIGNED);
            let mut whole = numbers.to_vec();
            whole.resize(16, 0.0);
            assert_eq!(own, Tensor::from_slice(&whole), "zero behind the tensor's numbers");
            let used = used.narrow(0, at * ALIGNED, i64::try_from(numbers.len()).unwrap());
            assert_eq!(used.all().int64_value(&[]), i64::from(taken));
            assert_eq!(used.any().int64_value(&[]), i64::from(taken));
        }
    }
}

//! Labelled images in memory.

use std::fs::File;
use std::path::PathBuf;

use skein_core::dataset::{DataShape, Dataset};
use tch::{Device, Kind, Tensor};

use super::Raw;
use super::augment::Augment;
use super::pixels::{Filed, Pixels};
use crate::EngineError;
use crate::device::Compute;
use crate::search::bilevel::Batch;
use crate::search::sampler::At;
use crate::state::seed::Stream;

/// Labelled images as bytes; batches are normalised when they are taken.
#[derive(Debug)]
pub struct Images {
    /// Where batches are wanted; images that are too many for a GPU stay beside it.
    device: Device,
    pixels: Pixels,
    /// `[count]`.
    labels: Tensor,
    normalise: Normalise,
}

/// How bytes become numbers: a division, then, channel by channel, mean and standard deviation.
#[derive(Debug)]
pub struct Normalise {
    divide: f64,
    mean: Tensor,
    std: Tensor,
    kind: Kind,
}

impl Normalise {
    /// That of a data set.
    #[must_use]
    pub fn new(divide: f64, mean: &[f64], std: &[f64], compute: Compute) -> Self {
        let constant = |values: &[f64]| {
            Tensor::from_slice(values)
                .view([1, -1, 1, 1])
                .to_kind(compute.kind)
                .to_device(compute.device)
        };
        Self { divide, mean: constant(mean), std: constant(std), kind: compute.kind }
    }

    /// Numbers of pixels `[count, channels, height, width]`.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn apply(&self, pixels: &Tensor) -> Result<Tensor, EngineError> {
        // In place: fresh memory takes longer than the arithmetic.
        let mut x = pixels.f_to_dtype(self.kind, false, true)?;
        Ok(x.f_divide_scalar_(self.divide)?.f_sub_(&self.mean)?.f_div_(&self.std)?)
    }

    /// The pixels whose numbers these are, as bytes.
    fn undo(&self, x: &Tensor) -> Result<Tensor, EngineError> {
        let mut pixels = (x * &self.std + &self.mean) * self.divide;
        Ok(pixels.f_round_()?.f_clamp_(0.0, WHITE)?.f_to_kind(Kind::Uint8)?)
    }

    fn share(&self) -> Self {
        let Self { divide, mean, std, kind } = self;
        let (mean, std) = (mean.shallow_clone(), std.shallow_clone());
        Self { divide: *divide, mean, std, kind: *kind }
    }
}

/// Most bytes of images that are copied to a GPU as a whole.
const MOST_ON_DEVICE: usize = 8 << 30;
/// What the bytes of an image are divided by.
const WHITE: f64 = 255.0;

impl Images {
    pub(super) fn new(raw: &Raw, dataset: &Dataset, compute: Compute) -> Result<Self, EngineError> {
        let shape = dataset.shape;
        let count = i64::try_from(raw.labels.len()).unwrap_or(0);
        let size = [count, shape.channels, shape.height, shape.width];
        let pixels =
            Tensor::f_from_data_size(&raw.pixels, &size, Kind::Uint8)?.f_to(compute.device)?;
        let labels: Vec<i64> = raw.labels.iter().map(|label| i64::from(*label)).collect();
        Self::stored(Pixels::Loaded(pixels), &labels, dataset, compute)
    }

    /// Images of a data set, one label each.
    pub(super) fn stored(
        pixels: Pixels,
        labels: &[i64],
        dataset: &Dataset,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let fits = compute.device.is_cuda() && pixels.bytes() <= MOST_ON_DEVICE;
        let pixels = if fits { pixels.load(compute.device)? } else { pixels };
        let labels = Tensor::f_from_slice(labels)?.f_to(compute.device)?;
        let normalise = Normalise::new(WHITE, &dataset.mean, &dataset.std, compute);
        Ok(Self { device: compute.device, pixels, labels, normalise })
    }

    /// Images in a file that holds nothing else, all of the first class: for measuring.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn in_file(
        file: File,
        path: PathBuf,
        dataset: &Dataset,
        count: u64,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let DataShape { channels, height, width, .. } = dataset.shape;
        let sides = [channels, height, width].map(i64::unsigned_abs);
        let filed = Filed::new(file, path, 0, [count, sides[0], sides[1], sides[2]]);
        let labels = vec![0; usize::try_from(count).unwrap_or(0)];
        Self::stored(Pixels::Filed(filed), &labels, dataset, compute)
    }

    /// Images of noise with random labels, in the shape of a data set: for measuring.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn random(dataset: &Dataset, count: usize, compute: Compute) -> Result<Self, EngineError> {
        use rand::Rng as _;
        let mut generator = crate::state::seed::generator(1, Stream::Weights, 0);
        let mut pixels = vec![0; count * usize::try_from(dataset.image_bytes()).unwrap_or(0)];
        generator.fill_bytes(&mut pixels);
        let classes = u64::try_from(dataset.shape.classes).unwrap_or(1);
        let label = |_| u8::try_from(generator.next_u64() % classes).unwrap_or(0);
        let labels = (0..count).map(label).collect();
        Self::new(&Raw { pixels, labels }, dataset, compute)
    }

    /// The same images, for another thread.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            device: self.device,
            pixels: self.pixels.share(),
            labels: self.labels.shallow_clone(),
            normalise: self.normalise.share(),
        }
    }

    /// Number of images.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::try_from(self.labels.size()[0]).unwrap_or(0)
    }

    /// The class of each image, on the host.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the copy fails.
    pub fn classes(&self) -> Result<Vec<i64>, EngineError> {
        Ok(Vec::try_from(&self.labels.f_to(Device::Cpu)?)?)
    }

    /// The images at these positions, normalised.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn batch(&self, positions: &[i64]) -> Result<Batch, EngineError> {
        let (pixels, y) = self.select(positions)?;
        Ok(Batch { x: self.normalise.apply(&pixels)?, y })
    }

    /// The images at these positions, changed at random, normalised.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn augmented(
        &self,
        positions: &[i64],
        augment: &Augment,
        at: At,
    ) -> Result<Batch, EngineError> {
        let (pixels, y) = self.select(positions)?;
        let x = self.normalise.apply(&augment.place(pixels, at)?)?;
        Ok(Batch { x: augment.blank(x, at)?, y })
    }

    fn select(&self, positions: &[i64]) -> Result<(Tensor, Tensor), EngineError> {
        let at = Tensor::f_from_slice(positions)?.f_to(self.device)?;
        let pixels = self.pixels.select(positions)?.f_to(self.device)?;
        Ok((pixels, self.labels.f_index_select(0, &at)?))
    }

    /// Images of a batch as bytes again.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn pixels_of(&self, x: &Tensor) -> Result<Tensor, EngineError> {
        self.normalise.undo(x)
    }

    /// Where the images lie.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }
}

#[cfg(test)]
mod tests {
    use skein_core::dataset::find;

    use super::*;

    #[test]
    fn numbers_are_those_of_the_formula_and_pixels_stay() {
        let set = find("cifar-10").unwrap();
        for kind in [Kind::Float, Kind::Double] {
            let normalise =
                Normalise::new(255.0, &set.mean, &set.std, Compute { kind, ..Compute::exact() });
            let bytes = Tensor::arange(3 * 256, (Kind::Int64, Device::Cpu)).remainder(256);
            let bytes = bytes.view([1, 3, 16, 16]).to_kind(Kind::Uint8);
            for pixels in [bytes.to_kind(kind), bytes] {
                let before = pixels.copy();
                let plain = pixels.to_kind(kind) / 255.0;
                let plain = (plain - &normalise.mean) / &normalise.std;
                assert_eq!(normalise.apply(&pixels).unwrap(), plain);
                assert_eq!(pixels, before);
                assert_eq!(normalise.undo(&plain).unwrap(), before.to_kind(Kind::Uint8));
            }
        }
    }
}

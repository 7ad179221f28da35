//! Two-dimensional convolution.

use super::{Kind, Misfit, count};
use crate::graph::channels::{At, Axis, Flow};
use crate::graph::{Dim, Param, Role, Shape, Size};

/// A convolution. Unless told otherwise, its padding keeps the map's size at stride 1:
/// `dilation·(kernel − 1)/2`.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv2d {
    /// Channels read.
    pub in_channels: Size,
    /// Channels written; those read if `depthwise`.
    pub out_channels: Size,
    /// Side of the square kernel: odd, unless it is fixed and so is the padding.
    pub kernel: Size,
    /// Stride in both directions.
    pub stride: i64,
    /// Spacing of the kernel's points.
    pub dilation: i64,
    /// Padding on each side, if it is not the one above.
    pub padding: Option<i64>,
    /// One filter per channel instead of a dense kernel.
    pub depthwise: bool,
    /// Whether a bias is added.
    pub bias: bool,
    /// Whether smaller kernels are linear maps of the larger ones' centres instead of the centres
    /// themselves (Once-for-all, arXiv:1908.09791).
    pub transforms: bool,
}

impl Conv2d {
    /// A dense convolution without bias.
    #[must_use]
    pub fn dense(
        in_channels: impl Into<Size>,
        out_channels: impl Into<Size>,
        kernel: impl Into<Size>,
    ) -> Self {
        Self {
            in_channels: in_channels.into(),
            out_channels: out_channels.into(),
            kernel: kernel.into(),
            stride: 1,
            dilation: 1,
            padding: None,
            depthwise: false,
            bias: false,
            transforms: false,
        }
    }

    /// A 1×1 convolution without bias.
    #[must_use]
    pub fn pointwise(in_channels: impl Into<Size>, out_channels: impl Into<Size>) -> Self {
        Self::dense(in_channels, out_channels, 1)
    }

    /// A depth-wise convolution without bias.
    #[must_use]
    pub fn depthwise(
        channels: impl Into<Size>,
        kernel: impl Into<Size>,
        stride: i64,
        dilation: i64,
    ) -> Self {
        let channels = channels.into();
        let dense = Self::dense(channels.clone(), channels, kernel);
        Self { stride, dilation, depthwise: true, ..dense }
    }

    /// The same with another stride.
    #[must_use]
    pub fn strided(mut self, stride: i64) -> Self {
        self.stride = stride;
        self
    }

    /// The same with a bias.
    #[must_use]
    pub fn biased(mut self) -> Self {
        self.bias = true;
        self
    }

    /// Kernel sizes from the largest down, if smaller ones are transformed.
    #[must_use]
    pub fn chain(&self) -> Vec<i64> {
        let mut sizes: Vec<i64> = self.kernel.values().into_iter().map(|(_, size)| size).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.dedup();
        sizes
    }

    /// The matrices from each kernel size to the next smaller one, `T75` for 7 to 5.
    fn transforms(&self) -> Vec<Param> {
        if !self.transforms {
            return vec![];
        }
        let matrix = |pair: &[i64]| {
            let side = Size::Fixed(pair[1] * pair[1]);
            let name = format!("T{}{}", pair[0], pair[1]);
            Param::new(&name, vec![Dim::first(&side), Dim::first(&side)], Role::Identity)
        };
        self.chain().windows(2).map(matrix).collect()
    }

    /// The matrices from the largest kernel down to `kernel`, by full name, each with the side of
    /// its result.
    #[must_use]
    pub fn transforms_to(&self, node: &str, kernel: i64) -> Vec<(String, i64)> {
        let chain = self.chain();
        let steps = chain.windows(2).filter(|pair| pair[1] >= kernel);
        steps.map(|pair| (format!("{node}.T{}{}", pair[0], pair[1]), pair[1])).collect()
    }

    /// Padding on each side for a kernel of side `kernel`.
    #[must_use]
    pub fn padding(&self, kernel: i64) -> i64 {
        self.padding.unwrap_or(self.dilation * (kernel - 1) / 2)
    }
}

impl Kind for Conv2d {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let (read, kernel) = (self.in_channels.largest(), self.kernel.largest());
        let least = self.dilation * (kernel - 1) + 1 - 2 * self.padding(kernel);
        match inputs[0][..] {
            [channels, ..] if channels != read => {
                Misfit::of(inputs[0], format!("{read} channels of a map expected"))
            }
            [_, height, width] if height >= least && width >= least => {
                let side = |side| (side - least) / self.stride + 1;
                Ok(vec![self.out_channels.largest(), side(height), side(width)])
            }
            _ => Misfit::of(inputs[0], format!("a map of at least {least}×{least} expected")),
        }
    }

    fn params(&self) -> Vec<Param> {
        let (kernel, written) = (Dim::centre(&self.kernel), Dim::first(&self.out_channels));
        let inner = if self.depthwise { Size::Fixed(1) } else { self.in_channels.clone() };
        let fan_in = inner.largest() * self.kernel.largest() * self.kernel.largest();
        let dims = vec![written.clone(), Dim::first(&inner), kernel.clone(), kernel];
        let weight = Param::new("weight", dims, Role::Weight { fan_in });
        let mut params = vec![weight];
        params.extend(self.transforms());
        if self.bias {
            let bias = Param::new("bias", vec![written], Role::Bias { fan_in });
            params.push(match self.out_channels {
                Size::Fixed(_) => bias,
                // An entangled candidate brings its bias along, whatever made it a candidate.
                _ => bias.weighed_by(params[0].choices()),
            });
        }
        params
    }

    fn macs(&self, _inputs: &[&Shape], output: &Shape) -> u64 {
        let inner = if self.depthwise { 1 } else { self.in_channels.largest() };
        let kernel = self.kernel.largest();
        count(&[inner, kernel, kernel]) * count(output)
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.in_channels, &self.out_channels, &self.kernel]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.in_channels, &mut self.out_channels, &mut self.kernel]
    }

    fn fault(&self) -> Option<String> {
        let sizes = self.kernel.values();
        let even = matches!(self.kernel, Size::Fixed(_)) && self.padding.is_some();
        let bad = sizes.iter().find(|(_, size)| *size < 1 || (size % 2 == 0 && !even));
        bad.map(|(_, size)| format!("kernel size {size} is not odd"))
    }

    fn flow(&self) -> Flow {
        if self.depthwise { Flow::Kept } else { Flow::Made }
    }

    fn axes(&self) -> Vec<At> {
        let mut all = vec![("weight", 0, Axis::Written), ("bias", 0, Axis::Written)];
        all.extend((!self.depthwise).then_some(("weight", 1, Axis::Read)));
        all
    }
}

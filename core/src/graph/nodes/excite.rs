//! Squeeze and excitation (arXiv:1709.01507).

use super::{Kind, Misfit, count};
use crate::graph::channels::{At, Axis, Flow};
use crate::graph::{Dim, Param, Role, Shape, Size};

/// Scales each channel by a gate that a small network makes of the channels' means: 1×1
/// convolution, ReLU, 1×1 convolution, hard sigmoid.
#[derive(Debug, Clone, PartialEq)]
pub struct SqueezeExcite {
    /// Channels.
    pub channels: Size,
    /// Width between the two convolutions.
    pub middle: Size,
}

impl Kind for SqueezeExcite {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let channels = self.channels.largest();
        match inputs[0][..] {
            [read, _, _] if read == channels => Ok(inputs[0].clone()),
            _ => Misfit::of(inputs[0], format!("{channels} channels of a map expected")),
        }
    }

    fn params(&self) -> Vec<Param> {
        let one = Size::Fixed(1);
        let layer = |name: &str, written: &Size, read: &Size| {
            let fan_in = read.largest();
            let dims = [written, read, &one, &one].map(Dim::first).to_vec();
            let weight = Param::new(&format!("{name}.weight"), dims, Role::Weight { fan_in });
            let bias = vec![Dim::first(written)];
            let bias = Param::new(&format!("{name}.bias"), bias, Role::Bias { fan_in });
            [weight, bias]
        };
        let reduce = layer("reduce", &self.middle, &self.channels);
        let expand = layer("expand", &self.channels, &self.middle);
        reduce.into_iter().chain(expand).collect()
    }

    fn macs(&self, _inputs: &[&Shape], _output: &Shape) -> u64 {
        2 * count(&[self.channels.largest(), self.middle.largest()])
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.channels, &self.middle]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.channels, &mut self.middle]
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }

    fn axes(&self) -> Vec<At> {
        // What the gate reads does not tell how much a channel counts, so it is no reading here.
        vec![
            ("reduce.weight", 1, Axis::Written),
            ("expand.weight", 0, Axis::Written),
            ("expand.bias", 0, Axis::Written),
            ("reduce.weight", 0, Axis::Inner),
            ("reduce.bias", 0, Axis::Inner),
            ("expand.weight", 1, Axis::InnerRead),
        ]
    }
}

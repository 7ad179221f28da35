//! The space of Once-for-all: a MobileNetV3 whose depths, expansion ratios and kernels are
//! searched (arXiv:1908.09791).

use super::Preset;
use crate::choice::{Choice, ChoiceId, Site};
use crate::dataset::DataShape;
use crate::graph::{
    Activation, Add, BatchNorm, Builder, Conv2d, Dropout, Elastic, GlobalAvgPool, Graph,
    GraphError, Linear, Mix, NodeId, Op, Resize, Size, SqueezeExcite,
};
use crate::spec::{MobilenetV3Options, Sharing, SpaceSpec};

/// The space at its full width.
pub const PRESET: Preset = Preset {
    preset: "mobilenet-v3",
    title: "MobileNetV3 (Once-for-all)",
    summary: "Depth of five stages, expansion ratio and kernel of each inverted bottleneck.",
    source: "arXiv:1908.09791",
    shape: DataShape { channels: 3, height: 224, width: 224, classes: 1000 },
    defaults: || {
        SpaceSpec::MobilenetV3(MobilenetV3Options {
            depths: vec![2, 3, 4],
            expansions: vec![3, 4, 6],
            kernels: vec![3, 5, 7],
            width: 1.0,
            image_size: 224,
            dropout: 0.1,
        })
    },
};

/// A stage of the published network.
struct Stage {
    channels: i64,
    stride: i64,
    hswish: bool,
    excite: bool,
}

const fn stage(channels: i64, stride: i64, hswish: bool, excite: bool) -> Stage {
    Stage { channels, stride, hswish, excite }
}

const STAGES: [Stage; 5] = [
    stage(24, 2, false, false),
    stage(40, 2, false, true),
    stage(80, 2, true, false),
    stage(112, 1, true, true),
    stage(160, 2, true, true),
];

/// A multiple of 8 near `value` and at least nine tenths of it.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "widths")]
fn divisible(value: f64) -> i64 {
    let near = (((value + 4.0) / 8.0).floor() as i64 * 8).max(8);
    if (near as f64) < 0.9 * value { near + 8 } else { near }
}

/// Builds the graph: rows for the stages' depths, then expansion ratios, then kernels, one per
/// block.
///
/// # Errors
/// - [`GraphError`] if the image is too small.
pub fn build(
    options: &MobilenetV3Options,
    shape: DataShape,
    _sharing: Sharing,
) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(vec![shape.channels, shape.height, shape.width]);
    let b = &mut builder;
    #[expect(clippy::cast_precision_loss, reason = "widths")]
    let wide = |channels: i64| divisible(channels as f64 * options.width);
    let decisions = Decisions::open(b, options);
    let mut x = b.input();
    if (shape.height, shape.width) != (options.image_size, options.image_size) {
        x = b.add("resize", Op::Resize(Resize { side: options.image_size }), &[x]);
    }
    let first = wide(16);
    let stem = Conv2d::dense(shape.channels, first, 3).strided(2);
    x = norm_act(b, "stem.conv", "stem.bn", stem, Some(Activation::Hswish), x);
    x = fixed(b, first, x);
    let mut read = first;
    for (index, stage) in STAGES.iter().enumerate() {
        let written = wide(stage.channels);
        x = stage.add(b, &decisions, (index, read, written), x);
        read = written;
    }
    let (last, mixed) = (wide(960), wide(1280));
    let expand = Conv2d::pointwise(read, last);
    let hswish = Some(Activation::Hswish);
    x = norm_act(b, "final_expand.conv", "final_expand.bn", expand, hswish, x);
    x = b.add("pool", Op::GlobalAvgPool(GlobalAvgPool), &[x]);
    let mix = Linear { bias: false, ..Linear::new(last, mixed) };
    x = b.add("feature_mix.conv", Op::Linear(mix), &[x]);
    x = b.add("feature_mix.act", Op::Activation(Activation::Hswish), &[x]);
    x = b.add("drop", Op::Dropout(Dropout::elements(options.dropout)), &[x]);
    x = b.add("head", Op::Linear(Linear::new(mixed, shape.classes)), &[x]);
    builder.finish(x)
}

/// The choices of all stages and blocks.
struct Decisions<'a> {
    options: &'a MobilenetV3Options,
    blocks: usize,
    depth: Vec<ChoiceId>,
    expand: Vec<ChoiceId>,
    kernel: Vec<ChoiceId>,
}

impl<'a> Decisions<'a> {
    fn open(b: &mut Builder, options: &'a MobilenetV3Options) -> Self {
        let deepest = options.depths.iter().max().copied().unwrap_or(0);
        let blocks = usize::try_from(deepest).unwrap_or(0);
        let depth: Vec<ChoiceId> = (0..STAGES.len())
            .map(|stage| {
                b.choice(decision("depth", format!("stage{stage}"), "depth", &options.depths))
            })
            .collect();
        let mut per_block = |tensor: &str, property: &str, sizes: &[i64]| {
            let all = (0..STAGES.len() * blocks).map(|at| {
                let (stage, block) = (at / blocks, at % blocks);
                let deep = |depth: &i64| usize::try_from(*depth).is_ok_and(|d| d > block);
                let under: Vec<usize> = (0..options.depths.len())
                    .filter(|option| deep(&options.depths[*option]))
                    .collect();
                let always = under.len() == options.depths.len();
                let mut choice =
                    decision(tensor, format!("stage{stage}.block{block}"), property, sizes);
                choice.when = (!always).then_some((depth[stage], under));
                b.choice(choice)
            });
            all.collect::<Vec<ChoiceId>>()
        };
        let expand = per_block("expand", "expansion", &options.expansions);
        let kernel = per_block("kernel", "kernel", &options.kernels);
        Self { options, blocks, depth, expand, kernel }
    }
}

fn decision(tensor: &str, layer: String, property: &str, sizes: &[i64]) -> Choice {
    Choice {
        tensor: tensor.to_owned(),
        label: layer.clone(),
        options: sizes.iter().map(i64::to_string).collect(),
        site: Site::Layer { layer, property: property.to_owned() },
        when: None,
    }
}

impl Stage {
    fn act(&self) -> Activation {
        if self.hswish { Activation::Hswish } else { Activation::Relu }
    }

    fn add(
        &self,
        b: &mut Builder,
        decisions: &Decisions<'_>,
        (index, mut read, written): (usize, i64, i64),
        mut x: NodeId,
    ) -> NodeId {
        let depths = &decisions.options.depths;
        let mut exits = Vec::new();
        for block in 0..decisions.blocks {
            let at = index * decisions.blocks + block;
            let stride = if block == 0 { self.stride } else { 1 };
            let block_at = Block {
                name: format!("stage{index}.block{block}"),
                read,
                written,
                stride,
                expand: decisions.expand[at],
                kernel: decisions.kernel[at],
            };
            x = block_at.add(b, self, decisions.options, x);
            read = written;
            if depths.iter().any(|depth| usize::try_from(*depth) == Ok(block + 1)) {
                exits.push(x);
            }
        }
        if exits.len() > 1 {
            let mix = Mix::each(decisions.depth[index], exits.len());
            x = b.add(format!("stage{index}.depth"), Op::Mix(mix), &exits);
        }
        x
    }
}

/// An inverted bottleneck.
struct Block {
    name: String,
    read: i64,
    written: i64,
    stride: i64,
    expand: ChoiceId,
    kernel: ChoiceId,
}

impl Block {
    fn add(
        &self,
        b: &mut Builder,
        stage: &Stage,
        options: &MobilenetV3Options,
        x: NodeId,
    ) -> NodeId {
        let name = &self.name;
        let part = |part: &str| format!("{name}.{part}");
        let middle: Vec<i64> = options.expansions.iter().map(|ratio| ratio * self.read).collect();
        #[expect(clippy::cast_precision_loss, reason = "widths")]
        let squeezed: Vec<i64> =
            middle.iter().map(|width| divisible(*width as f64 / 4.0)).collect();
        let width = Size::Elastic(Elastic::all(self.expand, &middle));
        let expand = Conv2d::pointwise(self.read, width.clone());
        let act = Some(stage.act());
        let mut y = norm_act(b, &part("expand"), &part("bn1"), expand, act, x);
        let kernel = Size::elastic(self.kernel, &options.kernels);
        let depthwise =
            Conv2d { transforms: true, ..Conv2d::depthwise(width.clone(), kernel, self.stride, 1) };
        y = norm_act(b, &part("dw"), &part("bn2"), depthwise, act, y);
        if stage.excite {
            let middle = Size::Elastic(Elastic::all(self.expand, &squeezed));
            let excite = SqueezeExcite { channels: width.clone(), middle };
            y = b.add(part("se"), Op::SqueezeExcite(excite), &[y]);
        }
        let project = Conv2d::pointwise(width, self.written);
        y = norm_act(b, &part("project"), &part("bn3"), project, None, y);
        if self.stride == 1 && self.read == self.written {
            y = b.add(part("out"), Op::Add(Add), &[x, y]);
        }
        y
    }
}

/// The first bottleneck, which expands nothing.
fn fixed(b: &mut Builder, channels: i64, x: NodeId) -> NodeId {
    let act = Some(Activation::Relu);
    let depthwise = Conv2d::depthwise(channels, 3, 1, 1);
    let y = norm_act(b, "fixed.dw", "fixed.bn2", depthwise, act, x);
    let project = Conv2d::pointwise(channels, channels);
    let y = norm_act(b, "fixed.project", "fixed.bn3", project, None, y);
    b.add("fixed.out", Op::Add(Add), &[x, y])
}

/// Convolution, norm, activation.
fn norm_act(
    b: &mut Builder,
    conv_name: &str,
    norm_name: &str,
    conv: Conv2d,
    act: Option<Activation>,
    x: NodeId,
) -> NodeId {
    let channels = conv.out_channels.clone();
    let x = b.add(conv_name, Op::Conv2d(conv), &[x]);
    let x = b.add(norm_name, Op::BatchNorm(BatchNorm::affine(channels)), &[x]);
    match act {
        Some(act) => b.add(format!("{norm_name}.act"), Op::Activation(act), &[x]),
        None => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;

    fn graph() -> Graph {
        super::super::build(&(PRESET.defaults)(), PRESET.shape, Sharing::Entangled).unwrap()
    }

    #[test]
    fn architectures_are_counted_by_depth() {
        assert_eq!(graph().count(), 7371_u128.pow(5));
    }

    #[test]
    fn the_supernet_has_the_published_size() {
        // The published code counts the rows too: 5·3, and twice 20·3.
        assert_eq!(graph().stored_params() + 15 + 120, 7_679_015);
    }

    #[test]
    fn a_smaller_kernel_keeps_no_matrices() {
        let graph = graph();
        let smallest = Architecture(vec![0; graph.choices.len()]);
        let fixed = graph.specialise(&smallest).unwrap();
        assert!(fixed.graph.params().iter().all(|param| !param.name.contains(".T")));
        let kernel = fixed.inherited.iter().find(|i| i.name == "stage0.block0.dw.weight").unwrap();
        let path = [("stage0.block0.dw.T75".to_owned(), 5), ("stage0.block0.dw.T53".to_owned(), 3)];
        assert_eq!(kernel.transforms, path);
        assert_eq!(fixed.graph.params().len(), fixed.inherited.len());
    }
}

//! The table of all fields of a run specification.

mod default;
mod kind;
mod values;

use crate::spaces::cell::Operation;
use Literal::{Flag, Integer, List, Number, Text};
pub use default::{Default, Literal, chosen};
pub use kind::{Item, Kind};
use values::*;

/// One field.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Dotted path, for example `search.optimizer.kind`.
    pub path: &'static str,
    /// Short name for people.
    pub label: &'static str,
    /// One sentence on what it does.
    pub help: &'static str,
    /// Unit, or empty.
    pub unit: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// What it is if left out.
    pub default: Default,
    /// The field exists only if the field at this path has one of these values.
    pub when: Option<(&'static str, &'static [&'static str])>,
    /// Whether a form hides it behind "More".
    pub advanced: bool,
    /// Whether it follows from the data set, so that nobody needs to give it.
    pub derived: bool,
}

const OPTIMIZER: &str = "search.optimizer.kind";
const PROGRESSIVE: &str = "drnas-progressive";
const FIXED: &[&str] = &["fixed"];
const DATASET: &str = "dataset.id";
const WEIGHT_OPTIMIZER: &str = "search.weight_optimizer.kind";
const RECIPE: &str = "after.recipe";
const AFTER_OPTIMIZER: &str = "after.optimizer.kind";
const PRESET: &str = "space.preset";
const SECOND_STAGE: &str = "search.second_stage.kind";
const EXECUTOR: &str = "resources.executor";
const SLURM: &[&str] = &["slurm"];
const DEPTH: u64 = 1_000_000;

const fn field(
    path: &'static str,
    label: &'static str,
    help: &'static str,
    kind: Kind,
    default: Default,
) -> Field {
    Field { path, label, help, unit: "", kind, default, when: None, advanced: true, derived: false }
}

impl Field {
    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    const fn plain(mut self) -> Self {
        self.advanced = false;
        self
    }

    const fn only(mut self, path: &'static str, values: &'static [&'static str]) -> Self {
        self.when = Some((path, values));
        self
    }

    const fn derived(mut self) -> Self {
        self.derived = true;
        self
    }

    /// First part of the path: the section of a form; empty for the run itself.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }
}

const fn integer(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max }
}

const fn number(min: f64, max: f64) -> Kind {
    Kind::Number { min, max }
}

/// As much as fits into half of the memory that the published code takes.
const KEPT: &[(&str, Literal)] = &[("toy-cell", Number(1.0)), ("language-char", Number(0.5))];

/// Enough images to tell candidates apart; [the spaces' page](../../../docs/spaces.md) has figures.
const COMPARED: Default = Default::By(
    PRESET,
    &[("toy-cell", Integer(8192)), ("language", Integer(256)), ("language-char", Integer(256))],
);

/// Every field, in the order of a form.
pub const FIELDS: &[Field] = &[
    field("name", "Name", "What the run is called in lists.", Kind::Text { max_chars: 120 }, Default::Absent).plain(),
    field("seed", "Seed", "Decides every random draw: equal seeds give equal runs on CPUs of one kind; on a GPU they start equal, and rounding may lead them apart.", integer(0, (1 << 53) - 1), Default::Is(Integer(9001))).plain(),
    field(DATASET, "Data set", "What the network learns from: images to classify, or a text whose next token it tells.", Kind::Dataset(DATASETS), Default::Required).plain(),
    field("dataset.version", "Version", "Which content of one of your own data sets the run sees: a version that its page lists; empty for the newest.", Kind::Text { max_chars: 64 }, Default::Absent),
    field("dataset.kind", "Kind of data", "What the data set holds; filled in.", Kind::OneOf(DATA_KINDS), Default::By(DATASET, &[("fashion-mnist", Text("images")), ("cifar-10", Text("images")), ("cifar-100", Text("images")), ("tiny-shakespeare", Text("text")), ("text", Text("text"))])).derived(),
    field("dataset.shape", "Shape", "Channels, height and width of the images of one of your own data sets; filled in.", Kind::List(&Item::Sizes { min: 1, max: 4096 }), Default::Absent).unit("pixels").derived(),
    field("dataset.classes", "Classes", "Classes of one of your own data sets; filled in.", integer(2, 100_000), Default::Absent).derived(),
    field("dataset.images", "Images", "Training images of one of your own data sets; filled in.", integer(1, 1_000_000_000), Default::Absent).unit("images").derived(),
    field("dataset.valid", "Validation images", "The last so many training images of one of your own data sets came as a validation split; filled in.", integer(0, 1_000_000_000), Default::Absent).unit("images").derived(),
    field("dataset.limit", "Training images", "Search on only the first so many training images (of a text: windows); empty for all.", integer(16, 100_000_000), Default::Absent).unit("images").plain(),
    field("dataset.crop", "Random crop", "Enlarge a training image by so many black pixels on each side, then take a random part of the old size; 0 for none.", integer(0, 64), Default::By(DATASET, &[("fashion-mnist", Integer(0)), ("cifar-10", Integer(4)), ("cifar-100", Integer(4))])).unit("pixels"),
    field("dataset.flip", "Random flip", "Mirror training images at random, left to right.", Kind::Flag, Default::By(DATASET, &[("fashion-mnist", Flag(false)), ("cifar-10", Flag(true)), ("cifar-100", Flag(true))])),
    field("dataset.flip_vertical", "Random vertical flip", "Mirror training images at random, top to bottom.", Kind::Flag, Default::Is(Flag(false))),
    field("dataset.resized_crop", "Random resized crop", "After the random crop, take a random part of a training image, of at least this share of its area and an aspect ratio of 3/4 to 4/3, and scale it to the whole size; 0 for none. 0.08 is usual for large images.", number(0.0, 1.0), Default::Is(Number(0.0))),
    field("dataset.split", "Split", "Which training images train weights and which train rows: the first ones and the rest; drawn at random; drawn at random from each class alike; or the validation images that the data set came with train rows. Test images never take part.", Kind::OneOf(SPLITS), Default::Is(Text("ordered"))),
    field("dataset.split_seed", "Seed of the split", "Equal seeds divide the training images equally, whatever the run's own seed is.", integer(0, (1 << 53) - 1), Default::Is(Integer(0))).only("dataset.split", DRAWN_SPLITS),
    field("dataset.class_share", "Share of each class", "Use only this share of the training images of each class, in the search and after it.", number(1e-6, 1.0), Default::Is(Number(1.0))),
    field("dataset.class_limit", "Images of each class", "Use at most so many training images of each class, in the search and after it; empty for all.", integer(1, 100_000_000), Default::Absent).unit("images"),
    field("dataset.subset", "Subset", "Use only the training images at these positions, in the search and after it: numbers and ranges from 0, such as `0-999,2000-2499`; empty for all.", Kind::Text { max_chars: 100_000 }, Default::Absent),
    field("space.preset", "Space", "The family of networks that is searched.", Kind::OneOf(PRESETS), Default::Required).plain(),
    field(OPTIMIZER, "Optimizer", "How the rows (architecture parameters) are learned. Random search trains random architectures for a short time; a given architecture is only measured and trained.", Kind::OneOf(OPTIMIZERS), Default::Required).plain(),
    field("dataset.tokens", "Tokens", "What a text is cut into.", Kind::OneOf(TOKENS), Default::By(PRESET, &[("language-char", Text("characters")), ("language", Text("bpe"))])).only("dataset.kind", TEXTS).plain(),
    field("dataset.vocabulary", "Vocabulary", "Different byte pairs; they are learned from the training text unless the data set's folder holds a `tokenizer.json`.", integer(260, 1_000_000), Default::Is(Integer(4096))).only("dataset.tokens", &["bpe"]),
    field("dataset.line_ends", "Line ends", "Normalised, every line of a text ends with `\\n` and a byte order mark at its start is dropped; or its bytes are taken as they are.", Kind::OneOf(LINE_ENDS), Default::Is(Text("normalised"))).only("dataset.kind", TEXTS),
    field("space.operations", "Operations", "Candidates on every edge, in row order.", Kind::List(&Item::Names(Operation::NAMES)), Default::By(PRESET, &[
        ("toy-cell", List(r#"["sep3", "sep5", "dil3", "dil5"]"#)),
        ("nas-bench-201", List(r#"["avgpool", "conv3", "conv1", "skip", "none"]"#)),
        ("darts", List(r#"["none", "maxpool", "avgpool", "skip", "sep3", "sep5", "dil3", "dil5"]"#)),
    ])).only(PRESET, CELLS),
    field("space.channels", "Channels", "Channels of the first cells; they double with each reduction.", integer(1, 512), Default::Either([(OPTIMIZER, &[(PROGRESSIVE, Integer(36))]), (PRESET, &[("toy-cell", Integer(32)), ("nas-bench-201", Integer(16)), ("darts", Integer(16))])])).only(PRESET, CELLS),
    field("space.cells", "Cells", "Cells in each of the three stages (NAS-Bench-201), or in all.", integer(1, 100), Default::By(PRESET, &[("nas-bench-201", Integer(5)), ("darts", Integer(8))])).only(PRESET, &["nas-bench-201", "darts"]),
    field("space.nodes", "Nodes", "Nodes of a cell besides its two inputs.", integer(1, 12), Default::Is(Integer(4))).only(PRESET, &["darts"]),
    field("space.keep", "Edges kept", "Edges that enter each node of the derived cell.", integer(1, 12), Default::Is(Integer(2))).only(PRESET, &["darts"]),
    field("space.widths", "Widths", "Channels to choose from, a list for each layer.", Kind::List(&Item::Lists { min: 1, max: 4096 }), Default::Is(List("[[8, 16, 32], [16, 32, 64], [32, 64, 128], [64, 128, 256]]"))).only(PRESET, &["conv-macro"]),
    field("space.kernels", "Kernels", "Sides of the kernels to choose from in each layer or block, odd.", Kind::List(&Item::Integers { min: 1, max: 31 }), Default::Is(List("[3, 5, 7]"))).only(PRESET, &["conv-macro", "mobilenet-v3"]),
    field("space.pools", "Pooling after", "Layers after which the map is halved, counted from 1.", Kind::List(&Item::Sizes { min: 1, max: 64 }), Default::Is(List("[2, 3]"))).only(PRESET, &["conv-macro"]),
    field("space.last_width", "Last width", "Channels of the fixed convolution after the searched ones.", integer(1, 4096), Default::Is(Integer(256))).only(PRESET, &["conv-macro"]),
    field("space.head", "Head", "Widths of the hidden linear layers.", Kind::List(&Item::Sizes { min: 1, max: 65_536 }), Default::Is(List("[256, 128, 64]"))).only(PRESET, &["conv-macro"]),
    field("space.dropout", "Dropout", "Probability with which an element (in the macro space, a channel) is zeroed.", number(0.0, 0.9), Default::By(PRESET, &[("toy-cell", Number(0.2)), ("conv-macro", Number(0.5)), ("mobilenet-v3", Number(0.1)), ("language", Number(0.2)), ("language-char", Number(0.2))])).only(PRESET, &["toy-cell", "conv-macro", "mobilenet-v3", "language", "language-char"]),
    field("space.depths", "Depths", "Numbers of layers, or of blocks in a stage, to choose from.", Kind::List(&Item::Integers { min: 1, max: 64 }), Default::By(PRESET, &[("autoformer-t", List("[12, 13, 14]")), ("autoformer-s", List("[12, 13, 14]")), ("autoformer-b", List("[14, 15, 16]")), ("mobilenet-v3", List("[2, 3, 4]"))])).only(PRESET, RESIZED),
    field("space.layers", "Layers", "Numbers of layers to choose from.", Kind::List(&Item::Integers { min: 1, max: 64 }), Default::By(PRESET, &[("language", List("[5, 6, 7]")), ("language-char", List("[4, 5, 6]"))])).only(PRESET, LANGUAGE),
    field("space.embed_widths", "Token widths", "Widths of a token to choose from.", Kind::List(&Item::Integers { min: 1, max: 4096 }), Default::By(PRESET, &[("autoformer-t", List("[192, 216, 240]")), ("autoformer-s", List("[320, 384, 448]")), ("autoformer-b", List("[528, 576, 624]")), ("language", List("[384, 576, 768]")), ("language-char", List("[96, 192, 384]"))])).only(PRESET, TRANSFORMERS),
    field("space.heads", "Heads", "Numbers of attention heads to choose from in each layer.", Kind::List(&Item::Integers { min: 1, max: 64 }), Default::By(PRESET, &[("autoformer-t", List("[3, 4]")), ("autoformer-s", List("[5, 6, 7]")), ("autoformer-b", List("[8, 9, 10]")), ("language", List("[6, 8, 12]")), ("language-char", List("[2, 4, 6]"))])).only(PRESET, TRANSFORMERS),
    field("space.ratios", "MLP ratios", "Hidden width over the token's width, to choose from in each layer.", Kind::List(&Item::Numbers { min: 0.1, max: 16.0 }), Default::By(PRESET, &[("autoformer-t", List("[3.5, 4.0]")), ("autoformer-s", List("[3.0, 3.5, 4.0]")), ("autoformer-b", List("[3.0, 3.5, 4.0]")), ("language", List("[2.0, 3.0, 4.0]")), ("language-char", List("[2.0, 3.0, 4.0]"))])).only(PRESET, TRANSFORMERS),
    field("space.context", "Window", "Tokens that the network sees at once.", integer(2, 65_536), Default::By(PRESET, &[("language", Integer(224)), ("language-char", Integer(256))])).unit("tokens").only(PRESET, LANGUAGE),
    field("space.expansions", "Expansions", "Expansion ratios to choose from in each block.", Kind::List(&Item::Integers { min: 1, max: 16 }), Default::Is(List("[3, 4, 6]"))).only(PRESET, MOBILE),
    field("space.width", "Width", "What the channels of every stage are multiplied with.", number(0.05, 4.0), Default::Is(Number(1.0))).only(PRESET, MOBILE),
    field("space.image_size", "Image size", "Images are resized to this side.", integer(1, 1024), Default::Is(Integer(224))).unit("pixels").only(PRESET, RESIZED),
    field("space.patch", "Patch", "Side of a patch; a token each.", integer(1, 512), Default::Is(Integer(16))).unit("pixels").only(PRESET, AUTOFORMERS),
    field("space.drop_path", "Drop path", "Probability with which the last residual branch is left out for an image while training, in the search too; over the depth it rises linearly from 0. Spaces of cells have `after.drop_path` instead.", number(0.0, 0.9), Default::Is(Number(0.1))).only(PRESET, AUTOFORMERS),
    field("search.optimizer.architecture", "Architecture", "What is measured and trained: the text form of a result, its `architecture.json`, a list of options, a genotype of DARTS, or a cell of NAS-Bench-201.", Kind::Architecture, Default::Required).only(OPTIMIZER, FIXED).plain(),
    field(
        "search.optimizer.kl_scale",
        "KL weight",
        "Weight of the rows' distance to the uniform distribution; above 0 it replaces the rows' L2 decay.",
        number(0.0, 100.0),
        Default::Is(Number(0.0)),
    )
    .only(OPTIMIZER, &["drnas"]),
    field("search.optimizer.part_start", "Channel part, first half", "In the first half of the epochs an operation sees one channel of its edge in so many; the others pass by.", integer(1, 64), Default::Is(Integer(6))).only(OPTIMIZER, &[PROGRESSIVE]),
    field("search.optimizer.part_end", "Channel part, second half", "The same in the second half; new channels start as copies of random old ones.", integer(1, 64), Default::Is(Integer(4))).only(OPTIMIZER, &[PROGRESSIVE]),
    field("search.optimizer.operations", "Operations, second half", "Operations that each edge keeps for the second half, those with the largest architecture parameters.", integer(2, 64), Default::Is(Integer(4))).only(OPTIMIZER, &[PROGRESSIVE]),
    field("search.optimizer.projection", "Projection", "How DARTS turns a row into weights; the published code uses sparsemax on entangled weights, the paper speaks of softmax.", Kind::OneOf(PROJECTIONS), Default::Is(Text("softmax"))).only(OPTIMIZER, &["darts"]),
    field("search.optimizer.order", "Order", "2 differentiates through one step of the weights: five passes over a batch instead of two.", integer(1, 2), Default::Is(Integer(1))).only(OPTIMIZER, &["darts"]),
    field("search.optimizer.tau_start", "Temperature, first epoch", "Gumbel temperature at the start; falls linearly.", number(0.01, 100.0), Default::Is(Number(10.0))).only(OPTIMIZER, &["gdas"]),
    field("search.optimizer.tau_end", "Temperature, last epoch", "Gumbel temperature at the end.", number(0.01, 100.0), Default::Is(Number(0.1))).only(OPTIMIZER, &["gdas"]),
    field("search.optimizer.sub_nets", "Sub-nets per step", "Random sub-nets whose gradients are added up before one step of the weights, once widths shrink; one while kernels shrink, two at most while depths do.", integer(1, 64), Default::Is(Integer(4))).only(OPTIMIZER, &["ofa"]),
    field("search.optimizer.kd_ratio", "Distillation", "Weight of the cross-entropy with the predictions of the largest network, as it was at the end of its own stage, next to that with the labels; 0 for none.", number(0.0, 100.0), Default::Is(Number(1.0))).only(OPTIMIZER, &["ofa"]),
    field("search.optimizer.frozen_epochs", "Frozen epochs", "Epochs at the start in which only the weights are trained.", integer(0, 100_000), Default::By(OPTIMIZER, &[("drnas", Integer(0)), (PROGRESSIVE, Integer(10))])).unit("epochs").only(OPTIMIZER, ROWS),
    field("search.weights", "Weights", "Entangled: all candidates are slices of the largest operation's weight.", Kind::OneOf(SHARINGS), Default::Is(Text("entangled"))).plain(),
    field("search.fidelity", "Fidelity", "Corrected: a group's weight scales its output instead of vanishing in batch norm. Reference: the published code's numbers.", Kind::OneOf(FIDELITIES), Default::Is(Text("corrected"))).plain(),
    field("search.epochs", "Epochs", "Passes over the weight split; the default is the published recipe's.", integer(1, 100_000), Default::By(OPTIMIZER, &[("drnas", Integer(100)), (PROGRESSIVE, Integer(50)), ("darts", Integer(50)), ("gdas", Integer(250)), ("spos", Integer(250)), ("ofa", Integer(590))])).only(OPTIMIZER, SEARCHED).plain(),
    field("search.batch_size", "Batch size", "Images (of a text: windows) per step, for weights and rows alike.", integer(2, 65_536), Default::Is(Integer(64))).unit("images").plain(),
    field("search.train_portion", "Train portion", "Share of the training images that trains weights; the rest trains rows.", number(0.05, 0.95), Default::Is(Number(0.5))),
    field("search.cutout", "Cutout", "Blank a square of this side at a random place of each training image; 0 for none.", integer(0, 256), Default::Is(Integer(0))).unit("pixels"),
    field("search.rand_augment", "RandAugment", "Change each training image by two random operations, such as a rotation or another contrast, of this magnitude; 0 for none.", number(0.0, 10.0), Default::Is(Number(0.0))),
    field("search.color_jitter", "Colour jitter", "Change brightness, contrast and saturation of each training image by random factors within 1 ± this strength; of images without three channels, brightness and contrast only; 0 for none.", number(0.0, 1.0), Default::Is(Number(0.0))),
    field("search.random_erasing", "Random erasing", "Probability with which a random rectangle of 2 to 33 % of a training image is blanked; 0 for never.", number(0.0, 1.0), Default::Is(Number(0.0))),
    field(WEIGHT_OPTIMIZER, "Weight optimizer", "How the weights follow their gradient.", Kind::OneOf(WEIGHT_OPTIMIZERS), Default::By(PRESET, &[("toy-cell", Text("sgd")), ("conv-macro", Text("adam")), ("nas-bench-201", Text("sgd")), ("darts", Text("sgd")), ("language", Text("adamw")), ("language-char", Text("adamw"))])),
    field("search.weight_optimizer.momentum", "Momentum", "Of the weights (SGD).", number(0.0, 0.999), Default::Is(Number(0.9))).only(WEIGHT_OPTIMIZER, &["sgd"]),
    field("search.weight_optimizer.nesterov", "Nesterov", "Whether Nesterov's momentum is used.", Kind::Flag, Default::Is(Flag(true))).only(WEIGHT_OPTIMIZER, &["sgd"]),
    field("search.weight_optimizer.beta1", "Weight β₁", "First decay rate of the weights' Adam.", number(0.0, 0.9999), Default::Is(Number(0.9))).only(WEIGHT_OPTIMIZER, &["adam", "adamw"]),
    field("search.weight_optimizer.beta2", "Weight β₂", "Second decay rate of the weights' Adam.", number(0.0, 0.99999), Default::By(PRESET, &[("toy-cell", Number(0.999)), ("conv-macro", Number(0.995)), ("nas-bench-201", Number(0.999)), ("darts", Number(0.999)), ("language", Number(0.99)), ("language-char", Number(0.99))])).only(WEIGHT_OPTIMIZER, &["adam", "adamw"]),
    field("search.weight_lr", "Learning rate", "Of the weights at the start; a cosine schedule steps once an epoch (of a text: once a step).", number(0.0, 10.0), Default::Either([(PRESET, &[("language", Number(5e-4)), ("language-char", Number(1e-4))]), (WEIGHT_OPTIMIZER, &[("sgd", Number(0.025)), ("adam", Number(3e-4)), ("adamw", Number(1e-3))])])),
    field("search.weight_lr_min", "Final learning rate", "Of the weights at the end.", number(0.0, 10.0), Default::Either([(PRESET, &[("language", Number(5e-5)), ("language-char", Number(1e-5))]), (WEIGHT_OPTIMIZER, &[("sgd", Number(0.001)), ("adam", Number(1e-4)), ("adamw", Number(1e-5))])])),
    field("search.warmup.length", "Warm-up", "The weights' learning rate rises to its start for so long, step by step, before it falls; 0 for none.", number(0.0, 1e6), Default::By(PRESET, &[("toy-cell", Number(0.0)), ("language", Number(100.0)), ("language-char", Number(100.0))])),
    field("search.warmup.unit", "Warm-up counts", "What the warm-up is counted in.", Kind::OneOf(UNITS), Default::By(PRESET, &[("toy-cell", Text("epochs")), ("language", Text("steps")), ("language-char", Text("steps"))])),
    field("search.weight_decay", "Weight decay", "Of the weights: added to the gradient, or (AdamW) taken off the weights themselves.", number(0.0, 1.0), Default::Either([(PRESET, &[("language", Number(0.1)), ("language-char", Number(0.1))]), (WEIGHT_OPTIMIZER, &[("sgd", Number(5e-4)), ("adam", Number(5e-4)), ("adamw", Number(0.05))])])),
    field("search.decay_all", "Decay norms and biases", "Whether norms' scales and shifts and all biases decay too.", Kind::Flag, Default::By(WEIGHT_OPTIMIZER, &[("sgd", Flag(true)), ("adam", Flag(true)), ("adamw", Flag(false))])),
    field("search.clip", "Gradient clip", "Largest norm of the weights' gradient.", number(1e-6, 1e9), Default::By(PRESET, &[("toy-cell", Number(5.0)), ("language", Number(1.0)), ("language-char", Number(1.0))])),
    field("search.arch_lr", "Row learning rate", "Of the rows (Adam).", number(0.0, 10.0), Default::Is(Number(3e-4))),
    field("search.arch_beta1", "Row β₁", "First decay rate of the rows' Adam.", number(0.0, 0.9999), Default::Is(Number(0.5))),
    field("search.arch_beta2", "Row β₂", "Second decay rate of the rows' Adam.", number(0.0, 0.99999), Default::Is(Number(0.999))),
    field("search.arch_weight_decay", "Row weight decay", "L2 decay of the rows.", number(0.0, 1.0), Default::Is(Number(1e-3))),
    field("search.valid_limit", "Validation images", "Images (of a text: windows) of the architecture split on which the supernet is validated after each epoch.", integer(1, 100_000_000), Default::By(PRESET, &[("toy-cell", Integer(2048)), ("language", Integer(256)), ("language-char", Integer(256))])).unit("images"),
    field("search.on_nonfinite", "If a loss is no number", "Go back: to the last checkpoint with half the learning rates, three times at most; if it goes wrong before the next checkpoint again, to the one before.", Kind::OneOf(&[("stop", "Fail the run"), ("rollback", "Go back")]), Default::Is(Text("stop"))),
    field("search.patience_epochs", "Patience", "End the search once neither the derived architecture nor the rows changed for so many epochs; 0 for never.", integer(0, 100_000), Default::Is(Integer(0))).unit("epochs"),
    field("search.from_run", "Trained weights of", "Id of a succeeded run. Its trained supernet is searched again, within other limits or by another second stage, and nothing of the search is trained anew; all that the training hangs on must be as it is there. A given architecture inherits weights from that run. Empty to train.", Kind::Text { max_chars: 36 }, Default::Absent),
    field("search.inherit", "Inherited weights", "What the given architecture inherits of that run: slices of its supernet, the weights of its packaged network, or nothing.", Kind::OneOf(INHERITED), Default::Is(Text("supernet"))).only(OPTIMIZER, FIXED),
    field("search.reset_head", "Fresh last layer", "Whether what tells the classes starts afresh; needed where the data have other classes than those of that run.", Kind::Flag, Default::Is(Flag(false))).only(OPTIMIZER, FIXED),
    field(SECOND_STAGE, "Second stage", "How architectures are compared on the trained supernet, each with batch norm recalibrated, to pick the best; without one, the rows tell it.", Kind::OneOf(SECOND_STAGES), Default::By(OPTIMIZER, &[("drnas", Text("none")), ("spos", Text("random")), ("ofa", Text("random"))])).plain(),
    field("search.second_stage.candidates", "Candidates", "Different random architectures that are compared.", integer(1, 100_000), Default::Is(Integer(64))).only(SECOND_STAGE, &["random", "effects"]),
    field("search.second_stage.tolerance", "Tolerance", "A smaller size of an operation is taken if it adds at most so much less to the share of right answers (of a text: takes so much less off the loss, in nats) than the best size. Sizes share weights, of which the larger have a lead at first.", number(0.0, 1.0), Default::By(PRESET, &[("conv-macro", Number(0.0)), ("toy-cell", Number(0.005))])).only(SECOND_STAGE, &["effects"]),
    field("search.second_stage.population", "Population", "Candidates of a generation.", integer(1, 10_000), Default::Is(Integer(50))).only(SECOND_STAGE, &["evolution", "pareto"]),
    field("search.second_stage.cost", "Cost", "What accuracy is traded for; the front is found by NSGA-II, and its most accurate architecture goes on.", Kind::OneOf(MEASURES), Default::Is(Text("params"))).only(SECOND_STAGE, &["pareto"]),
    field("search.second_stage.parents", "Parents", "Best candidates so far that may have children.", integer(1, 10_000), Default::Is(Integer(10))).only(SECOND_STAGE, &["evolution"]),
    field("search.second_stage.mutations", "Mutations", "Children of one parent in each generation.", integer(0, 10_000), Default::Is(Integer(25))).only(SECOND_STAGE, &["evolution", "pareto"]),
    field("search.second_stage.crossovers", "Crossovers", "Children of two parents in each generation; random candidates fill the population up.", integer(0, 10_000), Default::Is(Integer(25))).only(SECOND_STAGE, &["evolution", "pareto"]),
    field("search.second_stage.mutation_prob", "Mutation probability", "With which a mutation draws a choice anew.", number(0.001, 1.0), Default::Is(Number(0.2))).only(SECOND_STAGE, &["evolution", "pareto"]),
    field("search.second_stage.structure_prob", "Structure mutation probability", "The same for choices of depth and of the embedding's width.", number(0.001, 1.0), Default::Is(Number(0.4))).only(SECOND_STAGE, &["evolution", "pareto"]),
    field("search.second_stage.generations", "Generations", "The random first one included.", integer(1, 10_000), Default::Is(Integer(20))).only(SECOND_STAGE, &["evolution", "pareto"]),
    field("search.second_stage.images", "Compared images", "Images (of a text: windows) of the architecture split that each candidate answers, drawn at random; validation images come first. More tell candidates better apart and take longer.", integer(1, 100_000_000), COMPARED).unit("images").only(SECOND_STAGE, &["random", "effects", "evolution", "pareto"]),
    field("constraints.max_params", "Most parameters", "Only architectures with at most so many trained numbers are candidates; from rows, the likeliest of them is derived.", integer(1, 1_000_000_000_000), Default::Absent),
    field("constraints.max_macs", "Most multiply-adds", "The same for multiply-accumulates per image.", integer(1, 1_000_000_000_000_000), Default::Absent),
    field("constraints.max_latency_ms", "Longest latency", "The same for one example on the device of the run, in evaluation: the sum of what the network's layers take there, each measured alone when the run starts.", number(1e-6, 1e9), Default::Absent).unit("ms"),
    field("constraints.penalty", "Price of cost", "While rows are learned, their loss grows by this times the logarithm of the expected cost, or, where it is limited, of its ratio to the limit while it exceeds it; 0 for no price.", number(0.0, 1000.0), Default::Is(Number(0.0))),
    field("constraints.parsimony", "Parsimony", "Of the options of a choice that are at least (1 - this) times as likely as the likeliest, the cheapest is derived; 0 for the likeliest.", number(0.0, 0.95), Default::Is(Number(0.0))).only(OPTIMIZER, ROWS),
    field("constraints.penalty_on", "Priced cost", "Which cost price and parsimony are on.", Kind::OneOf(MEASURES), Default::Is(Text("params"))),
    field("after.recalibrate_images", "Recalibration images", "Training images over which batch norm's statistics are estimated anew for the derived network.", integer(16, 1_000_000), Default::Is(Integer(2048))).unit("images"),
    field("after.finalists.count", "Finalists", "Train so many of the likeliest architectures from scratch for a short time, and go on with the one that answers best; 0 for none. They come from the second stage if there is one, else from the rows; random search draws them.", integer(0, 1000), Default::Is(Integer(0))).plain(),
    field("after.finalists.rounds", "Rounds of finalists", "After each round the worse half leaves; in the next one the others are trained anew, for twice as long.", integer(1, 10), Default::Is(Integer(2))),
    field("after.finalists.epochs", "Epochs of finalists", "Passes over their images in the first round. Optimizer, learning rate and batch size are those of the training from scratch.", integer(1, 100_000), Default::Is(Integer(1))),
    field("after.finalists.limit", "Images of finalists", "Only the first so many images of the weight split train them; empty for all.", integer(16, 100_000_000), Default::Absent).unit("images"),
    field("after.finalists.images", "Answered by finalists", "Images (of a text: windows) of the architecture split that each answers, drawn at random; validation images come first.", integer(1, 100_000_000), COMPARED).unit("images"),
    field(RECIPE, "Recipe", "Fills in the defaults of both trainings; every field stays editable.", Kind::OneOf(RECIPES), Default::By(PRESET, &[("toy-cell", Text("plain")), ("language", Text("language")), ("language-char", Text("language-char"))])).plain(),
    field("after.fine_tune.epochs", "Epochs of fine-tuning", "Train the derived network on, from the weights that it inherits; 0 for not.", integer(0, 100_000), Default::Is(Integer(0))).plain(),
    field("after.from_scratch.epochs", "Epochs from scratch", "Train the derived network from fresh weights; 0 for not.", integer(0, 100_000), Default::By(OPTIMIZER, &[("drnas", Integer(0)), (PROGRESSIVE, Integer(600))])).plain(),
    field("after.packaged", "Packaged weights", "Which weights go into the result package; the best are judged by the validation images.", Kind::OneOf(PACKAGED), Default::Is(Text("best"))).plain(),
    field("after.fine_tune.lr", "Learning rate of fine-tuning", "At the start; a cosine schedule steps once a step.", number(0.0, 10.0), Default::By(RECIPE, &[("plain", Number(0.01)), ("cifar", Number(0.01)), ("darts", Number(0.005)), ("conv-macro", Number(0.0001)), ("transformer", Number(1e-05)), ("language", Number(1e-4)), ("language-char", Number(1e-4))])),
    field("after.fine_tune.lr_min", "Final learning rate of fine-tuning", "At the end.", number(0.0, 10.0), Default::By(RECIPE, &[("plain", Number(0.0)), ("cifar", Number(0.0)), ("darts", Number(0.0)), ("conv-macro", Number(0.0)), ("transformer", Number(1e-06)), ("language", Number(1e-5)), ("language-char", Number(1e-5))])),
    field("after.fine_tune.warmup_epochs", "Warm-up of fine-tuning", "The learning rate rises to its start for so long, step by step.", number(0.0, 10_000.0), Default::Is(Number(0.0))).unit("epochs"),
    field("after.from_scratch.lr", "Learning rate from scratch", "At the start; a cosine schedule steps once a step.", number(0.0, 10.0), Default::By(RECIPE, &[("plain", Number(0.05)), ("cifar", Number(0.1)), ("darts", Number(0.025)), ("conv-macro", Number(0.0003)), ("transformer", Number(0.0005)), ("language", Number(5e-4)), ("language-char", Number(1e-3))])),
    field("after.from_scratch.lr_min", "Final learning rate from scratch", "At the end.", number(0.0, 10.0), Default::By(RECIPE, &[("plain", Number(0.0)), ("cifar", Number(0.0)), ("darts", Number(0.0)), ("conv-macro", Number(0.0001)), ("transformer", Number(1e-05)), ("language", Number(5e-5)), ("language-char", Number(1e-4))])),
    field("after.from_scratch.warmup_epochs", "Warm-up from scratch", "The learning rate rises to its start for so long, step by step.", number(0.0, 10_000.0), Default::By(RECIPE, &[("plain", Number(0.0)), ("cifar", Number(5.0)), ("darts", Number(0.0)), ("conv-macro", Number(0.0)), ("transformer", Number(20.0)), ("language", Number(0.5)), ("language-char", Number(0.5))])).unit("epochs"),
    field(AFTER_OPTIMIZER, "Training optimizer", "How the weights follow their gradient in both trainings.", Kind::OneOf(WEIGHT_OPTIMIZERS), Default::By(RECIPE, &[("plain", Text("sgd")), ("cifar", Text("sgd")), ("darts", Text("sgd")), ("conv-macro", Text("adam")), ("transformer", Text("adamw")), ("language", Text("adamw")), ("language-char", Text("adamw"))])),
    field("after.optimizer.momentum", "Training momentum", "Of SGD.", number(0.0, 0.999), Default::Is(Number(0.9))).only(AFTER_OPTIMIZER, &["sgd"]),
    field("after.optimizer.nesterov", "Training Nesterov", "Whether Nesterov's momentum is used.", Kind::Flag, Default::By(RECIPE, &[("plain", Flag(true)), ("cifar", Flag(true)), ("darts", Flag(false)), ("conv-macro", Flag(true)), ("transformer", Flag(true))])).only(AFTER_OPTIMIZER, &["sgd"]),
    field("after.optimizer.beta1", "Training β₁", "First decay rate of Adam.", number(0.0, 0.9999), Default::Is(Number(0.9))).only(AFTER_OPTIMIZER, &["adam", "adamw"]),
    field("after.optimizer.beta2", "Training β₂", "Second decay rate of Adam.", number(0.0, 0.99999), Default::By(RECIPE, &[("plain", Number(0.999)), ("cifar", Number(0.999)), ("darts", Number(0.999)), ("conv-macro", Number(0.995)), ("transformer", Number(0.999)), ("language", Number(0.99)), ("language-char", Number(0.99))])).only(AFTER_OPTIMIZER, &["adam", "adamw"]),
    field("after.batch_size", "Training batch size", "Images per step of both trainings.", integer(2, 65_536), Default::By(RECIPE, &[("plain", Integer(96)), ("cifar", Integer(128)), ("darts", Integer(96)), ("conv-macro", Integer(64)), ("transformer", Integer(512)), ("language", Integer(64)), ("language-char", Integer(64))])).unit("images"),
    field("after.weight_decay", "Training weight decay", "Added to the gradient, or (AdamW) taken off the weights themselves.", number(0.0, 1.0), Default::By(RECIPE, &[("plain", Number(0.0005)), ("cifar", Number(0.0005)), ("darts", Number(0.0003)), ("conv-macro", Number(0.0005)), ("transformer", Number(0.05)), ("language", Number(0.1)), ("language-char", Number(0.1))])),
    field("after.decay_all", "Training decays norms and biases", "Whether norms' scales and shifts and all biases decay too.", Kind::Flag, Default::By(RECIPE, &[("plain", Flag(true)), ("cifar", Flag(true)), ("darts", Flag(true)), ("conv-macro", Flag(true)), ("transformer", Flag(false)), ("language", Flag(false)), ("language-char", Flag(false))])),
    field("after.clip", "Training gradient clip", "Largest norm of the gradient.", number(1e-6, 1e9), Default::By(RECIPE, &[("plain", Number(5.0)), ("language", Number(1.0)), ("language-char", Number(1.0))])),
    field("after.limit", "Images of the trainings", "Only the first so many training images; empty for all.", integer(16, 100_000_000), Default::Absent).unit("images"),
    field("after.repeats", "Repeated augmentation", "Take each image so many times in a row, changed anew each time; an epoch stays as long.", integer(1, 64), Default::By(RECIPE, &[("plain", Integer(1)), ("cifar", Integer(1)), ("darts", Integer(1)), ("conv-macro", Integer(1)), ("transformer", Integer(3))])).unit("times"),
    field("after.cutout", "Training cutout", "Blank a square of this side at a random place of each image; 0 for none.", integer(0, 256), Default::By(RECIPE, &[("plain", Integer(0)), ("cifar", Integer(16)), ("darts", Integer(16)), ("conv-macro", Integer(0)), ("transformer", Integer(0))])).unit("pixels"),
    field("after.rand_augment", "Training RandAugment", "Change each training image by two random operations, such as a rotation or another contrast, of this magnitude; 0 for none.", number(0.0, 10.0), Default::By(RECIPE, &[("plain", Number(0.0)), ("cifar", Number(0.0)), ("darts", Number(0.0)), ("conv-macro", Number(0.0)), ("transformer", Number(9.0))])),
    field("after.color_jitter", "Training colour jitter", "Change brightness, contrast and saturation of each training image by random factors within 1 ± this strength; of images without three channels, brightness and contrast only; 0 for none.", number(0.0, 1.0), Default::Is(Number(0.0))),
    field("after.random_erasing", "Training random erasing", "Probability with which a random rectangle of 2 to 33 % of an image is blanked; 0 for never.", number(0.0, 1.0), Default::Is(Number(0.0))),
    field("after.label_smoothing", "Label smoothing", "Share of a label that is spread evenly over all classes.", number(0.0, 0.9), Default::By(RECIPE, &[("plain", Number(0.0)), ("cifar", Number(0.1)), ("darts", Number(0.0)), ("conv-macro", Number(0.0)), ("transformer", Number(0.1))])),
    field("after.mixup", "Mixup", "Blend pairs of images; the parameter of the blend's Beta distribution, 0 for none. With cutmix too, every batch takes one of them.", number(0.0, 2.0), Default::By(RECIPE, &[("plain", Number(0.0)), ("cifar", Number(0.0)), ("darts", Number(0.0)), ("conv-macro", Number(0.0)), ("transformer", Number(0.8))])),
    field("after.cutmix", "Cutmix", "Paste a rectangle of another image; the parameter of its share's Beta distribution, 0 for none.", number(0.0, 2.0), Default::By(RECIPE, &[("plain", Number(0.0)), ("cifar", Number(0.0)), ("darts", Number(0.0)), ("conv-macro", Number(0.0)), ("transformer", Number(1.0))])),
    field("after.ema", "Average of the weights", "Keep a moving average, of which each step keeps this share, and measure it too; 0 for none.", number(0.0, 0.999_999), Default::By(RECIPE, &[("plain", Number(0.0)), ("cifar", Number(0.999)), ("darts", Number(0.0)), ("conv-macro", Number(0.0)), ("transformer", Number(0.0))])),
    field("after.drop_path", "Drop path on edges", "While the derived network is trained, zero the output of each operation on an edge for single images with this probability, and scale the others up; identities are never zeroed. It rises with the epochs: in the first it is 0, in each later one this times the share of epochs that are done. A vision transformer has `space.drop_path` instead, in the search too.", number(0.0, 0.9), Default::By(RECIPE, &[("plain", Number(0.0)), ("darts", Number(0.2))])).only(PRESET, CELLS),
    field("after.auxiliary", "Auxiliary head", "While the derived network is trained, a second, small classifier reads the map behind the last cell that halves it, and its loss counts this much beside the network's own; 0 for none. It ends with the training: result package, parameters and costs are without it.", number(0.0, 10.0), Default::By(RECIPE, &[("plain", Number(0.0)), ("darts", Number(0.4))])).only(PRESET, &["darts"]),
    field("benchmark.table", "Table", "A CSV file in the `benchmarks` folder of the data folder: every architecture that is derived is looked up in it, and the run keeps a copy.", Kind::Text { max_chars: 100 }, Default::Absent),
    field("benchmark.columns", "Columns of the choices", "Comma-separated, in the order of the choices; each holds the option's name or index. Empty if they are called after the choices.", Kind::Text { max_chars: 4000 }, Default::Absent),
    field("benchmark.accuracy", "Column of the accuracy", "Shares or per cent; empty for the first column whose name contains `acc`.", Kind::Text { max_chars: 100 }, Default::Absent),
    field(EXECUTOR, "Executor", "Where the run works: on the server's machine, or as a job of a Slurm cluster, if the server was started with one.", Kind::OneOf(EXECUTORS), Default::Is(Text("local"))).plain(),
    field("resources.slurm.partition", "Partition", "Slurm's partition; empty for the server's. This and what follows may be what the server's settings allow.", Kind::Text { max_chars: 100 }, Default::Absent).only(EXECUTOR, SLURM).plain(),
    field("resources.slurm.account", "Account", "Slurm's account that pays; empty for the server's.", Kind::Text { max_chars: 100 }, Default::Absent).only(EXECUTOR, SLURM),
    field("resources.slurm.qos", "Quality of service", "Slurm's QOS; empty for the server's.", Kind::Text { max_chars: 100 }, Default::Absent).only(EXECUTOR, SLURM),
    field("resources.slurm.gres", "Generic resources", "What the job gets besides processors and memory, as Slurm writes it, for example `gpu:1`; empty for the server's.", Kind::Text { max_chars: 100 }, Default::Absent).only(EXECUTOR, SLURM).plain(),
    field("resources.slurm.cpus", "Processors", "Of the job; empty for the server's.", integer(1, 4096), Default::Absent).only(EXECUTOR, SLURM),
    field("resources.slurm.memory_mb", "Memory", "Of the job; empty for the server's.", integer(1, 1 << 30), Default::Absent).unit("MB").only(EXECUTOR, SLURM),
    field("resources.slurm.minutes", "Time limit", "Of one job. A run that takes longer leaves a checkpoint in time and goes on in the next job. Empty for the server's.", integer(1, 1_000_000), Default::Absent).unit("minutes").only(EXECUTOR, SLURM).plain(),
    field("resources.slurm.at_once", "Jobs at once", "Runs that are created together, such as those of a study, are one job array; at most so many of its jobs work at once. Empty for as many as Slurm starts.", integer(1, 100_000), Default::Absent).only(EXECUTOR, SLURM),
    field("resources.device", "Device", "`auto` takes a free GPU if there is one, else the CPU.", Kind::Device, Default::Is(Text("auto"))).plain(),
    field("resources.threads", "Threads", "On the CPU; 0 for one per core.", integer(0, 1024), Default::Is(Integer(0))),
    field("resources.precision", "Precision", "`tf32` and `bfloat16` are for GPUs: convolutions and matrix products read rounded numbers; weights, their gradients, optimizers and losses stay single. A CPU takes `tf32` as `float32`. Double precision is for checks; it is slower.", Kind::OneOf(PRECISIONS), Default::Is(Text("float32"))),
    field("resources.keep_activations", "Activations kept", "About what share of the values between layers is kept for the backward pass; the rest is computed a second time, which saves memory and takes time. 1 computes nothing again, 0 keeps as little as possible. What is computed stays the same, up to rounding.", number(0.0, 1.0), Default::By(PRESET, KEPT)),
    field("resources.checkpoint_every", "Checkpoint every", "Steps between two checkpoints; a run that is interrupted goes on from the last one.", integer(1, DEPTH), Default::Is(Integer(100))).unit("steps"),
];

/// Finds a field by its path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.path == path)
}

/// Fields of a search that a run without one needs too, or beginnings of their paths.
const NEEDED: [&str; 5] = [
    "search.optimizer.",
    "search.weights",
    "search.train_portion",
    "search.valid_limit",
    "search.inherit",
];
/// The same of a given architecture.
const NEEDED_BY_FIXED: [&str; 2] = ["search.from_run", "search.reset_head"];
/// The same of random search.
const NEEDED_BY_RANDOM: [&str; 2] = ["constraints.max_", "after.finalists."];

/// Whether a field does nothing because no supernet is trained.
#[must_use]
pub fn is_idle(path: &str, optimizer: &str) -> bool {
    let needed = match optimizer {
        "fixed" => NEEDED_BY_FIXED,
        "random" => NEEDED_BY_RANDOM,
        _ => return false,
    };
    let among = |parts: &[&str]| parts.iter().any(|part| path.starts_with(part));
    let of_search = among(&["search.", "constraints.", "after.finalists."]);
    of_search && !among(&NEEDED) && !among(&needed)
}

/// The optimizers under which a field does nothing.
#[must_use]
pub fn idle_under(path: &str) -> Vec<&'static str> {
    ["random", "fixed"].into_iter().filter(|optimizer| is_idle(path, optimizer)).collect()
}

/// The name for people of one of a field's values.
#[must_use]
pub fn label<'a>(path: &str, value: &'a str) -> &'a str {
    match find(path).map(|field| field.kind) {
        Some(Kind::OneOf(values) | Kind::Dataset(values)) => {
            values.iter().find(|(known, _)| *known == value).map_or(value, |(_, label)| label)
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset, spaces::PRESETS};

    /// A preset that is asked for by name alone is the preset.
    #[test]
    fn presets_without_options_are_themselves() {
        for preset in PRESETS {
            let kind = match (preset.defaults)().data() {
                dataset::DataKind::Images => "cifar-10",
                dataset::DataKind::Text => "text",
            };
            let spec = serde_json::json!({
                "dataset": {"id": kind},
                "space": {"preset": preset.preset},
                "search": {"optimizer": {"kind": "drnas"}}
            });
            let spec = crate::spec::RunSpec::parse(&spec);
            assert_eq!(spec.map(|spec| spec.space), Ok((preset.defaults)()), "{}", preset.preset);
        }
    }

    #[test]
    fn the_form_offers_what_there_is() {
        let offered = |path| match find(path).map(|field| field.kind) {
            Some(Kind::OneOf(values) | Kind::Dataset(values)) => values.to_vec(),
            other => panic!("{path} is {other:?}"),
        };
        let spaces: Vec<_> = PRESETS.iter().map(|preset| (preset.preset, preset.title)).collect();
        let datasets: Vec<_> = dataset::DATASETS
            .iter()
            .map(|known| (known.id.as_str(), known.title.as_str()))
            .collect();
        assert_eq!((offered(PRESET), offered("dataset.id")), (spaces, datasets));
    }

    #[test]
    fn a_default_follows_an_earlier_field_and_names_its_values() {
        for (at, field) in FIELDS.iter().enumerate() {
            let Default::By(path, values) = field.default else { continue };
            assert!(FIELDS[..at].iter().any(|known| known.path == path), "{}", field.path);
            let Some(Kind::OneOf(known) | Kind::Dataset(known)) =
                find(path).map(|field| field.kind)
            else {
                panic!("{}: {path} is no choice", field.path);
            };
            for (value, _) in values {
                assert!(known.iter().any(|(known, _)| known == value), "{}: {value}", field.path);
            }
        }
    }

    #[test]
    fn every_condition_names_a_field_and_its_values() {
        for field in FIELDS {
            let Some((path, values)) = field.when else { continue };
            let Some(Kind::OneOf(known)) = find(path).map(|field| field.kind) else {
                panic!("{}: {path} is no choice", field.path);
            };
            for value in values {
                assert!(known.iter().any(|(known, _)| known == value), "{}: {value}", field.path);
            }
        }
    }
}

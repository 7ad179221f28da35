//! Values that fields may hold, each with its name for people.

pub(super) const OPTIMIZERS: &[(&str, &str)] = &[
    ("drnas", "DrNAS"),
    ("drnas-progressive", "DrNAS, progressive (partial channels)"),
    ("darts", "DARTS"),
    ("gdas", "GDAS"),
    ("spos", "SPOS (uniform sampling)"),
    ("ofa", "Once-for-all (progressive shrinking)"),
    ("random", "Random search"),
    ("fixed", "Given architecture"),
];
/// Optimizers that learn rows.
pub(super) const ROWS: &[&str] = &["drnas", "drnas-progressive", "darts", "gdas"];
/// Optimizers that search.
pub(super) const SEARCHED: &[&str] =
    &["drnas", "drnas-progressive", "darts", "gdas", "spos", "ofa"];
pub(super) const EXECUTORS: &[(&str, &str)] = &[("local", "This machine"), ("slurm", "Slurm")];
pub(super) const INHERITED: &[(&str, &str)] =
    &[("supernet", "Its supernet"), ("result", "Its packaged network"), ("none", "None")];
pub(super) const SHARINGS: &[(&str, &str)] = &[
    ("entangled", "Entangled, weights mixed"),
    ("entangled_outputs", "Entangled, outputs mixed"),
    ("shared", "Separate weights per candidate"),
];
pub(super) const FIDELITIES: &[(&str, &str)] =
    &[("corrected", "Corrected"), ("reference", "Reference")];
pub(super) const PROJECTIONS: &[(&str, &str)] =
    &[("softmax", "Softmax"), ("sparsemax", "Sparsemax")];
pub(super) const SECOND_STAGES: &[(&str, &str)] = &[
    ("none", "None"),
    ("random", "Random search"),
    ("effects", "Effects of options"),
    ("evolution", "Evolution"),
    ("pareto", "Front of accuracy against cost"),
];
pub(super) const MEASURES: &[(&str, &str)] = &[
    ("params", "Parameters"),
    ("macs", "Multiply-adds per image"),
    ("latency", "Latency on the device"),
];
pub(super) const PRESETS: &[(&str, &str)] = &[
    ("toy-cell", "Toy cell"),
    ("conv-macro", "Convolutional macro space"),
    ("nas-bench-201", "NAS-Bench-201"),
    ("darts", "DARTS"),
    ("autoformer-t", "AutoFormer-T"),
    ("autoformer-s", "AutoFormer-S"),
    ("autoformer-b", "AutoFormer-B"),
    ("mobilenet-v3", "MobileNetV3 (Once-for-all)"),
    ("language", "Language model"),
    ("language-char", "Character language model"),
];
/// The language models.
pub(super) const LANGUAGE: &[&str] = &["language", "language-char"];
pub(super) const TEXTS: &[&str] = &["text"];
pub(super) const DATA_KINDS: &[(&str, &str)] = &[("images", "Images"), ("text", "Text")];
pub(super) const SPLITS: &[(&str, &str)] = &[
    ("ordered", "In order"),
    ("random", "At random"),
    ("stratified", "At random, class by class"),
    ("given", "The data set's own"),
];
/// Splits that are drawn.
pub(super) const DRAWN_SPLITS: &[&str] = &["random", "stratified"];
pub(super) const LINE_ENDS: &[(&str, &str)] =
    &[("normalised", "Normalised"), ("kept", "As they are")];
pub(super) const TOKENS: &[(&str, &str)] = &[("characters", "Characters"), ("bpe", "Byte pairs")];
/// The vision transformers.
pub(super) const AUTOFORMERS: &[&str] = &["autoformer-t", "autoformer-s", "autoformer-b"];
/// All spaces made of attention.
pub(super) const TRANSFORMERS: &[&str] =
    &["autoformer-t", "autoformer-s", "autoformer-b", "language", "language-char"];
pub(super) const MOBILE: &[&str] = &["mobilenet-v3"];
/// Spaces that resize images.
pub(super) const RESIZED: &[&str] =
    &["autoformer-t", "autoformer-s", "autoformer-b", "mobilenet-v3"];
/// The spaces made of cells.
pub(super) const CELLS: &[&str] = &["toy-cell", "nas-bench-201", "darts"];
pub(super) const DATASETS: &[(&str, &str)] = &[
    ("fashion-mnist", "FashionMNIST"),
    ("cifar-10", "CIFAR-10"),
    ("cifar-100", "CIFAR-100"),
    ("tiny-shakespeare", "Tiny Shakespeare"),
    ("text", "Text of your own"),
];
pub(super) const WEIGHT_OPTIMIZERS: &[(&str, &str)] =
    &[("sgd", "SGD with momentum"), ("adam", "Adam"), ("adamw", "AdamW")];
pub(super) const RECIPES: &[(&str, &str)] = &[
    ("plain", "Plain"),
    ("cifar", "Small images"),
    ("darts", "DARTS"),
    ("conv-macro", "Conv macro"),
    ("transformer", "Vision transformer"),
    ("language", "Language model"),
    ("language-char", "Character language model"),
];
pub(super) const PACKAGED: &[(&str, &str)] = &[
    ("best", "The best ones"),
    ("recalibrated", "Inherited, recalibrated"),
    ("fine_tuned", "Fine-tuned"),
    ("from_scratch", "Trained from scratch"),
];
pub(super) const UNITS: &[(&str, &str)] = &[("epochs", "Epochs"), ("steps", "Steps")];
pub(super) const PRECISIONS: &[(&str, &str)] = &[
    ("float32", "Single (float32)"),
    ("tf32", "Single, products in TF32 (GPU)"),
    ("bfloat16", "Mixed (bfloat16)"),
    ("float64", "Double (float64)"),
];

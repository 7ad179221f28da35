//! Writes networks of the built-in spaces as `model.py`, `model.onnx` and `model.safetensors` with
//! random weights, one folder each, for `tests/export/check.py`.
//!
//! `cargo run --release --locked -p skein-core --example export -- FOLDER`

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::json;
use skein_core::choice::Architecture;
use skein_core::dataset::DataShape;
use skein_core::export::{About, onnx, pytorch};
use skein_core::graph::{Op, Param, Role};
use skein_core::spaces::darts::partial::{self, Partial};
use skein_core::spaces::{self, cell::Operation};
use skein_core::spec::{Sharing, SpaceSpec};

/// A small counted generator (SplitMix64), so that every machine writes the same weights.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in `-1..1`.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "24 bits")]
    fn number(&mut self) -> f32 {
        ((self.next() >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
    }
}

/// Random numbers, no two tensors alike, with which maps neither vanish nor hang on the biases alone:
/// where ReLU takes half of the variance, weights give it back.
#[expect(clippy::cast_precision_loss, reason = "layers are narrow")]
fn fill(param: &Param, random: &mut Random) -> Vec<u8> {
    let value = |drawn: f32| match param.role {
        Role::Weight { fan_in } => drawn * 2.1 / (fan_in as f32).sqrt(),
        Role::Bias { .. } | Role::Shift | Role::RunningMean => 0.1 * drawn,
        Role::Table { .. } => 0.5 * drawn,
        Role::Identity => drawn,
        Role::Scale | Role::RunningVar => 1.0 + 0.5 * drawn,
    };
    let count: i64 = param.shape.iter().product();
    (0..count).flat_map(|_| value(random.number()).to_le_bytes()).collect()
}

/// The weights as the result package has them, batch norm's counters included.
fn safetensors(params: &[Param], weights: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    let mut add = |name: &str, kind: &str, shape: &[i64], bytes: &[u8]| {
        let begin = data.len();
        data.extend_from_slice(bytes);
        let entry = json!({"dtype": kind, "shape": shape, "data_offsets": [begin, data.len()]});
        header.insert(name.to_owned(), entry);
    };
    for param in params {
        if let Some(norm) = param.name.strip_suffix("running_var") {
            add(&format!("{norm}num_batches_tracked"), "I64", &[], &0_i64.to_le_bytes());
        }
        add(&param.name, "F32", &param.shape, &weights[&param.name]);
    }
    let mut head = serde_json::Value::Object(header).to_string().into_bytes();
    head.resize(head.len().next_multiple_of(8), b' ');
    [&(head.len() as u64).to_le_bytes()[..], &head, &data].concat()
}

/// What is exported: a folder, a space, the data, which option of a choice is taken, whether
/// cells may have every operation, each behind a drop path, and whether operations see one channel
/// in so many.
struct Case {
    folder: &'static str,
    preset: &'static str,
    shape: Option<DataShape>,
    pick: fn(usize) -> usize,
    all: bool,
    part: Option<i64>,
}

const fn case(folder: &'static str, preset: &'static str, pick: fn(usize) -> usize) -> Case {
    Case { folder, preset, shape: None, pick, all: false, part: None }
}

const fn on(case: Case, channels: i64, side: i64) -> Case {
    Case { shape: Some(DataShape { channels, height: side, width: side, classes: 10 }), ..case }
}

/// Every space; operations and sizes vary within a network, and images are resized where a space
/// does that.
const CASES: &[Case] = &[
    case("toy-cell", "toy-cell", |at| at),
    case("toy-cell-2", "toy-cell", |at| 3 * at + 1),
    case("conv-macro", "conv-macro", |at| at),
    case("nas-bench-201", "nas-bench-201", |at| [1, 0, 2, 4, 3, 0][at % 6]),
    case("nas-bench-201-none", "nas-bench-201", |_| 4),
    case("darts", "darts", |at| [4, 6, 3, 1, 5, 2, 7, 0][at % 8]),
    case("darts-2", "darts", |at| [3, 2, 0, 7, 5, 0, 1, 4, 6][at % 9]),
    Case { part: Some(4), ..case("darts-part", "darts", |at| 3 + at) },
    Case { all: true, ..case("darts-all", "darts", |at| 1 + at * 9) },
    case("autoformer-t", "autoformer-t", |at| at * 7 + at / 3),
    on(case("autoformer-t-resized", "autoformer-t", |at| at), 3, 32),
    case("autoformer-s", "autoformer-s", |_| 0),
    case("autoformer-b", "autoformer-b", |_| 0),
    case("mobilenet-v3", "mobilenet-v3", |at| at * 5 + at / 4),
    on(case("mobilenet-v3-resized", "mobilenet-v3", |at| at / 2), 1, 30),
    case("language", "language", |_| 0),
    case("language-char", "language-char", |at| at * 2 + at / 5),
];

fn write(folder: &Path, case: &Case) -> Result<(), Box<dyn Error>> {
    let preset = spaces::find(case.preset).ok_or("no such space")?;
    let shape = case.shape.unwrap_or(preset.shape);
    let mut options = serde_json::to_value((preset.defaults)())?;
    if case.all {
        options["operations"] = json!(Operation::NAMES);
    }
    let options: SpaceSpec = serde_json::from_value(options)?;
    let space = match (&options, case.part) {
        (SpaceSpec::Darts(options), Some(part)) => {
            let partial = Partial { part, kept: None };
            partial::build(options, shape, Sharing::Entangled, &partial)?
        }
        _ => spaces::build(&options, shape, Sharing::Entangled)?,
    };
    let options = space.choices.iter().enumerate();
    let options = options.map(|(at, choice)| (case.pick)(at) % choice.options.len());
    let architecture = Architecture(options.collect());
    let drop_path = if case.all { 0.2 } else { 0.0 };
    let graph = space.specialise(&architecture)?.with_drop_path(drop_path)?;
    let text = architecture.to_text(preset.preset, &space.choices);
    let about = About { title: preset.title, architecture: &text };
    let (params, mut random) = (graph.params(), Random(7));
    let weights: BTreeMap<String, Vec<u8>> =
        params.iter().map(|param| (param.name.clone(), fill(param, &mut random))).collect();
    let given = weights.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())).collect();
    let cost = graph.cost(&Architecture(vec![]))?;
    let facts = json!({
        "params": cost.params,
        "names": params.iter().map(|param| &param.name).collect::<Vec<_>>(),
        "input_shape": graph.input_shape(),
        "classes": graph.shapes()?[graph.output].last(),
        // Behind zeros nothing is trained.
        "zeros": graph.nodes.iter().any(|node| matches!(node.op, Op::Zero(_))),
    });
    fs::create_dir_all(folder)?;
    fs::write(folder.join("model.py"), pytorch::module(&graph, &about)?)?;
    fs::write(folder.join("model.onnx"), onnx::model(&graph, &about, &given)?)?;
    fs::write(folder.join("model.safetensors"), safetensors(&params, &weights))?;
    fs::write(folder.join("facts.json"), facts.to_string())?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("a folder expected")?;
    for case in CASES {
        write(&Path::new(&folder).join(case.folder), case)?;
    }
    Ok(())
}

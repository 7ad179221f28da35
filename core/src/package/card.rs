//! `MODEL_CARD.md`: what the network of a package is, in words.

use std::fmt::Write as _;

use super::{LeftOut, ONNX, cell};
use crate::choice::Architecture;
use crate::dataset::{DataKind, Dataset, split};
use crate::event::Rung;
use crate::graph::{Cost, Graph};
use crate::number::Num;
use crate::spaces;
use crate::spec::fields;
use crate::spec::{OptimizerSpec, RunSpec, milliseconds};

/// What a card is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The run's specification.
    pub spec: &'a RunSpec,
    /// The data.
    pub dataset: &'a Dataset,
    /// The space.
    pub space: &'a Graph,
    /// What was found.
    pub architecture: &'a Architecture,
    /// Probabilities of the options at the end, one vector per choice.
    pub rows: &'a [Vec<f64>],
    /// What it scores with which weights.
    pub ladder: &'a [Rung],
    /// The rung whose weights are packed.
    pub packaged: &'a str,
    /// What it costs.
    pub cost: Cost,
    /// What the whole network takes for one example, where latency was asked for.
    pub latency_ms: Option<Num>,
    /// The device of the run.
    pub device: &'a str,
    /// Examples that trained the search's weights, that its rows were trained on and all
    /// architectures are validated with, and that were kept for the test.
    pub examples: [u64; 3],
    /// What of the text was not taken as it is, if anything.
    pub cleaned: Option<&'a str>,
    /// Version of the program.
    pub version: &'a str,
}

/// Fields that say how the network was found, in the order of the card.
const FOUND_BY: [&str; 12] = [
    "search.optimizer.kind",
    "search.from_run",
    "search.inherit",
    "search.weights",
    "search.fidelity",
    "search.epochs",
    "search.batch_size",
    "search.second_stage.kind",
    "after.finalists.count",
    "after.recipe",
    "after.fine_tune.epochs",
    "after.from_scratch.epochs",
];

/// Writes the card; `left_out` are the forms that the package does not hold.
#[must_use]
pub fn card(facts: &Facts<'_>, left_out: &[LeftOut]) -> String {
    let mut text = String::new();
    head(facts, &mut text);
    accuracies(facts, &mut text);
    search(facts, &mut text);
    choices(facts, &mut text);
    use_of_it(facts, left_out, &mut text);
    text
}

/// A name that people gave, without what Markdown or HTML would read as markup.
fn plain(name: &str) -> String {
    let marks = |sign: char| "\\`*_[]<>|#".contains(sign);
    name.chars().fold(String::new(), |mut text, sign| {
        if marks(sign) {
            text.push('\\');
        }
        text.push(sign);
        text
    })
}

fn head(facts: &Facts<'_>, text: &mut String) {
    let Facts { spec, dataset, cost, .. } = facts;
    let preset = spaces::preset(&spec.space);
    let task = match dataset.kind {
        DataKind::Images => format!("tells {} classes of images", dataset.shape.classes),
        DataKind::Text => "tells the next token of a text".to_owned(),
    };
    let _ = writeln!(text, "# {}\n", spec.name);
    let origin = match spec.search.optimizer {
        OptimizerSpec::Fixed { .. } => "given, and measured and trained",
        OptimizerSpec::Random => "the best of random ones after short trainings",
        _ => "found by a search",
    };
    let _ = writeln!(
        text,
        "A network of the space {} ({}) that {task}, {origin} on {} with Skein {}.\n",
        preset.title,
        preset.source,
        plain(&dataset.title),
        facts.version
    );
    let _ = writeln!(
        text,
        "| | |\n| --- | --- |\n| parameters | {} |\n| multiply-adds per example | {} |",
        cost.params, cost.macs
    );
    if let Some(latency) = facts.latency_ms {
        let device = facts.device;
        let _ = writeln!(
            text,
            "| one example on the device of the run ({device}) | {:.3} ms |",
            latency.0
        );
    }
    if let Some(layers) = cost.latency_ns {
        let _ = writeln!(text, "| its layers one by one | {:.3} ms |", milliseconds(layers));
    }
    let name = facts.architecture.to_text(preset.preset, &facts.space.choices);
    let _ = writeln!(text, "\nText form: `{name}`\n");
    if !dataset.digest.is_empty() {
        let _ = writeln!(
            text,
            "The data set's version is `{}`; the SHA-256 of its content is `{}`.\n",
            dataset.version, dataset.digest
        );
    }
}

fn accuracies(facts: &Facts<'_>, text: &mut String) {
    let is_text = facts.dataset.kind == DataKind::Text;
    let _ = writeln!(text, "## What it scores\n");
    text.push_str(if is_text {
        "| weights | validation loss, nats | test loss, nats | test perplexity | test bits per character |\n| --- | --- | --- | --- | --- |\n"
    } else {
        "| weights | validation accuracy | test accuracy |\n| --- | --- | --- |\n"
    });
    for rung in facts.ladder {
        let here = if rung.weights == facts.packaged { " (these are packed)" } else { "" };
        let weights = rung.weights.replace('_', " ");
        let said =
            |value: Option<Num>| value.map_or("–".to_owned(), |value| format!("{:.3}", value.0));
        let _ = if is_text {
            writeln!(
                text,
                "| {weights}{here} | {:.4} | {:.4} | {} | {} |",
                rung.valid_loss.0,
                rung.test_loss.0,
                said(rung.test_perplexity),
                said(rung.test_bits_per_character)
            )
        } else {
            let percent = |value: Num| 100.0 * value.0;
            let (valid, test) = (percent(rung.valid_accuracy), percent(rung.test_accuracy));
            writeln!(text, "| {weights}{here} | {valid:.2} % | {test:.2} % |")
        };
    }
    let [trained, validated, tested] = facts.examples;
    let unit = if is_text { "windows" } else { "images" };
    let parts = match facts.spec.search.optimizer {
        OptimizerSpec::Fixed { .. } => {
            format!("{validated} {unit} of the training set validate here and train nothing")
        }
        OptimizerSpec::Random => format!(
            "Short trainings on {unit} of the other part of the training set chose it by {unit} of this one, of which {validated} validate here"
        ),
        _ => format!(
            "The search trained weights on {trained} {unit} and chose by {validated} others, which validate here"
        ),
    };
    let _ = writeln!(
        text,
        "\n{parts}; the test set has {tested}. One seed ({}), one training each.\n",
        facts.spec.seed
    );
    let _ = writeln!(text, "{}\n", split::sentence(&facts.spec.dataset, unit));
    if let Some(cleaned) = facts.cleaned {
        let _ = writeln!(text, "Of the text, {cleaned}.\n");
    }
}

fn search(facts: &Facts<'_>, text: &mut String) {
    let value = facts.spec.to_value();
    let kind = facts.spec.search.optimizer.kind();
    let _ = writeln!(text, "## How it was found\n\n| | |\n| --- | --- |");
    let alone = facts.spec.search.from_run.is_none();
    let untold = |path: &&str| fields::is_idle(path, kind) || alone && *path == "search.inherit";
    for path in FOUND_BY.into_iter().filter(|path| !untold(path)) {
        let found = path.split('.').try_fold(&value, |value, part| value.get(part));
        if let (Some(field), Some(found)) = (fields::find(path), found.filter(|it| !it.is_null())) {
            let text_form = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            let said = cell(fields::label(path, &text_form));
            let _ = writeln!(text, "| {} | {said} |", field.label);
        }
    }
    let _ = writeln!(text, "\nEverything else is in `spec.json`; the same file repeats the run.\n");
}

fn choices(facts: &Facts<'_>, text: &mut String) {
    let Facts { space, architecture, rows, .. } = facts;
    let learned = facts.spec.search.optimizer.learns_rows();
    let deciding = space.deciding(architecture);
    let _ = writeln!(text, "## What was chosen\n");
    text.push_str(if learned {
        "| choice | chosen | probability | instead of |\n| --- | --- | --- | --- |\n"
    } else {
        "| choice | chosen | instead of |\n| --- | --- | --- |\n"
    });
    for (at, (choice, option)) in space.choices.iter().zip(&architecture.0).enumerate() {
        // What the network does not contain was not chosen.
        if !deciding.get(at).copied().unwrap_or(true) {
            continue;
        }
        let named = |option: usize| choice.options.get(option).map_or("", String::as_str);
        let others = (0..choice.options.len()).filter(|other| other != option).map(named);
        let others = others.collect::<Vec<_>>().join(", ");
        let name = cell(&format!("{} {}", choice.tensor, choice.label));
        let _ = write!(text, "| {name} | {} ", named(*option));
        if learned {
            let p = rows.get(at).and_then(|row| row.get(*option)).copied().unwrap_or(0.0);
            let _ = write!(text, "| {p:.3} ");
        }
        let _ = writeln!(text, "| {others} |");
    }
    text.push('\n');
}

fn use_of_it(facts: &Facts<'_>, left_out: &[LeftOut], text: &mut String) {
    let input = match facts.dataset.kind {
        DataKind::Images => "`preprocess.json` says how an image becomes the input",
        DataKind::Text => "`preprocess.json` says how a text becomes the input",
    };
    let (loaders, s) = if left_out.iter().any(|form| form.file == ONNX) {
        ("`python load_pytorch.py` runs it", "s")
    } else {
        ("`python load_pytorch.py` and `python load_onnx.py` run it", "")
    };
    let _ = writeln!(
        text,
        "## How to use it\n\n{loaders} on the example in `example.npz` and compare{s}. {input}, and which output stands for what.\n"
    );
    for LeftOut { file, fault } in left_out {
        let _ = writeln!(
            text,
            "`{file}` was written, but failed its check and is left out: {fault}.\n"
        );
    }
    let _ = writeln!(
        text,
        "## What is not known\n\nIt was measured on {} alone: nothing is known of other data, of shifted or hostile inputs, or of how its errors fall on groups of people. The accuracies of one training say little about another; differences below a few tenths of a per cent are within what seeds change.\n",
        plain(&facts.dataset.title)
    );
    let _ = writeln!(
        text,
        "## Licence\n\nThe network is yours. It was trained on {}, whose terms may bind what you do with the weights; Skein adds none of its own.",
        plain(&facts.dataset.title)
    );
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dataset;
    use crate::spec::Sharing;

    fn rung(weights: &str, perplexity: Option<f64>) -> Rung {
        Rung {
            weights: weights.to_owned(),
            valid_loss: Num(0.51),
            valid_accuracy: Num(0.81),
            test_loss: Num(0.52),
            test_accuracy: Num(0.8049),
            test_perplexity: perplexity.map(Num),
            test_bits_per_character: perplexity.map(|perplexity| Num(perplexity.log2())),
        }
    }

    fn written(spec: &Value, perplexity: Option<f64>, left_out: &[LeftOut]) -> String {
        written_of(spec, perplexity, left_out, "")
    }

    fn written_of(
        spec: &Value,
        perplexity: Option<f64>,
        left_out: &[LeftOut],
        cleaned: &str,
    ) -> String {
        let spec = RunSpec::parse(spec).unwrap();
        let dataset = dataset::find(&spec.dataset.id).unwrap();
        let space = spaces::build(&spec.space, dataset.shape, Sharing::Entangled).unwrap();
        let architecture =
            Architecture(space.choices.iter().map(|choice| choice.options.len() - 1).collect());
        let rows: Vec<Vec<f64>> = space
            .choices
            .iter()
            .map(|choice| vec![1.0 / choice.options.len() as f64; choice.options.len()])
            .collect();
        let facts = Facts {
            spec: &spec,
            dataset,
            space: &space,
            architecture: &architecture,
            rows: &rows,
            ladder: &[rung("recalibrated", perplexity), rung("from_scratch_ema", perplexity)],
            packaged: "from_scratch_ema",
            cost: Cost {
                latency_ns: perplexity.map(|_| 2_500_000),
                ..space.cost(&architecture).unwrap()
            },
            latency_ms: perplexity.map(|_| Num(2.25)),
            device: "cpu",
            examples: [30_000, 29_000, 10_000],
            cleaned: Some(cleaned).filter(|cleaned| !cleaned.is_empty()),
            version: "1.2.3",
        };
        card(&facts, left_out)
    }

    #[test]
    fn a_card_of_a_cell_says_what_was_chosen_and_how_likely() {
        let spec = json!({
            "name": "a | b", "seed": 7, "dataset": {"id": "fashion-mnist"},
            "space": {"preset": "toy-cell"}, "search": {"optimizer": {"kind": "drnas"}},
        });
        insta::assert_snapshot!(written(&spec, None, &[]));
    }

    #[test]
    fn a_card_of_a_given_architecture_speaks_of_no_search() {
        let spec = json!({
            "name": "given", "dataset": {"id": "fashion-mnist"}, "space": {"preset": "toy-cell"},
            "search": {
                "optimizer": {"kind": "fixed", "architecture": [3, 3, 3, 3, 3, 3]},
                "from_run": "00000000-0000-4000-8000-000000000000",
            },
            "after": {"from_scratch": {"epochs": 5}},
        });
        let mut alone = spec.clone();
        alone["search"]["from_run"] = Value::Null;
        assert!(!written(&alone, None, &[]).contains("Inherited weights"));
        let card = written(&spec, None, &[]);
        assert!(card.contains(
            "that tells 10 classes of images, given, and measured and trained on FashionMNIST"
        ));
        assert!(
            card.contains("29000 images of the training set validate here and train nothing; the")
        );
        assert!(card.contains("| Inherited weights | Its supernet |"));
        let about_search = ["search trained", "found by", "probability", "| Epochs |", "Fidelity"];
        assert_eq!(about_search.map(|word| card.contains(word)), [false; 5]);
    }

    #[test]
    fn a_card_of_a_language_model_speaks_of_texts() {
        let spec = json!({
            "name": "words", "dataset": {"id": "tiny-shakespeare"},
            "space": {"preset": "language-char", "layers": [1, 2], "embed_widths": [8, 16], "heads": [1, 2], "ratios": [2.0], "context": 16},
            "search": {"optimizer": {"kind": "spos"}},
        });
        insta::assert_snapshot!(written(&spec, Some(4.0), &[]));
        let cleaned =
            written_of(&spec, Some(4.0), &[], "3 line ends of another kind were made `\\n`");
        assert!(
            cleaned.contains("\nOf the text, 3 line ends of another kind were made `\\n`.\n"),
            "{cleaned}"
        );
    }

    #[test]
    fn a_card_speaks_of_the_forms_that_are_there() {
        let spec = json!({
            "name": "cell", "dataset": {"id": "fashion-mnist"}, "space": {"preset": "toy-cell"},
            "search": {"optimizer": {"kind": "drnas"}},
        });
        let fault = "its output differs".to_owned();
        let card = written(&spec, None, &[LeftOut { file: ONNX, fault }]);
        assert!(!card.contains("load_onnx.py"));
        assert!(card.contains("`python load_pytorch.py` runs it on the example"));
        assert!(card.contains(
            "`model.onnx` was written, but failed its check and is left out: its output differs."
        ));
    }
}

//! A language model from its text to its package.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read as _};

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::event::EventBody;
use skein_core::folder;

use crate::harness::{Run, merge, wait};

const PATTERN: &str = "to be or not to be, that is the question: größer 🦀\n";

fn spec(patch: &Value) -> Value {
    let mut spec = json!({
        "seed": 5,
        "dataset": {"id": "text"},
        "space": {
            "preset": "language-char", "layers": [1, 2], "embed_widths": [8, 16], "heads": [1, 2],
            "ratios": [1.0, 2.0], "context": 16, "dropout": 0.1
        },
        "search": {
            "optimizer": {"kind": "drnas"}, "epochs": 4, "batch_size": 16, "valid_limit": 16,
            "weight_lr": 0.01, "warmup": {"length": 3}
        },
        "after": {"from_scratch": {"epochs": 2, "lr": 0.01}, "batch_size": 16},
        "resources": {"device": "cpu", "threads": 1, "checkpoint_every": 2}
    });
    merge(&mut spec, patch);
    spec
}

pub(crate) fn run(patch: &Value) -> Run {
    let run = Run::new(&json!({}));
    fs::write(run.folder().join(folder::SPEC), spec(patch).to_string()).unwrap();
    let texts = run.datasets().join("text");
    fs::create_dir_all(&texts).unwrap();
    fs::write(texts.join("input.txt"), PATTERN.repeat(120)).unwrap();
    run
}

/// The values of a metric of the search, in order.
fn curve(run: &Run, name: &str) -> Vec<f64> {
    let events = run.events(1).into_iter();
    let values = events.filter_map(|event| match event.body {
        EventBody::Metrics(metrics) => metrics.values.get(name).map(|value| value.0),
        _ => None,
    });
    values.collect()
}

#[test]
fn a_search_over_characters_learns_and_packs_its_vocabulary() {
    let run = run(&json!({}));
    assert!(run.finish(1).success(), "{:?}", run.record());
    let record = run.record().unwrap();
    let summary = &record["outcome"]["summary"];
    let ladder = summary["ladder"].as_array().unwrap();
    let names: Vec<&str> = ladder.iter().map(|rung| rung["weights"].as_str().unwrap()).collect();
    assert_eq!(names, ["inherited", "recalibrated", "from_scratch"]);
    // Without batch norm there is nothing to recalibrate, and nothing is measured twice.
    assert_eq!(ladder[0]["test_loss"], ladder[1]["test_loss"]);
    let logged = run.events(1).into_iter().filter_map(|event| match event.body {
        EventBody::Log(log) => Some(log.message),
        _ => None,
    });
    let logged: Vec<String> = logged.collect();
    assert!(logged.iter().any(|line| line.starts_with("no batch norm")), "{logged:?}");
    assert!(!logged.iter().any(|line| line.starts_with("weights recalibrated")), "{logged:?}");
    let losses = curve(&run, "valid_loss");
    assert!(losses.first().unwrap() - losses.last().unwrap() > 0.1, "{losses:?}");
    for rung in ladder {
        let number = |name: &str| rung[name].as_f64().unwrap();
        assert!((number("test_perplexity") - number("test_loss").exp()).abs() < 1e-9);
        let bits = number("test_loss") / std::f64::consts::LN_2;
        assert!((number("test_bits_per_character") - bits).abs() < 1e-9, "a token is a character");
        assert!((0.0..=1.0).contains(&number("test_accuracy")));
    }
    let perplexities = curve(&run, "valid_perplexity");
    assert!((perplexities[0] - losses[0].exp()).abs() < 1e-9);
    let list: Value = serde_json::from_slice(&run.artifact(1, "vocabulary.json")).unwrap();
    let mut characters: Vec<char> = PATTERN.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    assert_eq!(list["tokens"], json!(characters));
    assert_eq!(list["unknown"], false);
    let model = run.attempt(1).join("artifacts/model.safetensors");
    let tensors: BTreeMap<String, tch::Tensor> =
        tch::Tensor::read_safetensors(model).unwrap().into_iter().collect();
    let table = tensors["wte.weight"].size();
    assert_eq!(table[0], i64::try_from(characters.len()).unwrap());
    let archive = zip::ZipArchive::new(Cursor::new(run.artifact(1, folder::RESULT_ZIP))).unwrap();
    assert!(archive.file_names().any(|name| name == "vocabulary.json"));
}

#[test]
fn a_search_over_byte_pairs_packs_a_tokenizer_that_gives_the_text_back() {
    let run = run(&json!({
        "dataset": {"tokens": "bpe", "vocabulary": 280},
        "space": {"preset": "language", "context": 8},
        "search": {"optimizer": {"kind": "gdas"}, "epochs": 1},
        "after": {"from_scratch": {"epochs": 0}, "fine_tune": {"epochs": 1}}
    }));
    assert!(run.finish(1).success(), "{:?}", run.record());
    let mut archive =
        zip::ZipArchive::new(Cursor::new(run.artifact(1, folder::RESULT_ZIP))).unwrap();
    let mut bytes = Vec::new();
    archive.by_name("tokenizer.json").unwrap().read_to_end(&mut bytes).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_bytes(bytes).unwrap();
    let encoding = tokenizer.encode(PATTERN, false).unwrap();
    assert!(encoding.len() < PATTERN.len());
    assert_eq!(tokenizer.decode(encoding.get_ids(), false).unwrap(), PATTERN);
    let record = run.record().unwrap();
    let rung = &record["outcome"]["summary"]["ladder"][0];
    let number = |name: &str| rung[name].as_f64().unwrap();
    let naive = number("test_loss") / std::f64::consts::LN_2;
    assert!(number("test_bits_per_character") < naive, "a token is more than a character");
}

#[rstest]
#[case::characters(json!({}))]
#[case::byte_pairs(json!({"dataset": {"tokens": "bpe", "vocabulary": 280}, "space": {"context": 8}}))]
fn a_killed_run_over_a_text_goes_on_bit_for_bit(#[case] patch: Value) {
    let whole = run(&patch);
    assert!(whole.finish(1).success(), "{:?}", whole.record());
    let cut = run(&patch);
    for (attempt, checkpoints) in [(1, 2), (2, 1)] {
        let mut child = cut.start(attempt);
        cut.wait_for(attempt, "checkpoint", checkpoints, &mut child);
        child.kill().unwrap();
        wait(&mut child);
    }
    assert!(cut.finish(3).success(), "{:?}", cut.record());
    assert_eq!(cut.computed(3), whole.computed(1));
    assert_eq!(cut.artifact(3, "model.safetensors"), whole.artifact(1, "model.safetensors"));
}

#[rstest]
#[case::spos("spos", 1, "random")]
#[case::effects("spos", 1, "effects")]
#[case::ofa("ofa", 3, "random")]
fn a_second_stage_compares_language_models(
    #[case] optimizer: &str,
    #[case] epochs: u64,
    #[case] kind: &str,
) {
    let run = run(&json!({
        "search": {"optimizer": {"kind": optimizer}, "epochs": epochs, "second_stage": {"kind": kind, "candidates": 3}},
        "after": {"from_scratch": {"epochs": 0}}
    }));
    assert!(run.finish(1).success(), "{:?}", run.record());
    let csv = String::from_utf8(run.artifact(1, "candidates.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4);
}

#[rstest]
#[case::binary(&[0x89, b'P', b'N', b'G', 0, 1], json!({}), "input.txt: it is no UTF-8 text (byte 0)")]
#[case::empty(b"", json!({}), "input.txt is empty")]
#[case::short(b"a few words are not enough\n", json!({}), "too few for a window of 16 (`space.context`)")]
#[case::images(b"x", json!({"space": {"preset": "language"}, "dataset": {"id": "cifar-10"}}), "`language` reads text, but the data set holds images")]
fn a_text_that_cannot_be_learned_from_is_refused(
    #[case] text: &[u8],
    #[case] patch: Value,
    #[case] message: &str,
) {
    let run = run(&patch);
    fs::write(run.datasets().join("text/input.txt"), text).unwrap();
    assert_eq!(run.finish(1).code(), Some(1));
    let record = run.record().unwrap();
    let failure = &record["outcome"]["failure"];
    assert_eq!(failure["class"], "user", "{record}");
    assert!(failure["message"].as_str().unwrap().contains(message), "{failure}");
}

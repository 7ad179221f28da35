//! `skein-worker predict`: the network of a package answers as it did when it was packed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat, RgbImage};
use rstest::rstest;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use crate::harness::Run;
use crate::language;

fn ask(package: &Path, input: &[u8], args: &[&str]) -> (i32, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_skein-worker"))
        .args(["predict", "--package"])
        .arg(package)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A worker that cannot use its package does not read on.
    let _ = child.stdin.take().unwrap().write_all(input);
    let done = child.wait_with_output().unwrap();
    (done.status.code().unwrap(), serde_json::from_slice(&done.stdout).unwrap())
}

fn answer(package: &Path, input: &[u8], args: &[&str]) -> Value {
    let (code, answer) = ask(package, input, args);
    assert_eq!(code, 0, "{answer}");
    answer["prediction"].clone()
}

fn refusal(package: &Path, input: &[u8]) -> (String, String) {
    let (code, answer) = ask(package, input, &[]);
    assert_eq!(code, 1, "{answer}");
    let text = |name: &str| answer["failure"][name].as_str().unwrap().to_owned();
    (text("class"), text("message"))
}

fn artifacts(run: &Run) -> PathBuf {
    run.attempt(1).join("artifacts")
}

fn finished(run: Run) -> Run {
    assert!(run.finish(1).success(), "{:?}", run.record());
    run
}

fn images(patch: &Value) -> Run {
    let mut spec = json!({"search": {"epochs": 1}, "after": {"from_scratch": {"epochs": 0}}});
    crate::harness::merge(&mut spec, patch);
    finished(Run::new(&spec))
}

fn text(patch: &Value) -> Run {
    let mut spec =
        json!({"search": {"epochs": 1}, "after": {"from_scratch": {"epochs": 2, "lr": 0.01}}});
    crate::harness::merge(&mut spec, patch);
    finished(language::run(&spec))
}

/// Inputs and logits of the package's example.
fn example(package: &Path, input: &str) -> (Tensor, Tensor) {
    let mut all: BTreeMap<String, Tensor> =
        Tensor::read_npz(package.join("example.npz")).unwrap().into_iter().collect();
    (all.remove(input).unwrap(), all.remove("logits").unwrap())
}

fn file(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// An image of the example as it was before it was normalised.
fn grey(x: &Tensor) -> DynamicImage {
    let pixels = ((x * 0.353 + 0.2859) * 255.0).round().to_kind(Kind::Uint8).reshape([-1]);
    let pixels = Vec::<u8>::try_from(&pixels).unwrap();
    DynamicImage::ImageLuma8(image::GrayImage::from_raw(28, 28, pixels).unwrap())
}

#[rstest]
#[case::toy_cell(json!({"preset": "toy-cell"}), "drnas")]
#[case::autoformer(json!({"preset": "autoformer-t", "channels": null, "embed_widths": [16, 24], "depths": [1, 2], "image_size": 24, "patch": 8}), "drnas")]
#[case::darts(json!({"preset": "darts", "channels": 4, "cells": 3, "nodes": 2}), "darts")]
fn an_image_gets_the_probabilities_of_the_packed_network(
    #[case] space: Value,
    #[case] optimizer: &str,
) {
    let run = images(&json!({"space": space, "search": {"optimizer": {"kind": optimizer}}}));
    let package = artifacts(&run);
    let (x, logits) = example(&package, "images");
    let expected = logits.softmax(-1, Kind::Double);
    for at in 0..4 {
        let png = file(&grey(&x.get(at)), ImageFormat::Png);
        let found = answer(&package, &png, &[]);
        assert_eq!((&found["kind"], &found["of"]), (&json!("classes"), &json!(10)));
        assert_eq!(found["fitted"], "28×28 pixels, grey");
        let classes = found["classes"].as_array().unwrap();
        let shares: Vec<f64> =
            classes.iter().map(|class| class["probability"].as_f64().unwrap()).collect();
        assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        for (class, share) in classes.iter().zip(shares) {
            let number = class["number"].as_i64().unwrap();
            let wanted = expected.double_value(&[at, number]);
            assert!((share - wanted).abs() <= 1e-5, "{at}: {class} instead of {wanted}");
        }
    }
}

/// Sizes, colours, formats and ways to hold a camera that all show the same.
#[test]
fn images_of_other_sizes_and_formats_are_fitted() {
    // A small network, whose first two classes for this image are not nearly level.
    let run = images(&json!({"space": {"channels": 2}}));
    let package = artifacts(&run);
    let (x, _) = example(&package, "images");
    let plain = grey(&x.get(1));
    let top = |input: &[u8], args: &[&str]| answer(&package, input, args)["classes"].clone();
    let expected = top(&file(&plain, ImageFormat::Png), &[]);
    // A frame that is cut away, and each pixel nine times.
    let mut wide = RgbImage::from_pixel(120, 84, image::Rgb([255, 0, 0]));
    for (x, y, pixel) in plain.to_luma8().enumerate_pixels() {
        for at in 0..9 {
            wide.put_pixel(18 + 3 * x + at % 3, 3 * y + at / 3, image::Rgb([pixel.0[0]; 3]));
        }
    }
    let wide = DynamicImage::ImageRgb8(wide);
    let found = answer(&package, &file(&wide, ImageFormat::Png), &[]);
    let said = "120×84 pixels, of which the middle 84×84, scaled to 28×28, grey";
    assert_eq!(found["fitted"], said);
    let share = |classes: &Value| classes[0]["probability"].as_f64().unwrap();
    assert_eq!(found["classes"][0]["number"], expected[0]["number"]);
    for format in [ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Gif] {
        let found = top(&file(&plain.to_rgb8().into(), format), &[]);
        assert!((share(&found) - share(&expected)).abs() < 0.02, "{format:?}: {found}");
    }
    // The same image inverted, and taken back.
    let mut light = plain.clone();
    light.invert();
    let light = file(&light, ImageFormat::Png);
    assert_eq!(top(&light, &["--invert"]), expected);
    let hint = answer(&package, &light, &[])["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("light background"), "{hint}");
    // What is transparent is black: the image itself, whatever stands below.
    let mut clear = plain.to_rgba8();
    clear
        .pixels_mut()
        .filter(|pixel| pixel.0[0] == 0)
        .for_each(|pixel| pixel.0 = [255, 255, 255, 0]);
    assert_eq!(top(&file(&clear.into(), ImageFormat::Png), &[]), expected);
    // A camera that lay on its side says so.
    let turned = file(&plain.rotate270(), ImageFormat::Jpeg);
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&turned[..2], exif, &turned[2..]].concat();
    let straight = top(&file(&plain, ImageFormat::Jpeg), &[]);
    assert!((share(&top(&turned, &[])) - share(&straight)).abs() < 0.05);
}

#[test]
fn what_is_no_image_or_too_large_a_one_is_refused_in_words() {
    let run = images(&json!({}));
    let package = artifacts(&run);
    let bomb = |width, height| {
        let mut bytes = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        encoder.write_image(&[0], 1, 1, ExtendedColorType::L8).unwrap();
        let size: [u8; 8] =
            [u32::to_be_bytes(width), u32::to_be_bytes(height)].concat().try_into().unwrap();
        bytes[16..24].copy_from_slice(&size);
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        bytes
    };
    let cut = file(&DynamicImage::new_rgb8(40, 40), ImageFormat::Png);
    let cases: [(Vec<u8>, &str); 6] = [
        (b"no image at all".to_vec(), "no PNG, JPEG, WebP, GIF or BMP"),
        (vec![], "no PNG, JPEG, WebP, GIF or BMP"),
        (cut[..60].to_vec(), "cannot be read"),
        (bomb(16_000, 16_000), "too large: 16000×16000"),
        (bomb(2_000_000_000, 2_000_000_000), "cannot be read"),
        (vec![0; (10 << 20) + 1], "larger than 10 MiB"),
    ];
    for (input, expected) in cases {
        let (class, message) = refusal(&package, &input);
        assert_eq!(class, "user", "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

/// A change to a package and what is said about it.
#[rstest]
#[case::cut_early(&|folder: &Path| cut(folder, 100), "InvalidHeaderLength")]
#[case::cut_late(&|folder: &Path| cut(folder, 20_000), "MetadataIncompleteBuffer")]
#[case::gone(&|folder: &Path| fs::remove_file(folder.join("preprocess.json")).unwrap(), "preprocess.json")]
#[case::missing(&|folder: &Path| weights(folder, |all| { all.pop(); }), "is missing")]
#[case::more(&|folder: &Path| weights(folder, |all| all.push(("more".to_owned(), Tensor::from(1.0)))), "`more` is none of the network's")]
#[case::shape(&|folder: &Path| weights(folder, |all| all[0].1 = Tensor::from(1.0)), "has shape []")]
#[case::other(&|folder: &Path| fs::write(folder.join("architecture.json"), "{\"text\": \"nonsense\"}").unwrap(), "architecture.json")]
fn a_damaged_package_is_told_from_a_bad_input(
    #[case] damage: &dyn Fn(&Path),
    #[case] expected: &str,
) {
    let run = images(&json!({}));
    let package = artifacts(&run);
    damage(&package);
    let (class, message) =
        refusal(&package, &file(&DynamicImage::new_luma8(28, 28), ImageFormat::Png));
    assert_eq!(class, "infrastructure", "{message}");
    assert!(message.contains("the run's package cannot be used"), "{message}");
    assert!(message.contains(expected), "{message}");
}

/// Leaves so many bytes of the weights.
fn cut(folder: &Path, left: usize) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(path, &bytes[..left]).unwrap();
}

fn weights(folder: &Path, change: impl Fn(&mut Vec<(String, Tensor)>)) {
    let path = folder.join("model.safetensors");
    let mut all = Tensor::read_safetensors(&path).unwrap();
    all.retain(|(name, _)| !name.ends_with("num_batches_tracked"));
    all.sort_by(|a, b| a.0.cmp(&b.0));
    change(&mut all);
    Tensor::write_safetensors(&all, &path).unwrap();
}

fn continued(package: &Path, prompt: Value) -> Value {
    answer(package, prompt.to_string().as_bytes(), &[])
}

#[rstest]
#[case::characters(json!({}))]
#[case::pairs(json!({"dataset": {"tokens": "bpe", "vocabulary": 280}, "space": {"preset": "language"}}))]
fn a_prompt_is_continued_by_the_packed_network(#[case] patch: Value) {
    let run = text(&patch);
    let package = artifacts(&run);
    let (tokens, logits) = example(&package, "tokens");
    // The window of an example, the likeliest token, and the text of both.
    let file: Value = serde_json::from_slice(&run.artifact(1, "preprocess.json")).unwrap();
    let text = |ids: &[i64]| -> String {
        if file["tokens"] == "bpe" {
            let ids: Vec<u32> = ids.iter().map(|id| u32::try_from(*id).unwrap()).collect();
            let tokenizer = tokenizers::Tokenizer::from_bytes(run.artifact(1, "tokenizer.json"));
            return tokenizer.unwrap().decode(&ids, false).unwrap();
        }
        let list: Value = serde_json::from_slice(&run.artifact(1, "vocabulary.json")).unwrap();
        ids.iter()
            .map(|id| list["tokens"][usize::try_from(*id).unwrap()].as_str().unwrap())
            .collect()
    };
    let mut compared = 0;
    for at in 0..8 {
        let window = Vec::<i64>::try_from(&tokens.get(at)).unwrap();
        let prompt = text(&window);
        let found = continued(&package, json!({"prompt": prompt, "tokens": 1, "temperature": 0}));
        let next = logits.get(at).get(-1).argmax(0, false).int64_value(&[]);
        // Byte pairs need not be cut the same way once they are a text of their own.
        if found["read"] == json!(window.len()) && !prompt.contains('\u{fffd}') {
            let whole = text(&[window, vec![next]].concat());
            assert_eq!(prompt + found["text"].as_str().unwrap(), whole);
            compared += 1;
        }
    }
    assert!(compared >= 2, "{compared}");
    // Equal requests get equal texts; another seed another one; one token is no draw.
    let ask = |patch: Value| {
        let mut request = json!({"prompt": "to be or not to be, that is", "tokens": 30, "seed": 7});
        crate::harness::merge(&mut request, &patch);
        continued(&package, request)
    };
    let first = ask(json!({}));
    assert_eq!((&first["kind"], &first["added"]), (&json!("continuation"), &json!(30)));
    assert_eq!(first["text"], ask(json!({}))["text"]);
    assert_ne!(first["text"], ask(json!({"seed": 8, "temperature": 3}))["text"]);
    let greedy = ask(json!({"temperature": 0}));
    assert_eq!(greedy["text"], ask(json!({"top_k": 1, "seed": 99}))["text"]);
    // A longer prompt than the network reads goes on from its end.
    let long = "or not ".repeat(200) + "to be, that is";
    assert_eq!(continued(&package, json!({"prompt": long, "tokens": 5}))["read"], 16);
}

#[test]
fn a_prompt_that_cannot_be_read_is_refused_in_words() {
    let run = text(&json!({}));
    let package = artifacts(&run);
    let cases = [
        (json!({"prompt": "to be Q ÿ Q"}), "has never met 'Q', 'ÿ'; its text had none"),
        (json!({"prompt": ""}), "`prompt` is empty"),
        (json!({"prompt": "to", "tokens": 5000}), "`tokens` must be from 1 to 1000"),
        (json!({"prompt": "to", "token": 5}), "unknown field `token`"),
    ];
    for (request, expected) in cases {
        let (class, message) = refusal(&package, request.to_string().as_bytes());
        assert_eq!(class, "user", "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

/// What does not fit into the time is left out.
#[test]
fn a_continuation_ends_with_its_time() {
    let slow = json!({"space": {"embed_widths": [256, 320], "heads": [4], "layers": [3], "context": 64},
        "dataset": {"limit": 200}, "search": {"batch_size": 4}, "after": {"from_scratch": {"epochs": 0}}});
    let run = text(&slow);
    let request = json!({"prompt": "to be", "tokens": 1000}).to_string();
    let found = answer(&artifacts(&run), request.as_bytes(), &["--seconds", "1"]);
    let added = found["added"].as_u64().unwrap();
    assert!(found["cut_short"].as_bool().unwrap() && (1..1000).contains(&added), "{found}");
    assert!(found["milliseconds"].as_f64().unwrap() < 1000.0, "{found}");
}

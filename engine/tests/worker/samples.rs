//! `skein-worker samples`: images beside what a search would make of them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use image::{GenericImageView as _, RgbaImage};
use rstest::rstest;
use serde_json::{Value, json};
use skein_core::samples::{Answer, Sheet};

use crate::harness::write_dataset;
use crate::splits::{own, write_own};

fn ask(datasets: &Path, spec: &Value, args: &[&str]) -> (i32, Answer, Option<RgbaImage>) {
    let out = datasets.join("sheet.png");
    let mut child = Command::new(env!("CARGO_BIN_EXE_skein-worker"))
        .args(["samples", "--datasets"])
        .arg(datasets)
        .arg("--out")
        .arg(&out)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(spec.to_string().as_bytes());
    let done = child.wait_with_output().unwrap();
    let image = std::fs::read(&out).ok().map(|file| {
        let found = image::load_from_memory_with_format(&file, image::ImageFormat::Png);
        found.unwrap().to_rgba8()
    });
    (done.status.code().unwrap(), serde_json::from_slice(&done.stdout).unwrap(), image)
}

fn shown(datasets: &Path, spec: &Value, args: &[&str]) -> (Sheet, RgbaImage) {
    match ask(datasets, spec, args) {
        (0, Answer::Sheet(sheet), Some(image)) => {
            assert_eq!(image.dimensions(), (sheet.width, sheet.height));
            (sheet, image)
        }
        (code, answer, _) => panic!("{code} {answer:?}"),
    }
}

fn cell(sheet: &Sheet, image: &RgbaImage, sample: u32, view: u32) -> RgbaImage {
    let [left, top] = sheet.corner(sample, view);
    image.view(left, top, sheet.cell[0], sheet.cell[1]).to_image()
}

fn fashion(patch: &Value) -> Value {
    let mut dataset = json!({"id": "fashion-mnist"});
    for (name, value) in patch.as_object().unwrap() {
        dataset[name] = value.clone();
    }
    json!({"dataset": dataset})
}

#[test]
fn an_image_stands_beside_its_views() {
    let home = tempfile::tempdir().unwrap();
    write_dataset(home.path(), 128, 32);
    let spec = fashion(&json!({"flip": true}));
    let args = ["--positions", "3,70-71", "--views", "6", "--seed", "5"];
    let (sheet, image) = shown(home.path(), &spec, &args);
    assert_eq!((sheet.samples, sheet.views, sheet.scale, sheet.cell), (3, 6, 4, [112, 112]));
    let raw = std::fs::read(home.path().join("fashion-mnist/train-images-idx3-ubyte")).unwrap();
    let mut mirrored = 0;
    for (sample, position) in [3_usize, 70, 71].into_iter().enumerate() {
        let sample = u32::try_from(sample).unwrap();
        let first = cell(&sheet, &image, sample, 0);
        for (x, y, pixel) in first.enumerate_pixels() {
            let value = raw[16 + position * 784 + (y / 4 * 28 + x / 4) as usize];
            assert_eq!(pixel.0, [value, value, value, 255], "{x}, {y}");
        }
        // Every view is the image or its mirror image.
        for view in 1..=6 {
            let found = cell(&sheet, &image, sample, view);
            let mirror = image::imageops::flip_horizontal(&first);
            assert!(found == first || found == mirror, "{sample} {view}");
            mirrored += u32::from(found == mirror);
        }
    }
    assert!((3..16).contains(&mirrored), "{mirrored} of 18");
    // Between the cells there is nothing.
    assert_eq!(image.get_pixel(112, 0).0, [0; 4]);
    assert_eq!(shown(home.path(), &spec, &args).1, image);
    let other = ["--positions", "3,70-71", "--views", "6", "--seed", "6"];
    assert_ne!(shown(home.path(), &spec, &other).1, image);
}

/// Whatever a search can do, to images of any channels.
#[rstest]
#[case::grey(1)]
#[case::two(2)]
#[case::coloured(3)]
#[case::four(4)]
fn a_data_set_of_ones_own_is_shown(#[case] channels: u64) {
    let home = tempfile::tempdir().unwrap();
    let shape = [channels, 40, 56];
    write_own(home.path(), shape);
    let mut spec = json!({
        "dataset": own(shape),
        "space": {"preset": "a page may not know yet"},
        "search": {"rand_augment": 9, "color_jitter": 0.4, "random_erasing": 0.5, "cutout": 8, "epochs": 3},
    });
    spec["dataset"]["flip_vertical"] = json!(true);
    spec["dataset"]["resized_crop"] = json!(0.3);
    spec["dataset"]["crop"] = json!(4);
    let (sheet, image) = shown(home.path(), &spec, &["--positions", "0-9", "--views", "2"]);
    assert_eq!((sheet.scale, sheet.cell, sheet.samples), (2, [112, 80], 10));
    let grey = image.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]);
    assert_eq!(grey, channels < 3);
    for sample in 0..10 {
        assert_ne!(cell(&sheet, &image, sample, 0), cell(&sheet, &image, sample, 1));
    }
}

#[rstest]
#[case::text(json!({"dataset": {"id": "tiny-shakespeare"}}), &["--positions", "0"], "user", "is a text")]
#[case::unknown(json!({"dataset": {"id": "nothing"}}), &["--positions", "0"], "user", "`nothing` is not known")]
#[case::field(fashion(&json!({"flop": true})), &["--positions", "0"], "user", "dataset.flop is not a known field")]
#[case::strength(json!({"dataset": {"id": "fashion-mnist"}, "search": {"color_jitter": 2}}), &["--positions", "0"], "user", "search.color_jitter must be at most 1")]
#[case::position(fashion(&json!({})), &["--positions", "0,128"], "user", "there is no image 128: there are 128")]
#[case::many(fashion(&json!({})), &["--positions", "0-99999999999"], "user", "1 to 64 images")]
#[case::views(fashion(&json!({})), &["--positions", "0", "--views", "17"], "user", "up to 16 views")]
#[case::words(fashion(&json!({})), &["--positions", "all"], "user", "`--positions` holds `all`")]
#[case::missing(json!({"dataset": {"id": "cifar-10"}}), &["--positions", "0"], "user", "is missing")]
fn what_cannot_be_shown_is_refused_in_words(
    #[case] spec: Value,
    #[case] args: &[&str],
    #[case] class: &str,
    #[case] message: &str,
) {
    let home = tempfile::tempdir().unwrap();
    write_dataset(home.path(), 128, 32);
    let (code, answer, image) = ask(home.path(), &spec, args);
    assert!(code == 1 && image.is_none());
    let Answer::Failure(failure) = answer else { panic!("{answer:?}") };
    assert_eq!(json!(failure.class), class);
    assert!(failure.message.contains(message), "{}", failure.message);
}

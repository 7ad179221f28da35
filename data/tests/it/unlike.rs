//! Sets that are no folders of images: IDX, CIFAR, arrays, tables, texts.

use rstest::rstest;
use skein_core::dataset::DataKind;
use skein_core::dataset::facts::HeldOut;
use skein_data::{npy, samples};

use crate::bring::{Files, Place, gz, png, refused, tar, zip};

fn idx(sizes: &[u32], bytes: Vec<u8>) -> Vec<u8> {
    let mut file = vec![0, 0, 8, u8::try_from(sizes.len()).unwrap()];
    sizes.iter().for_each(|size| file.extend(size.to_be_bytes()));
    file.extend(bytes);
    file
}

/// Bytes that differ from image to image.
fn values(count: usize) -> Vec<u8> {
    (0..count).map(|at| u8::try_from((at * 31 + at / 97) % 251).unwrap()).collect()
}

fn mnist() -> Files {
    let labels = |count: u8| (0..count).map(|at| at % 2 + 4).collect();
    vec![
        (
            "t10k-images-idx3-ubyte".into(),
            idx(&[4, 28, 28], values(4 * 784).into_iter().rev().collect()),
        ),
        ("t10k-labels-idx1-ubyte".into(), idx(&[4], labels(4))),
        ("train-images-idx3-ubyte".into(), idx(&[20, 28, 28], values(20 * 784))),
        ("train-labels-idx1-ubyte".into(), idx(&[20], labels(20))),
    ]
}

#[test]
fn idx_files_are_read_plain_and_packed() {
    let place = Place::new();
    let plain = place.bytes("mnist.tar", &tar(&mnist())).unwrap().facts;
    assert_eq!((plain.train, plain.test, plain.shape.channels, plain.shape.width), (20, 4, 1, 28));
    assert_eq!(plain.classes, ["4", "5"]);
    assert_eq!(plain.source, "tar of IDX files");
    let sample = samples::image(&place.out(), "train", 0).unwrap();
    let number = sample
        .line
        .name
        .rsplit_once('[')
        .unwrap()
        .1
        .trim_end_matches(']')
        .parse::<usize>()
        .unwrap();
    assert_eq!(sample.line.name, format!("train-images-idx3-ubyte[{number}]"));
    assert_eq!(sample.pixels, values(20 * 784)[number * 784..][..784]);
    let packed: Files =
        mnist().into_iter().map(|(name, bytes)| (format!("{name}.gz"), gz(&bytes))).collect();
    let found = place.bytes("mnist.zip", &zip(&packed)).unwrap().facts;
    assert_eq!((found.train, found.mean), (20, plain.mean));
}

#[rstest]
#[case::lone(&[2], "`train-images-idx3-ubyte` has no file of labels beside it")]
#[case::count(&[1, 2], "`train-images-idx3-ubyte` holds 20 images, but `train-labels-idx1-ubyte` 4 labels")]
fn idx_files_that_do_not_fit_are_refused(#[case] which: &[usize], #[case] message: &str) {
    let mut files = Files::new();
    for at in which {
        let (name, bytes) = mnist().swap_remove(*at);
        files.push((name.replace("t10k", "train"), bytes));
    }
    assert_eq!(refused(Place::new().bytes("x.zip", &zip(&files))).1, message);
}

#[test]
fn a_cut_off_idx_file_is_refused() {
    let mut files = mnist();
    files[2].1.truncate(1000);
    let (code, message) = refused(Place::new().bytes("x.zip", &zip(&files)));
    assert_eq!(code, "bad_content");
    assert_eq!(
        message,
        "`train-images-idx3-ubyte` is damaged: it has 1000 bytes, and its header tells of 15696"
    );
}

fn records(count: u8, labels: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|at| {
            let mut record = vec![at % 3; labels];
            record.extend(values(3072).into_iter().map(|value| value.wrapping_add(at)));
            record
        })
        .collect()
}

#[test]
fn binary_files_of_cifar_are_read() {
    let place = Place::new();
    let files: Files = vec![
        ("cifar/batches.meta.txt".into(), b"ape\nbee\ncat\n\n".to_vec()),
        ("cifar/data_batch_1.bin".into(), records(9, 1)),
        ("cifar/test_batch.bin".into(), records(6, 1).split_off(3 * 3073)),
        ("cifar/readme.html".into(), b"<html>".to_vec()),
    ];
    let prepared = place.bytes("cifar-10-binary.tar.gz", &gz(&tar(&files))).unwrap();
    assert_eq!(prepared.facts.classes, ["ape", "bee", "cat"]);
    // Three of the training images are test images too.
    assert_eq!((prepared.facts.train, prepared.facts.test), (6, 3));
    let mut files = files;
    files[1].1 = records(9, 2);
    files[2].1 = records(12, 2).split_off(9 * 3074);
    files[0] = ("cifar/fine_label_names.txt".into(), b"ape\nbee\ncat\n".to_vec());
    let facts = place.bytes("x.zip", &zip(&files)).unwrap().facts;
    assert_eq!((facts.train, facts.test), (9, 3));
    files[1].1.push(0);
    let (_, message) = refused(place.bytes("x.zip", &zip(&files)));
    assert_eq!(
        message,
        "`cifar/data_batch_1.bin` is no whole file of CIFAR: 27667 bytes are no multiple of 3074, the size of a record"
    );
    files[1].1 = vec![200; 3074];
    let (_, message) = refused(place.bytes("x.zip", &zip(&files)));
    assert_eq!(message, "`cifar/data_batch_1.bin` has the label 200 at record 0, of 3 classes");
}

#[test]
fn the_python_version_of_cifar_is_refused_by_name() {
    let files: Files = vec![
        ("cifar-10-batches-py/batches.meta".into(), b"\x80\x02}q\x01".to_vec()),
        ("cifar-10-batches-py/data_batch_1".into(), b"\x80\x02}q\x01(U\x0bbatch_label".to_vec()),
    ];
    let (code, message) = refused(Place::new().bytes("cifar-10-python.tar.gz", &gz(&tar(&files))));
    assert_eq!(code, "pickle");
    assert_eq!(
        message,
        "`cifar-10-batches-py/batches.meta` is a pickle of Python, which is a program and is never run here; \
         save arrays as .npz (numpy.savez), images as files in folders of classes, or take the binary version"
    );
}

fn array(descr: &str, shape: &[u64], bytes: &[u8]) -> Vec<u8> {
    [npy::header(descr, shape), bytes.to_vec()].concat()
}

fn npz(images: Vec<u8>, labels: Vec<u8>) -> Vec<u8> {
    zip(&vec![("x_train.npy".into(), images), ("y_train.npy".into(), labels)])
}

fn ten_labels() -> Vec<u8> {
    array("|u1", &[10], &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
}

#[rstest]
#[case::grey("|u1", &[10, 16, 12], 1)]
#[case::last("|u1", &[10, 16, 12, 3], 3)]
#[case::first("|u1", &[10, 3, 16, 12], 3)]
#[case::four("|u1", &[10, 16, 12, 4], 4)]
#[case::bytes_as_numbers("<i8", &[10, 16, 12, 3], 3)]
#[case::floats("<f4", &[10, 3, 16, 12], 3)]
#[case::doubles(">f8", &[10, 16, 12], 1)]
fn arrays_of_all_shapes_are_read(
    #[case] descr: &str,
    #[case] shape: &[u64],
    #[case] channels: i64,
) {
    let place = Place::new();
    let bytes = values(shape.iter().product::<u64>() as usize);
    let stored: Vec<u8> = match descr {
        "<i8" => bytes.iter().flat_map(|value| i64::from(*value).to_le_bytes()).collect(),
        "<f4" => bytes.iter().flat_map(|value| (f32::from(*value) / 255.0).to_le_bytes()).collect(),
        ">f8" => bytes.iter().flat_map(|value| f64::from(*value).to_be_bytes()).collect(),
        _ => bytes.clone(),
    };
    let facts = place
        .with(
            "set.npz",
            &npz(array(descr, shape, &stored), ten_labels()),
            &skein_data::Options { size: Some(12), ..Default::default() },
        )
        .unwrap()
        .facts;
    assert_eq!((facts.shape.channels, facts.shape.height, facts.shape.width), (channels, 12, 12));
    assert_eq!((facts.train, facts.test, facts.source.as_str()), (8, 2, "npz of arrays"));
    // The middle of an image of a plain size is not scaled.
    let sample = samples::image(&place.out(), "test", 0).unwrap();
    let number: usize =
        sample.line.name.trim_start_matches("x_train.npy[").trim_end_matches(']').parse().unwrap();
    let own = &bytes[number * bytes.len() / 10..];
    let at = |channel: usize, row: usize, column: usize| {
        let channels = usize::try_from(channels).unwrap();
        let mixed = shape.len() == 4 && shape[1] == 16;
        own[if mixed {
            (row * 12 + column) * channels + channel
        } else {
            (channel * 16 + row) * 12 + column
        }]
    };
    assert_eq!(sample.pixels[0], at(0, 2, 0));
    assert_eq!(
        sample.pixels[sample.pixels.len() - 1],
        at(usize::try_from(channels).unwrap() - 1, 13, 11)
    );
}

#[rstest]
#[case::flat(array("|u1", &[10, 784], &[0; 7840]), ten_labels(), "`x_train.npy` has the shape [10, 784]; images are [count, height, width], with 1, 3 or 4 channels before or behind height and width")]
#[case::two_channels(array("|u1", &[10, 8, 8, 2], &[0; 1280]), ten_labels(), "`x_train.npy` has the shape [10, 8, 8, 2]; images are [count, height, width], with 1, 3 or 4 channels before or behind height and width")]
#[case::object(array("|O", &[10, 8, 8], &[0; 640]), ten_labels(), "`x_train.npy` is a pickle of Python, which is a program and is never run here; save arrays as .npz (numpy.savez), images as files in folders of classes, or take the binary version")]
#[case::text(array("<U3", &[10, 8, 8], &[0; 640]), ten_labels(), "`x_train.npy` holds `<U3`, which are no numbers that are read")]
#[case::cut(array("|u1", &[10, 8, 8], &[0; 639]), ten_labels(), "`x_train.npy` is damaged: its 767 bytes do not hold [10, 8, 8] numbers of type `|u1`")]
#[case::huge(array("|u1", &[u64::MAX, 8, 8], &[0; 639]), ten_labels(), "`x_train.npy` is damaged: its 767 bytes do not hold [18446744073709551615, 8, 8] numbers of type `|u1`")]
#[case::negative(array("<f4", &[10, 8, 8], &(-1.0_f32).to_le_bytes().repeat(640)), ten_labels(), "`x_train.npy` holds the value -1; pixels are 0 to 255, or fractions of 0 to 1")]
#[case::no_number(array("<f4", &[10, 8, 8], &f32::NAN.to_le_bytes().repeat(640)), ten_labels(), "`x_train.npy` holds the value NaN; pixels are 0 to 255, or fractions of 0 to 1")]
#[case::wide(array("<u2", &[10, 8, 8], &[1; 1280]), ten_labels(), "`x_train.npy` holds the value 257; pixels are 0 to 255, or fractions of 0 to 1")]
#[case::fewer(array("|u1", &[10, 8, 8], &[0; 640]), array("|u1", &[9], &[0; 9]), "`y_train.npy` holds 9 labels, but `x_train.npy` 10 images")]
#[case::one_hot(array("|u1", &[10, 8, 8], &[0; 640]), array("|u1", &[10, 2], &[0; 20]), "`y_train.npy` has the shape [10, 2]; labels are one whole number an image")]
#[case::fractions(array("|u1", &[10, 8, 8], &[0; 640]), array("<f4", &[10], &[0; 40]), "`y_train.npy` holds `<f4`; labels are whole numbers")]
fn arrays_that_are_no_set_are_refused(
    #[case] images: Vec<u8>,
    #[case] labels: Vec<u8>,
    #[case] message: &str,
) {
    assert_eq!(refused(Place::new().bytes("x.npz", &npz(images, labels))).1, message);
}

#[test]
fn arrays_in_fortran_order_and_without_names_are_refused() {
    let mut images = array("|u1", &[10, 8, 8], &[0; 640]);
    let at = images.windows(5).position(|word| word == b"False").unwrap();
    images[at..at + 5].copy_from_slice(b"True ");
    let place = Place::new();
    assert_eq!(
        refused(place.bytes("x.npz", &npz(images.clone(), ten_labels()))).1,
        "`x_train.npy` lies in Fortran order; save numpy.ascontiguousarray of it"
    );
    let unnamed =
        zip(&vec![("arr_0.npy".into(), ten_labels()), ("arr_1.npy".into(), ten_labels())]);
    assert_eq!(
        refused(place.bytes("x.npz", &unnamed)).1,
        "no array is called as images or labels (`arr_0.npy`, `arr_1.npy`); call them x_train, y_train, x_test and y_test, or images and labels"
    );
    let lone = zip(&vec![("x_test.npy".into(), ten_labels())]);
    assert_eq!(
        refused(place.bytes("x.npz", &lone)).1,
        "`x_test.npy` has no labels beside it; call them `y` and as this array otherwise"
    );
}

fn pictures() -> Files {
    (0..12).map(|number| (format!("set/pictures/{number}.png"), png(number))).collect()
}

#[test]
fn a_table_tells_labels_and_splits() {
    let mut files = pictures();
    let lines: String = (0..10)
        .map(|number| {
            format!(
                "pictures/{number}.png,{},{}\n",
                if number % 2 == 0 { "even, \"x\"" } else { "odd" },
                if number < 6 { "train" } else { "test" }
            )
            .replace("even, \"x\"", "\"even, \"\"x\"\"\"")
        })
        .collect();
    files.push((
        "set/labels.csv".into(),
        format!("\u{feff}Path,Label,Split\n{lines}pictures/gone.png,odd,train\n").into_bytes(),
    ));
    let prepared = Place::new().bytes("x.zip", &zip(&files)).unwrap();
    assert_eq!(prepared.facts.classes, ["even, \"x\"", "odd"]);
    assert_eq!((prepared.facts.train, prepared.facts.test), (6, 4));
    assert_eq!(prepared.facts.source, "zip of images with a table");
    let finding =
        |code: &str| prepared.report.findings.iter().find(|finding| finding.code == code).unwrap();
    assert_eq!(finding("missing_files").examples, ["pictures/gone.png"]);
    assert_eq!(finding("unlabelled").examples, ["set/pictures/10.png", "set/pictures/11.png"]);
}

#[test]
fn a_table_of_other_files_is_refused() {
    let mut files = pictures();
    files.push(("set/labels.csv".into(), b"path;label\na.png;1\nb.png;2\n".to_vec()));
    let (code, message) = refused(Place::new().bytes("x.zip", &zip(&files)));
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            "one_class",
            "all images are of one class, `pictures`; a network needs at least two to tell apart"
        )
    );
    files.pop();
    files.push(("set/labels.csv".into(), b"path,label,split\npictures/0.png,a,later\n".to_vec()));
    let (_, message) = refused(Place::new().bytes("x.zip", &zip(&files)));
    assert_eq!(message, "`set/labels.csv` tells of a split `later`; there are train, val and test");
    files.pop();
    let long = format!("path,label\npictures/0.png,{}\n", "a".repeat(300));
    files.push(("set/labels.csv".into(), long.into_bytes()));
    let (_, message) = refused(Place::new().bytes("x.zip", &zip(&files)));
    assert_eq!(message, "`set/labels.csv` has a label of 300 bytes; at most 255 are taken");
}

#[test]
fn a_text_is_checked_and_copied() {
    let place = Place::new();
    let text = "größe und maß\r\n".repeat(1000);
    let prepared = place.bytes("novel.txt", text.as_bytes()).unwrap();
    let facts = &prepared.facts;
    assert_eq!((facts.kind, facts.shape.classes), (DataKind::Text, 13));
    assert_eq!(facts.held_out, HeldOut::Drawn { share: 0.1, seed: 0 });
    assert_eq!(facts.train + facts.test, text.len() as u64);
    let read = |name: &str| std::fs::read_to_string(place.out().join(name)).unwrap();
    assert_eq!(read("input.txt") + &read("test.txt"), text);
    let given =
        vec![("a/input.txt".to_owned(), b"abc\n".to_vec()), ("a/test.txt".into(), b"cab".to_vec())];
    let facts = place.bytes("x.zip", &zip(&given)).unwrap().facts;
    assert_eq!(
        (facts.train, facts.test, facts.held_out, facts.shape.classes),
        (4, 3, HeldOut::Given, 4)
    );
}

#[rstest]
#[case::binary(b"abc\xff\xfe", "`x.txt` is no UTF-8 text (byte 3); save it as UTF-8")]
#[case::cut_character(b"abc\xc3", "`x.txt` is no UTF-8 text (byte 3); save it as UTF-8")]
#[case::zero(b"abc\0d", "`x.txt` is no UTF-8 text (byte 3); save it as UTF-8")]
#[case::utf16(b"\xff\xfea\0b\0", "`x.txt` is no text: it is UTF-16; save it as UTF-8")]
#[case::empty(b"", "`x.txt` is empty")]
#[case::short(b"abc", "`x.txt` is too short to hold a tenth of it out")]
fn what_is_no_text_is_refused(#[case] bytes: &[u8], #[case] message: &str) {
    assert_eq!(refused(Place::new().bytes("x.txt", bytes)).1, message);
}

#[test]
fn a_large_text_is_checked_across_pieces() {
    let text = "a\u{20ac}".repeat(100_000);
    let facts = Place::new().bytes("x.txt", text.as_bytes()).unwrap().facts;
    assert_eq!(facts.shape.classes, 2);
    let broken = [text.as_bytes(), b"\xff", text.as_bytes()].concat();
    assert_eq!(
        refused(Place::new().bytes("x.txt", &broken)).1,
        "`x.txt` is no UTF-8 text (byte 400000); save it as UTF-8"
    );
}

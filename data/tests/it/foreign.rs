//! Files that are no data set for images, and what is said of them.

use rstest::rstest;

use crate::bring::{Files, Place, classes, gz, png, refused, tar, zip};

fn good() -> Files {
    classes("", &["a", "b"], 3)
}

#[rstest]
#[case::text("x.zip", b"hello", "misnamed", "`x.zip` is no zip archive: it begins as a text")]
#[case::page(
    "x.tar.gz",
    b"<html><body>log in",
    "misnamed",
    "`x.tar.gz` is no tar.gz archive: it begins as a web page; perhaps the download needed a login"
)]
#[case::image(
    "x.tar",
    b"\x89PNG\r\n\x1a\n0000",
    "misnamed",
    "`x.tar` is no tar archive: it begins as an image"
)]
#[case::empty("x.zip", b"", "misnamed", "`x.zip` is no zip archive: it is empty")]
#[case::seven(
    "x.7z",
    b"7z\xBC\xAF\x27\x1C0000",
    "unsupported_format",
    "`x.7z` is a 7z archive; pack it as .zip, .tar.gz or .tar.zst"
)]
#[case::rar(
    "x.zip",
    b"Rar!0000",
    "unsupported_format",
    "`x.zip` is a RAR archive; pack it as .zip, .tar.gz or .tar.zst"
)]
#[case::matlab(
    "train_32x32.mat",
    b"MATLAB 5.0 MAT-file",
    "unsupported_format",
    "`train_32x32.mat` is a MATLAB file; save the images as files in one folder per class, or as arrays in an .npz"
)]
#[case::pickle(
    "x.pkl",
    b"\x80\x04\x95",
    "pickle",
    "`x.pkl` is a pickle of Python, which is a program and is never run here; save arrays as .npz (numpy.savez), images as files in folders of classes, or take the binary version"
)]
#[case::nothing("x.bin", b"", "bad_content", "`x.bin` holds no images")]
fn files_that_are_no_sets(
    #[case] name: &str,
    #[case] bytes: &[u8],
    #[case] code: &str,
    #[case] message: &str,
) {
    assert_eq!(refused(Place::new().bytes(name, bytes)), (code.into(), message.into()));
}

#[test]
fn the_content_decides_and_not_the_name() {
    let place = Place::new();
    assert!(place.bytes("x.zip", &gz(&tar(&good()))).is_ok());
    assert!(place.bytes("x.txt", &zip(&good())).is_ok());
}

#[test]
fn archives_within_the_upload_are_not_opened() {
    let place = Place::new();
    let within = |name: &str, bytes| vec![(name.to_owned(), bytes)];
    let (code, said) = refused(place.bytes("x.zip", &zip(&within("set.zip", zip(&good())))));
    assert_eq!(code, "unsupported_format");
    assert_eq!(said, "`set.zip` is an archive within the upload; bring its files themselves");
    let (_, said) = refused(place.bytes("x.zip", &zip(&within("set.tgz", gz(&tar(&good()))))));
    assert_eq!(said, "`set.tgz` is packed within the upload; bring it unpacked");
}

#[test]
fn a_model_of_torch() {
    let files = vec![
        ("archive/data.pkl".to_owned(), b"\x80\x02ctorch".to_vec()),
        ("archive/data/0".into(), vec![0; 64]),
    ];
    let (code, _) = refused(Place::new().bytes("model.pt", &zip(&files)));
    assert_eq!(code, "pickle");
}

#[rstest]
#[case::coco("annotations/instances_train.json", "detection")]
#[case::roboflow("train/_annotations.coco.json", "detection")]
#[case::voc("Annotations/1.xml", "detection")]
#[case::yolo("labels/train/1.txt", "detection")]
#[case::masks("masks/1.png", "segmentation")]
#[case::masks_beside("masks/1_mask.png", "segmentation")]
#[case::voc_masks("SegmentationClass/7.png", "segmentation")]
fn sets_for_other_tasks(#[case] sign: &str, #[case] task: &str) {
    let content = if sign.ends_with("png") { png(7) } else { b"{}".to_vec() };
    let files = vec![("set/images/1.png".to_owned(), png(1)), (format!("set/{sign}"), content)];
    let found = refused(Place::new().bytes("x.zip", &zip(&files)));
    let message = format!(
        "this looks like a set for {task} (`set/{sign}`); Skein searches networks that tell the class \
         of a whole image, so sort the images into one folder per class"
    );
    assert_eq!(found, ("unsupported_task".into(), message));
}

#[test]
fn classes_that_are_called_as_masks_are_fine() {
    let files = classes("images/", &["mask", "no_mask"], 3);
    assert!(Place::new().bytes("x.zip", &zip(&files)).is_ok());
}

#[rstest]
#[case::flat(&["1.png", "2.png"], "no_layout", "the images lie in no folders of classes (`1.png` for one); put the images of each class into a folder that is called as the class")]
#[case::one_class(&["a/1.png", "a/2.png"], "one_class", "all images are of one class, `a`; a network needs at least two to tell apart")]
#[case::no_train(&["test/a/1.png", "val/b/2.png"], "no_layout", "there is no folder `train` beside the others")]
#[case::mixed(&["train/a/1.png", "test/b/2.png", "more/3.png"], "no_layout", "beside the folders of splits, like `train`, there are images elsewhere (`more/3.png`); put them into a split, or leave them out")]
#[case::no_images(&["a/readme.md", "b/x.doc"], "no_layout", "there are no images and nothing else that is known, only files like `a/readme.md`, `b/x.doc`; bring images in one folder per class, IDX files, the binary files of CIFAR, an .npz with images and labels, a CSV of paths and labels beside the images, or a text")]
#[case::nothing(&[], "no_layout", "there are no files in it")]
fn images_without_classes(#[case] names: &[&str], #[case] code: &str, #[case] message: &str) {
    let content = |name: &str, at| if name.ends_with("png") { png(at) } else { b"?".to_vec() };
    let files: Files =
        (0..).zip(names).map(|(at, name)| (name.to_string(), content(name, at))).collect();
    assert_eq!(refused(Place::new().bytes("x.zip", &zip(&files))), (code.into(), message.into()));
}

//! Images of data sets that are known by name, read from their files.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use skein_core::dataset;
use skein_data::known::Known;
use skein_data::samples::Sample;

/// The first pixel of image `index`: no two neighbours have the same.
fn first_pixel(index: u8) -> u8 {
    index * 7
}

fn idx(folder: &Path, prefix: &str, count: u8, packed: bool) {
    let mut images = [0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28].to_vec();
    let mut labels = [0, 0, 8, 1, 0, 0, 0, count].to_vec();
    for index in 0..count {
        images.extend((0..784).map(|pixel: u32| if pixel == 0 { first_pixel(index) } else { 1 }));
        labels.push(index % 3);
    }
    for (name, bytes) in [("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)] {
        let name = format!("{prefix}-{name}");
        if packed {
            let file = fs::File::create(folder.join(format!("{name}.gz"))).unwrap();
            let mut packing = GzEncoder::new(file, Compression::fast());
            packing.write_all(&bytes).unwrap();
            packing.finish().unwrap();
        } else {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

/// Records with so many label bytes, of which the last counts.
fn cifar(path: &Path, labels: usize, indices: std::ops::Range<u8>) {
    let mut bytes = Vec::new();
    for index in indices {
        bytes.extend(vec![9; labels - 1]);
        bytes.push(index % 3);
        bytes.push(first_pixel(index));
        bytes.extend(vec![1; 3 * 32 * 32 - 1]);
    }
    fs::write(path, bytes).unwrap();
}

fn known<'a>(folder: &'a Path, id: &str, split: &'a str) -> Known<'a> {
    Known { folder, dataset: dataset::find(id).unwrap(), split }
}

fn told(samples: &[Sample]) -> Vec<(u8, i64)> {
    samples.iter().map(|sample| (sample.pixels[0], sample.label)).collect()
}

#[test]
fn idx_files_are_read_packed_or_not() {
    for packed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        idx(folder.path(), "train", 9, packed);
        idx(folder.path(), "t10k", 4, packed);
        let train = known(folder.path(), "fashion-mnist", "train");
        assert_eq!(train.count().unwrap(), 9);
        assert_eq!(train.places(Some(1), 1, 5).unwrap(), [4, 7]);
        let found = train.images(&[7, 0]).unwrap();
        assert_eq!(told(&found), [(first_pixel(7), 1), (0, 0)]);
        assert_eq!((found[0].shape, found[0].pixels.len()), ([1, 28, 28], 784));
        assert!(train.images(&[9]).is_err());
        let test = known(folder.path(), "fashion-mnist", "test");
        assert_eq!(test.places(None, 0, 9).unwrap(), [0, 1, 2, 3]);
        assert_eq!(told(&test.images(&[3]).unwrap()), [(first_pixel(3), 0)]);
    }
}

#[test]
fn cifar_records_are_counted_over_all_files_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    cifar(&folder.path().join("data_batch_1.bin"), 1, 0..4);
    cifar(&folder.path().join("data_batch_2.bin"), 1, 4..9);
    cifar(&folder.path().join("test_batch.bin"), 1, 0..2);
    let train = known(folder.path(), "cifar-10", "train");
    assert_eq!(train.count().unwrap(), 9);
    assert_eq!(train.places(Some(2), 0, 2).unwrap(), [2, 5]);
    let found = train.images(&[3, 4, 8]).unwrap();
    assert_eq!(told(&found), [(first_pixel(3), 0), (first_pixel(4), 1), (first_pixel(8), 2)]);
    assert_eq!(found[1].line.name, "data_batch_2.bin");
    assert_eq!(found[1].shape, [3, 32, 32]);
    assert!(train.images(&[9]).is_err());
    assert_eq!(known(folder.path(), "cifar-10", "test").count().unwrap(), 2);
}

#[test]
fn of_two_labels_the_last_counts() {
    let folder = tempfile::tempdir().unwrap();
    cifar(&folder.path().join("train.bin"), 2, 0..5);
    let train = known(folder.path(), "cifar-100", "train");
    assert_eq!(told(&train.images(&[4]).unwrap()), [(first_pixel(4), 1)]);
    assert_eq!(train.places(Some(0), 0, 9).unwrap(), [0, 3]);
}

#[test]
fn every_image_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    cifar(&folder.path().join("data_batch_1.bin"), 1, 0..1);
    let found = known(folder.path(), "cifar-10", "train").images(&[0]).unwrap();
    let drawn = image::load_from_memory(&found[0].png().unwrap()).unwrap();
    assert_eq!((drawn.width(), drawn.height()), (32, 32));
}

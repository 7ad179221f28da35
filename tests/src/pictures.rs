//! Small pictures of the tests' own, and archives of them.

use std::io::{Cursor, Write as _};
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};

/// Names and contents of files.
pub type Files = Vec<(String, Vec<u8>)>;

/// A PNG picture of a shape: the class decides which, the number its colour and place.
#[must_use]
pub fn shape(class: u32, number: u32, side: u32) -> Vec<u8> {
    let colour = Rgb([200, (number * 37 % 200) as u8, (number * 91 % 250) as u8]);
    let (left, top) = (number % 5, number / 5 % 5);
    let image = RgbImage::from_fn(side, side, |x, y| {
        let (x, y) = (x.saturating_sub(left), y.saturating_sub(top));
        let (middle, half) = (side / 2, side / 4);
        let (across, down) = (x.abs_diff(middle), y.abs_diff(middle));
        let inside = match class % 3 {
            0 => across < half && down < half,
            1 => across * across + down * down < half * half,
            _ => across < 3 || down < 3,
        };
        if inside { colour } else { Rgb([(number % 7) as u8, 20, 40]) }
    });
    png(&image)
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).expect("a picture");
    bytes.into_inner()
}

/// Class folders with so many different pictures each.
#[must_use]
pub fn classes(names: &[&str], each: u32, side: u32) -> Files {
    let of = |(class, name): (u32, &&str)| -> Files {
        let picture = |number| (format!("{name}/{number:03}.png"), shape(class, number, side));
        (0..each).map(picture).collect()
    };
    (0..).zip(names).flat_map(of).collect()
}

/// A zip archive of files.
#[must_use]
pub fn zip(files: &Files) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in files {
        archive.start_file(name.as_str(), options).expect("an entry");
        archive.write_all(bytes).expect("its bytes");
    }
    archive.finish().expect("an archive").into_inner()
}

/// Files below a folder.
pub fn write(folder: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
}

/// A data set of a few images; the class is the brightness of the first rows.
pub fn write_dataset(folder: &Path, train: u32, test: u32) {
    std::fs::create_dir_all(folder).expect("a folder");
    for (prefix, count) in [("train", train), ("t10k", test)] {
        let header = |dims: &[u32]| -> Vec<u8> {
            let mut bytes = vec![0, 0, 8, u8::try_from(dims.len()).unwrap()];
            dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
            bytes
        };
        let (mut images, mut labels) = (header(&[count, 28, 28]), header(&[count]));
        for index in 0..count {
            let class = u8::try_from(index % 10).unwrap();
            labels.push(class);
            images.extend((0..28 * 28).map(|pixel: u32| {
                if pixel < 140 { class * 25 } else { u8::try_from((index + pixel) % 97).unwrap() }
            }));
        }
        let name = |part: &str| folder.join(format!("{prefix}-{part}-ubyte"));
        std::fs::write(name("images-idx3"), images).expect("a file");
        std::fs::write(name("labels-idx1"), labels).expect("a file");
    }
}

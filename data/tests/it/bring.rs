//! Archives and images, made for tests.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, Luma, Rgb, RgbImage};
use skein_data::{Options, Prepared, Refusal, prepare};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Files by their names.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// A folder to work in; `out` is where the version comes to lie.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("scratch")).unwrap();
        std::fs::create_dir(folder.path().join("versions")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.path("versions/one")
    }

    /// Prepares bytes that come as a file of some name.
    pub(crate) fn bytes(&self, name: &str, bytes: &[u8]) -> Result<Prepared, Refusal> {
        self.with(name, bytes, &Options::default())
    }

    pub(crate) fn with(
        &self,
        name: &str,
        bytes: &[u8],
        options: &Options,
    ) -> Result<Prepared, Refusal> {
        let source = self.path("upload");
        std::fs::write(&source, bytes).unwrap();
        self.source(&source, name, options)
    }

    pub(crate) fn source(
        &self,
        source: &Path,
        name: &str,
        options: &Options,
    ) -> Result<Prepared, Refusal> {
        let (scratch, out) = (self.path("scratch"), self.out());
        let _ = std::fs::remove_dir_all(&out);
        let prepared = prepare(source, name, options, &scratch, &out, &mut |_| ());
        let left = |name: &str| std::fs::read_dir(self.path(name)).unwrap().count();
        assert_eq!(left("scratch"), 0, "something is left in `scratch`");
        assert_eq!(
            left("versions"),
            usize::from(prepared.is_ok()),
            "something is left beside `out`"
        );
        prepared
    }
}

/// The code and the text of a refusal.
pub(crate) fn refused(result: Result<Prepared, Refusal>) -> (String, String) {
    match result {
        Ok(prepared) => panic!("was taken: {:?}", prepared.report),
        Err(refusal) => (refusal.code().to_owned(), refusal.to_string()),
    }
}

pub(crate) fn zip(files: &Files) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        if name.ends_with('/') {
            writer.add_directory(name.as_str(), SimpleFileOptions::default()).unwrap();
        } else {
            writer.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn tar(files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zst(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

pub(crate) fn folder(top: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = top.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

pub(crate) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A picture that no other number gives.
pub(crate) fn picture(number: u32, side: u32) -> DynamicImage {
    let at = |x: u32, y: u32, k: u32| {
        u8::try_from(
            (number.wrapping_mul(2_654_435_761) >> (8 * k)).wrapping_add(7 * x + 13 * y * k) & 0xFF,
        )
        .unwrap()
    };
    RgbImage::from_fn(side, side, |x, y| Rgb([at(x, y, 0), at(x, y, 1), at(x, y, 2)])).into()
}

pub(crate) fn grey_picture(number: u32, side: u32) -> DynamicImage {
    let at = |x: u32, y: u32| u8::try_from((number * 31 + 7 * x + 13 * y) & 0xFF).unwrap();
    image::GrayImage::from_fn(side, side, |x, y| Luma([at(x, y)])).into()
}

pub(crate) fn png(number: u32) -> Vec<u8> {
    encoded(&picture(number, 32), ImageFormat::Png)
}

/// So many images of each class, below a prefix.
pub(crate) fn classes(prefix: &str, names: &[&str], each: u32) -> Files {
    let mut files = Vec::new();
    for (class, name) in (0..).zip(names) {
        for number in 0..each {
            let own = prefix.bytes().map(u32::from).sum::<u32>() * 10_000 + class * 1000 + number;
            files.push((format!("{prefix}{name}/{number:03}.png"), png(own)));
        }
    }
    files
}

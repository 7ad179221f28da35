//! How fast images are read from a prepared data set's file and changed, against how fast a search
//! uses them up.

use std::fs::{self, File};
use std::io::Write as _;
use std::time::{Duration, Instant};

use rand::Rng as _;
use serde::Serialize;
use skein_core::dataset::{DATASETS, DataKind, DataShape, Dataset};
use skein_core::spec::RunSpec;

use super::median;
use crate::EngineError;
use crate::data::Images;
use crate::data::augment::Augment;
use crate::device::{Compute, synchronise};
use crate::error::IoContext as _;
use crate::search::sampler::{At, Sampler};
use crate::state::seed::{Stream, below, generator};

/// Bytes of the file that is read.
const FILE: i64 = 512 << 20;
/// Most images in it.
const MOST: i64 = 50_000;
/// How long each way of reading is measured at least.
const WHILE: Duration = Duration::from_secs(2);

/// Everything that can be done to images before they are mixed.
const ALL: Augment = Augment {
    crop: 4,
    resized_crop: 0.08,
    flip: true,
    flip_vertical: true,
    cutout: 8,
    rand_augment: 9.0,
    color_jitter: 0.4,
    random_erasing: 0.25,
};

/// Images a second, on one thread that prepares batches; ratios are to those that a search uses.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Reading {
    /// Read from the file and normalised.
    pub read_images_per_s: f64,
    /// Cropped and mirrored at random, too.
    pub changed_images_per_s: f64,
    /// Changed in every way there is.
    pub all_changes_images_per_s: f64,
    /// Used up by iterations that never wait.
    pub used_images_per_s: f64,
    /// `read_images_per_s` over that.
    pub read_ratio: f64,
    /// `changed_images_per_s` over that.
    pub changed_ratio: f64,
    /// `all_changes_images_per_s` over that.
    pub all_changes_ratio: f64,
}

/// Measures the reading of images of this shape; `iteration_ms` is what an iteration takes. Absent
/// for a text.
#[expect(clippy::cast_precision_loss, reason = "batches are small")]
pub(super) fn measure(
    spec: &RunSpec,
    shape: DataShape,
    iteration_ms: f64,
    compute: Compute,
) -> Result<Option<Reading>, EngineError> {
    if spec.space.data() == DataKind::Text {
        return Ok(None);
    }
    let images = filed(shape, compute)?;
    let read = rate(&images, spec, None)?;
    let usual = Augment { crop: 4, flip: true, ..Augment::default() };
    let changed = rate(&images, spec, Some(&usual))?;
    let all = rate(&images, spec, Some(&ALL))?;
    let optimizer = &spec.search.optimizer;
    let uniform = Sampler::of(optimizer, 0, spec.search.epochs) == Sampler::Uniform;
    let batches = if uniform { 1.0 } else { 2.0 };
    let used = batches * spec.search.batch_size as f64 * 1e3 / iteration_ms;
    Ok(Some(Reading {
        read_images_per_s: read,
        changed_images_per_s: changed,
        all_changes_images_per_s: all,
        used_images_per_s: used,
        read_ratio: read / used,
        changed_ratio: changed / used,
        all_changes_ratio: all / used,
    }))
}

/// Images of noise in a file, as a prepared data set has them. The file is gone once it is closed.
fn filed(shape: DataShape, compute: Compute) -> Result<Images, EngineError> {
    let channels = usize::try_from(shape.channels).unwrap_or(1);
    let dataset = Dataset {
        shape,
        mean: vec![0.5; channels],
        std: vec![0.25; channels],
        ..DATASETS[0].clone()
    };
    let image = i64::try_from(dataset.image_bytes()).unwrap_or(1).max(1);
    let count = (FILE / image).clamp(1, MOST);
    let path = std::env::temp_dir().join(format!("skein-bench-{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).at(&path)?;
    fs::remove_file(&path).at(&path)?;
    let mut pixels = vec![0; usize::try_from(image).unwrap_or(1)];
    let mut noise = generator(1, Stream::Weights, 0);
    for _ in 0..count {
        noise.fill_bytes(&mut pixels);
        file.write_all(&pixels).at(&path)?;
    }
    Images::in_file(file, path, &dataset, count.unsigned_abs(), compute)
}

/// Images a second that random batches are prepared at, the median of batches.
#[expect(clippy::cast_precision_loss, reason = "batches are small")]
fn rate(images: &Images, spec: &RunSpec, augment: Option<&Augment>) -> Result<f64, EngineError> {
    let mut draw = generator(2, Stream::Weights, 0);
    let (begun, mut times) = (Instant::now(), Vec::new());
    for step in 0.. {
        let position = |_| i64::try_from(below(&mut draw, images.count())).unwrap_or(0);
        let positions: Vec<i64> = (0..spec.search.batch_size).map(position).collect();
        let at = At { seed: 1, stream: Stream::WeightAugment, step };
        let begin = Instant::now();
        let _batch = match augment {
            None => images.batch(&positions)?,
            Some(augment) => images.augmented(&positions, augment, at)?,
        };
        synchronise(images.device());
        times.push(begin.elapsed().as_secs_f64());
        if begun.elapsed() > WHILE && times.len() > 3 {
            break;
        }
    }
    Ok(spec.search.batch_size as f64 / median(times))
}

//! A set of images: looked at, decoded, divided, written.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use skein_core::dataset::facts::{self, Facts, HeldOut};
use skein_core::dataset::{DataKind, DataShape};

use crate::arrays::{Folder, Line, Output, hex, names};
use crate::decode::{Decoded, decode};
use crate::divide::{Divided, divide};
use crate::doctor::{self, Found};
use crate::gather::Gathered;
use crate::layout::{Form, Images, Split};
use crate::look::{Look, look};
use crate::pixels::Target;
use crate::prepare::{Options, Prepared, Progress, Stage};
use crate::refusal::Refusal;
use crate::suggest;

/// Prepares a set into a folder.
pub(crate) fn prepare(
    mut set: Images,
    gathered: Gathered,
    options: &Options,
    scratch: &Path,
    folder: &Folder,
    progress: &mut dyn FnMut(Progress),
) -> Result<Prepared, Refusal> {
    if set.classes.len() > options.limits.classes {
        return Err(Refusal::Classes(options.limits.classes));
    }
    let mut look = look(&set, &gathered, progress)?;
    refuse_most_bad(&set, &gathered, &look)?;
    let target = target(&set, &look, options);
    let decoded = decode(&set, &gathered, &mut look, target, scratch, progress)?;
    let good = refuse_most_bad(&set, &gathered, &look)?;
    keep_used_classes(&mut set, &good);
    let divided = divide(&set.examples, &good, options.test_share, options.seed);
    refuse_one_class(&set, &divided)?;
    let source = format!("{} of {}", gathered.word, set.layout);
    let share = options.test_share;
    let (set, gathered, look) = (&set, &gathered, &look);
    let (decoded, divided) = (&decoded, &divided);
    let mut report = Found { set, gathered, look, decoded, divided, share }.report(&source);
    let (mean, std) = write(set, gathered, decoded, divided, folder, progress)?;
    let fits = (suggest::side(look), target.channels);
    report.suggestion = Some(suggest::suggestion(fits.0, fits.1, (mean.clone(), std.clone())));
    let (width, height) = (target.width, target.height);
    let counts = divided.splits().map(|(_, numbers)| numbers.len() as u64);
    let size = |side: u32| i64::from(side);
    let facts = Facts {
        format: facts::FORMAT,
        digest: digest(set, gathered, divided, target, options),
        kind: DataKind::Images,
        shape: DataShape {
            channels: size(target.channels),
            height: size(height),
            width: size(width),
            classes: i64::try_from(set.classes.len()).unwrap_or(i64::MAX),
        },
        classes: set.classes.clone(),
        train: counts[0] + counts[1],
        valid: counts[1],
        test: counts[2],
        held_out: if divided.drawn {
            HeldOut::Drawn { share: options.test_share, seed: options.seed }
        } else {
            HeldOut::Given
        },
        mean,
        std,
        source,
        resized: look.sides.keys().any(|sides| *sides != (width, height)),
    };
    Ok(Prepared { facts, report })
}

/// Grey only if all images are.
fn target(set: &Images, look: &Look, options: &Options) -> Target {
    let side = options.size.unwrap_or_else(|| suggest::side(look));
    let channels = match set.form {
        Form::Raw(raw) => raw.channels,
        Form::Files if look.grey == look.images => 1,
        Form::Files => 3,
    };
    Target { channels, width: side, height: side }
}

/// The examples that can be used.
fn refuse_most_bad(set: &Images, gathered: &Gathered, look: &Look) -> Result<Vec<usize>, Refusal> {
    let (bad, all) = (look.faults.len() as u64, set.examples.len() as u64);
    let first = look.faults.first_key_value();
    match first.and_then(|(at, fault)| Some((set.examples.get(*at)?, fault))) {
        Some((example, fault)) if 2 * bad > all => Err(Refusal::MostlyBad {
            bad,
            all,
            first: doctor::name(example, gathered),
            reason: fault.to_string(),
        }),
        _ => Ok((0..set.examples.len()).filter(|at| !look.faults.contains_key(at)).collect()),
    }
}

/// Classes of which nothing could be read are none.
fn keep_used_classes(set: &mut Images, good: &[usize]) {
    let mut used = vec![false; set.classes.len()];
    for example in good.iter().filter_map(|at| set.examples.get(*at)) {
        if let Some(used) = used.get_mut(example.label as usize) {
            *used = true;
        }
    }
    let mut next = 0;
    let numbers: Vec<u32> = used
        .iter()
        .map(|used| {
            let number = next;
            next += u32::from(*used);
            number
        })
        .collect();
    for example in &mut set.examples {
        example.label = numbers.get(example.label as usize).copied().unwrap_or(0);
    }
    let mut used = used.into_iter();
    set.classes.retain(|_| used.next().unwrap_or(false));
}

fn refuse_one_class(set: &Images, divided: &Divided) -> Result<(), Refusal> {
    let mut labels = divided.train.iter().filter_map(|at| Some(set.examples.get(*at)?.label));
    let first = labels.next();
    if labels.any(|label| Some(label) != first) {
        return Ok(());
    }
    let class = first.and_then(|label| set.classes.get(label as usize));
    Err(match class {
        Some(class) => Refusal::OneClass(class.clone()),
        None => Refusal::Layout("there are no training images".to_owned()),
    })
}

/// Writes all arrays; mean and standard deviation of the training pixels.
fn write(
    set: &Images,
    gathered: &Gathered,
    decoded: &Decoded,
    divided: &Divided,
    folder: &Folder,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Vec<f64>, Vec<f64>), Refusal> {
    let target = decoded.target;
    let channels = target.channels as usize;
    let mut counts = vec![[0_u64; 256]; channels];
    let mut pixels = vec![0; target.bytes()];
    let mut lines = folder.create(facts::NAMES)?;
    let splits = divided.splits();
    let total = splits.iter().map(|(_, numbers)| numbers.len() as u64).sum();
    let mut done = 0;
    for (file, parts) in [("train", &splits[..2]), ("test", &splits[2..])] {
        let count = parts.iter().map(|(_, numbers)| numbers.len() as u64).sum();
        let shape = [count, target.channels.into(), target.height.into(), target.width.into()];
        let [images, labels] = names(file);
        let mut images = Output::array(folder, &images, "|u1", &shape)?;
        let mut labels = Output::array(folder, &labels, "<i8", &shape[..1])?;
        let numbers =
            parts.iter().flat_map(|(split, numbers)| numbers.iter().map(|at| (*split, *at)));
        for (split, at) in numbers {
            let Some(example) = set.examples.get(at) else { continue };
            decoded.read(at, &mut pixels).map_err(Refusal::io("reading the scratch file"))?;
            images.write(&pixels)?;
            labels.write(&i64::from(example.label).to_le_bytes())?;
            lines.line(&line(split, set, gathered, at))?;
            if split != Split::Test {
                count_values(&pixels, &mut counts);
            }
            done += 1;
            progress(Progress { stage: Stage::Writing, done, total });
        }
        images.finish()?;
        labels.finish()?;
    }
    lines.finish()?;
    Ok(counts.iter().map(mean_and_deviation).unzip())
}

fn line(split: Split, set: &Images, gathered: &Gathered, at: usize) -> Line {
    let example = set.examples.get(at);
    let item = example.and_then(|example| gathered.items.get(example.item as usize));
    let mut name = item.map(|item| String::from_utf8_lossy(item.name.bytes()).into_owned());
    if let (Some(name), Some(number)) = (&mut name, example.and_then(|example| example.number)) {
        *name += &format!("[{number}]");
    }
    let digest = example.map(|example| hex(&example.digest)).unwrap_or_default();
    Line { split: split.name().to_owned(), name: name.unwrap_or_default(), digest }
}

fn count_values(pixels: &[u8], counts: &mut [[u64; 256]]) {
    let size = pixels.len() / counts.len().max(1);
    for (channel, counts) in pixels.chunks(size.max(1)).zip(counts) {
        channel.iter().for_each(|value| counts[usize::from(*value)] += 1);
    }
}

/// Of values that were counted, scaled to `0..1`: exact, whatever their order.
#[expect(clippy::cast_precision_loss, reason = "sums of bytes are far below 2^52 for 2^44 pixels")]
fn mean_and_deviation(counts: &[u64; 256]) -> (f64, f64) {
    let sum = |power: u32| -> f64 {
        let values = (0_u128..).zip(counts);
        values.map(|(value, count)| value.pow(power) * u128::from(*count)).sum::<u128>() as f64
    };
    let count = sum(0).max(1.0);
    let mean = sum(1) / count;
    let variance = (sum(2) / count - mean * mean).max(0.0);
    (mean / 255.0, variance.sqrt() / 255.0)
}

/// Of all that decides what the arrays hold.
fn digest(
    set: &Images,
    gathered: &Gathered,
    divided: &Divided,
    target: Target,
    options: &Options,
) -> String {
    let mut hasher = Sha256::new();
    let Target { channels, width, height } = target;
    let drawn = divided.drawn.then_some(options.test_share);
    let how = (1, "images", [channels, height, width], drawn, options.seed, &set.classes);
    hasher.update(serde_json::to_vec(&how).unwrap_or_default());
    for (split, numbers) in divided.splits() {
        for at in numbers {
            let Some(example) = set.examples.get(*at) else { continue };
            let name = serde_json::to_vec(&line(split, set, gathered, *at));
            hasher.update(name.unwrap_or_default());
            hasher.update(example.label.to_le_bytes());
        }
    }
    hex(&hasher.finalize())
}

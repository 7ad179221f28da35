//! All examples decoded and brought to one size, once, into a file without a name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::gather::Gathered;
use crate::layout::{Example, Form, Images, Number, Raw};
use crate::look::{self, Look};
use crate::pixels::{self, Fault, Target, ground};
use crate::prepare::{Progress, Stage};
use crate::refusal::Refusal;
use crate::workers;

/// Pixels of all examples, one after the other in their order; a gap where one has a fault.
pub(crate) struct Decoded {
    file: File,
    pub(crate) target: Target,
    /// Images with something transparent.
    pub(crate) transparent: u64,
    /// Images of one colour, by their numbers.
    pub(crate) one_colour: Vec<usize>,
}

impl Decoded {
    /// The pixels of an example.
    pub(crate) fn read(&self, at: usize, pixels: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(pixels, offset(at, self.target))
    }
}

fn offset(at: usize, target: Target) -> u64 {
    at as u64 * target.bytes() as u64
}

/// What became of an example.
struct Outcome {
    fault: Option<Fault>,
    transparent: bool,
    one_colour: bool,
}

/// Decodes all examples; what cannot be decoded is added to the faults.
///
/// # Errors
/// - the disk fails or is full.
pub(crate) fn decode(
    set: &Images,
    gathered: &Gathered,
    look: &mut Look,
    target: Target,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Decoded, Refusal> {
    let file = tempfile::tempfile_in(scratch).map_err(Refusal::io("making a scratch file"))?;
    let mut decoded = Decoded { file, target, transparent: 0, one_colour: vec![] };
    let (count, total) = (set.examples.len(), set.examples.len() as u64);
    let (file, faults) = (&decoded.file, &look.faults);
    let work = |at: usize| {
        let Some(example) = set.examples.get(at).filter(|_| !faults.contains_key(&at)) else {
            return Ok(Outcome { fault: None, transparent: false, one_colour: false });
        };
        let fitted = one(set.form, gathered, example, target)?;
        let (pixels, transparent) = match fitted {
            Ok(found) => found,
            Err(fault) => {
                return Ok(Outcome { fault: Some(fault), transparent: false, one_colour: false });
            }
        };
        file.write_all_at(&pixels, offset(at, target))
            .map_err(Refusal::io("writing to the scratch file"))?;
        let one_colour = ground::is_one_colour(&pixels, target.channels as usize);
        Ok(Outcome { fault: None, transparent, one_colour })
    };
    let large = &look.large;
    let alone = |at: usize| {
        let long = |example: &Example| example.place.length > look::LARGE_FILE;
        large.contains(&at) || set.examples.get(at).is_some_and(long)
    };
    let (mut done, mut found, mut transparent, mut one_colour) = (0, vec![], 0, vec![]);
    workers::each(count, alone, work, |at, outcome| {
        done += 1;
        progress(Progress { stage: Stage::Decoding, done, total });
        transparent += u64::from(outcome.transparent);
        if outcome.one_colour {
            one_colour.push(at);
        }
        found.extend(outcome.fault.map(|fault| (at, fault)));
        Ok(())
    })?;
    look.faults.extend(found);
    one_colour.sort_unstable();
    (decoded.transparent, decoded.one_colour) = (transparent, one_colour);
    Ok(decoded)
}

/// The pixels of an example, and whether it had something transparent.
fn one(
    form: Form,
    gathered: &Gathered,
    example: &Example,
    target: Target,
) -> Result<Result<(Vec<u8>, bool), Fault>, Refusal> {
    let bytes = match look::read(&gathered.spool, example.place)? {
        Ok(bytes) => bytes,
        Err(fault) => return Ok(Err(fault)),
    };
    Ok(match form {
        Form::Files => pixels::guarded(|| pixels::fit(&bytes, target))
            .map(|fitted| (fitted.bytes, fitted.how.ground.is_some())),
        Form::Raw(raw) => {
            let sides = (raw.width, raw.height);
            pixels::fit_raw(&plain(bytes, raw), sides, target).map(|pixels| (pixels, false))
        }
    })
}

/// Bytes, channel by channel.
fn plain(bytes: Vec<u8>, raw: Raw) -> Vec<u8> {
    let bytes = match raw.number {
        Number::Byte => bytes,
        Number::Other { kind, scale } => kind.bytes(&bytes, scale),
    };
    if raw.mixed { pixels::planes(&bytes, raw.channels as usize) } else { bytes }
}

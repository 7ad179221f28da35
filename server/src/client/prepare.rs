//! `skein prepare-dataset`: the process that a server starts to prepare what was uploaded, and
//! `skein datasets check`, which does the same for a person and keeps nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use skein_data::{Options, Prepared, Progress, Refusal, Stage, prepare};

use super::ClientError;
use super::datasets::name_of;
use crate::executor::prepare::Line;

/// Most memory that a preparation may ask for.
const MEMORY: u64 = 4 << 30;
/// Least time between two lines of progress.
const PACE: Duration = Duration::from_millis(100);

/// What is prepared.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file or a folder.
    #[arg(long)]
    source: PathBuf,
    /// What the file was called by the one who sent it.
    #[arg(long)]
    file_name: String,
    /// A folder for what is needed in between.
    #[arg(long)]
    scratch: PathBuf,
    /// The folder to make.
    #[arg(long)]
    out: PathBuf,
    /// Side of the images.
    #[arg(long)]
    size: Option<u32>,
    /// Share of each class that becomes the test split if there is none.
    #[arg(long)]
    test_share: f64,
}

/// Prepares, and says how far it is, one line of JSON a time. Whoever started it holds its standard
/// input open: when that is closed, nobody waits any more and the process ends.
pub(super) fn run(args: &Args) -> Result<(), ClientError> {
    bound_memory();
    std::thread::spawn(end_when_nobody_waits);
    let options = Options { size: args.size, test_share: args.test_share, ..Options::default() };
    let mut last: Option<(Instant, Stage)> = None;
    let mut told = |progress: Progress| {
        let Progress { stage, done, total } = progress;
        let fresh =
            last.is_none_or(|(at, known)| known != stage || at.elapsed() >= PACE || done == total);
        if fresh {
            last = Some((Instant::now(), stage));
            write(&Line::Progress(progress));
        }
    };
    let Args { source, file_name, scratch, out, .. } = args;
    match prepare(source, file_name, &options, scratch, out, &mut told) {
        Ok(_) => {
            write(&Line::Prepared);
            Ok(())
        }
        Err(refusal) => {
            let (code, message) = (refusal.code().to_owned(), in_full(&refusal));
            write(&Line::Refused { code, message });
            Err(ClientError::Refused(String::new()))
        }
    }
}

/// Looks a file or folder over and keeps nothing.
pub(super) fn check(path: &Path, size: Option<u32>) -> Result<Prepared, ClientError> {
    let place = std::env::temp_dir().join(format!("skein-check-{}", std::process::id()));
    let scratch = place.join("scratch");
    std::fs::create_dir_all(&scratch)?;
    let name = name_of(path);
    let options = Options { size, ..Options::default() };
    let found = prepare(path, &name, &options, &scratch, &place.join("out"), &mut |_| {});
    let _ = std::fs::remove_dir_all(&place);
    found.map_err(|refusal| ClientError::Refused(in_full(&refusal)))
}

/// The refusal with what caused it.
fn in_full(refusal: &Refusal) -> String {
    let mut text = refusal.to_string();
    let mut cause = std::error::Error::source(refusal);
    while let Some(error) = cause {
        text = format!("{text} ({error})");
        cause = error.source();
    }
    text
}

fn end_when_nobody_waits() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(1);
}

/// A line that nobody reads does not matter.
fn write(line: &Line) {
    let mut out = std::io::stdout();
    let text = serde_json::to_string(line).unwrap_or_default();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A file that makes a decoder ask for memory without end must not take the machine's.
fn bound_memory() {
    let limit = getrlimit(Resource::As);
    let most = limit.maximum.map_or(MEMORY, |maximum| maximum.min(MEMORY));
    let _ = setrlimit(Resource::As, Rlimit { current: Some(most), maximum: limit.maximum });
}

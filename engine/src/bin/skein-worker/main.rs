//! The worker: one run folder in, events out.

mod bench;
mod bench_all;
mod samples;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde_json::json;
use skein_core::certificate::{Certificate, Proof};
use skein_core::event::{EventBody, Failure};
use skein_core::number::Num;
use skein_core::predict::Answer;
use skein_core::record::Outcome;
use skein_engine::certify::{self, Settings};
use skein_engine::error::message_failure;
use skein_engine::state::stop::Stop;
use skein_engine::worker::attempt::Attempt;
use skein_engine::worker::events::Events;
use skein_engine::worker::record;
use skein_engine::worker::session::{Ended, Session, run};
use skein_engine::{EngineError, device, predict};

/// The run failed; its final record says why.
const FAILED: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;
/// Somebody else works on the attempt.
const CLAIMED: u8 = 3;

#[derive(Parser)]
#[command(version, about = "Works on one run of Skein, or measures this machine.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Works on a run until it ends or SIGTERM asks for a checkpoint.
    Run(RunArgs),
    /// Lists the devices of this machine.
    Devices {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measures search iterations on random images.
    Bench(bench::BenchArgs),
    /// Proves on this machine that Skein computes what it must; exit code 1 if something does not
    /// hold.
    Certify(CertifyArgs),
    /// Answers an image or a prompt on standard input with the network of a result package: one
    /// line of JSON; exit code 1 if it cannot.
    Predict(PredictArgs),
    /// Writes a picture of training images beside what a search would make of them; a specification
    /// comes on standard input, one line of JSON is the answer; exit code 1 if it cannot.
    Samples(samples::SamplesArgs),
}

#[derive(Args)]
struct PredictArgs {
    /// Folder of the package.
    #[arg(long)]
    package: PathBuf,
    /// Seconds that it may take.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Inverts an image.
    #[arg(long)]
    invert: bool,
}

#[derive(Args)]
struct CertifyArgs {
    /// Only what concerns this space.
    #[arg(long)]
    space: Option<String>,
    /// Fewer architectures and one measurement of speed.
    #[arg(long)]
    quick: bool,
    /// The device.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Writes what was found to this file too.
    #[arg(long)]
    record: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct RunArgs {
    /// The run's folder, which holds `spec.json`.
    #[arg(long)]
    run: PathBuf,
    /// Number of the attempt, from 1; its folder must not exist.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    attempt: u32,
    /// Folder of the data sets.
    #[arg(long)]
    datasets: PathBuf,
    /// Device instead of the specification's.
    #[arg(long)]
    device: Option<String>,
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    device::prepare_process();
    match command {
        Command::Run(args) => work(&args),
        Command::Devices { json } => devices(json),
        Command::Bench(args) => bench::measure(&args),
        Command::Certify(args) => prove(&args),
        Command::Predict(args) => answer(&args),
        Command::Samples(args) => samples::show(&args),
    }
}

fn complain(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "skein-worker: {text}");
}

fn print(text: impl std::fmt::Display) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

fn work(args: &RunArgs) -> ExitCode {
    let attempt = match Attempt::claim(&args.run, args.attempt) {
        Ok(Some(attempt)) => attempt,
        Ok(None) => {
            complain(format_args!("attempt {} is already claimed", args.attempt));
            return ExitCode::from(CLAIMED);
        }
        Err(error) => {
            complain(error);
            return ExitCode::from(FAILED);
        }
    };
    let prepared = attempt
        .redirect_stderr()
        .and_then(|()| attempt.try_record())
        .and_then(|()| Events::create(&attempt.folder, attempt.number));
    let mut events = match prepared {
        Ok(events) => events,
        Err(error) => {
            complain(&error);
            return end(
                &attempt,
                Outcome::Failed { failure: error.failure() },
                ExitCode::from(FAILED),
            );
        }
    };
    match guarded(args, &attempt, &mut events) {
        Ok(Ended::Finished(summary)) => {
            end(&attempt, Outcome::Succeeded { summary: *summary }, ExitCode::SUCCESS)
        }
        Ok(Ended::Stopped) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format_args!("{} ({})", failure.message, failure.hint));
            // The disk may be what failed; the final record still tries.
            let _ = events.say(EventBody::Failed(failure.clone()));
            end(&attempt, Outcome::Failed { failure }, ExitCode::from(FAILED))
        }
    }
}

/// Says where a panic happened and no more. The usual hook may capture a backtrace, which takes
/// memory: where that has run out, it would wait for itself for ever.
fn say_panics_plainly() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("no message");
        match panic.location() {
            Some(place) => complain(format_args!("panicked at {place}: {text}")),
            None => complain(format_args!("panicked: {text}")),
        }
    }));
}

/// Runs the session; a panic of libtorch becomes a failure like any other.
fn guarded(args: &RunArgs, attempt: &Attempt, events: &mut Events) -> Result<Ended, Failure> {
    let stop = Stop::on_signals().map_err(|error| message_failure(&error.to_string()))?;
    let session =
        Session { attempt, datasets: &args.datasets, device: args.device.as_deref(), stop: &stop };
    caught(|| run(&session, events).map_err(|error: EngineError| error.failure()))
}

/// What some work gives; a panic of libtorch is a failure like any other.
fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    say_panics_plainly();
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied());
            Err(message_failure(text.unwrap_or("the worker panicked")))
        }
    }
}

fn end(attempt: &Attempt, outcome: Outcome, code: ExitCode) -> ExitCode {
    match record::create(attempt, outcome) {
        Ok(_) => code,
        Err(error) => {
            complain(format_args!("the final record could not be written: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

fn devices(json: bool) -> ExitCode {
    let list = device::list();
    if let Some(trouble) = device::trouble() {
        complain(format_args!("no GPU, though an NVIDIA driver is there: {trouble}"));
    }
    if json {
        return print(json!(list));
    }
    let lines: Vec<String> =
        list.iter().map(|device| format!("{}\t{}", device.id, device.title)).collect();
    print(lines.join("\n"))
}

fn answer(args: &PredictArgs) -> ExitCode {
    let limit = Duration::from_secs(args.seconds);
    let settings = predict::Settings { limit, invert: args.invert };
    let found = caught(|| {
        predict::bound(limit).map_err(|error| error.failure())?;
        predict::predict(&args.package, std::io::stdin().lock(), settings)
    });
    match found {
        Ok(prediction) => print(json!(Answer::Prediction(prediction))),
        Err(failure) => {
            print(json!(Answer::Failure(failure)));
            ExitCode::from(FAILED)
        }
    }
}

/// Says every proof as it ends, or all of them as JSON.
fn prove(args: &CertifyArgs) -> ExitCode {
    let settings =
        Settings { space: args.space.as_deref(), quick: args.quick, device: &args.device };
    let done = certify::run(settings, |proof| {
        if !args.json {
            print(proof_line(proof));
        }
    });
    let found = match done {
        Ok(found) => found,
        Err(error) => {
            complain(&error);
            return ExitCode::from(match error {
                EngineError::Missing(_) => USAGE,
                _ => FAILED,
            });
        }
    };
    let said = if args.json {
        print(json!(found))
    } else {
        let all = found.proofs.len();
        print(format_args!("{} of {all} held", all - found.failed()))
    };
    let kept = args.record.as_ref().map_or(Ok(()), |path| keep(&found, path));
    if let Err(error) = &kept {
        complain(format_args!("the record could not be written: {error}"));
    }
    if found.failed() > 0 || kept.is_err() { ExitCode::from(FAILED) } else { said }
}

/// Replaces the file as a whole: a server may be reading it.
fn keep(found: &Certificate, path: &Path) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.tmp", std::process::id()));
    std::fs::write(&new, json!(found).to_string() + "\n")?;
    std::fs::rename(&new, path)
}

fn proof_line(Proof { name, figure, bound, held }: &Proof) -> String {
    let number = |Num(value): &Num| match *value {
        0.0 => "0".to_owned(),
        value if (0.01..1000.0).contains(&value) => format!("{value:.2}"),
        value => format!("{value:.1e}"),
    };
    let word = if *held { "held    " } else { "NOT HELD" };
    format!("{word} {:>8} of at most {:>7}  {name}", number(figure), number(bound))
}

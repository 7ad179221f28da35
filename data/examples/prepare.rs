//! Prepares a data set by hand: `cargo run --release -p skein-data --example prepare -- SOURCE OUT`.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use skein_data::{Options, prepare};

#[expect(clippy::print_stdout, reason = "a program for a terminal")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "arguments: what to prepare, and the folder that is to be made of it";
    let (source, out) = arguments.next().zip(arguments.next()).ok_or(usage)?;
    let size = arguments.next().map(|size| size.parse()).transpose()?;
    let options = Options { size, ..Options::default() };
    let scratch = std::env::temp_dir();
    let (mut stage, mut began) = (None, Instant::now());
    let prepared = prepare(
        Path::new(&source),
        &source,
        &options,
        &scratch,
        Path::new(&out),
        &mut |progress| {
            if let Some(last) = stage.replace(progress.stage)
                && last != progress.stage
            {
                println!("{last:?}: {:.1} s", began.elapsed().as_secs_f64());
                began = Instant::now();
            }
        },
    )?;
    println!("{stage:?}: {:.1} s", began.elapsed().as_secs_f64());
    println!("{}", serde_json::to_string_pretty(&prepared.facts)?);
    println!("{}", serde_json::to_string_pretty(&prepared.report)?);
    Ok(())
}

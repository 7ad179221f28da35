//! `samples` of the worker that computes nothing: its "picture" is the text of what it was asked; a
//! crop of 63 is refused, as told.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use skein_core::event::{Failure, FailureClass};
use skein_core::samples::{Answer, Sheet};

pub(crate) fn run(args: &[String]) -> ExitCode {
    let at = args.iter().position(|arg| arg == "--out").expect("--out");
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).expect("input");
    let spec: Value = serde_json::from_slice(&input).expect("a specification");
    let answer = if spec["dataset"]["crop"] == 63 {
        let (message, hint) = ("told to refuse".to_owned(), "hint".to_owned());
        Answer::Failure(Failure { class: FailureClass::User, message, hint })
    } else {
        let asked =
            args.iter().filter(|arg| !arg.contains('/')).cloned().collect::<Vec<_>>().join(" ");
        let text = json!({"asked": asked, "spec": spec}).to_string();
        fs::write(PathBuf::from(&args[at + 1]), text).expect("a file");
        Answer::Sheet(Sheet::of([24, 24], 8, 7))
    };
    let code = u8::from(matches!(answer, Answer::Failure(_)));
    let _ = writeln!(std::io::stdout(), "{}", json!(answer));
    ExitCode::from(code)
}

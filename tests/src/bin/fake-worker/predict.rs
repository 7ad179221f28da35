//! `predict` of the worker that computes nothing: its answer tells what it was asked.
//!
//! Words in the name of the run: `predict-slow` never answers, `predict-refuse` finds a fault with
//! the input, `predict-damaged` one with the package, `predict-silent` ends without a word,
//! `predict-heavy` as one that has no memory left. The process id goes into `predict.pid` beside
//! the package.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use skein_core::event::{Failure, FailureClass};
use skein_core::folder;
use skein_core::predict::{Answer, Class, Prediction, Prompt};

pub(crate) fn run(args: &[String]) -> ExitCode {
    let at = args.iter().position(|arg| arg == "--package").expect("--package");
    let package = PathBuf::from(&args[at + 1]);
    fs::write(package.join("../predict.pid"), std::process::id().to_string()).expect("pid");
    let spec: Value =
        serde_json::from_slice(&fs::read(package.join(folder::SPEC)).expect("spec")).expect("spec");
    let is_told = |word: &str| spec["name"].as_str().unwrap().split(' ').any(|part| part == word);
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).expect("input");
    if is_told("predict-slow") {
        std::thread::sleep(Duration::from_secs(600));
    }
    if is_told("predict-heavy") {
        let _ = writeln!(std::io::stderr(), "memory allocation of 99 bytes failed");
        std::process::abort();
    }
    if is_told("predict-silent") {
        let _ = writeln!(std::io::stderr(), "silent as told");
        return ExitCode::from(9);
    }
    let failure = |class, message: &str| {
        Answer::Failure(Failure { class, message: message.to_owned(), hint: "hint".to_owned() })
    };
    let answer = if is_told("predict-refuse") {
        failure(FailureClass::User, "told to refuse <b>this</b>")
    } else if is_told("predict-damaged") {
        failure(FailureClass::Infrastructure, "told to be damaged")
    } else if spec["dataset"]["tokens"].is_null() {
        Answer::Prediction(classes(&input, args.iter().any(|arg| arg == "--invert")))
    } else {
        Answer::Prediction(continuation(&input))
    };
    let code = u8::from(matches!(answer, Answer::Failure(_)));
    let _ = writeln!(std::io::stdout(), "{}", serde_json::json!(answer));
    ExitCode::from(code)
}

fn classes(input: &[u8], invert: bool) -> Prediction {
    let class =
        |number, name: &str, probability| Class { number, name: name.to_owned(), probability };
    Prediction::Classes {
        classes: vec![class(8, "Bag", 0.75), class(0, "<T-shirt>", 0.25)],
        of: 10,
        fitted: format!("{} bytes{}", input.len(), if invert { ", inverted" } else { "" }),
        hint: None,
        milliseconds: 1.5,
    }
}

fn continuation(input: &[u8]) -> Prediction {
    let prompt: Prompt = serde_json::from_slice(input).expect("a prompt");
    Prediction::Continuation {
        text: format!(" {} {} {:?}", prompt.temperature, prompt.seed, prompt.top_k),
        read: prompt.prompt.len(),
        added: prompt.tokens,
        cut_short: false,
        milliseconds: 1.5,
    }
}

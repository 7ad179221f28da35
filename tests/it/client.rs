//! The commands: output, JSON, exit codes.

use std::io::Write as _;
use std::process::{Output, Stdio};

use integration_tests::{Options, TestServer, program, spec};
use serde_json::Value;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", out(output), err(output)))
}

fn write_spec(server: &TestServer, name: &str, text: &str) {
    std::fs::write(server.client_folder().join(name), text).unwrap();
}

const TOML: &str = "name = \"from toml steps=4\"\n[dataset]\nid = \"fashion-mnist\"\nlimit = 256\n\
    [space]\npreset = \"toy-cell\"\n[search]\nepochs = 2\nbatch_size = 16\n\
    [search.optimizer]\nkind = \"drnas\"\n";

#[test]
fn a_search_is_followed_to_its_result() {
    let server = TestServer::start();
    write_spec(&server, "spec.toml", TOML);
    let done = server.client(&["search", "-f", "spec.toml", "--follow"]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let text = out(&done);
    assert!(text.lines().any(|line| line == "test accuracy 81.23 %"), "{text}");
    assert!(text.contains("parameters") && text.contains("198,826"), "{text}");
    assert!(err(&done).contains("succeeded"), "{}", err(&done));
}

#[test]
fn scripts_get_json_and_exit_codes() {
    let server = TestServer::start();
    write_spec(&server, "good.json", &spec("steps=2").to_string());
    write_spec(&server, "fails.json", &spec("fail@2").to_string());
    write_spec(&server, "bad.json", r#"{"search": {"epochs": 0}}"#);
    write_spec(&server, "broken.toml", "a = ");
    let good = server.client(&["search", "-f", "good.json", "--follow", "--json"]);
    assert_eq!((good.status.code(), json(&good)["status"].as_str()), (Some(0), Some("succeeded")));
    let fails = server.client(&["search", "-f", "fails.json", "--follow", "--json"]);
    assert_eq!((fails.status.code(), json(&fails)["status"].as_str()), (Some(1), Some("failed")));
    assert!(err(&fails).contains("told to fail"), "{}", err(&fails));
    let bad = server.client(&["search", "-f", "bad.json"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(err(&bad).contains("search.epochs: must be at least 1"), "{}", err(&bad));
    assert!(err(&bad).contains("dataset.id: is missing"), "{}", err(&bad));
    for args in [&["search", "-f", "broken.toml"][..], &["search", "-f", "none.toml"], &["walk"]] {
        assert_eq!(server.client(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_specification_may_come_from_standard_input() {
    let server = TestServer::start();
    for text in [TOML.to_owned(), spec("steps=1").to_string()] {
        let mut command = server.client_command(&["search", "-f", "-", "--json"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(0));
        assert!(matches!(json(&done)["status"].as_str(), Some("queued" | "starting" | "running")));
    }
}

#[test]
fn runs_are_listed_shown_stopped_resumed_and_deleted() {
    let server = TestServer::start();
    let id = server.create("named steps=150 pace=10");
    server.wait_step(&id, 5);
    let short = &id[..30];
    let list = out(&server.client(&["runs", "ls"]));
    assert!(list.contains(&id[..13]) && list.contains("running"), "{list}");
    let list = json(&server.client(&["runs", "ls", "--json"]));
    assert_eq!(list[0]["id"], id.as_str());
    let shown = json(&server.client(&["runs", "show", short, "--json"]));
    assert_eq!(shown["id"], id.as_str());
    assert!(out(&server.client(&["runs", "show", short])).contains("drnas in toy-cell"));
    assert_eq!(server.client(&["runs", "rm", short]).status.code(), Some(2));
    assert_eq!(server.client(&["runs", "cancel", short]).status.code(), Some(0));
    let watched = server.client(&["runs", "watch", short]);
    assert_eq!(watched.status.code(), Some(1));
    assert!(err(&watched).contains("the run is cancelled"), "{}", err(&watched));
    assert_eq!(server.client(&["runs", "resume", short]).status.code(), Some(0));
    assert_eq!(server.client(&["runs", "watch", short]).status.code(), Some(0));
    assert!(out(&server.client(&["runs", "show", short])).contains("test accuracy 81.23 %"));
    let log = server.client(&["runs", "logs", short, "--attempt", "1"]);
    assert!(out(&log).contains("attempt 1 begins"), "{}", out(&log));
    assert_eq!(server.client(&["runs", "rm", short]).status.code(), Some(0));
    let gone = server.client(&["runs", "show", short]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(err(&gone).contains("there is no run"), "{}", err(&gone));
}

#[test]
fn a_prefix_that_fits_two_runs_is_refused() {
    let server = TestServer::start();
    server.create("steps=1");
    server.create("steps=1");
    let shown = server.client(&["runs", "show", "0"]);
    assert_eq!(shown.status.code(), Some(2));
    assert!(err(&shown).contains("fits 2 runs"), "{}", err(&shown));
}

#[test]
fn files_are_downloaded_and_checked() {
    let server = TestServer::start();
    let id = server.create("steps=1");
    server.wait_status(&id, "succeeded");
    let done = server.client(&["runs", "download", &id]);
    assert_eq!((done.status.code(), out(&done).trim()), (Some(0), "result.zip"));
    let bytes = std::fs::read(server.client_folder().join("result.zip")).unwrap();
    assert!(bytes.starts_with(b"PK"));
    let done = server.client(&["runs", "download", &id, "spec.json", "-o", "s.json", "--json"]);
    assert_eq!(json(&done)["name"], "spec.json");
    assert!(server.client_folder().join("s.json").exists());
    let none = server.client(&["runs", "download", &id, "nope"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(err(&none).contains("it has result.zip"), "{}", err(&none));
}

#[test]
fn spaces_are_listed_and_shown() {
    let server = TestServer::start();
    let list = json(&server.client(&["spaces", "ls", "--json"]));
    assert_eq!(list[0]["preset"], "toy-cell");
    assert_eq!(list[0]["architectures"], "4096");
    assert!(list[0]["min_params"].is_u64() && list[0]["max_params"].is_u64());
    assert!(list[0]["title"].is_string());
    assert!(out(&server.client(&["spaces", "ls"])).contains("4096"));
    let shown = out(&server.client(&["spaces", "show", "toy-cell"]));
    assert!(shown.contains("normal 0→1: sep3, sep5, dil3, dil5"), "{shown}");
    assert_eq!(server.client(&["spaces", "show", "nope"]).status.code(), Some(2));
}

#[test]
fn a_server_that_is_away_is_one_clear_sentence() {
    let mut server = TestServer::start();
    server.stop();
    let done = server.client(&["runs", "ls"]);
    assert_eq!(done.status.code(), Some(1));
    let text = err(&done);
    assert!(text.contains("start one with `skein serve`"), "{text}");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    let mut command = server.client_command(&["runs", "ls"]);
    let done = command.env("SKEIN_URL", "nonsense url").output().unwrap();
    assert_eq!(done.status.code(), Some(2), "{}", err(&done));
}

#[test]
fn a_client_needs_the_token_of_its_server() {
    let server = TestServer::with(Options::default().env("SKEIN_TOKEN", "correct-horse"));
    let done = server.client(&["runs", "ls"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(err(&done).contains("set SKEIN_TOKEN"), "{}", err(&done));
    let mut command = server.client_command(&["runs", "ls", "--json"]);
    let done = command.env("SKEIN_TOKEN", "correct-horse").output().unwrap();
    assert_eq!((done.status.code(), out(&done).trim()), (Some(0), "[]"));
}

#[test]
fn the_doctor_names_what_is_wrong() {
    let server = TestServer::start();
    let ask = |worker: &str, datasets: &str| {
        let mut command = server.client_command(&["doctor", "--json", "--worker", worker]);
        command.args(["--data", "data", "--datasets", datasets]).output().unwrap()
    };
    let well = ask(program("fake-worker").to_str().unwrap(), "datasets");
    assert_eq!(well.status.code(), Some(0), "{}", out(&well));
    let ill = ask("/no/such/worker", "nowhere");
    assert_eq!(ill.status.code(), Some(1));
    let checks = json(&ill);
    let bad: Vec<&str> = checks
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["ok"] == false)
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(bad, ["worker", "libtorch", "fashion-mnist"]);
    assert!(checks.to_string().contains("make data"), "{checks}");
}

/// The real worker, and one that cannot.
#[test]
fn a_machine_is_certified_or_told_what_is_missing() {
    let server = TestServer::start();
    let ask = |args: &[&str], worker: &std::path::Path| {
        let mut command = server.client_command(&["certify", "--quick", "--device", "cpu"]);
        command.args(args).arg("--worker").arg(worker).output().unwrap()
    };
    let worker = program("skein-worker");
    let done = ask(&["--space", "toy-cell", "--json"], &worker);
    assert_eq!(done.status.code(), Some(0), "{}{}", out(&done), err(&done));
    let proofs = json(&done)["proofs"].take();
    assert_eq!(proofs.as_array().unwrap().len(), 13);
    assert!(proofs.as_array().unwrap().iter().all(|proof| proof["held"] == true), "{proofs}");
    let page = || server.get("/certify").text();
    assert!(page().contains("Nothing proven yet"), "{}", page());
    let data = server.data();
    let lines = out(&ask(&["--space", "toy-cell", "--data", data.to_str().unwrap()], &worker));
    assert!(lines.contains("held ") && lines.ends_with("13 of 13 held\n"), "{lines}");
    let shown = page();
    assert!(
        shown.contains("13 of 13 held") && shown.contains("toy-cell, quick, on cpu"),
        "{shown}"
    );
    let unknown = ask(&["--space", "nowhere"], &worker);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("space nowhere"), "{}", err(&unknown));
    let none = ask(&[], std::path::Path::new("/no/such/worker"));
    assert_eq!(none.status.code(), Some(1));
    assert!(err(&none).contains("cannot start the worker"), "{}", err(&none));
}

#[test]
fn the_demonstration_runs_a_search_and_ends() {
    let server = TestServer::start();
    let mut command = server.client_command(&["demo", "--exit", "--data", "demo"]);
    command.args(["--datasets", "datasets", "--worker"]).arg(program("fake-worker"));
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}{}", out(&done), err(&done));
    let text = out(&done);
    assert!(text.lines().any(|line| line == "test accuracy 81.23 %"), "{text}");
    let files = text.lines().find_map(|line| line.strip_prefix("files  ")).unwrap();
    assert!(std::path::Path::new(files).join("result.zip").exists(), "{files}");
    let mut command = server.client_command(&["demo", "--exit", "--data", "demo2"]);
    command.args(["--datasets", "nowhere", "--worker"]).arg(program("fake-worker"));
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("make data"), "{}", err(&refused));
}

//! Starting and stopping the server.

use std::time::Duration;

use integration_tests::{TestServer, is_alive, kill};
use serde_json::json;

#[test]
fn a_stopped_server_leaves_a_checkpoint_and_goes_on_at_the_next_start() {
    let mut server = TestServer::start();
    let id = server.create("steps=200 pace=10");
    let waiting = server.create("steps=2");
    server.wait_step(&id, 10);
    let worker = server.worker_pid(&id);
    let stream = server.events(&id, "", None);
    let (code, took) = server.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!is_alive(worker));
    assert!(stream.count() > 40, "the stream ends");
    server.start_again();
    let run = server.wait_status(&id, "succeeded");
    assert_eq!(run["attempt"], 2);
    assert_eq!(server.wait_status(&waiting, "succeeded")["attempt"], 1);
    let log = server.get(&format!("/api/v1/runs/{id}/logs")).json();
    assert_eq!(log["attempts"], json!([1, 2]));
}

#[test]
fn a_worker_that_died_with_its_server_is_tried_again() {
    let mut server = TestServer::start();
    let id = server.create("steps=150 pace=10");
    server.wait_step(&id, 10);
    let worker = server.worker_pid(&id);
    server.kill();
    kill(worker);
    server.start_again();
    assert_eq!(server.wait_status(&id, "succeeded")["attempt"], 2);
}

#[test]
fn a_worker_that_finished_without_a_server_counts() {
    let mut server = TestServer::start();
    let id = server.create("steps=40 pace=5");
    server.wait_step(&id, 5);
    let worker = server.worker_pid(&id);
    server.kill();
    integration_tests::eventually("the worker gone", || !is_alive(worker));
    server.start_again();
    let run = server.run(&id);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("succeeded"), &json!(1)));
    assert_eq!(run["latest"]["search.valid_accuracy"], 0.9);
}

#[test]
fn an_occupied_port_is_one_clear_sentence() {
    let server = TestServer::start();
    let address = server.url.strip_prefix("http://").unwrap();
    let other = refused_server(&["--listen", address]);
    assert_eq!(other.0, Some(2));
    assert!(other.1.contains(&format!("the address {address} is in use")), "{}", other.1);
    assert_eq!(other.1.trim().lines().count(), 1, "{}", other.1);
}

#[test]
fn an_open_address_without_a_token_is_refused() {
    let (code, text) = refused_server(&["--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("set SKEIN_TOKEN"), "{text}");
}

#[test]
fn a_data_folder_in_use_is_refused() {
    let server = TestServer::start();
    let output = server.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("another Skein server uses the data folder"), "{text}");
    assert!(text.contains(" (process "), "{text}");
}

/// Starts a server that should refuse to start; gives its exit code and what it said.
fn refused_server(args: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(integration_tests::program("skein"))
        .arg("serve")
        .arg("--data")
        .arg(folder.path())
        .args(args)
        .env_remove("SKEIN_TOKEN")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

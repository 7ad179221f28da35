//! `skein doctor`: asks the server where one answers, and else says where it looked.

use std::path::Path;
use std::process::Output;

use integration_tests::{Options, TestServer, program, write_dataset};
use serde_json::{Value, json};

/// What the doctor says when it is called in an empty folder.
fn ask(server: &TestServer, args: &[&str]) -> (Output, Value) {
    let empty = server.client_folder().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let mut command = server.client_command(&["doctor", "--json"]);
    for name in ["SKEIN_DATA", "SKEIN_DATASETS", "SKEIN_WORKER"] {
        command.env_remove(name);
    }
    let done = command.args(args).current_dir(empty).output().unwrap();
    let checks = serde_json::from_slice(&done.stdout).unwrap_or_default();
    (done, checks)
}

fn check<'a>(checks: &'a Value, name: &str) -> &'a Value {
    let found = checks.as_array().unwrap().iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {checks}"))
}

fn detail(checks: &Value, name: &str) -> String {
    check(checks, name)["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_that_answers_is_asked_about_its_own_folders() {
    let server = TestServer::start();
    let (done, checks) = ask(&server, &[]);
    assert_eq!(done.status.code(), Some(0), "{checks}");
    assert!(detail(&checks, "looked at").contains("the server's own"), "{checks}");
    let sets = server.datasets().join("fashion-mnist").display().to_string();
    assert_eq!(detail(&checks, "fashion-mnist"), sets);
    assert_eq!(detail(&checks, "data folder"), server.data().display().to_string());
    assert_eq!(detail(&checks, "worker"), program("fake-worker").display().to_string());
    assert!(detail(&checks, "libtorch").contains("fake cpu"), "{checks}");
    // The same as the server says itself.
    let own = server.get("/api/v1/checks").json();
    // The disk is not as full as it was a moment ago.
    let steady = |list: &[Value]| -> Vec<Value> {
        list.iter().filter(|check| check["name"] != "disk space").cloned().collect()
    };
    let (own, shown) = (own.as_array().unwrap(), &checks.as_array().unwrap()[2..]);
    assert_eq!(steady(own), steady(shown));
    assert_eq!(own.len(), shown.len());
}

#[test]
fn what_the_server_lacks_is_a_problem_wherever_the_doctor_is_called() {
    let server = TestServer::with(Options { no_data: true, ..Options::default() });
    let here = server.client_folder().join("empty/skein-data/datasets/fashion-mnist");
    write_dataset(&here, 8, 4);
    let (done, checks) = ask(&server, &[]);
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(check(&checks, "fashion-mnist")["ok"], json!(false));
    let sets = server.datasets().display().to_string();
    assert!(detail(&checks, "fashion-mnist").contains(&sets), "{checks}");
}

#[test]
fn without_a_server_the_folder_that_was_looked_at_is_said() {
    let mut server = TestServer::start();
    server.stop();
    let (done, checks) = ask(&server, &[]);
    assert_eq!(done.status.code(), Some(1));
    let empty = server.client_folder().join("empty");
    let data = empty.join("skein-data");
    let says = |name: &str, path: &Path| {
        let shown = path.display().to_string();
        assert!(detail(&checks, name).contains(&shown), "{name}: {checks}");
    };
    says("looked at", &data);
    says("looked at", &data.join("datasets"));
    assert!(detail(&checks, "looked at").contains("no server could be asked"), "{checks}");
    says("fashion-mnist", &data.join("datasets/fashion-mnist"));
    says("cifar-10", &data.join("datasets"));
    says("data folder", &data);
}

#[test]
fn places_that_are_named_are_looked_at_although_a_server_answers() {
    let server = TestServer::start();
    let (done, checks) = ask(&server, &["--datasets", "elsewhere"]);
    assert_eq!(done.status.code(), Some(1));
    let elsewhere = server.client_folder().join("empty/elsewhere").display().to_string();
    assert!(detail(&checks, "looked at").contains(&elsewhere), "{checks}");
    assert!(detail(&checks, "fashion-mnist").contains(&elsewhere), "{checks}");
}

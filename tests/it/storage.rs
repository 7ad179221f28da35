//! The data folder: versions, damage, rebuilding.

use std::fs;

use integration_tests::{Options, TestServer};
use serde_json::json;

fn refused(server: &TestServer) -> String {
    let output = server.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_newer_data_folder_is_refused() {
    let mut server = TestServer::start();
    server.stop();
    let version = server.data().join("version.json");
    fs::write(version, r#"{"format": 99, "written_by": "7.0.0"}"#).unwrap();
    let text = refused(&server);
    assert!(text.contains("format 99, written by Skein 7.0.0"), "{text}");
}

#[test]
fn a_damaged_index_is_refused_and_can_be_rebuilt() {
    let mut server = TestServer::start();
    let (done, failed) = (server.create("steps=3"), server.create("fail@1"));
    server.wait_status(&failed, "failed");
    server.stop();
    for file in fs::read_dir(server.data().join("index")).unwrap().flatten() {
        if file.path().is_file() {
            fs::write(file.path(), vec![0xff; 4096]).unwrap();
        }
    }
    let text = refused(&server);
    assert!(text.contains("--rebuild-index") && !text.contains("panicked"), "{text}");
    let mut child = server
        .command()
        .arg("--rebuild-index")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    assert!(line.contains("ready"), "{line}");
    integration_tests::kill(child.id());
    child.wait().unwrap();
    server.start_again();
    assert_eq!(server.run(&done)["status"], "succeeded");
    assert_eq!(server.run(&done)["latest"]["search.valid_accuracy"], json!(null));
    assert_eq!(server.run(&failed)["failure"]["message"], "told to fail");
    let kept = fs::read_dir(server.data()).unwrap().flatten();
    let kept = kept.filter(|e| e.file_name().to_string_lossy().starts_with("index.damaged"));
    assert_eq!(kept.count(), 1);
}

#[test]
fn a_lost_index_is_rebuilt_from_the_folders() {
    let mut server = TestServer::start();
    let id = server.create("steps=10");
    server.wait_status(&id, "succeeded");
    let working = server.create("steps=200 pace=10");
    server.wait_step(&working, 3);
    server.kill();
    fs::remove_dir_all(server.data().join("index")).unwrap();
    server.start_again();
    let run = server.run(&id);
    assert_eq!((&run["status"], &run["name"]), (&json!("succeeded"), &json!("steps=10")));
    assert_eq!(run["sparkline"].as_array().unwrap().len(), 2);
    let run = server.run(&working);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("running"), &json!(1)));
    assert_eq!(server.wait_status(&working, "succeeded")["attempt"], 1);
}

/// Runs that a server finds changed when it starts: their folders say that they ended.
fn restarted_with_ended_runs(level: Option<&str>) -> (TestServer, String) {
    let mut options = Options::default();
    if let Some(level) = level {
        options = options.env("SKEIN_LOG", level);
    }
    let mut server = TestServer::with(options);
    let ids: Vec<String> = (0..12).map(|_| server.create("steps=1")).collect();
    for id in &ids {
        server.wait_status(id, "succeeded");
    }
    server.stop();
    fs::remove_dir_all(server.data().join("index")).unwrap();
    let before = server.log().len();
    server.start_again();
    assert_eq!(server.run(&ids[11])["status"], "succeeded");
    let log = server.log()[before..].to_owned();
    (server, log)
}

#[test]
fn a_start_with_many_runs_is_one_line_in_the_log() {
    let (_server, log) = restarted_with_ended_runs(None);
    assert_eq!(log.matches("changed state").count(), 0, "{log}");
    assert_eq!(log.matches("12 runs recovered in 0.").count(), 1, "{log}");
    let (_server, log) = restarted_with_ended_runs(Some("skein_server=debug"));
    assert_eq!(log.matches("changed state at the start").count(), 12, "{log}");
}

#[test]
fn a_damaged_run_does_not_keep_the_others_from_being_loaded() {
    let mut server = TestServer::start();
    let (whole, broken, ended) =
        (server.create("steps=2"), server.create("steps=2"), server.create("steps=2"));
    server.wait_status(&ended, "succeeded");
    server.stop();
    fs::write(server.run_folder(&broken).join("spec.json"), "{").unwrap();
    fs::write(server.run_folder(&ended).join("final.json"), "{").unwrap();
    fs::create_dir(server.data().join("runs/not-a-run")).unwrap();
    server.start_again();
    assert_eq!(server.run(&whole)["status"], "succeeded");
    assert_eq!(server.get(&format!("/api/v1/runs/{broken}")).status, 404);
    let list = server.get("/api/v1/runs").json();
    assert_eq!(list["runs"].as_array().unwrap().len(), 2);
    assert!(server.run_folder(&broken).exists(), "what cannot be read is kept");
}

#[test]
fn a_run_whose_end_was_not_written_is_not_worked_on_again() {
    let mut server = TestServer::start();
    let (failed, cancelled) = (server.create("fail@1"), server.create("steps=1000 pace=20"));
    server.wait_status(&failed, "failed");
    server.wait_step(&cancelled, 1);
    server.post(&format!("/api/v1/runs/{cancelled}/cancel"), &json!(null));
    server.wait_status(&cancelled, "cancelled");
    let resumed = server.create("fail@1");
    server.wait_status(&resumed, "failed");
    server.stop();
    // As a disk that was full leaves it.
    for id in [&failed, &cancelled] {
        fs::remove_file(server.run_folder(id).join("final.json")).unwrap();
    }
    // As a server leaves it that died while it resumed the run.
    let folder = server.run_folder(&resumed);
    fs::rename(folder.join("final.json"), folder.join("final-1.json")).unwrap();
    server.start_again();
    for (id, status) in [(&failed, "failed"), (&cancelled, "cancelled")] {
        let run = server.run(id);
        assert_eq!((&run["status"], &run["attempt"]), (&json!(status), &json!(1)));
        assert!(server.run_folder(id).join("final.json").exists(), "it is written now");
    }
    server.wait(&resumed, "worked on again", |run| run["attempt"] == 2);
}

#[test]
fn deleted_runs_free_the_disk() {
    let server = TestServer::start();
    let ids: Vec<String> = (0..3).map(|_| server.create("steps=1")).collect();
    server.wait_status(&ids[2], "succeeded");
    for id in &ids {
        let answer = server.request("DELETE", &format!("/api/v1/runs/{id}"), &[], None);
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    assert_eq!(fs::read_dir(server.data().join("runs")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(server.data().join("tmp")).unwrap().count(), 0);
}

//! The real worker under a real server: killed servers, killed workers, refused data.

use std::io::{Cursor, Read as _};

use integration_tests::{Options, Sent, TestServer, is_alive, kill};
use serde_json::{Value, json};
use skein_core::event::Event;

fn start() -> TestServer {
    TestServer::with(Options { real: true, ..Options::default() })
}

/// About a hundred steps of a small network, then a short training.
fn create(server: &TestServer) -> String {
    let spec = json!({
        "dataset": {"id": "fashion-mnist", "limit": 128},
        "space": {"preset": "toy-cell", "channels": 4},
        "search": {"optimizer": {"kind": "drnas"}, "epochs": 25, "batch_size": 16, "valid_limit": 32},
        "after": {"from_scratch": {"epochs": 1}, "recalibrate_images": 32},
        "resources": {"device": "cpu", "threads": 1, "checkpoint_every": 5}
    });
    let answer = server.post("/api/v1/runs", &spec);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Ids of the events in the files of both attempts.
fn written(server: &TestServer, id: &str, attempts: u32) -> Vec<u64> {
    let of = |attempt: u32| {
        let path = server.run_folder(id).join(format!("attempts/{attempt}/events.jsonl"));
        let text = std::fs::read_to_string(path).unwrap();
        let events: Vec<Event> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        events.into_iter().map(move |event| u64::from(attempt) * 1_000_000_000 + event.seq)
    };
    (1..=attempts).flat_map(of).collect()
}

fn ids(sent: &[Sent]) -> Vec<u64> {
    sent.iter().filter_map(|sent| sent.id).collect()
}

#[test]
fn a_search_goes_on_while_its_server_is_killed_and_comes_back() {
    let mut server = start();
    let id = create(&server);
    server.wait_step(&id, 12);
    let mut sent: Vec<Sent> = server.events(&id, "", None).take(20).collect();
    let worker = server.worker_pid(&id);
    server.kill();
    assert!(is_alive(worker), "the worker died with its server");
    server.start_again();
    let run = server.run(&id);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("running"), &json!(1)));
    let page = server.request("GET", &format!("/runs/{id}"), &[("accept", "text/html")], None);
    assert!(
        page.status == 200 && page.text().contains("running"),
        "the page shows the same run, live"
    );
    sent.extend(server.events(&id, "", sent.last().unwrap().id));
    assert_eq!(ids(&sent), written(&server, &id, 1), "nothing is missing, nothing comes twice");
    let run = server.wait_status(&id, "succeeded");
    assert_eq!(run["attempt"], 1);
}

#[test]
fn a_killed_worker_goes_on_from_its_checkpoint_to_a_package() {
    let server = start();
    let id = create(&server);
    server.wait_step(&id, 15);
    kill(server.worker_pid(&id));
    let run = server.wait_status(&id, "succeeded");
    assert_eq!(run["attempt"], 2);
    let sent: Vec<Sent> = server.events(&id, "", None).collect();
    assert_eq!(ids(&sent), written(&server, &id, 2));
    let resumed = sent.iter().filter(|sent| sent.event == "started").nth(1).unwrap();
    assert!(resumed.data["payload"]["resumed_from"].as_u64().unwrap() >= 10, "{resumed:?}");
    let weights: Vec<&Value> =
        run["summary"]["ladder"].as_array().unwrap().iter().map(|rung| &rung["weights"]).collect();
    assert_eq!(weights, ["inherited", "recalibrated", "from_scratch"]);
    let zip = server.get(&format!("/api/v1/runs/{id}/artifacts/result.zip"));
    let mut archive = zip::ZipArchive::new(Cursor::new(zip.body)).unwrap();
    let mut text = String::new();
    archive.by_name("architecture.json").unwrap().read_to_string(&mut text).unwrap();
    let architecture: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(architecture["text"], run["summary"]["architecture"]);
}

#[test]
fn a_truncated_data_set_is_a_failure_that_says_so() {
    let server = start();
    let folder = server.data().parent().unwrap().join("datasets/fashion-mnist");
    let file = folder.join("train-images-idx3-ubyte");
    let length = std::fs::metadata(&file).unwrap().len();
    std::fs::File::options().write(true).open(&file).unwrap().set_len(length - 1).unwrap();
    let spec = json!({
        "dataset": {"id": "fashion-mnist", "limit": 128}, "space": {"preset": "toy-cell"},
        "search": {"optimizer": {"kind": "drnas"}, "batch_size": 16}, "resources": {"device": "cpu"}
    });
    let answer = server.post("/api/v1/runs", &spec);
    let told = if answer.status == 422 {
        answer.text()
    } else {
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        server.wait_status(&id, "failed")["failure"].to_string()
    };
    assert!(told.contains("train-images-idx3-ubyte"), "{told}");
}

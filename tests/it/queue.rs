//! The queue: order, devices, cancel, pause, lost workers.

use std::time::{Duration, Instant};

use integration_tests::{Options, TestServer, eventually, is_alive, kill};
use serde_json::{Value, json};

fn post(server: &TestServer, id: &str, action: &str) -> (u16, Value) {
    let answer = server.request("POST", &format!("/api/v1/runs/{id}/{action}"), &[], None);
    (answer.status, answer.json())
}

#[test]
fn one_run_a_device_first_in_first_out() {
    let server = TestServer::start();
    // The first holds the device until it is cancelled, however slow this machine is.
    let steps = |i: u32| if i == 0 { 1_000_000 } else { 15 };
    let ids: Vec<String> =
        (0..4).map(|i| server.create(&format!("n{i} steps={}", steps(i)))).collect();
    let first = server.wait_status(&ids[0], "running");
    assert_eq!(first["device"], "cpu");
    let queue = server.get("/api/v1/queue").json();
    let order: Vec<&str> =
        queue.as_array().unwrap().iter().map(|item| item["run"].as_str().unwrap()).collect();
    assert!(ids.ends_with(&order.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()));
    let reason = server.run(&ids[3])["reason"].to_string();
    assert!(reason.contains("waits for cpu") && reason.contains("ahead"), "{reason}");
    server.post(&format!("/api/v1/runs/{}/cancel", ids[0]), &serde_json::json!({}));
    server.wait_status(&ids[0], "cancelled");
    server.wait_status(&ids[3], "succeeded");
    let started: Vec<String> =
        ids.iter().map(|id| server.run(id)["started_at"].as_str().unwrap().to_owned()).collect();
    assert!(started.is_sorted(), "{started:?}");
    for id in &ids[1..] {
        assert_eq!(server.run(id)["status"], "succeeded");
    }
}

#[test]
fn a_busy_gpu_makes_only_its_own_runs_wait() {
    let server = TestServer::with(Options::default().env("FAKE_DEVICES", "cpu,cuda:0"));
    let on = |device: &str, name: &str| {
        let mut spec = integration_tests::spec(name);
        spec["resources"]["device"] = device.into();
        server.post("/api/v1/runs", &spec).created()
    };
    let (gpu, waits, cpu) = (on("auto", "steps=1000"), on("cuda", "steps=2"), on("cpu", "steps=1"));
    assert_eq!(server.wait_status(&gpu, "running")["device"], "cuda:0");
    assert_eq!(server.wait_status(&cpu, "succeeded")["device"], "cpu");
    let waiting = server.run(&waits);
    assert_eq!(waiting["status"], "queued");
    assert!(waiting["reason"].to_string().contains("cuda:0 (busy with `steps=1000`)"));
    let devices = server.get("/api/v1/devices").json();
    assert_eq!(devices[1]["runs"][0]["id"], gpu.as_str());
    post(&server, &gpu, "cancel");
    server.wait_status(&waits, "succeeded");
}

#[test]
fn a_gpu_is_shared_by_as_many_runs_as_the_server_is_told() {
    let options =
        Options::default().env("FAKE_DEVICES", "cpu,cuda:0").env("SKEIN_RUNS_PER_GPU", "2");
    let server = TestServer::with(options);
    let on_gpu = |name: &str| {
        let mut spec = integration_tests::spec(name);
        spec["resources"]["device"] = "cuda".into();
        server.post("/api/v1/runs", &spec).created()
    };
    let (one, two, waits) = (on_gpu("a steps=1000"), on_gpu("b steps=1000"), on_gpu("c steps=2"));
    for run in [&one, &two] {
        assert_eq!(server.wait_status(run, "running")["device"], "cuda:0");
    }
    let reason = server.run(&waits)["reason"].to_string();
    assert!(reason.contains("cuda:0 (busy with `a steps=1000`, `b steps=1000`)"), "{reason}");
    let devices = server.get("/api/v1/devices").json();
    let held: Vec<&Value> =
        devices[1]["runs"].as_array().unwrap().iter().map(|run| &run["id"]).collect();
    assert_eq!(held, [&json!(one), &json!(two)]);
    let strip = server.get("/strip").text();
    assert!(strip.contains("a steps=1000") && strip.contains("b steps=1000"));
    post(&server, &one, "cancel");
    server.wait_status(&waits, "succeeded");
}

#[test]
fn the_queue_survives_a_restart_in_order() {
    let mut server = TestServer::start();
    let steps = |i: u32| if i == 0 { 600 } else { 30 };
    let ids: Vec<String> =
        (0..4).map(|i| server.create(&format!("n{i} steps={}", steps(i)))).collect();
    server.wait_step(&ids[0], 2);
    server.kill();
    server.start_again();
    let queue = server.get("/api/v1/queue").json();
    let order: Vec<&Value> = queue.as_array().unwrap().iter().map(|item| &item["run"]).collect();
    assert_eq!(order, ids[1..].iter().collect::<Vec<_>>());
    server.wait_status(&ids[3], "succeeded");
    for id in &ids {
        let run = server.run(id);
        assert_eq!((&run["status"], &run["attempt"]), (&json!("succeeded"), &json!(1)));
    }
}

#[test]
fn a_killed_worker_is_lost_tried_again_and_goes_on() {
    let server = TestServer::start();
    let id = server.create("steps=150 pace=10");
    server.wait_step(&id, 10);
    kill(server.worker_pid(&id));
    let run = server.wait_status(&id, "succeeded");
    assert_eq!(run["attempt"], 2);
    let events = server.run_folder(&id).join("attempts/2/events.jsonl");
    let text = std::fs::read_to_string(events).unwrap();
    let started: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert!(started["payload"]["resumed_from"].as_u64().unwrap() >= 8, "{started}");
}

#[test]
fn a_worker_that_always_dies_fails_the_run_after_three_retries() {
    let server = TestServer::start();
    let id = server.create("crash-always@2");
    let run = server.wait_status(&id, "failed");
    assert_eq!(run["attempt"], 4);
    assert_eq!(run["failure"]["class"], "infrastructure");
    assert!(run["failure"]["message"].to_string().contains("signal 9"), "{run}");
    let record = std::fs::read_to_string(server.run_folder(&id).join("final.json")).unwrap();
    assert!(record.contains("\"failed\""), "{record}");
}

#[test]
fn a_worker_that_never_begins_fails_the_run() {
    let server = TestServer::start();
    let id = server.create("instead");
    let run = server.wait_status(&id, "failed");
    assert!(run["failure"]["message"].to_string().contains("exit code 9"), "{run}");
}

#[test]
fn cancel_ends_a_run_and_every_process_of_it() {
    let server = TestServer::start();
    let id = server.create("steps=100000 child");
    server.wait_step(&id, 3);
    let child = std::fs::read_to_string(server.run_folder(&id).join("child")).unwrap();
    let (worker, child) = (server.worker_pid(&id), child.parse().unwrap());
    assert!(is_alive(worker) && is_alive(child));
    let (status, run) = post(&server, &id, "cancel");
    assert_eq!((status, &run["status"]), (202, &json!("cancelling")));
    assert_eq!(run["reason"], "the worker saves a checkpoint and stops");
    server.wait_status(&id, "cancelled");
    assert!(!is_alive(worker));
    eventually("the worker's child gone", || !is_alive(child));
    let record = std::fs::read_to_string(server.run_folder(&id).join("final.json")).unwrap();
    assert!(record.contains("\"cancelled\""), "{record}");
    assert_eq!(post(&server, &id, "cancel").0, 409);
}

#[test]
fn a_deaf_worker_is_killed_within_fifteen_seconds() {
    let server = TestServer::start();
    let id = server.create("steps=100000 deaf child");
    server.wait_step(&id, 3);
    let worker = server.worker_pid(&id);
    let began = Instant::now();
    post(&server, &id, "cancel");
    // Until the worker is gone, everybody is told what it is about to be.
    assert_eq!(server.run(&id)["status"], "cancelling");
    let list = server.get("/api/v1/runs?status=cancelling").json();
    assert_eq!(list["runs"][0]["id"], id.as_str());
    assert_eq!((post(&server, &id, "pause").0, post(&server, &id, "cancel").0), (409, 202));
    server.wait_status(&id, "cancelled");
    let took = began.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&took), "{took:?}");
    assert!(!is_alive(worker));
}

#[test]
fn a_final_record_outranks_a_cancel() {
    let server = TestServer::start();
    let id = server.create("steps=100000 late");
    server.wait_step(&id, 3);
    post(&server, &id, "cancel");
    let run = server.wait_status(&id, "succeeded");
    assert_eq!(run["summary"]["packaged"], "inherited");
}

#[test]
fn a_queued_run_is_cancelled_at_once() {
    let server = TestServer::start();
    let (first, second) = (server.create("steps=100000"), server.create("steps=1"));
    server.wait_status(&first, "running");
    let (status, run) = post(&server, &second, "cancel");
    assert_eq!((status, &run["status"]), (202, &json!("cancelled")));
    assert_eq!(run["attempt"], 0);
    assert_eq!(server.get("/api/v1/queue").json(), json!([]));
}

#[test]
fn a_cancelled_run_is_resumed_from_its_checkpoint() {
    let server = TestServer::start();
    let id = server.create("steps=150 pace=10");
    server.wait_step(&id, 10);
    post(&server, &id, "cancel");
    server.wait_status(&id, "cancelled");
    let (status, run) = post(&server, &id, "resume");
    assert_eq!((status, &run["ended_at"]), (202, &Value::Null));
    let run = server.wait_status(&id, "succeeded");
    assert_eq!(run["attempt"], 2);
    assert!(server.run_folder(&id).join("final-1.json").exists());
    assert_eq!(post(&server, &id, "resume").0, 409);
}

#[test]
fn a_paused_run_waits_until_it_is_resumed() {
    let mut server = TestServer::start();
    let id = server.create("steps=150 pace=10");
    server.wait_step(&id, 10);
    assert_eq!(post(&server, &id, "pause").0, 202);
    server.wait_status(&id, "paused");
    server.kill();
    server.start_again();
    assert_eq!(server.run(&id)["status"], "paused");
    assert_eq!(post(&server, &id, "resume").0, 202);
    assert_eq!(server.wait_status(&id, "succeeded")["attempt"], 2);
}

#[test]
fn a_cancel_survives_a_killed_server() {
    let mut server = TestServer::start();
    let id = server.create("steps=100000 deaf");
    server.wait_step(&id, 3);
    post(&server, &id, "cancel");
    server.kill();
    let worker = server.worker_pid(&id);
    server.start_again();
    assert_eq!(server.run(&id)["status"], "cancelling");
    kill(worker);
    server.wait_status(&id, "cancelled");
}

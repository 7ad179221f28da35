//! An architecture that a run found, measured and trained in runs of its own.

use integration_tests::{Answer, Options, TestServer, searched};
use serde_json::{Value, json};

fn train(server: &TestServer, run: &str, asked: &Value) -> Answer {
    server.post(&format!("/api/v1/runs/{run}/train"), asked)
}

fn rungs(run: &Value) -> Vec<&str> {
    let ladder = run["summary"]["ladder"].as_array().unwrap();
    ladder.iter().map(|rung| rung["weights"].as_str().unwrap()).collect()
}

fn page(server: &TestServer, path: &str) -> String {
    server.request("GET", path, &[("accept", "text/html")], None).text()
}

/// Search, fine-tune, go on from the fine-tuned network, from scratch: one click each.
#[test]
fn what_a_run_found_is_trained_again_by_one_request() {
    let server = TestServer::with(Options { real: true, ..Options::default() });
    let first = server.post("/api/v1/runs", &searched()).created();
    let found = server.wait_status(&first, "succeeded");
    let told =
        server.get(&format!("/api/v1/runs/{first}/architecture")).json()["finalists"].clone();
    let best = |one: &Value| one["scores"][0]["accuracy"].as_f64().unwrap();
    let finalists = told["finalists"].as_array().unwrap();
    assert_eq!((&told["over"], finalists.len()), (&json!(true), 2));
    let winner = finalists.iter().find(|one| one["text"] == found["summary"]["architecture"]);
    assert!(finalists.iter().all(|one| best(one) <= best(winner.unwrap())), "{told}");
    let tuned = train(&server, &first, &json!({"preset": "fine_tune", "epochs": 1})).created();
    let tuned_run = server.wait_status(&tuned, "succeeded");
    assert_eq!(rungs(&tuned_run), ["inherited", "recalibrated", "fine_tuned"]);
    assert_eq!(tuned_run["name"], "searched, fine-tuned");
    for part in ["architecture", "cost"] {
        assert_eq!(found["summary"][part], tuned_run["summary"][part], "{part}");
    }
    for at in [0, 1] {
        assert_eq!(found["summary"]["ladder"][at], tuned_run["summary"]["ladder"][at]);
    }
    let detail = server.get(&format!("/api/v1/runs/{tuned}")).json();
    assert_eq!(detail["spec"]["search"]["from_run"], json!(first));
    assert_eq!(detail["spec"]["constraints"]["max_params"], Value::Null);
    // Its packaged network goes on, whatever becomes of the supernet's run.
    let longer = train(&server, &tuned, &json!({"preset": "inherit", "name": "as packaged"}));
    let longer = longer.created();
    let run = server.wait_status(&longer, "succeeded");
    let packaged = tuned_run["summary"]["test_accuracy"].clone();
    assert_eq!(
        (run["name"].as_str(), &run["summary"]["ladder"][0]["test_accuracy"]),
        (Some("as packaged"), &packaged)
    );
    let scratch = train(&server, &first, &json!({"preset": "from_scratch", "epochs": 1}));
    let scratch_run = server.wait_status(&scratch.created(), "succeeded");
    assert_eq!(rungs(&scratch_run), ["inherited", "recalibrated", "from_scratch"]);
    // The first run's page shows all of it side by side, and the others lead back to it.
    let shown = page(&server, &format!("/runs/{first}"));
    for words in
        ["Fine-tuned", "Trained from scratch", &format!("/runs/{tuned}\">searched, fine-tuned")]
    {
        assert!(shown.contains(words), "{words}");
    }
    assert!(
        page(&server, &format!("/runs/{tuned}"))
            .contains(&format!("an architecture of <a href=\"/runs/{first}\""))
    );
    let form = page(&server, &format!("/runs/new?train={first}&preset=from_scratch"));
    assert!(form.contains(found["summary"]["architecture"].as_str().unwrap()), "{form}");
}

#[test]
fn architectures_come_in_many_forms_and_wrong_ones_are_told() {
    let server = TestServer::start();
    let first = server.post("/api/v1/runs", &integration_tests::spec("succeed")).created();
    server.wait_status(&first, "succeeded");
    let scratch = |architecture: Value| {
        let asked = json!({"preset": "from_scratch", "epochs": 3, "architecture": architecture});
        train(&server, &first, &asked)
    };
    for form in [
        json!("toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5"),
        json!(["sep3", "sep5", "dil3", "dil5", "sep3", "sep5"]),
        json!({"text": "toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5"}),
    ] {
        let made = scratch(form).created();
        let spec = server.get(&format!("/api/v1/runs/{made}")).json()["spec"].clone();
        assert_eq!(
            spec["search"]["optimizer"],
            json!({"kind": "fixed", "architecture": "toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5"})
        );
        assert_eq!(spec["after"]["from_scratch"]["epochs"], 3);
    }
    let wrong = scratch(json!("toy-cell|normal=sep3,sep5,conv9|reduce=dil5,sep3,sep5"));
    assert_eq!(wrong.status, 422);
    let errors = wrong.json()["errors"].clone();
    assert_eq!(errors[0]["field"], "search.optimizer.architecture");
    assert!(errors[0]["detail"].as_str().unwrap().contains("has no option `conv9`"), "{errors}");
    let idle = train(&server, &first, &json!({"preset": "inherit", "epochs": 1}));
    assert_eq!((idle.status, &idle.json()["errors"][0]["field"]), (422, &json!("epochs")));
    assert_eq!(train(&server, &first, &json!({"preset": "distil"})).status, 400);
}

/// Numbers are read in the space's own order, which other programs do not have: the form, the
/// answer, the run's page and the command line say what they were taken for.
#[test]
fn bare_numbers_are_said_to_be_taken_in_our_order() {
    let server = TestServer::start();
    let spec = |architecture: Value| {
        json!({
            "name": "steps=3",
            "dataset": {"id": "fashion-mnist"},
            "space": {"preset": "nas-bench-201"},
            "search": {"optimizer": {"kind": "fixed", "architecture": architecture}},
            "after": {"from_scratch": {"epochs": 1}},
        })
    };
    let names = json!(["none", "avgpool", "skip", "conv3", "none", "skip"]);
    let said = server.post("/api/v1/runs/preflight", &spec(names)).json();
    assert_eq!(said["warnings"], json!([]));
    let numbers = json!([4, 0, 3, 1, 4, 3]);
    let said = server.post("/api/v1/runs/preflight", &spec(numbers.clone())).json();
    assert_eq!(said["warnings"][0]["field"], "search.optimizer.architecture");
    let taken = "cell 0→1 none, cell 0→2 avgpool, cell 1→2 skip, cell 0→3 conv3, ";
    assert!(said["warnings"][0]["detail"].as_str().unwrap().contains(taken), "{said}");
    let run = server.post("/api/v1/runs", &spec(numbers)).json();
    assert!(run["warnings"][0]["message"].as_str().unwrap().contains(taken), "{run}");
    let id = run["id"].as_str().unwrap();
    server.wait_status(id, "succeeded");
    assert!(page(&server, &format!("/runs/{id}")).contains(taken));
    let search = server.post("/api/v1/runs", &integration_tests::spec("steps=6")).created();
    server.wait_status(&search, "succeeded");
    let numbers = ["--architecture", "(0, 1, 2, 3, 0, 1)"];
    let args = [&["runs", "train", &search, "--as", "from-scratch"][..], &numbers].concat();
    let told = String::from_utf8(server.client(&args).stderr).unwrap();
    assert!(told.contains("skein: warning: ") && told.contains("normal 0→2 sep5, "), "{told}");
}

#[test]
fn a_run_without_weights_trains_from_scratch_only() {
    let server = TestServer::start();
    let running = server.post("/api/v1/runs", &integration_tests::spec("pace=20000")).created();
    server.wait_status(&running, "running");
    let none = train(&server, &running, &json!({"preset": "from_scratch"}));
    assert_eq!(
        (none.status, none.json()["detail"].as_str().unwrap().contains("no architecture yet")),
        (409, true)
    );
    let tune = json!({"preset": "fine_tune", "architecture": [0, 0, 0, 0, 0, 0]});
    assert_eq!(train(&server, &running, &tune).status, 409);
    let scratch = json!({"preset": "from_scratch", "architecture": [0, 0, 0, 0, 0, 0]});
    let made = train(&server, &running, &scratch).created();
    let search = server.get(&format!("/api/v1/runs/{made}")).json()["spec"]["search"].clone();
    assert_eq!((&search["inherit"], &search["from_run"]), (&json!("none"), &json!(running)));
    assert_eq!(train(&server, "01900000-0000-7000-8000-000000000000", &scratch).status, 404);
}

/// What the published codes write goes in as it is: a genotype, and a file of hyper-parameters.
#[test]
fn a_genotype_of_darts_is_a_run() {
    let server = TestServer::start();
    let cell = "[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)]";
    let genotype = format!(
        "Genotype(normal={cell}, normal_concat=[2, 3, 4, 5], reduce={cell}, reduce_concat=[2, 3, 4, 5])"
    );
    let preflight = server.post(
        "/api/v1/runs/preflight",
        &json!({
            "dataset": {"id": "fashion-mnist"},
            "space": {"preset": "darts", "cells": 20, "channels": 36},
            "search": {"optimizer": {"kind": "fixed", "architecture": genotype}},
            "after": {"recipe": "darts", "from_scratch": {"epochs": 600}},
        }),
    );
    assert_eq!(preflight.status, 200, "{}", preflight.text());
    let said = preflight.json();
    let text = said["spec"]["search"]["optimizer"]["architecture"].as_str().unwrap();
    assert!(text.starts_with("darts|normal=sep3,sep3,sep3,sep3,none,skip,"), "{text}");
    assert_eq!((&said["space"]["architectures"], &said["steps"]), (&json!("1"), &json!(0)));
    assert_eq!(said["space"]["min_params"], said["space"]["max_params"]);
}

#[test]
fn the_command_line_trains_what_a_run_found() {
    let server = TestServer::start();
    let first = server.post("/api/v1/runs", &integration_tests::spec("steps=6")).created();
    server.wait_status(&first, "succeeded");
    let args = [
        "runs",
        "train",
        &first,
        "--as",
        "from-scratch",
        "--epochs",
        "2",
        "--name",
        "steps=6",
        "--json",
    ];
    let made = server.client(&args);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let run: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!((&run["optimizer"], &run["name"]), (&json!("fixed"), &json!("steps=6")));
    server.wait_status(run["id"].as_str().unwrap(), "succeeded");
    let wrong = server.client(&["runs", "train", &first, "--as", "inherit", "--architecture", "x"]);
    assert_eq!(wrong.status.code(), Some(2));
    let told = String::from_utf8(wrong.stderr).unwrap();
    assert!(told.contains("it should begin with `toy-cell|`"), "{told}");
}

//! Studies: created whole or not at all, completed after a kill, reported with the right numbers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use integration_tests::tables::{ARCHITECTURES, TABLE, truth, write_table};
use integration_tests::{Options, TestServer, spec, tiny};
use serde_json::{Value, json};

fn server() -> TestServer {
    let server = TestServer::start();
    write_table(&server);
    server
}

/// A study of the fake worker, whose instructions are the methods' names.
fn study(seeds: &[u64], methods: &[&str]) -> Value {
    let mut run = spec("");
    run.as_object_mut().unwrap().remove("name");
    run["benchmark"] = json!({"table": TABLE});
    let methods: Vec<Value> = methods.iter().map(|name| json!({"name": name})).collect();
    json!({"name": "Toy", "seeds": seeds, "run": run, "methods": methods})
}

fn create(server: &TestServer, study: &Value) -> String {
    server.post("/api/v1/studies", study).created()
}

fn get(server: &TestServer, id: &str, query: &str) -> Value {
    let answer = server.get(&format!("/api/v1/studies/{id}{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits until all runs of a study have ended.
fn wait(server: &TestServer, id: &str, limit: Duration) -> Value {
    let began = Instant::now();
    loop {
        let study = get(server, id, "");
        let counts = |names: &[&str]| -> u64 {
            names.iter().map(|name| study["progress"][name].as_u64().unwrap()).sum()
        };
        if counts(&["succeeded", "failed", "cancelled", "gone"]) == counts(&["runs"]) {
            return study;
        }
        assert!(began.elapsed() < limit, "never ended: {}\n{}", study["progress"], server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

const SOON: Duration = Duration::from_secs(60);

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[test]
fn a_study_runs_to_a_report_with_the_right_numbers() {
    let server = server();
    let id = create(&server, &study(&[1, 2], &["seeded steps=10 A", "wander steps=10 B"]));
    let report = wait(&server, &id, SOON)["report"].take();
    near(&report["baselines"]["mean"], 0.7);
    near(&report["baselines"]["best"], 0.9);
    // Of n of N equally spaced values the best is expected n/(n+1) of the way up, in steps of
    // (N+1)/(N-1).
    let all = f64::from(ARCHITECTURES);
    let expected = 0.5 + 0.4 * (8.0 / 9.0 * (all + 1.0) - 1.0) / (all - 1.0);
    near(&report["baselines"]["random"][3]["accuracy"], expected);
    let cells = report["cells"].as_array().unwrap();
    let names: Vec<&Value> = cells.iter().map(|cell| &cell["method"]).collect();
    assert_eq!(names, ["seeded steps=10 A", "wander steps=10 B"]);
    // Seed 1 takes another option of the second choice, seed 2 of the third.
    let runs = cells[0]["runs"].as_array().unwrap();
    for (run, place) in runs.iter().zip([4_u32, 16]) {
        let found = &run["found"];
        near(&found["accuracy"], truth(place));
        assert_eq!(found["rank"], ARCHITECTURES - place);
        near(&found["percentile"], f64::from(place) / all);
        near(&found["regret"], 0.9 - truth(place));
        // The rows are sure of the worst architecture of all.
        let score = &run["scores"][0];
        assert_eq!((&score["kind"], &score["architectures"]), (&json!("rows"), &json!(4096)));
        near(&score["kendall"], -(2.0 / all).sqrt());
        assert_eq!((&run["steps"], &run["seconds"]), (&json!(10), &json!(1.5)));
    }
    let result = &cells[0]["result"];
    near(&result["mean"], f64::midpoint(truth(4), truth(16)));
    assert_eq!((&result["finished"], &result["best_rank"]), (&json!(2), &json!(4096 - 16)));
    // Every epoch of five steps another choice wanders.
    let curve = cells[1]["curve"].as_array().unwrap();
    assert_eq!((curve.len(), &cells[1]["curve_runs"]), (10, &json!(2)));
    near(&curve[0]["mean"], truth(1));
    near(&curve[9]["lowest"], truth(4));
    let other = get(&server, &id, "?column=reversed_acc")["report"].take();
    assert_eq!(other["cells"][0]["runs"][0]["found"]["rank"], 5);
    near(&other["cells"][1]["curve"][0]["mean"], truth(4094));
    for column in ["none", "normal%200%E2%86%921"] {
        let refused = server.get(&format!("/api/v1/studies/{id}?column={column}"));
        assert_eq!(
            (refused.status, &refused.json()["errors"][0]["field"]),
            (422, &json!("column"))
        );
    }
    reads_as_text_and_page(&server, &id);
}

fn reads_as_text_and_page(server: &TestServer, id: &str) {
    let csv = server.get(&format!("/api/v1/studies/{id}/report.csv"));
    assert!(csv.header("content-type").starts_with("text/csv"));
    let lines: Vec<String> = csv.text().lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("method,budget,seed,run,status,true_accuracy,rank,"));
    assert!(
        lines[1].starts_with("seeded steps=10 A,,1,") && lines[1].contains(",succeeded,0.500390")
    );
    assert_eq!(lines.len(), 5);
    let page = server.get(&format!("/studies/{id}")).text();
    for part in [
        "4 of 4 runs ended",
        "<span class=\"state succeeded\" data-state>",
        "Best of 16 random ones",
        "50.10 ± 0.08 %",
        "class=\"line s0 d0\" points=",
        "<option selected>test_acc</option>",
        "seed 2</a>",
        "-0.02 (-0.02 to -0.02)",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("data-active") && !page.contains("style="), "{page}");
    let list = server.get("/studies").text();
    assert!(
        list.contains(&format!("/studies/{id}\">Toy</a>")) && list.contains("2 methods, 2 seeds")
    );
    let run = &get(server, id, "")["report"]["cells"][0]["runs"][0]["run"];
    let run = run.as_str().unwrap().to_owned();
    assert_eq!(server.run(&run)["name"], "Toy: seeded steps=10 A, seed 1");
    assert_eq!(server.delete(&format!("/api/v1/studies/{id}")).status, 204);
    assert_eq!(server.get(&format!("/api/v1/studies/{id}")).status, 404);
    assert_eq!(server.get(&format!("/studies/{id}")).status, 404);
    assert_eq!(server.run(&run)["status"], "succeeded", "its runs stay");
    assert!(server.get("/studies").text().contains("No study yet"));
}

#[test]
fn a_wrong_method_refuses_the_whole_study() {
    let server = server();
    let mut wrong = study(&[1], &["one", "two"]);
    wrong["methods"][1]["set"] = json!({"search": {"arch_lr": -1}});
    wrong["budgets"] = json!([{"name": "b", "set": {"search": {"epochs": 0}}}]);
    let refused = server.post("/api/v1/studies", &wrong);
    assert_eq!(refused.status, 422);
    let errors = refused.json()["errors"].take();
    let fields: Vec<&Value> = errors.as_array().unwrap().iter().map(|one| &one["field"]).collect();
    assert_eq!(fields, ["budgets[0].set.search.epochs", "methods[1].set.search.arch_lr"]);
    let mut wrong = study(&[1], &["one", "two"]);
    wrong["run"]["benchmark"]["table"] = json!("none.csv");
    let errors = server.post("/api/v1/studies", &wrong).json()["errors"].take();
    assert_eq!(
        (errors.as_array().unwrap().len(), &errors[0]["field"]),
        (1, &json!("run.benchmark.table"))
    );
    let mut wrong = study(&[1], &["one", "two"]);
    wrong["methods"][1]["set"] = json!({"space": {"operations": ["sep3", "sep5"]}});
    let errors = server.post("/api/v1/studies", &wrong).json()["errors"].take();
    assert!(errors[0]["field"].as_str().unwrap().starts_with("methods[1]"), "{errors}");
    assert_eq!(server.post("/api/v1/studies", &json!({"name": 5})).status, 422);
    assert_eq!(server.get("/api/v1/studies").json(), json!({"studies": []}));
    assert_eq!(server.get("/api/v1/runs").json()["runs"], json!([]));
    assert_eq!(std::fs::read_dir(server.data().join("studies")).unwrap().count(), 0);
}

#[test]
fn a_killed_server_completes_its_study() {
    let mut server = server();
    let seeds: Vec<u64> = (0..50).collect();
    let study = study(&seeds, &["steps=100000 a", "steps=100000 b"]);
    let headers = [("content-type", "application/json"), ("idempotency-key", "one")];
    let post = |server: &TestServer, study: &Value| {
        server.request("POST", "/api/v1/studies", &headers, Some(&study.to_string()))
    };
    let id = post(&server, &study).created();
    server.kill();
    let count = |server: &TestServer| {
        std::fs::read_dir(server.data().join("runs")).unwrap().flatten().count()
    };
    assert!(count(&server) < 100, "it was killed too late to prove anything");
    server.start_again();
    let began = Instant::now();
    while get(&server, &id, "")["progress"]["planned"] != 0 {
        assert!(began.elapsed() < SOON, "{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let again = post(&server, &study);
    assert_eq!((again.header("idempotent-replayed"), again.created()), ("true", id.clone()));
    let mut other = study.clone();
    other["name"] = json!("Another");
    assert_eq!(post(&server, &other).status, 422, "the key stands for the first body");
    assert_eq!(server.get("/api/v1/studies").json()["studies"].as_array().unwrap().len(), 1);
    assert_eq!(count(&server), 100, "none is missing, none is there twice");
    let cancelled = server.post(&format!("/api/v1/studies/{id}/cancel"), &json!({}));
    assert_eq!(cancelled.status, 202, "{}", cancelled.text());
    let progress = wait(&server, &id, SOON)["progress"].take();
    assert_eq!((&progress["cancelled"], &progress["runs"]), (&json!(100), &json!(100)));
}

#[test]
fn the_command_line_follows_a_study() {
    let server = server();
    let toml = format!(
        "name = \"Toy\"\nseeds = [1, 2]\n[run]\ndataset.id = \"fashion-mnist\"\ndataset.limit = 256\n\
         space.preset = \"toy-cell\"\nresources.device = \"cpu\"\nbenchmark.table = \"{TABLE}\"\n\
         [[methods]]\nname = \"seeded steps=5 A\"\nset.search.optimizer.kind = \"drnas\"\n\
         [[budgets]]\nname = \"short\"\nset.search.epochs = 1\n"
    );
    std::fs::write(server.client_folder().join("study.toml"), toml).unwrap();
    let done = server.client(&["study", "-f", "study.toml", "--follow"]);
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{err}");
    assert!(err.contains("2 of 2 runs ended"), "{err}");
    assert!(out.contains("best of 16 random") && out.contains("seeded steps=5 A"), "{out}");
    let text = |args: &[&str]| {
        let output = server.client(args);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let list = text(&["studies", "ls"]);
    assert!(list.contains("2/2") && list.contains("toy-cell"), "{list}");
    let id = list.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(text(&["studies", "show", &id]).contains("50.10 %"));
    let csv = text(&["studies", "show", &id, "--csv", "--column", "reversed_acc"]);
    assert!(
        csv.contains("seeded steps=5 A,short,1,") && csv.contains(",succeeded,0.8996"),
        "{csv}"
    );
    let json: Value = serde_json::from_str(&text(&["studies", "show", &id, "--json"])).unwrap();
    assert_eq!(json["report"]["cells"][0]["budget"], "short");
    assert_eq!(server.client(&["studies", "show", "ffff"]).status.code(), Some(2));
    let failing = study(&[1], &["fail@2 a"]).to_string();
    std::fs::write(server.client_folder().join("failing.json"), failing).unwrap();
    let failed = server.client(&["study", "-f", "failing.json", "--follow", "--json"]);
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stderr));
    std::fs::write(server.client_folder().join("bad.json"), "{\"seeds\": [1]}").unwrap();
    let bad = server.client(&["study", "-f", "bad.json"]);
    assert_eq!(bad.status.code(), Some(2));
    let said = String::from_utf8_lossy(&bad.stderr);
    assert!(
        said.contains("methods: is missing") && said.contains("name: must be a text"),
        "{said}"
    );
}

#[test]
fn the_real_worker_searches_for_a_study() {
    let server = TestServer::with(Options { real: true, ..Options::default() });
    write_table(&server);
    let mut run = tiny();
    run["benchmark"] = json!({"table": TABLE});
    let compared = json!({
        "search": {
            "optimizer": {"kind": "gdas"}, "second_stage": {"kind": "random", "candidates": 6}
        },
        "after": {"finalists": {"count": 4, "limit": 32, "images": 32}}
    });
    let study = json!({
        "name": "Tiny", "seeds": [3, 4], "run": run,
        "methods": [{"name": "DrNAS"}, {"name": "GDAS, compared", "set": compared}]
    });
    let id = create(&server, &study);
    let report = wait(&server, &id, 3 * SOON)["report"].take();
    for cell in report["cells"].as_array().unwrap() {
        assert_eq!(cell["result"]["finished"], 2, "{cell}");
        assert!(!cell["curve"].as_array().unwrap().is_empty(), "{cell}");
        for run in cell["runs"].as_array().unwrap() {
            let id = run["run"].as_str().unwrap();
            let summary = server.run(id)["summary"].take();
            assert_eq!(run["found"]["architecture"], summary["architecture"]);
            let choices = summary["choices"].as_array().unwrap();
            let digits = choices.iter().rev().map(|option| option.as_u64().unwrap());
            let place = digits.fold(0, |place, digit| 4 * place + digit);
            near(&run["found"]["accuracy"], truth(u32::try_from(place).unwrap()));
            // Four batches of weights in each of two epochs; then four finalists for two batches, and
            // two of them for four.
            let steps = if cell["method"] == "GDAS, compared" { 8 + 16 } else { 8 };
            assert_eq!(run["steps"], steps, "{run}");
            assert!(run["seconds"].as_f64().unwrap() > 0.0);
            let scores = run["scores"].as_array().unwrap();
            let compared = cell["method"] == "GDAS, compared";
            for (kind, count) in [("rows", 4096), ("candidates", 6), ("finalists", 4)] {
                let score = scores.iter().find(|score| score["kind"] == kind);
                // So few images may score all alike, which is no order.
                let unlike = kind == "rows" || compared && unlike(&server, id, kind);
                assert_eq!(
                    score.map(|score| &score["architectures"]),
                    unlike.then_some(&json!(count)),
                    "{run}"
                );
            }
        }
    }
}

/// Whether a file of the package has different accuracies in its last round.
fn unlike(server: &TestServer, id: &str, kind: &str) -> bool {
    let file = server.get(&format!("/api/v1/runs/{id}/artifacts/{kind}.csv"));
    assert_eq!(file.status, 200, "{kind}");
    let text = file.text();
    let cells: Vec<Vec<String>> = text.lines().map(skein_core::benchmark::cells).collect();
    let column = |name: &str| cells[0].iter().position(|known| known == name);
    let accuracy = column("valid_accuracy").unwrap();
    // Rounds come in order, so the last line of an architecture is that of its last round.
    let last: BTreeMap<&str, &str> =
        cells[1..].iter().map(|line| (line[0].as_str(), line[accuracy].as_str())).collect();
    last.values().any(|value| value != last.values().next().unwrap())
}

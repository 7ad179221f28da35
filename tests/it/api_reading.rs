//! What can be read of a run and of the server: curves, rows, architectures, logs, offers.

use integration_tests::{TestServer, spec};
use serde_json::{Value, json};

#[test]
fn numbers_that_are_not_finite_travel_as_words() {
    let server = TestServer::start();
    let id = server.create("steps=6 nan@6");
    let run = server.wait_status(&id, "succeeded");
    assert_eq!(run["latest"]["search.weight_loss"], "NaN");
    assert_eq!(run["latest"]["search.arch_loss"], "Infinity");
    assert_eq!(run["latest"]["search.weight_accuracy"], "-Infinity");
    let metrics = server.get(&format!("/api/v1/runs/{id}/metrics")).json();
    let series = metrics["series"].as_array().unwrap();
    let loss = series.iter().find(|series| series["name"] == "weight_loss").unwrap();
    assert_eq!(loss["points"][5], json!([6, "NaN", 1]));
    let csv = server.get(&format!("/api/v1/runs/{id}/metrics?format=csv"));
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(csv.text().contains("search,6,1,weight_loss,NaN,1\n"), "{}", csv.text());
    assert!(csv.text().lines().count() > 18);
}

#[test]
fn rows_architectures_and_logs_can_be_read() {
    let server = TestServer::start();
    let id = server.create("steps=8");
    server.wait_status(&id, "succeeded");
    let get = |path: &str| server.get(&format!("/api/v1/runs/{id}/{path}"));
    let rows = get("rows?max_points=3").json();
    assert_eq!(rows["steps"], json!([1, 4, 8]));
    assert_eq!(rows["choices"].as_array().unwrap().len(), 6);
    assert_eq!(rows["rows"][2][5].as_array().unwrap().len(), 4);
    let architecture = get("architecture?step=3").json();
    assert_eq!(architecture["current"]["step"], 3);
    assert_eq!(architecture["history"].as_array().unwrap().len(), 8);
    assert!(get("architecture.txt").text().starts_with("toy-cell|normal=sep3"));
    let svg = get("architecture.svg?step=2");
    assert_eq!(svg.header("content-type"), "image/svg+xml");
    assert!(svg.text().starts_with("<svg"));
    let log = get("logs").json();
    assert_eq!((&log["attempts"], &log["attempt"]), (&json!([1]), &json!(1)));
    let lines = log["lines"].to_string();
    assert!(lines.contains("fake worker begins") && lines.contains("info attempt 1 begins"));
    assert!(lines.contains("warning nothing here is"), "{lines}");
    assert_eq!(get("logs?attempt=7").status, 404);
    assert_eq!(get("logs?tail=1").json()["lines"].as_array().unwrap().len(), 1);
}

#[test]
fn a_front_can_be_read_and_has_its_place_on_the_page() {
    let server = TestServer::start();
    let mut spec = spec("steps=4");
    spec["search"]["second_stage"] = json!({"kind": "pareto", "cost": "macs"});
    let id = server.post("/api/v1/runs", &spec).created();
    server.wait_status(&id, "succeeded");
    let front = server.get(&format!("/api/v1/runs/{id}/architecture")).json()["front"].take();
    assert_eq!((&front["cost"], &front["generation"]), (&json!("macs"), &json!(2)));
    assert!(front["points"][0]["cost"]["params"].as_u64() > Some(0));
    assert_eq!(front["points"][0]["accuracy"], 0.8123);
    let page = server.get(&format!("/runs/{id}")).text();
    for part in ["data-front hidden", "<caption class=\"sr\">Architectures", "role=\"img\""] {
        assert!(page.contains(part), "{part}");
    }
    let plain = server.create("steps=4");
    server.wait_status(&plain, "succeeded");
    let view = server.get(&format!("/api/v1/runs/{plain}/architecture")).json();
    assert_eq!(view["front"], Value::Null);
}

#[test]
fn the_server_says_what_it_offers() {
    let server = TestServer::start();
    let spaces = server.get("/api/v1/spaces").json();
    assert_eq!(spaces[0]["preset"], "toy-cell");
    assert_eq!(spaces[0]["min_params"], 176_938);
    let space = server.get("/api/v1/spaces/toy-cell").json();
    assert_eq!(space["schema"]["properties"]["channels"]["maximum"], 512);
    assert!(server.get("/api/v1/spaces/toy-cell/drawing.svg").text().contains("<svg"));
    let optimizers = server.get("/api/v1/optimizers").json();
    let gdas = optimizers.as_array().unwrap().iter().find(|known| known["kind"] == "gdas");
    assert_eq!(gdas.unwrap()["fields"][0]["path"], "search.optimizer.tau_start");
    assert_eq!(server.get("/api/v1/spec-schema").json()["title"], "Skein run specification");
    let openapi = server.get("/api/openapi.json").json();
    assert_eq!(openapi["openapi"], "3.1.0");
    assert!(openapi["paths"]["/api/v1/runs/{id}/events"]["get"].is_object());
    let docs = server.get("/api/docs");
    assert!(docs.text().contains("POST /api/v1/runs/preflight"));
    assert!(!docs.text().contains("://"), "another host is named");
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("skein_runs{status=\"queued\"} 0"), "{metrics}");
    assert!(metrics.contains("skein_http_requests_total{status=\"200\"}"), "{metrics}");
}

/// Where the largest entries of the rows do not tell the architecture, the page says what does.
#[test]
fn a_page_says_how_an_architecture_follows_from_the_rows() {
    let server = TestServer::start();
    let note = |search: Value, constraints: Value| {
        let spec = json!({
            "name": "steps=2", "dataset": {"id": "fashion-mnist"}, "space": {"preset": "toy-cell"},
            "search": search, "constraints": constraints, "resources": {"device": "cpu"},
        });
        let id = server.post("/api/v1/runs", &spec).created();
        let page = server.get(&format!("/runs/{id}")).text();
        let section = page.split("data-strips").nth(1).unwrap().split("</section>").next().unwrap();
        section
            .split_once("footing\">")
            .map(|(_, rest)| rest.split("</p>").next().unwrap().to_owned())
    };
    let rows = json!({"optimizer": {"kind": "drnas"}});
    assert_eq!(note(rows.clone(), json!({})), None);
    let cheap = note(rows, json!({"parsimony": 0.4})).unwrap();
    assert!(cheap.starts_with("Of the options that are at least 0.60 times as likely"), "{cheap}");
    let second_stage = json!({"optimizer": {"kind": "spos"}, "second_stage": {"kind": "effects"}});
    let effects = note(second_stage, json!({})).unwrap();
    assert!(effects.starts_with("The last rows are the effects of the options"), "{effects}");
}

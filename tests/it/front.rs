//! Other budgets for a trained supernet: compared in a short run, packed by picking a point.

use integration_tests::{Options, TestServer, searched};
use serde_json::{Value, json};

#[test]
fn a_front_is_found_on_the_trained_supernet_and_a_point_becomes_a_package() {
    let server = TestServer::with(Options { real: true, ..Options::default() });
    let first = server.post("/api/v1/runs", &searched()).created();
    let first_run = server.wait_status(&first, "succeeded");
    let front =
        server.post(&format!("/api/v1/runs/{first}/front"), &json!({"cost": "macs"})).created();
    let detail = server.get(&format!("/api/v1/runs/{front}")).json();
    let search = &detail["spec"]["search"];
    assert_eq!(
        (&search["from_run"], &search["second_stage"]["cost"]),
        (&json!(first), &json!("macs"))
    );
    assert_eq!(detail["spec"]["constraints"]["max_params"], Value::Null);
    assert_eq!(
        detail["spec"]["after"]["finalists"]["count"], 0,
        "only what was trained is compared"
    );
    // As many images as the training's own validation, at most.
    let valid =
        &server.get(&format!("/api/v1/runs/{first}")).json()["spec"]["search"]["valid_limit"];
    assert_eq!((&search["second_stage"]["images"], &search["valid_limit"]), (valid, valid));
    server.wait_status(&front, "succeeded");
    let found = server.get(&format!("/api/v1/runs/{front}/architecture")).json()["front"].clone();
    let points = found["points"].as_array().unwrap();
    let macs = |point: &Value| point["cost"]["macs"].as_u64().unwrap();
    assert!(!points.is_empty() && points.windows(2).all(|two| macs(&two[0]) < macs(&two[1])));
    // The page knows the comparison, and offers what the smallest point is.
    let page = server.request("GET", &format!("/runs/{first}"), &[("accept", "text/html")], None);
    assert!(page.text().contains(&format!("data-front-run=\"{front}\"")), "{}", page.text());
    let asked = json!({"preset": "inherit", "architecture": points[0]["text"]});
    let packed = server.post(&format!("/api/v1/runs/{first}/train"), &asked).created();
    let packed = server.wait_status(&packed, "succeeded");
    assert_eq!(packed["summary"]["architecture"], points[0]["text"]);
    assert_eq!(packed["summary"]["cost"]["macs"], points[0]["cost"]["macs"]);
    let files = server.get(&format!("/api/v1/runs/{}/artifacts", packed["id"].as_str().unwrap()));
    assert!(files.text().contains("model.onnx"), "{}", files.text());
    assert!(first_run["summary"]["cost"]["macs"].as_u64().unwrap() >= macs(&points[0]));
}

#[test]
fn only_a_supernet_that_lends_weights_has_other_budgets() {
    let server = TestServer::start();
    let first = server.post("/api/v1/runs", &integration_tests::spec("steps=6")).created();
    server.wait_status(&first, "succeeded");
    let of = |run: &str, cost: &str| {
        server.post(&format!("/api/v1/runs/{run}/front"), &json!({"cost": cost})).status
    };
    assert_eq!(of(&first, "watts"), 400);
    assert_eq!(of("01900000-0000-7000-8000-000000000000", "params"), 404);
    let scratch = json!({"preset": "from_scratch", "epochs": 1, "name": "steps=6"});
    let given = server.post(&format!("/api/v1/runs/{first}/train"), &scratch).created();
    server.wait_status(&given, "succeeded");
    assert_eq!(of(&given, "params"), 409, "it trained one architecture");
    let running = server.post("/api/v1/runs", &integration_tests::spec("pace=20000")).created();
    assert_eq!(of(&running, "params"), 409, "it has not succeeded");
}

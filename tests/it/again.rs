//! Runs that search another run's trained supernet again.

use integration_tests::{Options, TestServer, tiny};
use serde_json::{Value, json};

const RUNS: &str = "/api/v1/runs";

/// The specification of a run on another one's supernet.
fn again(run: &str, changes: impl FnOnce(&mut Value)) -> Value {
    let mut spec = tiny();
    spec["search"]["from_run"] = json!(run);
    changes(&mut spec);
    spec
}

#[test]
fn a_trained_supernet_is_searched_within_another_limit() {
    let server = TestServer::with(Options { real: true, ..Options::default() });
    let first = server.post(RUNS, &tiny()).created();
    let free = server.wait_status(&first, "succeeded");
    let params = free["summary"]["cost"]["params"].as_u64().unwrap();
    let second = again(&first, |spec| spec["constraints"] = json!({"max_params": params - 1}));
    let second = server.post(RUNS, &second).created();
    // What it needs is its own, whatever becomes of the first.
    assert_eq!(server.request("DELETE", &format!("/api/v1/runs/{first}"), &[], None).status, 204);
    let run = server.wait_status(&second, "succeeded");
    assert!(run["summary"]["cost"]["params"].as_u64().unwrap() < params);
    assert_eq!(run["summary"]["ladder"].as_array().unwrap().len(), 2);
    // It can be searched again itself, and its page says where its supernet comes from.
    let third = server.post(RUNS, &again(&second, |_| ())).created();
    let third_run = server.wait_status(&third, "succeeded");
    assert_eq!(third_run["summary"]["choices"], free["summary"]["choices"]);
    let page = server.request("GET", &format!("/runs/{third}"), &[("accept", "text/html")], None);
    assert!(page.text().contains(&format!("/runs/{second}\"")), "{}", page.text());
    let form = format!("/runs/new?again={second}");
    let form = server.request("GET", &form, &[("accept", "text/html")], None).text();
    assert!(form.contains(&format!("value=\"{second}\"")), "the form is filled in");
}

#[test]
fn what_cannot_be_searched_again_is_refused_by_field() {
    let server = TestServer::with(Options { real: true, ..Options::default() });
    let refused = |spec: &Value| {
        let answer = server.post("/api/v1/runs", spec);
        assert_eq!(answer.status, 422, "{}", answer.text());
        let wrong = answer.json()["errors"].as_array().unwrap().clone();
        wrong.iter().map(|one| one["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let nobody = again("01900000-0000-7000-8000-000000000000", |_| ());
    assert_eq!(refused(&nobody), ["search.from_run"]);
    assert_eq!(refused(&again("../../etc", |_| ())), ["search.from_run"]);
    let mut longer = tiny();
    longer["search"]["epochs"] = json!(5000);
    let running = server.post(RUNS, &longer).created();
    let mut on_it = longer.clone();
    on_it["search"]["from_run"] = json!(running);
    assert_eq!(refused(&on_it), ["search.from_run"], "it has not succeeded");
    server.post(&format!("/api/v1/runs/{running}/cancel"), &json!({}));
    let first = server.post(RUNS, &tiny()).created();
    server.wait_status(&first, "succeeded");
    let other = again(&first, |spec| {
        spec["seed"] = json!(7);
        spec["space"]["channels"] = json!(8);
    });
    assert_eq!(refused(&other), ["seed", "space.channels"]);
}

//! One shape for one thing: whatever answers with a run answers with the same fields.

use integration_tests::{Answer, TestServer, spec};
use serde_json::{Value, json};

/// Names of an object's fields, sorted.
fn fields(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[test]
fn every_answer_that_is_a_run_has_the_same_fields() {
    let server = TestServer::start();
    let headers = [("content-type", "application/json"), ("idempotency-key", "one")];
    let body = spec("steps=6").to_string();
    let create = || server.request("POST", "/api/v1/runs", &headers, Some(&body));
    let made = create();
    let id = made.created();
    let replayed = create();
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    server.wait_status(&id, "succeeded");
    let path = format!("/api/v1/runs/{id}");
    let name = json!({"name": "another"}).to_string();
    let mut answers = vec![
        ("POST runs", made),
        ("POST runs again", replayed),
        ("GET", server.get(&path)),
        ("PATCH", server.request("PATCH", &path, &headers[..1], Some(&name))),
        ("train", server.post(&format!("{path}/train"), &json!({"preset": "from_scratch"}))),
        ("front", server.post(&format!("{path}/front"), &json!({"cost": "macs"}))),
    ];
    answers.extend(stopped(&server));
    let shape = fields(&answers[0].1.json());
    assert!(shape.contains(&"spec".to_owned()) && shape.contains(&"status".to_owned()));
    for (what, answer) in &answers {
        assert!((200..300).contains(&answer.status), "{what}: {}", answer.text());
        let run = answer.json();
        assert_eq!(fields(&run), shape, "{what}");
        assert!(run["spec"]["resources"]["threads"].is_u64(), "{what} has every default: {run}");
    }
    // A list is the same without the specifications.
    let light = server.get("/api/v1/runs").json()["runs"][0].take();
    let without: Vec<String> = shape.into_iter().filter(|name| name != "spec").collect();
    assert_eq!(fields(&light), without);
}

/// Answers of what stops a run and goes on with it.
fn stopped(server: &TestServer) -> Vec<(&'static str, Answer)> {
    let id = server.create("steps=400 pace=10");
    let act = |action: &str| server.post(&format!("/api/v1/runs/{id}/{action}"), &json!({}));
    server.wait_step(&id, 2);
    let pause = act("pause");
    server.wait_status(&id, "paused");
    let resume = act("resume");
    let cancel = act("cancel");
    vec![("pause", pause), ("resume", resume), ("cancel", cancel)]
}

#[test]
fn the_description_names_one_schema_for_a_run() {
    let server = TestServer::start();
    let openapi = server.get("/api/openapi.json").json();
    let schemas = &openapi["components"]["schemas"];
    let mut named = 0;
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        let last = path.rsplit('/').next().unwrap();
        let acts = ["runs", "{id}", "cancel", "pause", "resume", "train", "front"].contains(&last);
        if !path.starts_with("/api/v1/runs") || !acts {
            continue;
        }
        for (method, operation) in methods.as_object().unwrap() {
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let schema = &answer["content"]["application/json"]["schema"]["$ref"];
                if !status.starts_with('2') || schema.is_null() {
                    continue;
                }
                let list = path == "/api/v1/runs" && method == "get";
                let name = if list { "RunList" } else { "Run" };
                let wanted = format!("#/components/schemas/{name}");
                assert_eq!(schema, &json!(wanted), "{method} {path}");
                named += 1;
            }
        }
    }
    assert_eq!(named, 9, "every answer that is a run, and the list");
    let listed = &schemas["RunList"]["properties"]["runs"]["items"]["$ref"];
    assert_eq!(listed, "#/components/schemas/RunInList");
    let words = schemas["RunInList"]["description"].as_str().unwrap();
    assert!(words.contains("all but its specification"), "{words}");
}

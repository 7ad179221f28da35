//! Every epoch's architecture: listed, labelled, compared, downloaded.

use integration_tests::{TestServer, spec};
use serde_json::{Value, json};

/// A run that has ended; four epochs of five steps.
fn done(server: &TestServer, name: &str) -> String {
    let id = server.create(name);
    server.wait_status(&id, "succeeded");
    id
}

fn list(server: &TestServer, id: &str) -> Vec<Value> {
    let answer = server.get(&format!("/api/v1/runs/{id}/architectures"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["architectures"].as_array().unwrap().clone()
}

/// A part of every entry.
fn all(list: &[Value], key: &str) -> Value {
    list.iter().map(|one| one[key].clone()).collect()
}

#[test]
fn every_epoch_is_listed_and_labelled() {
    let server = TestServer::start();
    let id = done(&server, "steps=20 wander level@10");
    let list = list(&server, &id);
    assert_eq!(all(&list, "epoch"), json!([0, 1, 2, 3]));
    assert_eq!(all(&list, "step"), json!([5, 10, 15, 20]));
    assert_eq!(all(&list, "labels"), json!([[], ["best"], [], ["last", "derived"]]));
    assert_eq!(all(&list, "valid_accuracy"), json!([0.225, 0.45, 0.45, 0.45]));
    assert_eq!(all(&list, "changes"), json!([null, 2, 2, 2]));
    assert_eq!(all(&list, "changes_to_last"), json!([2, 2, 2, 0]));
    assert_eq!(list[1]["text"], "toy-cell|normal=sep3,sep5,sep3|reduce=sep3,sep3,sep3");
    assert!(list[1]["cost"]["params"].as_u64() > Some(0));

    let waiting = server.create("steps=1000 pace=50");
    server.wait_status(&waiting, "running");
    let page = server.get(&format!("/runs/{waiting}/architectures"));
    assert_eq!(page.status, 200);
    assert_eq!(server.get("/api/v1/runs/nobody/architectures").status, 404);
}

#[test]
fn each_can_be_downloaded_in_three_forms() {
    let server = TestServer::start();
    let id = done(&server, "steps=20 wander level@10");
    let get = |file: &str| server.get(&format!("/api/v1/runs/{id}/architectures/{file}"));
    let file = get("1.json");
    assert_eq!(file.header("content-type"), "application/json");
    let file = file.json();
    assert_eq!((&file["version"], &file["space"]["preset"]), (&json!(1), &json!("toy-cell")));
    assert_eq!(file["choices"][1], json!({"tensor": "normal", "label": "0→2", "option": "sep5"}));
    assert_eq!(file["input_shape"], json!([1, 28, 28]));
    assert_eq!(get("best.json").json(), file);
    assert_eq!(get("best.txt").text(), format!("{}\n", file["text"].as_str().unwrap()));
    assert_eq!(get("last.txt").text(), get("3.txt").text());
    assert_eq!(get("derived.txt").text(), get("3.txt").text());
    let plain = get("1.svg");
    assert_eq!(plain.header("content-type"), "image/svg+xml");
    assert!(plain.header("content-security-policy").contains("unsafe-inline"));
    assert!(!plain.text().contains("was sep3"), "{}", plain.text());
    let compared = get("1.svg?against=0").text();
    assert_eq!(compared.matches("edge changed").count(), 2);
    assert!(compared.contains(">was sep3<") && compared.contains(">was sep5<"), "{compared}");
    for missing in ["4.json", "-1.txt", "first.svg", "1.svg?against=9", "1.pdf", "1", "1.svg.json"]
    {
        assert_eq!(get(missing).status, 404, "{missing}");
    }
    assert_eq!(get("1.json?against=0").status, 400);
    assert_eq!(get("1.svg?before=0").status, 400);
}

#[test]
fn an_attempt_that_goes_on_supersedes_what_was_lost() {
    let server = TestServer::start();
    // The first attempt leaves a checkpoint at step 8 and dies after step 14.
    let id = done(&server, "steps=20 wander crash@14");
    assert_eq!(server.run(&id)["attempt"], 2);
    let list = list(&server, &id);
    assert_eq!(all(&list, "step"), json!([5, 10, 15, 20]));
    assert_eq!(all(&list, "labels"), json!([[], [], [], ["last", "best", "derived"]]));
}

#[test]
fn the_best_candidate_of_a_second_stage_is_the_best() {
    let server = TestServer::start();
    let mut spec = spec("steps=10 wander generations=3");
    spec["search"]["second_stage"] = json!({"kind": "random", "candidates": 12});
    let answer = server.post("/api/v1/runs", &spec);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    server.wait_status(&id, "succeeded");
    let list = list(&server, &id);
    assert_eq!(all(&list, "epoch"), json!([0, 1, 2, 3, 4]));
    assert_eq!(all(&list, "generation"), json!([null, null, 0, 1, 2]));
    // The supernet's 0.9 is no candidate's.
    assert_eq!(all(&list, "valid_accuracy"), json!([0.45, 0.9, 0.5, 0.6, 0.6]));
    assert_eq!(all(&list, "labels"), json!([[], ["derived"], [], ["best"], ["last"]]));
    let page = server.get(&format!("/runs/{id}/architectures")).text();
    for words in ["Generation 2 against generation 3", "the best is told among candidates"] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn the_best_of_a_text_is_told_by_its_loss() {
    let server = TestServer::start();
    let folder = server.datasets().join("text");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("input.txt"), "to be or not to be\n".repeat(40)).unwrap();
    let mut spec = spec("steps=20 level@10");
    spec["dataset"] = json!({"id": "text"});
    spec["space"] = json!({"preset": "language-char", "layers": [1, 2], "embed_widths": [8, 16], "heads": [1, 2], "context": 8});
    spec["search"]["batch_size"] = json!(4);
    let id = server.post("/api/v1/runs", &spec).created();
    server.wait_status(&id, "succeeded");
    // The accuracy stays from the second epoch on, the loss falls.
    let list = list(&server, &id);
    assert_eq!(all(&list, "labels"), json!([[], [], [], ["last", "best", "derived"]]));
    let page = server.get(&format!("/runs/{id}/architectures")).text();
    assert!(page.contains("Validation loss, nats") && page.contains("Multiply-adds per window"));
}

#[test]
fn what_no_epoch_had_is_listed_last() {
    let server = TestServer::start();
    let id = done(&server, "steps=10 astray");
    let list = list(&server, &id);
    assert_eq!(all(&list, "epoch"), json!([0, 1, null]));
    assert_eq!(all(&list, "labels"), json!([[], ["last", "best"], ["derived"]]));
    assert_eq!(all(&list, "changes"), json!([null, 0, 6]));
    let page = server.get(&format!("/runs/{id}/architectures?a=last&b=derived"));
    assert!(page.text().contains("6 choices differ"), "{}", page.text());
}

#[test]
fn a_page_lists_folds_and_compares() {
    let server = TestServer::start();
    let id = done(&server, "steps=20 wander level@10");
    let get = |query: &str| server.get(&format!("/runs/{id}/architectures{query}"));
    let page = get("").text();
    for part in [
        "Epoch 2 against epoch 4",
        "2 choices differ",
        "<li>normal 0→2: sep5 → <b>sep3</b></li>",
        "aria-label=\"A: Epoch 2\" checked",
        "aria-label=\"B: Epoch 4\" checked",
        ">→ sep3<",
        ">was sep3<",
        "/architectures/3.svg?against=1\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<style") && !page.contains("style="), "the policy forbids it");
    assert!(get("?a=0&b=1").text().contains("Epoch 1 against epoch 2"));
    assert!(get("?a=best&b=1").text().contains("Epoch 2 alone"));
    assert_eq!((get("?a=9").status, get("?c=1").status), (404, 400));
    assert!(server.get(&format!("/runs/{id}")).text().contains("/architectures\">All epochs</a>"));

    let still = done(&server, "steps=20");
    let page = server.get(&format!("/runs/{still}/architectures")).text();
    assert!(page.contains("Epochs 1–4") && page.contains("4 epochs, equal ones in a row together"));
    let page = server.get(&format!("/runs/{still}/architectures?all=true")).text();
    assert!(page.contains("A: Epoch 3") && !page.contains("Epochs 1–4"), "{page}");
}

//! Runs: creating, refusing, listing, changing.

use integration_tests::{Options, TestServer, spec};
use rstest::rstest;
use serde_json::{Value, json};

fn patched(patch: &Value) -> Value {
    fn merge(target: &mut Value, patch: &Value) {
        match (target, patch) {
            (Value::Object(target), Value::Object(patch)) => {
                for (key, value) in patch {
                    merge(target.entry(key).or_insert(Value::Null), value);
                }
            }
            (target, patch) => *target = patch.clone(),
        }
    }
    let mut value = spec("x");
    merge(&mut value, patch);
    value
}

fn fields(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().unwrap().iter();
    errors.map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_goes_from_queue_to_result() {
    let server = TestServer::start();
    let answer = server.post("/api/v1/runs", &spec("hello"));
    assert_eq!(answer.status, 201);
    let run = answer.json();
    let id = run["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/runs/{id}"));
    assert_eq!((&run["name"], &run["optimizer"]), (&json!("hello"), &json!("drnas")));
    let run = server.wait_status(id, "succeeded");
    assert_eq!(run["summary"]["test_accuracy"], 0.8123);
    assert_eq!(run["latest"]["search.valid_accuracy"], 0.9);
    assert_eq!(run["sparkline"].as_array().unwrap().len(), 4);
    assert_eq!(run["attempt"], 1);
    assert!(run["started_at"].is_string() && run["ended_at"].is_string());
    let detail = server.get(&format!("/api/v1/runs/{id}")).json();
    assert_eq!(detail["spec"]["search"]["weight_optimizer"]["momentum"], 0.9);
    assert_eq!(server.get("/api/v1/queue").json(), json!([]));
    assert_eq!(server.get("/api/v1/devices").json()[0]["runs"], json!([]));
}

#[rstest]
#[case::unknown_field(json!({"search": {"epoch": 5}}), &["search.epoch"])]
#[case::wrong_type(json!({"seed": "x"}), &["seed"])]
#[case::out_of_range(json!({"search": {"epochs": 0}}), &["search.epochs"])]
#[case::unknown_space(json!({"space": {"preset": "nope"}}), &["space.preset"])]
#[case::no_such_gpu(json!({"resources": {"device": "cuda:0"}}), &["resources.device"])]
#[case::no_gpu_at_all(json!({"resources": {"device": "cuda"}}), &["resources.device"])]
#[case::batch_larger_than_split(json!({"search": {"batch_size": 512}}), &["search.batch_size"])]
#[case::limit_out_of_reach(json!({"constraints": {"max_params": 5, "max_macs": 1_000_000_000}}), &["constraints.max_params"])]
#[case::all_at_once(
    json!({"seed": -1, "search": {"epochs": "many", "clip": 0}, "what": 1}),
    &["seed", "search.epochs", "search.clip", "what"]
)]
fn a_bad_specification_is_refused_with_every_fault(#[case] patch: Value, #[case] bad: &[&str]) {
    let server = TestServer::start();
    for path in ["/api/v1/runs", "/api/v1/runs/preflight"] {
        let answer = server.post(path, &patched(&patch));
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!(fields(&problem), bad);
        assert_eq!(problem["request_id"], answer.header("x-request-id"));
    }
    assert_eq!(server.get("/api/v1/runs").json()["runs"], json!([]));
    assert_eq!(std::fs::read_dir(server.data().join("runs")).unwrap().count(), 0);
}

#[test]
fn a_run_over_a_text_is_checked_and_shown_in_its_own_words() {
    let server = TestServer::start();
    let spec = json!({
        "name": "a text",
        "dataset": {"id": "text"},
        "space": {"preset": "language-char", "layers": [1, 2], "embed_widths": [8, 16], "heads": [1, 2], "context": 8},
        "search": {"optimizer": {"kind": "drnas"}, "epochs": 2, "batch_size": 4},
        "resources": {"device": "cpu"}
    });
    let refused = server.post("/api/v1/runs", &spec);
    assert_eq!((refused.status, fields(&refused.json())), (422, vec!["dataset.id".to_owned()]));
    assert!(refused.text().contains("`input.txt` is missing"), "{}", refused.text());
    // Beside the images of the other tests.
    let folder = server.datasets().join("text");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("input.txt"), "to be or not to be\n".repeat(40)).unwrap();
    let preflight = server.post("/api/v1/runs/preflight", &spec).json();
    // 684 of 760 bytes, 85 windows, 42 of them for the weights, 11 steps an epoch.
    assert_eq!(preflight["steps"], 22);
    let answer = server.post("/api/v1/runs", &spec);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    server.wait_status(&id, "succeeded");
    let page = server.get(&format!("/runs/{id}")).text();
    for words in
        ["% of tokens", "Multiply-adds per window", "Bits per character", "vocabulary.json"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("% of images") && !page.contains("images/s"));
    let drawing = server.get(&format!("/api/v1/runs/{id}/architecture.svg"));
    assert_eq!(drawing.status, 200);
    assert!(drawing.text().contains("heads"), "{}", drawing.text());
}

#[test]
fn a_missing_gpu_is_answered_with_the_devices_there_are() {
    let server = TestServer::start();
    let answer = server.post("/api/v1/runs", &patched(&json!({"resources": {"device": "cuda:0"}})));
    let detail = answer.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail, "this machine has no `cuda:0`; it has `cpu`");
}

#[test]
fn a_benchmark_is_checked_against_the_space_and_copied_into_the_run() {
    let server = TestServer::start();
    let benchmark = |table: &str, columns: &str| {
        patched(&json!({"benchmark": {"table": table, "columns": columns}}))
    };
    let refused = |spec: &Value| {
        let answer = server.post("/api/v1/runs", spec);
        assert_eq!(answer.status, 422);
        let errors = answer.json()["errors"].clone();
        (fields(&answer.json()), errors[0]["detail"].as_str().unwrap().to_owned())
    };
    let (field, detail) = refused(&benchmark("toy.csv", "a,b,c,d,e,f"));
    assert_eq!(field, ["benchmark.table"]);
    assert!(detail.contains("there are: none"), "{detail}");
    let folder = server.data().join("benchmarks");
    std::fs::create_dir_all(&folder).unwrap();
    let table = "a,b,c,d,e,f,acc\n0,1,2,3,0,0,0.5\n".to_owned();
    std::fs::write(folder.join("toy.csv"), &table).unwrap();
    let (field, detail) = refused(&benchmark("other.csv", "a,b,c,d,e,f"));
    assert_eq!(field, ["benchmark.table"]);
    assert!(detail.contains("there are: toy.csv"), "{detail}");
    assert_eq!(refused(&benchmark("../toy.csv", "a,b,c,d,e,f")).0, ["benchmark.table"]);
    assert_eq!(refused(&benchmark("toy.csv", "a,b")).0, ["benchmark.columns"]);
    let answer = server.post("/api/v1/runs", &benchmark("toy.csv", "a,b,c,d,e,f"));
    assert_eq!(answer.status, 201);
    let run = answer.json()["id"].as_str().unwrap().to_owned();
    std::fs::write(folder.join("toy.csv"), "changed").unwrap();
    let kept = std::fs::read_to_string(server.run_folder(&run).join("benchmark.csv")).unwrap();
    assert_eq!(kept, table);
}

#[test]
fn a_missing_or_truncated_data_set_is_refused_with_how_to_get_it() {
    let server = TestServer::with(Options { no_data: true, ..Options::default() });
    let refused = || server.post("/api/v1/runs", &spec("x")).json()["errors"].clone();
    let errors = refused();
    assert_eq!(errors[0]["field"], "dataset.id");
    let detail = errors[0]["detail"].as_str().unwrap();
    assert!(detail.contains("is missing") && detail.contains("make data"), "{detail}");
    let folder = server.client_folder().join("datasets/fashion-mnist");
    integration_tests::write_dataset(&folder, 8, 4);
    let images = folder.join("train-images-idx3-ubyte");
    let bytes = std::fs::read(&images).unwrap();
    std::fs::write(&images, &bytes[..1000]).unwrap();
    let detail = refused()[0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("is truncated: 1000 of 6288 bytes"), "{detail}");
    assert_eq!(server.get("/api/v1/datasets").json()[0]["present"], false);
    std::fs::write(&images, bytes).unwrap();
    assert_eq!(server.post("/api/v1/runs", &spec("x")).status, 201);
    assert_eq!(server.get("/api/v1/datasets").json()[0]["problem"], Value::Null);
}

#[rstest]
#[case::no_json("application/json", "{", 400)]
#[case::not_an_object("application/json", "[]", 422)]
#[case::form("application/x-www-form-urlencoded", "a=b", 415)]
#[case::plain("text/plain", "{}", 415)]
#[case::deep("application/json", "DEEP", 400)]
#[case::large("application/json", "LARGE", 413)]
fn a_body_that_cannot_be_read_is_a_problem(
    #[case] kind: &str,
    #[case] body: &str,
    #[case] status: u16,
) {
    let server = TestServer::start();
    let body = match body {
        "DEEP" => "[".repeat(100_000),
        "LARGE" => format!("\"{}\"", "x".repeat(1024 * 1024)),
        body => body.to_owned(),
    };
    let answer = server.request("POST", "/api/v1/runs", &[("content-type", kind)], Some(&body));
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["status"], status);
}

#[rstest]
#[case("GET", "/api/v1/runs/nonsense", 404)]
#[case("GET", "/api/v1/runs/00000000-0000-7000-8000-000000000000", 404)]
#[case("GET", "/api/v1/nothing", 404)]
#[case("PUT", "/api/v1/runs", 405)]
#[case("GET", "/api/v1/runs?limit=0", 400)]
#[case("GET", "/api/v1/runs?limit=many", 400)]
#[case("GET", "/api/v1/runs?unknown=1", 400)]
#[case("GET", "/api/v1/runs?status=walking", 400)]
#[case("GET", "/api/v1/runs?sort=colour", 400)]
#[case("GET", "/api/v1/runs?cursor=zz", 404)]
#[case("GET", "/api/v1/spaces/nope", 404)]
fn every_refusal_is_a_problem(#[case] method: &str, #[case] path: &str, #[case] status: u16) {
    let server = TestServer::start();
    let answer = server.request(method, path, &[], None);
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.header("content-security-policy").contains("script-src 'self'"));
}

#[test]
fn a_repeated_request_creates_one_run() {
    let server = TestServer::start();
    let send = |key: &str, name: &str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        server.request("POST", "/api/v1/runs", &headers, Some(&spec(name).to_string()))
    };
    let first = send("a", "one");
    let again = send("a", "one");
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(send("a", "two").status, 422);
    assert_ne!(send("b", "one").json()["id"], first.json()["id"]);
    assert_eq!(server.get("/api/v1/runs").json()["runs"].as_array().unwrap().len(), 2);
    let concurrent: Vec<Value> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..6).map(|_| scope.spawn(|| send("c", "three").json())).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()["id"].clone()).collect()
    });
    assert!(concurrent.iter().all(|id| *id == concurrent[0]), "{concurrent:?}");
}

#[test]
fn a_nearly_full_disk_refuses_a_run() {
    let server = TestServer::with(Options::args(&["--min-free-mib", "1000000000"]));
    let answer = server.post("/api/v1/runs", &spec("x"));
    assert_eq!(answer.status, 507, "{}", answer.text());
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("MiB are free") && detail.contains("delete runs"), "{detail}");
    assert_eq!(std::fs::read_dir(server.data().join("runs")).unwrap().count(), 0);
}

#[test]
fn a_data_folder_that_cannot_be_written_refuses_a_run_and_leaves_nothing() {
    let server = TestServer::start();
    std::fs::remove_dir(server.data().join("tmp")).unwrap();
    std::fs::write(server.data().join("tmp"), "in the way").unwrap();
    let answer = server.post("/api/v1/runs", &spec("x"));
    assert_eq!(answer.status, 507, "{}", answer.text());
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("cannot be written") && detail.contains("nothing was created"));
    assert_eq!(server.get("/api/v1/runs").json()["runs"], json!([]));
    assert_eq!(std::fs::read_dir(server.data().join("runs")).unwrap().count(), 0);
}

#[test]
fn preflight_says_what_a_run_would_mean() {
    let server = TestServer::start();
    let answer = server.post("/api/v1/runs/preflight", &spec("x"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let value = answer.json();
    assert_eq!((&value["steps"], &value["finalist_steps"]), (&json!(16), &json!(0)));
    assert_eq!(value["space"]["architectures"], "4096");
    assert_eq!(value["spec"]["search"]["clip"], 5.0);
    let optimizer = "[search.optimizer]\nfrozen_epochs = 0\nkind = \"drnas\"";
    assert!(value["toml"].as_str().unwrap().contains(optimizer));
    assert_eq!(server.get("/api/v1/runs").json()["runs"], json!([]));
    // 128 of 256 images train weights, 96 a step: five finalists for one epoch, three for two.
    let mut with = spec("x");
    with["after"] = json!({"finalists": {"count": 5}});
    let value = server.post("/api/v1/runs/preflight", &with).json();
    assert_eq!(value["finalist_steps"], 2 * 5 + 4 * 3);
    with["after"]["finalists"]["count"] = json!(1);
    let refused = server.post("/api/v1/runs/preflight", &with);
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("at least 2 to choose from"), "{}", refused.text());
}

#[test]
fn lists_are_filtered_sorted_and_paged() {
    let server = TestServer::start();
    let ids: Vec<String> =
        ["beta steps=1", "alpha steps=1", "gamma fail@1"].map(|name| server.create(name)).to_vec();
    server.wait_status(&ids[2], "failed");
    let names = |query: &str| {
        let list = server.get(&format!("/api/v1/runs?{query}")).json();
        let names = list["runs"].as_array().unwrap().iter();
        let names = names.map(|run| run["name"].as_str().unwrap()[..1].to_owned());
        (names.collect::<String>(), list["next"].as_str().map(str::to_owned))
    };
    assert_eq!(names("").0, "gab");
    assert_eq!(names("sort=name").0, "abg");
    assert_eq!(names("sort=name&order=desc").0, "gba");
    assert_eq!(names("status=failed").0, "g");
    assert_eq!(names("status=failed,succeeded&order=asc").0, "bag");
    assert_eq!(names("q=ALPHA").0, "a");
    assert_eq!(names(&format!("q={}", ids[0])).0, "b");
    let (first, next) = names("limit=2&sort=name");
    let (second, end) = names(&format!("limit=2&sort=name&cursor={}", next.unwrap()));
    assert_eq!((first.as_str(), second.as_str(), end), ("ab", "g", None));
}

#[test]
fn runs_are_renamed_and_deleted() {
    let server = TestServer::start();
    let id = server.create("steps=2");
    let path = format!("/api/v1/runs/{id}");
    let rename = |body: &str| {
        let headers = [("content-type", "application/json")];
        server.request("PATCH", &path, &headers, Some(body))
    };
    assert_eq!(rename(r#"{"name": "ünïcode <b>"}"#).json()["name"], "ünïcode <b>");
    for bad in [r#"{"name": ""}"#, r#"{"name": "a\nb"}"#, r#"{"nom": "x"}"#, "{}"] {
        assert_eq!(rename(bad).status, 400, "{bad}");
    }
    server.wait_status(&id, "succeeded");
    assert_eq!(server.run(&id)["name"], "ünïcode <b>");
    assert_eq!(server.request("DELETE", &path, &[], None).status, 204);
    assert_eq!(server.get(&path).status, 404);
    assert_eq!(server.request("DELETE", &path, &[], None).status, 404);
    assert!(!server.run_folder(&id).exists());
    assert_eq!(std::fs::read_dir(server.data().join("tmp")).unwrap().count(), 0);
}

#[test]
fn an_active_run_is_not_deleted() {
    let server = TestServer::start();
    let id = server.create("steps=1000");
    server.wait_step(&id, 2);
    let answer = server.request("DELETE", &format!("/api/v1/runs/{id}"), &[], None);
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("cancel it first"));
    assert!(server.run_folder(&id).exists());
}

#[test]
fn a_failure_is_told_with_class_and_hint() {
    let server = TestServer::start();
    let id = server.create("fail@3");
    let run = server.wait_status(&id, "failed");
    assert_eq!(run["failure"]["message"], "told to fail");
    assert_eq!(run["failure"]["class"], "user");
    assert_eq!(run["summary"], Value::Null);
}

//! Trying a finished run's network over HTTP, with a worker that answers as it is told.

use std::fs;
use std::time::Instant;

use integration_tests::{Answer, Options, TestServer, eventually, is_alive};
use rstest::rstest;
use serde_json::{Value, json};

const PNG: [(&str, &str); 1] = [("content-type", "image/png")];

fn finished(server: &TestServer, words: &str) -> String {
    let id = server.create(&format!("steps=2 {words}"));
    server.wait_status(&id, "succeeded");
    id
}

fn address(id: &str) -> String {
    format!("/api/v1/runs/{id}/predict")
}

fn image(server: &TestServer, id: &str) -> Answer {
    server.request("POST", &address(id), &PNG, Some("an image"))
}

/// A finished run over a text.
fn over_text(server: &TestServer) -> String {
    let spec = json!({
        "name": "steps=2", "dataset": {"id": "tiny-shakespeare"}, "space": {"preset": "language-char"},
        "search": {"optimizer": {"kind": "drnas"}}, "resources": {"device": "cpu"},
    });
    let folder = server.datasets().join("tiny-shakespeare");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("input.txt"), "to be or not to be\n".repeat(2000)).unwrap();
    let id = server.post("/api/v1/runs", &spec).created();
    server.wait_status(&id, "succeeded");
    id
}

#[test]
fn an_image_gets_classes_and_a_prompt_its_continuation() {
    let server = TestServer::start();
    let id = finished(&server, "");
    let answer = image(&server, &id);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json();
    assert_eq!((&found["kind"], &found["fitted"]), (&json!("classes"), &json!("8 bytes")));
    assert_eq!(found["classes"][0], json!({"number": 8, "name": "Bag", "probability": 0.75}));
    let path = address(&id) + "?invert=true";
    let stream = [("content-type", "application/octet-stream")];
    let inverted = server.request("POST", &path, &stream, Some("x"));
    assert_eq!(inverted.json()["fitted"], "1 bytes, inverted");
    let text = over_text(&server);
    let asked = json!({"prompt": "to be", "temperature": 0.5, "seed": 3, "top_k": 4});
    let answer = server.post(&address(&text), &asked);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json();
    assert_eq!((&found["text"], &found["added"]), (&json!(" 0.5 3 Some(4)"), &json!(200)));
}

#[test]
fn the_command_line_tries_a_network_too() {
    let server = TestServer::start();
    let id = finished(&server, "");
    let file = server.data().join("image.png");
    fs::write(&file, "an image").unwrap();
    let file = file.to_str().unwrap();
    let out = |args: &[&str]| {
        let done = server.client(args);
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, said) = out(&["predict", &id, file]);
    assert_eq!(code, Some(0));
    assert!(said.contains("Bag") && said.contains("75.0"), "{said}");
    let (_, said) = out(&["predict", &id, file, "--invert", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["fitted"], "8 bytes, inverted");
    let text = over_text(&server);
    let (code, said) = out(&["predict", &text, "--prompt", "to be", "--seed", "3"]);
    assert_eq!((code, said.as_str()), (Some(0), "to be 0.8 3 None\n"));
    assert_eq!(out(&["predict", &id, "--prompt", "to be"]).0, Some(2));
    assert_eq!(out(&["predict", &id, "no-such-file"]).0, Some(2));
    assert_eq!(out(&["predict", &id]).0, Some(2));
}

#[test]
fn what_a_network_does_not_read_is_refused() {
    let server = TestServer::start();
    let (id, text) = (finished(&server, ""), over_text(&server));
    let problem = |answer: &Answer, status: u16, word: &str| {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{detail}");
    };
    problem(&image(&server, &text), 415, "reads text");
    problem(&server.post(&address(&id), &json!({"prompt": "a"})), 415, "reads images");
    let plain = server.request("POST", &address(&id), &[("content-type", "text/plain")], Some("a"));
    problem(&plain, 415, "must be JSON");
    problem(&server.post(&address(&text), &json!({"prompt": ""})), 422, "`prompt` is empty");
    problem(&server.post(&address(&text), &json!({"prompt": "a", "tokens": 1001})), 422, "1000");
    problem(&server.post(&address(&text), &json!({"prompt": "a", "token": 1})), 400, "token");
    let long = "a".repeat((16 << 10) + 1);
    problem(&server.post(&address(&text), &json!({"prompt": long})), 422, "16 KiB");
    let longer = "a".repeat(2 << 20);
    problem(&server.post(&address(&text), &json!({"prompt": longer})), 413, "larger than");
    let large = "a".repeat((10 << 20) + 1);
    problem(&server.request("POST", &address(&id), &PNG, Some(&large)), 413, "10240 KiB");
    let most = server.request("POST", &address(&id), &PNG, Some(&large[1..]));
    assert_eq!(most.json()["fitted"], format!("{} bytes", 10 << 20));
    let nobody = "01900000-0000-7000-8000-000000000000";
    problem(&image(&server, nobody), 404, "there is no run");
    let waiting = server.create("steps=2000 pace=20");
    problem(&image(&server, &waiting), 409, "no network yet");
    let foreign = [("content-type", "image/png"), ("origin", "http://evil.example")];
    problem(&server.request("POST", &address(&id), &foreign, Some("x")), 403, "other sites");
}

#[rstest]
#[case::input("predict-refuse", 422, "told to refuse <b>this</b>")]
#[case::package("predict-damaged", 409, "told to be damaged; hint")]
#[case::heavy("predict-heavy", 409, "needs more memory than a prediction may take")]
#[case::silent("predict-silent", 500, "its log has the cause")]
fn a_worker_that_finds_a_fault_is_heard(
    #[case] word: &str,
    #[case] status: u16,
    #[case] detail: &str,
) {
    let server = TestServer::start();
    let answer = image(&server, &finished(&server, word));
    assert_eq!(
        (answer.status, &answer.json()["detail"]),
        (status, &json!(answer.json()["detail"]))
    );
    assert!(answer.text().contains(detail), "{}", answer.text());
    if status == 500 {
        eventually("logged", || server.log().contains("silent as told"));
    }
}

fn impatient(seconds: u32) -> TestServer {
    TestServer::with(Options::default().env("SKEIN_PREDICT_SECONDS", &seconds.to_string()))
}

fn worker(server: &TestServer, id: &str) -> Option<u32> {
    let path = server.run_folder(id).join("attempts/1/predict.pid");
    fs::read_to_string(path).ok()?.parse().ok()
}

#[test]
fn a_prediction_that_takes_too_long_is_killed() {
    let server = impatient(1);
    let id = finished(&server, "predict-slow");
    let began = Instant::now();
    let answer = image(&server, &id);
    assert_eq!(answer.status, 504, "{}", answer.text());
    let took = began.elapsed().as_secs_f64();
    assert!((1.0..10.0).contains(&took), "{took}");
    assert!(answer.text().contains("longer than 1 seconds"), "{}", answer.text());
    assert!(!is_alive(worker(&server, &id).unwrap()), "the worker lives on");
    // The next one is answered.
    assert_eq!(image(&server, &finished(&server, "")).status, 200);
}

#[test]
fn a_client_that_goes_away_takes_its_worker_with_it() {
    use std::io::Write as _;
    let server = impatient(600);
    let id = finished(&server, "predict-slow");
    let host = server.url.trim_start_matches("http://");
    let mut connection = std::net::TcpStream::connect(host).unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {host}\r\ncontent-type: image/png\r\ncontent-length: 1\r\n\r\nx",
        address(&id)
    );
    connection.write_all(head.as_bytes()).unwrap();
    eventually("started", || worker(&server, &id).is_some_and(is_alive));
    drop(connection);
    let worker = worker(&server, &id).unwrap();
    eventually("ended", || !is_alive(worker));
}

#[test]
fn a_few_wait_in_line_and_others_are_told_to_come_back() {
    let server = impatient(3);
    let id = finished(&server, "predict-slow");
    let statuses: Vec<(u16, String)> = std::thread::scope(|scope| {
        let asked = (0..7).map(|_| scope.spawn(|| image(&server, &id)));
        let asked: Vec<_> = asked.collect();
        asked
            .into_iter()
            .map(|one| one.join().unwrap())
            .map(|answer| (answer.status, answer.header("retry-after").to_owned()))
            .collect()
    });
    let of = |status: u16| statuses.iter().filter(|one| one.0 == status).count();
    assert_eq!(of(504) + of(503), 7, "{statuses:?}");
    assert!(of(504) >= 1 && of(503) >= 2, "{statuses:?}");
    assert!(statuses.iter().all(|(status, after)| *status == 504 || after == "5"), "{statuses:?}");
}

#[test]
fn a_server_that_stops_ends_a_prediction() {
    let mut server = impatient(600);
    let id = finished(&server, "predict-slow");
    let url = server.url.clone() + &address(&id);
    let asking = std::thread::spawn(move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent: ureq::Agent = config.into();
        let sent = agent.post(url).header("content-type", "image/png").send("x");
        sent.map(|answer| answer.status().as_u16())
    });
    eventually("started", || worker(&server, &id).is_some_and(is_alive));
    let worker = worker(&server, &id).unwrap();
    let (code, took) = server.stop();
    assert_eq!(code, Some(0));
    assert!(took.as_secs() < 10, "{took:?}");
    assert!(!is_alive(worker), "the worker lives on");
    assert!(matches!(asking.join().unwrap(), Ok(503) | Err(_)));
}

#[test]
fn the_page_of_a_finished_run_offers_it_and_the_interface_describes_it() {
    let server = TestServer::start();
    let page = |id: &str| {
        let answer =
            server.request("GET", &format!("/runs/{id}"), &[("accept", "text/html")], None);
        answer.text()
    };
    let id = finished(&server, "");
    let found = page(&id);
    assert!(found.contains("data-try>"), "the card is hidden");
    assert!(
        found.contains("FashionMNIST, 28×28 pixels, grey") && found.contains("data-try-invert")
    );
    assert!(!found.contains("data-try-form"));
    let text = page(&over_text(&server));
    assert!(text.contains("data-try-form") && !text.contains("data-try-drop"));
    let active = server.create("steps=2000 pace=20");
    assert!(page(&active).contains("data-try hidden>"));
    let openapi: Value = server.get("/api/openapi.json").json();
    let post = &openapi["paths"]["/api/v1/runs/{id}/predict"]["post"];
    assert!(post["requestBody"]["content"]["image/*"].is_object(), "{post}");
    assert!(openapi["components"]["schemas"]["PredictionView"].is_object());
}

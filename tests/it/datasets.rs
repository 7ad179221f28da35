//! Data sets that people bring: from the first byte to a run on them.

mod docs;
mod fetch;
mod folders;
mod hostile;
mod killed;
mod pages;

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use integration_tests::pictures::{self, classes, zip};
use integration_tests::{Answer, Options, TestServer, eventually};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const SETS: &str = "/api/v1/datasets";
const BYTES: [(&str, &str); 1] = [("content-type", "application/octet-stream")];

/// Three classes of twelve pictures.
pub(crate) fn shapes() -> Vec<u8> {
    zip(&classes(&["circle", "cross", "square"], 12, 24))
}

/// Sends a file at once.
pub(crate) fn add(server: &TestServer, name: &str, bytes: &[u8]) -> Answer {
    server.send("POST", &format!("{SETS}?file_name={name}"), &BYTES, bytes)
}

/// A data set as the API shows it.
pub(crate) fn set(server: &TestServer, id: &str) -> Value {
    let answer = server.get(&format!("{SETS}/{id}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits until nothing is on its way to a data set any more, or it has failed.
pub(crate) fn settled(server: &TestServer, id: &str) -> Value {
    let done = |set: &Value| set["incoming"].is_null() || set["incoming"]["state"] == "failed";
    eventually("prepared", || done(&set(server, id)));
    set(server, id)
}

/// A prepared data set of shapes.
pub(crate) fn ready(server: &TestServer) -> Value {
    let made = add(server, "shapes.zip", &shapes());
    assert_eq!(made.status, 201, "{}", made.text());
    let found = settled(server, "shapes");
    assert_eq!(found["state"], "ready", "{found:#}\n{}", server.log());
    found
}

/// Everything below the folder of what is on its way.
pub(crate) fn left(server: &TestServer) -> Vec<String> {
    let entries = fs::read_dir(server.datasets().join(".incoming")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn search(on: &str) -> Value {
    json!({
        "name": "steps=2", "dataset": {"id": on}, "space": {"preset": "toy-cell"},
        "search": {"optimizer": {"kind": "drnas"}, "batch_size": 4}, "resources": {"device": "cpu"},
    })
}

#[test]
fn a_small_file_is_a_data_set_at_once_and_a_run_learns_from_it() {
    let server = TestServer::start();
    let found = ready(&server);
    assert_eq!(found["classes"], json!(["circle", "cross", "square"]));
    assert_eq!((&found["title"], &found["own"]), (&json!("shapes"), &json!(true)));
    let shape = json!({"channels": 3, "height": 24, "width": 24, "classes": 3});
    assert_eq!(found["shape"], shape);
    let count = |name: &str| found[name].as_u64().unwrap();
    assert_eq!(count("train_images") + count("test_images"), 36);
    assert_eq!(found["held_out"], json!({"kind": "drawn", "share": 0.2, "seed": 0}));
    assert_eq!(found["versions"][0]["version"], found["version"]);
    assert!(left(&server).is_empty(), "{:?}", left(&server));
    let made = server.post("/api/v1/runs", &search("shapes"));
    assert_eq!(made.status, 201, "{}", made.text());
    let data = &made.json()["spec"]["dataset"];
    assert_eq!((&data["version"], &data["kind"]), (&found["version"], &json!("images")));
    assert_eq!((&data["shape"], &data["classes"]), (&json!([3, 24, 24]), &json!(3)));
    assert_eq!(data["images"], found["train_images"]);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    server.wait_status(&id, "succeeded");
    assert_eq!(set(&server, "shapes")["runs"], 1);
}

#[test]
fn an_upload_goes_on_where_it_ended_whoever_was_killed() {
    let mut server = TestServer::start();
    let bytes = shapes();
    let asked = json!({"title": "Shapes <b>", "file_name": "s.zip", "bytes": bytes.len()});
    let made = server.post(SETS, &asked);
    assert_eq!((made.status, &made.json()["id"]), (201, &json!("shapes-b")), "{}", made.text());
    let part = |server: &TestServer, offset: usize, bytes: &[u8], digest: Option<&[u8]>| {
        let digest = digest.map(|of| format!("sha-256=:{}:", base64(&Sha256::digest(of))));
        let mut headers = BYTES.to_vec();
        headers.extend(digest.as_deref().map(|digest| ("content-digest", digest)));
        server.send("PUT", &format!("{SETS}/shapes-b/parts?offset={offset}"), &headers, bytes)
    };
    let first = part(&server, 0, &bytes[..1000], Some(&bytes[..1000]));
    assert_eq!((first.status, &first.json()["received"]), (200, &json!(1000)), "{}", first.text());
    let damaged = part(&server, 1000, &bytes[1000..1500], Some(b"something else"));
    assert_eq!(damaged.status, 422);
    assert!(damaged.text().contains("does not have the digest"), "{}", damaged.text());
    let gap = part(&server, 1500, &bytes[1500..], None);
    assert_eq!(gap.status, 409);
    assert!(gap.text().contains("1000 bytes are here"), "{}", gap.text());
    let early = server.post(&format!("{SETS}/shapes-b/commit"), &json!({}));
    assert_eq!(early.status, 409);
    assert!(early.text().contains(&format!("only 1000 of {} bytes", bytes.len())));
    let long = part(&server, 1000, &[&bytes[1000..], b"x".as_slice()].concat(), None);
    assert!(long.text().contains("more than the"), "{}", long.text());
    server.kill();
    server.start_again();
    let incoming = set(&server, "shapes-b")["incoming"].clone();
    assert_eq!((&incoming["state"], &incoming["received"]), (&json!("receiving"), &json!(1000)));
    let refused = server.post("/api/v1/runs", &search("shapes-b"));
    assert!(refused.text().contains("is still being uploaded"), "{}", refused.text());
    assert_eq!(part(&server, 1000, &bytes[1000..], Some(&bytes[1000..])).status, 200);
    assert_eq!(server.post(&format!("{SETS}/shapes-b/commit"), &json!({})).status, 202);
    let found = settled(&server, "shapes-b");
    assert_eq!((&found["state"], &found["title"]), (&json!("ready"), &json!("Shapes <b>")));
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let of = |three: &[u8]| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        let sign = |at: usize| SIGNS[(bits >> (18 - 6 * at)) as usize & 63] as char;
        (0..4).map(|at| if at <= three.len() { sign(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(of).collect()
}

#[test]
fn a_client_that_stops_half_way_leaves_nothing_of_its_part() {
    let server = TestServer::start();
    let asked = json!({"file_name": "s.zip", "bytes": 100_000});
    assert_eq!(server.post(SETS, &asked).status, 201);
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "PUT {SETS}/s/parts?offset=0 HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&[7; 40_000]).unwrap();
    eventually("begun", || set(&server, "s")["incoming"]["done"] != 0);
    drop(stream);
    let content = server.datasets().join(".incoming/s/content");
    eventually("cut", || fs::metadata(&content).unwrap().len() == 0);
    assert_eq!(set(&server, "s")["incoming"]["received"], 0);
    assert_eq!(server.delete(&format!("{SETS}/s/incoming")).status, 204);
    assert_eq!(server.get(&format!("{SETS}/s")).status, 404);
    assert!(left(&server).is_empty());
    // At once and broken off, it is gone altogether.
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST {SETS}?file_name=t.zip HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&[7; 40_000]).unwrap();
    eventually("begun", || !left(&server).is_empty());
    drop(stream);
    eventually("gone", || left(&server).is_empty());
}

#[test]
fn a_data_set_is_renamed_resized_replaced_and_deleted() {
    let server = TestServer::start();
    let first = ready(&server);
    let path = format!("{SETS}/shapes");
    let renamed = server.patch(&path, &json!({"title": "Formen größer"}));
    assert_eq!((renamed.status, &renamed.json()["title"]), (200, &json!("Formen größer")));
    assert_eq!(server.patch(&path, &json!({"title": " "})).status, 422);
    let asked = server.patch(&path, &json!({"size": 16}));
    assert_eq!(asked.status, 200, "{}", asked.text());
    let smaller = settled(&server, "shapes");
    assert_eq!(smaller["shape"]["height"], 16, "{smaller:#}");
    assert_eq!(smaller["versions"].as_array().unwrap().len(), 2);
    assert_ne!(smaller["version"], first["version"]);
    // A run keeps the version that it names.
    let mut old = search("shapes");
    old["dataset"]["version"] = first["version"].clone();
    let made = server.post("/api/v1/runs", &old);
    assert_eq!(made.json()["spec"]["dataset"]["shape"], json!([3, 24, 24]), "{}", made.text());
    old["dataset"]["version"] = json!("0123");
    let refused = server.post("/api/v1/runs", &old);
    assert!(refused.text().contains("`0123` is no version of `shapes`"), "{}", refused.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    server.wait_status(&id, "succeeded");
    // The same bytes again are the same version.
    let again = format!("{SETS}?file_name=shapes.zip&id=shapes");
    assert_eq!(server.send("POST", &again, &BYTES, &shapes()).status, 201);
    let same = settled(&server, "shapes");
    assert_eq!(
        (&same["version"], same["versions"].as_array().unwrap().len()),
        (&first["version"], 2)
    );
    let waiting = server.create("hold");
    let mut held = search("shapes");
    held["name"] = json!("steps=100000 held");
    let held = server.post("/api/v1/runs", &held).created();
    let refused = server.delete(&path);
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("steps=100000 held"), "{}", refused.text());
    for id in [waiting, held] {
        server.post(&format!("/api/v1/runs/{id}/cancel"), &json!({}));
        server.wait(&id, "ended", |run| run["ended_at"] != Value::Null);
    }
    assert_eq!(server.delete(&path).status, 204);
    assert_eq!(server.get(&path).status, 404);
    assert!(!server.datasets().join("shapes").exists());
    assert_eq!(server.run(&id)["spec"]["dataset"]["version"], first["version"]);
    let refused = server.post("/api/v1/runs", &search("shapes"));
    assert!(refused.text().contains("`shapes` is not known; take one of"), "{}", refused.text());
}

#[test]
fn samples_are_listed_and_shown_and_the_report_is_there() {
    let server = TestServer::start();
    let found = ready(&server);
    let list = server.get(&format!("{SETS}/shapes/samples?class=1&limit=5")).json();
    assert_eq!(list["total"], found["train_images"]);
    let samples = list["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 5);
    assert!(samples.iter().all(|one| one["class"] == "cross"), "{samples:?}");
    assert!(samples.iter().all(|one| one["file"].as_str().unwrap().starts_with("cross/")));
    let index = &samples[0]["index"];
    let png = server.get(&format!("{SETS}/shapes/samples/train/{index}"));
    assert_eq!(png.header("content-type"), "image/png");
    let shown = image::load_from_memory(&png.body).unwrap();
    assert_eq!((shown.width(), shown.height()), (24, 24));
    for missing in ["train/36", "valid/0", "train/x"] {
        let answer = server.get(&format!("{SETS}/shapes/samples/{missing}"));
        assert!([400, 404].contains(&answer.status), "{missing}: {}", answer.status);
    }
    let report = server.get(&format!("{SETS}/shapes/report")).json();
    assert_eq!(report["files"], 36);
    assert_eq!(report["splits"][0]["name"], "train");
}

#[test]
fn views_are_drawn_as_the_report_suggests_or_as_asked() {
    let server = TestServer::start();
    let found = ready(&server);
    let path = format!("{SETS}/shapes/augmented");
    let drawn = server.get(&format!("{path}?positions=2,4-5&views=3&seed=9"));
    assert_eq!(
        (drawn.status, drawn.header("content-type")),
        (200, "image/png"),
        "{}",
        drawn.text()
    );
    let said = drawn.json();
    let asked = said["asked"].as_str().unwrap();
    assert!(asked.contains("--positions=2,4-5 --views 3 --seed 9"), "{asked}");
    let data = &said["spec"]["dataset"];
    assert_eq!((&data["version"], &data["crop"]), (&found["version"], &json!(3)));
    let settings = |text: &str| server.get(&format!("{path}?settings={text}"));
    let said =
        settings("%7B%22dataset%22:%7B%22crop%22:1%7D,%22search%22:%7B%22cutout%22:4%7D%7D").json();
    assert_eq!(
        (&said["spec"]["dataset"]["crop"], &said["spec"]["search"]["cutout"]),
        (&json!(1), &json!(4))
    );
    let refused = settings("%7B%22dataset%22:%7B%22crop%22:63%7D%7D");
    assert_eq!((refused.status, refused.text().contains("told to refuse")), (422, true));
    assert_eq!(settings("[]").status, 400);
    assert_eq!(server.get(&format!("{SETS}/nowhere/augmented")).status, 404);
    assert!(left(&server).is_empty(), "{:?}", left(&server));
}

#[test]
fn progress_is_streamed_to_its_end() {
    let server = TestServer::start();
    add(&server, "shapes.zip", &shapes());
    let said: Vec<_> = server.stream(&format!("{SETS}/shapes/events"), None).collect();
    let last = said.last().unwrap();
    assert_eq!((last.event.as_str(), &last.data["state"]), ("dataset", &json!("ready")));
    assert!(said[..said.len() - 1].iter().all(|one| one.event == "incoming"), "{said:?}");
}

#[test]
fn a_large_upload_takes_no_memory() {
    let server = TestServer::start();
    server.get(SETS);
    let idle = server.memory_mb();
    let bytes: u64 = 256 << 20;
    let asked = json!({"file_name": "large.zip", "bytes": bytes});
    assert_eq!(server.post(SETS, &asked).status, 201);
    let part = vec![7; 32 << 20];
    let mut most = 0;
    for offset in (0..bytes).step_by(part.len()) {
        let path = format!("{SETS}/large/parts?offset={offset}");
        assert_eq!(server.send("PUT", &path, &BYTES, &part).status, 200);
        most = most.max(server.memory_mb());
    }
    assert!(most <= idle + 64, "{idle} MB idle, {most} MB");
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let mut options = Options::args(&["--min-free-mib", "100000000"]);
    options.no_data = true;
    let server = TestServer::with(options);
    let refused = add(&server, "shapes.zip", &shapes());
    assert_eq!(refused.status, 507);
    assert!(refused.text().contains("100000000 stay free"), "{}", refused.text());
    assert!(left(&server).is_empty());
    // A disk that becomes full while a part is written.
    let server = TestServer::start();
    let asked = json!({"file_name": "s.zip", "bytes": 100_000});
    assert_eq!(server.post(SETS, &asked).status, 201);
    let content = server.datasets().join(".incoming/s/content");
    fs::remove_file(&content).unwrap();
    std::os::unix::fs::symlink("/dev/full", &content).unwrap();
    let path = format!("{SETS}/s/parts?offset=0");
    let refused = server.send("PUT", &path, &BYTES, &[7; 100_000]);
    assert_eq!(refused.status, 507);
    assert!(refused.text().contains("No space left on device"), "{}", refused.text());
    assert_eq!(set(&server, "s")["incoming"]["received"], 0);
}

/// The files of a folder and its folders, by name.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(tree(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[test]
fn the_client_adds_lists_shows_and_deletes() {
    let server = TestServer::start();
    let folder = server.client_folder().join("My shapes");
    pictures::write(&folder, &classes(&["circle", "cross", "square"], 12, 24));
    let done = server.client(&["datasets", "add", "My shapes", "--title", "Formen"]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    for part in ["formen", "Formen", "circle, cross, square", "3×24×24", "/datasets/formen"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let out = |args: &[&str]| {
        let done = server.client(args);
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (_, list) = out(&["datasets", "ls"]);
    assert!(list.contains("formen") && list.contains("fashion-mnist"), "{list}");
    let (code, checked) = out(&["datasets", "check", "My shapes"]);
    assert!(code == Some(0) && checked.contains("circle, cross, square"), "{checked}");
    assert_eq!(out(&["datasets", "rm", "formen"]), (Some(0), "formen  deleted\n".to_owned()));
    let (code, gone) = out(&["datasets", "show", "formen"]);
    assert_eq!((code, gone.contains("there is no data set `formen`")), (Some(2), true), "{gone}");
    fs::write(server.client_folder().join("empty.zip"), "").unwrap();
    let (code, empty) = out(&["datasets", "add", "empty.zip"]);
    assert_eq!((code, empty.contains("the file is empty")), (Some(2), true), "{empty}");
}

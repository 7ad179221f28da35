//! Public data sets from a mirror that breaks off, lies and answers nothing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use integration_tests::{Options, TestServer};
use serde_json::json;

use super::{SETS, set, settled};

/// A mirror of one file; the first answer ends after a thousand bytes.
struct Mirror {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    fn of(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, count) = (Arc::clone(&asked), AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let first = count.fetch_add(1, Ordering::SeqCst) == 0;
                answer(stream, &content, &kept, first);
            }
        });
        Self { url, asked }
    }
}

fn answer(stream: TcpStream, content: &[u8], asked: &Mutex<Vec<String>>, cut: bool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap_or(0) > 2 {}
    let range = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("range: ").map(str::to_owned));
    let path = head.split(' ').nth(1).unwrap_or("").to_owned();
    asked.lock().unwrap().push(format!("{path} {}", range.clone().unwrap_or_default()));
    let start: usize = range
        .and_then(|range| range["bytes=".len()..].trim_end_matches('-').parse().ok())
        .unwrap_or(0);
    let rest = &content[start.min(content.len())..];
    let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
    let sent = if cut { &rest[..rest.len().min(1000)] } else { rest };
    let mut stream = stream;
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", rest.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
}

fn server(mirrors: &str) -> TestServer {
    TestServer::with(Options::args(&["--mirror", mirrors, "--mirror-only"]))
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let text = "Once upon a time there was a fox.\n".repeat(3000);
    let mirror = Mirror::of(text.clone().into_bytes());
    // Named twice: the second is asked where the first one broke off.
    let server = server(&format!("{0},{0}", mirror.url));
    let made = server.post(SETS, &json!({"fetch": "tinystories"}));
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let found = settled(&server, &id);
    assert_eq!((&found["state"], &found["kind"]), (&json!("ready"), &json!("text")), "{found:#}");
    let asked = mirror.asked.lock().unwrap().clone();
    let path = "/tinystories/TinyStoriesV2-GPT4-valid.txt";
    assert_eq!(asked, [format!("{path} "), format!("{path} bytes=1000-")]);
}

#[test]
fn a_file_that_is_not_what_it_must_be_is_refused() {
    let mirror = Mirror::of(b"nothing of Shakespeare's".to_vec());
    let server = server(&mirror.url);
    let made = server.post(SETS, &json!({"fetch": "tiny-shakespeare"}));
    assert_eq!(made.json()["id"], "tiny-shakespeare", "{}", made.text());
    let failed = settled(&server, "tiny-shakespeare");
    let message = failed["incoming"]["error"]["message"].as_str().unwrap();
    assert!(message.contains("its digest is") && message.contains("86c4e6aa"), "{message}");
    assert!(!server.datasets().join("tiny-shakespeare").exists());
}

#[test]
fn a_machine_without_a_network_says_what_to_do() {
    let server = server("http://127.0.0.1:9");
    let made = server.post(SETS, &json!({"fetch": "cifar-10"}));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let failed = settled(&server, &id);
    let message = failed["incoming"]["error"]["message"].as_str().unwrap();
    assert!(message.contains("upload it here, or name a mirror"), "{message}");
    assert_eq!(server.delete(&format!("{SETS}/{id}/incoming")).status, 204);
    let unknown = server.post(SETS, &json!({"fetch": "imagenet"}));
    assert!(unknown.text().contains("`imagenet` is not known; one of `fashion-mnist`"));
    let _ = set(&server, "fashion-mnist");
}

//! Downloads: parts, tags, digests.

use std::io::Cursor;

use integration_tests::TestServer;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Done {
    server: TestServer,
    base: String,
    files: Value,
}

fn done() -> Done {
    let server = TestServer::start();
    let id = server.create("steps=2");
    let early = server.get(&format!("/api/v1/runs/{id}/artifacts")).json();
    assert!(early["files"].is_array());
    server.wait_status(&id, "succeeded");
    let base = format!("/api/v1/runs/{id}/artifacts");
    let files = server.get(&base).json()["files"].clone();
    Done { server, base, files }
}

#[test]
fn every_file_is_what_its_digest_says() {
    let Done { server, files, .. } = done();
    let files = files.as_array().unwrap();
    let names: Vec<&str> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    for name in ["result.zip", "manifest.json", "model.safetensors", "spec.json", "metrics.csv"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for file in files {
        let answer = server.get(file["url"].as_str().unwrap());
        assert_eq!(answer.status, 200);
        assert_eq!(hex(&answer.body), file["sha256"].as_str().unwrap());
        assert_eq!(answer.body.len() as u64, file["bytes"].as_u64().unwrap());
        assert_eq!(answer.header("etag"), format!("\"{}\"", file["sha256"].as_str().unwrap()));
        assert!(answer.header("repr-digest").starts_with("sha-256=:"));
        let name = file["name"].as_str().unwrap();
        let disposition = answer.header("content-disposition").to_owned();
        assert_eq!(disposition, format!("attachment; filename=\"{name}\""));
    }
}

#[test]
fn the_zip_holds_a_manifest_that_agrees_with_it() {
    let Done { server, base, .. } = done();
    let answer = server.get(&format!("{base}/result.zip"));
    assert_eq!(answer.header("content-type"), "application/zip");
    let mut zip = zip::ZipArchive::new(Cursor::new(answer.body)).unwrap();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        std::io::copy(&mut zip.by_name(name).unwrap(), &mut bytes).unwrap();
        bytes
    };
    let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len(), 5);
    for file in files {
        let bytes = read(file["name"].as_str().unwrap());
        assert_eq!(hex(&bytes), file["sha256"].as_str().unwrap());
    }
}

#[test]
fn parts_of_a_file_can_be_fetched() {
    let Done { server, base, .. } = done();
    let path = format!("{base}/model.safetensors");
    let whole = server.get(&path);
    let length = whole.body.len();
    let etag = whole.header("etag").to_owned();
    let part = |headers: &[(&str, &str)]| server.request("GET", &path, headers, None);
    let first = part(&[("range", "bytes=0-99")]);
    assert_eq!((first.status, &first.body[..]), (206, &whole.body[..100]));
    assert_eq!(first.header("content-range"), format!("bytes 0-99/{length}"));
    let rest = part(&[("range", "bytes=100-"), ("if-range", &etag)]);
    assert_eq!(hex(&[first.body, rest.body].concat()), hex(&whole.body));
    let last = part(&[("range", "bytes=-7")]);
    assert_eq!(last.body, whole.body[length - 7..]);
    let outside = part(&[("range", &format!("bytes={length}-"))]);
    assert_eq!(outside.status, 416);
    assert_eq!(outside.header("content-range"), format!("bytes */{length}"));
    let changed = part(&[("range", "bytes=0-9"), ("if-range", "\"other\"")]);
    assert_eq!((changed.status, changed.body.len()), (200, length));
    assert_eq!(part(&[("if-none-match", &etag)]).status, 304);
    // Compression would make parts and digests meaningless.
    let packed = part(&[("accept-encoding", "gzip")]);
    assert_eq!((packed.header("content-encoding"), packed.body.len()), ("", length));
    let head = server.request("HEAD", &path, &[], None);
    assert_eq!(head.header("content-length"), length.to_string());
    assert!(head.body.is_empty());
}

#[test]
fn nothing_outside_the_package_can_be_fetched() {
    let Done { server, base, .. } = done();
    for name in ["nope.txt", "..%2F..%2F..%2Fspec.json", "%2Fetc%2Fpasswd", "..", "lock"] {
        let answer = server.get(&format!("{base}/{name}"));
        assert!(matches!(answer.status, 404 | 405), "{name}: {}", answer.status);
    }
}

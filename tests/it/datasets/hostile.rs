//! Files that mean harm, or are broken: a clear word, and nothing left behind.

use std::fs;

use integration_tests::TestServer;
use integration_tests::pictures::{Files, classes, shape, zip};
use rstest::rstest;
use serde_json::json;

use super::{SETS, add, left, settled, tree};

fn tar(entries: &[(&str, tar::EntryType)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        // The library refuses such names; whoever means harm writes them all the same.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        let bytes = if kind.is_file() { shape(0, 1, 24) } else { vec![] };
        header.set_size(bytes.len() as u64);
        if !kind.is_file() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        archive.append(&header, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn regular(name: &str) -> Vec<u8> {
    tar(&[("a/1.png", tar::EntryType::Regular), (name, tar::EntryType::Regular)])
}

fn special(kind: tar::EntryType) -> Vec<u8> {
    tar(&[("a/1.png", tar::EntryType::Regular), ("a/x", kind)])
}

/// Zeros pack well: a hundred kilobytes hold a hundred megabytes.
fn bomb() -> Vec<u8> {
    let zeros = vec![0; 120 << 20];
    zip(&vec![("a/zeros.png".to_owned(), zeros)])
}

fn one_class() -> Vec<u8> {
    zip(&classes(&["only"], 5, 24))
}

fn coco() -> Vec<u8> {
    let mut files: Files = vec![("annotations/instances_train.json".to_owned(), b"{}".to_vec())];
    files.extend(classes(&["images"], 4, 24));
    zip(&files)
}

#[rstest]
#[case::climbing("x.tar", regular("../../escaped.png"))]
#[case::absolute("x.tar", regular("/tmp/skein-escaped.png"))]
#[case::link("x.tar", special(tar::EntryType::Symlink))]
#[case::hard_link("x.tar", special(tar::EntryType::Link))]
#[case::device("x.tar", special(tar::EntryType::Char))]
#[case::bomb("x.zip", bomb())]
#[case::cut("x.zip", shapes_cut())]
#[case::nonsense("x.zip", b"PK, or so it says".to_vec())]
#[case::one_class("x.zip", one_class())]
#[case::detection("x.zip", coco())]
#[case::pickle("x.pkl", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.".to_vec())]
fn it_is_refused_with_a_reason_and_leaves_nothing(#[case] name: &str, #[case] bytes: Vec<u8>) {
    let server = TestServer::start();
    let before = tree(server.client_folder());
    let made = add(&server, name, &bytes);
    assert_eq!(made.status, 201, "{}", made.text());
    let failed = settled(&server, "x");
    assert_eq!(failed["state"], "failed", "{failed:#}");
    let error = &failed["incoming"]["error"];
    let message = error["message"].as_str().unwrap();
    assert!(message.len() > 20 && error["code"] != "internal", "{error}\n{}", server.log());
    assert!(!fs::exists(server.datasets().join("x")).unwrap(), "half-registered");
    assert!(!fs::exists("/tmp/skein-escaped.png").unwrap());
    assert!(!fs::exists(server.client_folder().join("escaped.png")).unwrap());
    let kept = server.datasets().join(".incoming/x");
    let size = |path: &String| fs::metadata(path).map_or(0, |file| file.len());
    assert!(
        tree(&kept).iter().map(size).sum::<u64>() < 10_000,
        "bytes are freed: {:?}",
        tree(&kept)
    );
    assert_eq!(server.delete(&format!("{SETS}/x/incoming")).status, 204);
    assert!(left(&server).is_empty());
    let grown: Vec<_> = tree(server.client_folder());
    let new = grown.iter().filter(|path| !before.contains(path) && !path.contains("/data/"));
    assert_eq!(new.collect::<Vec<_>>(), Vec::<&String>::new());
    let refused = json!({"name": "x", "dataset": {"id": "x"}, "space": {"preset": "toy-cell"},
        "search": {"optimizer": {"kind": "drnas"}}});
    assert_eq!(server.post("/api/v1/runs", &refused).status, 422);
}

fn shapes_cut() -> Vec<u8> {
    let whole = super::shapes();
    whole[..whole.len() / 2].to_vec()
}

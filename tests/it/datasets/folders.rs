//! Folders on the server that are registered where they lie.

use std::fs;

use integration_tests::pictures::{self, classes};
use integration_tests::{Options, TestServer};
use serde_json::{Value, json};

use super::{SETS, set, settled};

#[test]
fn only_what_the_administrator_allows_is_read_and_it_stays_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let [allowed, secret] = ["allowed", "secret"].map(|name| home.path().join(name));
    for folder in [&allowed, &secret] {
        pictures::write(&folder.join("shapes"), &classes(&["circle", "square"], 8, 24));
    }
    std::os::unix::fs::symlink(&secret, allowed.join("link")).unwrap();
    let server = TestServer::with(Options::args(&["--allow-folder", allowed.to_str().unwrap()]));
    let ask = |path: &std::path::Path| server.post(SETS, &json!({"folder": path}));
    for path in
        [secret.join("shapes"), allowed.join("link/shapes"), allowed.join("../secret/shapes")]
    {
        let refused = ask(&path);
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert!(refused.text().contains("is not below"), "{}", refused.text());
    }
    assert_eq!(ask(&allowed.join("nowhere")).status, 403);
    let before = super::tree(&allowed);
    let made = ask(&allowed.join("shapes"));
    assert_eq!(made.status, 201, "{}", made.text());
    let found = settled(&server, "shapes");
    assert_eq!(found["state"], "ready", "{found:#}");
    assert_eq!(found["versions"][0]["folder"], json!(allowed.join("shapes")));
    assert_eq!(super::tree(&allowed), before);
    // What runs use is ours: another size is made of the folder as it is then.
    fs::remove_dir_all(allowed.join("shapes")).unwrap();
    let path = format!("{SETS}/shapes");
    let refused = server.patch(&path, &json!({"size": 16}));
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert_eq!(server.get(&format!("{path}/samples/train/0")).status, 200);
    assert_eq!(set(&server, "shapes")["incoming"], Value::Null);
}

#[test]
fn without_an_allowed_folder_none_is_read() {
    let server = TestServer::start();
    let refused = server.post(SETS, &json!({"folder": "/etc"}));
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("--allow-folder DIR"), "{}", refused.text());
}

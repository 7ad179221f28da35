//! The pages of data sets, without scripts.

use integration_tests::TestServer;
use integration_tests::pictures::{classes, zip};
use serde_json::json;

use super::{SETS, add, ready, settled};

#[test]
fn pages_show_every_data_set_and_what_was_found() {
    let server = TestServer::start();
    ready(&server);
    let list = server.get("/datasets").text();
    for part in ["FashionMNIST", "CIFAR-10", "shapes", "/runs/new?dataset=shapes", "3 classes"] {
        assert!(list.contains(part), "{part}");
    }
    let page = server.get("/datasets/shapes?split=test&class=1").text();
    for part in ["What was found", "circle", "samples/test/", "Versions", "Runs on it"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("samples/train/"));
    assert_eq!(server.get("/datasets/nowhere").status, 404);
    let form = server.get("/runs/new?dataset=shapes").text();
    assert!(form.contains(r#"<option value="shapes" selected>shapes</option>"#));
}

#[test]
fn data_sets_that_are_known_by_name_show_their_images() {
    let server = TestServer::start();
    let list = server.get("/datasets").text();
    assert!(list.contains("/api/v1/datasets/fashion-mnist/samples/train/7\""), "{list}");
    assert!(!list.contains("cifar-10/samples"), "{list}");
    let page = server.get("/datasets/fashion-mnist?split=test").text();
    for part in ["samples/test/3", "Sandal", "fashion-mnist/augmented", "Runs on it"] {
        assert!(page.contains(part), "{part}");
    }
    let drawn = server.get(&format!("{SETS}/fashion-mnist/samples/test/3"));
    assert_eq!((drawn.status, drawn.header("content-type")), (200, "image/png"));
    assert_eq!(drawn.header("cache-control"), "no-cache");
    assert_eq!(server.get(&format!("{SETS}/fashion-mnist/samples/test/4")).status, 404);
    assert_eq!(server.get(&format!("{SETS}/cifar-10/samples")).status, 404);
    let text = server.get(&format!("{SETS}/tiny-shakespeare/samples"));
    assert_eq!(text.status, 404, "{}", text.text());
}

#[test]
fn what_people_call_things_is_never_markup() {
    let server = TestServer::start();
    let names = ["<img src=x onerror=alert(1)>", "\"quoted\" & 'so'", "\u{202E}evil\u{202C}"];
    let made = add(&server, "shapes.zip", &zip(&classes(&names, 6, 24)));
    assert_eq!(made.status, 201, "{}", made.text());
    let found = settled(&server, "shapes");
    assert_eq!(found["state"], "ready", "{found:#}");
    let title = "<script>alert(1)</script>";
    let renamed = server.patch(&format!("{SETS}/shapes"), &json!({"title": title}));
    assert_eq!(renamed.status, 200, "{}", renamed.text());
    for page in ["/datasets", "/datasets/shapes", "/runs/new?dataset=shapes"] {
        let text = server.get(page).text();
        assert!(!text.contains("<img src=x") && !text.contains("<script>alert"), "{page}");
        assert!(!text.contains('\u{202E}'), "{page}: a mark that turns text round");
    }
}

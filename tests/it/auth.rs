//! Who may ask: token, `Host`, `Origin`, limits on headers.

use integration_tests::{Options, TestServer};
use rstest::rstest;

const TOKEN: &str = "correct-horse";

/// Every route, with `{id}` for a run.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/runs"),
    ("GET", "/runs/new"),
    ("GET", "/runs/{id}"),
    ("GET", "/certify"),
    ("GET", "/queue"),
    ("GET", "/api/v1/runs"),
    ("POST", "/api/v1/runs"),
    ("POST", "/api/v1/runs/preflight"),
    ("GET", "/api/v1/runs/{id}"),
    ("PATCH", "/api/v1/runs/{id}"),
    ("POST", "/api/v1/runs/{id}/cancel"),
    ("POST", "/api/v1/runs/{id}/pause"),
    ("POST", "/api/v1/runs/{id}/resume"),
    ("GET", "/api/v1/runs/{id}/events"),
    ("GET", "/api/v1/events?runs={id}"),
    ("GET", "/api/v1/runs/{id}/metrics"),
    ("GET", "/api/v1/runs/{id}/rows"),
    ("GET", "/api/v1/runs/{id}/architecture"),
    ("GET", "/api/v1/runs/{id}/architecture.svg"),
    ("GET", "/api/v1/runs/{id}/architecture.txt"),
    ("GET", "/api/v1/runs/{id}/logs"),
    ("GET", "/api/v1/runs/{id}/artifacts"),
    ("GET", "/api/v1/runs/{id}/artifacts/result.zip"),
    ("GET", "/api/v1/spaces"),
    ("GET", "/api/v1/spaces/toy-cell"),
    ("GET", "/api/v1/spaces/toy-cell/drawing.svg"),
    ("GET", "/api/v1/optimizers"),
    ("GET", "/api/v1/datasets"),
    ("GET", "/api/v1/devices"),
    ("GET", "/api/v1/queue"),
    ("GET", "/api/v1/cluster"),
    ("POST", "/api/v1/cluster/check"),
    ("GET", "/api/v1/checks"),
    ("GET", "/api/v1/spec-schema"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/docs"),
    ("GET", "/metrics"),
    ("GET", "/no/such/page"),
    ("DELETE", "/api/v1/runs/{id}"),
];

fn guarded() -> TestServer {
    TestServer::with(Options::default().env("SKEIN_TOKEN", TOKEN))
}

#[test]
fn every_route_asks_for_the_token() {
    let server = guarded();
    let bearer = format!("Bearer {TOKEN}");
    let authorized = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = integration_tests::spec("steps=1").to_string();
    let made = server.request("POST", "/api/v1/runs", &authorized, Some(&body));
    let id = made.created();
    for (method, path) in ROUTES {
        let path = path.replace("{id}", &id);
        for headers in [&[][..], &[("authorization", "Bearer wrong-token")]] {
            let answer = server.request(method, &path, headers, None);
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
        if *method == "GET" && !path.ends_with("events") {
            let answer = server.request(method, &path, &authorized[..1], None);
            assert_ne!(answer.status, 401, "{method} {path}");
        }
    }
    for open in ["/livez", "/readyz"] {
        assert_eq!(server.get(open).status, 200);
    }
}

#[test]
fn a_browser_is_sent_to_the_log_in_and_gets_a_cookie_there() {
    let server = guarded();
    let page = [("accept", "text/html,application/xhtml+xml")];
    let answer = server.request("GET", "/runs?q=a%20b", &page, None);
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), "/login?next=/runs%3Fq%3Da%2520b");
    let log_in = |body: &str| {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        server.request("POST", "/login", &form, Some(body))
    };
    let wrong = log_in("token=nope&next=/runs");
    assert_eq!(wrong.header("location"), "/login?failed=1&next=/runs");
    assert_eq!(wrong.header("set-cookie"), "");
    let right = log_in(&format!("token={TOKEN}&next=/runs?q=a"));
    assert_eq!((right.status, right.header("location")), (303, "/runs?q=a"));
    let cookie = right.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(TOKEN), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let answer = server.request("GET", "/api/v1/runs", &[("cookie", pair)], None);
    assert_eq!(answer.status, 200);
    for elsewhere in ["//evil.example", "https://evil.example", "/\\evil.example"] {
        let answer = log_in(&format!("token={TOKEN}&next={elsewhere}"));
        assert_eq!(answer.header("location"), "/", "{elsewhere}");
    }
}

/// What a browser keeps of one host: cookies by name and path, whatever the port.
#[derive(Default)]
struct Browser(std::collections::BTreeMap<(String, String), String>);

impl Browser {
    fn log_in(&mut self, server: &TestServer, path: &str) {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = format!("token={TOKEN}&next=/runs");
        self.take(&server.request("POST", &format!("{path}/login"), &form, Some(&body)));
    }

    fn take(&mut self, answer: &integration_tests::Answer) {
        let set = answer.header("set-cookie");
        let (name, rest) = set.split_once('=').unwrap();
        let (value, rest) = rest.split_once("; Path=").unwrap();
        let key = (name.to_owned(), rest.split(';').next().unwrap().to_owned());
        if rest.contains("Max-Age=0") {
            self.0.remove(&key);
        } else {
            self.0.insert(key, value.to_owned());
        }
    }

    fn log_out(&mut self, server: &TestServer, path: &str) {
        let address = format!("{path}/logout");
        let cookies = self.cookies(&address);
        self.take(&server.request("POST", &address, &[("cookie", &cookies)], None));
    }

    fn is_in(&self, server: &TestServer, path: &str) -> bool {
        let address = format!("{path}/api/v1/runs");
        let cookies = self.cookies(&address);
        server.request("GET", &address, &[("cookie", &cookies)], None).status == 200
    }

    fn cookies(&self, address: &str) -> String {
        let sent = self.0.iter().filter(|((_, below), _)| address.starts_with(below));
        let sent = sent.map(|((name, _), value)| format!("{name}={value}"));
        sent.collect::<Vec<_>>().join("; ")
    }
}

#[test]
fn servers_on_one_host_keep_their_sessions() {
    let (one, other) = (guarded(), guarded());
    let mut browser = Browser::default();
    browser.log_in(&one, "");
    assert!(browser.is_in(&one, "") && !browser.is_in(&other, ""));
    browser.log_in(&other, "");
    assert!(browser.is_in(&one, "") && browser.is_in(&other, ""));
    browser.log_out(&one, "");
    assert!(!browser.is_in(&one, "") && browser.is_in(&other, ""));
}

#[test]
fn servers_below_prefixes_of_one_port_keep_their_sessions() {
    let below = |prefix: &str| {
        let options = Options::args(&["--prefix", prefix]).env("SKEIN_TOKEN", TOKEN);
        let mut server = TestServer::with(options);
        // The path is written out, as it matters for cookies.
        server.url = server.url.strip_suffix(prefix).unwrap().to_owned();
        server
    };
    let (outer, inner) = (below("/nas"), below("/nas/inner"));
    let mut browser = Browser::default();
    browser.log_in(&outer, "/nas");
    browser.log_in(&inner, "/nas/inner");
    assert!(browser.is_in(&outer, "/nas") && browser.is_in(&inner, "/nas/inner"));
    browser.log_out(&inner, "/nas/inner");
    assert!(browser.is_in(&outer, "/nas") && !browser.is_in(&inner, "/nas/inner"));
}

#[rstest]
#[case::name("localhost", None, 200)]
#[case::with_port("localhost:1234", None, 200)]
#[case::rebound("evil.example", None, 403)]
#[case::rebound_with_port("evil.example:7878", None, 403)]
#[case::same_origin("localhost:9", Some("http://localhost:9"), 200)]
#[case::other_port("localhost:9", Some("http://localhost:10"), 403)]
#[case::other_site("localhost:9", Some("https://evil.example"), 403)]
#[case::opaque("localhost:9", Some("null"), 403)]
fn hosts_and_origins(#[case] host: &str, #[case] origin: Option<&str>, #[case] status: u16) {
    let server = TestServer::start();
    let mut headers = vec![("host", host)];
    headers.extend(origin.map(|origin| ("origin", origin)));
    for path in ["/api/v1/runs", "/livez", "/api/v1/devices", "/metrics"] {
        assert_eq!(server.request("GET", path, &headers, None).status, status, "{path}");
    }
    headers.push(("content-type", "application/json"));
    let body = integration_tests::spec("steps=1").to_string();
    let answer = server.request("POST", "/api/v1/runs", &headers, Some(&body));
    assert_eq!(answer.status, if status == 200 { 201 } else { 403 });
}

#[test]
fn a_foreign_page_cannot_send_without_an_origin_either() {
    let server = TestServer::start();
    let headers = [("sec-fetch-site", "cross-site")];
    assert_eq!(server.request("POST", "/api/v1/runs", &headers, None).status, 403);
    assert_eq!(server.request("GET", "/api/v1/runs", &headers, None).status, 200);
}

#[test]
fn an_allowed_host_may_be_used_by_a_proxy() {
    let server = TestServer::with(Options::args(&["--allow-host", "nas.example"]));
    let headers = [("host", "nas.example"), ("origin", "https://nas.example")];
    assert_eq!(server.request("GET", "/api/v1/runs", &headers, None).status, 200);
    let headers = [("host", "other.example")];
    assert_eq!(server.request("GET", "/api/v1/runs", &headers, None).status, 403);
}

#[test]
fn a_prefix_is_part_of_every_address() {
    let server = TestServer::with(Options::args(&["--prefix", "/nas"]));
    assert!(server.url.ends_with("/nas"));
    let id = server.create("steps=1");
    server.wait_status(&id, "succeeded");
    let files = server.get(&format!("/api/v1/runs/{id}/artifacts")).json();
    let url = files["files"][0]["url"].as_str().unwrap();
    assert_eq!(url, format!("/nas/api/v1/runs/{id}/artifacts/result.zip"));
    assert_eq!(server.events(&id, "", None).count(), server.events(&id, "", None).count());
}

#[test]
fn headers_have_a_limit() {
    let server = TestServer::start();
    let long = "x".repeat(20_000);
    let answer = server.request("GET", "/api/v1/runs", &[("x-long", &long)], None);
    assert_eq!(answer.status, 431);
    let id = server.request("GET", "/livez", &[("x-request-id", "abc-1")], None);
    assert_eq!(id.header("x-request-id"), "abc-1");
    let id = server.request("GET", "/livez", &[("x-request-id", "<script>")], None);
    assert_ne!(id.header("x-request-id"), "<script>");
}

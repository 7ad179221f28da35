//! The client where variables name proxies.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use integration_tests::{Options, TestServer, program};
use rstest::rstest;

/// A proxy that leads every request to one server, whatever name it was asked for.
struct Proxy {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Proxy {
    fn to(server: &TestServer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, target) = (Arc::clone(&asked), server.url.replace("http://", ""));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                tunnel(client.unwrap(), &target);
            }
        });
        Self { url, asked }
    }
}

/// Answers `CONNECT` and passes bytes on in both directions.
fn tunnel(mut client: TcpStream, target: &str) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    let server = TcpStream::connect(target).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    for (mut from, mut to) in
        [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
    {
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    }
}

/// Lists runs of `url` with no variables but these.
fn list(server: &TestServer, url: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = server.client_command(&["runs", "ls", "--json"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env("SKEIN_URL", url).envs(variables.iter().copied()).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An address where nobody listens.
const DEAD: &str = "http://127.0.0.1:9";

#[rstest]
#[case("HTTPS_PROXY")]
#[case("https_proxy")]
#[case("http_proxy")]
#[case("HTTP_PROXY")]
#[case("ALL_PROXY")]
#[case("all_proxy")]
fn a_server_on_this_machine_is_asked_directly(#[case] variable: &str) {
    let server = TestServer::start();
    let named = server.url.replace("127.0.0.1", "localhost");
    for url in [&server.url, &named] {
        for value in [DEAD, "not a proxy"] {
            let done = list(&server, url, &[(variable, value)]);
            assert_eq!(done.status.code(), Some(0), "{url} {value}: {}", err(&done));
        }
    }
}

#[test]
fn the_demonstration_asks_its_own_server_directly() {
    let server = TestServer::start();
    let mut command = server.client_command(&["demo", "--exit", "--data", "demo"]);
    command.args(["--datasets", "datasets", "--worker"]).arg(program("fake-worker"));
    let done = command.env("ALL_PROXY", DEAD).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
}

#[test]
fn another_machine_is_asked_through_the_proxy_of_its_scheme() {
    let server = TestServer::with(Options::args(&["--allow-host", "skein.example"]));
    let proxy = Proxy::to(&server);
    let url = "http://skein.example:7878";
    let done = list(&server, url, &[("http_proxy", &proxy.url), ("HTTPS_PROXY", DEAD)]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    assert_eq!(proxy.asked.load(Ordering::SeqCst), 1);
}

#[rstest]
#[case::its_scheme("http_proxy", "http://skein.invalid:7878", true)]
#[case::another_scheme("HTTPS_PROXY", "http://skein.invalid:7878", false)]
#[case::of_tls("HTTPS_PROXY", "https://skein.invalid:7878", true)]
#[case::all("ALL_PROXY", "http://skein.invalid:7878", true)]
fn a_failure_names_the_proxy_and_its_variable(
    #[case] variable: &str,
    #[case] url: &str,
    #[case] asked: bool,
) {
    let server = TestServer::start();
    let done = list(&server, url, &[(variable, "http://me:secret@127.0.0.1:9")]);
    assert_eq!(done.status.code(), Some(1));
    let text = err(&done);
    let proxy = format!("through the proxy http://127.0.0.1:9 of {variable}");
    assert_eq!(text.contains(&proxy), asked, "{text}");
    assert_eq!(text.contains("list `skein.invalid` in NO_PROXY"), asked, "{text}");
    assert_eq!(text.contains("`skein serve`"), !asked, "{text}");
    assert!(!text.contains("secret"), "{text}");
    let listed = list(&server, url, &[(variable, DEAD), ("NO_PROXY", "other.example,.invalid")]);
    assert_eq!(listed.status.code(), Some(1));
    assert!(!err(&listed).contains("proxy"), "{}", err(&listed));
}

#[test]
fn a_variable_that_holds_no_proxy_is_refused() {
    let server = TestServer::start();
    let done = list(&server, "http://skein.invalid", &[("all_proxy", "not a proxy")]);
    assert_eq!(done.status.code(), Some(2));
    assert!(err(&done).contains("all_proxy holds no address of a proxy"), "{}", err(&done));
}

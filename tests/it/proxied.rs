//! The server behind the real nginx: as people write it, and as the documentation does.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use integration_tests::{Answer, Options, TestServer, eventually, spec};
use rstest::rstest;
use tempfile::TempDir;

/// An nginx on a free port, with all that it writes in a folder of its own.
struct Nginx {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it with one `location`, which passes requests on to `server`.
    fn before(server: &TestServer, location: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let own = server.url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let location = location.replace("127.0.0.1:7878", own);
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let places: Vec<String> = kinds.iter().map(|of| format!("{of}_temp_path {of};")).collect();
        let configuration = format!(
            "daemon off; master_process off; pid nginx.pid;\nevents {{}}\n\
             http {{ access_log off; {} server {{ listen {free}; {location} }} }}\n",
            places.join(" ")
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let log = std::fs::File::create(folder.path().join("nginx.log")).unwrap();
        let child = Command::new(program())
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let nginx = Self { child, url: format!("http://{free}"), _folder: folder };
        nginx.wait(free);
        nginx
    }

    fn wait(&self, address: SocketAddr) {
        eventually("nginx listening", || TcpStream::connect(address).is_ok());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The nginx of this machine, or one that is fetched.
fn program() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/find_nginx.sh");
    let found = Command::new(script).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
}

/// The lines that the documentation gives.
fn documented() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/server.md");
    let page = std::fs::read_to_string(page).unwrap();
    page.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

/// What people write.
const BARE: &str = "location / { proxy_pass http://127.0.0.1:7878; }";
/// What many copy; the `Host` then has no port.
const COPIED: &str =
    "location / { proxy_pass http://127.0.0.1:7878; proxy_set_header Host $host; }";

/// A server that nginx stands before.
fn behind(location: &str, args: &[&str]) -> (TestServer, Nginx) {
    let mut server = TestServer::with(Options::args(args));
    let nginx = Nginx::before(&server, location);
    let path = server.url.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
    server.url = format!("{}{}", nginx.url, path.unwrap_or_default());
    (server, nginx)
}

/// What a browser sends that knows the server by a name.
fn create(server: &TestServer, host: &str, origin: &str) -> Answer {
    let headers = [("host", host), ("origin", origin), ("content-type", "application/json")];
    server.request("POST", "/api/v1/runs", &headers, Some(&spec("steps=3").to_string()))
}

#[test]
fn a_name_that_was_not_told_is_refused_with_what_to_set() {
    let (server, _nginx) = behind(BARE, &[]);
    // The page itself is read, as nginx asks for the address that it knows.
    let page = server.request("GET", "/runs", &[("host", "nas.example")], None);
    assert_eq!(page.status, 200);
    let refused = create(&server, "nas.example", "http://NAS.example");
    assert_eq!(refused.status, 403);
    let told = refused.json()["detail"].as_str().unwrap().to_owned();
    let asked = |word: &str| assert!(told.contains(word), "{word}: {told}");
    asked("`http://NAS.example` (its Origin)");
    asked("`127.0.0.1:");
    asked("(its Host)");
    asked("`--allow-host nas.example`");
    asked("SKEIN_ALLOW_HOST=nas.example");
}

#[test]
fn a_port_that_the_proxy_leaves_out_is_said() {
    let (server, _nginx) = behind(COPIED, &[]);
    let refused = create(&server, "localhost:8080", "http://localhost:8080");
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("proxy_set_header Host $http_host"), "{}", refused.text());
}

#[rstest]
#[case::bare(BARE.to_owned())]
#[case::copied(COPIED.to_owned())]
#[case::documented(documented())]
fn with_the_name_set_everything_works(#[case] location: String) {
    let (server, _nginx) = behind(&location, &["--allow-host", "Nas.Example"]);
    for (host, origin) in [
        ("nas.example", "http://nas.example"),
        ("NAS.EXAMPLE", "https://nas.example"),
        ("nas.example:8080", "http://NAS.example:8080"),
    ] {
        let made = create(&server, host, origin);
        let id = made.created();
        server.wait_status(&id, "succeeded");
        let kinds: Vec<String> = server.events(&id, "", None).map(|sent| sent.event).collect();
        assert!(kinds.iter().any(|kind| kind == "progress"), "{kinds:?}");
    }
    let foreign = create(&server, "nas.example", "http://evil.example");
    assert_eq!(foreign.status, 403);
}

#[test]
fn a_stream_arrives_while_the_run_works() {
    let (server, _nginx) = behind(&documented(), &["--allow-host", "nas.example"]);
    let id = server.create("steps=4000 pace=10");
    let mut events = server.events(&id, "", None);
    let first = events.next().unwrap();
    assert!(!first.event.is_empty());
    assert_ne!(server.run(&id)["status"], "succeeded");
    // An image of more than nginx's own limit gets as far as the server.
    let image = "x".repeat(2 << 20);
    let headers = [("content-type", "image/png")];
    let path = format!("/api/v1/runs/{id}/predict");
    let answer = server.request("POST", &path, &headers, Some(&image));
    assert!(answer.text().contains("no network yet"), "{}", answer.text());
}

#[test]
fn a_path_of_a_site_may_be_the_server() {
    let location = documented().replace("location / {", "location /nas/ {");
    let (server, _nginx) = behind(&location, &["--prefix", "/nas", "--allow-host", "nas.example"]);
    assert!(server.url.ends_with("/nas"), "{}", server.url);
    let id = create(&server, "nas.example", "http://nas.example").created();
    server.wait_status(&id, "succeeded");
    let page = server.request("GET", &format!("/runs/{id}"), &[("accept", "text/html")], None);
    assert!(page.text().contains("href=\"/nas/static/"), "{}", page.text());
}

//! What the Dockerfile promises, as far as it can be tried without Docker.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use integration_tests::{Options, TestServer, is_alive, kill, program};

fn dockerfile() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Dockerfile");
    std::fs::read_to_string(path).unwrap()
}

/// Variables that the image sets.
fn image() -> Vec<(String, String)> {
    let text = dockerfile().replace("\\\n", " ");
    let line = text.lines().find(|line| line.starts_with("ENV ")).unwrap();
    let pairs = line.split_whitespace().skip(1).map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Stands for `docker`: writes down the variables that `docker run` would set.
const DOCKER: &str = r#"#!/bin/sh
[ "$1" = run ] || exit 0
while [ $# -gt 0 ]; do
    if [ "$1" = -e ]; then
        case "$2" in
            *=*) echo "$2" ;;
            *) eval "echo $2=\$$2" ;;
        esac
    fi
    shift
done >"$SAID"
"#;

/// Variables of the container that the comments of the Dockerfile start.
fn documented() -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let docker = folder.path().join("docker");
    std::fs::write(&docker, DOCKER).unwrap();
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = folder.path().join("said");
    let text = dockerfile();
    let lines = text.lines().filter_map(|line| line.strip_prefix("#   "));
    // Words after the commands are separated from them by three spaces.
    let commands: Vec<&str> = lines.map(|line| line.split("   ").next().unwrap()).collect();
    assert!(commands.iter().any(|line| line.starts_with("docker run")), "{commands:?}");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let done = Command::new("sh")
        .args(["-ec", &commands.join("\n")])
        .env("PATH", path)
        .env("SAID", &said)
        .env_remove("SKEIN_TOKEN")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success());
    let said = std::fs::read_to_string(said).unwrap();
    let pairs = said.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_documented_command_starts_a_healthy_server() {
    let mut options = Options::args(&["--listen", "0.0.0.0:0"]);
    options.env = documented();
    let token = options.env.iter().find(|(name, _)| name == "SKEIN_TOKEN").unwrap().1.clone();
    let mut server = TestServer::with(options);
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    let listen = image().into_iter().find(|(name, _)| name == "SKEIN_LISTEN").unwrap().1;
    assert!(listen.starts_with("0.0.0.0:"), "{listen}");
    let text = dockerfile();
    let check = text.lines().find(|line| line.starts_with("HEALTHCHECK")).unwrap();
    let words: Vec<String> = serde_json::from_str(check.split("CMD ").nth(1).unwrap()).unwrap();
    let healthy = || {
        assert_eq!(words[0], "skein");
        Command::new(program("skein"))
            .args(&words[1..])
            .env_remove("SKEIN_URL")
            .env("SKEIN_LISTEN", format!("0.0.0.0:{port}"))
            .env("SKEIN_TOKEN", &token)
            .env("http_proxy", "http://127.0.0.1:9")
            .output()
            .unwrap()
    };
    let well = healthy();
    assert!(well.status.success(), "{}", String::from_utf8_lossy(&well.stderr));
    server.stop();
    assert!(!healthy().status.success());
}

#[test]
fn a_stop_is_over_before_docker_kills_and_loses_one_interval_at_most() {
    let mut server = TestServer::with(Options::default().env("SKEIN_LOG", "skein_server=debug"));
    // A worker in a step that takes longer than anybody waits.
    let id = server.create("deaf steps=4000 pace=10");
    server.wait_step(&id, 20);
    let worker = server.worker_pid(&id);
    let (code, took) = server.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    // The container ends with its first process.
    assert!(is_alive(worker));
    let reached = last_step(&server, &id, 1, true);
    kill(worker);
    integration_tests::eventually("the worker gone", || !is_alive(worker));
    server.start_again();
    server.wait(&id, "at work again", |run| run["attempt"] == 2 && run["status"] == "running");
    let again = last_step(&server, &id, 2, false);
    // The scripted worker leaves a checkpoint every four steps.
    assert!(again + 4 >= reached, "from {again}, had reached {reached}");
    // Nor does a stop count as one of the few retries of a run that was lost.
    assert!(!server.log().contains("status=lost"), "{}", server.log());
}

/// First or last step of the search that an attempt told.
fn last_step(server: &TestServer, id: &str, attempt: u32, last: bool) -> u64 {
    let path = server.run_folder(id).join(format!("attempts/{attempt}/events.jsonl"));
    let step = || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let events = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let steps = events.filter_map(|event: serde_json::Value| {
            (event["kind"] == "metrics").then(|| event["payload"]["step"].as_u64())?
        });
        let steps: Vec<u64> = steps.collect();
        if last { steps.last().copied() } else { steps.first().copied() }
    };
    integration_tests::eventually("a step", || step().is_some());
    step().unwrap()
}

/// Starts a server on a folder as a user who may not write there.
fn as_nobody(data: &Path) -> Output {
    const NOBODY: u32 = 65_534;
    // A copy that every user may run.
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("skein");
    std::fs::copy(program("skein"), &own).unwrap();
    for path in [folder.path(), &own] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(&own);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    command.env_remove("SKEIN_TOKEN").current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output().unwrap()
}

#[test]
fn a_folder_that_may_not_be_written_is_one_sentence_with_the_users_number() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(folder.path(), mode(0o555)).unwrap();
    let user = match rustix::process::geteuid() {
        user if user.is_root() => 65_534,
        user => user.as_raw(),
    };
    let new = folder.path().join("new");
    for data in [folder.path(), new.as_path()] {
        let done = as_nobody(data);
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{text}");
        assert_eq!(text.trim().lines().count(), 1, "{text}");
        let shown = data.display();
        assert!(text.contains(&format!("`{shown}` cannot be written by user {user}")), "{text}");
        assert!(text.contains(&format!("chown -R {user} {shown}")), "{text}");
    }
    std::fs::set_permissions(folder.path(), mode(0o755)).unwrap();
}

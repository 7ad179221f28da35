//! Servers for tests, requests to them, and valid specifications.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test's tool fails by panicking"
)]

mod answer;
pub mod fake_slurm;
pub mod pictures;
mod process;
pub mod slurm;
mod specs;
pub mod tables;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use process::{kill_worker, memory_mb, pid};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::{Method, Request};

pub use answer::{Answer, Events, Sent};
pub use pictures::write_dataset;
pub use process::{is_alive, kill, pause, raise_open_files, resume, with_words};
pub use specs::{searched, spec, tiny};

/// Nothing that a test waits for takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// A built program of the workspace, beside this test's own.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("the test's own path");
    let folders = here.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "`{name}` is not built; run `cargo build --release -p skein-server -p integration-tests`"
        )
    })
}

/// How a server is started.
#[derive(Debug, Default)]
pub struct Options {
    /// Further arguments.
    pub args: Vec<String>,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
    /// Leave the data sets out.
    pub no_data: bool,
    /// Work with the real worker, on a data set that it can learn from.
    pub real: bool,
}

impl Options {
    /// With further arguments.
    #[must_use]
    pub fn args(args: &[&str]) -> Self {
        Self { args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..Self::default() }
    }

    /// With a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A server with a data folder of its own and the fake worker; all its processes end with it.
#[derive(Debug)]
pub struct TestServer {
    child: Option<Child>,
    options: Options,
    folder: TempDir,
    /// Address of the server, without a slash at the end.
    pub url: String,
    agent: Agent,
}

impl TestServer {
    /// Starts a server.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts a server with options.
    #[must_use]
    pub fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if !options.no_data {
            let (train, test) = if options.real { (160, 40) } else { (8, 4) };
            write_dataset(&folder.path().join("datasets/fashion-mnist"), train, test);
        }
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(LIMIT))
            .build()
            .into();
        let mut server = Self { child: None, options, folder, url: String::new(), agent };
        server.start_again();
        server
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Folder of the data sets.
    #[must_use]
    pub fn datasets(&self) -> PathBuf {
        self.folder.path().join("datasets")
    }

    /// Folder of a run.
    #[must_use]
    pub fn run_folder(&self, id: &str) -> PathBuf {
        self.data().join("runs").join(id)
    }

    /// The command that starts this server.
    #[must_use]
    pub fn command(&self) -> Command {
        let worker = if self.options.real { "skein-worker" } else { "fake-worker" };
        let mut command = Command::new(program("skein"));
        command.arg("serve").arg("--data").arg(self.data());
        for [name, value] in [["--listen", "127.0.0.1:0"], ["--min-free-mib", "1"]] {
            if !self.options.args.iter().any(|arg| arg == name) {
                command.args([name, value]);
            }
        }
        command.arg("--datasets").arg(self.datasets());
        command.arg("--worker").arg(program(worker));
        command.args(&self.options.args);
        for name in ["SKEIN_TOKEN", "SKEIN_URL", "SKEIN_DATA", "SKEIN_LISTEN", "SKEIN_DATASETS"] {
            command.env_remove(name);
        }
        command.envs(self.options.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the server anew on the same data folder; it must not run.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("server.log"))
            .expect("a log");
        let mut child = self.command().stdout(Stdio::piped()).stderr(log).spawn().expect("skein");
        let mut line = String::new();
        let out = child.stdout.take().expect("standard output");
        BufReader::new(out).read_line(&mut line).expect("the ready line");
        self.child = Some(child);
        let url = line.trim().strip_prefix("Skein is ready at ");
        let url = url.unwrap_or_else(|| panic!("not ready: {line:?}\n{}", self.log()));
        self.url = url.trim_end_matches('/').to_owned();
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Kills the server, not its workers.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let mut child = self.child.take().expect("a server");
        child.wait().expect("the server's end");
    }

    /// Asks the server to stop and gives its exit code and how long it took.
    pub fn stop(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("a server");
        loop {
            if let Some(status) = child.try_wait().expect("the server's end") {
                return (status.code(), began.elapsed());
            }
            assert!(began.elapsed() < LIMIT + LIMIT, "the server does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a server");
        kill_process(pid(child.id()), signal).expect("signal");
    }

    /// Memory that the server's process holds, in MB.
    #[must_use]
    pub fn memory_mb(&self) -> u64 {
        memory_mb(self.child.as_ref().expect("a server").id())
    }

    /// Sends a request with any body and headers.
    ///
    /// # Panics
    /// - if the server does not answer.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let method: Method = method.parse().expect("a method");
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            None => self.agent.run(request.body(()).expect("a request")),
            Some(body) => self.agent.run(request.body(body.to_owned()).expect("a request")),
        };
        Answer::of(sent.unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log())))
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// - if the server does not answer.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], bytes: &[u8]) -> Answer {
        let method: Method = method.parse().expect("a method");
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = self.agent.run(request.body(bytes).expect("a request"));
        Answer::of(sent.unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log())))
    }

    /// Asks for a path.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], None)
    }

    /// Sends JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.request("POST", path, &headers, Some(&body.to_string()))
    }

    /// Changes something.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.request("PATCH", path, &headers, Some(&body.to_string()))
    }

    /// Deletes something.
    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], None)
    }

    /// Creates a run and gives its id.
    pub fn create(&self, name: &str) -> String {
        self.post("/api/v1/runs", &spec(name)).created()
    }

    /// A run as the API shows it.
    pub fn run(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/v1/runs/{id}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until a run is as it should be.
    pub fn wait(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.wait_within(LIMIT, id, what, is_so)
    }

    /// Waits for so long until a run is as it should be.
    pub fn wait_within(
        &self,
        limit: Duration,
        id: &str,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let began = Instant::now();
        loop {
            let run = self.run(id);
            if is_so(&run) {
                return run;
            }
            assert!(began.elapsed() < limit, "never {what}: {run:#}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a run has a state.
    pub fn wait_status(&self, id: &str, status: &str) -> Value {
        self.wait(id, status, |run| run["status"] == status)
    }

    /// Waits until the search of a run has done some steps.
    pub fn wait_step(&self, id: &str, step: u64) -> Value {
        let done = |run: &Value| run["progress"]["step"].as_u64().unwrap_or(0) >= step;
        self.wait(id, "at that step", done)
    }

    /// Opens the event stream of a run.
    pub fn events(&self, id: &str, query: &str, after: Option<u64>) -> Events {
        self.stream(&format!("/api/v1/runs/{id}/events{query}"), after)
    }

    /// Opens an event stream.
    pub fn stream(&self, path: &str, after: Option<u64>) -> Events {
        let mut request = Request::builder().uri(format!("{}{path}", self.url));
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        let response = self.agent.run(request.body(()).expect("a request")).expect("a stream");
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        Events { reader: BufReader::new(response.into_body().into_reader()), headers }
    }

    /// Runs a client command against this server.
    #[must_use]
    pub fn client(&self, args: &[&str]) -> Output {
        self.client_command(args).output().expect("skein")
    }

    /// A client command against this server.
    #[must_use]
    pub fn client_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("skein"));
        command.args(args).env("SKEIN_URL", &self.url).env_remove("SKEIN_TOKEN");
        command.stdin(Stdio::null()).current_dir(self.folder.path());
        command
    }

    /// Folder in which client commands run.
    #[must_use]
    pub fn client_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Process of the worker that said it began the newest attempt.
    #[must_use]
    pub fn worker_pid(&self, id: &str) -> u32 {
        let attempts = std::fs::read_dir(self.run_folder(id).join("attempts")).expect("attempts");
        let newest =
            attempts.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let newest: u32 = newest.max().expect("an attempt");
        let path = self.run_folder(id).join(format!("attempts/{newest}/events.jsonl"));
        let text = std::fs::read_to_string(path).expect("events");
        let first: Value =
            serde_json::from_str(text.lines().next().expect("a line")).expect("json");
        u32::try_from(first["payload"]["pid"].as_u64().expect("pid")).expect("pid")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Workers survive their server; they must not survive the test.
        for run in std::fs::read_dir(self.data().join("runs")).into_iter().flatten().flatten() {
            let attempts = std::fs::read_dir(run.path().join("attempts"));
            for attempt in attempts.into_iter().flatten().flatten() {
                kill_worker(&attempt.path());
            }
        }
    }
}

/// Waits until something is so.
pub fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "never {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

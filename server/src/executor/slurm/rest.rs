//! Slurm through `slurmrestd`, with a JSON Web Token.
//!
//! Versions up to v0.0.38 take jobs as `sbatch` takes its options; those from v0.0.39 on have fields of their
//! own, and numbers that may be absent are objects. Both are understood.

mod answers;

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use ureq::http::{Method, Request};

use super::partitions::Partition;
use super::script;
use super::settings::{RestSettings, SlurmSettings};
use super::table::Jobs;
use super::transport::{End, Order, SlurmError, Transport, one_line};

/// What speaks to us, in messages.
const WHO: &str = "slurmrestd";
/// Most bytes of an answer.
const MOST_BYTES: u64 = 256 << 20;
/// The last version that takes jobs as options of `sbatch`.
const LAST_OF_OPTIONS: u32 = 38;
/// What jobs get of the server's environment; nothing secret.
const ENVIRONMENT: [&str; 6] = ["PATH", "HOME", "USER", "LANG", "LD_LIBRARY_PATH", "LIBTORCH"];

/// `slurmrestd` at some address.
pub(super) struct Rest {
    agent: ureq::Agent,
    url: String,
    user: String,
    token_file: PathBuf,
    seconds: u64,
    settings: SlurmSettings,
    /// The newest version that both sides know, once it was asked for.
    version: Mutex<Option<u32>>,
}

impl Rest {
    /// As the settings say; each request may take so long.
    pub(super) fn new(rest: &RestSettings, limit: Duration, settings: SlurmSettings) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(limit))
            .user_agent(concat!("skein/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self {
            agent,
            url: rest.url.trim_end_matches('/').to_owned(),
            user: rest.user.clone(),
            token_file: rest.token_file.clone(),
            seconds: limit.as_secs(),
            settings,
            version: Mutex::new(None),
        }
    }

    /// What is answered to a request below the version's address.
    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, SlurmError> {
        let version = self.newest()?;
        let answer = self.send(method, &format!("/slurm/v0.0.{version}{path}"), body);
        if answer.is_err() {
            // Slurm may have been upgraded to one that has no such version.
            *self.known() = None;
        }
        answer
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<u32>> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn newest(&self) -> Result<u32, SlurmError> {
        if let Some(version) = *self.known() {
            return Ok(version);
        }
        let paths = self.send(Method::GET, "/openapi/v3", None)?;
        let newest = answers::newest_version(&paths)
            .ok_or_else(|| SlurmError::nonsense(WHO, "it names no version of its interface"))?;
        *self.known() = Some(newest);
        Ok(newest)
    }

    fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, SlurmError> {
        let unreachable =
            |why: String| SlurmError::Start { program: self.url.clone(), what: "reached", why };
        let token = std::fs::read_to_string(&self.token_file).map_err(|error| {
            let program = self.token_file.display().to_string();
            SlurmError::Start { program, what: "read", why: error.to_string() }
        })?;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("X-SLURM-USER-NAME", &self.user)
            .header("X-SLURM-USER-TOKEN", token.trim())
            .header("Accept", "application/json")
            .header("Content-Type", "application/json");
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(text).map_err(|error| unreachable(error.to_string()))?;
        let answer = self.agent.run(request).map_err(|error| self.fault(&error))?;
        let status = answer.status();
        let mut text = String::new();
        let read = answer.into_body().into_reader().take(MOST_BYTES).read_to_string(&mut text);
        read.map_err(|error| unreachable(format!("its answer broke off: {error}")))?;
        let value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let said = answers::errors(&value);
        match (status.is_success() && said.is_empty(), value) {
            (true, Value::Null) => Err(SlurmError::nonsense(WHO, &text)),
            (true, value) => Ok(value),
            (false, _) => {
                let said = if said.is_empty() { one_line(&text) } else { said };
                let said = format!("{status}: {said}").trim_end_matches(": ").to_owned();
                Err(SlurmError::Failed { program: WHO.to_owned(), said })
            }
        }
    }

    fn fault(&self, error: &ureq::Error) -> SlurmError {
        match error {
            ureq::Error::Timeout(_) => {
                SlurmError::Slow { program: self.url.clone(), seconds: self.seconds }
            }
            other => SlurmError::Start {
                program: self.url.clone(),
                what: "reached",
                why: other.to_string(),
            },
        }
    }

    /// What a job is, in the words of a version.
    fn description(&self, order: &Order, version: u32) -> Value {
        let environment = ENVIRONMENT.iter().filter_map(|name| {
            let value = std::env::var(name).ok()?;
            Some(((*name).to_owned(), value))
        });
        let asked = &order.asked;
        let mut job = Map::new();
        let mut set = |name: &str, value: Value| {
            if !value.is_null() {
                job.insert(name.to_owned(), value);
            }
        };
        set("name", json!(order.name));
        set("current_working_directory", json!("/"));
        set("standard_output", json!("/dev/null"));
        set("standard_error", json!("/dev/null"));
        set("array", json!(script::tasks(order, &self.settings)));
        set("partition", json!(asked.partition));
        set("account", json!(asked.account));
        set("qos", json!(asked.qos));
        set("cpus_per_task", json!(asked.cpus));
        let leave = self.settings.leave_seconds;
        if version <= LAST_OF_OPTIONS {
            set("environment", environment.map(|(name, value)| (name, json!(value))).collect());
            // The value of `requeue` is not looked at.
            set("no_requeue", json!(true));
            set("gres", json!(asked.gres));
            set("memory_per_node", json!(asked.memory_mb));
            set("time_limit", json!(asked.minutes));
        } else {
            let number =
                |value: Option<u64>| value.map(|value| json!({"set": true, "number": value}));
            set(
                "environment",
                environment.map(|(name, value)| format!("{name}={value}")).collect(),
            );
            set("requeue", json!(false));
            set("kill_warning_signal", json!("TERM"));
            set("kill_warning_delay", json!(number(Some(leave))));
            set("kill_warning_flags", json!(["BATCH_JOB"]));
            set("tres_per_node", json!(asked.gres.as_deref().map(answers::tres)));
            set("memory_per_node", json!(number(asked.memory_mb)));
            set("time_limit", json!(number(asked.minutes)));
        }
        let script = match asked.minutes.filter(|_| version <= LAST_OF_OPTIONS) {
            Some(minutes) => warned(&order.script, (60 * minutes).saturating_sub(leave).max(1)),
            None => order.script.clone(),
        };
        json!({ "script": script, "job": job })
    }
}

/// A script that is asked to leave after so many seconds. The old versions cannot say that the signal before
/// the time limit is for the script.
fn warned(script: &str, seconds: u64) -> String {
    let (first, rest) = script.split_once('\n').unwrap_or((script, ""));
    format!("{first}\n(sleep {seconds} && kill -TERM $$) >/dev/null 2>&1 &\n{rest}")
}

impl Transport for Rest {
    fn jobs(&self) -> Result<Jobs, SlurmError> {
        answers::jobs(&self.ask(Method::GET, "/jobs", None)?, &self.user)
    }

    fn submit(&self, order: &Order) -> Result<String, SlurmError> {
        let version = self.newest()?;
        let body = self.description(order, version);
        let answer = self.ask(Method::POST, "/job/submit", Some(&body))?;
        let id = answers::number(&answer["job_id"]);
        let id = id.ok_or_else(|| SlurmError::nonsense(WHO, &answer.to_string()))?;
        Ok(id.to_string())
    }

    fn end(&self, id: &str, how: End) -> Result<(), SlurmError> {
        // Without other flags all processes of a job get the signal.
        let path = match how {
            End::Ask => format!("/job/{id}?signal=TERM"),
            End::Cancel => format!("/job/{id}"),
        };
        self.ask(Method::DELETE, &path, None).map(drop)
    }

    fn partitions(&self) -> Result<Vec<Partition>, SlurmError> {
        let partitions = self.ask(Method::GET, "/partitions", None)?;
        answers::partitions(&partitions, &self.ask(Method::GET, "/nodes", None)?)
    }

    fn version(&self) -> Result<String, SlurmError> {
        let pong = self.ask(Method::GET, "/ping", None)?;
        let release = answers::release(&pong);
        let version = self.newest()?;
        Ok(format!("slurm {release}, slurmrestd v0.0.{version} at {}", self.url))
    }
}

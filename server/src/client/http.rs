//! Requests to the server, with errors a person can act on.

use std::io::Read;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

use super::ClientError;
use super::proxy::{self, Chosen};
use crate::problem::Problem;
use crate::settings::{token, variable};
use crate::views::{RunDetail, RunList};

/// Where a server is looked for.
pub const DEFAULT_URL: &str = "http://127.0.0.1:7878";
/// Most bytes of an answer that is no download.
const ANSWER_LIMIT: u64 = 256 << 20;

/// A server.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    base: String,
    token: Option<String>,
    /// The proxy that lies between, or why the one that is named cannot be used.
    proxy: Result<Option<Chosen>, String>,
}

impl Api {
    /// The server that `SKEIN_URL` names, or else the one on this machine: where `SKEIN_LISTEN` and
    /// `SKEIN_PREFIX` put it, if they are set.
    #[must_use]
    pub fn from_environment() -> Self {
        if let Some(url) = variable("SKEIN_URL") {
            return Self::new(&url, token());
        }
        let listen = variable("SKEIN_LISTEN").and_then(|listen| own_url(&listen));
        let prefix = variable("SKEIN_PREFIX").unwrap_or_default();
        Self::here(&(listen.unwrap_or_else(|| DEFAULT_URL.to_owned()) + &prefix), token())
    }

    /// The server at an address, through a proxy if the environment names one for it.
    #[must_use]
    pub fn new(base: &str, token: Option<String>) -> Self {
        Self::through(proxy::choose(base, variable), base, token)
    }

    /// A server on this machine, whatever its address is; never through a proxy.
    #[must_use]
    pub fn here(base: &str, token: Option<String>) -> Self {
        Self::through(Ok(None), base, token)
    }

    fn through(proxy: Result<Option<Chosen>, String>, base: &str, token: Option<String>) -> Self {
        let chosen = proxy.as_ref().ok().and_then(Option::as_ref);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .user_agent(concat!("skein/", env!("CARGO_PKG_VERSION")))
            // Also if there is none: else the library would choose one itself.
            .proxy(chosen.map(|chosen| chosen.proxy.clone()))
            .build()
            .into();
        Self { agent, base: base.trim_end_matches('/').to_owned(), token, proxy }
    }

    /// Address of the server, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks for a value.
    ///
    /// # Errors
    /// - [`ClientError`]: not reached, declined, or answered nonsense.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.read(self.call(Method::GET, path, None, &[])?)
    }

    /// Sends a request with or without a JSON body.
    ///
    /// # Errors
    /// - like [`Api::get`].
    pub fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
        headers: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.read(self.call(
            method,
            path,
            Some(("application/json", body.into_bytes())),
            headers,
        )?)
    }

    /// Sends a file's bytes.
    ///
    /// # Errors
    /// - like [`Api::get`].
    pub fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<T, ClientError> {
        self.read(self.call(Method::POST, path, Some(("application/octet-stream", bytes)), &[])?)
    }

    /// Puts bytes at a place.
    ///
    /// # Errors
    /// - like [`Api::get`].
    pub fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        bytes: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let body = Some(("application/octet-stream", bytes));
        self.read(self.call(Method::PUT, path, body, headers)?)
    }

    /// Creates something; if the answer is lost on the way, asks again without creating a second.
    ///
    /// # Errors
    /// - like [`Api::get`].
    pub fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, ClientError> {
        let key = uuid::Uuid::now_v7().to_string();
        let send = || self.send(Method::POST, path, Some(body), &[("idempotency-key", &key)]);
        match send() {
            Err(ClientError::Failed(_)) => send(),
            answered => answered,
        }
    }

    /// Deletes.
    ///
    /// # Errors
    /// - like [`Api::get`].
    pub fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.call(Method::DELETE, path, None, &[]).map(drop)
    }

    /// The bytes of an answer as they come.
    ///
    /// # Errors
    /// - like [`Api::get`].
    pub fn open(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<impl Read + use<>, ClientError> {
        Ok(self.call(Method::GET, path, None, headers)?.into_body().into_reader())
    }

    fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>, ClientError> {
        if let Err(fault) = &self.proxy {
            return Err(ClientError::Refused(fault.clone()));
        }
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let fault = |error: ureq::http::Error| ClientError::Refused(self.bad_url(&error));
        let sent = match body {
            None => self.agent.run(request.body(()).map_err(fault)?),
            Some((kind, body)) => {
                let request = request.header("content-type", kind);
                self.agent.run(request.body(body).map_err(fault)?)
            }
        };
        let response = sent.map_err(|error| self.transport(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.declined(response)) }
    }

    fn bad_url(&self, error: &dyn std::fmt::Display) -> String {
        format!(
            "`{}` is no address of a server ({error}); set SKEIN_URL, for example to {DEFAULT_URL}",
            self.base
        )
    }

    fn transport(&self, error: &ureq::Error) -> ClientError {
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                ClientError::Refused(self.bad_url(error))
            }
            _ => ClientError::Failed(match self.chosen() {
                Some(chosen) => format!(
                    "cannot reach {} through {} ({error}); {}",
                    self.base,
                    chosen.words(),
                    chosen.advice(&self.host())
                ),
                None => format!(
                    "cannot reach a Skein server at {} ({error}); start one with `skein serve`, or \
                     set SKEIN_URL to the address of another",
                    self.base
                ),
            }),
        }
    }

    fn chosen(&self) -> Option<&Chosen> {
        self.proxy.as_ref().ok().and_then(Option::as_ref)
    }

    fn host(&self) -> String {
        let uri = self.base.parse::<ureq::http::Uri>().ok();
        uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
    }

    fn declined(&self, mut response: Response<Body>) -> ClientError {
        let status = response.status();
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let Ok(problem) = serde_json::from_str::<Problem>(&text) else {
            let through = self.chosen().map(|chosen| format!(" through {}", chosen.words()));
            let through = through.unwrap_or_default();
            return ClientError::Failed(format!(
                "{}{through} answered {status}; is it a Skein server?",
                self.base
            ));
        };
        let mut text = problem.detail;
        for violation in &problem.errors {
            let field = if violation.field.is_empty() { "(all)" } else { violation.field.as_str() };
            text.push_str(&format!("\n  {field}: {}", violation.detail));
        }
        if status.as_u16() == 401 {
            text = format!("{} asks for its token: set SKEIN_TOKEN to it", self.base);
        }
        if status.is_server_error() {
            return ClientError::Failed(format!("{text} (request {})", problem.request_id));
        }
        ClientError::Refused(text)
    }

    fn read<T: DeserializeOwned>(&self, mut response: Response<Body>) -> Result<T, ClientError> {
        let text = response.body_mut().with_config().limit(ANSWER_LIMIT).read_to_string();
        let text = text.map_err(|error| self.transport(&error))?;
        serde_json::from_str(&text).map_err(|error| {
            let base = &self.base;
            ClientError::Failed(format!("{base} answered what this client cannot read: {error}"))
        })
    }

    /// The id of the run whose id begins with `prefix`.
    ///
    /// # Errors
    /// - [`ClientError::Refused`] if there is none or more than one.
    pub fn resolve(&self, prefix: &str) -> Result<String, ClientError> {
        let prefix = prefix.to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_hexdigit() || c == '-';
        if prefix.is_empty() || !prefix.chars().all(plain) {
            return Err(ClientError::Refused(format!("`{prefix}` is no id of a run")));
        }
        if prefix.len() == 36 {
            let detail: RunDetail = self.get(&format!("/api/v1/runs/{prefix}"))?;
            return Ok(detail.run.id);
        }
        let list: RunList = self.get(&format!("/api/v1/runs?limit=200&q={prefix}"))?;
        let ids = list.runs.into_iter().map(|run| run.id);
        let mut found: Vec<String> = ids.filter(|id| id.starts_with(&prefix)).collect();
        match (found.pop(), found.len()) {
            (Some(id), 0) => Ok(id),
            (Some(_), more) => {
                let count = more + 1;
                Err(ClientError::Refused(format!("`{prefix}` fits {count} runs; write more of it")))
            }
            (None, _) => Err(ClientError::Refused(format!("there is no run `{prefix}`"))),
        }
    }
}

/// Where a server is asked that listens there: an address that means all of a machine's is asked on
/// the loopback one. `None` if the port is not known before the server has started.
fn own_url(listen: &str) -> Option<String> {
    let (host, port) = listen.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    Some(format!("http://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("127.0.0.1:9000", Some("http://127.0.0.1:9000"))]
    #[case("0.0.0.0:9000", Some("http://127.0.0.1:9000"))]
    #[case("[::]:9000", Some("http://[::1]:9000"))]
    #[case("nas.example:80", Some("http://nas.example:80"))]
    #[case("127.0.0.1:0", None)]
    #[case("nonsense", None)]
    fn a_server_is_asked_where_it_listens(#[case] listen: &str, #[case] url: Option<&str>) {
        assert_eq!(own_url(listen).as_deref(), url);
    }
}

//! Flags and `SKEIN_*` variables, read once.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::client;
use crate::guard::host;
use crate::service::datasets::fetch::Mirrors;

/// Neural architecture search on weight-entangled spaces: server and client.
#[derive(Debug, Parser)]
#[command(name = "skein", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the web server.
    Serve(ServeArgs),
    /// Commands that talk to a server.
    #[command(flatten)]
    Client(client::Command),
}

/// New runs are refused below this much free disk, in MiB.
pub const MIN_FREE_MIB: u64 = 256;

/// Seconds that a prediction may take.
pub const PREDICT_SECONDS: u64 = 30;

/// Where things are; every command that works on this machine takes these.
#[derive(Debug, Clone, Args)]
pub struct Places {
    /// Folder of all runs.
    #[arg(long, env = "SKEIN_DATA", default_value = "skein-data", value_name = "DIR")]
    pub data: PathBuf,
    /// Folder of the data sets, one folder each [default: DATA/datasets].
    #[arg(long, env = "SKEIN_DATASETS", value_name = "DIR")]
    pub datasets: Option<PathBuf>,
    /// Program that works on runs [default: `skein-worker` beside this program].
    #[arg(long, env = "SKEIN_WORKER", value_name = "FILE")]
    pub worker: Option<PathBuf>,
}

/// How the server runs.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where things are.
    #[command(flatten)]
    pub places: Places,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, env = "SKEIN_LISTEN", default_value = "127.0.0.1:7878", value_name = "HOST:PORT")]
    pub listen: String,
    /// Path below which a proxy shows the server, for example `/nas`.
    #[arg(long, env = "SKEIN_PREFIX", default_value = "", value_name = "PATH")]
    pub prefix: String,
    /// Ask every visitor for this token; needed on any address but a loopback one.
    #[arg(skip)]
    pub token: Option<String>,
    /// Another host name under which the server is reached, for example through a proxy.
    #[arg(long, env = "SKEIN_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    pub allow_host: Vec<String>,
    /// Refuse new runs when less than this is free in the data folder.
    #[arg(long, env = "SKEIN_MIN_FREE_MIB", default_value_t = MIN_FREE_MIB, value_name = "MIB")]
    pub min_free_mib: u64,
    /// Runs that share a GPU; more than one pays where the GPU waits for the CPU, as in cells.
    #[arg(long, env = "SKEIN_RUNS_PER_GPU", default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=64))]
    pub runs_per_gpu: u64,
    /// Settings of a Slurm cluster, which runs may then choose to work on.
    #[arg(long, env = "SKEIN_SLURM", value_name = "FILE")]
    pub slurm: Option<PathBuf>,
    /// Folder below which data sets may be registered where they lie; may be given several times.
    #[arg(long, env = "SKEIN_ALLOW_FOLDER", value_name = "DIR", value_delimiter = ',')]
    pub allow_folder: Vec<PathBuf>,
    /// Address below which the files of public data sets are looked for first, as NAME/FILE.
    #[arg(long, env = "SKEIN_MIRROR", value_name = "URL", value_delimiter = ',')]
    pub mirror: Vec<String>,
    /// Ask the mirrors alone for public data sets, never their publishers.
    #[arg(long, env = "SKEIN_MIRROR_ONLY")]
    pub mirror_only: bool,
    /// Seconds that a prediction by a finished run's network may take.
    #[arg(long, env = "SKEIN_PREDICT_SECONDS", default_value_t = PREDICT_SECONDS, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub predict_seconds: u64,
    /// Set the index aside and build a new one from the runs' folders.
    #[arg(long)]
    pub rebuild_index: bool,
    /// Write the log as JSON, one object a line.
    #[arg(long, env = "SKEIN_LOG_JSON")]
    pub log_json: bool,
}

/// The settings that requests need.
#[derive(Debug, Clone)]
pub struct Settings {
    /// URL prefix: empty, or begins with `/` and does not end with it.
    pub prefix: String,
    /// Other names of this server.
    pub allow_host: Vec<String>,
    /// Whether the `Host` of requests is checked.
    pub checks_host: bool,
    /// Where things are.
    pub places: Places,
}

/// Why the server cannot start as it was told to.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The address cannot be understood.
    #[error("`{0}` is no address to listen on; write HOST:PORT, for example 127.0.0.1:7878")]
    Listen(String),
    /// Anyone on the network could use the server.
    #[error(
        "`{0}` can be reached from other machines, and no token is set: set SKEIN_TOKEN to a long \
         random text, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// A name of the server is none.
    #[error(
        "`{0}` is no host name; write it without scheme, port and path, for example nas.example"
    )]
    AllowHost(String),
    /// The prefix is no path.
    #[error("`{0}` is no URL prefix; write for example /nas")]
    Prefix(String),
    /// The token can be guessed.
    #[error("SKEIN_TOKEN must have at least 8 characters, none of them a space")]
    Token,
}

/// The token in the environment; an empty one counts as none.
#[must_use]
pub fn token() -> Option<String> {
    std::env::var("SKEIN_TOKEN").ok().filter(|token| !token.is_empty())
}

/// A variable of the environment that only the client reads.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl ServeArgs {
    /// Checks the address, the token and the prefix.
    ///
    /// # Errors
    /// - [`SettingsError`].
    pub fn check(&self) -> Result<(SocketAddr, Settings), SettingsError> {
        let addresses = self.listen.to_socket_addrs();
        let address = addresses.ok().and_then(|mut addresses| addresses.next());
        let address = address.ok_or_else(|| SettingsError::Listen(self.listen.clone()))?;
        if !address.ip().is_loopback() && self.token.is_none() {
            return Err(SettingsError::Open(address));
        }
        let weak = |token: &String| token.len() < 8 || token.contains(char::is_whitespace);
        if self.token.as_ref().is_some_and(weak) {
            return Err(SettingsError::Token);
        }
        let prefix = self.prefix.trim_end_matches('/').to_owned();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        let is_path = prefix.starts_with('/') && prefix.bytes().all(plain);
        if !prefix.is_empty() && (!is_path || prefix.contains("//")) {
            return Err(SettingsError::Prefix(self.prefix.clone()));
        }
        let names = self.allow_host.iter().filter(|name| !name.trim().is_empty());
        let allow_host = names
            .map(|text| host::allowed(text).ok_or_else(|| SettingsError::AllowHost(text.clone())))
            .collect::<Result<Vec<String>, SettingsError>>()?;
        let checks_host = address.ip().is_loopback() || !allow_host.is_empty();
        Ok((address, Settings { prefix, allow_host, checks_host, places: self.places.clone() }))
    }
}

impl ServeArgs {
    /// Where the files of public data sets are looked for.
    #[must_use]
    pub fn mirrors(&self) -> Mirrors {
        let bases = self.mirror.iter().map(|base| base.trim().trim_end_matches('/').to_owned());
        let bases = bases.filter(|base| !base.is_empty()).collect();
        Mirrors { bases, only: self.mirror_only }
    }
}

impl Places {
    /// Folder of the data sets.
    #[must_use]
    pub fn datasets(&self) -> PathBuf {
        self.datasets.clone().unwrap_or_else(|| self.data.join("datasets"))
    }

    /// The worker's program.
    #[must_use]
    pub fn worker(&self) -> PathBuf {
        self.worker.clone().unwrap_or_else(|| {
            let here = std::env::current_exe().unwrap_or_default();
            here.with_file_name("skein-worker")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn args(words: &[&str], token: Option<&str>) -> ServeArgs {
        let words = ["skein", "serve"].iter().chain(words);
        let Command::Serve(mut args) = Cli::parse_from(words).command else { panic!("serve") };
        args.token = token.map(str::to_owned);
        args
    }

    #[rstest]
    #[case::open(&["--listen", "0.0.0.0:0"], None, "no token is set")]
    #[case::weak(&[], Some("short"), "at least 8")]
    #[case::address(&["--listen", "nonsense"], None, "HOST:PORT")]
    #[case::allow_host(&["--allow-host", "https://nas.example"], None, "without scheme, port")]
    #[case::prefix(&["--prefix", "nas"], None, "URL prefix")]
    #[case::prefix_script(&["--prefix", "/\"><script>"], None, "URL prefix")]
    fn refused(#[case] words: &[&str], #[case] token: Option<&str>, #[case] message: &str) {
        let error = args(words, token).check().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn names_of_the_server_are_read_without_case_and_an_empty_one_is_none() {
        let allowed = |names: &str| {
            let args = args(&["--listen", "0.0.0.0:0", "--allow-host", names], Some("long-enough"));
            let settings = args.check().unwrap().1;
            (settings.allow_host, settings.checks_host)
        };
        let names = ["nas.example".to_owned(), "10.0.0.7".to_owned()];
        assert_eq!(allowed("NAS.Example, 10.0.0.7"), (names.to_vec(), true));
        assert_eq!(allowed(""), (vec![], false));
    }

    #[test]
    fn a_token_opens_other_addresses() {
        let (_, settings) =
            args(&["--listen", "0.0.0.0:0", "--prefix", "/nas/"], Some("long-enough"))
                .check()
                .unwrap();
        assert_eq!((settings.prefix.as_str(), settings.checks_host), ("/nas", false));
    }
}

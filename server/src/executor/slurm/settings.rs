//! What the administrator says of the cluster: a TOML file named with `--slurm`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use skein_core::spec::{SlurmSpec, Violation};

/// The settings file; every part may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmSettings {
    /// Host on which Slurm's commands run, through `ssh`; this machine if absent.
    pub host: Option<String>,
    /// Slurm's REST interface, used instead of its commands.
    pub rest: Option<RestSettings>,
    /// The worker as compute nodes see it; the server's if absent.
    pub worker: Option<PathBuf>,
    /// Command before the worker, for example `apptainer exec --nv /shared/skein.sif`.
    pub container: Option<String>,
    /// Lines of shell before the worker, for example `module load cuda`.
    pub setup: Vec<String>,
    /// Further options of every job, as after `#SBATCH`.
    pub lines: Vec<String>,
    /// What a job asks for unless its run says otherwise.
    pub job: SlurmSpec,
    /// What runs may ask for; anything that Slurm allows if absent.
    pub allow: Option<Allowed>,
    /// Seconds between two looks at Slurm's queue.
    pub poll_seconds: u64,
    /// Seconds that a command of Slurm may take.
    pub command_seconds: u64,
    /// Seconds before the time limit at which a run leaves its checkpoint.
    pub leave_seconds: u64,
    /// Seconds within which a worker that has its place must report: a container or libtorch may
    /// have to be loaded first.
    pub start_seconds: u64,
    /// Jobs in Slurm at once at most; 0 for as many as there are.
    pub at_once: usize,
    /// Tasks of one array that work at once at most; 0 for as many as Slurm starts.
    pub array_at_once: usize,
}

/// Where `slurmrestd` is, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestSettings {
    /// Its address, for example `http://slurm:6820`.
    pub url: String,
    /// The account that jobs belong to.
    pub user: String,
    /// File that holds the account's JSON Web Token; it is read anew each time.
    pub token_file: PathBuf,
}

/// What runs may ask for beside the settings of `job`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allowed {
    /// Partitions.
    pub partition: Vec<String>,
    /// Accounts.
    pub account: Vec<String>,
    /// Qualities of service.
    pub qos: Vec<String>,
    /// Generic resources.
    pub gres: Vec<String>,
    /// Most processors.
    pub cpus: Option<u64>,
    /// Most memory in MB.
    pub memory_mb: Option<u64>,
    /// Longest time limit in minutes.
    pub minutes: Option<u64>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SlurmSettingsError {
    /// The file cannot be read.
    #[error("the Slurm settings `{path}` cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no such TOML.
    #[error("the Slurm settings `{path}` cannot be used: {detail}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

impl Default for SlurmSettings {
    fn default() -> Self {
        Self {
            host: None,
            rest: None,
            worker: None,
            container: None,
            setup: vec![],
            lines: vec![],
            job: SlurmSpec::default(),
            allow: None,
            poll_seconds: 5,
            command_seconds: 20,
            leave_seconds: 120,
            start_seconds: 900,
            at_once: 0,
            array_at_once: 0,
        }
    }
}

impl SlurmSettings {
    /// Reads the file.
    ///
    /// # Errors
    /// - [`SlurmSettingsError`].
    pub fn read(path: &Path) -> Result<Self, SlurmSettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SlurmSettingsError::Read { path: path.to_owned(), source })?;
        let wrong = |detail: String| SlurmSettingsError::Content { path: path.to_owned(), detail };
        let settings: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let seconds = [
            ("poll_seconds", settings.poll_seconds),
            ("command_seconds", settings.command_seconds),
            ("leave_seconds", settings.leave_seconds),
            ("start_seconds", settings.start_seconds),
        ];
        for (name, value) in seconds {
            if !(1..=3600).contains(&value) {
                return Err(wrong(format!("`{name}` must be from 1 to 3600, not {value}")));
            }
        }
        if let Some(problem) = settings.too_short(&settings.job) {
            return Err(wrong(format!("`job.minutes` {problem}")));
        }
        if let Some(problem) = settings.misfit() {
            return Err(wrong(problem));
        }
        if let Some((field, text)) = texts(&settings.job).into_iter().find(|(_, text)| !plain(text))
        {
            return Err(wrong(format!("`job.{field}` must not be {text:?}")));
        }
        Ok(settings)
    }

    /// A job that is asked to leave when it begins gets nothing done.
    fn too_short(&self, job: &SlurmSpec) -> Option<String> {
        let seconds = self.leave_seconds;
        (60 * job.minutes? <= seconds).then(|| {
            format!("must be more than the {seconds} seconds that a job leaves before its end")
        })
    }

    /// Settings that do not go together.
    fn misfit(&self) -> Option<String> {
        let rest = self.rest.as_ref()?;
        let said = if self.host.is_some() {
            "`host` is for Slurm's commands; `rest` does without them"
        } else if !self.lines.is_empty() {
            "`lines` are read by `sbatch` alone; with `rest` they would be ignored"
        } else if !(rest.url.starts_with("http://") || rest.url.starts_with("https://")) {
            "`rest.url` must begin with http:// or https://"
        } else {
            return None;
        };
        Some(said.to_owned())
    }

    /// What a run's job asks for.
    #[must_use]
    pub fn asked(&self, run: Option<&SlurmSpec>) -> SlurmSpec {
        let (job, run) = (&self.job, run.cloned().unwrap_or_default());
        SlurmSpec {
            partition: run.partition.or_else(|| job.partition.clone()),
            account: run.account.or_else(|| job.account.clone()),
            qos: run.qos.or_else(|| job.qos.clone()),
            gres: run.gres.or_else(|| job.gres.clone()),
            cpus: run.cpus.or(job.cpus),
            memory_mb: run.memory_mb.or(job.memory_mb),
            minutes: run.minutes.or(job.minutes),
            at_once: run.at_once.or(job.at_once),
        }
    }

    /// What a run may not ask for.
    #[must_use]
    pub fn forbidden(&self, run: &SlurmSpec) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut add = |field: &str, detail: String| {
            found.push(Violation { field: format!("resources.slurm.{field}"), detail });
        };
        for (field, text) in texts(run) {
            if !plain(text) {
                add(field, "must be letters, digits and any of `._:=,*-`".to_owned());
            } else if let Some(detail) = self.text_not_allowed(field, text) {
                add(field, detail);
            }
        }
        if let Some(problem) = self.too_short(run) {
            add("minutes", problem);
        }
        let Some(allow) = &self.allow else { return found };
        let numbers = [
            ("cpus", run.cpus, self.job.cpus, allow.cpus),
            ("memory_mb", run.memory_mb, self.job.memory_mb, allow.memory_mb),
            ("minutes", run.minutes, self.job.minutes, allow.minutes),
        ];
        for (field, asked, usual, most) in numbers {
            let most = most.max(usual);
            match (asked, most) {
                (Some(asked), Some(most)) if asked > most => {
                    add(field, format!("must be at most {most}: this server allows no more"));
                }
                (Some(_), None) => add(field, "may not be set on this server".to_owned()),
                _ => {}
            }
        }
        found
    }

    fn text_not_allowed(&self, field: &str, text: &str) -> Option<String> {
        let allow = self.allow.as_ref()?;
        let (usual, others) = match field {
            "partition" => (&self.job.partition, &allow.partition),
            "account" => (&self.job.account, &allow.account),
            "qos" => (&self.job.qos, &allow.qos),
            _ => (&self.job.gres, &allow.gres),
        };
        let known: Vec<&String> = usual.iter().chain(others).collect();
        if known.iter().any(|known| *known == text) {
            return None;
        }
        let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
        Some(match known.is_empty() {
            true => "may not be set on this server".to_owned(),
            false => format!("must be one of {}: this server allows no other", known.join(", ")),
        })
    }
}

fn texts(of: &SlurmSpec) -> Vec<(&'static str, &str)> {
    let all = [
        ("partition", &of.partition),
        ("account", &of.account),
        ("qos", &of.qos),
        ("gres", &of.gres),
    ];
    all.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))).collect()
}

/// Whether a text is one word that no command takes for an option.
fn plain(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:=,*-".contains(&byte);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SlurmSettings, SlurmSettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slurm.toml");
        std::fs::write(&path, text).unwrap();
        SlurmSettings::read(&path)
    }

    const LIMITED: &str = "job = { partition = 'gpu', cpus = 4, minutes = 60 }\n\
                           allow = { partition = ['long'], minutes = 600 }";

    #[test]
    fn a_run_gets_what_it_asks_for_and_else_what_the_settings_say() {
        let settings = read(LIMITED).unwrap();
        let run =
            SlurmSpec { minutes: Some(30), gres: Some("gpu:2".to_owned()), ..SlurmSpec::default() };
        let asked = settings.asked(Some(&run));
        assert_eq!((asked.partition.as_deref(), asked.cpus), (Some("gpu"), Some(4)));
        assert_eq!((asked.minutes, asked.gres.as_deref()), (Some(30), Some("gpu:2")));
        assert_eq!(settings.asked(None), settings.job);
    }

    #[test]
    fn what_the_administrator_does_not_allow_is_named() {
        let settings = read(LIMITED).unwrap();
        let short = settings.forbidden(&SlurmSpec { minutes: Some(2), ..SlurmSpec::default() });
        assert_eq!(
            short[0].detail,
            "must be more than the 120 seconds that a job leaves before its end"
        );
        let run = SlurmSpec {
            partition: Some("debug".to_owned()),
            account: Some("them".to_owned()),
            qos: Some("a b".to_owned()),
            cpus: Some(5),
            memory_mb: Some(1),
            minutes: Some(600),
            ..SlurmSpec::default()
        };
        let found = settings.forbidden(&run);
        let said: Vec<String> =
            found.iter().map(|one| format!("{} {}", one.field, one.detail)).collect();
        assert_eq!(
            said,
            [
                "resources.slurm.partition must be one of `gpu`, `long`: this server allows no other",
                "resources.slurm.account may not be set on this server",
                "resources.slurm.qos must be letters, digits and any of `._:=,*-`",
                "resources.slurm.cpus must be at most 4: this server allows no more",
                "resources.slurm.memory_mb may not be set on this server",
            ]
        );
        let free = SlurmSettings::default();
        assert_eq!(free.forbidden(&SlurmSpec { qos: None, ..run }), []);
    }

    #[test]
    fn faults_of_the_file_are_named() {
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert!(said("partition = 'gpu'").contains("unknown field `partition`"));
        assert!(said("poll_seconds = 0").ends_with("`poll_seconds` must be from 1 to 3600, not 0"));
        let rest = "rest = { url = 'http://slurm:6820', user = 'me', token_file = '/t' }";
        assert!(said(&format!("host = 'login'\n{rest}")).contains("`rest` does without them"));
        assert!(said(&format!("lines = ['--exclusive']\n{rest}")).contains("would be ignored"));
        assert!(
            said(&rest.replace("http:", "tcp:")).ends_with("must begin with http:// or https://")
        );
        assert!(
            said("job.minutes = 2").contains("`job.minutes` must be more than the 120 seconds")
        );
        assert!(said("job.gres = '--wrap=x'").ends_with("`job.gres` must not be \"--wrap=x\""));
        let missing = SlurmSettings::read(Path::new("/no/such.toml")).unwrap_err().to_string();
        assert!(missing.starts_with("the Slurm settings `/no/such.toml` cannot be read: "));
    }
}

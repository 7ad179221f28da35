//! Commands that answer as Slurm's do, and fail as they are told: for what a real cluster does too rarely.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Options;

const SBATCH: &str = r#"
name= tasks=
for word; do case $word in --job-name=*) name=${word#*=};; --array=*) tasks=${word#--array=0-};; esac; done
echo "$name" >> calls
if [ -e refuses ]; then cat refuses >&2; exit 1; fi
if [ -n "$tasks" ] && [ -e refuses-arrays ]; then cat refuses-arrays >&2; exit 1; fi
id=$(( $(ls jobs | wc -l) + 1 ))
mkdir "jobs/$id"; cat > "jobs/$id/script"; echo "$name" > "jobs/$id/name"; echo "${tasks%%%*}" > "jobs/$id/tasks"
[ -e hangs ] && exec sleep 600
echo "$id""#;
const SQUEUE: &str = r#"
for job in jobs/*; do
  [ -e "$job/tasks" ] || continue
  id=${job#jobs/} state="PENDING|Priority||N/A|0"
  [ -e "$job/state" ] && state=$(cat "$job/state")
  last=$(cat "$job/tasks")
  if [ -z "$last" ]; then echo "$id|N/A|$id|$state|$(cat "$job/name")|"; continue; fi
  for task in $(seq 0 "$last"); do echo "$id|$task|$id|$state|$(cat "$job/name")|"; done
done"#;
const SCANCEL: &str = r#"
for word; do id=${word%%_*}; done
echo "$*" >> cancelled
[ -d "jobs/$id" ] && echo "CANCELLED|None||N/A|0" > "jobs/$id/state""#;

/// A folder with such commands.
#[derive(Debug)]
pub struct FakeSlurm(TempDir);

impl FakeSlurm {
    /// One without jobs, which takes any and starts none.
    ///
    /// # Panics
    /// - if files cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path();
        for name in ["bin", "jobs"] {
            fs::create_dir(place.join(name)).expect("a folder");
        }
        for (name, script) in
            [("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL), ("sinfo", "exit 0")]
        {
            let path = place.join("bin").join(name);
            let text = format!("#!/bin/sh\ncd '{}' || exit 1\n{script}\n", place.display());
            fs::write(&path, text).expect("a script");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script");
        }
        Self(folder)
    }

    /// What makes a server use it, with such settings.
    ///
    /// # Panics
    /// - if the settings cannot be written.
    #[must_use]
    pub fn options(&self, settings: &str) -> Options {
        let file = self.path("skein.toml");
        fs::write(&file, format!("poll_seconds = 1\n{settings}")).expect("settings");
        let search = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{search}", self.path("bin").display());
        Options::args(&["--slurm", &file.display().to_string()]).env("PATH", &path)
    }

    /// Sets or takes away what changes how it answers: `refuses`, `refuses-arrays`, `hangs`.
    ///
    /// # Panics
    /// - if the file cannot be written.
    pub fn set(&self, what: &str, to: Option<&str>) {
        match to {
            Some(text) => fs::write(self.path(what), text).expect("a file"),
            None => fs::remove_file(self.path(what)).expect("a file that was set"),
        }
    }

    /// Says how a job is from now on: state, reason, node, start and exit status.
    ///
    /// # Panics
    /// - if there is no such job.
    pub fn state(&self, job: &str, state: &str) {
        fs::write(self.path("jobs").join(job).join("state"), state).expect("a job");
    }

    /// Names of the jobs that were taken.
    #[must_use]
    pub fn jobs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("jobs")).into_iter().flatten().flatten();
        let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("name")).ok();
        entries.filter_map(name).map(|name| name.trim().to_owned()).collect()
    }

    /// Names of all jobs that were to be submitted, one for each call.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.lines("calls")
    }

    /// Lines of a file of its own; none if it is not there.
    #[must_use]
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Adds a job that nobody has submitted.
    ///
    /// # Panics
    /// - if it cannot be written.
    pub fn add(&self, id: &str, name: &str, state: &str) {
        let folder = self.path("jobs").join(id);
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("name"), name).expect("a name");
        fs::write(folder.join("state"), state).expect("a state");
        fs::write(folder.join("tasks"), "").expect("no tasks");
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(self.0.path(), name)
    }
}

impl Default for FakeSlurm {
    fn default() -> Self {
        Self::new()
    }
}

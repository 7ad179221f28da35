//! Commands on this machine or on another host; none of them may take long.

use std::io::{Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::transport::{SlurmError, one_line};

/// Most bytes of an answer.
const MOST_BYTES: u64 = 64 << 20;
/// What a command that has ended has written is read within this time.
const REST: Duration = Duration::from_secs(5);
/// Exit code of `ssh` itself.
const SSH_FAILED: i32 = 255;
/// Wait between two looks at a command.
const LOOK: Duration = Duration::from_millis(10);
/// Where commands are started.
#[derive(Debug)]
pub(super) struct Commands {
    host: Option<String>,
    limit: Duration,
}

impl Commands {
    /// On this machine, or through `ssh` on another; each may take so long.
    pub(super) fn new(host: Option<String>, limit: Duration) -> Self {
        Self { host, limit }
    }

    /// What a command answers.
    ///
    /// # Errors
    /// - [`SlurmError`].
    pub(super) fn run(
        &self,
        program: &str,
        args: &[impl AsRef<str>],
        input: &str,
    ) -> Result<String, SlurmError> {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        let start = |error: std::io::Error| SlurmError::Start {
            program: program.to_owned(),
            what: "started",
            why: error.to_string(),
        };
        let mut child = self.command(program, &args).spawn().map_err(start)?;
        let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
        let stdin = child.stdin.take();
        let input = input.to_owned();
        // A command that fails early does not read its input.
        let feed = std::thread::spawn(move || stdin.map(|mut to| to.write_all(input.as_bytes())));
        let status = self.wait(&mut child).map_err(start)?;
        // Something else may hold on to its output, which is not waited for any longer.
        let (out, err) = (out.recv_timeout(REST), err.recv_timeout(REST));
        drop(feed);
        let slow =
            || SlurmError::Slow { program: program.to_owned(), seconds: self.limit.as_secs() };
        let err = one_line(&err.unwrap_or_default());
        match status.ok_or_else(slow)?.code() {
            Some(0) => out.map_err(|_| slow()),
            Some(SSH_FAILED) if self.host.is_some() => {
                let (program, what) = (self.host.clone().unwrap_or_default(), "reached");
                Err(SlurmError::Start { program, what, why: err })
            }
            _ => Err(SlurmError::Failed { program: program.to_owned(), said: err }),
        }
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = match &self.host {
            None => {
                let mut command = Command::new(program);
                command.args(args);
                command
            }
            Some(host) => {
                let words = std::iter::once(program).chain(args.iter().copied());
                let line = words.map(quoted).collect::<Vec<_>>().join(" ");
                let mut command = Command::new("ssh");
                // A master that it left behind would hold its output open.
                command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]);
                command.args(["-o", "ControlMaster=no", host, "--", &line]);
                command
            }
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("SKEIN_TOKEN")
            .process_group(0);
        command
    }

    /// How it ended; none if it took too long and was killed.
    fn wait(&self, child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
        let end = Instant::now() + self.limit;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= end {
                if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                    // What is gone already need not be killed.
                    let _ = kill_process_group(group, Signal::KILL);
                }
                child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Reads to the end, in a thread of its own.
fn reader(from: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            // What was read before a fault is all there is.
            let _ = from.take(MOST_BYTES).read_to_end(&mut bytes);
        }
        // Nobody listens any more if it took too long.
        let _ = sender.send(String::from_utf8_lossy(&bytes).trim().to_owned());
    });
    receiver
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, SlurmError> {
        Commands::new(None, limit).run("sh", &["-c", script], "given\n")
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_command_reads_its_input_and_answers() {
        assert_eq!(shell("cat; echo done", LONG).unwrap(), "given\ndone");
    }

    #[test]
    fn what_a_failed_command_says_is_told_and_judged() {
        let error = shell("echo first >&2; echo second >&2; exit 3", LONG).unwrap_err();
        assert_eq!(error.to_string(), "`sh` failed: first; second");
        assert!(!error.is_temporary());
        let error = shell("echo 'Unable to contact slurm controller' >&2; exit 1", LONG);
        assert!(error.unwrap_err().is_temporary());
        let missing = Commands::new(None, LONG).run("no-such-command", &[""; 0], "").unwrap_err();
        assert!(missing.to_string().starts_with("`no-such-command` cannot be started: "));
        assert!(missing.is_temporary(), "a file system may be away for a while");
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let began = Instant::now();
        let error = shell("sleep 100 & sleep 100", Duration::from_millis(200)).unwrap_err();
        assert_eq!(error.to_string(), "`sh` gave no answer within 0 s");
        assert!(began.elapsed() < LONG && error.is_temporary());
    }

    #[test]
    fn what_holds_on_to_the_output_of_a_command_is_not_waited_for() {
        let began = Instant::now();
        let error = shell("(sleep 100; echo late) & exit 0", LONG).unwrap_err();
        assert!(error.to_string().contains("gave no answer"), "{error}");
        assert!(began.elapsed() < LONG);
    }

    #[test]
    fn words_reach_another_host_as_they_are() {
        let commands = Commands::new(Some("login".to_owned()), LONG);
        let command = commands.command("sbatch", &["--comment=it's; $HOME"]);
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        assert_eq!(command.get_program(), "ssh");
        assert_eq!(&words[6..], ["login", "--", r"'sbatch' '--comment=it'\''s; $HOME'"]);
        let line = words.last().unwrap().replace("'sbatch' ", "printf %s ");
        assert_eq!(shell(&line, LONG).unwrap(), "--comment=it's; $HOME");
    }
}

//! A real Slurm cluster for one test: a controller and several nodes on this machine.
//!
//! [`SlurmLab::start`] is the way in. Daemons, keys, logs and job files lie in one temporary
//! folder. The daemons run in the foreground as children of the test, so no process is ever looked
//! for by its name; whatever they start is found in `/proc` by marks of this lab. A lab that is
//! dropped, also by a panic, leaves nothing behind.

mod conf;
mod family;
mod network;
mod place;
mod rest;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{pause, resume};
use network::Network;
use place::Place;

/// No step of a lab, such as the return of a node, takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// Time between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// Name of the controller among the lab's processes.
const CONTROLLER: &str = "slurmctld";

/// What a lab needs, as Debian names its packages.
const PACKAGES: &str = "slurmctld slurmd slurm-client slurmrestd slurm-wlm-jwt-plugin munge";

/// How a lab is set up.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// Number of nodes, which are called `n1`, `n2` and so on.
    pub nodes: usize,
    /// Processors of a node; Slurm believes it, whatever the machine has.
    pub cpus: usize,
    /// Memory of a node in MB; Slurm believes it too.
    pub memory_mb: u64,
    /// Pretended GPUs of a node, asked for with `--gres=gpu:1`.
    pub gpus: usize,
    /// Give each node a network of its own, so that its link can be cut; takes `ip` and `nsenter`.
    pub own_networks: bool,
    /// Add a partition `urgent` whose jobs put those of the partition `gpu` out.
    pub preemption: bool,
    /// Seconds between the request to end and the kill of a job that is put out.
    pub grace_s: u32,
    /// Seconds after which a silent node counts as down; that is noticed some seconds later, and
    /// sooner with a short `message_timeout_s`.
    pub node_timeout_s: u32,
    /// Seconds after which a command gives up on a controller that does not answer.
    pub message_timeout_s: u32,
    /// Seconds that an ended job stays visible; the controller looks once a minute.
    pub min_job_age_s: u32,
    /// Start `slurmrestd` too.
    pub rest: bool,
    /// Further settings of `slurm.conf`; one that the lab sets itself is replaced.
    pub settings: Vec<(String, String)>,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            nodes: 2,
            cpus: 2,
            memory_mb: 4000,
            gpus: 0,
            own_networks: false,
            preemption: true,
            grace_s: 0,
            node_timeout_s: 5,
            message_timeout_s: 3,
            min_job_age_s: 300,
            rest: false,
            settings: Vec::new(),
        }
    }
}

/// A Slurm cluster that ends with this value.
#[derive(Debug)]
pub struct SlurmLab {
    options: LabOptions,
    place: Place,
    network: Option<Network>,
    daemons: Mutex<HashMap<String, Child>>,
    conf: PathBuf,
    folder: TempDir,
}

impl SlurmLab {
    /// Starts a cluster and waits until its nodes take jobs. Where Slurm is not installed, or
    /// where this process is not root, says so on stderr and gives none.
    #[must_use]
    pub fn start(options: LabOptions) -> Option<Self> {
        if let Some(reason) = missing(&options) {
            eprintln!("no Slurm for tests: {reason}");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("skein-slurm-").tempdir();
        let folder = folder.expect("a temporary folder");
        let place = Place::take(options.nodes, options.own_networks).expect("free ports");
        let network = options.own_networks.then(|| Network::make(&place, options.nodes));
        let network = match network.transpose() {
            Ok(network) => network,
            Err(reason) => {
                eprintln!("no Slurm for tests: {reason}");
                return None;
            }
        };
        let conf = conf::write(folder.path(), &options, &place);
        let daemons = Mutex::default();
        let lab = Self { options, place, network, daemons, conf, folder };
        lab.start_keys();
        lab.start_controller();
        for name in lab.nodes() {
            lab.launch_node(&name);
        }
        for name in lab.nodes() {
            lab.wait_for_node(&name);
        }
        if lab.options.rest {
            lab.start_rest();
        }
        Some(lab)
    }

    /// The file that `SLURM_CONF` names.
    #[must_use]
    pub fn conf(&self) -> &Path {
        &self.conf
    }

    /// Folder of the lab, which all its nodes share; `log/` in it has what its daemons said.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Names of the nodes.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        (1..=self.options.nodes).map(node_name).collect()
    }

    /// A command of Slurm that talks to this lab, started in its folder.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
        command.env("SLURM_CONF", &self.conf).current_dir(self.folder()).stdin(Stdio::null());
        command
    }

    /// What a command of Slurm prints, without white space around it; it must succeed.
    pub fn say(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).output().expect("a command of Slurm");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {}: {err}", output.status);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Submits a script and gives the number of its job.
    #[must_use]
    pub fn submit(&self, args: &[&str], script: &str) -> String {
        let mut command = self.command("sbatch");
        command.arg("--parsable").args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("sbatch");
        let mut input = child.stdin.take().expect("its input");
        input.write_all(script.as_bytes()).expect("a script that is read");
        drop(input);
        let output = child.wait_with_output().expect("sbatch");
        assert!(output.status.success(), "sbatch {args:?}: {}", output.status);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// State of a job, such as `RUNNING`; also of one that has ended.
    #[must_use]
    pub fn state(&self, job: &str) -> String {
        self.say("squeue", &["--noheader", "--states=all", "--jobs", job, "--format=%T"])
    }

    /// Waits until a job is in a state.
    pub fn wait_for_state(&self, job: &str, state: &str) {
        self.wait_until(&format!("job {job} is {state}"), || self.state(job) == state);
    }

    /// Has the controller write down what it knows; takes up to six seconds. By itself it does so
    /// when a job is submitted or has ended, but not when one starts: killed then, it takes a
    /// running job for a pending one, ends it and starts it again, even with `--no-requeue`.
    pub fn save(&self, job: &str) {
        let file = self.folder().join("state/job_state");
        let written = || fs::metadata(&file).and_then(|data| data.modified()).ok();
        let before = written();
        let _ = self.say("scontrol", &["update", &format!("JobId={job}"), "Nice=0"]);
        self.wait_until("the controller has saved its state", || written() > before);
    }

    /// Kills the controller, as a crash of its machine would; see [`SlurmLab::save`].
    pub fn kill_controller(&self) {
        let process = self.process(CONTROLLER);
        family::end(|| family::from(process));
        self.bury(CONTROLLER);
    }

    /// Starts the controller and waits until it answers.
    pub fn start_controller(&self) {
        self.launch(CONTROLLER, self.command(CONTROLLER).arg("-D"));
        let port = (self.place.controller(), self.place.controller_port());
        self.wait_until("the controller listens", || std::net::TcpStream::connect(port).is_ok());
        self.wait_until("the controller answers", || {
            self.command("squeue").output().is_ok_and(|output| output.status.success())
        });
    }

    /// Stops the controller, so that it takes connections and answers none.
    pub fn pause_controller(&self) {
        pause(self.process(CONTROLLER));
    }

    /// Lets a stopped controller go on.
    pub fn resume_controller(&self) {
        resume(self.process(CONTROLLER));
    }

    /// Kills a node: its daemon, the jobs on it and all that they started.
    pub fn kill_node(&self, name: &str) {
        let process = self.process(name);
        family::end(|| family::from(process));
        self.bury(name);
        family::end(|| self.leftovers(name));
    }

    /// Starts a node that was killed, and waits until it takes jobs.
    pub fn start_node(&self, name: &str) {
        self.launch_node(name);
        self.wait_for_node(name);
    }

    /// The processes of jobs on a node, and Slurm's own that look after them.
    #[must_use]
    pub fn leftovers(&self, name: &str) -> Vec<u32> {
        family::of_node(&self.conf, &conf::node_log(self.folder(), name), name)
    }

    /// Cuts a node off from the controller; its jobs do not notice. Takes `own_networks`.
    pub fn cut_link(&self, name: &str) {
        self.own_network().set_link(name, "down").expect("a link");
    }

    /// Mends the link of a node.
    pub fn heal_link(&self, name: &str) {
        self.own_network().set_link(name, "up").expect("a link");
    }

    /// Waits until a node has registered and takes jobs.
    pub fn wait_for_node(&self, name: &str) {
        self.wait_until(&format!("node {name} takes jobs"), || {
            let args = ["--noheader", "--nodes", name, "--partition=gpu", "--format=%T"];
            ["idle", "mixed", "allocated"].contains(&self.say("sinfo", &args).as_str())
        });
    }

    /// Waits until something holds; shows the lab's logs where it does not within 30 seconds.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !holds() {
            assert!(begin.elapsed() < LIMIT, "not after {LIMIT:?}: {what}\n{}", self.logs());
            std::thread::sleep(PAUSE);
        }
    }

    fn own_network(&self) -> &Network {
        self.network.as_ref().expect("`own_networks` set")
    }

    /// Starts the daemon that signs what Slurm's parts tell each other.
    fn start_keys(&self) {
        let run = self.folder().join("run");
        let mut command = self.command("munged");
        command.args(["--foreground", "--force", "--num-threads=2"]);
        for (option, file) in [
            ("--key-file", self.folder().join("munge/key")),
            ("--seed-file", self.folder().join("munge/seed")),
            ("--socket", conf::munge_socket(self.folder())),
            ("--pid-file", run.join("munged.pid")),
        ] {
            command.arg(option).arg(file);
        }
        self.launch("munged", &mut command);
        let socket = conf::munge_socket(self.folder());
        self.wait_until("munged listens", || socket.exists());
    }

    fn launch_node(&self, name: &str) {
        let daemon = self.command("slurmd");
        let mut command = match &self.network {
            Some(network) => network.inside(name, &daemon),
            None => daemon,
        };
        self.launch(name, command.env("SLURM_CONF", &self.conf).args(["-D", "-N", name]));
    }

    fn launch(&self, name: &str, command: &mut Command) {
        let log = File::create(self.folder().join("log").join(format!("{name}.out")));
        let log = log.expect("a log");
        let errors = log.try_clone().expect("a log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let earlier = self.daemons().insert(name.to_owned(), child);
        assert!(earlier.is_none(), "{name} was started twice");
    }

    fn daemons(&self) -> std::sync::MutexGuard<'_, HashMap<String, Child>> {
        self.daemons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self, name: &str) -> u32 {
        self.daemons().get(name).unwrap_or_else(|| panic!("{name} does not run")).id()
    }

    /// Waits for the end of a daemon that was killed.
    fn bury(&self, name: &str) {
        if let Some(mut child) = self.daemons().remove(name) {
            let _ = child.wait();
        }
    }

    /// The last lines of every log.
    fn logs(&self) -> String {
        let entries = fs::read_dir(self.folder().join("log")).into_iter().flatten().flatten();
        let ends = entries.map(|entry| {
            let text = fs::read(entry.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().rev().take(5).collect();
            let lines: Vec<_> = lines.into_iter().rev().collect();
            format!("{}:\n{}\n", entry.path().display(), lines.join("\n"))
        });
        ends.collect()
    }
}

impl Drop for SlurmLab {
    fn drop(&mut self) {
        let daemons: Vec<_> = self.daemons().drain().collect();
        // Each daemon's own helpers first, while its number is still certain to be its own.
        for (_, mut child) in daemons {
            let process = child.id();
            family::end(|| family::from(process));
            let _ = child.wait();
        }
        for name in self.nodes() {
            family::end(|| self.leftovers(&name));
        }
    }
}

/// Name of a node, counted from 1.
fn node_name(number: usize) -> String {
    format!("n{number}")
}

/// A program on the search path, or where Debian puts those of the system.
fn find(program: &str) -> Option<PathBuf> {
    let mut folders = vec![PathBuf::from("/usr/bin"), "/usr/sbin".into(), "/sbin".into()];
    if let Some(path) = std::env::var_os("PATH") {
        folders.splice(0..0, std::env::split_paths(&path));
    }
    folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Why no lab can be started here.
fn missing(options: &LabOptions) -> Option<String> {
    let mut programs = vec!["munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue"];
    if options.own_networks {
        programs.extend(["ip", "nsenter"]);
    }
    if options.rest {
        programs.push("slurmrestd");
    }
    let absent: Vec<_> = programs.into_iter().filter(|name| find(name).is_none()).collect();
    if !absent.is_empty() {
        let absent = absent.join(", ");
        return Some(format!("{absent} not found (Debian: apt-get install {PACKAGES})"));
    }
    let is_root = rustix::process::geteuid().is_root();
    (!is_root).then(|| "its daemons must be started by root".to_owned())
}

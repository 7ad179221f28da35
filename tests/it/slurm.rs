//! Runs as jobs of a real Slurm cluster, and what becomes of them when parts of it fail.

mod faults;
mod rest;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use integration_tests::slurm::{LabOptions, SlurmLab};
use integration_tests::{Options, TestServer, eventually, spec};
use serde_json::{Value, json};

/// Long enough for what Slurm notices only after timeouts of its own.
const LONG: Duration = Duration::from_secs(120);

/// A cluster, and a server that hands runs over to it.
struct Cluster {
    server: TestServer,
    lab: SlurmLab,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Labs are heavy, and their timeouts are short: one at a time.
    fn turn() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None, with a line that says why, where there is no Slurm.
    fn start(options: LabOptions, settings: &str, real: bool) -> Option<Self> {
        let turn = Self::turn();
        let lab = SlurmLab::start(options)?;
        let options = Options { real, ..Options::default() };
        let options = options.env("SLURM_CONF", lab.conf().to_str().unwrap());
        Some(Self::serve(lab, turn, settings, options))
    }

    /// A server for a cluster.
    fn serve(
        lab: SlurmLab,
        turn: MutexGuard<'static, ()>,
        settings: &str,
        mut options: Options,
    ) -> Self {
        let file = lab.folder().join("skein.toml");
        let text = format!("poll_seconds = 1\ncommand_seconds = 3\n{settings}");
        std::fs::write(&file, text).unwrap();
        options.args = vec!["--slurm".to_owned(), file.to_str().unwrap().to_owned()];
        let server = TestServer::with(options);
        Self { server, lab, _turn: turn }
    }

    /// One with two nodes of two processors and the fake worker.
    fn usual(settings: &str) -> Option<Self> {
        Self::start(LabOptions::default(), settings, false)
    }

    fn create(&self, name: &str) -> String {
        self.server.post("/api/v1/runs", &on_slurm(spec(name), &json!({}))).created()
    }

    /// One that takes a whole node.
    fn create_wide(&self, name: &str) -> String {
        self.server.post("/api/v1/runs", &on_slurm(spec(name), &json!({"cpus": 2}))).created()
    }

    fn ended(&self, id: &str) -> Value {
        let has_ended =
            |run: &Value| ["succeeded", "failed"].contains(&run["status"].as_str().unwrap());
        self.server.wait_within(LONG, id, "ended", has_ended)
    }

    fn node_of(&self, id: &str) -> String {
        let has_node = |run: &Value| run["cluster"]["node"].is_string();
        let run = self.server.wait(id, "on a node", has_node);
        run["cluster"]["node"].as_str().unwrap().to_owned()
    }

    /// A job of somebody else that takes a whole node.
    fn fill(&self, node: &str, partition: &str) -> String {
        let args = ["-p", partition, "-c2", "-w", node, "-o", "/dev/null", "--time=5"];
        self.lab.submit(&args, "#!/bin/bash\nexec sleep 300\n")
    }

    /// Names of the jobs of a run, one for each that Slurm remembers.
    fn jobs_of(&self, id: &str) -> Vec<String> {
        let all = self.lab.say("squeue", &["-h", "--states=all", "-o", "%j"]);
        all.lines().filter(|name| name.contains(id)).map(str::to_owned).collect()
    }
}

fn on_slurm(mut spec: Value, slurm: &Value) -> Value {
    spec["resources"]["executor"] = json!("slurm");
    spec["resources"]["slurm"] = slurm.clone();
    spec
}

#[test]
fn a_run_waits_works_and_ends_as_a_job() {
    let Some(cluster) = Cluster::usual("") else { return };
    let fill = [cluster.fill("n1", "gpu"), cluster.fill("n2", "gpu")];
    fill.iter().for_each(|job| cluster.lab.wait_for_state(job, "RUNNING"));
    let id = cluster.create("steps=20");
    let told = |run: &Value| run["cluster"]["reason"].is_string();
    let run = cluster.server.wait(&id, "waiting in Slurm", told);
    assert_eq!((&run["status"], &run["executor"]), (&json!("pending"), &json!("slurm")));
    assert_eq!(run["cluster"]["state"], "PENDING");
    let page = cluster.server.get(&format!("/runs/{id}")).text();
    assert!(page.contains("is queued: "), "the page says why it waits");
    let list = cluster.server.get("/api/v1/runs?status=pending").json();
    assert_eq!(list["runs"].as_array().unwrap().len(), 1);
    cluster.lab.say("scancel", &[fill[0].as_str()]);
    let run = cluster.ended(&id);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("succeeded"), &json!(1)));
    assert_eq!((&run["cluster"], &run["device"]), (&Value::Null, &json!("cpu")));
    let log = cluster.server.get(&format!("/api/v1/runs/{id}/logs")).text();
    assert!(log.contains("Slurm job ") && log.contains("fake worker begins"), "{log}");
}

#[test]
fn runs_that_come_together_are_one_array_within_its_limit() {
    let Some(cluster) = Cluster::usual("array_at_once = 2") else { return };
    let ids: Vec<String> =
        (0..8).map(|n| cluster.create(&format!("steps=20 pace=50 r{n}"))).collect();
    let job = |run: &Value| {
        let job = run["cluster"]["job"].as_str()?;
        Some(job.split('_').next()?.to_owned())
    };
    let first = job(&cluster.server.wait(&ids[0], "a job", |run| job(run).is_some())).unwrap();
    let mut most = 0;
    eventually("all tasks ended", || {
        let states = cluster.lab.say("squeue", &["-h", "-r", "-j", &first, "-o", "%T"]);
        let working = states.lines().filter(|state| *state == "RUNNING").count();
        assert!(working <= 2, "{states}");
        ids.iter().all(|id| cluster.server.run(id)["status"] == "succeeded")
    });
    for id in &ids {
        let stored = cluster.server.run_folder(id).join("slurm-1.json");
        most = most.max(std::fs::read_to_string(stored).unwrap().len());
        assert_eq!(cluster.server.run(id)["attempt"], 1);
    }
    assert!(most > 0);
    assert_eq!(
        cluster.lab.say("squeue", &["-h", "-r", "--states=all", "-o", "%F"]).lines().max(),
        Some(first.as_str()),
        "one submission"
    );
}

/// `ssh` that stays here, and gives the line to a shell as a server would.
const SSH: &str = r#"#!/bin/sh
echo "$7" >> "$(dirname "$0")/hosts"
[ "$1 $2 $3 $4 $5 $6 $8" = "-o BatchMode=yes -o ConnectTimeout=5 -o ControlMaster=no --" ] && exec sh -c "$9"
echo "not these options: $*" >&2; exit 1
"#;

#[test]
fn slurm_s_commands_may_be_on_another_host() {
    let turn = Cluster::turn();
    let Some(lab) = SlurmLab::start(LabOptions::default()) else { return };
    let bin = lab.folder().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("ssh"), SSH).unwrap();
    std::fs::set_permissions(bin.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let options = Options::default().env("PATH", &path);
    let options = options.env("SLURM_CONF", lab.conf().to_str().unwrap());
    let cluster = Cluster::serve(lab, turn, "host = 'me@login'", options);
    let (first, second) = (cluster.create("steps=20"), cluster.create("steps=900 pace=50"));
    cluster.server.wait_step(&second, 3);
    let answer = cluster.server.post(&format!("/api/v1/runs/{second}/cancel"), &json!({}));
    assert_eq!(answer.status, 202);
    assert_eq!(cluster.ended(&first)["status"], "succeeded");
    cluster.server.wait_status(&second, "cancelled");
    let hosts = std::fs::read_to_string(bin.join("hosts")).unwrap();
    assert!(hosts.lines().count() > 3 && hosts.lines().all(|host| host == "me@login"), "{hosts}");
}

#[test]
fn a_job_gets_the_administrator_s_lines_set_up_and_container() {
    let turn = Cluster::turn();
    let Some(lab) = SlurmLab::start(LabOptions::default()) else { return };
    let wrapper = lab.folder().join("wrapper");
    std::fs::write(
        &wrapper,
        "#!/bin/sh\necho \"$GREETING from $2\" > \"$1\"\nshift; exec \"$@\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = lab.folder().join("said");
    let settings = format!(
        "lines = ['--comment=thesis']\nsetup = ['export GREETING=hello']\ncontainer = '{} {}'",
        wrapper.display(),
        said.display()
    );
    let options = Options::default().env("SLURM_CONF", lab.conf().to_str().unwrap());
    let cluster = Cluster::serve(lab, turn, &settings, options);
    let id = cluster.create("steps=100 pace=50");
    cluster.server.wait_step(&id, 3);
    let job = cluster.lab.say("scontrol", &["show", "job"]);
    assert!(job.contains("Comment=thesis"), "{job}");
    let said = std::fs::read_to_string(said).unwrap();
    assert!(said.starts_with("hello from ") && said.trim().ends_with("fake-worker"), "{said}");
    assert_eq!(cluster.ended(&id)["status"], "succeeded");
}

#[test]
fn runs_are_cancelled_and_paused_wherever_they_are() {
    let Some(cluster) = Cluster::usual("") else { return };
    let server = &cluster.server;
    let act = |id: &str, what: &str| {
        let answer = server.post(&format!("/api/v1/runs/{id}/{what}"), &json!({}));
        assert_eq!(answer.status, 202, "{}", answer.text());
    };
    let (first, second) =
        (cluster.create_wide("steps=900 pace=50"), cluster.create_wide("steps=900 pace=50"));
    server.wait_step(&first, 3);
    server.wait_step(&second, 3);
    let waiting = cluster.create_wide("steps=20");
    server.wait(&waiting, "in Slurm's queue", |run| run["cluster"]["state"] == "PENDING");
    act(&waiting, "cancel");
    server.wait_status(&waiting, "cancelled");
    act(&first, "cancel");
    server.wait_status(&first, "cancelled");
    act(&second, "pause");
    let paused = server.wait_status(&second, "paused");
    let step = paused["progress"]["step"].as_u64().unwrap();
    act(&second, "resume");
    let resumed =
        server.wait(&second, "resumed", |run| run["attempt"] == 2 && run["status"] == "running");
    assert!(
        resumed["progress"]["step"].as_u64().unwrap() + 4 >= step,
        "it goes on from its checkpoint"
    );
    // Somebody takes its job off the cluster by hand.
    server.wait_step(&second, step + 10);
    cluster.lab.say("scancel", &["--state=RUNNING"]);
    let paused = server.wait_status(&second, "paused");
    assert!(paused["reason"].as_str().unwrap().contains("not through this server"), "{paused}");
    let others = cluster.lab.say("squeue", &["-h", "-o", "%j %T"]);
    assert_eq!(others, "", "nothing of them is left");
}

#[test]
fn what_the_cluster_or_its_administrator_does_not_allow_is_said() {
    let settings = "[job]\npartition = 'gpu'\n[allow]\npartition = ['missing']\n";
    let Some(cluster) = Cluster::usual(settings) else { return };
    let post =
        |slurm: Value| cluster.server.post("/api/v1/runs", &on_slurm(spec("steps=5"), &slurm));
    let refused = post(json!({"partition": "urgent"}));
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("must be one of `gpu`, `missing`"), "{}", refused.text());
    let (good, bad) = (post(json!({})).created(), post(json!({"partition": "missing"})).created());
    let failed = cluster.ended(&bad);
    let message = failed["failure"]["message"].as_str().unwrap();
    assert!(message.contains("invalid partition specified: missing"), "{message}");
    assert_eq!(failed["failure"]["class"], "user");
    assert_eq!(cluster.ended(&good)["status"], "succeeded", "its neighbour is not concerned");
}

#[test]
fn a_server_without_a_cluster_refuses_and_its_form_has_no_such_fields() {
    let Some(cluster) = Cluster::usual("") else { return };
    let plain = TestServer::start();
    let answer = plain.post("/api/v1/runs", &on_slurm(spec("steps=5"), &json!({})));
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("started without --slurm"), "{}", answer.text());
    let page = |server: &TestServer| server.get("/runs/new").text().contains("resources-slurm");
    assert_eq!((page(&plain), page(&cluster.server)), (false, true));
}

#[test]
fn the_doctor_looks_at_the_cluster_from_a_node() {
    let Some(cluster) = Cluster::usual("[job]\npartition = 'gpu'\n") else { return };
    let file = cluster.lab.folder().join("skein.toml");
    let doctor = |settings: &PathBuf| {
        let mut command =
            cluster.server.client_command(&["doctor", "--executor", "slurm", "--json"]);
        command.arg("--slurm").arg(settings).arg("--data").arg(cluster.server.data());
        command.arg("--datasets").arg(cluster.server.datasets());
        command.arg("--worker").arg(integration_tests::program("fake-worker"));
        let output = command.env("SLURM_CONF", cluster.lab.conf()).output().unwrap();
        let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        move |name: &str| {
            let found = checks.iter().find(|check| check["name"] == name);
            found.unwrap_or_else(|| panic!("no {name}: {checks:#?}")).clone()
        }
    };
    let of = doctor(&file);
    for name in [
        "slurm",
        "partitions",
        "compute node",
        "libtorch on the node",
        "data sets on the node",
        "clock",
    ] {
        assert_eq!(of(name)["ok"], true, "{}", of(name));
    }
    let wrong = cluster.lab.folder().join("wrong.toml");
    std::fs::write(&wrong, "worker = '/no/such/worker'\n[job]\npartition = 'none'\n").unwrap();
    let of = doctor(&wrong);
    assert!(of("partitions")["detail"].as_str().unwrap().contains("there is no partition `none`"));
    assert_eq!(of("compute node")["ok"], false);
}

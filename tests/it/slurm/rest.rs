//! The same through `slurmrestd`, with no command of Slurm at hand.

use super::*;

fn cluster(settings: &str) -> Option<Cluster> {
    let options = LabOptions { rest: true, gpus: 1, ..LabOptions::default() };
    let turn = Cluster::turn();
    let lab = SlurmLab::start(options)?;
    let (url, token) = (lab.rest_url(), lab.token_file());
    let rest =
        format!("[rest]\nurl = '{url}'\nuser = 'root'\ntoken_file = '{}'\n", token.display());
    let options = Options::default().env("SLURM_CONF", "/no/slurm.conf");
    Some(Cluster::serve(lab, turn, &format!("{settings}\n{rest}"), options))
}

#[test]
fn runs_wait_work_pause_and_end_through_the_rest_interface() {
    let Some(cluster) = cluster("leave_seconds = 20") else { return };
    let server = &cluster.server;
    let fill = [cluster.fill("n1", "gpu"), cluster.fill("n2", "gpu")];
    fill.iter().for_each(|job| cluster.lab.wait_for_state(job, "RUNNING"));
    let asked = json!({"gres": "gpu:1", "memory_mb": 200, "minutes": 5, "cpus": 1, "at_once": 2});
    let create = |n| {
        let spec = on_slurm(spec(&format!("steps=120 pace=50 r{n}")), &asked);
        server.post("/api/v1/runs", &spec).created()
    };
    let ids: Vec<String> = (0..4).map(create).collect();
    let told = |run: &Value| run["cluster"]["reason"].is_string();
    for id in &ids {
        let run = server.wait(id, "waiting in Slurm", told);
        assert_eq!(
            (&run["status"], &run["cluster"]["state"]),
            (&json!("pending"), &json!("PENDING"))
        );
    }
    let job = |id: &str| server.run(id)["cluster"]["job"].as_str().unwrap().to_owned();
    assert!(job(&ids[3]).ends_with("_3"), "the fourth task of an array: {}", job(&ids[3]));
    let act = |id: &str, what: &str| {
        let answer = server.post(&format!("/api/v1/runs/{id}/{what}"), &json!({}));
        assert_eq!(answer.status, 202, "{}", answer.text());
    };
    act(&ids[3], "cancel");
    server.wait_status(&ids[3], "cancelled");
    fill.iter().for_each(|job| drop(cluster.lab.say("scancel", &[job])));
    server.wait_step(&ids[0], 5);
    let shown = cluster.lab.say("scontrol", &["show", "job", &job(&ids[0])]);
    for part in ["TimeLimit=00:05:00", "Requeue=0", "MinMemoryNode=200M", "gpu:1", "CPUs/Task=1"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    act(&ids[0], "pause");
    let paused = server.wait_status(&ids[0], "paused");
    assert!(paused["progress"]["step"].as_u64().unwrap() < 120, "it left early");
    act(&ids[0], "resume");
    for id in &ids[..3] {
        assert_eq!(cluster.ended(id)["status"], "succeeded", "{}", server.log());
    }
    let wrong = server.post("/api/v1/runs", &on_slurm(spec("x"), &json!({"partition": "none"})));
    let failed = cluster.ended(&wrong.created());
    let message = failed["failure"]["message"].as_str().unwrap();
    assert!(message.contains("nvalid partition"), "{message}");
}

#[test]
fn a_job_asked_through_the_rest_interface_leaves_before_its_time_limit() {
    let Some(cluster) = cluster("leave_seconds = 50") else { return };
    let minute = json!({"minutes": 1});
    let spec = on_slurm(spec("steps=300 pace=100"), &minute);
    let id = cluster.server.post("/api/v1/runs", &spec).created();
    let run = cluster.ended(&id);
    assert_eq!(run["status"], "succeeded");
    assert!(run["attempt"].as_u64().unwrap() >= 2, "its time was up: {run}");
    // A token that is no longer valid is a trouble that passes.
    let waiting =
        |run: &Value| run["reason"].as_str().is_some_and(|why| why.contains("slurmrestd"));
    let token = std::fs::read(cluster.lab.token_file()).unwrap();
    std::fs::write(cluster.lab.token_file(), "nonsense").unwrap();
    let id = cluster.create("steps=5");
    let run = cluster.server.wait_within(LONG, &id, "told", waiting);
    assert_eq!(run["status"], "queued", "{run}");
    std::fs::write(cluster.lab.token_file(), token).unwrap();
    assert_eq!(cluster.ended(&id)["status"], "succeeded");
}

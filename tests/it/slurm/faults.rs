//! Parts of the cluster, the server, or the disk fail; the run goes on or says why not.

use std::process::Command;
use std::time::Instant;

use super::*;
use integration_tests::kill;

/// About a hundred steps of a small network.
fn real(slurm: &Value) -> Value {
    let spec = json!({
        "dataset": {"id": "fashion-mnist", "limit": 128},
        "space": {"preset": "toy-cell", "channels": 4},
        "search": {"optimizer": {"kind": "drnas"}, "epochs": 100, "batch_size": 16, "valid_limit": 32},
        "after": {"recalibrate_images": 32},
        "resources": {"device": "cpu", "threads": 1, "checkpoint_every": 5}
    });
    on_slurm(spec, slurm)
}

/// What a run found, to the last bit.
fn found(server: &TestServer, id: &str) -> (Value, Vec<u8>) {
    let weights = server.get(&format!("/api/v1/runs/{id}/artifacts/model.safetensors"));
    assert_eq!(weights.status, 200);
    let summary = server.run(id)["summary"].clone();
    (json!([summary["architecture"], summary["ladder"]]), weights.body)
}

#[test]
fn a_search_that_is_put_out_killed_and_cut_short_ends_as_if_nothing_had_been() {
    let settings = "[job]\ncpus = 2\n";
    let Some(mut cluster) = Cluster::start(LabOptions::default(), settings, true) else { return };
    let id = cluster.server.post("/api/v1/runs", &real(&json!({}))).created();
    let at_attempt = |cluster: &Cluster, attempt: u64, step: u64| {
        cluster.server.wait_within(LONG, &id, "in the next attempt", |run| {
            run["attempt"].as_u64().unwrap() >= attempt
                && run["status"] == "running"
                && run["progress"]["step"].as_u64().unwrap_or(0) >= step
        })
    };
    for attempt in 1..=3 {
        let run = at_attempt(&cluster, attempt, 8 * attempt);
        assert_eq!(run["attempt"], attempt);
        let urgent = cluster.fill(&cluster.node_of(&id), "urgent");
        at_attempt(&cluster, attempt + 1, 1);
        cluster.lab.say("scancel", &[&urgent]);
    }
    at_attempt(&cluster, 4, 40);
    let has_job = |run: &Value| run["cluster"]["job"].is_string();
    let run = cluster.server.wait(&id, "a job", has_job);
    cluster.lab.save(run["cluster"]["job"].as_str().unwrap());
    cluster.server.kill();
    cluster.lab.kill_controller();
    cluster.server.start_again();
    cluster.lab.start_controller();
    let run = at_attempt(&cluster, 4, 45);
    assert_eq!(run["attempt"], 4, "neither server nor controller are needed to work");
    cluster.lab.kill_node(&cluster.node_of(&id));
    let run = cluster.ended(&id);
    assert_eq!(
        (&run["status"], &run["attempt"]),
        (&json!("succeeded"), &json!(5)),
        "{}",
        cluster.server.log()
    );

    let mut here = real(&json!({}));
    here["resources"] = json!({"device": "cpu", "threads": 1, "checkpoint_every": 5});
    let alone = cluster.server.post("/api/v1/runs", &here).created();
    cluster.server.wait_within(LONG, &alone, "ended", |run| run["status"] == "succeeded");
    assert!(found(&cluster.server, &id) == found(&cluster.server, &alone), "bit for bit");
}

#[test]
fn a_run_longer_than_a_job_goes_on_in_the_next_as_one_curve() {
    let settings = "leave_seconds = 50\n[job]\nminutes = 1\n";
    let Some(cluster) = Cluster::usual(settings) else { return };
    let id = cluster.create("steps=700 pace=100");
    let run = cluster.ended(&id);
    assert_eq!(run["status"], "succeeded");
    assert!(run["attempt"].as_u64().unwrap() >= 3, "its time was up twice: {run}");
    let metrics = cluster.server.get(&format!("/api/v1/runs/{id}/metrics")).json();
    let curve = metrics["series"][0]["points"].as_array().unwrap();
    let steps: Vec<u64> = curve.iter().map(|point| point[0].as_u64().unwrap()).collect();
    assert!(steps.is_sorted_by(|a, b| a < b), "one curve: {steps:?}");
}

#[test]
fn a_killed_server_finds_its_jobs_and_submits_none_twice() {
    let Some(mut cluster) = Cluster::usual("") else { return };
    let fill = [cluster.fill("n1", "gpu"), cluster.fill("n2", "gpu")];
    fill.iter().for_each(|job| cluster.lab.wait_for_state(job, "RUNNING"));
    let id = cluster.create("steps=100 pace=50");
    eventually("submitted", || cluster.jobs_of(&id).len() == 1);
    cluster.server.kill();
    cluster.server.start_again();
    assert_eq!(cluster.server.run(&id)["status"], "pending");
    // Not even a server that knows nothing any more submits it again.
    cluster.server.kill();
    std::fs::remove_dir_all(cluster.server.data().join("index")).unwrap();
    cluster.server.start_again();
    cluster.server.wait_status(&id, "pending");
    fill.iter().for_each(|job| drop(cluster.lab.say("scancel", &[job])));
    cluster.server.wait_step(&id, 5);
    cluster.server.kill();
    cluster.server.start_again();
    assert_eq!(cluster.server.run(&id)["status"], "running");
    let (code, took) = cluster.server.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "jobs do not need the server: {took:?}");
    cluster.server.start_again();
    let run = cluster.ended(&id);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("succeeded"), &json!(1)));
    assert_eq!(cluster.jobs_of(&id).len(), 1);
}

#[test]
fn a_job_that_the_controller_forgets_is_submitted_again() {
    let Some(cluster) = Cluster::usual("") else { return };
    // The controller writes its state every five seconds at most: this job makes it write, and what
    // comes in the next seconds is lost with it.
    std::thread::sleep(Duration::from_secs(6));
    let held = cluster.lab.submit(&["--hold", "-o", "/dev/null"], "#!/bin/bash\ntrue\n");
    let id = cluster.create("steps=60 pace=50");
    eventually("submitted", || cluster.server.log().contains("submitted to Slurm"));
    cluster.lab.kill_controller();
    cluster.lab.start_controller();
    let forgotten = cluster.jobs_of(&id).is_empty();
    let run = cluster.ended(&id);
    assert_eq!(run["status"], "succeeded");
    let attempts = if forgotten { 2 } else { 1 };
    assert_eq!(run["attempt"], attempts, "forgotten: {forgotten}");
    assert_eq!(cluster.lab.state(&held), "PENDING", "the older job is still known");
}

/// A controller does not write down that a job has begun: a new one ends it, and begins it again.
#[test]
fn a_job_that_a_new_controller_begins_again_makes_way_for_the_next_attempt() {
    let Some(cluster) = Cluster::usual("") else { return };
    let id = cluster.create("steps=200 pace=50");
    cluster.server.wait_step(&id, 10);
    cluster.lab.kill_controller();
    cluster.lab.start_controller();
    let run = cluster.ended(&id);
    assert_eq!(run["status"], "succeeded");
    assert!(run["attempt"].as_u64().unwrap() <= 2, "{run}");
}

#[test]
fn a_run_goes_on_elsewhere_when_its_node_dies() {
    let Some(cluster) = Cluster::usual("") else { return };
    let id = cluster.create("steps=150 pace=50");
    cluster.server.wait_step(&id, 20);
    let node = cluster.node_of(&id);
    cluster.lab.kill_node(&node);
    let began = Instant::now();
    let next = |run: &Value| run["attempt"] == 2 && run["cluster"]["node"].is_string();
    let run = cluster.server.wait_within(LONG, &id, "on another node", next);
    assert_ne!(run["cluster"]["node"], node.as_str(), "after {:?}", began.elapsed());
    assert_eq!(cluster.ended(&id)["status"], "succeeded");
}

#[test]
fn of_two_copies_none_hurts_the_other_when_a_link_is_cut_and_heals() {
    let options = LabOptions { own_networks: true, ..LabOptions::default() };
    let Some(cluster) = Cluster::start(options, "", false) else { return };
    let id = cluster.create("steps=300 pace=100");
    cluster.server.wait_step(&id, 10);
    let node = cluster.node_of(&id);
    cluster.lab.cut_link(&node);
    let job = cluster.server.run(&id)["cluster"]["job"].as_str().unwrap().to_owned();
    cluster.lab.wait_for_state(&job, "NODE_FAIL");
    // Slurm gave it up, but its worker holds its lock and works.
    std::thread::sleep(Duration::from_secs(3));
    let run = cluster.server.run(&id);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("running"), &json!(1)));
    cluster.lab.heal_link(&node);
    let run = cluster.ended(&id);
    assert_eq!(run["status"], "succeeded");
    assert!(run["attempt"].as_u64().unwrap() <= 2, "{run}");
}

#[test]
fn while_slurm_does_not_answer_runs_go_on_and_pages_say_so() {
    let Some(cluster) = Cluster::usual("") else { return };
    let id = cluster.create("steps=600 pace=50");
    let ends = cluster.create("steps=100 pace=50");
    cluster.server.wait_step(&id, 5);
    cluster.server.wait_step(&ends, 5);
    cluster.lab.pause_controller();
    let silent = |run: &Value| {
        run["cluster"]["summary"].as_str().is_some_and(|said| said.contains("does not answer"))
    };
    let run = cluster.server.wait_within(LONG, &id, "told", silent);
    assert_eq!(run["status"], "running");
    let waiting = cluster.create("steps=5");
    let told =
        |run: &Value| run["reason"].as_str().is_some_and(|why| why.contains("does not answer"));
    assert_eq!(cluster.server.wait(&waiting, "told", told)["status"], "queued");
    let step = cluster.server.run(&id)["progress"]["step"].as_u64().unwrap();
    cluster.server.wait_step(&id, step + 10);
    // What a run has found counts, whatever Slurm says of its job.
    cluster.server.wait_within(LONG, &ends, "ended", |run| run["status"] == "succeeded");
    assert!(cluster.server.run(&id)["cluster"]["summary"].to_string().contains("does not answer"));
    cluster.lab.resume_controller();
    assert_eq!(cluster.ended(&waiting)["status"], "succeeded");
    let run = cluster.ended(&id);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("succeeded"), &json!(1)));
}

#[test]
fn a_full_disk_fails_the_run_and_says_so() {
    let Some(cluster) = Cluster::start(LabOptions::default(), "", true) else { return };
    let fill = [cluster.fill("n1", "gpu"), cluster.fill("n2", "gpu")];
    fill.iter().for_each(|job| cluster.lab.wait_for_state(job, "RUNNING"));
    let id = cluster.server.post("/api/v1/runs", &real(&json!({}))).created();
    let folder = cluster.server.run_folder(&id);
    let spec = std::fs::read(folder.join("spec.json")).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=128k", "none"]).arg(&folder);
    if !mount.status().is_ok_and(|status| status.success()) {
        return println!("skipped: no file system can be mounted here");
    }
    std::fs::write(folder.join("spec.json"), spec).unwrap();
    cluster.lab.say("scancel", &[&fill[0]]);
    let run = cluster.ended(&id);
    let unmounted = Command::new("umount").arg("-l").arg(&folder).status();
    assert_eq!(run["status"], "failed", "{run}");
    let message = run["failure"]["message"].as_str().unwrap();
    assert!(message.contains("the disk of its folder is full"), "{message}");
    assert!(unmounted.unwrap().success());
}

#[test]
fn a_job_whose_attempt_is_over_is_cancelled() {
    let Some(cluster) = Cluster::usual("") else { return };
    let id = cluster.create("steps=10");
    cluster.ended(&id);
    let name = format!("skein-{id}-7");
    let args = ["-J", &name, "-o", "/dev/null"];
    let job = cluster.lab.submit(&args, "#!/bin/bash\nexec sleep 300\n");
    cluster.lab.wait_for_state(&job, "RUNNING");
    let began = Instant::now();
    while cluster.lab.state(&job) == "RUNNING" {
        assert!(began.elapsed() < LONG, "it works on");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_worker_that_is_killed_is_tried_again_and_its_job_s_end_is_told() {
    let Some(cluster) = Cluster::usual("") else { return };
    let id = cluster.create("steps=60 pace=50");
    cluster.server.wait_step(&id, 10);
    kill(cluster.server.worker_pid(&id));
    cluster.server.wait(&id, "tried again", |run| run["attempt"] == 2);
    assert_eq!(cluster.ended(&id)["status"], "succeeded");
    let always = cluster.create("steps=60 crash-always@2");
    let run = cluster.ended(&always);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("failed"), &json!(4)));
    assert!(run["failure"]["message"].as_str().unwrap().contains("signal 9"), "{run}");
}

//! What a server does when Slurm's commands fail, hang, or take a job and do not say so.

use std::time::{Duration, Instant};

use integration_tests::fake_slurm::FakeSlurm;
use integration_tests::{TestServer, eventually, spec};
use serde_json::{Value, json};

fn create(server: &TestServer, name: &str) -> String {
    let mut spec = spec(name);
    spec["resources"]["executor"] = json!("slurm");
    server.post("/api/v1/runs", &spec).created()
}

fn act(server: &TestServer, id: &str, what: &str) {
    let answer = server.post(&format!("/api/v1/runs/{id}/{what}"), &json!({}));
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn has_job(run: &Value) -> bool {
    run["cluster"]["job"].is_string()
}

#[test]
fn a_job_that_ends_while_no_server_runs_is_seen_to_by_the_next() {
    let slurm = FakeSlurm::new();
    let mut server = TestServer::with(slurm.options(""));
    let first = create(&server, "fails");
    server.wait(&first, "submitted", has_job);
    let second = create(&server, "is cancelled elsewhere");
    server.wait(&second, "submitted", has_job);
    server.kill();
    slurm.state("1", "FAILED|NonZeroExitCode|n1|N/A|256");
    slurm.state("2", "CANCELLED|None||N/A|0");
    server.start_again();
    server.wait(&first, "submitted again", |run| run["attempt"] == 2 && has_job(run));
    let paused = server.wait_status(&second, "paused");
    assert!(paused["reason"].as_str().unwrap().contains("not through this server"), "{paused}");
    act(&server, &second, "resume");
    server.wait(&second, "submitted again", |run| run["attempt"] == 2 && has_job(run));
}

#[test]
fn a_run_can_be_cancelled_and_paused_while_its_job_is_being_submitted() {
    let slurm = FakeSlurm::new();
    slurm.set("hangs", Some(""));
    let server = TestServer::with(slurm.options("command_seconds = 3"));
    let (first, second) = (create(&server, "cancelled"), create(&server, "paused"));
    eventually("submitting", || slurm.calls().len() == 1);
    act(&server, &first, "cancel");
    act(&server, &second, "pause");
    server.wait_status(&first, "cancelled");
    server.wait_status(&second, "paused");
    slurm.set("hangs", None);
    act(&server, &second, "resume");
    let run = server.wait(&second, "submitted", has_job);
    assert_eq!(run["status"], "pending");
}

#[test]
fn a_job_that_was_taken_by_a_command_that_hangs_is_found_and_not_submitted_twice() {
    let slurm = FakeSlurm::new();
    slurm.set("hangs", Some(""));
    let server = TestServer::with(slurm.options("command_seconds = 2"));
    let ids = [create(&server, "one"), create(&server, "two")];
    let told = |run: &Value| run["reason"].as_str().is_some_and(|why| why.contains("no answer"));
    assert_eq!(server.wait(&ids[0], "told", told)["status"], "queued");
    for id in &ids {
        let run = server.wait(id, "found", has_job);
        assert_eq!((&run["attempt"], &run["status"]), (&json!(1), &json!("pending")));
    }
    assert_eq!((slurm.calls().len(), slurm.jobs().len()), (1, 1), "one array");
    assert!(slurm.lines("cancelled").is_empty());
}

#[test]
fn a_job_that_is_not_taken_for_now_is_submitted_ever_more_rarely() {
    let slurm = FakeSlurm::new();
    let policy = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy \
                  (job submit limit, user's size and/or time limits)";
    slurm.set("refuses", Some(policy));
    let server = TestServer::with(slurm.options(""));
    let id = create(&server, "one");
    let told = |run: &Value| run["reason"].as_str().is_some_and(|why| why.contains("QOS policy"));
    assert_eq!(server.wait(&id, "told", told)["status"], "queued");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(slurm.calls().len(), 1, "it waits for five seconds at first");
    slurm.set("refuses", None);
    let run = server.wait(&id, "submitted", has_job);
    assert_eq!(run["attempt"], 1);
}

#[test]
fn an_array_that_is_not_taken_is_submitted_job_by_job() {
    let slurm = FakeSlurm::new();
    slurm.set("refuses-arrays", Some("sbatch: error: Invalid job array specification"));
    let server = TestServer::with(slurm.options(""));
    let ids: Vec<String> = (0..3).map(|n| create(&server, &format!("r{n}"))).collect();
    for id in &ids {
        assert_eq!(server.wait(id, "submitted", has_job)["attempt"], 1);
    }
    assert_eq!((slurm.calls().len(), slurm.jobs().len()), (4, 3));
}

#[test]
fn a_partition_that_is_closed_later_fails_no_run_that_has_worked() {
    let slurm = FakeSlurm::new();
    let server = TestServer::with(slurm.options(""));
    let id = create(&server, "one");
    server.wait(&id, "submitted", has_job);
    slurm.set(
        "refuses",
        Some("sbatch: error: Batch job submission failed: Requested partition is gone"),
    );
    slurm.state("1", "NODE_FAIL|None|n1|N/A|0");
    let told = |run: &Value| run["reason"].as_str().is_some_and(|why| why.contains("is gone"));
    assert_eq!(server.wait(&id, "told", told)["status"], "queued");
    let fresh = create(&server, "two");
    assert_eq!(server.wait_status(&fresh, "failed")["failure"]["class"], "user");
}

#[test]
fn strays_are_cancelled_and_other_people_s_jobs_are_not() {
    let slurm = FakeSlurm::new();
    let mut server = TestServer::with(slurm.options(""));
    let ids = [create(&server, "one"), create(&server, "two")];
    ids.iter().for_each(|id| drop(server.wait(id, "submitted", has_job)));
    let array = slurm.jobs().remove(0);
    let mark: String = array.splitn(4, '-').take(3).collect::<Vec<_>>().join("-");
    assert!(mark.starts_with("skein-array-"), "{array}");
    let works = "RUNNING|None|n1|N/A|0";
    slurm.add("50", &format!("{mark}-forgotten"), works);
    slurm.add("51", "skein-array-00000000-of-another-server", works);
    slurm.add("52", "skein-00000000-0000-7000-8000-000000000000-1", works);
    slurm.add("53", &format!("skein-{}-9", ids[0]), works);
    // A server that was started after them knows no better.
    server.kill();
    server.start_again();
    let began = Instant::now();
    while slurm.lines("cancelled").len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(90), "{:?}", slurm.lines("cancelled"));
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut cancelled = slurm.lines("cancelled");
    cancelled.sort_unstable();
    assert_eq!(cancelled, ["50", "53"]);
    assert!(ids.iter().all(|id| server.run(id)["status"] == "pending"));
}

/// Slurm hides for a while that a job has begun, and its table is a moment old.
#[test]
fn a_pause_that_reaches_nobody_at_first_is_repeated() {
    let slurm = FakeSlurm::new();
    let server = TestServer::with(slurm.options(""));
    let id = create(&server, "one");
    server.wait(&id, "submitted", has_job);
    slurm.state("1", "RUNNING|None|n1|N/A|0");
    server.wait_status(&id, "starting");
    slurm.set("bin/scancel", Some("#!/bin/sh\necho 'slurm_kill_job: timed out' >&2; exit 1\n"));
    act(&server, &id, "pause");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(server.run(&id)["status"], "pausing");
    assert!(server.log().contains("cannot stop the worker yet"));
    let scancel = format!(
        "#!/bin/sh\necho \"$*\" >> {0}/cancelled; echo 'COMPLETED|None|n1|N/A|0' > {0}/jobs/1/state\n",
        slurm.folder().display()
    );
    slurm.set("bin/scancel", Some(&scancel));
    server.wait_status(&id, "paused");
    assert_eq!(slurm.lines("cancelled"), ["--batch --signal=TERM 1"]);
}

#[test]
fn a_cluster_that_hangs_keeps_nobody_waiting_here() {
    let slurm = FakeSlurm::new();
    for name in ["squeue", "sbatch", "sinfo", "scancel"] {
        slurm.set(&format!("bin/{name}"), Some("#!/bin/sh\nexec sleep 600\n"));
    }
    let server = TestServer::with(slurm.options("command_seconds = 600"));
    let there = create(&server, "there");
    server.wait_status(&there, "pending");
    let here = server.create("steps=5");
    server.wait_status(&here, "succeeded");
    for path in ["/queue", "/api/v1/cluster", "/runs", "/api/v1/queue"] {
        let began = Instant::now();
        assert_eq!(server.get(path).status, 200, "{path}");
        assert!(began.elapsed() < Duration::from_secs(20), "{path}");
    }
    assert_eq!(server.run(&there)["status"], "pending");
}

//! The Slurm cluster that other tests use does what they rely on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use integration_tests::is_alive;
use integration_tests::slurm::{LabOptions, SlurmLab};

/// A job that ends by itself long after its test.
const LONG: &str = "#!/bin/bash\nsleep 600 &\nexec sleep 600\n";

/// Options of jobs that never start a second time.
const ONCE: [&str; 3] = ["--no-requeue", "--mem=100", "--time=5"];

/// A lab that soon notices that a node is gone.
fn watchful() -> LabOptions {
    LabOptions { node_timeout_s: 3, message_timeout_s: 2, ..LabOptions::default() }
}

/// Processes of a job, once its script has started them.
fn processes(lab: &SlurmLab, node: &str) -> Vec<u32> {
    // The step that looks after the job, the script and what that started.
    lab.wait_until("the job has started its processes", || lab.leftovers(node).len() >= 3);
    lab.leftovers(node)
}

/// The node of a running job.
fn node_of(lab: &SlurmLab, job: &str) -> String {
    lab.say("squeue", &["--noheader", "--jobs", job, "--format=%N"])
}

/// Submits a job and waits until it runs.
fn run(lab: &SlurmLab, args: &[&str], script: &str) -> String {
    let job = lab.submit(args, script);
    lab.wait_for_state(&job, "RUNNING");
    job
}

#[test]
fn an_ended_job_stays_visible() {
    let Some(lab) = SlurmLab::start(LabOptions { gpus: 1, ..LabOptions::default() }) else {
        return;
    };
    let script = "#!/bin/bash\necho \"$CUDA_VISIBLE_DEVICES\" >devices\n";
    let job = lab.submit(&["--gres=gpu:1"], script);
    lab.wait_for_state(&job, "COMPLETED");
    let devices = fs::read_to_string(lab.folder().join("devices")).unwrap();
    assert!(["0", ""].contains(&devices.trim()), "{devices}");
    let job = lab.submit(&[], "#!/bin/bash\nexit 7\n");
    lab.wait_for_state(&job, "FAILED");
}

#[test]
fn two_labs_work_at_once_and_leave_nothing() {
    let (Some(one), Some(other)) =
        (SlurmLab::start(LabOptions::default()), SlurmLab::start(LabOptions::default()))
    else {
        return;
    };
    let jobs = [&one, &other].map(|lab| run(lab, &ONCE, LONG));
    assert_eq!(jobs, ["1", "1"]);
    let left = processes(&one, &node_of(&one, "1"));
    let folder = one.folder().to_owned();
    drop(one);
    assert!(!folder.exists());
    assert_eq!(mentions(&folder), BTreeMap::new());
    assert!(left.iter().all(|process| !is_alive(*process)), "{left:?}");
    assert_eq!(other.state("1"), "RUNNING");
}

#[test]
fn a_panic_leaves_nothing() {
    let mut folder = None;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        if let Some(lab) = SlurmLab::start(LabOptions::default()) {
            folder = Some(lab.folder().to_owned());
            run(&lab, &ONCE, "#!/bin/bash\nsetsid sleep 600 &\nexec sleep 600\n");
            panic!("as a failing test does");
        }
    }));
    if let Some(folder) = folder {
        assert!(result.is_err());
        assert!(!folder.exists());
        assert_eq!(mentions(&folder), BTreeMap::new());
    }
}

/// Processes whose command line or environment names a folder.
fn mentions(folder: &Path) -> BTreeMap<u32, String> {
    let folder = folder.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let texts = numbers.map(|number: u32| {
        let read = |name| fs::read(format!("/proc/{number}/{name}")).unwrap_or_default();
        let text = [read("cmdline"), read("environ")].concat();
        (number, String::from_utf8_lossy(&text).into_owned())
    });
    texts.filter(|(_, text)| text.contains(&folder)).collect()
}

#[test]
fn a_job_lives_through_the_death_of_the_controller() {
    let Some(lab) = SlurmLab::start(LabOptions::default()) else { return };
    let job = run(&lab, &ONCE, "#!/bin/bash\nuntil [ -e go ]; do sleep 0.1; done\n");
    lab.save(&job);
    lab.kill_controller();
    lab.start_controller();
    assert_eq!(lab.state(&job), "RUNNING");
    // The nodes report what runs on them within five seconds.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(lab.state(&job), "RUNNING");
    fs::write(lab.folder().join("go"), "").unwrap();
    lab.wait_for_state(&job, "COMPLETED");
}

#[test]
fn a_controller_that_is_stopped_goes_on() {
    let Some(lab) = SlurmLab::start(LabOptions::default()) else { return };
    lab.pause_controller();
    let mut asked = lab.command("squeue").spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(asked.try_wait().unwrap().is_none());
    lab.resume_controller();
    assert!(asked.wait().unwrap().success());
}

#[test]
fn a_killed_node_takes_its_job_along() {
    let Some(lab) = SlurmLab::start(watchful()) else { return };
    let job = run(&lab, &ONCE, LONG);
    let node = node_of(&lab, &job);
    let left = processes(&lab, &node);
    lab.kill_node(&node);
    assert!(left.iter().all(|process| !is_alive(*process)), "{left:?}");
    let other = lab.submit(&ONCE, "#!/bin/bash\ntrue\n");
    lab.wait_for_state(&other, "COMPLETED");
    lab.wait_for_state(&job, "NODE_FAIL");
    lab.start_node(&node);
    assert_eq!(lab.state(&job), "NODE_FAIL");
}

#[test]
fn an_urgent_job_puts_another_out() {
    let one_node = LabOptions { nodes: 1, ..LabOptions::default() };
    let Some(lab) = SlurmLab::start(one_node) else { return };
    let job = run(&lab, &[&ONCE[..], &["--cpus-per-task=2"]].concat(), LONG);
    let urgent = lab.submit(&["--partition=urgent", "--mem=100"], "#!/bin/bash\ntrue\n");
    lab.wait_for_state(&job, "PREEMPTED");
    lab.wait_for_state(&urgent, "COMPLETED");
}

#[test]
fn a_cut_link_leaves_a_copy_that_ends_when_it_heals() {
    let networked = LabOptions { own_networks: true, ..watchful() };
    let Some(lab) = SlurmLab::start(networked) else { return };
    let job = run(&lab, &ONCE, LONG);
    let node = node_of(&lab, &job);
    let left = processes(&lab, &node);
    lab.cut_link(&node);
    lab.wait_for_state(&job, "NODE_FAIL");
    assert!(left.iter().all(|process| is_alive(*process)), "{left:?}");
    lab.heal_link(&node);
    lab.wait_for_node(&node);
    lab.wait_until("the copy has ended", || !left.iter().any(|process| is_alive(*process)));
    assert_eq!(lab.state(&job), "NODE_FAIL");
}

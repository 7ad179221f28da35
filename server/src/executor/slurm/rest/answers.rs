//! What `slurmrestd` answers, in any version.

use serde_json::Value;

use super::super::PREFIX;
use super::super::partitions::Partition;
use super::super::table::{self, Jobs, Name, Row};
use super::super::transport::{SlurmError, one_line};
use super::WHO;

/// A number, which newer versions wrap in an object that says whether it is set.
pub(super) fn number(value: &Value) -> Option<u64> {
    let is_set = value["set"].as_bool().unwrap_or(true) && value["infinite"] != true;
    value.as_u64().or_else(|| value["number"].as_u64().filter(|_| is_set))
}

/// A word, which newer versions put into a list of words.
fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn list<'a>(answer: &'a Value, name: &str) -> Result<&'a Vec<Value>, SlurmError> {
    answer[name].as_array().ok_or_else(|| SlurmError::nonsense(WHO, &answer.to_string()))
}

/// What went wrong, by the answer's own list; empty if nothing did.
pub(super) fn errors(answer: &Value) -> String {
    let said = answer["errors"].as_array().into_iter().flatten().map(|error| {
        let parts = ["description", "error"].map(|name| error[name].as_str().unwrap_or_default());
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(": ")
    });
    one_line(&said.filter(|one| !one.is_empty()).collect::<Vec<_>>().join("\n"))
}

/// The newest version of Slurm's own interface that the description of the interface names.
pub(super) fn newest_version(description: &Value) -> Option<u32> {
    let paths = description["paths"].as_object()?.keys();
    let version = |path: &String| {
        let rest = path.strip_prefix("/slurm/v0.0.")?;
        let (version, what) = rest.split_once('/')?;
        (what.trim_end_matches('/') == "jobs").then(|| version.parse().ok())?
    };
    paths.filter_map(version).max()
}

/// Which Slurm it is.
pub(super) fn release(answer: &Value) -> String {
    let meta = &answer["meta"];
    let found = [&meta["slurm"]["release"], &meta["Slurm"]["release"]];
    let found = found.into_iter().find_map(Value::as_str);
    found.unwrap_or("of an unknown release").to_owned()
}

/// Generic resources as newer versions write them: `gpu:1` is `gres/gpu:1`.
pub(super) fn tres(gres: &str) -> String {
    gres.split(',').map(|one| format!("gres/{one}")).collect::<Vec<_>>().join(",")
}

/// This account's jobs by their names.
pub(super) fn jobs(answer: &Value, user: &str) -> Result<Jobs, SlurmError> {
    let mut rows = Jobs::new();
    let own = |job: &&Value| {
        job["user_name"] == user
            && job["name"].as_str().is_some_and(|name| name.starts_with(PREFIX))
    };
    let all: Vec<&Value> = list(answer, "jobs")?.iter().filter(own).collect();
    for job in &all {
        let row = row(job).ok_or_else(|| SlurmError::nonsense(WHO, &job.to_string()))?;
        // The tasks of an array that wait are one job until they begin.
        match job["array_task_string"].as_str().filter(|tasks| !tasks.is_empty()) {
            None => table::add(&mut rows, row),
            Some(tasks) => {
                for task in numbers(tasks) {
                    let (mut one, array) = (row.clone(), row.number);
                    one.name.task = Some(task);
                    one.id = format!("{array}_{task}");
                    table::add(&mut rows, one);
                }
            }
        }
    }
    Ok(rows)
}

fn row(job: &Value) -> Option<Row> {
    let id = number(&job["job_id"])?;
    let array = number(&job["array_job_id"]).filter(|array| *array > 0);
    let task = number(&job["array_task_id"]).filter(|_| array.is_some());
    let task = task.and_then(|task| u32::try_from(task).ok());
    let exit = &job["exit_code"];
    let status = number(exit).unwrap_or_else(|| {
        let signal = number(&exit["signal"]["id"]).unwrap_or(0);
        signal | (number(&exit["return_code"]).unwrap_or(0) << 8)
    });
    Some(Row {
        name: Name { job: job["name"].as_str()?.to_owned(), task },
        id: match (array, task) {
            (Some(array), Some(task)) => format!("{array}_{task}"),
            _ => id.to_string(),
        },
        number: id,
        state: state(&words(&job["job_state"]))?.to_owned(),
        reason: job["state_reason"].as_str().unwrap_or_default().to_owned(),
        nodes: job["nodes"].as_str().unwrap_or_default().to_owned(),
        start: number(&job["start_time"]).filter(|at| *at > 0).and_then(|at| at.try_into().ok()),
        status: status.try_into().unwrap_or(0),
    })
}

/// Of several words for a state, that which says most: a job that is completing is not over yet.
fn state<'a>(words: &[&'a str]) -> Option<&'a str> {
    let flags = ["COMPLETING", "REQUEUED", "CONFIGURING", "STAGE_OUT", "REQUEUE_HOLD"];
    words.iter().find(|word| flags.contains(word)).or_else(|| words.first()).copied()
}

/// The numbers of `1,3-5,8-12:2%4`.
fn numbers(text: &str) -> Vec<u32> {
    let text = text.split('%').next().unwrap_or_default();
    let one = |part: &str| {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to, step) = (from.parse().ok()?, to.parse().ok()?, step.parse().ok()?);
        (step > 0).then(|| (from..=to).step_by(step).take(100_000))
    };
    text.split(',').filter_map(one).flatten().collect()
}

/// Partitions with what their nodes have.
pub(super) fn partitions(partitions: &Value, nodes: &Value) -> Result<Vec<Partition>, SlurmError> {
    let one = |found: &Value| {
        let state = words(&found["state"]);
        let state = if state.is_empty() { words(&found["partition"]["state"]) } else { state };
        let limit = [&found["max_time_limit"], &found["maximums"]["time"]];
        let limit = limit.into_iter().find_map(number);
        Some(Partition {
            name: found["name"].as_str()?.to_owned(),
            is_up: state.contains(&"UP"),
            time_limit: limit
                .map_or_else(|| "infinite".to_owned(), |limit| format!("{limit} minutes")),
            ..Partition::default()
        })
    };
    let mut all: Vec<Partition> = list(partitions, "partitions")?.iter().filter_map(one).collect();
    for node in list(nodes, "nodes")? {
        let state = words(&node["state"]).join("+");
        let resources = node["gres"].as_str().unwrap_or_default();
        let of = words(&node["partitions"]);
        all.iter_mut()
            .filter(|partition| of.contains(&partition.name.as_str()))
            .for_each(|partition| partition.add(1, &state, resources));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::slurm::table::JobPhase;
    use crate::executor::{Exit, Interruption};
    use serde_json::json;

    #[test]
    fn jobs_of_old_and_new_versions_are_the_same() {
        let old = json!({"jobs": [{"job_id": 7, "name": "skein-a-1", "user_name": "me", "array_job_id": 0,
            "array_task_id": null, "job_state": "FAILED", "state_reason": "NonZeroExitCode",
            "nodes": "n1", "start_time": 1_796_000_000, "exit_code": 1792}]});
        let some = |number: u64| json!({"set": true, "infinite": false, "number": number});
        let none = json!({"set": false, "infinite": false, "number": 0});
        let new = json!({"jobs": [{"job_id": 7, "name": "skein-a-1", "user_name": "me", "array_job_id": some(0),
            "array_task_id": none, "array_task_string": "", "job_state": ["FAILED"],
            "state_reason": "NonZeroExitCode", "nodes": "n1", "start_time": some(1_796_000_000),
            "exit_code": {"status": ["ERROR"], "return_code": some(7), "signal": {"id": none, "name": ""}}}]});
        let (old, new) = (jobs(&old, "me").unwrap(), jobs(&new, "me").unwrap());
        assert_eq!(old, new);
        let row = old.values().next().unwrap();
        assert_eq!(row.phase(), JobPhase::Ended(Exit::Code(7)));
        assert_eq!((row.id.as_str(), row.start), ("7", Some(1_796_000_000)));
    }

    #[test]
    fn tasks_that_wait_are_told_apart_and_other_people_s_jobs_left_out() {
        let answer = json!({"jobs": [
            {"job_id": 5, "name": "skein-array-x", "user_name": "me", "array_job_id": 5, "array_task_id": null,
             "array_task_string": "2-3,5%2", "job_state": "PENDING", "state_reason": "JobArrayTaskLimit", "exit_code": 0},
            {"job_id": 6, "name": "skein-array-x", "user_name": "me", "array_job_id": 5, "array_task_id": 1,
             "job_state": ["CANCELLED", "COMPLETING"], "exit_code": 0},
            {"job_id": 8, "name": "skein-b-1", "user_name": "her", "job_state": "RUNNING", "exit_code": 0},
            {"job_id": 9, "name": "other", "user_name": "me", "job_state": "RUNNING", "exit_code": 0}]});
        let rows = jobs(&answer, "me").unwrap();
        let mut ids: Vec<&str> = rows.values().map(|row| row.id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["5_1", "5_2", "5_3", "5_5"]);
        let phase =
            |task| rows[&Name { job: "skein-array-x".to_owned(), task: Some(task) }].phase();
        assert_eq!((phase(3), phase(1)), (JobPhase::Waiting, JobPhase::Working));
        assert!(jobs(&json!({"error": "x"}), "me").unwrap_err().to_string().contains(WHO));
        assert_eq!(numbers("1,3-5,8-12:2%4"), [1, 3, 4, 5, 8, 10, 12]);
        assert_eq!(numbers("...,4"), [4]);
    }

    #[test]
    fn a_preempted_job_of_a_new_version_is_interrupted() {
        let answer = json!({"jobs": [{"job_id": 7, "name": "skein-a-1", "user_name": "me",
            "job_state": ["PREEMPTED"], "exit_code": {"return_code": 0}}]});
        let rows = jobs(&answer, "me").unwrap();
        let phase = rows.values().next().unwrap().phase();
        assert_eq!(phase, JobPhase::Ended(Exit::Interrupted(Interruption::Preempted)));
    }

    #[test]
    fn partitions_count_their_nodes() {
        let all = json!({"partitions": [{"name": "gpu", "state": "UP", "max_time_limit": 60},
            {"name": "cpu", "partition": {"state": ["DOWN"]}, "maximums": {"time": {"set": true, "infinite": true}}}]});
        let nodes = json!({"nodes": [
            {"name": "n1", "state": "idle", "partitions": ["gpu", "cpu"], "gres": "gpu:a40:2"},
            {"name": "n2", "state": ["IDLE", "DRAIN"], "partitions": ["gpu"], "gres": "gpu:a40:2"}]});
        let found = partitions(&all, &nodes).unwrap();
        assert_eq!(found[0].nodes_in_words(), "2 nodes: 1 idle, 1 idle+drain");
        assert_eq!((found[0].gpus_in_words(), found[0].is_up), ("4 × a40".to_owned(), true));
        assert_eq!((found[1].time_limit.as_str(), found[1].is_up), ("infinite", false));
    }

    #[test]
    fn versions_errors_and_resources() {
        let paths = json!({"paths": {"/slurm/v0.0.37/jobs": {}, "/slurm/v0.0.41/jobs/": {},
            "/slurm/v0.0.41/node/{name}": {}, "/slurmdb/v0.0.42/jobs/": {}}});
        assert_eq!(newest_version(&paths), Some(41));
        let failed = json!({"errors": [{"description": "Batch job submission failed",
            "error": "Invalid partition name specified"}, {}]});
        assert_eq!(
            errors(&failed),
            "Batch job submission failed: Invalid partition name specified"
        );
        assert_eq!(errors(&json!({"errors": []})), "");
        assert_eq!(tres("gpu:1,shard:2"), "gres/gpu:1,gres/shard:2");
    }
}

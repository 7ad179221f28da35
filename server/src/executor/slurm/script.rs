//! The text of a job, and what `sbatch` is told of it.

use std::path::Path;

use super::commands::quoted;
use super::settings::SlurmSettings;
use super::transport::Order;
use crate::executor::Job;

/// Where a job's programs and data are.
#[derive(Debug)]
pub(super) struct Places<'a> {
    pub(super) worker: &'a Path,
    pub(super) datasets: &'a Path,
}

/// What the job runs; of several jobs, each is one task of an array.
pub(super) fn text(jobs: &[Job], settings: &SlurmSettings, places: &Places<'_>) -> String {
    let mut text = "#!/bin/bash\n".to_owned();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    for extra in &settings.lines {
        line(&format!("#SBATCH {extra}"));
    }
    let which = |job: &Job| {
        let folder = quoted(&job.folder.to_string_lossy());
        format!("run={folder} attempt={}", job.attempt)
    };
    match jobs {
        [job] => line(&which(job)),
        jobs => {
            line("case \"$SLURM_ARRAY_TASK_ID\" in");
            for (task, job) in jobs.iter().enumerate() {
                line(&format!("{task}) {} ;;", which(job)));
            }
            line("esac");
        }
    }
    // The job's own output goes to /dev/null, so that a folder that a node does not see is no riddle.
    line("exec >> \"$run/slurm-$attempt.log\" 2>&1 || exit 1");
    line("echo \"Slurm job $SLURM_JOB_ID on $(hostname)\"");
    line("[ ! -e \"$run/final.json\" ] || exit 0");
    settings.setup.iter().for_each(|setup| line(setup));
    let container = settings.container.as_deref().unwrap_or_default();
    let worker = quoted(&places.worker.to_string_lossy());
    let datasets = quoted(&places.datasets.to_string_lossy());
    line(&format!(
        "exec {container} {worker} run --run \"$run\" --attempt \"$attempt\" --datasets {datasets}"
    ));
    text
}

/// What `sbatch` is told beside the text.
pub(super) fn arguments(order: &Order, settings: &SlurmSettings) -> Vec<String> {
    let asked = &order.asked;
    let mut args: Vec<String> = [
        "--parsable",
        // The server submits the next attempt itself: it counts attempts, and each has a folder.
        "--no-requeue",
        "--output=/dev/null",
        "--chdir=/",
    ]
    .map(str::to_owned)
    .to_vec();
    args.push(format!("--job-name={}", order.name));
    args.push(format!("--signal=B:TERM@{}", settings.leave_seconds));
    args.extend(tasks(order, settings).map(|tasks| format!("--array={tasks}")));
    let texts = [
        ("partition", &asked.partition),
        ("account", &asked.account),
        ("qos", &asked.qos),
        ("gres", &asked.gres),
    ];
    for (flag, value) in texts {
        args.extend(value.as_ref().map(|value| format!("--{flag}={value}")));
    }
    args.extend(asked.cpus.map(|cpus| format!("--cpus-per-task={cpus}")));
    args.extend(asked.memory_mb.map(|memory| format!("--mem={memory}M")));
    args.extend(asked.minutes.map(|minutes| format!("--time={minutes}")));
    args
}

/// The tasks of an array, as Slurm writes them; none for a single job.
pub(super) fn tasks(order: &Order, settings: &SlurmSettings) -> Option<String> {
    let last = order.tasks.checked_sub(1).filter(|last| *last > 0)?;
    let most = Some(settings.array_at_once as u64).filter(|most| *most > 0);
    let at_once = most.into_iter().chain(order.asked.at_once).min();
    Some(match at_once {
        None => format!("0-{last}"),
        Some(at_once) => format!("0-{last}%{at_once}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RunId;
    use skein_core::spec::SlurmSpec;

    fn job(folder: &str, attempt: u32) -> Job {
        Job {
            run: RunId::new(),
            folder: folder.into(),
            attempt,
            device: "slurm".to_owned(),
            pid: None,
            slurm: None,
        }
    }

    const PLACES: fn() -> Places<'static> =
        || Places { worker: Path::new("/apps/skein-worker"), datasets: Path::new("/data/sets") };

    #[test]
    fn a_job_sets_up_what_the_administrator_wants_and_becomes_the_worker() {
        let settings = SlurmSettings {
            lines: vec!["--exclusive".to_owned()],
            setup: vec!["module load cuda".to_owned()],
            container: Some("apptainer exec --nv skein.sif".to_owned()),
            ..SlurmSettings::default()
        };
        let text = text(&[job("/runs/it's", 2)], &settings, &PLACES());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1..3], ["#SBATCH --exclusive", r"run='/runs/it'\''s' attempt=2"]);
        assert_eq!(
            lines[lines.len() - 2..],
            [
                "module load cuda",
                "exec apptainer exec --nv skein.sif '/apps/skein-worker' run --run \"$run\" \
                 --attempt \"$attempt\" --datasets '/data/sets'"
            ]
        );
    }

    #[test]
    fn several_jobs_are_tasks_of_an_array() {
        let jobs = [job("/runs/a", 1), job("/runs/b", 3)];
        let text = text(&jobs, &SlurmSettings::default(), &PLACES());
        assert!(text.contains("0) run='/runs/a' attempt=1 ;;\n1) run='/runs/b' attempt=3 ;;\n"));
        let settings = SlurmSettings { array_at_once: 4, ..SlurmSettings::default() };
        let asked = SlurmSpec {
            partition: Some("gpu".to_owned()),
            memory_mb: Some(4000),
            minutes: Some(90),
            ..SlurmSpec::default()
        };
        let order = |tasks, at_once| Order {
            name: "skein-array-x".to_owned(),
            tasks,
            asked: SlurmSpec { at_once, ..asked.clone() },
            script: String::new(),
        };
        let args = |tasks, at_once| arguments(&order(tasks, at_once), &settings).join(" ");
        let text = args(2, None);
        assert!(text.contains("--array=0-1%4 --partition=gpu --mem=4000M --time=90"), "{text}");
        assert!(args(2, Some(1)).contains("--array=0-1%1 "), "what the run asks for");
        assert!(args(2, Some(9)).contains("--array=0-1%4 "), "within what the settings allow");
        assert!(!args(1, None).contains("--array"));
    }
}

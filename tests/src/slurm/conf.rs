//! The files that a lab's daemons read.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::place::Place;
use super::{LabOptions, node_name, rest};

/// Socket of the lab's `munged`.
pub(super) fn munge_socket(folder: &Path) -> PathBuf {
    folder.join("run/munge.sock")
}

/// Log of a node's daemon.
pub(super) fn node_log(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("log/slurmd-{name}.log"))
}

/// Makes the folders, the key and the settings of a lab; gives the path of `slurm.conf`.
pub(super) fn write(folder: &Path, options: &LabOptions, place: &Place) -> PathBuf {
    for name in ["etc", "state", "log", "run", "munge"] {
        fs::create_dir(folder.join(name)).expect("a folder");
    }
    for number in 1..=options.nodes {
        fs::create_dir_all(folder.join("spool").join(node_name(number))).expect("a folder");
    }
    write_key(&folder.join("munge/key"));
    fs::write(folder.join("etc/gres.conf"), devices(folder, options)).expect("gres.conf");
    let mut text = String::new();
    for (name, value) in settings(folder, options, place) {
        let _ = writeln!(text, "{name}={value}");
    }
    text += &nodes(options, place);
    let conf = folder.join("etc/slurm.conf");
    fs::write(&conf, text).expect("slurm.conf");
    conf
}

pub(super) fn write_key(path: &Path) {
    let mut key = [0; 128];
    let mut random = fs::File::open("/dev/urandom").expect("random bytes");
    random.read_exact(&mut key).expect("random bytes");
    fs::write(path, key).expect("a key");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a private key");
}

/// Name of this machine without its domain, as Slurm compares it.
fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// The settings of the lab, with those of its options in their place.
fn settings(folder: &Path, options: &LabOptions, place: &Place) -> Vec<(String, String)> {
    let tokens = if options.rest { rest::settings(folder) } else { Vec::new() };
    let own = [identity(folder, place), behaviour(options), tokens].concat();
    let is_replaced = |name: &str| options.settings.iter().any(|(other, _)| other == name);
    let own = own.into_iter().filter(|(name, _)| !is_replaced(name));
    own.map(|(name, value)| (name.to_owned(), value)).chain(options.settings.clone()).collect()
}

/// Who and where the daemons are.
fn identity(folder: &Path, place: &Place) -> Vec<(&'static str, String)> {
    let path = |name: &str| folder.join(name).display().to_string();
    vec![
        ("ClusterName", "lab".to_owned()),
        ("SlurmctldHost", format!("{}({})", host(), place.controller())),
        ("SlurmctldPort", place.controller_port().to_string()),
        ("SlurmUser", "root".to_owned()),
        ("SlurmdUser", "root".to_owned()),
        ("AuthType", "auth/munge".to_owned()),
        ("CredType", "cred/munge".to_owned()),
        // A requeued job starts again only when its old credential has expired.
        ("AuthInfo", format!("socket={},cred_expire=5", munge_socket(folder).display())),
        ("StateSaveLocation", path("state")),
        ("SlurmctldPidFile", path("run/slurmctld.pid")),
        ("SlurmctldLogFile", path("log/slurmctld.log")),
        ("SlurmdPidFile", path("run/slurmd-%n.pid")),
        ("SlurmdLogFile", node_log(folder, "%n").display().to_string()),
        ("SlurmdSpoolDir", path("spool/%n")),
    ]
}

/// What the cluster does, without cgroups, and in seconds where others take minutes.
fn behaviour(options: &LabOptions) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("SlurmdTimeout", options.node_timeout_s.to_string()),
        ("MessageTimeout", options.message_timeout_s.to_string()),
        ("MinJobAge", options.min_job_age_s.to_string()),
    ];
    let fixed = [
        ("ProctrackType", "proctrack/linuxproc"),
        ("TaskPlugin", "task/none"),
        ("JobAcctGatherType", "jobacct_gather/linux"),
        ("JobAcctGatherFrequency", "1"),
        ("AccountingStorageType", "accounting_storage/none"),
        ("SwitchType", "switch/none"),
        ("MpiDefault", "none"),
        ("SelectType", "select/cons_tres"),
        ("SelectTypeParameters", "CR_Core_Memory"),
        ("SchedulerType", "sched/backfill"),
        (
            "SchedulerParameters",
            "batch_sched_delay=0,sched_min_interval=10000,bf_interval=1,bf_resolution=10",
        ),
        ("GresTypes", "gpu"),
        ("SlurmdParameters", "config_overrides"),
        ("KillWait", "5"),
        ("BatchStartTimeout", "10"),
        ("ReturnToService", "2"),
        ("JobRequeue", "1"),
    ];
    all.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    if options.preemption {
        all.push(("PreemptType", "preempt/partition_prio".to_owned()));
        all.push(("PreemptMode", "REQUEUE".to_owned()));
    }
    all
}

fn nodes(options: &LabOptions, place: &Place) -> String {
    let LabOptions { nodes, cpus, memory_mb, gpus, grace_s, .. } = options;
    let (mut text, host) = (String::new(), host());
    for number in 1..=*nodes {
        let (name, address) = (node_name(number), place.node(number));
        let gres = if *gpus > 0 { format!(" Gres=gpu:{gpus}") } else { String::new() };
        let _ = writeln!(
            text,
            "NodeName={name} NodeHostname={host} NodeAddr={address} Port={} CPUs={cpus} \
             RealMemory={memory_mb}{gres} State=UNKNOWN",
            place.node_port(number)
        );
    }
    let common = format!("Nodes=n[1-{nodes}] MaxTime=1-00:00:00 DefaultTime=10 State=UP");
    let _ =
        writeln!(text, "PartitionName=gpu {common} Default=YES PriorityTier=1 GraceTime={grace_s}");
    if options.preemption {
        let _ = writeln!(text, "PartitionName=urgent {common} PriorityTier=10 PreemptMode=OFF");
    }
    text
}

/// `gres.conf`: null devices for GPUs, or their mere number where no device can be made; jobs
/// then get no `CUDA_VISIBLE_DEVICES`.
fn devices(folder: &Path, options: &LabOptions) -> String {
    let LabOptions { nodes, gpus, .. } = *options;
    if gpus == 0 {
        return String::new();
    }
    let null = makedev(1, 3);
    let made = (0..gpus).all(|number| {
        let path = folder.join(format!("run/gpu{number}"));
        mknodat(CWD, path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), null).is_ok()
    });
    let what = if made {
        format!("File={}/run/gpu[0-{}]", folder.display(), gpus - 1)
    } else {
        format!("Count={gpus}")
    };
    let lines = (1..=nodes).map(|number| format!("NodeName=n{number} Name=gpu {what}\n"));
    lines.collect()
}

//! Why a job waits, in words.

/// What Slurm's reason means.
pub(super) fn reason(of: &str) -> String {
    let words = match of {
        "None" | "" => "Slurm has not looked at it yet",
        "Priority" => "jobs of a higher priority are ahead",
        "Resources" => "waits for free processors, memory or GPUs",
        "JobArrayTaskLimit" => "the limit on jobs of one array at a time is reached",
        "BeginTime" => "may not begin yet; after a requeue Slurm waits about two minutes",
        "Dependency" => "waits for another job",
        "PartitionTimeLimit" => {
            "its time limit is above that of the partition: it will never start"
        }
        "PartitionNodeLimit" | "PartitionConfig" => {
            "it asks for what the partition does not allow: it will never start"
        }
        "BadConstraints" => "it asks for what no node has: it will never start",
        "PartitionDown" | "PartitionInactive" => "the partition takes no jobs at present",
        "JobHeldUser" | "JobHeldAdmin" => "it is held; `scontrol release` lets it go",
        "Reservation" | "ReqNodeNotAvail" => "the nodes are reserved or down",
        "Licenses" => "waits for a licence",
        other if other.starts_with("QOS") || other.starts_with("Assoc") => {
            return format!("a limit of the account or QOS is reached ({other})");
        }
        other => return other.to_owned(),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn reasons_are_words() {
        assert_eq!(reason("Resources"), "waits for free processors, memory or GPUs");
        assert_eq!(
            reason("QOSMaxJobsPerUserLimit"),
            "a limit of the account or QOS is reached (QOSMaxJobsPerUserLimit)"
        );
        assert_eq!(reason("FrontEndDown"), "FrontEndDown");
    }
}

//! The charts of the run page.

/// One chart of the run page.
pub(super) struct Chart {
    pub(super) kind: &'static str,
    pub(super) phase: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) waits: &'static str,
    pub(super) short: bool,
    pub(super) optional: bool,
}

/// What an example, and what an answer, is called.
pub(super) fn words(text: bool) -> (&'static str, &'static str) {
    if text { ("window", "% of tokens") } else { ("image", "% of images") }
}

const fn chart(
    kind: &'static str,
    phase: &'static str,
    title: &'static str,
    unit: &'static str,
    waits: &'static str,
) -> Chart {
    Chart { kind, phase, title, unit, waits, short: false, optional: false }
}

/// A small chart that is shown once it has a point.
const fn extra(
    kind: &'static str,
    phase: &'static str,
    title: &'static str,
    unit: &'static str,
) -> Chart {
    Chart { short: true, optional: true, ..chart(kind, phase, title, unit, "") }
}

const BUSY: &str = "% of the time";
const MEMORY: &str = "MB";

/// Charts of the search.
///
/// On a supernet that another run trained, most of them stay empty and are not shown then.
pub(super) fn search_charts(text: bool, again: bool) -> [Chart; 10] {
    let (_, share) = words(text);
    let once = "The first point appears after the first steps.";
    let charts = [
        chart("loss", "search", "Loss", "nats", once),
        chart("accuracy", "search", "Accuracy", share, once),
        extra("perplexity", "search", "Perplexity", "per token, of the supernet"),
        Chart {
            short: true,
            ..chart(
                "entropy",
                "search",
                "Entropy of the rows",
                "% of the largest, mean over choices",
                "Appears with the first record of the rows.",
            )
        },
        Chart {
            short: true,
            ..chart(
                "rate",
                "search",
                "Learning rate and temperature",
                "",
                "Appears with the first epoch.",
            )
        },
        extra("accuracy", "select", "Second stage", share),
        Chart {
            optional: true,
            ..chart(
                "truth",
                "search",
                "True accuracy",
                "%, of what would be derived, by the benchmark",
                "",
            )
        },
        Chart {
            optional: true,
            ..chart("rank", "search", "True rank", "in the benchmark, 1 is best", "")
        },
        extra("load", "search", "Load", BUSY),
        extra("memory", "search", "Memory", MEMORY),
    ];
    charts.map(|chart| Chart { optional: chart.optional || again, ..chart })
}

/// Charts of the trainings after it.
pub(super) fn fit_charts(text: bool) -> [Chart; 8] {
    let (_, share) = words(text);
    [
        extra("loss", "fine_tune", "Fine-tuning: loss", "nats"),
        extra("accuracy", "fine_tune", "Fine-tuning: accuracy", share),
        extra("load", "fine_tune", "Fine-tuning: load", BUSY),
        extra("memory", "fine_tune", "Fine-tuning: memory", MEMORY),
        extra("loss", "fit", "From scratch: loss", "nats"),
        extra("accuracy", "fit", "From scratch: accuracy", share),
        extra("load", "fit", "From scratch: load", BUSY),
        extra("memory", "fit", "From scratch: memory", MEMORY),
    ]
}

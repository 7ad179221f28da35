//! `/certify`: what this machine was found to compute.

use askama::Template;
use skein_core::certificate::Certificate;
use skein_core::number::Num;
use time::OffsetDateTime;

use super::format;
use super::frame::Frame;

/// The last proofs, or how to get some.
#[derive(Template)]
#[template(path = "certify.html")]
pub(super) struct CertifyPage {
    pub(super) frame: Frame,
    pub(super) found: Option<Found>,
}

/// A certificate as the page shows it.
pub(super) struct Found {
    /// How many held, of how many.
    pub(super) verdict: String,
    pub(super) all_held: bool,
    /// Which proofs, by whom, when.
    pub(super) scope: String,
    pub(super) ago: String,
    pub(super) at: String,
    pub(super) rows: Vec<Row>,
}

/// A proof.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) figure: String,
    pub(super) bound: String,
    pub(super) held: bool,
}

impl CertifyPage {
    pub(super) fn new(frame: Frame, found: Option<Certificate>, now: OffsetDateTime) -> Self {
        Self { frame, found: found.map(|found| Found::new(found, now)) }
    }
}

impl Found {
    fn new(found: Certificate, now: OffsetDateTime) -> Self {
        let failed = found.failed();
        let number = |Num(value)| match value {
            0.0 => "0".to_owned(),
            value if (0.01..1000.0).contains(&value) => format!("{value:.2}"),
            value => format!("{value:.1e}"),
        };
        let space = found.space.unwrap_or_else(|| "all spaces".to_owned());
        let extent = if found.quick { "quick" } else { "whole" };
        Self {
            verdict: format!("{} of {} held", found.proofs.len() - failed, found.proofs.len()),
            all_held: failed == 0,
            scope: format!("{space}, {extent}, on {}, worker {}", found.device, found.worker),
            ago: format::ago(&found.at, now),
            at: found.at,
            rows: found
                .proofs
                .into_iter()
                .map(|proof| Row {
                    figure: number(proof.figure),
                    bound: number(proof.bound),
                    held: proof.held,
                    name: proof.name,
                })
                .collect(),
        }
    }
}

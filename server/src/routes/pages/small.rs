//! Pages of a few lines: log-in, errors, the strip by itself.

use askama::Template;

use super::format;
use super::frame::Frame;
use crate::problem::Problem;

/// `/login`.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    pub(super) frame: Frame,
    /// Why the last try was refused.
    pub(super) error: Option<String>,
    /// Where to go afterwards.
    pub(super) next: String,
}

/// Any problem.
#[derive(Template)]
#[template(path = "error.html")]
pub(super) struct ErrorPage {
    pub(super) frame: Frame,
    pub(super) status: u16,
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) errors: Vec<(String, String)>,
    pub(super) request_id: String,
}

/// The strip of devices by itself.
#[derive(Template)]
#[template(path = "parts/strip.html")]
pub(super) struct Strip {
    pub(super) frame: Frame,
}

impl ErrorPage {
    /// The page for a problem, without devices: they may be what is broken.
    pub(super) fn new(problem: &Problem) -> Self {
        let errors = problem.errors.iter();
        Self {
            frame: Frame { prefix: problem.prefix.clone(), rail: true, ..Frame::default() },
            status: problem.status,
            title: problem.title.clone(),
            detail: format::quoted(&sentence(&problem.detail)),
            errors: errors.map(|error| (error.field.clone(), error.detail.clone())).collect(),
            request_id: problem.request_id.clone(),
        }
    }
}

/// Details are fragments; a page shows sentences.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_page_escapes_what_it_shows() {
        let problem = Problem {
            r#type: "urn:skein:problem:not-found".to_owned(),
            title: "Not found".to_owned(),
            status: 404,
            detail: "there is no run `<script>`".to_owned(),
            errors: Vec::new(),
            request_id: "r1".to_owned(),
            prefix: "/nas".to_owned(),
        };
        let text = ErrorPage::new(&problem).render().unwrap();
        assert!(text.contains("There is no run “&#60;script&#62;”."), "{text}");
        assert!(text.contains("href=\"/nas/runs\""), "{text}");
    }
}

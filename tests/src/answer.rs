//! What a server answers: whole, or message by message.

use std::io::{BufRead as _, BufReader, Read as _};

use serde_json::Value;
use ureq::Body;
use ureq::http::{HeaderMap, Response};

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(mut response: Response<Body>) -> Self {
        let mut body = Vec::new();
        response.body_mut().as_reader().read_to_end(&mut body).expect("a body");
        Self { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// Id of the run that was created.
    #[must_use]
    pub fn created(&self) -> String {
        assert_eq!(self.status, 201, "{}", self.text());
        self.json()["id"].as_str().expect("an id").to_owned()
    }

    /// A header, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// An open event stream.
pub struct Events {
    pub(crate) reader: BufReader<ureq::BodyReader<'static>>,
    /// Headers of the answer.
    pub headers: HeaderMap,
}

/// One message of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Kind.
    pub event: String,
    /// Id, if it has one.
    pub id: Option<u64>,
    /// Payload.
    pub data: Value,
}

impl Iterator for Events {
    type Item = Sent;

    /// The next message; `None` at the end, or when the connection breaks.
    fn next(&mut self) -> Option<Sent> {
        let (mut event, mut id, mut data) = (String::new(), None, String::new());
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end().split_once(':') {
                Some(("event", value)) => value.trim().clone_into(&mut event),
                Some(("id", value)) => id = value.trim().parse().ok(),
                Some(("data", value)) => data.push_str(value),
                _ if line.trim().is_empty() && !data.is_empty() => {
                    let data = serde_json::from_str(&data).expect("valid JSON");
                    return Some(Sent { event, id, data });
                }
                _ => {}
            }
        }
    }
}

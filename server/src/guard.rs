//! Who may ask: `Host` and `Origin`, the token, the size of headers.
//!
//! On a loopback address nobody logs in, so a page of another site must be kept from talking to us
//! through the browser: the `Host` must be ours (DNS rebinding), and so must an `Origin` (forgery).

pub mod host;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::app::AppState;
use crate::frame::wants_page;
use crate::problem::ApiError;
use crate::service::create::hex;

/// What the names of our cookies begin with.
const COOKIE: &str = "skein_";
/// Characters that tell one server's cookie from another's.
const COOKIE_CHARS: usize = 12;
/// Most bytes of all headers of a request.
const HEADER_LIMIT: usize = 16 * 1024;

/// The token and the cookie that stands for it.
///
/// Browsers keep cookies by host and path and know no ports, so the cookie has a name that no other
/// server on the host has, nor the same server below another prefix.
#[derive(Debug, Clone)]
pub struct Auth {
    token: Option<String>,
    session: String,
    cookie: String,
    path: String,
}

impl Auth {
    /// Asks for `token`, if there is one; `secret` keeps cookies of other data folders out, `port`
    /// (as it was asked for, so that 0 stays 0) and `prefix` those of other servers on a copy of
    /// this one.
    #[must_use]
    pub fn new(token: Option<String>, secret: &[u8], port: u16, prefix: &str) -> Self {
        let digest = |parts: &[&[u8]]| {
            let mut hasher = Sha256::new();
            parts.iter().for_each(|part| hasher.update(part));
            hex(&hasher.finalize())
        };
        let given = token.as_deref().unwrap_or_default();
        let session = digest(&[b"skein session", secret, given.as_bytes()]);
        let place = digest(&[b"skein cookie", secret, &port.to_be_bytes(), prefix.as_bytes()]);
        let cookie = format!("{COOKIE}{}", &place[..COOKIE_CHARS]);
        let path = if prefix.is_empty() { "/" } else { prefix }.to_owned();
        Self { token, session, cookie, path }
    }

    /// Whether a token is asked for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.token.is_some()
    }

    /// The `Set-Cookie` value for who knows the token; `None` for everyone else.
    #[must_use]
    pub fn log_in(&self, token: &str) -> Option<String> {
        let right = self.token.as_deref().is_some_and(|known| same(known, token.trim()));
        right.then(|| self.cookie(&self.session, 2_592_000))
    }

    /// The `Set-Cookie` value that ends the session.
    #[must_use]
    pub fn log_out(&self) -> String {
        self.cookie("", 0)
    }

    fn cookie(&self, value: &str, max_age: u32) -> String {
        let Self { cookie, path, .. } = self;
        format!("{cookie}={value}; Path={path}; HttpOnly; SameSite=Strict; Max-Age={max_age}")
    }

    /// Whether a request may pass.
    #[must_use]
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let bearer = text(header::AUTHORIZATION).and_then(|value| {
            let (scheme, given) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(given.trim())
        });
        if bearer.is_some_and(|given| same(token, given)) {
            return true;
        }
        let cookies =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie).then_some(value)
        });
        pairs.any(|value| same(&self.session, value))
    }
}

/// Compares in a time that does not depend on where the texts differ.
fn same(a: &str, b: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(a).ct_eq(&digest(b)).into()
}

/// Refuses requests that do not come from where they should.
pub async fn origin(State(app): State<AppState>, request: Request, next: Next) -> Response {
    match check_origin(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check_origin(app: &AppState, request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > HEADER_LIMIT {
        return Err(ApiError::HeadersTooLarge { limit_kib: HEADER_LIMIT / 1024 });
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|host| host.as_str()));
    let Some(host) = host else {
        return Err(ApiError::BadRequest("the request has no Host header".to_owned()));
    };
    let allow = &app.settings.allow_host;
    if app.settings.checks_host {
        host::check_host(host, allow).map_err(ApiError::Forbidden)?;
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        return host::check_origin(&origin, host, allow).map_err(ApiError::Forbidden);
    }
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && let Some(site @ (b"cross-site" | b"same-site")) = site {
        return Err(ApiError::Forbidden(format!(
            "requests of other sites are refused: the browser says that this one is {} \
             (Sec-Fetch-Site), and it asks for `{host}` (its Host)",
            String::from_utf8_lossy(site)
        )));
    }
    Ok(())
}

/// Asks for the token, if the server has one.
pub async fn token(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let open = matches!(path, "/livez" | "/readyz" | "/login") || path.starts_with("/static/");
    if open || app.auth.admits(request.headers()) {
        return next.run(request).await;
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads && wants_page(&request) && !path.starts_with("/api/") {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let to = format!("{}/login?next={}", app.settings.prefix, encode(target));
        if let Ok(to) = HeaderValue::from_str(&to) {
            return (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
        }
    }
    ApiError::Unauthorized.into_response()
}

/// Percent-encodes everything but what is harmless in a query.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_or_its_cookie_pass() {
        let token = Some("s3cret".to_owned());
        let auth = Auth::new(token.clone(), b"folder", 7878, "/nas");
        let with = |name: header::HeaderName, value: &str| {
            HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
        };
        assert!(!auth.admits(&HeaderMap::new()));
        assert!(auth.admits(&with(header::AUTHORIZATION, "Bearer s3cret")));
        assert!(!auth.admits(&with(header::AUTHORIZATION, "Bearer s3cre")));
        assert!(!auth.admits(&with(header::AUTHORIZATION, "Basic s3cret")));
        assert_eq!(auth.log_in("wrong"), None);
        let cookie = auth.log_in("s3cret").unwrap();
        assert!(cookie.contains("Path=/nas; HttpOnly; SameSite=Strict"), "{cookie}");
        let pair = cookie.split(';').next().unwrap();
        assert!(auth.admits(&with(header::COOKIE, &format!("a=b; {pair}"))));
        let other = Auth::new(token, b"another", 7878, "/nas");
        assert!(!other.admits(&with(header::COOKIE, pair)));
        assert!(Auth::new(None, b"x", 0, "").admits(&HeaderMap::new()));
    }

    #[test]
    fn a_cookie_is_named_after_its_server() {
        let name = |secret: &[u8], port, prefix| {
            let auth = Auth::new(Some("s3cret".to_owned()), secret, port, prefix);
            let out = auth.log_out();
            let cookie = auth.log_in("s3cret").unwrap();
            let name = cookie.split_once('=').unwrap().0.to_owned();
            assert!(out.starts_with(&format!("{name}=; ")) && out.ends_with("Max-Age=0"), "{out}");
            name
        };
        let one = name(b"folder", 7878, "/nas");
        assert_eq!(one, name(b"folder", 7878, "/nas"), "it survives a restart");
        for other in [
            name(b"another", 7878, "/nas"),
            name(b"folder", 7879, "/nas"),
            name(b"folder", 7878, "/nas2"),
            name(b"folder", 7878, ""),
        ] {
            assert_ne!(one, other);
        }
    }
}

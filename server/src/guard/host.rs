//! Names in `Host` and `Origin`: which are ours, and what to do about one that is not.
//!
//! Names compare without case, as everywhere on the net, and a dot at the end changes nothing.

/// Why a request is not one of ours, and what to set if it should be.
pub(super) type Refusal = String;

/// A name as it is compared: in lower case, without a dot at the end.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A name as `--allow-host` takes it; `None` if it is no name: with a scheme, a port or a path.
#[must_use]
pub fn allowed(text: &str) -> Option<String> {
    let name = plain(text.trim());
    if name.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some(format!("[{name}]"));
    }
    let inside = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if inside.is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok()) {
        return Some(name);
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && name.bytes().all(fits)).then_some(name)
}

/// Checks that a request was sent to a name of this server.
pub(super) fn check_host(host: &str, allow: &[String]) -> Result<(), Refusal> {
    let name = plain(host_name(host));
    if is_loopback(&name) || allow.contains(&name) {
        return Ok(());
    }
    Err(format!("the Host `{host}` is none of this server's; {}", advice(&name)))
}

/// Checks that a request was sent by a page of this server, which was asked as `host`.
pub(super) fn check_origin(origin: &str, host: &str, allow: &[String]) -> Result<(), Refusal> {
    let (scheme, authority) = origin.split_once("://").unwrap_or(("", ""));
    if authority.is_empty() {
        return Err(format!(
            "requests of other sites are refused: the Origin `{origin}` names no site, so the page \
             that asks for the Host `{host}` may be anyone's"
        ));
    }
    let name = plain(host_name(authority));
    let same_name = name == plain(host_name(host));
    // A port that is not written is the scheme's; a `Host` does not say its scheme.
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "http" => "80",
        "https" => "443",
        _ => "",
    };
    if allow.contains(&name) || same_name && port(authority, usual) == port(host, usual) {
        return Ok(());
    }
    let advice = match same_name {
        true => "if a proxy lies between them, let it send the Host that it was asked for (nginx: \
                 `proxy_set_header Host $http_host;`)"
            .to_owned(),
        false => advice(&name),
    };
    Err(format!(
        "requests of other sites are refused: this one comes from a page of `{origin}` (its \
         Origin) and asks for `{host}` (its Host); {advice}"
    ))
}

/// What makes a name one of ours.
fn advice(name: &str) -> String {
    format!(
        "if `{name}` is a name of this server, for example through a proxy, start it with \
         `--allow-host {name}` or set SKEIN_ALLOW_HOST={name}"
    )
}

/// The name without the port.
fn host_name(host: &str) -> &str {
    if let Some(end) = host.strip_prefix('[').and_then(|rest| rest.find(']')) {
        return &host[..end + 2];
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn port<'a>(host: &'a str, usual: &'a str) -> &'a str {
    host[host_name(host).len()..].strip_prefix(':').filter(|port| !port.is_empty()).unwrap_or(usual)
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("localhost:7878", "localhost", true)]
    #[case("127.0.0.1", "127.0.0.1", true)]
    #[case("127.0.0.2:1", "127.0.0.2", true)]
    #[case("[::1]:7878", "[::1]", true)]
    #[case("evil.example:7878", "evil.example", false)]
    #[case("127.0.0.1.evil.example", "127.0.0.1.evil.example", false)]
    #[case("localhost.evil.example:80", "localhost.evil.example", false)]
    fn hosts(#[case] host: &str, #[case] name: &str, #[case] loopback: bool) {
        assert_eq!(host_name(host), name);
        assert_eq!(is_loopback(name), loopback);
        assert_eq!(check_host(host, &[]).is_ok(), loopback);
    }

    #[rstest]
    #[case::case("NAS.example", &["nas.example"], true)]
    #[case::port("Nas.Example:8443", &["nas.example"], true)]
    #[case::dot("nas.example.", &["nas.example"], true)]
    #[case::loopback_in_capitals("LOCALHOST:1", &[], true)]
    #[case::longer("a.nas.example", &["nas.example"], false)]
    #[case::other("nas.examples", &["nas.example"], false)]
    fn names_compare_without_case(#[case] host: &str, #[case] allow: &[&str], #[case] ours: bool) {
        let allow: Vec<String> = allow.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(check_host(host, &allow).is_ok(), ours);
        let origin = format!("https://{host}");
        assert_eq!(
            check_origin(&origin, "127.0.0.1:7878", &allow).is_ok(),
            !allow.is_empty() && ours
        );
    }

    #[rstest]
    #[case::equal("http://a.example", "a.example", true)]
    #[case::case("http://A.example:81", "a.Example:81", true)]
    #[case::usual_port("http://a.example", "a.example:80", true)]
    #[case::usual_port_of_tls("https://a.example", "a.example:443", true)]
    #[case::usual_port_of_the_other("https://a.example", "a.example:80", false)]
    #[case::other_port("http://a.example:81", "a.example", false)]
    #[case::six("http://[::1]:9", "[::1]:9", true)]
    #[case::none("null", "a.example", false)]
    #[case::no_scheme("a.example", "a.example", false)]
    fn origins(#[case] origin: &str, #[case] host: &str, #[case] same: bool) {
        assert_eq!(check_origin(origin, host, &[]).is_ok(), same);
    }

    #[rstest]
    #[case(" NAS.Example. ", Some("nas.example"))]
    #[case("::1", Some("[::1]"))]
    #[case("[FE80::1]", Some("[fe80::1]"))]
    #[case("10.0.0.7", Some("10.0.0.7"))]
    #[case("https://nas.example", None)]
    #[case("nas.example:8443", None)]
    #[case("nas.example/skein", None)]
    #[case("", None)]
    fn settings(#[case] text: &str, #[case] name: Option<&str>) {
        assert_eq!(allowed(text).as_deref(), name);
    }
}

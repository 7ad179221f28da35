//! Proxies: which one a server is asked through, if any.
//!
//! As other programs have it: `http_proxy` is for addresses that begin with `http:`, `https_proxy`
//! for those with `https:`, `all_proxy` for both where the first is not set; `no_proxy` lists hosts
//! that are asked directly. Names in lower case come before those in upper case. This machine is
//! always asked directly.

use std::net::IpAddr;

use ureq::Proxy;
use ureq::http::Uri;

/// A proxy, and the variable that names it.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) proxy: Proxy,
    variable: &'static str,
}

impl Chosen {
    /// The proxy for people; without the password that its address may hold.
    pub(super) fn words(&self) -> String {
        let (proxy, variable) = (&self.proxy, self.variable);
        let scheme = proxy.uri().scheme_str().unwrap_or("http");
        format!("the proxy {scheme}://{}:{} of {variable}", proxy.host(), proxy.port())
    }

    /// What to do if the proxy should not have been asked.
    pub(super) fn advice(&self, host: &str) -> String {
        let variable = self.variable;
        format!("list `{host}` in NO_PROXY if it can be reached directly, or correct {variable}")
    }
}

/// The proxy for a server's address.
///
/// # Errors
/// - a sentence that names the variable, if it holds no address of a proxy.
pub(super) fn choose(
    base: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Chosen>, String> {
    let Ok(uri) = base.parse::<Uri>() else { return Ok(None) };
    let Some(host) = uri.host() else { return Ok(None) };
    let (own, port): (&[&'static str], u16) = match uri.scheme_str() {
        Some("https") => (&["https_proxy", "HTTPS_PROXY"], 443),
        _ => (&["http_proxy", "HTTP_PROXY"], 80),
    };
    let host = bare(host);
    let direct = ["no_proxy", "NO_PROXY"].iter().find_map(|name| variable(name));
    let port = uri.port_u16().unwrap_or(port);
    if is_here(&host) || direct.is_some_and(|list| is_direct(&list, &host, port)) {
        return Ok(None);
    }
    let names = own.iter().chain(&["all_proxy", "ALL_PROXY"]);
    let Some((name, value)) = names.into_iter().find_map(|name| Some((*name, variable(name)?)))
    else {
        return Ok(None);
    };
    match Proxy::new(value.trim()) {
        Ok(proxy) => Ok(Some(Chosen { proxy, variable: name })),
        Err(_) => Err(format!(
            "the variable {name} holds no address of a proxy; write for example \
             http://proxy.example:3128, or unset it"
        )),
    }
}

/// A host as it is compared: in lower case, without brackets and without a dot at the end.
fn bare(host: &str) -> String {
    host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase()
}

/// Whether a host is this machine.
pub(super) fn is_here(host: &str) -> bool {
    let host = bare(host);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| {
            let ip = ip.to_canonical();
            ip.is_loopback() || ip.is_unspecified()
        })
}

/// Whether a list names a host.
fn is_direct(list: &str, host: &str, port: u16) -> bool {
    let entries = list.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty());
    entries.into_iter().any(|entry| entry == "*" || fits(entry, host, port))
}

/// Whether an entry (`example.com`, `.example.com`, `*.example.com`, `example.com:8080`, an address,
/// `10.0.0.0/8`) names a host; a name stands for what is below it too.
fn fits(entry: &str, host: &str, port: u16) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        let parsed = (network.parse().ok(), host.parse().ok(), bits.parse().ok());
        return matches!(parsed, (Some(network), Some(ip), Some(bits)) if holds(network, bits, ip));
    }
    let (name, wanted) = match entry.rsplit_once(':') {
        Some((name, number)) if entry.parse::<IpAddr>().is_err() => (name, number.parse().ok()),
        _ => (entry, None),
    };
    let name = bare(name.trim_start_matches('*').trim_start_matches('.'));
    let below = || host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
    wanted.is_none_or(|wanted: u16| wanted == port) && !name.is_empty() && (host == name || below())
}

/// Whether the first bits of an address are a network's.
fn holds(network: IpAddr, bits: u32, ip: IpAddr) -> bool {
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            bits <= 32 && network.to_bits() & mask == ip.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            bits <= 128 && network.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const PROXY: &str = "http://user:secret@proxy.example:3128";

    /// The variable that decides, with all of `set` holding the same proxy.
    fn decides(base: &str, set: &[&str], no_proxy: &str) -> Option<&'static str> {
        let variable = |name: &str| {
            if name == "no_proxy" {
                return Some(no_proxy.to_owned()).filter(|list| !list.is_empty());
            }
            set.contains(&name).then(|| PROXY.to_owned())
        };
        choose(base, variable).unwrap().map(|chosen| chosen.variable)
    }

    #[rstest]
    #[case::plain("http://nas.example", &["http_proxy"], Some("http_proxy"))]
    #[case::capitals("http://nas.example", &["HTTP_PROXY"], Some("HTTP_PROXY"))]
    #[case::lower_first("http://nas.example", &["HTTP_PROXY", "http_proxy"], Some("http_proxy"))]
    #[case::of_tls_alone("http://nas.example", &["HTTPS_PROXY", "https_proxy"], None)]
    #[case::tls("https://nas.example", &["HTTPS_PROXY"], Some("HTTPS_PROXY"))]
    #[case::not_of_tls("https://nas.example", &["http_proxy", "HTTP_PROXY"], None)]
    #[case::all("http://nas.example", &["ALL_PROXY"], Some("ALL_PROXY"))]
    #[case::all_comes_last("https://a.b", &["all_proxy", "HTTPS_PROXY"], Some("HTTPS_PROXY"))]
    #[case::here("http://127.0.0.1:7878", &["http_proxy", "ALL_PROXY"], None)]
    #[case::name("http://LocalHost:7878/nas", &["http_proxy", "ALL_PROXY"], None)]
    #[case::six("http://[::1]:7878", &["http_proxy", "ALL_PROXY"], None)]
    #[case::mapped("http://[::ffff:127.0.0.1]:7878", &["http_proxy"], None)]
    #[case::any("http://0.0.0.0:7878", &["http_proxy"], None)]
    #[case::nonsense("nonsense url", &["http_proxy"], None)]
    fn a_variable_is_for_its_scheme(
        #[case] base: &str,
        #[case] set: &[&str],
        #[case] variable: Option<&str>,
    ) {
        assert_eq!(decides(base, set, ""), variable);
    }

    #[rstest]
    #[case("nas.example", true)]
    #[case("other.example, NAS.example", true)]
    #[case("other.example nas.example", true)]
    #[case(".example", true)]
    #[case("*.example", true)]
    #[case("example", true)]
    #[case("*", true)]
    #[case("nas.example:7878", true)]
    #[case("nas.example:80", false)]
    #[case("s.example", false)]
    #[case("below.nas.example", false)]
    #[case(".", false)]
    #[case("10.0.0.0/8", false)]
    fn hosts_that_are_asked_directly(#[case] list: &str, #[case] direct: bool) {
        let found = decides("http://nas.example:7878", &["http_proxy"], list);
        assert_eq!(found.is_none(), direct);
    }

    #[rstest]
    #[case("http://10.1.2.3:7878", "10.0.0.0/8", true)]
    #[case("http://10.1.2.3:7878", "10.1.2.0/24,fd00::/8", true)]
    #[case("http://10.1.2.3:7878", "10.1.3.0/24", false)]
    #[case("http://10.1.2.3:7878", "10.1.2.3", true)]
    #[case("http://10.1.2.3:7878", "0.0.0.0/0", true)]
    #[case("http://10.1.2.3:7878", "10.0.0.0/64", false)]
    #[case("http://[fd00::7]:7878", "fd00::/8", true)]
    #[case("http://[fd00::7]:7878", "fd00::7", true)]
    #[case("http://[fe00::7]:7878", "fd00::/8", false)]
    fn networks_that_are_asked_directly(
        #[case] base: &str,
        #[case] list: &str,
        #[case] direct: bool,
    ) {
        assert_eq!(decides(base, &["http_proxy"], list).is_none(), direct);
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let of = |value: &str| {
            choose("http://a.b", |name| (name == "all_proxy").then(|| value.to_owned()))
        };
        let words = of(PROXY).unwrap().unwrap().words();
        assert_eq!(words, "the proxy http://proxy.example:3128 of all_proxy");
        let words = of("socks5://proxy.example").unwrap().unwrap().words();
        assert_eq!(words, "the proxy socks5://proxy.example:1080 of all_proxy");
        let fault = of("ftp://secret@proxy").unwrap_err();
        assert!(fault.contains("all_proxy") && !fault.contains("secret"), "{fault}");
    }
}

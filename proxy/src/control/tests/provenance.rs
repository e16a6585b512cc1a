//! Whom a listener believes: what is meant, and what can't be.

use super::{AROUND, check, good};
use crate::{
    control::config::parse_str,
    proxy_protocol::Version,
    route::{
        listener::Forwarded,
        provenance::{ClientAddress, Provenance, ProxyProtocol, RequestId, TraceContext},
    },
};

/// A listener with these lines, the first of which is line 4.
fn listener(lines: &str) -> String {
    AROUND.replacen("\n\n", &format!("\n{lines}\n\n"), 1)
}

const NO_PROXIES: &str =
    "list the addresses of the proxies before this one, as trusted_proxies = [\"10.0.0.0/8\"]";

#[test]
fn nobody_is_believed_unless_it_is_said() {
    let config = good(AROUND);
    assert_eq!(config.listeners[0].provenance, Provenance::default());
    assert!(!config.listeners[0].provenance.asks());
    assert_eq!(config.listeners[0].forwarded, Forwarded::Replace);
    assert_eq!(config.upstreams[0].proxy_protocol, None);
}

#[test]
fn what_is_written() {
    let text = listener(
        "trusted_proxies = [\"10.0.0.0/8\", \"2001:db8::1\", \"unix\"]\nclient_address = \"forwarded\"\n\
         proxy_protocol = \"accept\"\ntrace = { context = \"start\", request_id = \"make\" }",
    );
    let config = good(
        &text.replace("name = \"app\"\nendpoints", "name = \"app\"\nproxy_protocol = \"v2\"\nendpoints"),
    );
    let Provenance { trusted_proxies, client_address, proxy_protocol, trace_context, request_id } =
        &config.listeners[0].provenance;
    assert!(
        trusted_proxies.contains([10, 1, 2, 3].into()) && !trusted_proxies.contains([11, 0, 0, 0].into())
    );
    assert!(trusted_proxies.contains_unix());
    assert_eq!((*client_address, *proxy_protocol), (ClientAddress::Forwarded, ProxyProtocol::Accept));
    assert_eq!((*trace_context, *request_id), (TraceContext::Start, RequestId::Make));
    assert!(config.listeners[0].provenance.asks());
    assert_eq!(config.upstreams[0].proxy_protocol, Some(Version::V2));
}

#[test]
fn forwarded_follows_the_proxies() {
    for (lines, wanted) in [
        ("forwarded = \"auto\"", Forwarded::Replace),
        ("forwarded = \"append\"", Forwarded::Append),
        ("trusted_proxies = [\"10.0.0.0/8\"]", Forwarded::Append),
        ("trusted_proxies = [\"10.0.0.0/8\"]\nforwarded = \"append\"", Forwarded::Append),
        ("trusted_proxies = [\"10.0.0.0/8\"]\nforwarded = \"replace\"", Forwarded::Replace),
    ] {
        assert_eq!(good(&listener(lines)).listeners[0].forwarded, wanted, "{lines}");
    }
}

#[test]
fn without_proxies_there_is_nobody_to_believe() {
    for (line, column, what) in [
        ("client_address = \"x-forwarded-for\"", 18, "client_address: the field counts"),
        ("client_address = \"forwarded\"", 18, "client_address: the field counts"),
        ("proxy_protocol = \"accept\"", 18, "proxy_protocol: a header counts"),
        ("proxy_protocol = \"require\"", 18, "proxy_protocol: a header counts"),
    ] {
        for (lines, number) in [(line.to_owned(), 4), (format!("trusted_proxies = []\n{line}"), 5)] {
            let wanted = format!(
                "{number}:{column} listeners[0].{what} only from `trusted_proxies`, and there are none | {NO_PROXIES}"
            );
            check(&listener(&lines), &[&wanted]);
        }
    }
}

#[test]
fn values_that_are_none() {
    check(
        &listener(
            "trusted_proxies = [\"10.0.0.0/33\", \"lb.internal\", \"unix:/run/lb.sock\", \"10.0.0.1/8\", 7]\n\
             client_address = \"x-real-ip\"\nproxy_protocol = \"v2\"\nforwarded = \"keep\"\n\
             trace = { context = \"on\", request_id = true, sampled = 1 }",
        ),
        &[
            "4:20 listeners[0].trusted_proxies[0]: `33` is no length of a network's address | 0 to 32 bits",
            "4:35 listeners[0].trusted_proxies[1]: `lb.internal` is neither an address nor a network | write an address or a network, as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32; names are not looked up",
            "4:50 listeners[0].trusted_proxies[2]: `unix:/run/lb.sock` is no address | write \"unix\" for all that connect by unix sockets",
            "4:71 listeners[0].trusted_proxies[3]: `10.0.0.1/8` has bits set behind its first 8 | write 10.0.0.0/8 for all of that network, or 10.0.0.1 for the one address",
            "4:85 listeners[0].trusted_proxies[4]: expected a string (an address, a network as \"10.0.0.0/8\", or \"unix\"), found an integer | quote it: \"7\"",
            "5:18 listeners[0].client_address: expected one of \"connection\", \"x-forwarded-for\", \"forwarded\", found \"x-real-ip\"",
            "6:18 listeners[0].proxy_protocol: expected one of \"off\", \"accept\", \"require\", found \"v2\"",
            "7:13 listeners[0].forwarded: expected one of \"auto\", \"replace\", \"append\", found \"keep\"",
            "8:21 listeners[0].trace.context: expected one of \"off\", \"pass\", \"start\", found \"on\"",
            "8:40 listeners[0].trace.request_id: expected a string, one of \"off\", \"pass\", \"make\", found a boolean | quote it: \"true\"",
            "8:46 listeners[0].trace.sampled: unknown key | the keys here are context, request_id",
        ],
    );
    check(
        &AROUND
            .replace("name = \"app\"\nendpoints", "name = \"app\"\nproxy_protocol = \"accept\"\nendpoints"),
        &["7:18 upstreams[0].proxy_protocol: expected one of \"off\", \"v1\", \"v2\", found \"accept\""],
    );
}

#[test]
fn everybody_is_a_warning() {
    let config = good(&listener("trusted_proxies = [\"0.0.0.0/0\", \"::/0\", \"10.0.0.0/8\"]"));
    let warnings: Vec<&str> = config.warnings.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(warnings, ["0.0.0.0/0 trusts everybody", "::/0 trusts everybody"]);
}

#[test]
fn so_many_proxies() {
    let list = |count: usize| {
        let all: Vec<String> =
            (0..count).map(|n| format!("\"10.{}.{}.{}\"", n >> 16, n >> 8 & 255, n & 255)).collect();
        listener(&format!("trusted_proxies = [{}]", all.join(",")))
    };
    good(&list(4096));
    let Err(errors) = parse_str("test.toml", &list(4097)) else { panic!("4097 are taken") };
    assert_eq!((errors.len(), errors[0].message.as_str()), (1, "4097 networks"));
}

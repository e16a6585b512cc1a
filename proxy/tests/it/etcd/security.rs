//! Who may ask, and who answers: passwords, TLS.

use std::{fs, path::Path};

use ringlane::control::etcd::{Identity, Kind, Settings, Tls, User};
use serde_json::json;

use super::{Etcd, Follower, follower::settings};
use crate::harness::{Dir, Tool};

const ROOT: &str = "--user=root:rootpass";

/// As docs/etcd.md says.
fn enable_passwords(etcd: &Etcd) {
    for command in [
        "user add root:rootpass",
        "user grant-role root root",
        "role add ringlane-read",
        "role grant-permission ringlane-read --prefix=true read /ringlane/",
        "user add ringlane:s3cret",
        "user grant-role ringlane ringlane-read",
        "user add stranger:s3cret",
        "auth enable",
    ] {
        etcd.ctl(&command.split(' ').collect::<Vec<_>>()).expect_success();
    }
}

fn as_user(etcd: &Etcd, name: &str, password: &str) -> Settings {
    let password_file = etcd.file(&format!("password-of-{name}"));
    fs::write(&password_file, password).unwrap();
    Settings { user: Some(User { name: name.to_owned(), password_file }), ..settings(&etcd.endpoint()) }
}

#[test]
fn a_user_who_may_only_read_is_enough() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("/ringlane/routes/app", "{}");
    enable_passwords(&etcd);
    let mut follower = Follower::start(as_user(&etcd, "ringlane", "s3cret\n")).connected();
    assert_eq!(follower.view.names(Kind::Route), ["app"]);
    etcd.ctl(&[ROOT, "put", "/ringlane/routes/next", "{}"]).expect_success();
    follower.sees(Kind::Route, "next", Some(json!({"name": "next"})));
    let refused = etcd.ctl(&["--user=ringlane:s3cret", "put", "/ringlane/routes/mine", "{}"]);
    assert!(refused.stderr.contains("permission denied"), "{}", refused.stderr);
    follower.close();
}

#[test]
fn who_may_not_is_told_why() {
    let Some(etcd) = Etcd::start() else { return };
    enable_passwords(&etcd);
    let without_file = Settings {
        user: Some(User { name: "ringlane".to_owned(), password_file: etcd.file("missing") }),
        ..settings(&etcd.endpoint())
    };
    for (settings, said) in [
        (as_user(&etcd, "ringlane", "wrong"), "authentication failed, invalid user ID or password"),
        (as_user(&etcd, "nobody", "s3cret"), "authentication failed, invalid user ID or password"),
        (as_user(&etcd, "stranger", "s3cret"), "permission denied"),
        (settings(&etcd.endpoint()), "user name is empty"),
        (without_file, "missing can't be read: No such file"),
    ] {
        let mut follower = Follower::start(settings);
        let why = follower.disconnected();
        assert!(why.contains(said) && !why.contains("s3cret"), "{why}");
        follower.close();
    }
}

#[test]
fn a_password_that_is_put_right_is_taken_up() {
    let Some(etcd) = Etcd::start() else { return };
    enable_passwords(&etcd);
    let settings = as_user(&etcd, "ringlane", "wrong");
    let mut follower = Follower::start(settings.clone());
    follower.disconnected();
    fs::write(settings.user.unwrap().password_file, "s3cret").unwrap();
    follower.connected().close();
}

/// Makes a CA and certificates that it signs, by openssl. False: it is not installed.
fn certificates(dir: &Dir, ca: &str, signed: &[(&str, &str)]) -> bool {
    let file = |name: &str| dir.file(name).display().to_string();
    let openssl = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        Tool::run("openssl", &arguments).map(crate::harness::tool::Ran::expect_success).is_some()
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let (ca_key, ca_cert) = (file(&format!("{ca}.key")), file(&format!("{ca}.pem")));
    if !openssl(&format!("req -x509 {key} -days 2 -subj /CN={ca} -keyout {ca_key} -out {ca_cert}")) {
        return false;
    }
    for (name, alternative) in signed {
        let [key_file, request, cert, extensions] =
            ["key", "csr", "pem", "ext"].map(|it| file(&format!("{name}.{it}")));
        fs::write(&extensions, format!("subjectAltName={alternative}")).unwrap();
        openssl(&format!("req -new {key} -subj /CN={name} -keyout {key_file} -out {request}"));
        openssl(&format!(
            "x509 -req -in {request} -CA {ca_cert} -CAkey {ca_key} -CAcreateserial -days 2 -out {cert} -extfile {extensions}"
        ));
    }
    true
}

/// An etcd that asks for certificates.
fn secured() -> Option<(Etcd, Tls)> {
    let dir = Dir::new();
    let good = certificates(&dir, "ca", &[("server", "IP:127.0.0.1"), ("client", "DNS:client")]);
    if !good || !certificates(&dir, "other-ca", &[]) {
        return None;
    }
    let path = |name: &str| dir.file(name);
    let identity = Identity { cert: path("client.pem"), key: path("client.key") };
    let tls = Tls { ca: path("ca.pem"), identity: Some(identity), server_name: None };
    let argument = |name: &str, file: &str| format!("--{name}={}", path(file).display());
    let arguments = [
        argument("cert-file", "server.pem"),
        argument("key-file", "server.key"),
        argument("trusted-ca-file", "ca.pem"),
        "--client-cert-auth".to_owned(),
    ];
    Etcd::start_in(dir, "https", &arguments).map(|etcd| (etcd, tls))
}

/// etcdctl puts a value with the client's certificate.
fn put(etcd: &Etcd, tls: &Tls, key: &str, value: &str) {
    let option = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let identity = tls.identity.as_ref().unwrap();
    let options = [option("cacert", &tls.ca), option("cert", &identity.cert), option("key", &identity.key)];
    let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    arguments.extend(["put", key, value]);
    etcd.ctl(&arguments).expect_success();
}

#[test]
fn certificates_are_asked_for_and_shown() {
    let Some((etcd, tls)) = secured() else { return };
    put(&etcd, &tls, "/ringlane/routes/app", "{}");
    let with = |tls: Tls| Settings { tls: Some(tls), ..settings(&etcd.endpoint()) };
    let mut follower = Follower::start(with(tls.clone())).connected();
    assert_eq!(follower.view.names(Kind::Route), ["app"]);
    put(&etcd, &tls, "/ringlane/routes/next", "{}");
    follower.sees(Kind::Route, "next", Some(json!({"name": "next"})));
    follower.close();
    let other = etcd.file("other-ca.pem");
    let nobody = Some("elsewhere.test".to_owned());
    for (tls, said) in [
        (Tls { ca: other, ..tls.clone() }, "invalid peer certificate"),
        (Tls { server_name: nobody, ..tls.clone() }, "not valid for name"),
        (Tls { identity: None, ..tls.clone() }, "does etcd ask for a certificate?"),
        (Tls { ca: etcd.file("client.key"), ..tls.clone() }, "client.key has no certificate"),
        (Tls { ca: etcd.file("missing"), ..tls.clone() }, "can't be read"),
    ] {
        let mut follower = Follower::start(with(tls.clone()));
        let why = follower.disconnected();
        assert!(why.contains(said), "{tls:?}: {why}");
        follower.close();
    }
}

#[test]
fn plain_text_to_a_port_with_tls_fails_with_words() {
    let Some((etcd, _)) = secured() else { return };
    let mut follower = Follower::start(settings(&etcd.endpoint().replace("https", "http")));
    let why = follower.disconnected();
    assert!(why.contains("does etcd speak TLS here?"), "{why}");
    follower.close();
}

//! Listeners that come, go, move and change while clients are connected: whoever has connected is served.

use std::{
    fs,
    io::ErrorKind,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    thread::{Scope, ScopedJoinHandle, scope},
};

use crate::harness::{Client, Proxy, Wire, eventually, replies::GET};

mod addresses;
mod connections;

/// An address that nobody else has.
fn address() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    format!("127.{}.{}.{number}:8000", 64 + process / 256 % 64, process % 256)
}

/// Listeners with these names and addresses, and a route that answers by itself.
fn at(listeners: &[(&str, &str)]) -> String {
    let listeners = listeners.iter().map(|(name, address)| listener(name, address, ""));
    listeners.collect::<String>() + "[[routes]]\nname = \"ok\"\nrespond = { body = \"ok\" }\n"
}

fn listener(name: &str, address: &str, more: &str) -> String {
    format!("[[listeners]]\nname = {name:?}\naddress = {address:?}\n{more}\n")
}

/// Has the proxy load this config and waits for what comes of it.
#[track_caller]
fn reload(proxy: &Proxy, toml: &str, result: &str) {
    let label = format!("result={result:?}");
    let before = proxy.metric("ringlane_config_reloads_total", &label);
    let path = proxy.dir().join("ringlane.toml");
    let text = fs::read_to_string(&path).unwrap();
    let head = &text[..text.find("[[listeners]]").unwrap()];
    fs::write(&path, format!("{head}{toml}")).unwrap();
    proxy.signal(libc::SIGHUP);
    proxy.await_metric("ringlane_config_reloads_total", &label, before + 1);
}

#[track_caller]
fn serves(address: &str) {
    Client::connect(address).ask(GET).expect(200);
}

#[track_caller]
fn is_refused(address: &str) {
    eventually("nobody listens", || match Wire::try_connect(address) {
        Ok(_) => false,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound),
    });
}

/// Connects, asks and closes until it is told to stop, or refused; fails when a connection is not served. True: refused.
fn asks<'s>(
    scope: &'s Scope<'s, '_>,
    address: &'s str,
    stop: &'s AtomicBool,
    served: &'s AtomicU64,
) -> ScopedJoinHandle<'s, bool> {
    scope.spawn(move || {
        while !stop.load(Ordering::Acquire) {
            match Wire::try_connect(address) {
                Ok(mut client) => {
                    client.ask(GET).expect(200);
                    served.fetch_add(1, Ordering::AcqRel);
                }
                Err(error) => {
                    let kind = error.kind();
                    assert!(matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::NotFound), "{error}");
                    return true;
                }
            }
        }
        false
    })
}

/// Does `change` while clients of `address` come and go. Each is served, or refused; whether any was is returned.
#[track_caller]
fn under_load(address: &str, stops: bool, change: impl FnOnce()) -> bool {
    let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
    scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| asks(scope, address, &stop, &served)).collect();
        let more = |count| {
            let before = served.load(Ordering::Acquire);
            eventually("clients are served", || {
                served.load(Ordering::Acquire) >= before + count || clients.iter().any(|it| it.is_finished())
            });
        };
        more(50);
        change();
        if stops {
            eventually("clients are refused", || clients.iter().all(|it| it.is_finished()));
        } else {
            more(200);
        }
        stop.store(true, Ordering::Release);
        clients.into_iter().map(|client| client.join().unwrap()).fold(false, |any, refused| any | refused)
    })
}

/// Descriptors that the process has open.
fn files(proxy: &Proxy) -> usize {
    fs::read_dir(format!("/proc/{}/fd", proxy.pid())).unwrap().count()
}

//! Forwarding a request over kept connections allocates next to nothing in a worker. The whole server runs in this
//! process, in a binary of its own, for the allocator that counts.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    error::Error,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicI32, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use ringlane::{control::desired::Desired, server};

/// What one request may cost its worker.
const ALLOCATIONS_MAX: u64 = 4;
const WARM_UP: u64 = 200;
const MEASURED: u64 = 1_000;
/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// With what keys and cookies of upstreams, and addresses and ids of listeners, are looked for in.
const REQUEST: &[u8] =
    b"GET /hello?id=%61 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: alloc/1\r\nAccept: */*\r\n\
      Cookie: a=b; at=00112233445566778899aabbccddeeff\r\n\
      X-Forwarded-For: 192.0.2.66, 192.0.2.1\r\nX-Request-Id: given\r\ntracestate: a=1\r\n\
      traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
const BODY: &[u8] = b"Hello, world!";
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

/// What a listener may be asked to find out about each request, with a log that has it.
const ASKED: &str = r#", trusted_proxies = ["127.0.0.1"], client_address = "x-forwarded-for",
    trace = { context = "start", request_id = "make" }"#;

/// The thread whose allocations count; 0: nobody's.
static WORKER: AtomicI32 = AtomicI32::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counting what the worker takes.
struct Counting;

fn count() {
    let worker = WORKER.load(Ordering::Relaxed);
    // SAFETY: the call has no arguments and can't fail.
    if worker != 0 && unsafe { libc::gettid() } == worker {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came; counting asks for a thread's number and touches two
// atomics, which neither allocates nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the same.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Fallible<T = ()> = Result<T, Box<dyn Error>>;

/// A folder that is gone after the test.
struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Serves connections that are kept, one thread each, until the process ends.
fn origin() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || answer(client));
        }
    });
    Ok(address)
}

/// Answers every head; the requests of this test have no bodies.
fn answer(mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut buf = [0; 4096];
    let mut filled = 0;
    loop {
        match client.read(&mut buf[filled..])? {
            0 => return Ok(()),
            count => filled += count,
        }
        if buf[..filled].ends_with(b"\r\n\r\n") {
            client.write_all(RESPONSE)?;
            filled = 0;
        }
    }
}

/// What an upstream says of balancing.
const BALANCERS: [&str; 10] = [
    r#"balance = "round_robin""#,
    r#"balance = "least_requests""#,
    r#"balance = "power_of_two""#,
    r#"balance = "peak_ewma""#,
    r#"balance = "random""#,
    r#"balance = "hash""#,
    r#"balance = "hash", hash = { key = "path" }"#,
    r#"balance = "hash", hash = { key = "query:id", overload = "off" }"#,
    r#"balance = "hash", hash = { key = "cookie:none" }"#,
    r#"sticky = { cookie = "at", secret_file = "SECRET" }"#,
];

/// Starts a server with one worker on `driver` and waits until that takes a connection. `asked`, `upstream`: keys of its
/// listener and of its upstream.
fn proxy(dir: &Path, driver: &str, asked: &str, upstream: &str) -> Fallible<TcpStream> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?; // free again: for the server
    let text = format!(
        r#"
        runtime = {{ workers = 1, pin_cores = false, driver = "{driver}" }}
        log = {{ level = "off" }}
        access_log = {{ path = "/dev/null" }}
        listeners = [{{ name = "web", address = "{address}"{asked} }}]
        upstreams = [{{ name = "app", {upstream} }}]
        routes = [{{ name = "app", upstream = "app" }}]
        "#
    );
    let path = dir.join(format!("{}.toml", address.port()));
    fs::write(&path, text)?;
    let desired = Desired::load(&path).map_err(|errors| format!("{errors:?}"))?;
    let running = thread::spawn(move || server::run(&path, desired).map_err(|error| error.to_string()));
    let started = Instant::now();
    while started.elapsed() < PATIENCE && !running.is_finished() {
        if let Ok(client) = TcpStream::connect(address) {
            client.set_nodelay(true)?;
            client.set_read_timeout(Some(PATIENCE))?;
            return Ok(client);
        }
        thread::yield_now();
    }
    let ended = running.is_finished().then(|| running.join());
    Err(format!("the server does not accept: {ended:?}").into())
}

/// The numbers of the threads whose name is a worker's.
fn workers() -> Fallible<Vec<libc::pid_t>> {
    let mut workers = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        // A thread may have ended since.
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.starts_with("worker-") {
            workers.push(task.file_name().to_string_lossy().parse()?);
        }
    }
    Ok(workers)
}

/// Sends `count` requests, each when the one before is answered.
fn exchange(client: &mut TcpStream, count: u64) -> Fallible {
    let mut buf = [0; 4096];
    for _ in 0..count {
        client.write_all(REQUEST)?;
        let mut filled = 0;
        while !buf[..filled].ends_with(BODY) {
            match client.read(&mut buf[filled..])? {
                0 => return Err("the connection was closed".into()),
                count => filled += count,
            }
        }
        assert!(buf.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", buf[..filled].escape_ascii());
    }
    Ok(())
}

/// Measures a server on `driver`, which then runs on, idle: the allocations of `MEASURED` requests.
fn measure(dir: &Path, driver: &str, asked: &str, upstream: &str) -> Fallible<u64> {
    let before = workers()?;
    let mut client = proxy(dir, driver, asked, upstream)?;
    exchange(&mut client, WARM_UP)?;
    let mut new = workers()?;
    new.retain(|worker| !before.contains(worker));
    let [worker] = new[..] else { return Err(format!("{driver}: not one worker: {new:?}").into()) };

    ALLOCATIONS.store(0, Ordering::Relaxed);
    WORKER.store(worker, Ordering::Relaxed);
    exchange(&mut client, MEASURED)?;
    let allocations = ALLOCATIONS.load(Ordering::Relaxed);
    let each = allocations as f64 / MEASURED as f64;
    println!("{driver}, {upstream}: {allocations} allocations in {MEASURED} requests: {each} each");
    assert!(allocations <= ALLOCATIONS_MAX * MEASURED, "{driver}: {allocations} in {MEASURED} requests");

    // A new connection does cost: a count that misses that as well would prove nothing.
    let mut another = TcpStream::connect(client.peer_addr()?)?;
    another.set_read_timeout(Some(PATIENCE))?;
    exchange(&mut another, 1)?;
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > allocations, "{driver}: the worker's count stands still");
    WORKER.store(0, Ordering::Relaxed);
    Ok(allocations)
}

/// One test for both drivers: one count. Servers end with the process; nothing else ends them but a signal.
#[test]
fn forwarding_allocates_next_to_nothing() -> Fallible {
    let dir = Dir(std::env::temp_dir().join(format!("ringlane-alloc-request-{}", process::id())));
    fs::create_dir_all(&dir.0)?;
    let one = format!("endpoints = [\"{}\"]", origin()?);
    for driver in ["auto", "epoll"] {
        let plain = measure(&dir.0, driver, "", &one)?;
        let asked = measure(&dir.0, driver, ASKED, &one)?;
        // Now and then something grows, in either.
        assert!(asked <= plain + MEASURED / 100, "{driver}: {asked} instead of {plain}");
    }
    let plain = measure(&dir.0, "epoll", "", &one)?;

    // Whoever picks an endpoint allocates nothing for it.
    let secret = dir.0.join("secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef")?;
    let three: Vec<String> = (0..3).map(|_| Ok(origin()?.to_string())).collect::<io::Result<_>>()?;
    for balancer in BALANCERS {
        let balancer = balancer.replace("SECRET", &secret.display().to_string());
        let allocations = measure(&dir.0, "epoll", "", &format!("endpoints = {three:?}, {balancer}"))?;
        // A buffer may still have grown.
        assert!(allocations <= plain + MEASURED / 20, "{balancer}: {allocations}, with one endpoint {plain}");
    }
    Ok(())
}

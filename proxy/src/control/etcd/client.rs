//! One connection to one endpoint: opened, listed in pages, and its errors in words.

use std::{error::Error as _, fs::File, io::Read as _, path::Path, time::Duration};

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, GetOptions, GetResponse, KvClient, TlsOptions, WatchOptions,
    WatchStream,
};

use super::{
    KEEP_ALIVE_INTERVAL, KEYS_MAX, MESSAGE_BYTES_MAX, PAGE_KEYS, SECRET_FILE_BYTES_MAX, Settings,
    known::{Fault, Held, Known, Listing},
};

/// A connection to one endpoint.
pub(super) struct Connection {
    client: Client,
    /// Everything below the prefix: first and, behind it, last.
    range: (Vec<u8>, Vec<u8>),
    request_timeout: Duration,
}

impl Connection {
    /// Opens it, and says who we are.
    pub(super) async fn open(settings: &Settings, endpoint: &str) -> Result<Connection, String> {
        let options = options(settings)?;
        let opening = Client::connect([endpoint], Some(options));
        let limit = settings.connect_timeout + settings.request_timeout;
        let client = within(limit, opening).await?;
        // `0` follows `/`: everything that begins with the prefix and a slash lies between.
        let range =
            (format!("{}/", settings.prefix).into_bytes(), format!("{}0", settings.prefix).into_bytes());
        Ok(Connection { client, range, request_timeout: settings.request_timeout })
    }

    /// Reads everything below the prefix as of one revision, and puts it in place of `known`. What is returned are the
    /// keys that can't be used.
    pub(super) async fn list(&mut self, known: &mut Known) -> Result<Vec<Fault>, String> {
        let mut kv = self.client.kv_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut listing = Listing::over(known);
        let (mut from, mut revision, mut cluster) = (self.range.0.clone(), 0, 0);
        let mut page_keys = PAGE_KEYS;
        loop {
            let mut page = match self.page(&mut kv, &from, page_keys, revision).await {
                Ok(page) => page,
                Err(why) if is_too_large(&why) && page_keys > 1 => {
                    page_keys /= 2;
                    continue;
                }
                Err(why) => return Err(why),
            };
            if usize::try_from(page.count()).map_or(true, |it| it > KEYS_MAX) {
                return Err(super::known::too_many());
            }
            if let Some(header) = page.header().filter(|_| revision == 0) {
                (revision, cluster) = (header.revision(), header.cluster_id());
            }
            let more = page.more();
            let kvs = page.take_kvs();
            for kv in &kvs {
                listing.add(Held { key: kv.key(), value: kv.value() }, known)?;
            }
            match kvs.last() {
                Some(last) if more => from = [last.key(), b"\0"].concat(),
                _ => return Ok(listing.finish(revision, cluster, known)),
            }
        }
    }

    async fn page(
        &self,
        kv: &mut KvClient,
        from: &[u8],
        keys: usize,
        revision: i64,
    ) -> Result<GetResponse, String> {
        let options = GetOptions::new()
            .with_range(self.range.1.clone())
            .with_limit(i64::try_from(keys).unwrap_or(1))
            .with_revision(revision);
        within(self.request_timeout, kv.get(from, Some(options))).await
    }

    /// A sign of life: an answer that needs a leader, and costs next to nothing. (Not a progress note of the watch: some
    /// releases of etcd 3.4 and 3.5 give none to a watch that has had no event, etcd issue 17507.)
    pub(super) fn sign_of_life(&self) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let (mut kv, key, limit) = (self.client.kv_client(), self.range.0.clone(), self.request_timeout);
        async move { within(limit, kv.get(key, None)).await.map(drop) }
    }

    /// Watches everything below the prefix, beginning with this revision. The first message says that it does.
    pub(super) async fn watch(&mut self, revision: i64) -> Result<WatchStream, String> {
        let options = WatchOptions::new().with_range(self.range.1.clone()).with_start_revision(revision);
        let mut watch = self.client.watch_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
        within(self.request_timeout, watch.watch(self.range.0.clone(), Some(options))).await
    }
}

fn options(settings: &Settings) -> Result<ConnectOptions, String> {
    let mut options = ConnectOptions::new()
        .with_connect_timeout(settings.connect_timeout)
        .with_keep_alive(KEEP_ALIVE_INTERVAL, settings.request_timeout)
        .with_auto_token_refresh(true)
        .with_require_leader(true);
    if let Some(user) = &settings.user {
        let password = String::from_utf8(read(&user.password_file)?)
            .map_err(|_| format!("{} is not UTF-8", user.password_file.display()))?;
        options = options.with_user(&user.name, password.trim_end_matches(['\r', '\n']));
    }
    if let Some(tls) = &settings.tls {
        let ca = read(&tls.ca)?;
        // It would be taken as a CA that nobody trusts.
        if memchr::memmem::find(&ca, b"BEGIN CERTIFICATE").is_none() {
            return Err(format!("{} has no certificate: expected PEM", tls.ca.display()));
        }
        let mut made = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
        if let Some(identity) = &tls.identity {
            made =
                made.identity(etcd_client::Identity::from_pem(read(&identity.cert)?, read(&identity.key)?));
        }
        if let Some(name) = &tls.server_name {
            made = made.domain_name(name);
        }
        options = options.with_tls(made);
    }
    Ok(options)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let fault = |error: std::io::Error| format!("{} can't be read: {error}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fault)?;
    file.take(SECRET_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(format!("{} has more than {SECRET_FILE_BYTES_MAX} bytes", path.display()));
    }
    Ok(bytes)
}

/// Gives an answer so much time, and its error words.
pub(super) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(explain(&error)),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// An error and what caused it. The outermost words alone say "transport error", which helps nobody.
pub(super) fn explain(error: &Error) -> String {
    let (first, mut cause) = match error {
        Error::GRpcStatus(status) => (status.message().to_owned(), status.source()),
        Error::TransportError(error) => (error.to_string(), error.source()),
        other => (other.to_string(), None),
    };
    let mut words = vec![first];
    while let Some(error) = cause {
        let text = error.to_string();
        // A cause often repeats what it was wrapped in.
        if !words.iter().any(|it| it.contains(&text)) {
            words.push(text);
        }
        cause = error.source();
    }
    if words.len() > 1 {
        words.retain(|it| it != "transport error");
    }
    words.join(": ")
}

/// What may be behind it when a connection ends before etcd has answered: with TLS 1.3 a client that shows no certificate
/// hears of it as often as not by nothing else.
pub(super) fn guess(settings: &Settings, why: String) -> String {
    let broken = ["connection closed", "broken pipe", "connection reset", "fatal alert"];
    if !broken.iter().any(|it| why.contains(it)) {
        return why;
    }
    match &settings.tls {
        None => format!("{why} (does etcd speak TLS here? then write https:// and [etcd.tls])"),
        Some(tls) if tls.identity.is_none() => {
            format!("{why} (does etcd ask for a certificate? then set cert and key in [etcd.tls])")
        }
        Some(_) => why,
    }
}

/// The page had more bytes than we take in one message.
fn is_too_large(why: &str) -> bool {
    why.contains("message length too large")
}

//! Who has sent a request: the other end of its connection, or whom somebody trusted says.
//!
//! A connection's own ends are those of its socket, or those that its PROXY protocol header names. With `client_address`
//! what trusted proxies have noted in the request counts beyond that. Unless a listener asks for it none of this is done.

use std::{
    cell::OnceCell,
    net::{IpAddr, SocketAddr},
};

use socket2::SockRef;

use super::{connection::Client, ids::Ids, socket::Socket};
use crate::{
    http::{FieldKind, RequestHead, forwarded},
    limit::ClientNumber,
    proxy_protocol::{self, Header},
    route::{
        Listener,
        listener::Forwarded,
        provenance::{ClientAddress, TrustedProxies},
    },
};

/// The longest address as text, in bytes: IPv4 in the guise of IPv6.
const ADDRESS_TEXT_BYTES: usize = 45;

/// Both ends of a client's connection, and whether the far one is believed.
pub struct Ends {
    /// The client's, IPv4 as such; `None`: it has none, or that is not known.
    pub ip: Option<IpAddr>,
    port: u16,
    /// What limits know it by, once they have asked.
    number: OnceCell<ClientNumber>,
    /// Its word on others is taken.
    pub trusted: bool,
    /// A header has spoken.
    told: Option<Box<Told>>,
}

/// What a header says of the near end.
struct Told {
    /// What the client has connected to; `None`: it was a unix socket.
    destination: Option<SocketAddr>,
}

impl Ends {
    /// Of a socket whose other end is `peer`; `None`: a unix socket's.
    pub fn new(peer: Option<SocketAddr>, listener: &Listener) -> Ends {
        let mut ends = Ends {
            ip: peer.map(|peer| peer.ip().to_canonical()),
            port: peer.map_or(0, |peer| peer.port()),
            number: OnceCell::new(),
            trusted: false,
            told: None,
        };
        ends.judge(&listener.provenance.trusted_proxies);
        ends
    }

    /// The client's address, as text for logs and `X-Forwarded-For`; without one `unknown`, the word of RFC 7239.
    pub fn text(&self) -> Box<str> {
        self.ip.map_or_else(|| "unknown".into(), |ip| ip.to_string().into())
    }

    /// Takes over what a PROXY protocol header says.
    pub fn tell(&mut self, header: Header, listener: &Listener) {
        let (source, destination) = match header {
            Header::Local => return,
            Header::Unix => (None, None),
            Header::Client(ends) => (Some(ends.source), Some(ends.destination)),
        };
        *self = Ends::new(source, listener);
        self.told = Some(Box::new(Told { destination }));
        self.judge(&listener.provenance.trusted_proxies);
    }

    /// Looks again whether the client is believed.
    pub fn judge(&mut self, proxies: &TrustedProxies) {
        self.trusted = !proxies.is_empty()
            && match self.ip {
                Some(ip) => proxies.contains(ip),
                None => proxies.contains_unix() && self.told.is_none(),
            };
    }
}

/// What is known of a request that is being served, beyond its head. Kept between requests of a connection for its memory,
/// until the connection rests.
#[derive(Default)]
pub struct Asked {
    address: OnceCell<Option<IpAddr>>,
    text: OnceCell<AddressText>,
    /// What goes along with it.
    pub ids: Ids,
}

/// Whether what a client says of those behind it (`X-Forwarded-*`, `Forwarded`) goes upstream.
pub fn keeps_forwarded(client: &Client) -> bool {
    let listener = &client.listener;
    listener.forwarded == Forwarded::Append
        && (client.ends.trusted || listener.provenance.trusted_proxies.is_empty())
}

/// Begins a request. One comparison each where nothing is asked for.
pub fn begin(client: &mut Client, head: &RequestHead) {
    if !client.listener.provenance.asks() {
        client.asked = None;
        return;
    }
    let mut asked = client.asked.take().unwrap_or_default();
    asked.address.take();
    asked.text.take();
    asked.ids.begin(client, head);
    client.asked = Some(asked);
}

/// The address of whoever has sent it; `None`: it came by a unix socket.
pub fn address(client: &Client, head: &RequestHead) -> Option<IpAddr> {
    match noted(client) {
        None => client.ends.ip,
        Some((asked, field)) => *asked.address.get_or_init(|| {
            let proxies = &client.listener.provenance.trusted_proxies;
            forwarded::sender(head, field, |address| proxies.contains(address)).or(client.ends.ip)
        }),
    }
}

/// What limits know it by.
pub fn number(client: &Client, head: &RequestHead) -> ClientNumber {
    let (ends, limiter) = (&client.ends, &client.worker.limiter);
    let address = address(client, head);
    match address == ends.ip {
        true => *ends.number.get_or_init(|| limiter.client(address)),
        false => limiter.client(address),
    }
}

/// As text; `unknown` where there is none.
pub fn text<'c>(client: &'c Client, head: &RequestHead) -> &'c str {
    let Some((asked, _)) = noted(client) else { return &client.peer };
    match address(client, head) {
        Some(address) if Some(address) != client.ends.ip => {
            asked.text.get_or_init(|| AddressText::of(address)).as_str()
        }
        _ => &client.peer,
    }
}

/// The field in which a proxy that is believed notes whom it has requests from, if that is asked for.
fn noted(client: &Client) -> Option<(&Asked, FieldKind)> {
    let field = match client.listener.provenance.client_address {
        ClientAddress::Connection => return None,
        ClientAddress::XForwardedFor => FieldKind::XForwardedFor,
        ClientAddress::Forwarded => FieldKind::Forwarded,
    };
    client.asked.as_deref().filter(|_| client.ends.trusted).map(|asked| (asked, field))
}

/// Both ends, for a PROXY protocol header of ours. A client that is known by a field alone has port 0.
pub fn both(client: &Client, head: &RequestHead) -> Option<proxy_protocol::Ends> {
    let ip = address(client, head)?;
    let port = if Some(ip) == client.ends.ip { client.ends.port } else { 0 };
    let destination = match &client.ends.told {
        Some(told) => told.destination?,
        None => near_end(&client.socket)?,
    };
    Some(proxy_protocol::Ends { source: SocketAddr::new(ip, port), destination })
}

fn near_end(socket: &Socket) -> Option<SocketAddr> {
    SockRef::from(socket).local_addr().ok()?.as_socket()
}

/// An address as text, without an allocation.
struct AddressText {
    bytes: [u8; ADDRESS_TEXT_BYTES],
    length: usize,
}

impl AddressText {
    fn of(address: IpAddr) -> AddressText {
        let mut text = AddressText { bytes: [0; ADDRESS_TEXT_BYTES], length: 0 };
        // There is room for every address.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{address}"));
        text
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl std::fmt::Write for AddressText {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        let end = self.length + part.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(part.as_bytes());
        self.length = end;
        Ok(())
    }
}
